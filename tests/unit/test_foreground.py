"""The foreground: what the threshold finds, what is done to it, and what the file holds."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from tiny_data import dataset, write_class

from multiflow.base.settings import Compute
from multiflow.datasets.digests import digests
from multiflow.datasets.images import load_image
from multiflow.datasets.table import read_samples, write_samples
from multiflow.foreground.file import ForegroundFile, pack
from multiflow.foreground.grid import masks_on_grid, sample_foreground
from multiflow.foreground.postprocess import dilate, fill_holes, mask_on_grid, process, shrink
from multiflow.foreground.segmentation import segment_foreground
from multiflow.foreground.segmenters import SEGMENTERS
from multiflow.foreground.settings import Foreground, Segmentation
from multiflow.foreground.threshold import ThresholdSegmenter

SETTINGS = Foreground(method="threshold", mask_size=64, dilation=4)
SIZE = 128
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


@pytest.mark.parametrize("density", [0.3, 0.5, 0.6, 0.9])
@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_hole_filling_equals_scipys(density: float, dtype: type) -> None:
    random = np.random.default_rng(int(100 * density))
    for shape in ((1, 1), (2, 2), (3, 3), (5, 5), (64, 64), (61, 90)):
        for _ in range(20):
            mask = random.random(shape) < density
            before = mask.copy()
            found = fill_holes(mask.astype(dtype))
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, ndimage.binary_fill_holes(mask))
            np.testing.assert_array_equal(mask, before)
    blobs = ndimage.gaussian_filter(random.normal(size=(200, 200)), 3) > 0
    np.testing.assert_array_equal(fill_holes(blobs[:, ::2]), ndimage.binary_fill_holes(blobs[:, ::2]))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 16, 31, 64, 256])
def test_dilation_equals_scipys_binary_dilation(size: int) -> None:
    random = np.random.default_rng(size)
    for shape, density in (((40, 50), 0.03), ((7, 7), 0.03), ((1, 1), 0.5), ((80, 80), 0.001), ((33, 33), 0.5)):
        mask = random.random(shape) < density
        # A dilation by a rectangle is one by a row and then by a column of it.
        expected = mask
        for structure in ((size, 1), (1, size)):
            expected = ndimage.binary_dilation(expected, np.ones(structure)) if size else expected
        found = dilate(mask, size)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(dilate(7 * mask.astype(np.int64), size), expected)


@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize(("size", "dilation", "mask_size"), [(64, 0, 16), (64, 5, 64), (50, 8, 17), (40, 3, 64)])
def test_masks_are_filled_then_dilated_then_thinned_out(fill: bool, size: int, dilation: int, mask_size: int) -> None:
    raw = ndimage.gaussian_filter(np.random.default_rng(size).normal(size=(3, size, size)), (0, 2, 2)) > 0.05
    before = raw.copy()
    found = process(raw, Foreground(fill_holes=fill, dilation=dilation, mask_size=mask_size))
    places = np.arange(mask_size) * size // mask_size
    for mask, one in zip(raw, found, strict=True):
        expected = ndimage.binary_fill_holes(mask) if fill else mask
        if dilation:
            expected = ndimage.binary_dilation(expected, np.ones((dilation, dilation)))
        np.testing.assert_array_equal(one, expected[places[:, None], places])
    np.testing.assert_array_equal(raw, before)


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


@pytest.mark.parametrize("rule", ["nearest", "bilinear"])
def test_a_full_mask_is_full_on_any_grid(rule: str) -> None:
    for size in (9, 64, 100, 256):
        for side in (1, 7, 12, 24, 31, 64):
            assert mask_on_grid(np.ones((1, size, size), np.uint8), (side, side + 1), rule).all()


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    """Write a data set, perhaps change its table, and segment it."""

    def run(
        name: str = "foreground.h5",
        change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
        method: str = "threshold",
        threads: int = 1,
        size: int = SIZE,
    ) -> Path:
        if not (tmp_path / "data").exists():
            write_class(tmp_path / "data")
        frame = change(read_samples(dataset(), tmp_path / "data", "thing", processes=0))
        write_samples(frame, tmp_path / "thing.csv")
        segment_foreground(
            tmp_path / "thing.csv",
            digests(frame),
            tmp_path / "data",
            method,
            Segmentation(image_size=size),
            Compute(threads=threads),
            tmp_path / name,
        )
        return tmp_path / name

    return run


def test_file_holds_the_segmentation_in_the_flipped_orientation(segment: Segment) -> None:
    with (
        ForegroundFile(segment("plain.h5")) as plain,
        ForegroundFile(
            segment("flipped.h5", lambda frame: frame.assign(flip=(frame["camera"] == "C2").astype(int)))
        ) as flipped,
    ):
        train, mirrored = plain.split("train"), flipped.split("train")
        assert (len(train), len(plain.split("test")), plain.cameras) == (3, 4, ["C1", "C2", "C3"])
        assert train.samples == ["thing_0000_OK", "thing_0001_OK", "thing_0002_OK"]
        raw = train.segmentation(0)
        assert (raw.shape, raw.dtype) == ((3, SIZE, SIZE), bool)
        truth = np.zeros((SIZE, SIZE), bool)
        truth[32:96, 26:76] = True
        assert (raw[0] & truth).sum() > 0.98 * truth.sum()
        assert raw[0].mean() < 1.4 * truth.mean()
        np.testing.assert_array_equal(mirrored.segmentation(0)[0], raw[0])
        assert (mirrored.segmentation(0)[1, :, ::-1] == raw[1]).mean() > 0.97
        assert (mirrored.segmentation(0)[1] == raw[1]).mean() < 0.9
        assert plain.attribute("content_sha256") != flipped.attribute("content_sha256")
        assert plain.attribute("pictures_sha256") != flipped.attribute("pictures_sha256")


def test_file_is_what_the_method_found_bit_by_bit(segment: Segment, tmp_path: Path) -> None:
    with ForegroundFile(segment(size=100)) as foreground:  # no multiple of eight
        test = foreground.split("test")
        assert foreground.shape("test/mask") == (4, 3, 100, 13)
        images = [load_image(tmp_path / "data" / path, 100) for path in test.images[2]]
        found = ThresholdSegmenter().segment(np.stack(images))
        np.testing.assert_array_equal(test.segmentation(2), found)
        np.testing.assert_array_equal(foreground.array("test/mask", 2), pack(found))
        assert foreground.file["test/mask"].chunks == (1, 3, 100, 13)
        stored = [foreground.array(f"{split}/mask").tobytes() for split in ("train", "test")]
        assert foreground.attribute("content_sha256") == hashlib.sha256(b"".join(stored)).hexdigest()
        names = {name: foreground.attribute(name) for name in ("method", "image_size", "threads")}
        assert names == {"method": "threshold", "image_size": 100, "threads": 1}
        assert "test_time_scales" not in foreground.file.attrs


def test_processes_change_no_mask(segment: Segment) -> None:
    with ForegroundFile(segment("a.h5")) as one, ForegroundFile(segment("b.h5", threads=2)) as two:
        for split in ("train", "test"):
            np.testing.assert_array_equal(one.array(f"{split}/mask"), two.array(f"{split}/mask"))
        assert one.attribute("content_sha256") == two.attribute("content_sha256")


def test_a_method_may_run_in_the_parent(segment: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    class Upper:
        in_workers = False

        def segment(self, images: np.ndarray) -> np.ndarray:
            masks = np.zeros(images.shape[:3], bool)
            masks[:, : images.shape[1] // 2] = True
            return masks

    monkeypatch.setitem(SEGMENTERS, "mvanet", lambda settings, compute, weights: Upper())
    with ForegroundFile(segment(method="mvanet", threads=2)) as foreground:
        assert foreground.split("test").segmentation(0)[0].sum() == SIZE**2 // 2
        assert foreground.attribute("test_time_scales") == [0.75, 1.0, 1.25]


def test_log_says_how_far_it_is(segment: Segment, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="multiflow"):
        segment()
    assert re.search(r"segmented 7 of 7 samples, \d+ % of the area is foreground, [\d.]+ images/s, ", caplog.text)


NAMES = ["a.jpg", "b.jpg", "c.jpg"]


def test_a_view_without_foreground_counts_whole_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    raw = np.zeros((3, 64, 64), bool)
    raw[[0, 2], :30, :20] = True
    found = sample_foreground(raw, NAMES, (8, 8), SETTINGS)
    assert (found.dtype, found.shape) == (bool, (3, 8, 8))
    assert found[1].all()
    assert (found[[0, 2]].mean(axis=(1, 2)) < 0.5).all()
    assert [record.getMessage() for record in caplog.records] == [
        "b.jpg: no foreground found; all of it counts as foreground"
    ]


def test_a_view_without_foreground_is_background_in_the_released_protocol(caplog: pytest.LogCaptureFixture) -> None:
    settings = SETTINGS.model_copy(update={"empty": "background"})
    raw = np.zeros((2, 64, 64), bool)
    raw[0, 20:40, 20:40] = True
    assert sample_foreground(raw, NAMES, (8, 8), settings).any(axis=(1, 2)).tolist() == [True, False]
    assert not sample_foreground(raw, NAMES, (1, 1), settings).any()
    assert [record.getMessage() for record in caplog.records] == [
        "b.jpg: no foreground found; all of it counts as background",
        "a.jpg: no foreground found on the 1 x 1 grid; all of it counts as background",
        "b.jpg: no foreground found; all of it counts as background",
    ]


@pytest.mark.parametrize("rule", ["nearest", "bilinear"])
def test_foreground_between_the_grids_points_counts_whole(rule: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = SETTINGS.model_copy(update={"to_grid": rule})
    masks = np.zeros((2, 64, 64), np.uint8)
    masks[0, 20:30, 20:30] = masks[1, :, 40:] = 1
    fine = masks_on_grid(masks, NAMES, (8, 8), settings)
    np.testing.assert_array_equal(fine, mask_on_grid(masks, (8, 8), rule))
    assert not caplog.records
    assert not mask_on_grid(masks[:1], (1, 1), rule).any()
    assert masks_on_grid(masks[:1], NAMES, (1, 1), settings).all()
    assert "a.jpg: no foreground found on the 1 x 1 grid; all of it counts as foreground" in caplog.text


def test_the_file_of_the_tests_has_its_left_half_in_the_background(write_foreground: Callable[..., Path]) -> None:
    with ForegroundFile(write_foreground()) as foreground:
        split = foreground.split("test")
        assert len(split) == 8
        for rule in ("nearest", "bilinear"):
            found = sample_foreground(split.segmentation(7), split.images[7], (4, 4), Foreground(to_grid=rule))
            assert not found[..., :2].any()
            assert found[..., 2:].all()
