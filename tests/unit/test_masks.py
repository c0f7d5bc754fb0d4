"""Masks as people draw them: read in the one way that can be meant, with a remark, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from multiflow.base.errors import InputError
from multiflow.datasets.masks import Mask, load_mask, read_mask
from multiflow.datasets.pictures import open_picture

SHAPE = np.zeros((20, 30), np.uint8)
SHAPE[5:9, 3:12] = 255
FULL = np.full_like(SHAPE, 255)
NONE = np.zeros_like(SHAPE)
ALPHA = "the mask has one colour and is read from its transparency"


def _read(path: Path, picture: Image.Image, **options: object) -> Mask:
    picture.save(path, **options)
    return read_mask(open_picture(path), path)


def _rgba(colour: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([colour, colour, colour, alpha]))


@pytest.mark.parametrize("colour", [FULL, NONE, FULL // 2], ids=["white", "black", "grey"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_shape_in_the_alpha_channel_alone_is_the_mask(tmp_path: Path, colour: np.ndarray, mode: str) -> None:
    found = _read(tmp_path / "a.png", _rgba(colour, SHAPE).convert(mode))
    np.testing.assert_array_equal(found.grey, SHAPE)
    assert found.remarks == (ALPHA,)


def test_a_transparent_colour_of_a_palette_is_transparency(tmp_path: Path) -> None:
    picture = Image.fromarray(SHAPE // 255, "P")
    picture.putpalette([255, 255, 255] * 2)
    found = _read(tmp_path / "a.png", picture, transparency=0)
    np.testing.assert_array_equal(found.grey, SHAPE)
    assert found.remarks == (ALPHA,)
    both = Image.new("PA", SHAPE.shape[::-1])
    both.putpalette([255, 255, 255] * 256)
    both.putalpha(Image.fromarray(SHAPE))
    np.testing.assert_array_equal(_read(tmp_path / "b.tif", both.convert("RGBA")).grey, SHAPE)


@pytest.mark.parametrize("alpha", [FULL, NONE, FULL // 2], ids=["opaque", "clear", "half"])
def test_an_alpha_channel_without_a_shape_says_nothing(tmp_path: Path, alpha: np.ndarray) -> None:
    found = _read(tmp_path / "a.png", _rgba(SHAPE, alpha))
    np.testing.assert_array_equal(found.grey, SHAPE)
    assert found.remarks == ()


def test_a_mask_on_a_clear_ground_is_what_is_seen_on_black(tmp_path: Path) -> None:
    alpha = SHAPE.copy()
    alpha[5, 3:12] = 64  # a soft edge
    found = _read(tmp_path / "a.png", _rgba(SHAPE, alpha))
    np.testing.assert_array_equal(found.grey, alpha)
    assert found.remarks == ()


def test_different_shapes_in_colours_and_transparency_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"a\.png: expected a mask in its colours or in its transparency, found"
    ) as found:
        _read(tmp_path / "a.png", _rgba(SHAPE, SHAPE[::-1].copy()))
    assert len(found.value.problems) == 1


@pytest.mark.parametrize("kind", ["grey", "bits", "rgb", "sixteen", "integers", "floats", "palette"])
def test_zero_and_one_are_zero_and_all(tmp_path: Path, kind: str) -> None:
    ones = SHAPE // 255
    picture = Image.fromarray(
        {
            "rgb": np.dstack([ones] * 3),
            "sixteen": ones.astype(np.uint16),
            "integers": ones.astype(np.int32),
            "floats": ones.astype(np.float32),
        }.get(kind, ones)
    )
    if kind == "bits":
        picture = Image.fromarray(SHAPE).convert("1")
    if kind == "palette":
        picture = Image.fromarray(ones, "P")
        picture.putpalette([0, 0, 0, 1, 1, 1])
    found = _read(tmp_path / "a.tif", picture)
    np.testing.assert_array_equal(found.grey, SHAPE)
    # A type of one bit has no other values.
    assert found.remarks == (() if kind == "bits" else ("the mask's values 0 and 1 are read as 0 and 255",))
    assert load_mask(tmp_path / "a.tif").sum() == 36


def test_sixteen_bits_hold_eight_or_sixteen(tmp_path: Path) -> None:
    found = _read(tmp_path / "a.png", Image.fromarray(SHAPE.astype(np.uint16)))
    np.testing.assert_array_equal(found.grey, SHAPE)
    assert found.remarks == ("the mask's values up to 255 are read as 8-bit ones",)
    found = _read(tmp_path / "b.png", Image.fromarray(SHAPE.astype(np.uint16) * 257))
    np.testing.assert_array_equal(found.grey, SHAPE)
    assert found.remarks == ()


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_sixteen_bit_colours_are_read_where_they_can_be(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    for factor, remarks in ((257, 0), (1, 1)):
        cv2.imwrite(str(path), np.dstack([SHAPE.astype(np.uint16) * factor] * 3))
        found = read_mask(open_picture(path), path)
        assert found.grey.any() == (factor == 257)
        assert [remark for remark in found.remarks if "below 256" in remark] == list(found.remarks)
        assert len(found.remarks) == remarks


@pytest.mark.parametrize("values", [SHAPE / np.float32(510), np.where(SHAPE, np.nan, 0).astype(np.float32)])
def test_fractions_have_no_range(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(InputError, match="expected 8 or 16 bits a channel, found Pillow mode F; convert the file"):
        _read(tmp_path / "a.tif", Image.fromarray(values.astype(np.float32)))


def test_a_mask_of_several_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.tif: expected a mask of one picture, found 2; save the one that counts"):
        _read(tmp_path / "a.tif", Image.fromarray(SHAPE), save_all=True, append_images=[Image.fromarray(FULL)])
