"""Where this workflow changes Snakemake: where jobs start from, and which content a file carries."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from multiflow.base import engine
from multiflow.base.checksums import stored_checksum
from multiflow.base.errors import InputError
from multiflow.base.weights import write_weights
from multiflow.methods.contract import Model, Scores
from multiflow.methods.model import write_model
from multiflow.scores import write_scores


def test_jobs_start_from_the_environment_and_not_from_its_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "my checkout").mkdir()
    (tmp_path / "my checkout/.venv").symlink_to(tmp_path / "env")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "my checkout/.venv"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my checkout/.venv/bin/python"))
    engine._start_from_environment(tmp_path / "my checkout")
    assert sys.executable == str(tmp_path / "env/bin/python")


@pytest.mark.parametrize("name", ["my envs", "a'b", "a$b", "a\nb", "a(b)", "[a]"])
def test_an_environment_that_a_shell_cannot_name_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name / "bin").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / name))
    monkeypatch.setattr(sys, "executable", str(tmp_path / name / "bin/python"))
    with pytest.raises(InputError, match=r"bin/python: expected an environment in a path without spaces") as caught:
        engine._start_from_environment(tmp_path)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("name", ["of {2024}", "a:b"])
def test_a_checkout_that_snakemake_cannot_name_is_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a checkout in a path without braces and colons, found some; move"):
        engine._start_from_environment(tmp_path / name)


def test_a_checkout_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.os, "access", lambda path, mode: mode != os.W_OK)  # a test may run as root
    with pytest.raises(InputError, match=r"expected a folder that can be written, found none; clone to another one$"):
        engine._start_from_environment(tmp_path)


def test_files_between_the_stations_carry_the_checksum_of_their_content(tmp_path: Path) -> None:
    def write(value: float, folder: Path) -> list[str | None]:
        folder.mkdir()
        paths = [folder / name for name in ("scores.h5", "model.safetensors", "weights.safetensors")]
        scores = Scores(np.full((2, 4, 4), value, np.float32))
        write_scores(paths[0], ["a", "b"], 2, lambda _: scores, {"seed": 0}, "mine")
        write_model(paths[1], Model({"w": torch.tensor([value])}, {"seed": 0}))
        write_weights(paths[2], {"w": torch.tensor([value])}, {"source": str(folder)})
        return [stored_checksum(path) for path in paths]

    first = write(1.0, tmp_path / "first")
    assert None not in first
    assert write(1.0, tmp_path / "again") == first
    assert all(one != other for one, other in zip(write(2.0, tmp_path / "other"), first, strict=True))


def test_other_files_carry_none(tmp_path: Path) -> None:
    for name, content in (("a.h5", b"\x89HDF"), ("b.safetensors", b"\xff" * 9), ("c.json", b"{}")):
        (tmp_path / name).write_bytes(content)
        assert stored_checksum(tmp_path / name) is None
    assert stored_checksum(tmp_path / "missing.h5") is None
