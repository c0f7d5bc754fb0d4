"""Small files of the stations, made of random numbers, in the stations' own layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from station_files import CAMERAS, CHANNELS, GRID, PICTURES, SEGMENTATION, TRUTH

from multiflow.base.hdf5 import create_hdf5, write_strings
from multiflow.features.settings import FeatureSet
from multiflow.foreground.file import pack
from multiflow.foreground.settings import Segmentation

_THREADS = torch.get_num_threads()


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    """No test computes with another test's number of threads: sums differ in their last bit with it."""
    torch.set_num_threads(_THREADS)  # a fixture of a whole module may have set another
    yield
    torch.set_num_threads(_THREADS)


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
        settings = FeatureSet(backbone="random", node="blocks.0", padding="same", image_size=64)
        attributes = {
            "class": "part",
            "cameras": cameras,
            "views": json.dumps([{"camera": camera, "flip": False, "sizes": [[64, 64]]} for camera in cameras]),
            "device": "cpu",
            "threads": 1,
            "weights_sha256": "1" * 64,
            "pictures_sha256": PICTURES,
            "content_sha256": "2" * 64,
            "provenance": "{}",
        }
        attributes |= settings.model_dump(exclude={"weights", "weights_sha256"})
        with create_hdf5(path, "features", attributes) as file:
            for split, count, defects in (("train", train, 0), ("test", normal + anomalous, anomalous)):
                features = random.normal(size=(count, views, channels, *GRID)).astype(np.float32) + value
                if defects:
                    features[-defects:, 0, :, :2, :2] += 3
                group = file.create_group(split)
                group["features"] = features
                keys = [f"part_{split}_{index}" for index in range(count)]
                write_strings(group, "sample", keys)
                write_strings(group, "image", _images(keys, cameras))
                if split == "train":
                    group["channel_mean"] = features.astype(np.float64).mean(axis=(0, 1, 3, 4))
                    group["channel_std"] = features.astype(np.float64).std(axis=(0, 1, 3, 4))
        return path

    return write


@pytest.fixture
def write_ground_truth(tmp_path: Path) -> Callable[..., Path]:
    """Write the ground truth that fits :func:`write_features`: the upper left quarter of anomalous first views."""

    def write(name: str = "ground_truth.h5", normal: int = 4, anomalous: int = 4, cameras: list[str] = CAMERAS) -> Path:
        path, count = tmp_path / name, normal + anomalous
        mask = np.zeros((count, len(cameras), TRUTH, TRUTH), np.uint8)
        label = np.zeros((count, len(cameras)), np.uint8)
        mask[normal:, 0, : TRUTH // 2, : TRUTH // 2] = 255
        label[normal:, 0] = 1
        with create_hdf5(path, "ground_truth", {"class": "part", "cameras": cameras}) as file:
            file["mask"], file["label"], file["located"] = mask, label, np.ones_like(label, bool)
            keys = [f"part_test_{index}" for index in range(count)]
            write_strings(file, "sample", keys)
            write_strings(file, "image", _images(keys, cameras))
            write_strings(file, "anomaly_class", np.where(label, "AK", "OK"))
        return path

    return write


@pytest.fixture
def write_foreground(tmp_path: Path) -> Callable[..., Path]:
    """Write a foreground file whose left half is background."""

    def write(name: str = "foreground.h5", train: int = 6, test: int = 8, cameras: list[str] = CAMERAS) -> Path:
        path = tmp_path / name
        attributes = {
            "class": "part",
            "cameras": cameras,
            "method": "threshold",
            "threads": 1,
            "pictures_sha256": PICTURES,
            "content_sha256": "3" * 64,
            "provenance": "{}",
        }
        attributes |= Segmentation(image_size=SEGMENTATION).deciding("threshold")
        with create_hdf5(path, "foreground", attributes) as file:
            for split, count in (("train", train), ("test", test)):
                mask = np.ones((count, len(cameras), SEGMENTATION, SEGMENTATION), bool)
                mask[..., : SEGMENTATION // 2] = False
                group = file.create_group(split)
                group["mask"] = pack(mask)
                keys = [f"part_{split}_{index}" for index in range(count)]
                write_strings(group, "sample", keys)
                write_strings(group, "image", _images(keys, cameras))
        return path

    return write


def _images(keys: list[str], cameras: list[str]) -> list[list[str]]:
    return [[f"{key}_{camera}.jpg" for camera in cameras] for key in keys]
