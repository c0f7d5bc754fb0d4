"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import multiprocessing
import os
import platform
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.hdf5 import create_hdf5, write_strings


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


def write_many_parts(target: Path) -> None:
    """Strings, compressed and plain chunks, small arrays."""
    with create_hdf5(target, "features", {"cameras": ["C1", "C2"]}) as file:
        write_strings(file, "samples", ["ä" * 9] * 50)
        small = file.create_dataset("small", (20, 500), chunks=(1, 500), dtype="f4", compression="gzip")
        large = file.create_dataset("large", (10, 50_000), chunks=(1, 50_000), dtype="f4")
        for row in range(10):
            small[row], large[row] = np.random.default_rng(row).random(500), row
        for number in range(20):
            file[f"array{number}"] = np.arange(number)


def message_at(limit: int, target: Path, messages: Any) -> None:
    """Write with a limit on the size of files, which stops writing where a full disk does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_many_parts(target)
    except InputError as error:
        messages.put(error.problems)
    else:
        messages.put(None)


def test_hdf5_ends_in_one_line_wherever_the_disk_is_full(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    write_many_parts(target)
    size = target.stat().st_size
    target.unlink()
    context = multiprocessing.get_context("fork")
    # From the first byte to the last ones, which are written when the file is closed.
    for limit in [0, 100, 600, 3000, 10_000, *range(size // 9, size, size // 9), size - 5000, size - 700, size - 1]:
        messages = context.SimpleQueue()
        process = context.Process(target=message_at, args=(limit, target, messages))
        process.start()
        process.join(60)
        assert process.exitcode == 0, f"at {limit} of {size} bytes"
        (line,) = messages.get()
        assert line.startswith(f"{target}: cannot be written whole: File too large; make room in "), line
        assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_to_be_shortened(tmp_path: Path) -> None:
    target = tmp_path / f"{250 * 'a'}.json"
    with pytest.raises(InputError) as caught, atomic_path(target):
        raise AssertionError("there is nothing to write to")
    assert caught.value.problems == [f"{target}: cannot be written (File name too long); shorten its name"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").touch()  # a file where the folder belongs
    with pytest.raises(InputError) as caught, atomic_path(tmp_path / "models/a.h5"):
        raise AssertionError("there is nothing to write to")
    expected = f"{tmp_path}/models/a.h5: cannot be written (%s); make {tmp_path}/models a folder that can be written"
    assert caught.value.problems == [expected % "File exists"]
    (tmp_path / "models").unlink()

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", refuse)  # a test may run as root
        with pytest.raises(InputError) as caught, atomic_path(tmp_path / "models/a.h5"):
            raise AssertionError("there is nothing to write to")
    assert caught.value.problems == [expected % "Permission denied"]
    with pytest.raises(PermissionError), atomic_path(tmp_path / "models/a.h5"):
        refuse(tmp_path / "another")  # of something else than this file


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
