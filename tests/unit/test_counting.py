"""From a scores file and a ground truth to the metrics of a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from multiflow.base.errors import InputError
from multiflow.base.hdf5 import create_hdf5, write_strings
from multiflow.datasets.ground_truth import GroundTruthFile
from multiflow.methods.contract import Scores
from multiflow.metrics import counting
from multiflow.metrics.counting import Counted, count_metrics, write_metrics
from multiflow.metrics.settings import Evaluation
from multiflow.metrics.strips import Strips, find_strips
from multiflow.metrics.upsampling import pixels
from multiflow.results.records import METRICS
from multiflow.scores import ScoreFile, write_scores

SAMPLES, VIEWS, GRID, SIZE = 12, 3, 8, 64
TYPES = ["OK", "scratch", "dent"]


@pytest.fixture
def truth(tmp_path: Path) -> GroundTruthFile:
    """Half of the samples have a defect in some of their views; one of them has two types. Grey edges of masks."""
    return GroundTruthFile(write_truth(tmp_path / "truth.h5", np.arange(SAMPLES) % 2 == 1))


def write_truth(path: Path, anomalous: np.ndarray) -> Path:
    random = np.random.default_rng(0)
    kinds = np.where(anomalous[:, None], random.integers(0, 3, (SAMPLES, VIEWS)), 0)
    kinds[anomalous, 0] = 1 + np.arange(np.count_nonzero(anomalous)) % 2
    mask = np.zeros((SAMPLES, VIEWS, SIZE, SIZE), np.uint8)
    for index, view in np.argwhere(kinds):
        row, column = random.integers(4, SIZE - 20, 2)
        mask[index, view, row : row + 16, column : column + 12] = 100
        mask[index, view, row + 2 : row + 14, column + 2 : column + 10] = 255
    with create_hdf5(path, "ground_truth", {"class": "part", "cameras": ["C1", "C2", "C3"]}) as file:
        write_strings(file, "sample", keys())
        file["mask"], file["label"] = mask, (kinds > 0).astype(np.uint8)
        file["located"] = np.ones(kinds.shape, bool)
        write_strings(file, "anomaly_class", np.array(TYPES, object)[kinds])
    return path


def keys() -> list[str]:
    return [f"part_{index}" for index in range(SAMPLES)]


def score(path: Path, truth: GroundTruthFile, foreground: bool = False, zero: bool = False) -> ScoreFile:
    """Scores that see most defects; the left half is background."""
    random = np.random.default_rng(1)
    inside = np.ones((VIEWS, GRID, GRID), bool)
    inside[..., : GRID // 2] = False

    def sample(index: int) -> Scores:
        step = SIZE // GRID
        seen = truth.masks(index, 127).reshape(VIEWS, GRID, step, GRID, step).mean(axis=(2, 4))
        values = (random.normal(size=(VIEWS, GRID, GRID)) + 3 * seen - 2).astype(np.float32)
        return Scores(np.where(inside, values, np.float32(0)) if zero else values, None, inside if foreground else None)

    write_scores(path, keys(), VIEWS, sample, {}, "test")
    return ScoreFile(path)


def exact(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float, float]:
    precision, recall, _ = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return roc_auc_score(labels, scores), average_precision_score(labels, scores), f1.max()


@pytest.mark.parametrize("counter", ["strips", "adeval"])
@pytest.mark.parametrize("foreground", [False, True])
@pytest.mark.parametrize("some", [2**22, 2**15], ids=["strips from all scores", "strips from every fifth score"])
def test_all_metrics_are_those_of_scikit_learn(
    truth: GroundTruthFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counter: str, foreground: bool, some: int
) -> None:
    monkeypatch.setattr(counting, "_SCORES_FOR_STRIPS", some)
    with score(tmp_path / "scores.h5", truth, foreground) as scores:
        metrics = count_metrics(scores, truth, Evaluation(counter=counter, ground_truth_threshold=127)).metrics
        images = scores.image_scores
        full = [pixels(scores.map(index), scores.foreground(index), SIZE) for index in range(SAMPLES)]
    labels = truth.labels.astype(bool)
    assert list(metrics)[: len(METRICS)] == list(METRICS)
    assert set(metrics) - set(METRICS) == {
        f"{level}_auroc:{kind}" for level in ("sample", "image") for kind in ("scratch", "dent")
    }
    found = metrics["image_auroc"], metrics["image_ap"], metrics["image_f1_max"]
    assert found == pytest.approx(exact(labels.ravel(), images.ravel()), abs=1e-12)

    masks = np.array([truth.masks(index, 127) for index in range(SAMPLES)]).ravel()
    lowest = np.array([np.where(True if one.inside is None else one.inside, one.scores, -1e6) for one in full]).ravel()
    found = metrics["pixel_auroc"], metrics["pixel_ap"], metrics["pixel_f1_max"]
    assert found == pytest.approx(exact(masks, lowest), rel=1e-3)
    assert metrics["pixel_auroc"] == pytest.approx(roc_auc_score(masks, lowest), abs=5e-6)

    top1 = [np.sort(one.scores if one.inside is None else one.scores[one.inside], axis=None) for one in full]
    rules = {
        "max": images.max(axis=1),
        "mean": images.mean(axis=1),
        "top1": np.array([values[values.size - values.size // 100 :].mean() for values in top1]),
    }
    for rule, values in rules.items():
        assert metrics[f"sample_auroc_{rule}"] == pytest.approx(roc_auc_score(labels.any(axis=1), values), abs=1e-12)
    assert metrics["sample_auroc"] == metrics["sample_auroc_max"]

    types = np.array(truth.anomaly_classes)
    for kind in ("scratch", "dent"):
        taken = (types == kind) | ~labels
        assert metrics[f"image_auroc:{kind}"] == pytest.approx(roc_auc_score(labels[taken], images[taken]), abs=1e-12)
        taken = (types == kind).any(axis=1) | ~labels.any(axis=1)
        expected = roc_auc_score(labels.any(axis=1)[taken], rules["max"][taken])
        assert metrics[f"sample_auroc:{kind}"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rule", ["max", "mean", "top1"])
def test_the_rule_of_the_configuration_decides_the_sample_auroc(
    truth: GroundTruthFile, tmp_path: Path, rule: str
) -> None:
    with score(tmp_path / "scores.h5", truth) as scores:
        metrics = count_metrics(scores, truth, Evaluation(sample_score=rule)).metrics
    assert metrics["sample_auroc"] == metrics[f"sample_auroc_{rule}"]
    assert len({metrics[f"sample_auroc_{other}"] for other in ("max", "mean", "top1")}) == 3


def test_the_threshold_of_the_ground_truth_decides_what_is_anomalous(truth: GroundTruthFile, tmp_path: Path) -> None:
    with score(tmp_path / "scores.h5", truth) as scores:
        found = {
            threshold: count_metrics(scores, truth, Evaluation(ground_truth_threshold=threshold)).metrics
            for threshold in (99, 100, 127, 254)
        }
    assert found[99]["pixel_auroc"] != found[100]["pixel_auroc"]
    assert found[100] == found[127] == found[254]


def test_both_counters_give_the_same(truth: GroundTruthFile, tmp_path: Path) -> None:
    with score(tmp_path / "scores.h5", truth, zero=True) as scores:
        strips, adeval = (
            count_metrics(scores, truth, Evaluation(counter=counter)).metrics for counter in ("strips", "adeval")
        )
    assert strips == pytest.approx(adeval, abs=1e-9)


def test_views_whose_score_is_exactly_zero_are_counted(truth: GroundTruthFile, tmp_path: Path) -> None:
    """Where the background scores 0, it is the maximum of a view whose foreground scores below 0."""
    with score(tmp_path / "zero.h5", truth, zero=True) as scores:
        share = count_metrics(scores, truth, Evaluation()).diagnostics["views_at_zero"]
        assert share == np.mean(scores.image_scores == 0)
        assert share > 0
    with score(tmp_path / "ignored.h5", truth, foreground=True) as scores:
        assert count_metrics(scores, truth, Evaluation()).diagnostics == {"views_at_zero": 0}


def test_a_normal_test_set_has_no_metrics(tmp_path: Path) -> None:
    truth = GroundTruthFile(write_truth(tmp_path / "normal.h5", np.zeros(SAMPLES, bool)))
    with score(tmp_path / "scores.h5", truth) as scores:
        metrics = count_metrics(scores, truth, Evaluation()).metrics
    assert metrics == dict.fromkeys(METRICS)


def test_constant_scores_are_chance(truth: GroundTruthFile, tmp_path: Path) -> None:
    maps = np.zeros((VIEWS, GRID, GRID), np.float32)
    write_scores(tmp_path / "scores.h5", keys(), VIEWS, lambda _: Scores(maps), {}, "test")
    for counter in ("strips", "adeval"):
        with ScoreFile(tmp_path / "scores.h5") as scores:
            metrics = count_metrics(scores, truth, Evaluation(counter=counter)).metrics
        assert [metrics[name] for name in ("sample_auroc", "image_auroc", "pixel_auroc")] == [0.5] * 3
        assert metrics["aupro"] == pytest.approx(0.15)


def test_scores_of_other_samples_or_views_are_refused(truth: GroundTruthFile, tmp_path: Path) -> None:
    maps = np.ones((2, GRID, GRID), np.float32)
    others = [f"other_{index}" for index in range(SAMPLES)]
    write_scores(tmp_path / "other.h5", others, 2, lambda _: Scores(maps), {}, "test")
    write_scores(tmp_path / "views.h5", keys(), 2, lambda _: Scores(maps), {}, "test")
    for name, message in (("other.h5", "expected the 12 test samples of .*truth.h5, found"), ("views.h5", "3 views")):
        with pytest.raises(InputError, match=rf"{name}: .*{message}") as error:
            count_metrics(ScoreFile(tmp_path / name), truth, Evaluation())
        assert len(error.value.problems) == 1


def test_rounding_stops_nothing_and_masks_that_vanish_are_counted(
    truth: GroundTruthFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an ulp above 1 stopped the collection of all metrics."""
    monkeypatch.setattr(counting, "auroc", lambda labels, scores: 1.0000000000000002)
    monkeypatch.setattr(counting, "average_precision", lambda labels, scores: -1e-17)
    with score(tmp_path / "scores.h5", truth) as scores:
        found = count_metrics(scores, truth, Evaluation())
        blind = count_metrics(scores, truth, Evaluation(ground_truth_threshold=254))
    assert {found.metrics[name] for name in found.metrics if "auroc" in name and name != "pixel_auroc"} == {1.0}
    assert found.metrics["image_ap"] == 0.0
    assert (found.doubts, blind.doubts) == ({}, {})
    truth.close()
    with h5py.File(truth.path, "r+") as file:
        file["mask"][...] = np.minimum(file["mask"][...], 127)
    with score(tmp_path / "scores.h5", GroundTruthFile(truth.path)) as scores:
        found = count_metrics(scores, GroundTruthFile(truth.path), Evaluation())
        low = count_metrics(scores, GroundTruthFile(truth.path), Evaluation(ground_truth_threshold=126))
    count = int(truth.labels.sum())
    assert found.doubts == {"an anomalous view has no pixel above grey value 127 at the evaluation's size": count}
    assert (found.metrics["aupro"], low.doubts) == (None, {})
    shutil.copy(truth.path, tmp_path / "whole.h5")
    with h5py.File(tmp_path / "whole.h5", "r+") as file:
        file["mask"][...] = 255 * file["label"][...][..., None, None]
    with score(tmp_path / "scores.h5", GroundTruthFile(tmp_path / "whole.h5")) as scores:
        whole = count_metrics(scores, GroundTruthFile(tmp_path / "whole.h5"), Evaluation())
    assert whole.doubts == {"the mask of an anomalous view covers all of it": count}
    with h5py.File(tmp_path / "whole.h5", "r+") as file:
        file["mask"][..., 2:5, 2:5] = 0
    with score(tmp_path / "scores.h5", GroundTruthFile(tmp_path / "whole.h5")) as scores:
        inverted = count_metrics(scores, GroundTruthFile(tmp_path / "whole.h5"), Evaluation())
    what = "the mask of an anomalous view covers its whole border, as one with black and white exchanged does"
    assert inverted.doubts == {what: count}


