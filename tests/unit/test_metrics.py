"""Metrics at their edges, against an exact implementation that shares nothing with them."""

from __future__ import annotations

import json
import tracemalloc
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from multiflow.errors import InputError
from multiflow.metrics import (
    COLUMNS,
    METRICS,
    PixelMetrics,
    PixelResult,
    ScoreQuantiles,
    auroc,
    collect_metrics,
    load_metrics,
    sample_labels,
    sample_scores,
)

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


def pixel_metrics(maps: np.ndarray, *arguments: float) -> PixelMetrics:
    quantiles = ScoreQuantiles()
    for anomaly_map in maps:
        quantiles.update(anomaly_map)
    return PixelMetrics(quantiles, *arguments)  # type: ignore[arg-type]


def measure(maps: np.ndarray, truth: np.ndarray, strips: int = 10_000, limit: float = 0.3) -> PixelResult:
    metrics = pixel_metrics(maps, strips, limit)
    for anomaly_map, mask in zip(maps, truth, strict=True):
        metrics.update(anomaly_map, mask)
    return metrics.result()


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
    assert measure(maps, np.full(maps.shape, fill)) == PixelResult(None, None), found


def test_no_image_is_none() -> None:
    assert PixelMetrics(ScoreQuantiles()).result() == PixelResult(None, None)


def test_one_value_everywhere_is_chance() -> None:
    truth = discs(0)[1]
    for value in (-2.0, 0.0, 2.0):
        result = measure(np.full(truth.shape, value), truth)
        assert result.auroc == pytest.approx(0.5, abs=1e-12)
        assert result.aupro == pytest.approx(0.15, abs=1e-9)


def test_perfect_and_worst_maps() -> None:
    truth = discs(0)[1]
    best, worst = measure(truth.astype(float), truth), measure(-truth.astype(float), truth)
    assert (best.auroc, worst.auroc) == (pytest.approx(1), 0)
    assert best.aupro == pytest.approx(1)
    # ADEval's own integral stops here with a division of zero by zero.
    assert worst.aupro == pytest.approx(exact_aupro(-truth.astype(float), truth), abs=1e-9)


def test_the_order_of_images_does_not_matter() -> None:
    maps, truth = discs(3)
    forward, backward = measure(maps, truth), measure(maps[::-1], truth[::-1])
    assert forward.auroc == backward.auroc
    assert forward.aupro == pytest.approx(backward.aupro, abs=1e-12)


def test_tensors_and_arrays_give_the_same() -> None:
    maps, truth = discs(4)
    result = measure(maps, truth)
    metrics = pixel_metrics(maps)
    for anomaly_map, mask in zip(torch.from_numpy(maps), torch.from_numpy(truth), strict=True):
        metrics.update(anomaly_map.requires_grad_(), mask)
    assert metrics.result() == result


def test_an_increasing_map_of_the_scores_changes_nothing() -> None:
    """Both metrics know nothing but the order; up to 9,997 scores, every one has a strip of its own."""
    maps, truth = discs(5, images=4)
    result = measure(maps, truth)
    assert measure(heavy_tails(maps), truth) == result
    assert result.auroc == pytest.approx(exact_auroc(truth.ravel(), maps.ravel()), abs=1e-12)
    assert result.aupro == pytest.approx(exact_aupro(maps, truth), abs=1e-6)


def test_scores_that_the_first_pass_did_not_see_are_counted() -> None:
    metrics = PixelMetrics(ScoreQuantiles())
    metrics.update(np.array([[-5.0, 0.0, 7.0]]), np.array([[False, False, True]]))
    assert metrics.result() == PixelResult(1.0, 1.0)


def test_wrong_images_are_refused() -> None:
    metrics = PixelMetrics(ScoreQuantiles())
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            metrics.update(np.full((8, 8), value), np.zeros((8, 8), bool))
    with pytest.raises(ValueError, match="one size"):
        metrics.update(np.zeros((8, 8)), np.zeros((8, 9), bool))


