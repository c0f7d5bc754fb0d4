"""The data path of a training alone: samples per second from the feature file to memory, and on to batches.

The files are temporary, in the layout of the features and foreground stations, and hold random numbers. "Cold" is the
first reading after the system was asked to drop the files from its page cache, "warm" the best of the later ones. As in
a training, the features are scaled, the segmentation is post-processed and brought to their grid, and a batch is a
gathered copy.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from multiflow.base.hdf5 import create_hdf5, write_strings
from multiflow.datasets.digests import write_digests
from multiflow.datasets.table import SAMPLE_COLUMNS, write_samples
from multiflow.foreground.file import pack
from multiflow.foreground.settings import Foreground
from multiflow.methods.contract import Needs
from multiflow.methods.data import ClassFiles, StoredSamples
from multiflow.methods.multiflow.inputs import Scaling, load_inputs
from multiflow.methods.multiflow.settings import Settings

CAMERAS = ["C1", "C2", "C3", "C4", "C5"]


def write_files(folder: Path, samples: int, channels: int, side: int, mask_side: int) -> ClassFiles:
    """Write this many training samples and, as a test set must be there, one test sample."""
    random = np.random.default_rng(0)
    table, digests, features, foreground = (folder / f"part.{end}" for end in ("csv", "json", "features", "foreground"))
    attributes = {"class": "part", "cameras": CAMERAS, "provenance": "{}"}
    rows = []
    with (
        create_hdf5(features, "features", attributes) as feature_file,
        create_hdf5(foreground, "foreground", attributes) as foreground_file,
    ):
        for split, count in (("train", samples), ("test", 1)):
            keys = [f"part_{split}_{index}" for index in range(count)]
            images = [[f"{key}_{camera}.jpg" for camera in CAMERAS] for key in keys]
            for file in (feature_file, foreground_file):
                write_strings(file.create_group(split), "sample", keys)
                write_strings(file[split], "image", images)
            rows += [
                (split, key, camera, image, "", 0, "OK", 0, "0" * 64, "", mask_side, mask_side)
                for key, views in zip(keys, images, strict=True)
                for camera, image in zip(CAMERAS, views, strict=True)
            ]
            sample = len(CAMERAS), channels, side, side
            stored = feature_file[split].create_dataset(
                "features", (count, *sample), np.float32, chunks=(1, *sample), fletcher32=True
            )
            mask = len(CAMERAS), mask_side, -(-mask_side // 8)
            masks = foreground_file[split].create_dataset(
                "mask", (count, *mask), np.uint8, chunks=(1, *mask), compression="gzip", fletcher32=True
            )
            vertical, horizontal = np.mgrid[:mask_side, :mask_side] / mask_side - 0.5
            for index in range(count):
                stored[index] = random.standard_normal(sample, np.float32)
                masks[index] = pack(np.hypot(vertical, horizontal) < random.uniform(0.2, 0.5, (len(CAMERAS), 1, 1)))
        feature_file["train/channel_mean"] = np.zeros(channels)
        feature_file["train/channel_std"] = np.ones(channels)
    frame = pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS))
    write_samples(frame, table)
    write_digests(frame, digests)
    needs = Needs(features=("bench",), foreground=True)
    return ClassFiles(table, digests, folder, needs, {"bench": features}, foreground, Foreground())


def drop_from_cache(path: Path) -> None:
    """Ask the system to forget a file's pages; it may refuse, so a cold reading is a lower bound of the time."""
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def load_seconds(samples: StoredSamples, settings: Settings) -> float:
    """Seconds of what a training does before its first step."""
    started = time.perf_counter()
    load_inputs(samples, settings.features, Scaling.fit(samples, settings))
    return time.perf_counter() - started


def gather_seconds(samples: torch.Tensor, foreground: torch.Tensor, batch: int) -> float:
    """Seconds of an epoch's shuffled batches."""
    started = time.perf_counter()
    for index in torch.randperm(len(samples)).split(batch):
        _ = samples[index], foreground[index]
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--channels", type=int, default=304)
    parser.add_argument("--map", type=int, default=24, help="side of the feature maps")
    parser.add_argument("--mask-side", type=int, default=1024, help="side of the stored segmentation, px")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5, help="warm readings and epochs; the fastest counts")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    settings = Settings(features="bench", scaling="standardize")
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), arguments.samples, arguments.channels, arguments.map, arguments.mask_side)
        for path in Path(folder).iterdir():
            drop_from_cache(path)
        stored = files.split("train")
        cold = load_seconds(stored, settings)
        warm = min(load_seconds(stored, settings) for _ in range(arguments.repeat))
        samples, foreground = load_inputs(stored, settings.features, Scaling.fit(stored, settings))
    gather = min(gather_seconds(samples, foreground, arguments.batch) for _ in range(arguments.repeat))
    result = {
        name: {
            "samples_per_second": round(arguments.samples / seconds, 1),
            "gigabytes_per_second": round(samples.nbytes / seconds / 1e9, 3),
        }
        for name, seconds in (("load_cold", cold), ("load_warm", warm), ("batches", gather))
    }
    print(json.dumps(vars(arguments) | {"megabytes": round(samples.nbytes / 1e6, 1)} | result, indent=2))


if __name__ == "__main__":
    main()
