"""Models of earlier stages of a training: kept, resumed, stored, scored, and the best of them chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from multiflow.base.errors import InputError
from multiflow.methods.contract import Model
from multiflow.methods.model import read_model, write_model
from multiflow.methods.stages import Stages
from multiflow.methods.work import Work
from multiflow.metrics.selection import best_on_test


def work_in(folder: Path, fingerprint: str = "mine", staged: bool = True) -> Work:
    checkpoint = folder / "seed0.pt"
    stages = Stages(checkpoint, fingerprint) if staged else None
    return Work(torch.device("cpu"), 1, checkpoint, fingerprint, stages=stages)


def model(value: float) -> Model:
    return Model({"weight": torch.full((3,), value), "fixed": torch.arange(1000.0)}, {"own": "metadata"})


def run(work: Work, last: int = 4, killed_at: int | None = None) -> Model:
    """A training of which each epoch but the last is a stage."""
    restored: list[Any] = []
    work.resume(restored.append)
    for epoch in range(len(work.history), last):
        if epoch == killed_at:
            raise KeyboardInterrupt
        work.record(epoch=epoch)
        if epoch + 1 < last:
            work.keep(f"pass {epoch}", lambda epoch=epoch: model(epoch))
        if epoch % 2:
            work.save({"epoch": epoch})
    return model(last)


def stored(folder: Path, work: Work, last: Model) -> bytes:
    assert work.stages is not None
    with work.stages.opened() as earlier:
        write_model(folder / "model.safetensors", last, earlier)
    return (folder / "model.safetensors").read_bytes()


def test_each_stage_reads_back_and_what_is_equal_is_stored_once(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    stored(tmp_path, work, run(work))
    path = tmp_path / "model.safetensors"
    last = read_model(path)
    assert last.metadata == {"own": "metadata", "stages": ["pass 0", "pass 1", "pass 2"]}
    assert set(last.tensors) == {"weight", "fixed"}
    for epoch in range(3):
        found = read_model(path, f"pass {epoch}").tensors
        assert found.keys() == last.tensors.keys()
        assert (found["weight"] == epoch).all()
        assert torch.equal(found["fixed"], torch.arange(1000.0))
    assert path.stat().st_size < 2 * 4000
    assert work.stages is not None
    work.stages.forget()
    assert {file.name for file in tmp_path.iterdir()} == {"seed0.pt", "model.safetensors"}


def test_a_killed_training_keeps_its_stages_and_ends_the_same(tmp_path: Path) -> None:
    for name in ("whole", "killed", "moved"):
        (tmp_path / name).mkdir()
    work = work_in(tmp_path / "whole")
    expected = stored(tmp_path / "whole", work, run(work))
    for name in ("killed", "moved"):
        with pytest.raises(KeyboardInterrupt):
            run(work_in(tmp_path / name), killed_at=3)
    (tmp_path / "moved/seed0.stage1.safetensors").unlink()  # a checkpoint without all of its stages is of no use
    for name, done in (("killed", 2), ("moved", 0)):
        work = work_in(tmp_path / name)
        seen = []
        plain = work.resume
        work.resume = lambda restore, plain=plain, seen=seen: seen.append(plain(restore)) or seen[-1]  # type: ignore[method-assign]
        assert stored(tmp_path / name, work, run(work)) == expected
        assert seen == [done > 0]


def test_stages_of_another_training_are_not_used(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(work_in(tmp_path), killed_at=3)
    other = work_in(tmp_path, "other")
    with pytest.raises(KeyboardInterrupt):
        run(other, killed_at=1)  # it has written a stage of its own, and no checkpoint yet
    assert not work_in(tmp_path).resume(lambda _: None)


def test_nothing_is_kept_where_nobody_asks_for_it(tmp_path: Path) -> None:
    work = work_in(tmp_path, staged=False)
    run(work)
    assert [path.name for path in tmp_path.iterdir()] == ["seed0.pt"]
    assert set(torch.load(work.checkpoint, weights_only=True)) == {"fingerprint", "history", "state"}


def test_a_stage_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a training: pass 3: train: expected an object of Model, found None"):
        work_in(tmp_path).keep("pass 3", lambda: None)  # type: ignore[arg-type, return-value]
    assert not list(tmp_path.iterdir())


def test_the_best_of_each_metric_is_chosen_and_the_first_of_equals() -> None:
    evaluations = {
        "pass 8": {"image_auroc": 0.9, "aupro": 0.5, "image_ap": None},
        "pass 16": {"image_auroc": 0.9, "aupro": 0.7, "image_ap": None},
        "last": {"image_auroc": 0.8, "aupro": 0.6, "image_ap": None},
    }
    metrics, chosen = best_on_test(evaluations)
    assert metrics == {"image_auroc": 0.9, "aupro": 0.7, "image_ap": None}
    assert chosen == {"image_auroc": "pass 8", "aupro": "pass 16"}
