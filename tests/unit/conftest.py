"""Small files of the stations, made of random numbers, in the stations' own layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from multiflow.store import create_hdf5, write_strings

CAMERAS = ["C1", "C2", "C3"]
CHANNELS, GRID, TRUTH = 6, (4, 4), 16


@pytest.fixture
def write_features(tmp_path: Path) -> Callable[..., Path]:
    """Write a feature file: normal samples around 0; in anomalous ones a corner of the first view lies at 3."""

    def write(
        name: str = "features.h5",
        train: int = 6,
        normal: int = 4,
        anomalous: int = 4,
        cameras: list[str] = CAMERAS,
        channels: int = CHANNELS,
        seed: int = 0,
        value: float = 0.0,
    ) -> Path:
        random = np.random.default_rng(seed)
        views, path = len(cameras), tmp_path / name
        attributes = {"class": "part", "cameras": cameras, "backbone": "random", "samples_sha256": "0" * 64}
        with create_hdf5(path, "features", attributes | {"provenance": "{}", "weights_sha256": "1" * 64}) as file:
            for split, count, defects in (("train", train, 0), ("test", normal + anomalous, anomalous)):
                features = random.normal(size=(count, views, channels, *GRID)).astype(np.float32) + value
                truth = np.zeros((count, views, TRUTH, TRUTH), np.uint8)
                label = np.zeros((count, views), np.uint8)
                if defects:
                    features[-defects:, 0, :, :2, :2] += 3
                    truth[-defects:, 0, : TRUTH // 2, : TRUTH // 2] = 1
                    label[-defects:, 0] = 1
                group = file.create_group(split)
                group["features"], group["ground_truth"], group["label"] = features, truth, label
                keys = [f"part_{split}_{index}" for index in range(count)]
                write_strings(group, "sample", keys)
                write_strings(group, "image", [[f"{key}_{camera}.jpg" for camera in cameras] for key in keys])
                write_strings(group, "anomaly_class", np.where(label, "AK", "OK"))
                if split == "train":
                    group["channel_mean"] = features.astype(np.float64).mean(axis=(0, 1, 3, 4))
                    group["channel_std"] = features.astype(np.float64).std(axis=(0, 1, 3, 4))
        return path

    return write


@pytest.fixture
def write_foreground(tmp_path: Path) -> Callable[..., Path]:
    """Write a foreground file whose left half is background."""

    def write(name: str = "foreground.h5", train: int = 6, test: int = 8, cameras: list[str] = CAMERAS) -> Path:
        path = tmp_path / name
        with create_hdf5(path, "foreground", {"class": "part", "cameras": cameras, "provenance": "{}"}) as file:
            for split, count in (("train", train), ("test", test)):
                mask = np.ones((count, len(cameras), 16, 16), np.uint8)
                mask[..., :8] = 0
                group = file.create_group(split)
                group["mask"] = mask
                write_strings(group, "sample", [f"part_{split}_{index}" for index in range(count)])
        return path

    return write
