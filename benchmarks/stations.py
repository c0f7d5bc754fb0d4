"""What a job of each station costs at the paper's sizes: seconds to start, seconds of work, memory.

Every station runs in a process of its own on a small made-up class: random pictures, features and weights, which
matter neither for time nor for memory. The resources that the rules ask for and ``multiflow/cluster/costs.csv`` come
from this. It takes the GPU where there is one.

    PYTHONPATH=src python benchmarks/stations.py                        # all: about 10 minutes on two cores
    PYTHONPATH=src python benchmarks/stations.py train_flow --samples 64 # one, on more samples
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402  (the imports are part of what is measured)
import json  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
from feature_extraction import write_pictures  # noqa: E402

from multiflow import config  # noqa: E402
from multiflow.evaluation import compute_metrics, score_flow  # noqa: E402
from multiflow.features import extract_features  # noqa: E402
from multiflow.flow.checkpoint import save_flow  # noqa: E402
from multiflow.flow_input import open_input  # noqa: E402
from multiflow.foreground import segment_foreground  # noqa: E402
from multiflow.foreground.mvanet import MVANet  # noqa: E402
from multiflow.foreground.mvanet.checkpoint import _released_names  # noqa: E402
from multiflow.samples import read_samples, write_samples  # noqa: E402
from multiflow.scores import ScoreFile  # noqa: E402
from multiflow.store import create_hdf5, write_strings  # noqa: E402
from multiflow.training import build_flow, train_flow  # noqa: E402
from multiflow.weights import write_weights  # noqa: E402

CAMERAS = ["C1", "C2", "C3", "C4", "C5"]
CHANNELS, GRID = 304, 24  # EfficientNet-B5's blocks.5 at 768 px
PICTURE = 1024  # px; Real-IAD's pictures


def write_features(path: Path, samples: int) -> None:
    """A feature file of the paper's shape with this many samples in each split; every second test view has a defect."""
    random = np.random.default_rng(0)
    attributes = {"class": "part", "cameras": CAMERAS, "backbone": "random", "provenance": "{}"}
    with create_hdf5(path, "features", attributes) as file:
        for split in ("train", "test"):
            group = file.create_group(split)
            keys = [f"part_{split}_{index}" for index in range(samples)]
            write_strings(group, "sample", keys)
            write_strings(group, "image", [[f"{key}_{camera}.jpg" for camera in CAMERAS] for key in keys])
            truth = np.zeros((samples, len(CAMERAS), 256, 256), np.uint8)
            truth[::2, :, 100:150, 100:150] = split == "test"
            group["label"] = truth.any(axis=(2, 3)).astype(np.uint8)
            group.create_dataset("ground_truth", data=truth, chunks=(1, *truth.shape[1:]), compression="gzip")
            shape = (len(CAMERAS), CHANNELS, GRID, GRID)
            features = group.create_dataset("features", (samples, *shape), np.float32, chunks=(1, *shape))
            for index in range(samples):
                features[index] = random.standard_normal(shape, np.float32)
        file["train/channel_mean"], file["train/channel_std"] = np.zeros(CHANNELS), np.ones(CHANNELS)


def check(folder: Path, samples: int) -> None:
    """Every picture of a class decoded and its checksum taken."""
    table = write_pictures(folder, samples, len(CAMERAS), PICTURE)
    (folder / "part").mkdir()
    names = [f"part_{path.replace('_C', '_OK_C').replace('.jpg', '_0.jpg')}" for path in table["image"]]
    for path, name in zip(table["image"], names, strict=True):
        (folder / path).rename(folder / "part" / name)
    record = {"category": "part", "anomaly_class": "OK", "mask_path": None}
    records = [record | {"image_path": name} for name in names]
    half = len(records) // 2 // len(CAMERAS) * len(CAMERAS)
    meta = {"prefix": "part/", "normal_class": "OK", "pre_transform": None}
    document = {"meta": meta, "train": records[:half], "test": records[half:]}
    (folder / "part.json").write_text(json.dumps(document))
    dataset = config.Dataset(classes=["part"], flips=None, image_folder="", annotations="")
    measure("image", len(records), lambda: read_samples(dataset, folder, "part", processes=0))


