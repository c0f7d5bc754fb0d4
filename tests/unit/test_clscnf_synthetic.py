"""Synthetic defects of AD-CLSCNFs: what they are made of, where they are, and how they are shown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictured_samples import PicturedSamples, pictured
from PIL import Image

from multiflow.base.errors import InputError
from multiflow.methods.clscnf import ClscnfMethod
from multiflow.methods.clscnf.settings import Settings, Synthesis
from multiflow.methods.clscnf.synthetic.defects import Draw, blended
from multiflow.methods.clscnf.synthetic.objects import object_mask
from multiflow.methods.clscnf.synthetic.operations import altered
from multiflow.methods.clscnf.synthetic.pictures import NormalPictures, read_pictures
from multiflow.methods.clscnf.synthetic.textures import find_textures
from multiflow.methods.clscnf.weight import GRID, best_weight, thinning
from multiflow.results.figures.illustration import plot_illustration


def pictures(synthesis: Synthesis | None = None) -> NormalPictures:
    places = [(sample, view) for sample in range(4) for view in range(2)]
    return read_pictures(pictured(), places, synthesis or Synthesis(textures="package"), 64)


def test_a_defect_is_where_its_mask_is_and_there_alone() -> None:
    found = pictures()
    draws = list(found.draws([0, 1, 2, 3] * 5, (0, 1)))
    for draw, again in zip(draws, found.draws([0, 1, 2, 3] * 5, (0, 1)), strict=True):
        source, mask, defect = draw.parts()
        normal = (draw.picture / 255).astype(np.float32)
        assert (defect.image[~defect.mask] == normal[~defect.mask]).all()
        assert defect.mask.any() == (defect.label > 0)
        assert set(np.unique(defect.target).tolist()) <= {0.0, np.float32(defect.label)}
        assert not (mask & ~draw.part).any()
        assert source.shape == draw.picture.shape
        assert (again.make().image == defect.image).all(), "it depends on nothing but its seed"
    assert sum(draw.part.all() for draw in draws) == 0, "the foreground is a part of the picture"


def test_every_draw_has_a_generator_of_its_own() -> None:
    found = pictures()
    many, one = list(found.draws([3, 3, 2], (0, 7))), list(found.draws([3], (0, 7)))
    assert (many[0].make().image == one[0].make().image).all()
    assert (many[0].make().image != many[1].make().image).any()
    assert (next(found.draws([3], (0, 8))).make().image != one[0].make().image).any()


def test_what_defects_are_made_of() -> None:
    def sources(**changes: Any) -> list[bool]:
        found = pictures(Synthesis.model_validate({"textures": "package"} | changes))
        own = [image.tobytes() for image in found.images]
        return [
            isinstance(draw.other, np.ndarray) and draw.other.tobytes() in own for draw in found.draws([0] * 60, (1,))
        ]

    assert all(sources(textures="in_domain"))
    assert not any(sources(in_domain_share=0.0))
    assert 0.2 < np.mean(sources()) < 0.8


def draw_of(picture: NDArray[np.uint8], part: NDArray[np.bool_], seed: int = 0, **changes: Any) -> Draw:
    return Draw(picture, part, 255 - picture, np.random.default_rng(seed), Synthesis.model_validate(changes))


def test_a_picture_without_an_object_gets_its_defects_everywhere() -> None:
    picture = pictured().values[0, 0]
    for seed in range(5):
        nowhere, everywhere = (draw_of(picture, np.full((64, 64), part), seed).parts()[1] for part in (False, True))
        assert (nowhere == everywhere).all()
    constant = np.full((64, 64, 3), 100, np.uint8)
    for bright in (False, True):
        part = object_mask(constant, bright, filled=True) > 0
        assert (draw_of(constant, part).parts()[1] == draw_of(constant, ~part).parts()[1]).all()


def test_a_samples_foreground_is_read_once_for_all_of_its_views() -> None:
    asked: list[int] = []

    class Counted(PicturedSamples):
        def __getitem__(self, index: int) -> Any:
            shown = np.zeros((2, 64, 64), bool)
            shown[0, :10], shown[1, : 20 + index] = True, True
            return SimpleNamespace(foreground=lambda grid: asked.append(index) or shown)

    samples = Counted(pictured(3, 2).values)
    found = read_pictures(samples, [(2, 1), (0, 0), (2, 0), (0, 1)], Synthesis(textures="in_domain"), 64)
    assert asked == [2, 0]
    assert found.parts[:, :, 0].sum(axis=1).tolist() == [22, 10, 10, 20]
    assert (found.images[0] == samples.values[2, 1]).all()


def test_the_share_of_pictures_with_a_defect() -> None:
    picture, part = pictured().values[0, 0], np.ones((64, 64), bool)
    assert not any(draw_of(picture, part, seed, share=0.0).make().mask.any() for seed in range(10))
    assert any(draw_of(picture, part, seed).make().mask.any() for seed in range(10))


def test_soft_labels_by_the_signed_and_the_absolute_difference() -> None:
    grey, mask = np.full((8, 8, 3), 128, np.uint8), np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    for value, signed in ((48, 0.17), (208, 0.83)):
        source = np.full((8, 8, 3), value, np.uint8)
        assert blended(grey, source, mask, 0.0, "signed").label == pytest.approx(signed, abs=0.01)
        assert blended(grey, source, mask, 0.0, "absolute").label == pytest.approx(0.83, abs=0.01)
    same = blended(grey, grey, mask, 0.3, "signed")
    assert not same.mask.any(), "what has changed nothing is no defect"
    assert same.label == 0


def test_operations_keep_pictures_and_do_something() -> None:
    picture = pictured().values[0, 0]
    found = [altered(picture, np.random.default_rng(seed)) for seed in range(30)]
    assert {image.shape for image in found} == {picture.shape}
    assert {image.dtype for image in found} == {np.dtype(np.uint8)}
    assert sum((image != picture).any() for image in found) > 25
    for value in (0, 255):  # a constant picture
        constant = np.full_like(picture, value)
        assert all(altered(constant, np.random.default_rng(seed)).shape == picture.shape for seed in range(30))


def test_textures_of_a_folder(tmp_path: Path) -> None:
    synthesis = Synthesis(texture_folder=str(tmp_path / "dtd"))
    for state in ("no such folder", "none in it"):
        with pytest.raises(InputError, match=rf"texture_folder: .*dtd: .*found {state}; give that of DTD") as caught:
            find_textures(synthesis, 64)
        assert "\n" not in caught.value.problems[0]
        (tmp_path / "dtd").mkdir(exist_ok=True)
    (tmp_path / "dtd/images/bumpy").mkdir(parents=True)
    Image.new("RGB", (90, 70), (255, 0, 0)).save(tmp_path / "dtd/images/bumpy/one.png")
    found = find_textures(synthesis, 64)
    assert found == [tmp_path / "dtd/images/bumpy/one.png"]
    draw = draw_of(pictured().values[0, 0], np.ones((64, 64), bool))
    source, _, _ = replace(draw, other=found[0]).parts()
    assert source.shape == (64, 64, 3)


def test_synthetic_defects_are_illustrated(tmp_path: Path) -> None:
    settings = Settings.model_validate({"image_size": 64, "synthesis": {"textures": "package"}})
    found = ClscnfMethod().illustrate(pictured(3, 2), settings, 0)
    assert len(found.rows) == len(found.notes) == 6
    for pictures, note in zip(found.rows, found.notes, strict=True):
        assert len(pictures) == len(found.columns)
        normal, part, source, mask, blended_, target = pictures
        assert normal.shape == source.shape == blended_.shape == (64, 64, 3)
        assert not (mask & ~part).any()
        assert ((target > 0) <= mask).all()
        assert re.fullmatch(r"part_\d\nC[12], (label 0\.\d\d|no defect)", note)
    assert {note.split("\n")[1][:2] for note in found.notes} == {"C1", "C2"}
    paths = tmp_path / "figure.png", tmp_path / "figure.pdf"
    plot_illustration(found, "part", "AD-CLSCNFs", *paths)
    with Image.open(paths[0]) as picture:
        assert picture.height > 6 * 120
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    assert paths[1].stat().st_size > 5000


@pytest.mark.parametrize(("count", "size", "every"), [(100, 256, 1), (100, 512, 2), (4, 64, 1), (1000, 4096, 46)])
def test_memory_of_the_choice_is_bounded_and_the_usual_pictures_are_whole(count: int, size: int, every: int) -> None:
    assert thinning(count, size) == every
    assert count * (size / every) ** 2 <= 8e6


def test_the_weight_is_that_of_the_highest_aupr_and_the_larger_of_equals() -> None:
    truth = np.zeros((2, 8, 8), bool)
    truth[0, :2] = True
    useful, useless = truth.astype(np.float32), np.zeros((2, 8, 8), np.float32)
    random = np.random.default_rng(0).random((2, 8, 8))
    assert best_weight(random, useful, truth) == 1.0
    assert best_weight(random, useless, truth) == GRID[-1], "all are equal"
    # A classifier that errs is worth little beside flows that are right.
    assert best_weight(0.5 * ~truth, 1 - useful, truth) == 0.45
    assert best_weight(random, useful, np.zeros_like(truth)) is None
