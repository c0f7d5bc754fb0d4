"""Foreground of product photographs before a plain background, without a network.

A smooth background is fitted to the picture from its border inwards. What differs from it in colour, or has a
sharp edge, is foreground; a soft shadow is darker than the background but neither far in colour nor sharp.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.filters import threshold_otsu
from skimage.morphology import disk

__all__ = ["ThresholdSegmenter"]

_WORKING_SIZE = 512  # px; larger pictures are thinned out by a whole factor
_FIT_SIZE = 128  # px
_SMOOTHING = 1 / 256  # of the side
_RADIUS = 0.015  # of the side: narrower gaps are closed, narrower specks and fibres dropped
_SMALLEST_PART = 0.1  # of the largest component's area
_SHADOW_WEIGHT = 0.5  # of lightness below the background
_EDGE_WEIGHT = 2.0  # of the lightness gradient
_NOISE = 3.0  # Lab units: less is no difference


class ThresholdSegmenter:
    """Segments by Otsu's threshold of the distance to the background, in Lab."""

    in_workers = True

    def segment(self, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Foreground [V, S, S] of RGB images [V, S, S, 3]."""
        return np.stack([_segment_image(image) for image in images])


def _segment_image(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    size = image.shape[0]
    step = -(-size // _WORKING_SIZE)
    mask = _foreground(_distance(image[::step, ::step]))
    return mask.repeat(step, axis=0).repeat(step, axis=1)[:size, :size]


def _distance(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far each pixel is from the background, in Lab units [S, S]."""
    size = image.shape[0]
    sigma = size * _SMOOTHING
    lab = ndimage.gaussian_filter(rgb2lab(image.astype(np.float32) / 255), (sigma, sigma, 0))
    difference = lab - _background(lab)
    difference[..., 0] *= np.where(difference[..., 0] < 0, _SHADOW_WEIGHT, 1)
    edge = ndimage.gaussian_gradient_magnitude(lab[..., 0], sigma) * sigma
    distance = np.hypot(np.linalg.norm(difference, axis=-1), _EDGE_WEIGHT * edge)
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(distance, sigma)
    return smooth


def _background(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth background [S, S, 3]: the border's median colour, then a plane, then a quadratic surface.

    Each fit takes the pixels that are close to the one before, so that the object drops out.
    """
    small = lab[:: max(1, lab.shape[0] // _FIT_SIZE), :: max(1, lab.shape[1] // _FIT_SIZE)]
    colours = small.reshape(-1, 3)
    terms = _polynomials(small.shape[0])
    band = max(1, small.shape[0] // 16)
    border = np.ones(small.shape[:2], dtype=bool)
    border[band:-band, band:-band] = False
    coefficients = np.median(colours[border.ravel()], axis=0)[None]
    near = border.ravel()
    for count in (3, 6, 6):
        residual = np.linalg.norm(colours - terms[:, : len(coefficients)] @ coefficients, axis=1)
        near = residual < 3 * 1.4826 * np.median(residual[near]) + 1
        coefficients = np.linalg.lstsq(terms[near][:, :count], colours[near], rcond=None)[0]
    background: NDArray[np.float32] = (_polynomials(lab.shape[0]) @ coefficients).reshape(lab.shape)
    return background


def _polynomials(size: int) -> NDArray[np.float32]:
    """1, x, y, x², xy, y² of every pixel [S · S, 6]; x and y run from -1 to 1."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)


def _foreground(distance: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mask [S, S]: hysteresis at Otsu's threshold and its half, gaps closed, specks dropped."""
    # Without the upper end, a few brilliant pixels would pull the threshold up.
    clipped = np.minimum(distance, np.percentile(distance, 99))
    threshold = max(threshold_otsu(clipped), _NOISE)
    mask = ndimage.binary_propagation(distance > threshold, mask=distance > threshold / 2)
    radius = max(1, round(distance.shape[0] * _RADIUS))
    structure = disk(radius)
    mask = ndimage.binary_closing(np.pad(mask, radius), structure)[radius:-radius, radius:-radius]
    mask = ndimage.binary_opening(ndimage.binary_fill_holes(mask), structure)
    parts, count = ndimage.label(mask)
    if count == 0:
        return np.zeros(distance.shape, dtype=bool)
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    large = areas >= _SMALLEST_PART * areas.max()
    large[0] = False
    kept: NDArray[np.bool_] = large[parts]
    return kept