def test_the_best_stage_on_the_test_set_is_counted_and_named(truth: GroundTruthFile, tmp_path: Path) -> None:
    """Each of two stages is better in one metric; the last is worse than both."""
    labels = truth.labels.astype(bool)

    def located(index: int) -> Scores:
        seen = truth.masks(index, 127).astype(np.float32)
        return Scores(seen, np.zeros(VIEWS, np.float32))

    def detected(index: int) -> Scores:
        noise = np.random.default_rng(index).normal(size=(VIEWS, GRID, GRID)).astype(np.float32)
        return Scores(noise, labels[index].astype(np.float32))

    def guessed(index: int) -> Scores:
        noise = np.random.default_rng(100 + index).normal(size=(VIEWS, GRID, GRID)).astype(np.float32)
        return Scores(noise, -labels[index].astype(np.float32))

    stages = [("pass 8", located), ("pass 16", detected)]
    write_scores(tmp_path / "scores.h5", keys(), VIEWS, guessed, {}, "test", stages)
    with ScoreFile(tmp_path / "scores.h5") as scores:
        last = count_metrics(scores, truth, Evaluation())
        best = count_metrics(scores, truth, Evaluation(select="best_on_test"))
        with ScoreFile(scores.path, 1) as earlier:
            chosen = count_metrics(earlier, truth, Evaluation())
    assert last.metrics["image_auroc"] == 0
    assert not last.selected
    assert (best.metrics["image_auroc"], best.metrics["pixel_auroc"]) == (1, 1)
    assert (best.selected["image_auroc"], best.selected["pixel_auroc"]) == ("pass 16", "pass 8")
    assert best.metrics.keys() == last.metrics.keys()
    assert best.intervals["image_auroc"] == chosen.intervals["image_auroc"]
    assert best.intervals.keys() == last.intervals.keys() != set()
    write_metrics(tmp_path / "seed0.json", "multiflow", "part", 0, best, "", {})
    assert json.loads((tmp_path / "seed0.json").read_text())["selected"] == best.selected


