"""A view's anomaly map in colours, alone or over its picture: the look that all figures share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm, to_rgb
from numpy.typing import NDArray
from PIL import Image

from multiflow.results.figures.canvas import BACKGROUND

__all__ = ["COLORS", "color_map", "enlarge", "score_norm"]

COLORS = "inferno"


def score_norm(drawn: NDArray[np.float32], others: Sequence[float] = ()) -> Normalize:
    """The colour scale: from the lowest score to the highest, by the square root, so that faint spots are seen.

    Args:
        drawn: the scores in the foreground of all maps that are drawn, of any shape. The background has a colour of
            its own, so its score is not on the scale.
        others: scores that are not drawn; the scale ends at the highest of them, if that is higher.
    """
    if not drawn.size:  # everything is background
        return PowerNorm(0.5, 0, 1)
    lowest, highest = float(drawn.min()), max([float(drawn.max()), *others])
    return PowerNorm(0.5, lowest, highest if highest > lowest else lowest + 1e-6)


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

    A pixel is interpolated between the cells of the foreground alone: the background's score, however far from the
    others, would give the foreground a rim.

    Args:
        values: scores [h, w]; what they are in the background does not matter.
        inside: the foreground [h, w].
        norm: from scores to the colour scale.
        size: width and height of the result, px.
        picture: RGB, of that size.

    Returns:
        RGB in 0 to 1, [height, width, 3].
    """
    share = enlarge(inside.astype(np.float32), *size)
    heat = enlarge(np.where(inside, values, 0).astype(np.float32), *size) / np.where(share > 0, share, 1)
    outside = (share == 0)[..., None]  # a pixel is background where it takes nothing from a foreground cell
    heat = np.clip(heat, norm.vmin, norm.vmax)
    colored = ScalarMappable(norm, COLORS).to_rgba(heat)[..., :3]
    flat = np.asarray(to_rgb(BACKGROUND))
    if picture is None:
        return np.where(outside, flat, colored)
    grey = picture.mean(axis=2, keepdims=True) / 255
    strength = np.clip(norm(heat).data, 0, 0.75)[..., None]
    return np.where(outside, 0.4 * grey + 0.6 * flat, strength * colored + (1 - strength) * grey)
