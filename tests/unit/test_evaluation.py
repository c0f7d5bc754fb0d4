"""Scores and metrics of a trained flow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from test_training import FLOW, TRAINING, train

from multiflow import config
from multiflow.errors import InputError
from multiflow.evaluation import compute_metrics, score_flow, write_metrics
from multiflow.flow.checkpoint import read_header
from multiflow.flow_input import open_input
from multiflow.metrics import METRICS
from multiflow.scores import ScoreFile
from multiflow.store import FeatureFile

Write = Callable[..., Path]


@pytest.fixture
def trained(write_features: Write, tmp_path: Path) -> Path:
    """A flow that has seen the small class for a while."""
    output = tmp_path / "flow.safetensors"
    train(write_features(), output, TRAINING.model_copy(update={"epochs": 40}))
    return output


def score(flow: Path, features: Path, output: Path, foreground: Path | None = None) -> ScoreFile:
    score_flow(open_input(features, foreground, "nearest"), flow, TRAINING, output, {"origin": "test"})
    return ScoreFile(output)


def test_a_defect_scores_higher_and_metrics_agree_with_scikit_learn(
    trained: Path, write_features: Write, tmp_path: Path
) -> None:
    features = write_features()
    with score(trained, features, tmp_path / "scores.h5") as scores, FeatureFile(features) as feature_file:
        metrics = compute_metrics(scores, feature_file, config.Evaluation())
        labels = scores.labels
        maxima = np.array([scores.map(index).max(axis=(1, 2)) for index in range(len(scores))])
    assert set(metrics) == set(METRICS)
    assert metrics["image_auroc"] == pytest.approx(roc_auc_score(labels.ravel(), maxima.ravel()))
    assert metrics["sample_auroc_max"] == pytest.approx(roc_auc_score(labels.any(1), maxima.max(1)))
    assert metrics["sample_auroc_mean"] == pytest.approx(roc_auc_score(labels.any(1), maxima.mean(1)))
    assert metrics["sample_auroc"] == metrics["sample_auroc_max"]
    for name in ("sample_auroc", "image_auroc", "pixel_auroc", "aupro"):
        value = metrics[name]
        assert value is not None
        assert value > 0.8


def test_a_score_does_not_depend_on_the_other_samples(trained: Path, write_features: Write, tmp_path: Path) -> None:
    many = write_features("many.h5", normal=4, anomalous=4)
    few = write_features("few.h5", normal=0, anomalous=4)
    # The last sample of both files, with the same features.
    import h5py

    with h5py.File(many, "r") as source, h5py.File(few, "r+") as target:
        target["test/features"][-1] = source["test/features"][-1]
    with score(trained, many, tmp_path / "m.h5") as first, score(trained, few, tmp_path / "f.h5") as second:
        assert np.array_equal(first.map(7), second.map(3))


def test_every_choice_between_paper_and_released_code_reaches_the_flow(write_features: Write, tmp_path: Path) -> None:
    features, output = write_features(), tmp_path / "flow.safetensors"
    choices = {
        "fusion": "cross_view_attention", "attention": "released", "attention_heads": 2, "gamma": False,
        "output_limit": None, "transform_first": "first", "clamp_slope": 0.636,
    }  # fmt: skip
    flow = FLOW.model_copy(update=choices | {"noise_shape": "features", "noise": "softflow"})
    train(features, output, TRAINING.model_copy(update={"epochs": 1}), flow)
    architecture, _ = read_header(output)
    assert {name: architecture[name] for name in choices} == choices
    assert architecture["condition_per_feature"]
    with score(output, features, tmp_path / "scores.h5") as scores:
        assert np.isfinite(scores.map(0)).all()


def test_the_background_scores_exactly_zero(
    trained: Path, write_features: Write, write_foreground: Write, tmp_path: Path
) -> None:
    with score(trained, write_features(), tmp_path / "scores.h5", write_foreground()) as scores:
        maps = np.array([scores.map(index) for index in range(len(scores))])
    assert (maps[..., :2] == 0).all()
    assert (maps[..., 2:] != 0).all()


def test_a_diverged_flow_has_no_scores(write_features: Write, tmp_path: Path) -> None:
    features, output = write_features(), tmp_path / "flow.safetensors"
    train(features, output, TRAINING.model_copy(update={"learning_rate": 1e15, "epochs": 1, "batch_size": 6}))
    with pytest.raises(InputError, match=r"part_test_0_C1.jpg: expected finite anomaly maps.*learning_rate"):
        score(output, features, tmp_path / "scores.h5")
    assert not (tmp_path / "scores.h5").exists()


@pytest.mark.parametrize(("learning_rate", "warned"), [(1e-3, False), (30.0, True)])
def test_a_training_whose_loss_rises_says_so(
    write_features: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture, learning_rate: float, warned: bool
) -> None:
    """At this rate the scales saturate: everything stays finite, and nothing is learned."""
    with caplog.at_level("WARNING", logger="multiflow"):
        train(
            write_features(), tmp_path / "flow.safetensors",
            TRAINING.model_copy(update={"learning_rate": learning_rate, "epochs": 3}),
        )  # fmt: skip
    assert ("learned nothing; lower training.learning_rate" in caplog.text) == warned


def test_a_normal_test_set_has_no_metrics_but_scores(trained: Path, write_features: Write, tmp_path: Path) -> None:
    features = write_features("normal.h5", normal=3, anomalous=0)
    with score(trained, features, tmp_path / "scores.h5") as scores, FeatureFile(features) as feature_file:
        metrics = compute_metrics(scores, feature_file, config.Evaluation())
    assert set(metrics.values()) == {None}


def test_a_gpu_counts_the_pixels_when_it_is_asked_to(
    trained: Path, write_features: Write, write_foreground: Write, tmp_path: Path, emulated_gpu: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The GPU is emulated: ADEval's GPU class on the CPU."""
    import adeval

    used = []

    class Recorded(adeval.EvalAccumulatorCuda):  # type: ignore[misc]
        def reset(self) -> None:
            used.append("GPU class")
            super().reset()

    monkeypatch.setattr(adeval, "EvalAccumulatorCuda", Recorded)
    features, found = write_features(), {}
    with score(trained, features, tmp_path / "scores.h5", write_foreground()) as scores:
        for device in ("cpu", "cuda", "auto"):
            with FeatureFile(features) as feature_file:
                found[device] = compute_metrics(scores, feature_file, config.Evaluation(device=device))
            assert used == [] if device == "cpu" else used.pop() == "GPU class"
    assert found["cuda"] == found["auto"]
    assert found["cuda"]["aupro"] == pytest.approx(found["cpu"]["aupro"], abs=1e-12)
    assert found["cuda"] | {"aupro": None} == found["cpu"] | {"aupro": None}


