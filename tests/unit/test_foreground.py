"""The foreground: what the threshold finds, what is done to it, and what the file holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage
from tiny_data import dataset, write_class

from multiflow.config import Foreground
from multiflow.foreground import foreground_on_grid, mask_on_grid, segment_foreground
from multiflow.foreground.postprocess import dilate, fill_holes, shrink
from multiflow.foreground.segmenters import SEGMENTERS
from multiflow.foreground.threshold import ThresholdSegmenter
from multiflow.samples import read_samples, write_samples
from multiflow.store import ForegroundFile

SETTINGS = Foreground(method="threshold", image_size=128, mask_size=64, dilation=4)
SIDE = 192
Colour: TypeAlias = tuple[float, float, float]
Scene: TypeAlias = tuple[float, float, float, Colour]
Segment: TypeAlias = Callable[..., Path]


def _scene(background: float, part: float, shadow: float, colour: tuple[float, float, float]) -> tuple[Any, Any]:
    """A disc with a soft shadow before a background with a gradient, dust and noise; and the disc's mask."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    disc = (x - 0.45) ** 2 + (y - 0.5) ** 2 < 0.27**2
    level = background * (1 + 0.12 * (x - 0.5) - 0.1 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
    beneath = ndimage.gaussian_filter(((x - 0.5) ** 2 + (y - 0.57) ** 2 < 0.25**2).astype(float), 9)
    level = level * (1 - shadow * beneath)
    level[random.random(level.shape) < 0.002] *= 0.6
    level[30:32, 10:60] *= 0.8
    picture = level[..., None] * np.ones(3)
    picture[disc] = (part * (0.8 + 0.4 * x[disc]))[:, None] * np.array(colour)
    noisy = picture + random.normal(scale=1.5, size=picture.shape)
    return noisy.clip(0, 255).round().astype(np.uint8), disc


SCENES = {
    "dark part on light": (205, 80, 0.3, (1, 1, 1)),
    "light part on dark": (40, 190, 0.5, (1, 1, 1)),
    "grey part on light": (210, 120, 0.25, (1, 1, 1)),
    "red part on white": (235, 130, 0.25, (1.6, 0.3, 0.3)),
}


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_threshold_finds_the_part_and_leaves_shadow_and_dust(scene: Scene, grey: bool) -> None:
    picture, truth = _scene(*scene)
    if grey:
        picture = np.repeat(picture.mean(axis=2, keepdims=True).round().astype(np.uint8), 3, axis=2)
    found = ThresholdSegmenter().segment(picture[None])[0]
    rim = ndimage.binary_dilation(truth, iterations=4)
    assert found.dtype == bool
    assert (found & truth).sum() > 0.98 * truth.sum()
    assert (found & ~rim).sum() < 0.1 * truth.sum()


def test_colour_alone_tells_a_part_of_the_backgrounds_lightness() -> None:
    picture, truth = _scene(150, 150, 0.3, (1.5, 0.9, 0.6))
    found = ThresholdSegmenter().segment(picture[None])[0]
    assert (found & truth).sum() > 0.95 * (found | truth).sum()


def test_threshold_finds_several_parts_and_parts_at_the_border() -> None:
    picture = np.full((SIDE, SIDE, 3), 215, np.uint8)
    truth = np.zeros((SIDE, SIDE), bool)
    truth[20:70, 20:80] = truth[110:170, 90:] = True
    picture[truth] = (60, 90, 60)
    found = ThresholdSegmenter().segment(picture[None])[0]
    assert (found & truth).sum() / (found | truth).sum() > 0.9


def test_an_empty_picture_has_no_foreground() -> None:
    flat = np.full((1, SIDE, SIDE, 3), 200, np.uint8)
    noise = (flat + np.random.default_rng(0).integers(-4, 5, flat.shape)).astype(np.uint8)
    assert not ThresholdSegmenter().segment(flat).any()
    assert not ThresholdSegmenter().segment(noise).any()


def test_large_pictures_keep_their_size() -> None:
    picture, truth = _scene(*SCENES["dark part on light"])
    large = picture.repeat(5, axis=0).repeat(5, axis=1)[:-3, :-3]
    found = ThresholdSegmenter().segment(large[None])[0]
    expected = truth.repeat(5, axis=0).repeat(5, axis=1)[:-3, :-3]
    assert found.shape == expected.shape
    assert (found & expected).sum() / (found | expected).sum() > 0.85


def test_holes_are_filled_unless_they_reach_the_border() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    mask[4, 4] = 0
    closed = fill_holes(mask)
    assert closed[2:7, 2:7].all()
    assert closed.sum() == 25
    mask[4, 5:7] = 0
    np.testing.assert_array_equal(fill_holes(mask), mask)
    diagonal = np.eye(9, dtype=np.uint8)
    diagonal[0] = diagonal[:, 8] = 1
    assert fill_holes(diagonal)[1, 6] == 1


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8])
def test_dilation_equals_scipys_binary_dilation(size: int) -> None:
    mask = np.random.default_rng(size).random((40, 50)) > 0.97
    expected = ndimage.binary_dilation(mask, np.ones((size, size))) if size else mask
    np.testing.assert_array_equal(dilate(mask, size), expected)


