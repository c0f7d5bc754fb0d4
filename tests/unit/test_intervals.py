"""Intervals of an AUROC: samples with all their views are drawn, and the intervals hold what they should."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import bootstrap, mannwhitneyu, norm
from table_runs import PARTS, context, measured

from multiflow.base.errors import InputError
from multiflow.metrics import CONFIDENCE
from multiflow.metrics.intervals import auroc_interval
from multiflow.metrics.ranking import auroc
from multiflow.results.figures import classes
from multiflow.results.figures.classes import DETECTION, plot_classes
from multiflow.results.intervals import load_intervals
from multiflow.results.records import load_runs
from multiflow.results.tables import format_text, interval_table, write_csv


def column(values: np.ndarray) -> np.ndarray:
    return values[:, None]


def drawn(random: np.random.Generator, normal: int, anomalous: int, true: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores [N, 1] of two normal distributions whose AUROC is ``true``."""
    scores = np.concatenate([random.normal(size=normal), random.normal(np.sqrt(2) * norm.ppf(true), size=anomalous)])
    return column(np.arange(normal + anomalous) >= normal), column(scores)


def test_one_view_is_scipys_bootstrap_of_the_two_groups() -> None:
    labels, scores = drawn(np.random.default_rng(3), 30, 20, 0.9)

    def area(normal: np.ndarray, anomalous: np.ndarray) -> float:
        return float(mannwhitneyu(anomalous, normal).statistic) / (len(normal) * len(anomalous))

    groups, random = (scores[:30, 0], scores[30:, 0]), np.random.default_rng(0)
    expected = bootstrap(groups, area, n_resamples=1999, batch=100, vectorized=False, rng=random).confidence_interval
    interval = auroc_interval(labels, scores)
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert interval == auroc_interval(labels, scores), "the resamples are always the same"
    assert interval is not None
    assert interval[0] < (auroc(labels.ravel(), scores.ravel()) or 0) < interval[1]


def test_views_are_not_drawn_alone() -> None:
    """Views that repeat each other tell no more than one; drawn alone, ten of them would narrow the interval."""
    labels, scores = drawn(np.random.default_rng(4), 40, 40, 0.85)
    once, repeated = (auroc_interval(np.tile(labels, views), np.tile(scores, views)) for views in (1, 10))
    assert repeated == pytest.approx(once, abs=1e-12)
    alone = auroc_interval(column(np.tile(labels, 10).ravel()), column(np.tile(scores, 10).ravel()))
    assert once is not None
    assert alone is not None
    assert once[1] - once[0] > 2 * (alone[1] - alone[0])


def test_a_sample_may_have_normal_and_anomalous_views() -> None:
    random = np.random.default_rng(5)
    labels = np.zeros((40, 5), bool)
    labels[20:, :2] = True
    scores = random.normal(size=labels.shape) + 1.5 * labels
    interval = auroc_interval(labels, scores)
    assert interval is not None
    assert interval[0] < (auroc(labels.ravel(), scores.ravel()) or 0) < interval[1]


def test_the_interval_holds_the_true_value_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(6), 0
    for _ in range(40):
        interval = auroc_interval(*drawn(random, 30, 40, 0.9))
        assert interval is not None
        held += interval[0] <= 0.9 <= interval[1]
    assert CONFIDENCE == 0.95
    assert 34 <= held < 40  # 38 expected, and three standard deviations of 1.4


@pytest.mark.parametrize(
    "scores", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 1, 1], [1, 1, 2, 2]], ids=["perfect", "reversed", "equal", "ties"]
)
def test_resamples_that_are_all_alike_have_no_interval(scores: list[float]) -> None:
    assert auroc_interval([[0], [0], [1], [1]], column(np.array(scores))) is None


def test_two_of_each_are_needed() -> None:
    assert auroc_interval([[0], [1], [1]], [[2], [1], [3]]) is None
    assert auroc_interval([[0], [0], [0]], [[2], [1], [3]]) is None
    assert auroc_interval([[0], [0], [1], [1]], [[0], [2], [1], [3]]) is not None