def test_no_gpu_to_count_the_pixels(
    trained: Path, write_features: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    features = write_features()
    with (
        score(trained, features, tmp_path / "scores.h5") as scores,
        FeatureFile(features) as feature_file,
        pytest.raises(InputError, match=r"evaluation\.device: expected a CUDA device, found none"),
    ):
        compute_metrics(scores, feature_file, config.Evaluation(device="cuda"))


def test_the_run_file_says_where_its_numbers_came_from(tmp_path: Path) -> None:
    path = tmp_path / "seed0.json"
    write_metrics(path, "multiflow", "part", 0, {"aupro": 0.5}, {"device": "cpu", "revision": "abc"})
    assert json.loads(path.read_text()) == {
        "experiment": "multiflow",
        "class": "part",
        "seed": 0,
        "metrics": {"aupro": 0.5},
        "provenance": {"device": "cpu", "revision": "abc"},
    }


def test_mistakes_name_both_sides(trained: Path, write_features: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected 3 views with 6 channels as in .*, found 3 views with 5"):
        score(trained, write_features("other.h5", channels=5), tmp_path / "scores.h5")
    with pytest.raises(InputError, match=r"expected 3 views with 6 channels as in .*, found 2 views with 6"):
        score(trained, write_features("other.h5", cameras=["C1", "C2"]), tmp_path / "scores.h5")
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(trained.read_bytes()[:100])
    with pytest.raises(InputError, match="expected a whole features file"):
        score(trained, damaged, tmp_path / "scores.h5")
    assert not (tmp_path / "scores.h5").exists()