def extract(folder: Path, samples: int) -> None:
    """Features."""
    settings = config.Features()
    write_samples(write_pictures(folder, samples, len(CAMERAS), PICTURE), folder / "part.csv")
    write_weights(folder / "weights", timm.create_model(settings.backbone).state_dict(), {})
    inputs = folder / "part.csv", folder, folder / "weights"
    measure("image", samples * len(CAMERAS), lambda: extract_features(*inputs, settings, folder / "out.h5"))


def segment(folder: Path, samples: int) -> None:
    """Masks, of one camera's pictures."""
    write_samples(write_pictures(folder, samples, 1, PICTURE), folder / "part.csv")
    write_weights(folder / "weights", _released_names(MVANet()), {})
    inputs = folder / "part.csv", folder, config.Foreground(), folder / "out.h5"
    measure("image", samples, lambda: segment_foreground(*inputs, weights=folder / "weights"))


def train(folder: Path, samples: int) -> None:
    """One epoch."""
    write_features(folder / "features.h5", samples)
    data, training = open_input(folder / "features.h5", None, "nearest"), config.Training(epochs=1)
    outputs = folder / "flow", folder / "history", folder / "checkpoint"
    steps = samples // training.batch_size
    measure("step", steps, lambda: train_flow(data, config.Features(), config.Flow(), training, 0, *outputs))


def evaluate(folder: Path, samples: int) -> None:
    """Scores, then metrics."""
    write_features(folder / "features.h5", samples)
    data = open_input(folder / "features.h5", None, "nearest")
    extra = {"scaling.mean": torch.zeros(CHANNELS), "scaling.std": torch.ones(CHANNELS)}
    save_flow(folder / "flow", build_flow(config.Flow(), CHANNELS, len(CAMERAS)), {}, extra)
    inputs = data, folder / "flow", config.Training(), folder / "scores.h5"
    measure("sample_scored", samples, lambda: score_flow(*inputs, {}))
    with ScoreFile(folder / "scores.h5") as scores:
        measure("sample_measured", samples, lambda: compute_metrics(scores, data.features, config.Evaluation()))


# Samples to measure on.
STATIONS: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "flip_views": (check, 20),
    "extract_features": (extract, 4),
    "segment_foreground": (segment, 2),
    "train_flow": (train, 24),
    "evaluate_flow": (evaluate, 24),
}
SECONDS: dict[str, float] = {}


def measure(unit: str, count: int, work: Callable[[], object]) -> None:
    """Run the station's own function and note its time by unit of work; what came before is preparation."""
    started, used = time.perf_counter(), time.process_time()
    work()
    SECONDS[f"seconds_per_{unit}"] = round((time.perf_counter() - started) / count, 3)
    # On one thread these are the seconds on a machine that does nothing else.
    SECONDS[f"processor_seconds_per_{unit}"] = round((time.process_time() - used) / count, 3)


def run(station: str, samples: int) -> dict[str, object]:
    """Measure one station in this process."""
    imported = time.perf_counter() - STARTED, time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        STATIONS[station][0](Path(folder), samples)
    own, workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    gpu = torch.cuda.is_available()
    return {
        "station": station,
        "samples": samples,
        "seconds_to_import": round(imported[0], 1),
        "processor_seconds_to_import": round(imported[1], 1),
        **SECONDS,
        "peak_mb": round(own / 1024),
        "peak_mb_of_a_worker": round(workers / 1024),
        "peak_gpu_mb": round(torch.cuda.max_memory_allocated() / 2**20) if gpu else None,
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("station", nargs="?", choices=STATIONS, help="one station, in this process")
    parser.add_argument("--samples", type=int, help="samples to measure on")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the networks")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.station:
        print(json.dumps(run(arguments.station, arguments.samples or STATIONS[arguments.station][1])))
        return
    for station in STATIONS:
        subprocess.run([sys.executable, __file__, station, "--threads", str(arguments.threads)], check=True)


if __name__ == "__main__":
    main()