@pytest.mark.parametrize("arguments", [(9,), (100, 0.0), (100, 1.1)])
def test_impossible_settings_are_refused(arguments: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must be"):
        PixelMetrics(ScoreQuantiles(), *arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_quantiles_of_a_long_stream(scale: float) -> None:
    """A hundred times as many scores as are kept: ranks off by less than the documented levels / capacity."""
    random = np.random.default_rng(0)
    stream = np.exp(scale * random.normal(size=(100, 2_000))) * random.choice([-1, 0, 1], size=(100, 2_000))
    sketch = ScoreQuantiles(capacity=2_000)
    for scores in stream:
        sketch.update(scores)
    others = np.sort(stream[stream != 0])
    found = sketch.quantiles(99)
    assert len(found) == 99
    ranks = np.searchsorted(others, found, "right") / others.size
    assert np.abs(ranks - (np.arange(99) + 0.5) / 99).max() < len(sketch._levels) / 2_000
    assert sum(level.size for level in sketch._levels) <= 2_000 * len(sketch._levels) <= 2_000 * 8


@pytest.mark.parametrize("plateau", [-2.0, 0.0, 2.0])
def test_few_scores_above_many_equal_ones_are_not_tied_with_them(plateau: float) -> None:
    """Fewer than a strip holds: without an edge right above the plateau they would fall into its strip."""
    maps, truth = np.full((4, 128, 128), plateau, np.float32), np.zeros((4, 128, 128), bool)
    maps[0, 5, 5], truth[0, 5, 5] = plateau + 1, True
    assert measure(maps, truth) == PixelResult(1.0, pytest.approx(1.0))  # type: ignore[arg-type]


def test_quantiles_of_few_scores_are_all_of_them() -> None:
    sketch = ScoreQuantiles()
    assert sketch.quantiles(5).size == 0
    sketch.update(np.array([[3.0, 0.0, -1.0], [3.0, 2.0, 0.0]], np.float32))
    assert sketch.quantiles(5).tolist() == [-1.0, 2.0, 3.0]
    assert sketch.quantiles(2).tolist() == [-1.0, 3.0]


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    """The documented bounds after 20 images and after 200: 1.2 MB for the strips, a level more for the quantiles."""
    maps, truth = discs(0, images=20)
    pixel_metrics(maps)  # imports what it imports
    tracemalloc.start()
    try:
        sketch = ScoreQuantiles(capacity=2**12)
        for _ in range(10):
            for anomaly_map in maps:
                sketch.update(anomaly_map)
        levels = np.log2(10 * maps.size / 2**12) + 1
        assert tracemalloc.get_traced_memory()[0] < 2**12 * 4 * levels + 20_000
        metrics = PixelMetrics(sketch)
        del sketch
        held = []
        for repetition in range(10):
            for anomaly_map, mask in zip(maps, truth, strict=True):
                metrics.update(anomaly_map, mask)
            if repetition in (0, 9):
                held.append(tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    (first, first_peak), (last, last_peak) = held
    assert last <= first + 10_000
    assert last_peak <= first_peak + 100_000
    assert last < 1_200_000


def test_importing_adeval_leaves_multiprocessing_alone() -> None:
    PixelMetrics(ScoreQuantiles())
    assert "reducer_override" not in ForkingPickler.__dict__


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


# --- metrics.csv ---


def write_run(folder: Path, experiment: str, class_name: str, seed: int, metrics: dict[str, float | None]) -> Path:
    path = folder / "scores" / experiment / class_name / f"seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "experiment": experiment,
        "class": class_name,
        "seed": seed,
        "metrics": metrics,
        "device": "cpu",
    }
    path.write_text(json.dumps(content))
    return path


def test_collected_metrics_read_back_exactly(tmp_path: Path) -> None:
    values = {"sample_auroc": 0.1 + 0.2, "aupro": None, "image_auroc": 1 / 3, "latency": 0.5}
    paths = [
        write_run(tmp_path, experiment, class_name, seed, values)
        for experiment in ("multiflow", "a_later_one")
        for class_name in ("zinc", "NA")
        for seed in (10, 9)
    ]
    output = tmp_path / "metrics.csv"
    collect_metrics(paths, output)
    text = output.read_bytes()
    assert text.decode().splitlines()[0] == ",".join(COLUMNS)
    assert b"multiflow,NA,9,sample_auroc,0.30000000000000004,scores/multiflow/NA/seed9.json\n" in text

    frame = load_metrics(output)
    assert list(frame.columns) == list(COLUMNS)
    assert list(frame["experiment"].unique()) == ["multiflow", "a_later_one"]
    assert list(frame["class"].unique()) == ["NA", "zinc"]
    assert list(frame["seed"].unique()) == [9, 10]
    assert list(frame["metric"][:4]) == ["sample_auroc", "image_auroc", "aupro", "latency"]
    for metric, value in values.items():
        found = frame.loc[frame["metric"] == metric, "value"]
        assert len(found) == 8
        assert found.isna().all() if value is None else (found == value).all()

    collect_metrics([*paths[:4][::-1], *paths[4:][::-1]], output)
    assert output.read_bytes() == text
    assert [path.name for path in tmp_path.iterdir()].count("metrics.csv") == 1
    assert not list(tmp_path.glob(".*partial"))


def test_the_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    path = write_run(tmp_path, "multiflow", "part", 0, dict.fromkeys(METRICS, 0.5))
    output = tmp_path / "metrics.csv"
    collect_metrics([path], output)
    expected = load_metrics(output)
    random = np.random.default_rng(0)
    for _ in range(5):
        shuffled = tmp_path / "shuffled.csv"
        raw = pd.read_csv(output, dtype=str, keep_default_na=False)
        raw[list(random.permutation(raw.columns))].assign(note="x").to_csv(shuffled, index=False)
        pd.testing.assert_frame_equal(load_metrics(shuffled), expected)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "expected the JSON of an evaluated flow"),
        ("[]", "found a list"),
        ('{"experiment": "a", "class": "b", "seed": 0}', "metrics: expected an object, found nothing"),
        (
            '{"experiment": "a", "class": "b", "seed": "0", "metrics": {}}',
            'seed: expected an integer, found "0"',
        ),
        (
            '{"experiment": "a", "class": "b", "seed": true, "metrics": {}}',
            "seed: expected an integer, found true",
        ),
        ('{"experiment": 1, "class": "b", "seed": 0, "metrics": {}}', "experiment: expected text, found 1"),
        (
            '{"experiment": "a", "class": "b", "seed": 0, "metrics": {"aupro": NaN}}',
            "metrics.aupro: .* found nan",
        ),
        (
            '{"experiment": "a", "class": "b", "seed": 0, "metrics": {"aupro": 93.1}}',
            "from 0 to 1 or null, found 93.1",
        ),
    ],
)
def test_a_malformed_json_is_one_line(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "seed0.json"
    path.write_text(content)
    with pytest.raises(InputError, match=problem) as error:
        collect_metrics([path], tmp_path / "metrics.csv")
    assert len(error.value.problems) == 1
    assert str(path) in str(error.value)
    assert not (tmp_path / "metrics.csv").exists()


def test_every_problem_is_named_at_once_and_the_old_file_stays(tmp_path: Path) -> None:
    output = tmp_path / "metrics.csv"
    output.write_text("old")
    good = write_run(tmp_path, "multiflow", "part", 0, {"aupro": 0.5})
    twin = tmp_path / "twin.json"
    twin.write_text(good.read_text())
    with pytest.raises(InputError) as error:
        collect_metrics([good, tmp_path / "none.json", twin], output)
    assert len(error.value.problems) == 2
    assert "none.json" in error.value.problems[0]
    assert "also stands in" in error.value.problems[1]
    assert output.read_text() == "old"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("experiment,class,seed,metric,value\n", "found no source"),
        ("experiment,class,seed,metric,value,source\na,b,0,aupro,nan,s\n", "line 2, value"),
        ("experiment,class,seed,metric,value,source\na,b,0,aupro,1.5,s\n", "line 2, value"),
        ("experiment,class,seed,metric,value,source\na,b,0.5,aupro,0.5,s\n", "line 2, seed"),
        (
            "experiment,class,seed,metric,value,source\na,b,0,aupro,0.5,s\na,b,0,aupro,0.5,s\n",
            "line 3.*twice",
        ),
        ("", "none that can be read"),
    ],
)
def test_a_wrong_metrics_csv_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        load_metrics(path)


def test_a_missing_metrics_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none that can be read"):
        load_metrics(tmp_path / "metrics.csv")
