"""The masks of the released code, bit by bit: hole filling, dilation, 256 px, the feature grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multiflow.foreground.postprocess import dilate, fill_holes, mask_on_grid, shrink

GOLDEN = np.load(Path(__file__).parent / "masks.npz")
NAMES = str(GOLDEN["names"]).split()


def _bits(key: str) -> np.ndarray:
    return np.unpackbits(GOLDEN[key], axis=-1)


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_every_step_equals_the_released_code(index: int) -> None:
    source, filled, dilated = (_bits(f"{step}_1024")[index] for step in ("in", "filled", "dilated"))
    np.testing.assert_array_equal(fill_holes(source), filled)
    np.testing.assert_array_equal(dilate(filled, 8), dilated)
    np.testing.assert_array_equal(shrink(dilated, 256), _bits("mask_256")[index])


def test_the_structure_lies_half_a_pixel_up_and_left() -> None:
    point = np.zeros((32, 32), np.uint8)
    point[16, 16] = 1
    rows, columns = np.nonzero(dilate(point, 8))
    for places in (rows, columns):
        assert [places.min() - 16, places.max() - 16] == GOLDEN["dilate_extent"].tolist()


def test_grid_by_both_rules() -> None:
    masks = _bits("mask_256")
    np.testing.assert_array_equal(mask_on_grid(masks, (24, 24), "bilinear"), GOLDEN["mask_24"])
    np.testing.assert_array_equal(mask_on_grid(masks, (24, 24), "nearest"), GOLDEN["mask_24_true_nearest"])
    np.testing.assert_array_equal(mask_on_grid(_bits("rand_256"), (24, 24), "bilinear"), GOLDEN["rand_24"])
    assert (GOLDEN["mask_24"] != GOLDEN["mask_24_true_nearest"]).sum() > 400
