"""Metrics at their edges, against an exact implementation that shares nothing with them."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve

from multiflow.metrics.adeval_counter import AdevalCounter
from multiflow.metrics.pixel import Counter, PixelResult, StripCounter, fraction, pixel_metrics
from multiflow.metrics.ranking import auroc, average_precision, f1_max, mean_of_highest, sample_labels, sample_scores
from multiflow.metrics.strips import Strips, find_strips
from multiflow.metrics.upsampling import Pixels, pixels

# --- an exact implementation ---


def exact_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of (anomalous, normal) pairs in the right order, equal scores half: by counting pairs."""
    positive, negative = np.sort(scores[labels]), np.sort(scores[~labels])
    below = np.searchsorted(negative, positive, "left")
    not_above = np.searchsorted(negative, positive, "right")
    return float((below + not_above).sum() / 2 / (len(positive) * len(negative)))


def exact_aupro(maps: np.ndarray, truth: np.ndarray, limit: float = 0.3) -> float:
    """Mean recall of the regions at every distinct threshold, integrated over the false-positive rate."""
    weights = np.zeros(maps.shape)
    regions = 0
    for image, mask in enumerate(truth):
        labelled, count = ndimage.label(mask, structure=np.ones((3, 3)))
        for region in range(1, count + 1):
            weights[image][labelled == region] = 1 / np.count_nonzero(labelled == region)
        regions += count
    values, position = np.unique(-maps.ravel(), return_inverse=True)
    normal = ~truth.ravel()
    false_positives = np.bincount(position, normal, len(values)).cumsum() / normal.sum()
    recall = np.bincount(position, weights.ravel(), len(values)).cumsum() / regions
    x, y = np.concatenate([[0], false_positives]), np.concatenate([[0], recall])
    # A jump exactly at the limit belongs to the curve's right side and adds no area.
    before = np.append(x[x < limit], limit)
    at_limit = y[x == limit].min() if (x == limit).any() else np.interp(limit, x, y)
    return float(np.trapezoid(np.append(y[x < limit], at_limit), before) / limit)


def exact_f1_max(labels: np.ndarray, scores: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-300)).max())


def count(
    maps: np.ndarray, truth: np.ndarray, strips: int = 10_000, counter: Callable[[Strips], Counter] = StripCounter
) -> Counter:
    """Each image a sample of one view."""
    found = counter(find_strips(maps, strips))
    for anomaly_map, mask in zip(maps, truth, strict=True):
        found.update(Pixels(anomaly_map[None]), mask[None])
    return found


def measure(maps: np.ndarray, truth: np.ndarray, strips: int = 10_000, limit: float = 0.3) -> PixelResult:
    return pixel_metrics(count(maps, truth, strips).counts, limit)


def discs(seed: int, images: int = 6, size: int = 48) -> tuple[np.ndarray, np.ndarray]:
    """Maps and ground truth: discs of different sizes, some over the border, in noise."""
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:size, :size]
    truth = np.zeros((images, size, size), bool)
    for mask in truth[1:]:
        for _ in range(3):
            center, radius = random.uniform(0, size, 2), random.uniform(1, 9)
            mask |= (row - center[0]) ** 2 + (column - center[1]) ** 2 < radius**2
    maps = random.normal(size=truth.shape) + 1.5 * truth
    return maps.astype(np.float32), truth