def test_without_earlier_stages_there_is_nothing_to_select(truth: GroundTruthFile, tmp_path: Path) -> None:
    with (
        score(tmp_path / "scores.h5", truth) as scores,
        pytest.raises(
            InputError, match=r"scores\.h5: expected scores of several stages .*best_on_test, found those of"
        ),
    ):
        count_metrics(scores, truth, Evaluation(select="best_on_test"))


def test_aupro_at_evenly_spaced_thresholds_is_the_curve_over_them(truth: GroundTruthFile, tmp_path: Path) -> None:
    with score(tmp_path / "scores.h5", truth, foreground=True) as scores:
        full = [pixels(scores.map(index), scores.foreground(index), SIZE) for index in range(SAMPLES)]
        found = count_metrics(scores, truth, Evaluation(aupro="linear")).metrics
        exact_one = count_metrics(scores, truth, Evaluation()).metrics
    inside = np.array([one.inside for one in full])
    maps, masks = np.array([one.scores for one in full]), np.array([truth.masks(i, 127) for i in range(SAMPLES)])
    low, high = float(maps[inside].min()), float(maps[inside].max())
    false, recall = [], []
    for threshold in high - np.arange(1000) * (high - low) / 1000:
        above = (maps > threshold) & inside
        false.append(above[masks == 0].mean())
        # A view has one region at most, and none has a hole.
        recall.append(np.mean([above[view][masks[view] != 0].mean() for view in np.ndindex(masks.shape[:2])
                               if masks[view].any()]))  # fmt: skip
    false, recall = np.array(false), np.array(recall)
    kept = false <= 0.3
    x = (false[kept] - false[kept].min()) / (false[kept].max() - false[kept].min())
    assert found["aupro"] == pytest.approx(np.trapezoid(recall[kept], x), abs=1e-9)
    assert found["aupro"] != exact_one["aupro"]
    assert {name: value for name, value in found.items() if name != "aupro"} == {
        name: value for name, value in exact_one.items() if name != "aupro"
    }