def test_grid_rules_on_any_number_of_masks() -> None:
    masks = (np.random.default_rng(0).random((2, 3, 64, 64)) > 0.5).astype(np.uint8)
    for rule in ("nearest", "bilinear"):
        together = mask_on_grid(masks, (8, 12), rule)
        assert together.shape == (2, 3, 8, 12)
        assert set(np.unique(together)) <= {0, 1}
        np.testing.assert_array_equal(together[1, 2], mask_on_grid(masks[1, 2], (8, 12), rule))
    np.testing.assert_array_equal(shrink(masks[0, 0], 16), masks[0, 0, ::4, ::4])
    np.testing.assert_array_equal(mask_on_grid(np.ones((5, 5)), (9, 9), "bilinear"), np.ones((9, 9)))
    with pytest.raises(ValueError, match="neither nearest nor bilinear"):
        mask_on_grid(masks, (8, 8), "cubic")


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    """Write a data set, perhaps change its table, and segment it."""

    def run(
        name: str = "foreground.h5",
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
        processes: int = 0,
        **changes: Any,
    ) -> Path:
        if not (tmp_path / "data").exists():
            write_class(tmp_path / "data")
        frame = read_samples(dataset(), tmp_path / "data", "thing", processes=0)
        write_samples(change(frame), tmp_path / "thing.csv")
        settings = SETTINGS.model_copy(update=changes)
        segment_foreground(tmp_path / "thing.csv", tmp_path / "data", settings, tmp_path / name, processes=processes)
        return tmp_path / name

    return run


def test_file_holds_the_masks_in_the_flipped_orientation(segment: Segment) -> None:
    with (
        ForegroundFile(segment("plain.h5")) as plain,
        ForegroundFile(
            segment("flipped.h5", lambda frame: frame.assign(flip=(frame["camera"] == "C2").astype(int)))
        ) as flipped,
    ):
        train, mirrored = plain.split("train"), flipped.split("train")
        assert (len(train), len(plain.split("test")), plain.cameras) == (3, 4, ["C1", "C2", "C3"])
        assert train.samples == ["thing_0000_OK", "thing_0001_OK", "thing_0002_OK"]
        mask = train.mask(0)
        assert (mask.shape, mask.dtype) == ((3, 64, 64), np.uint8)
        truth = np.zeros((64, 64), bool)
        truth[16:48, 13:38] = True
        assert (mask[0].astype(bool) & truth).sum() > 0.98 * truth.sum()
        assert mask[0].mean() < 1.4 * truth.mean()
        np.testing.assert_array_equal(mirrored.mask(0)[0], mask[0])
        assert (mirrored.mask(0)[1, :, ::-1] == mask[1]).mean() > 0.97
        assert (mirrored.mask(0)[1] == mask[1]).mean() < 0.9


def test_processes_change_nothing(segment: Segment) -> None:
    assert segment("a.h5").read_bytes() == segment("b.h5", processes=2).read_bytes()


def test_none_is_everything(segment: Segment) -> None:
    with ForegroundFile(segment(method="none")) as foreground:
        assert foreground.split("test").mask(3).all()


def test_a_method_may_run_in_the_parent(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    class Upper:
        in_workers = False

        def segment(self, images: np.ndarray) -> np.ndarray:
            masks = np.zeros(images.shape[:3], bool)
            masks[:, : images.shape[1] // 2] = True
            return masks

    monkeypatch.setitem(SEGMENTERS, "mvanet", lambda settings, weights: Upper())
    with ForegroundFile(segment(method="mvanet", processes=2, dilation=0)) as foreground:
        assert foreground.split("test").mask(0)[0].sum() == 32 * 64


def test_a_view_without_foreground_counts_whole_and_is_named(
    segment: Segment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_class(tmp_path / "data")
    image = next((tmp_path / "data").rglob("thing_0001_OK_C2_*.jpg"))
    Image.new("RGB", (96, 80), (210, 210, 210)).save(image)
    with ForegroundFile(segment()) as foreground:
        means = foreground.split("train").mask(1).mean(axis=(1, 2))
    assert means[1] == 1
    assert (means[[0, 2]] < 0.5).all()
    assert f"{image.relative_to(tmp_path / 'data')}: no foreground found" in caplog.text


def test_a_view_without_foreground_is_background_in_the_released_protocol(
    segment: Segment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_class(tmp_path / "data")
    Image.new("RGB", (96, 80), (210, 210, 210)).save(next((tmp_path / "data").rglob("thing_0001_OK_C2_*.jpg")))
    with ForegroundFile(segment(empty="background")) as foreground:
        split = foreground.split("train")
        assert split.empty == "background"
        assert not split.mask(1)[1].any()
        assert not foreground_on_grid(split, 1, (8, 8), "nearest")[1].any()
        assert not foreground_on_grid(split, 0, (1, 1), "nearest").any()
    assert "no foreground found; all of it counts as background" in caplog.text


def test_foreground_between_the_grids_points_counts_whole(segment: Segment, caplog: pytest.LogCaptureFixture) -> None:
    with ForegroundFile(segment()) as foreground:
        split = foreground.split("train")
        fine = foreground_on_grid(split, 0, (8, 8), "nearest")
        np.testing.assert_array_equal(fine, mask_on_grid(split.mask(0), (8, 8), "nearest"))
        assert not mask_on_grid(split.mask(0), (1, 1), "nearest").any()
        assert foreground_on_grid(split, 0, (1, 1), "nearest").all()
        assert f"{split.images[0][0]}: no foreground on the 1 x 1 feature grid" in caplog.text
