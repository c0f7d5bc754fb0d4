"""The scores file: what a method gives is stored as it is, and what is wrong is one line and no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multiflow.base.errors import InputError
from multiflow.methods.contract import Scores
from multiflow.scores import ScoreFile, write_scores

SAMPLES, VIEWS = ["part_0", "part_1", "part_2"], 2


def sample_map(index: int) -> np.ndarray:
    return np.random.default_rng(index).normal(size=(VIEWS, 3, 4)).astype(np.float32)


def write(path: Path, scores: list[Any]) -> ScoreFile:
    write_scores(path, SAMPLES, VIEWS, lambda index: scores[index], {"seed": 3}, "mine on part")
    return ScoreFile(path)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    with write(tmp_path / "scores.h5", [Scores(sample_map(index)) for index in range(3)]) as scores:
        assert len(scores) == 3
        assert scores.samples == SAMPLES
        assert scores.provenance == {"seed": 3}
        for index in range(3):
            np.testing.assert_array_equal(scores.map(index), sample_map(index))
            np.testing.assert_array_equal(scores.image_scores[index], sample_map(index).max(axis=(1, 2)))
            assert scores.foreground(index) is None
        assert scores.map(0).dtype == scores.image_scores.dtype == np.float32


def test_a_method_may_give_image_scores_of_its_own_and_other_floats(tmp_path: Path) -> None:
    given = [Scores(sample_map(index).astype(np.float16), np.full(VIEWS, index + 0.5)) for index in range(3)]
    with write(tmp_path / "scores.h5", given) as scores:
        assert scores.image_scores.tolist() == [[0.5, 0.5], [1.5, 1.5], [2.5, 2.5]]
        np.testing.assert_array_equal(scores.map(1), given[1].map.astype(np.float32))


def test_the_maximum_is_taken_inside_the_foreground(tmp_path: Path) -> None:
    """The first sample has none, so that its whole map counts."""
    foreground = sample_map(1) < 0.5
    given = [Scores(sample_map(0)), Scores(sample_map(1), None, foreground), Scores(sample_map(2), None, ~foreground)]
    with write(tmp_path / "scores.h5", given) as scores:
        for index, inside in enumerate([np.ones_like(foreground), foreground, ~foreground]):
            stored = scores.foreground(index)
            assert stored is not None
            assert stored.dtype == np.bool_
            np.testing.assert_array_equal(stored, inside)
            for view in range(VIEWS):
                assert scores.image_scores[index, view] == sample_map(index)[view][inside[view]].max()
        np.testing.assert_array_equal(scores.map(1), sample_map(1))


NOWHERE = np.zeros((VIEWS, 3, 4), bool)
NOWHERE[0] = True


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (sample_map(0), "Scores as multiflow.methods.contract .*found an object of type ndarray; correct the"),
        (Scores(torch.zeros(2, 3, 4)), "an anomaly map as an array of NumPy, found an object of type Tensor"),  # type: ignore[arg-type]
        (Scores(sample_map(0)[0]), r"an anomaly map \[views, rows, columns\] of 2 views, found the shape \[3, 4\]"),
        (Scores(sample_map(0)[:1]), r".* of 2 views, found the shape \[1, 3, 4\]; correct the method's scorer"),
        (Scores(sample_map(0)[:, :, :0]), r".* of 2 views, found the shape \[2, 3, 0\]"),
        (Scores(sample_map(0)[:, :, :2]), r"an anomaly map of the shape \[2, 3, 4\], found \[2, 3, 2\]"),
        (Scores(sample_map(0).astype(int)), "an anomaly map of floating-point numbers, found int64"),  # type: ignore[arg-type]
        (Scores(sample_map(0) * np.float32(np.nan)), "finite anomaly maps, found infinite or NaN .*learning rate"),
        (Scores(sample_map(0).astype(float) * 1e200), "finite anomaly maps, found infinite or NaN"),
        (Scores(sample_map(0), np.zeros(3)), r"image scores of the shape \[2\], found \[3\]"),
        (Scores(sample_map(0), [0.0, 1.0]), "image scores as an array of NumPy, found an object of type list"),  # type: ignore[arg-type]
        (Scores(sample_map(0), np.array([0, np.inf])), "finite image scores, found infinite or NaN"),
        (Scores(sample_map(0), None, NOWHERE[:, :2]), r"a foreground of the shape \[2, 3, 4\], found \[2, 2, 4\]"),
        (Scores(sample_map(0), None, NOWHERE.astype(int)), "a foreground of booleans, found int64"),  # type: ignore[arg-type]
        (
            Scores(sample_map(0), None, NOWHERE),
            "a foreground with at least one pixel in every view, found none in view 1",
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_wrong_scores_are_one_line_and_no_file(tmp_path: Path, wrong: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"^mine on part: sample part_1: expected {message}") as error:
        write(tmp_path / "scores.h5", [Scores(sample_map(0)), wrong, None])
    assert len(error.value.problems) == 1
    assert not list(tmp_path.iterdir())
