"""The HDF5 files of the stations: what they give back, in several processes; damaged ones are one line."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from multiflow.base.errors import InputError
from multiflow.base.hdf5 import create_hdf5, write_strings
from multiflow.datasets.ground_truth import GroundTruthFile
from multiflow.features.file import FeatureFile
from multiflow.foreground.file import ForegroundFile


def test_hdf5_files_of_equal_content_have_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        with create_hdf5(tmp_path / name, "features", {"cameras": ["C1"], "size": 3}) as file:
            write_strings(file.create_group("train"), "sample", ["a", "ü"])
            file["x"] = np.arange(5)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_feature_file_gives_back_what_was_written(write_features: Callable[..., Path]) -> None:
    with FeatureFile(write_features(train=3, normal=1, anomalous=2)) as features:
        assert features.cameras == ["C1", "C2", "C3"]
        assert (features.channels, features.grid) == (6, (4, 4))
        train, test = features.split("train"), features.split("test")
        assert (len(train), len(test)) == (3, 3)
        assert train.samples == ["part_train_0", "part_train_1", "part_train_2"]
        assert train.images[1][2] == "part_train_1_C3.jpg"
        whole = features.array("train/features")
        assert whole.dtype == np.float32
        np.testing.assert_array_equal(whole[1], train.features(1))
        np.testing.assert_allclose(features.channel_mean, whole.mean(axis=(0, 1, 3, 4)), atol=1e-6)
        np.testing.assert_allclose(features.channel_std, whole.std(axis=(0, 1, 3, 4)), atol=1e-6)


def test_ground_truth_file_gives_back_what_was_written(write_ground_truth: Callable[..., Path]) -> None:
    with GroundTruthFile(write_ground_truth(normal=1, anomalous=2)) as truth:
        assert (len(truth), truth.size, truth.cameras) == (3, 16, ["C1", "C2", "C3"])
        assert truth.samples == ["part_test_0", "part_test_1", "part_test_2"]
        assert truth.images[1][2] == "part_test_1_C3.jpg"
        assert truth.labels.tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
        assert truth.anomaly_classes[1] == ["AK", "OK", "OK"]
        assert truth.masks(1, 127).sum(axis=(1, 2)).tolist() == [64, 0, 0]
        assert not truth.masks(1, 255).any()


def _sum(features: FeatureFile) -> float:
    return float(features.split("train").features(0).sum())


def test_reader_survives_pickling_and_forking(write_features: Callable[..., Path]) -> None:
    features = FeatureFile(write_features())
    expected = _sum(features)
    assert _sum(pickle.loads(pickle.dumps(features))) == expected
    features.close()
    assert _sum(features) == expected
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_sum, [features] * 4) == [expected] * 4


def test_missing_foreign_and_truncated_files(write_features: Callable[..., Path], tmp_path: Path) -> None:
    path = write_features()
    with pytest.raises(InputError, match="expected a foreground file of this program, found a features file"):
        ForegroundFile(path).split("train").segmentation(0)
    with pytest.raises(InputError, match="no such file"):
        len(FeatureFile(tmp_path / "absent.h5").split("train"))
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    content = path.read_bytes()
    for name, damaged in (
        ("foreign.h5", None),
        ("text.h5", b"hello"),
        ("half.h5", content[: len(content) // 2]),
    ):
        if damaged is not None:
            (tmp_path / name).write_bytes(damaged)
        with pytest.raises(InputError, match="delete it and rerun") as caught:
            len(FeatureFile(tmp_path / name).split("train"))
        assert "\n" not in str(caught.value)


def test_missing_parts_are_one_line(tmp_path: Path) -> None:
    with create_hdf5(tmp_path / "a.h5", "features", {}):
        pass
    for read in (
        lambda f: f.cameras,
        lambda f: f.grid,
        lambda f: f.split("train").features(0),
        lambda f: f.channel_std,
    ):
        with pytest.raises(InputError, match="delete it and rerun"):
            read(FeatureFile(tmp_path / "a.h5"))
