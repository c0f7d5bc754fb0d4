"""What a job of each station costs at the paper's sizes beside its start: seconds of work, memory.

Every station runs in a process of its own on a small made-up class: random pictures, features and weights, which
matter neither for time nor for memory. The resources that the rules ask for and ``multiflow/cluster/costs.csv`` come
from this; training and scoring are those of the paper's first experiment. It takes the GPU where there is one.

    PYTHONPATH=src python benchmarks/stations.py                          # all: about 10 minutes on two cores
    PYTHONPATH=src python benchmarks/stations.py train_model --samples 64 # one, on more samples
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from feature_extraction import write_pictures

from multiflow.base.hdf5 import create_hdf5, write_strings
from multiflow.base.weights import write_weights
from multiflow.config import Config, load_config, read_overlays
from multiflow.datasets.digests import digests, write_digests
from multiflow.datasets.ground_truth import GroundTruthFile
from multiflow.datasets.settings import Dataset
from multiflow.datasets.table import SAMPLE_COLUMNS, read_samples, write_samples
from multiflow.features.extraction import extract_features
from multiflow.foreground.mvanet import MVANet
from multiflow.foreground.mvanet.checkpoint import _released_names
from multiflow.foreground.segmentation import segment_foreground
from multiflow.methods.contract import Scores
from multiflow.methods.data import ClassFiles
from multiflow.methods.experiment import Experiment
from multiflow.methods.model import write_model
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.checkpoint import to_model
from multiflow.methods.multiflow.inputs import Scaling
from multiflow.methods.multiflow.network import MultiFlow
from multiflow.methods.score import score_samples
from multiflow.methods.train import train_model
from multiflow.metrics.counting import count_metrics
from multiflow.scores import ScoreFile, write_scores

PAPER = Path(__file__).parents[1] / "config/config.yaml"
CAMERAS = ["C1", "C2", "C3", "C4", "C5"]
CHANNELS, GRID, TRUTH = 304, 24, 256  # EfficientNet-B5's blocks.5 at 768 px; the ground truth's side
PICTURE = 1024  # px; Real-IAD's pictures
THREADS = 1


def paper() -> Config:
    """The paper's configuration for one class, all of it foreground: segmenting is a station of its own."""
    values = read_overlays([PAPER])
    values["dataset"] |= {"classes": ["part"], "published": None, "flips": None}
    values["compute"] = {"threads": THREADS}
    values["foreground"] = {"method": "none"}
    values["methods"]["multiflow"]["training"]["epochs"] = 1
    values["experiments"] = {"multiflow": {}}
    return load_config(values)


def keys(split: str, samples: int) -> list[str]:
    """Names of a split's samples."""
    return [f"part_{split}_{index}" for index in range(samples)]


def write_class(folder: Path, samples: int) -> tuple[Experiment, ClassFiles]:
    """The files of a class of the paper's shape that a method reads, with this many samples in each split."""
    random = np.random.default_rng(0)
    rows = [
        (split, key, camera, f"{key}_{camera}.jpg", "", 0, "OK", 0, "0" * 64, "", PICTURE, PICTURE)
        for split in ("train", "test")
        for key in keys(split, samples)
        for camera in CAMERAS
    ]
    frame = pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS))
    write_samples(frame, folder / "part.csv")
    write_digests(frame, folder / "part.json")
    run = paper()
    experiment = run.experiment("multiflow")
    attributes = run.features["b5"].model_dump(exclude={"weights", "weights_sha256"})
    attributes |= {"class": "part", "cameras": CAMERAS, "threads": 1, "weights_sha256": "0", "content_sha256": "0"}
    with create_hdf5(folder / "features.h5", "features", attributes) as file:
        for split in ("train", "test"):
            group = file.create_group(split)
            write_strings(group, "sample", keys(split, samples))
            shape = (len(CAMERAS), CHANNELS, GRID, GRID)
            features = group.create_dataset("features", (samples, *shape), np.float32, chunks=(1, *shape))
            for index in range(samples):
                features[index] = random.standard_normal(shape, np.float32)
        file["train/channel_mean"], file["train/channel_std"] = np.zeros(CHANNELS), np.ones(CHANNELS)
    files = ClassFiles(
        samples=folder / "part.csv",
        digests=folder / "part.json",
        root=folder,
        needs=experiment.needs,
        features={"b5": folder / "features.h5"},
        segmentation=None,
        foreground=experiment.foreground,
    )
    return experiment, files


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
    dataset = Dataset(classes=["part"], flips=None, image_folder="", annotations="")
    measure("image", len(records), lambda: read_samples(dataset, folder, "part", processes=0))