def masked(maps: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same with a background that is exactly 0, half of the image."""
    background = np.random.default_rng(seed).uniform(size=maps.shape[1:]) < 0.5
    return np.where(background, np.float32(0), maps)


def two_values(maps: np.ndarray) -> np.ndarray:
    return np.where(maps > 0.5, np.float32(3), np.float32(-1))


def all_positive(maps: np.ndarray) -> np.ndarray:
    return maps - maps.min() + 5


def all_negative(maps: np.ndarray) -> np.ndarray:
    return maps - maps.max()


def one_far_score(maps: np.ndarray) -> np.ndarray:
    """A score 10,000 times as high as the rest: equally wide strips would put the rest into one."""
    spiked = maps.copy()
    spiked[0, 0, 0] = 1e4 * maps.max()
    return spiked


def heavy_tails(maps: np.ndarray) -> np.ndarray:
    """Up to e to the 18th on both sides, like the likelihoods of a flow far from its training set."""
    return np.sign(maps) * np.expm1(3 * np.abs(maps))


def far_from_zero(maps: np.ndarray) -> np.ndarray:
    return maps + 1000


CASES = {
    "noise": lambda maps: maps,
    "masked background": masked,
    "two values": two_values,
    "coarse ties": lambda maps: np.round(maps),
    "all positive": all_positive,
    "all negative, the highest is 0": all_negative,
    "far from zero": far_from_zero,
    "tiny": lambda maps: maps * np.float32(1e-12),
    "inverted": lambda maps: -maps,
    "one far score": one_far_score,
    "heavy tails": heavy_tails,
    "heavy tails, masked background": lambda maps: masked(heavy_tails(maps)),
    "upper bound reached by many": lambda maps: np.minimum(maps, 1),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_pixel_metrics_are_those_of_the_exact_implementation(case: str, seed: int) -> None:
    maps, truth = discs(seed)
    maps = CASES[case](maps)
    result = measure(maps, truth)
    assert result.auroc == pytest.approx(exact_auroc(truth.ravel(), maps.ravel()), abs=5e-5)
    assert result.aupro == pytest.approx(exact_aupro(maps, truth), abs=2e-4)
    assert result.ap == pytest.approx(average_precision_score(truth.ravel(), maps.ravel()), rel=1e-3)
    assert result.f1_max == pytest.approx(exact_f1_max(truth.ravel(), maps.ravel()), rel=1e-3)


@pytest.mark.parametrize("counter", [StripCounter, AdevalCounter])
@pytest.mark.parametrize("case", CASES)
def test_both_counters_give_the_same(case: str, counter: Callable[[Strips], Counter]) -> None:
    maps, truth = discs(0)
    maps = CASES[case](maps)
    expected, found = (count(maps, truth, counter=one).counts for one in (AdevalCounter, counter))
    np.testing.assert_array_equal(found.normal, expected.normal)
    np.testing.assert_array_equal(found.anomalous, expected.anomalous)
    np.testing.assert_allclose(found.regions, expected.regions, rtol=0, atol=1e-12)
    for name, value in vars(pixel_metrics(expected)).items():
        assert getattr(pixel_metrics(found), name) == pytest.approx(value, abs=1e-9), name


@pytest.mark.parametrize("counter", [StripCounter, AdevalCounter])
def test_both_counters_rank_the_background_below_all_others(counter: Callable[[Strips], Counter]) -> None:
    maps, truth = discs(0)
    inside = np.random.default_rng(1).uniform(size=maps.shape) < 0.6
    found = counter(find_strips(maps[inside], 10_000))
    found.update(Pixels(maps, inside), truth)
    lowest = np.where(inside, maps, maps.min() - 1)
    result = pixel_metrics(found.counts)
    assert found.counts.normal[0] + found.counts.anomalous[0] == np.count_nonzero(~inside)
    assert result.auroc == pytest.approx(exact_auroc(truth.ravel(), lowest.ravel()), abs=1e-7)
    assert result.aupro == pytest.approx(exact_aupro(lowest, truth), abs=1e-6)
    assert result.ap == pytest.approx(average_precision_score(truth.ravel(), lowest.ravel()), rel=1e-5)


@pytest.mark.parametrize("spread", [lambda maps: maps, heavy_tails], ids=["normal", "heavy tails"])
def test_ap_and_f1_of_rare_defects_need_strips_among_the_highest_scores(
    spread: Callable[[np.ndarray], np.ndarray],
) -> None:
    """One pixel of 2,000 is anomalous: of equally filled strips no more than five would hold them all."""
    random = np.random.default_rng(0)
    truth = np.zeros((20, 256, 256), bool)
    truth[:5, 100:111, 100:112] = True
    maps = spread(random.normal(size=truth.shape) + 3 * truth)
    result = measure(maps, truth)
    assert truth.mean() < 1 / 1900
    assert result.ap == pytest.approx(average_precision_score(truth.ravel(), maps.ravel()), rel=1e-3)
    assert result.f1_max == pytest.approx(exact_f1_max(truth.ravel(), maps.ravel()), rel=1e-3)
    assert result.auroc == pytest.approx(exact_auroc(truth.ravel(), maps.ravel()), abs=1e-6)


def test_the_exact_implementation_gives_the_golden_value() -> None:
    with np.load(Path(__file__).parents[1] / "golden" / "metrics.npz") as golden:
        nll = torch.from_numpy(golden["nll"].astype(np.float32))
        truth = np.unpackbits(golden["gt"], axis=-1).astype(bool)
        maps = torch.nn.functional.interpolate(nll[:, None], (64, 64), mode="bilinear")[:, 0].numpy()
        assert exact_aupro(maps, truth) == pytest.approx(golden["exact/aupro"], abs=1e-9)
        assert exact_auroc(truth.ravel(), maps.ravel()) == pytest.approx(golden["exact/pixel_auroc"], abs=1e-9)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_aupro_at_other_limits(limit: float) -> None:
    maps, truth = discs(2)
    assert measure(maps, truth, limit=limit).aupro == pytest.approx(exact_aupro(maps, truth, limit), abs=3e-4)


def test_aupro_counts_regions_not_pixels() -> None:
    """A large region that is found and a small one that is not: half of the regions, most of the pixels."""
    truth = np.zeros((1, 40, 40), bool)
    truth[0, :20, :20] = True
    truth[0, 30, 30] = True
    maps = np.zeros(truth.shape, np.float32)
    maps[0, :20, :20] = 1
    maps[0, 30, 30] = -1
    result = measure(maps, truth)
    assert result.aupro == pytest.approx(exact_aupro(maps, truth), abs=1e-7)
    assert result.aupro == pytest.approx(0.5, abs=1e-7)
    assert result.auroc == pytest.approx(400 / 401, abs=1e-6)


def test_regions_that_touch_at_a_corner_are_one() -> None:
    truth = np.zeros((1, 16, 16), bool)
    truth[0, 2:6, 2:6] = True
    truth[0, 6:8, 6:8] = True
    maps = np.zeros(truth.shape, np.float32)
    maps[0, 2:6, 2:6] = 1
    assert measure(maps, truth).aupro == pytest.approx(exact_aupro(maps, truth), abs=1e-7)


def test_a_region_over_the_border() -> None:
    truth = np.zeros((2, 24, 24), bool)
    truth[0, :5, :] = True
    truth[1, :, -1] = True
    maps = np.random.default_rng(0).normal(size=truth.shape) + truth
    result = measure(maps, truth)
    assert result.auroc == pytest.approx(exact_auroc(truth.ravel(), maps.ravel()), abs=5e-5)
    assert result.aupro == pytest.approx(exact_aupro(maps, truth), abs=2e-4)


@pytest.mark.parametrize(("fill", "found"), [(False, "all normal"), (True, "all anomalous")])
def test_undefined_is_none(fill: bool, found: str) -> None:
    maps = np.random.default_rng(0).normal(size=(3, 16, 16))
    assert measure(maps, np.full(maps.shape, fill)) == PixelResult(), found


def test_no_image_is_none() -> None:
    assert pixel_metrics(StripCounter(find_strips(np.empty(0), 10)).counts) == PixelResult()


def test_one_value_everywhere_is_chance() -> None:
    truth = discs(0)[1]
    for value in (-2.0, 0.0, 2.0):
        result = measure(np.full(truth.shape, value), truth)
        assert result.auroc == pytest.approx(0.5, abs=1e-12)
        assert result.aupro == pytest.approx(0.15, abs=1e-9)
        assert result.ap == pytest.approx(truth.mean(), abs=1e-12)
        assert result.f1_max == pytest.approx(2 * truth.mean() / (1 + truth.mean()), abs=1e-12)


def test_perfect_and_worst_maps() -> None:
    truth = discs(0)[1]
    best, worst = measure(truth.astype(float), truth), measure(-truth.astype(float), truth)
    assert best == PixelResult(pytest.approx(1), pytest.approx(1), 1, 1)  # type: ignore[arg-type]
    assert worst.auroc == 0
    # ADEval's own integral stops here with a division of zero by zero.
    assert worst.aupro == pytest.approx(exact_aupro(-truth.astype(float), truth), abs=1e-9)


def test_the_order_of_images_does_not_matter() -> None:
    maps, truth = discs(3)
    forward, backward = measure(maps, truth), measure(maps[::-1], truth[::-1])
    assert forward.auroc == backward.auroc
    assert forward.aupro == pytest.approx(backward.aupro, abs=1e-12)


def test_an_increasing_map_of_the_scores_changes_nothing() -> None:
    """Both metrics know nothing but the order; up to 9,997 scores, every one has a strip of its own."""
    maps, truth = discs(5, images=4)
    result = measure(maps, truth)
    assert measure(heavy_tails(maps), truth) == result
    assert result.ap == pytest.approx(average_precision_score(truth.ravel(), maps.ravel()), abs=1e-5)
    assert result.f1_max == pytest.approx(exact_f1_max(truth.ravel(), maps.ravel()), abs=1e-12)
    assert result.auroc == pytest.approx(exact_auroc(truth.ravel(), maps.ravel()), abs=1e-12)
    assert result.aupro == pytest.approx(exact_aupro(maps, truth), abs=1e-6)


def test_scores_that_the_strips_were_not_made_of_are_counted() -> None:
    counter = StripCounter(find_strips(np.empty(0), 10))
    counter.update(Pixels(np.array([[[-5.0, 0.0, 7.0]]])), np.array([[[False, False, True]]]))
    assert pixel_metrics(counter.counts) == PixelResult(1, 1, 1, 1)


@pytest.mark.parametrize("counter", [StripCounter, AdevalCounter])
def test_wrong_images_are_refused(counter: Callable[[Strips], Counter]) -> None:
    found = counter(find_strips(np.empty(0), 10))
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            found.update(Pixels(np.full((1, 8, 8), value)), np.zeros((1, 8, 8), bool))
    with pytest.raises(ValueError, match="one size"):
        found.update(Pixels(np.zeros((1, 8, 8))), np.zeros((1, 8, 9), bool))


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 10 strips"):
        find_strips(np.zeros(3), 9)
    counts = StripCounter(find_strips(np.zeros(3), 10)).counts
    for limit in (0.0, 1.1):
        with pytest.raises(ValueError, match="must be in"):
            pixel_metrics(counts, limit)


def test_rounding_beyond_one_is_cut_off_and_more_is_an_error() -> None:
    assert fraction(1.0000000000000002) == 1
    assert fraction(-1e-12) == 0
    assert fraction(0.3) == 0.3
    for value in (1.0001, -0.0001, float("nan")):
        with pytest.raises(ValueError, match="must lie in"):
            fraction(value)


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_strips_are_equally_full_and_finer_among_the_highest_scores(scale: float) -> None:
    random = np.random.default_rng(0)
    scores = np.exp(scale * random.normal(size=200_000)) * random.choice([-1, 0, 1], size=200_000)
    strips = find_strips(scores, 1_000)
    assert len(strips) <= 1_000
    filled = np.bincount(strips.index(scores), minlength=len(strips))
    zero = int(strips.index(np.zeros(1))[0])
    assert filled[zero] == np.count_nonzero(scores == 0)
    assert strips.of_one_value[zero]
    filled[zero] = 0
    others = np.count_nonzero(scores)
    assert filled.max() <= others / 747 + 1  # three quarters of 1,000, less four
    assert filled[-100:].sum() < 0.002 * others  # 0.1, if all were equally full


@pytest.mark.parametrize("plateau", [-2.0, 0.0, 2.0])
def test_few_scores_above_many_equal_ones_are_not_tied_with_them(plateau: float) -> None:
    """Fewer than a strip holds: without an edge right above the plateau they would fall into its strip."""
    maps, truth = np.full((4, 128, 128), plateau, np.float32), np.zeros((4, 128, 128), bool)
    maps[0, 5, 5], truth[0, 5, 5] = plateau + 1, True
    assert measure(maps, truth) == PixelResult(1, pytest.approx(1), 1, 1)  # type: ignore[arg-type]


def test_a_score_that_fills_several_strips_gets_one_of_its_own() -> None:
    scores = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    scores[::3] = 0.25
    strips = find_strips(scores, 100)
    strip = strips.index(np.array([0.25, np.nextafter(np.float32(0.25), np.float32(1))], np.float32))
    assert strip[0] < strip[1]
    assert strips.of_one_value[strip[0]]


def test_few_distinct_scores_have_a_strip_each() -> None:
    strips = find_strips(np.array([[3.0, 0.0, -1.0], [3.0, 2.0, 0.0]], np.float32), 12)
    assert len(set(strips.index(np.array([-1.0, 0.0, 2.0, 3.0, 4.0], np.float32)))) == 5
    # The two-fold one ends right behind itself, as if there were more above that nobody has seen.
    assert strips.edges[:4].tolist() == [-1.0, 0.0, np.nextafter(np.float32(0), np.float32(1)), 2.0]


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    maps, truth = discs(0, images=20)
    counter = count(maps, truth)  # imports what it imports
    tracemalloc.start()
    try:
        held = []
        for repetition in range(10):
            for anomaly_map, mask in zip(maps, truth, strict=True):
                counter.update(Pixels(anomaly_map[None]), mask[None])
            if repetition in (0, 9):
                held.append(tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    (first, first_peak), (last, last_peak) = held
    assert last <= first + 10_000
    assert last_peak <= first_peak + 100_000


def test_importing_adeval_leaves_multiprocessing_alone() -> None:
    AdevalCounter(find_strips(np.empty(0), 10))
    assert "reducer_override" not in ForkingPickler.__dict__


def test_the_configuration_reads_the_settings_without_numpy() -> None:
    program = "import sys, multiflow.metrics.settings; assert not {'numpy', 'pandas', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


# --- upsampling ---


def test_the_foreground_is_interpolated_from_foreground_cells_alone() -> None:
    maps = np.array([[[1.0, 1.0, -9.0], [1.0, 1.0, 5.0], [1.0, 1.0, 5.0]]], np.float32)
    foreground = maps != 5
    found = pixels(maps, foreground, 12)
    assert found.inside is not None
    # The background's 5 would pull its neighbours up; a mean of foreground cells lies between them.
    assert found.scores[found.inside].max() == pytest.approx(1)
    assert found.scores[0, 11, 4] == pytest.approx(1)
    assert not found.inside[0, 8:, 11].any()
    assert found.inside[0, :, :8].all()
    assert np.isfinite(found.scores).all()
    assert found.ordered.size == np.count_nonzero(found.inside)
    everything = pixels(maps, np.ones_like(foreground), 12)
    np.testing.assert_allclose(everything.scores, pixels(maps, None, 12).scores, rtol=1e-6)


def test_maps_of_the_right_size_stay_as_they_are() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 16, 16)).astype(np.float32)
    np.testing.assert_array_equal(pixels(maps, None, 16).scores, maps)
    found = pixels(maps, maps > 0, 16)
    np.testing.assert_array_equal(found.inside, maps > 0)
    np.testing.assert_array_equal(found.ordered, np.sort(maps[maps > 0]))


# --- image and sample level ---


def test_auroc_with_ties_and_one_class() -> None:
    assert auroc([0, 1, 0, 1], [0.0, 0.0, -1.0, 2.0]) == pytest.approx(0.875)
    random = np.random.default_rng(0)
    labels, scores = random.uniform(size=500) < 0.3, random.integers(0, 7, 500)
    assert auroc(labels, scores) == pytest.approx(exact_auroc(labels, scores), abs=1e-12)
    assert auroc([0, 0], [1, 2]) is None
    assert auroc([1, 1], [1, 2]) is None
    assert auroc([], []) is None
    with pytest.raises(ValueError, match="not finite"):
        auroc([0, 1], [np.nan, 1])
    with pytest.raises(ValueError, match="one length"):
        auroc([0, 1], [1, 2, 3])


def test_large_scores_are_not_tied() -> None:
    assert auroc([0, 1], [6.0, 7.0]) == 1.0


def test_sample_scores() -> None:
    scores = sample_scores([[0.0, 3.0], [2.0, 2.0]])
    assert scores["max"].tolist() == [3.0, 2.0]
    assert scores["mean"].tolist() == [1.5, 2.0]
    assert sample_labels([[0, 0], [0, 1]]).tolist() == [False, True]
    one_view = sample_scores([[4.0], [5.0]])
    assert one_view["max"].tolist() == one_view["mean"].tolist() == [4.0, 5.0]
    with pytest.raises(ValueError, match="samples, views"):
        sample_scores([1.0, 2.0])


def test_the_highest_percent_is_at_least_one_score() -> None:
    assert mean_of_highest(np.array([1.0, 2.0, 7.0])) == 7.0
    assert mean_of_highest(np.arange(300.0)) == 298.0
    assert mean_of_highest(np.arange(399.0)) == 397.0


def test_ap_and_f1_of_images_with_ties_and_one_class() -> None:
    random = np.random.default_rng(0)
    labels, scores = random.uniform(size=500) < 0.3, random.integers(0, 7, 500).astype(float)
    # By hand: at each threshold that takes every score from there up.
    precision = {value: labels[scores >= value].mean() for value in range(7)}
    share = {value: labels[scores == value].sum() / labels.sum() for value in range(7)}
    recall = {value: labels[scores >= value].sum() / labels.sum() for value in range(7)}
    expected = sum(share[value] * precision[value] for value in range(7))
    assert average_precision(labels, scores) == pytest.approx(expected, abs=1e-12)
    best = max(2 * precision[value] * recall[value] / (precision[value] + recall[value]) for value in range(7))
    assert f1_max(labels, scores) == pytest.approx(best, abs=1e-12)
    for metric in (average_precision, f1_max):
        assert metric([0, 0], [1, 2]) is None
        assert metric([1, 1], [1, 2]) is None
        assert metric([0, 1], [1, 2]) == 1
        assert metric([1, 0], [1, 2]) in (pytest.approx(0.5), pytest.approx(2 / 3))