# --- of whole runs: read from their JSON, in a table and in the figure of the classes ---


def write_run(folder: Path, method: str, class_name: str, seed: int, intervals: object) -> Path:
    path = folder / f"{method}-{class_name}-{seed}.json"
    record = {"experiment": method, "class": class_name, "seed": seed, "metrics": {"sample_auroc": 0.5 + 0.1 * seed}}
    path.write_text(json.dumps(record | {"intervals": intervals}))
    return path


def test_ends_are_means_over_the_seeds_and_none_where_a_seed_has_none(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path, "a", PARTS[0], 0, {"sample_auroc": [0.4, 0.6], "image_auroc": None}),
        write_run(tmp_path, "a", PARTS[0], 1, {"sample_auroc": [0.5, 0.8], "image_auroc": [0.1, 0.2]}),
    ]
    found = load_intervals(paths)
    assert found == {
        ("a", PARTS[0], "sample_auroc"): pytest.approx((45, 70)),
        ("a", PARTS[0], "image_auroc"): None,
    }
    old = json.loads(paths[0].read_text())
    del old["intervals"]
    paths[0].write_text(json.dumps(old))
    assert load_intervals(paths[:1]) == {}


@pytest.mark.parametrize("wrong", [[0.4], "0.4 to 0.6", [0.4, 60], 0.4])
def test_an_interval_that_is_none_is_one_line(tmp_path: Path, wrong: object) -> None:
    path = write_run(tmp_path, "a", PARTS[0], 0, {"sample_auroc": wrong})
    with pytest.raises(InputError, match=r"-0.json: intervals: expected two numbers or null"):
        load_intervals([path])


def test_the_table_has_a_row_per_metric_class_and_method(tmp_path: Path) -> None:
    run = replace(context(PARTS[:2]), methods={"a": "A", "b": "B"}, experiments={})
    paths = [
        write_run(tmp_path, "a", PARTS[0], 0, {"sample_auroc": [0.4, 0.6]}),
        write_run(tmp_path, "a", PARTS[0], 1, {"sample_auroc": [0.5, 0.8]}),
        write_run(tmp_path, "b", PARTS[1], 0, {"sample_auroc": None}),
    ]
    table = interval_table(load_runs(paths), load_intervals(paths), run)
    write_csv(table, tmp_path / "intervals.csv")
    rows = list(csv.DictReader((tmp_path / "intervals.csv").read_text().splitlines()))
    assert [(row["metric"], row["class"], row["method"]) for row in rows] == [
        (metric, name, method) for metric in ("sample_auroc", "image_auroc") for name in PARTS[:2] for method in "ab"
    ]
    assert float(rows[0]["auroc"]) == pytest.approx(55)
    assert float(rows[0]["auroc_std"]) == pytest.approx(100 * 0.005**0.5, abs=1e-3)
    assert (float(rows[0]["low"]), float(rows[0]["high"])) == (45, 70)
    assert (rows[3]["auroc"], rows[3]["low"], rows[3]["high"]) == ("50.0000", "", "")
    text = format_text(table)
    assert "no sample is ranked wrong" in " ".join(text.split())
    assert "nan" not in text.lower()


def test_the_figure_of_the_classes_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(classes, "save_figure", lambda figure, *paths: drawn.append(figure))
    frame, run = measured(PARTS[:2], experiments=("multiflow",)), context(PARTS[:2])
    intervals = {("multiflow", PARTS[0], "sample_auroc"): (20.0, 99.0), ("multiflow", PARTS[1], "sample_auroc"): None}
    for shown in (None, intervals):
        plot_classes(frame, DETECTION, run, tmp_path / "classes.png", intervals=shown)
    (without, other), (sample, image) = (figure.axes for figure in drawn)
    assert len(sample.lines) == len(without.lines) + 1
    assert len(image.lines) == len(other.lines)
    (bar,) = [line for line in sample.lines if line.get_linewidth() == 3.5]
    assert list(bar.get_xdata()) == [20, 99]
    low, high = sample.get_xlim()
    assert low < 20
    assert high > 99