def extract(folder: Path, samples: int) -> None:
    """Features."""
    run, table = paper(), write_pictures(folder, samples, len(CAMERAS), PICTURE)
    write_samples(table, folder / "part.csv")
    write_weights(folder / "weights", timm.create_model(run.features["b5"].backbone).state_dict(), {})
    inputs = folder / "part.csv", digests(table), folder, folder / "weights"
    settings = run.features["b5"], run.compute
    measure("image", samples * len(CAMERAS), lambda: extract_features(*inputs, *settings, folder / "out.h5"))


def segment(folder: Path, samples: int) -> None:
    """Masks, of one camera's pictures."""
    run, table = paper(), write_pictures(folder, samples, 1, PICTURE)
    write_samples(table, folder / "part.csv")
    write_weights(folder / "weights", _released_names(MVANet()), {})
    inputs = folder / "part.csv", digests(table), folder, "mvanet", run.segmentation, run.compute, folder / "out.h5"
    measure("image", samples, lambda: segment_foreground(*inputs, weights=folder / "weights"))


def train(folder: Path, samples: int) -> None:
    """One epoch."""
    experiment, files = write_class(folder, samples)
    steps = samples // experiment.settings.training.batch_size
    outputs = folder / "model", folder / "history", folder / "checkpoint"
    measure("step", steps, lambda: train_model(experiment, 0, files, *outputs))


def score(folder: Path, samples: int) -> None:
    """Maps, of a flow that was never trained."""
    experiment, files = write_class(folder, samples)
    network = experiment.settings.network
    flow = MultiFlow(CHANNELS, camera_graph(len(CAMERAS), network.connections), network)
    write_model(folder / "model", to_model(flow, Scaling.identity(CHANNELS)))
    measure("sample", samples, lambda: score_samples(experiment, files, folder / "model", folder / "scores.h5", {}))


def count(folder: Path, samples: int) -> None:
    """Metrics; every second sample has a defect in all views."""
    random, views = np.random.default_rng(0), len(CAMERAS)
    scores = [Scores(random.standard_normal((views, GRID, GRID), np.float32)) for _ in range(samples)]
    write_scores(folder / "scores.h5", keys("test", samples), views, scores.__getitem__, {}, "random scores")
    mask = np.zeros((samples, views, TRUTH, TRUTH), np.uint8)
    mask[::2, :, 100:150, 100:150] = 255
    labels = mask.any(axis=(2, 3)).astype(np.uint8)
    with create_hdf5(folder / "truth.h5", "ground_truth", {"class": "part", "cameras": CAMERAS}) as file:
        write_strings(file, "sample", keys("test", samples))
        write_strings(file, "anomaly_class", np.where(labels, "AK", "OK"))
        file["label"], file["located"] = labels, np.ones(labels.shape, bool)
        file.create_dataset("mask", data=mask, chunks=(1, *mask.shape[1:]), compression="gzip")
    settings = paper().evaluation
    with ScoreFile(folder / "scores.h5") as written, GroundTruthFile(folder / "truth.h5") as truth:
        measure("sample", samples, lambda: count_metrics(written, truth, settings))


# Samples to measure on.
STATIONS: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "flip_views": (check, 20),
    "extract_features": (extract, 4),
    "segment_foreground": (segment, 2),
    "train_model": (train, 24),
    "score_samples": (score, 24),
    "count_metrics": (count, 100),
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
    with tempfile.TemporaryDirectory() as folder:
        STATIONS[station][0](Path(folder), samples)
    own, workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    gpu = torch.cuda.is_available()
    return {
        "station": station,
        "samples": samples,
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
    global THREADS
    THREADS = arguments.threads
    torch.set_num_threads(THREADS)
    if arguments.station:
        print(json.dumps(run(arguments.station, arguments.samples or STATIONS[arguments.station][1])))
        return
    for station in STATIONS:
        subprocess.run([sys.executable, __file__, station, "--threads", str(arguments.threads)], check=True)


if __name__ == "__main__":
    main()