def test_an_aupro_above_1_is_stored_as_1_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A frame that is found together with its hole has more than all of its pixels."""
    mask = np.zeros((1, 1, SIZE, SIZE), np.uint8)
    mask[0, 0, 8:40, 8:40] = 255
    mask[0, 0, 12:36, 12:36] = 0
    with create_hdf5(tmp_path / "truth.h5", "ground_truth", {"class": "part", "cameras": ["C1"]}) as file:
        write_strings(file, "sample", ["part_0"])
        file["mask"], file["label"] = mask, np.ones((1, 1), np.uint8)
        file["located"] = np.ones((1, 1), bool)
        write_strings(file, "anomaly_class", np.array([["frame"]], object))
    values = np.random.default_rng(0).normal(size=(1, SIZE, SIZE)).astype(np.float32)
    values[:, 8:40, 8:40] += 20
    write_scores(tmp_path / "scores.h5", ["part_0"], 1, lambda _: Scores(values), {}, "test")
    with ScoreFile(tmp_path / "scores.h5") as scores, caplog.at_level("WARNING"):
        found = count_metrics(scores, GroundTruthFile(tmp_path / "truth.h5"), Evaluation(aupro="linear")).metrics
    assert found["aupro"] == 1
    assert "holes of regions count as found" in caplog.text


def test_the_run_file_says_where_its_numbers_came_from(tmp_path: Path) -> None:
    path = tmp_path / "seed0.json"
    counted = Counted(
        {"aupro": 0.5, "pixel_ap": None}, {"views_at_zero": 0.25}, {"it vanished": 2}, intervals={"aupro": (0.25, 0.75)}
    )
    provenance = {"device": "cpu", "revision": "abc"}
    doubts = {"it is dark": 3}
    write_metrics(path, "multiflow", "part", 0, counted, "snakemake it", provenance, doubts, {"seconds": 2.5})
    assert json.loads(path.read_text()) == {
        "experiment": "multiflow",
        "class": "part",
        "seed": 0,
        "metrics": {"aupro": 0.5, "pixel_ap": None},
        "diagnostics": {"views_at_zero": 0.25},
        "intervals": {"aupro": [0.25, 0.75]},
        "usage": {"seconds": 2.5},
        "doubts": {"it is dark": 3, "it vanished": 2},
        "command": "snakemake it",
        "provenance": {"device": "cpu", "revision": "abc"},
    }


def test_strips_are_made_of_scores_from_everywhere_in_the_foreground(
    truth: GroundTruthFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that divides the width would take a few columns alone."""
    column = np.broadcast_to(np.arange(SIZE, dtype=np.float32), (VIEWS, SIZE, SIZE))
    write_scores(tmp_path / "scores.h5", keys(), VIEWS, lambda _: Scores(column, None, column > 9), {}, "test")
    taken = []

    def record(scores: np.ndarray, count: int) -> Strips:
        taken.append(scores)
        return find_strips(scores, count)

    monkeypatch.setattr(counting, "find_strips", record)
    monkeypatch.setattr(counting, "_SCORES_FOR_STRIPS", SAMPLES * VIEWS * SIZE)
    with ScoreFile(tmp_path / "scores.h5") as scores:
        count_metrics(scores, truth, Evaluation())
    values, counts = np.unique(taken[0], return_counts=True)
    assert values.tolist() == list(range(10, SIZE))
    assert counts.max() < 1.2 * counts.min()
    assert taken[0].size <= SAMPLES * VIEWS * SIZE
