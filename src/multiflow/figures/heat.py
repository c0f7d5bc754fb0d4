"""A view's anomaly map in colours, alone or over its picture: the look that all figures share."""

from __future__ import annotations

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm, to_rgb
from numpy.typing import NDArray
from PIL import Image

from multiflow.figures.canvas import BACKGROUND

__all__ = ["COLORS", "color_map", "enlarge", "score_norm"]

COLORS = "inferno"


def score_norm(lowest: float, highest: float, masked: bool) -> Normalize:
    """The colour scale: it follows the square root, so that faint spots are seen beside bright ones.

    Args:
        lowest: score; the scale begins here where there is no background.
        highest: score; the scale ends here.
        masked: whether there is a background; the scale then begins at its score, 0.
    """
    begin = 0.0 if masked else lowest
    return PowerNorm(0.5, begin, max(highest, begin + 1e-6))


def enlarge(values: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """A map [h, w] at [height, width]: bilinear, as the pixel metrics see it, but without torch."""
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))


def color_map(
    values: NDArray[np.float32],
    inside: NDArray[np.bool_],
    norm: Normalize,
    size: tuple[int, int],
    picture: NDArray[np.uint8] | None = None,
) -> NDArray[np.float64]:
    """A map in colours, over its picture in grey where one is given; the background has no colour.

    Args:
        values: scores [h, w].
        inside: the foreground [h, w].
        norm: from scores to the colour scale.
        size: width and height of the result, px.
        picture: RGB, of that size.

    Returns:
        RGB in 0 to 1, [height, width, 3].
    """
    heat = enlarge(values, *size)
    # A pixel is background where it takes nothing from a foreground cell.
    outside = (enlarge(inside.astype(np.float32), *size) == 0)[..., None]
    colored = ScalarMappable(norm, COLORS).to_rgba(np.clip(heat, norm.vmin, norm.vmax))[..., :3]
    flat = np.asarray(to_rgb(BACKGROUND))
    if picture is None:
        return np.where(outside, flat, colored)
    grey = picture.mean(axis=2, keepdims=True) / 255
    strength = np.clip(norm(heat).data, 0, 0.75)[..., None]
    return np.where(outside, 0.4 * grey + 0.6 * flat, strength * colored + (1 - strength) * grey)
