"""Files appear whole or not at all; damaged ones are one line."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import platform
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from multiflow.errors import InputError
from multiflow.store import FeatureFile, ForegroundFile, atomic_path, create_hdf5, write_strings


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    target.write_text("old")

    def write_and_fail() -> None:
        with create_hdf5(target, "features", {}) as file:
            file["x"] = np.zeros(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def write_hdf5(target: Path) -> None:
    with create_hdf5(target, "features", {}) as file:
        file["x"] = np.arange(100_000)


def write_checkpoint(target: Path) -> None:
    with atomic_path(target) as temporary:
        torch.save({"x": torch.arange(100_000)}, temporary)


def write_text(target: Path) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("x" * 100_000)


@pytest.mark.parametrize("write", [write_hdf5, write_checkpoint, write_text])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, write: Callable[[Path], None]) -> None:
    target = tmp_path / "a"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on the size of a file stops writing where a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(
            InputError, match=r"a: cannot be written whole: .*; make room in .* and start again"
        ) as caught:
            write(target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(caught.value.problems) == 1
    assert list(tmp_path.iterdir()) == []
    write(target)
    assert list(tmp_path.iterdir()) == [target]


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    own, other, fresh = (
        tmp_path / f".a.txt.{name}.partial" for name in (f"{platform.node()}.{dead.pid}", "node9.7", "node9.8")
    )
    for left in (own, other, fresh):
        left.touch()
    os.utime(other, (0, 0))
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.touch()
    assert sorted(tmp_path.iterdir()) == [fresh, tmp_path / "a.txt"]


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
        assert test.labels.tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
        assert test.anomaly_classes[1] == ["AK", "OK", "OK"]
        assert test.ground_truth(1).sum(axis=(1, 2)).tolist() == [64, 0, 0]
        whole = features.load_features("train")
        assert whole.dtype == np.float32
        np.testing.assert_array_equal(whole[1], train.features(1))
        np.testing.assert_allclose(features.channel_mean, whole.mean(axis=(0, 1, 3, 4)), atol=1e-6)
        np.testing.assert_allclose(features.channel_std, whole.std(axis=(0, 1, 3, 4)), atol=1e-6)


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
        ForegroundFile(path).split("train").mask(0)
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
