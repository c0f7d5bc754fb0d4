"""AUPRO beside that of two other routines, of anomalib and of MVTec, on the same maps; where they differ, and why."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from multiflow.metrics.pixel import StripCounter, pixel_metrics
from multiflow.metrics.ranking import auroc
from multiflow.metrics.strips import find_strips
from multiflow.metrics.upsampling import Pixels

LIMIT = 0.3


def regions(levels: int | None = None, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Maps [6, 48, 48] that find three regions fairly well, and their truth.

    No two scores are equal, or, where given, there are so many levels of them.
    """
    random = np.random.default_rng(seed)
    truth = np.zeros((6, 48, 48), dtype=bool)
    truth[0, 4:12, 5:20] = truth[0, 30:33, 30:40] = truth[3, 20:34, 20:34] = True
    maps = ndimage.gaussian_filter(random.normal(size=truth.shape), (0, 2, 2)) * 6
    maps = maps + ndimage.gaussian_filter(truth.astype(float), (0, 2, 2)) * 2
    ranks = np.argsort(np.argsort(maps, axis=None)).reshape(maps.shape)
    if levels is not None:
        ranks = ranks * levels // ranks.size
    return ranks.astype(np.float32), truth


def ours(maps: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """This benchmark's."""
    counter = StripCounter(find_strips(maps, 20_000))
    counter.update(Pixels(maps), truth)
    found = pixel_metrics(counter.counts, LIMIT).aupro
    assert found is not None
    return found


def of_anomalib(maps: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """anomalib's."""
    from anomalib.metrics.aupro import _AUPRO

    metric = _AUPRO(fpr_limit=LIMIT)
    metric.update(torch.from_numpy(maps), torch.from_numpy(truth.astype(np.uint8)))
    return float(metric.compute())


def of_mvtec(maps: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """As MVTec's ``au_pro_util`` counts: a threshold at every normal pixel's score.

    The false-positive rate goes by the pixel's place among the sorted normal ones, so equal scores are counted one by
    one; a region's pixels at the threshold itself are not found.
    """
    normal = np.sort(maps[~truth])
    components = []
    for scores, mask in zip(maps, truth, strict=True):
        labelled, count = ndimage.label(mask, structure=np.ones((3, 3)))
        components += [np.sort(scores[labelled == region + 1]) for region in range(count)]
    false = 1 - (np.arange(normal.size) + 1) / normal.size
    found = [1 - np.searchsorted(scores, normal, side="right") / scores.size for scores in components]
    x, y = np.append(1, false)[::-1], np.append(1, np.mean(found, axis=0))[::-1]
    below = x <= LIMIT
    x, y = np.append(x[below], LIMIT), np.append(y[below], np.interp(LIMIT, x, y))
    return float(np.trapezoid(y, x)) / LIMIT


@pytest.mark.parametrize("seed", range(3))
def test_all_three_agree_where_no_two_scores_are_equal(seed: int) -> None:
    maps, truth = regions(seed=seed)
    assert 0.2 < ours(maps, truth) < 0.98
    assert of_anomalib(maps, truth) == pytest.approx(ours(maps, truth), abs=1e-6)
    assert of_mvtec(maps, truth) == pytest.approx(ours(maps, truth), abs=2e-4)  # a step is one of 13,000 pixels


def test_equal_scores_are_one_threshold_here_and_in_anomalib_and_cost_points_in_mvtecs_routine() -> None:
    maps, truth = regions(levels=100)
    found = ours(maps, truth)
    assert of_anomalib(maps, truth) == pytest.approx(found, abs=1e-6)
    assert 0.005 < found - of_mvtec(maps, truth) < 0.03


def test_a_perfect_map_scores_one_and_none_more() -> None:
    _, truth = regions()
    maps = truth.astype(np.float32)
    assert ours(maps, truth) == of_anomalib(maps, truth) == 1


def test_image_auroc_is_that_of_anomalib_also_with_ties() -> None:
    from anomalib.metrics.auroc import _AUROC

    random = np.random.default_rng(0)
    labels, scores = random.random(200) < 0.3, np.round(random.normal(size=200).astype(np.float32), 1)
    metric = _AUROC()
    metric.update(torch.from_numpy(scores), torch.from_numpy(labels.astype(int)))
    assert auroc(labels, scores) == pytest.approx(float(metric.compute()), abs=1e-6)
