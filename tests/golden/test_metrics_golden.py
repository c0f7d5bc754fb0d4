"""The metrics against values that the released code's libraries and an exact computation gave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from multiflow.metrics.adeval_counter import AdevalCounter
from multiflow.metrics.pixel import Counter, PixelResult, StripCounter, pixel_metrics
from multiflow.metrics.ranking import auroc, average_precision, f1_max, sample_labels, sample_scores
from multiflow.metrics.strips import find_strips
from multiflow.metrics.upsampling import Pixels, upsample

VIEWS = 5


@pytest.fixture(scope="module")
def golden() -> Iterator[dict[str, np.ndarray]]:
    with np.load(Path(__file__).parent / "metrics.npz") as stored:
        yield dict(stored)


@pytest.fixture(scope="module")
def maps(golden: dict[str, np.ndarray]) -> torch.Tensor:
    """Anomaly maps ``[40, 64, 64]``."""
    return upsample(torch.from_numpy(golden["nll"].astype(np.float32)), 64)


@pytest.fixture(scope="module")
def truth(golden: dict[str, np.ndarray]) -> torch.Tensor:
    """Ground truth ``[40, 64, 64]``."""
    return torch.from_numpy(np.unpackbits(golden["gt"], axis=-1).astype(bool))


def measure(
    maps: torch.Tensor, truth: torch.Tensor, strips: int = 10_000, counter: Counter | None = None
) -> PixelResult:
    counter = counter or StripCounter(find_strips(maps.numpy(), strips))
    for sample, masks in zip(maps.split(VIEWS), truth.split(VIEWS), strict=True):
        counter.update(Pixels(sample.numpy()), masks.numpy())
    return pixel_metrics(counter.counts)


def test_upsampling(golden: dict[str, np.ndarray], maps: torch.Tensor) -> None:
    np.testing.assert_allclose(maps[golden["anomaly_map_index"]], golden["anomaly_map"], atol=1e-6)


def test_image_and_sample_auroc_are_exact(golden: dict[str, np.ndarray]) -> None:
    nll, labels = golden["nll"].astype(np.float32), golden["labels"]
    image = nll.max(axis=(1, 2))
    np.testing.assert_array_equal(image, golden["scores/image_max"])
    assert auroc(labels, image) == pytest.approx(golden["exact/image_auroc_max"], abs=1e-12)
    assert auroc(labels, nll.mean(axis=(1, 2))) == pytest.approx(golden["exact/image_auroc_mean"], abs=1e-12)

    samples = sample_scores(image.reshape(-1, VIEWS))
    truth = sample_labels(labels.reshape(-1, VIEWS))
    np.testing.assert_array_equal(truth, golden["scores/sample_labels"].astype(bool))
    np.testing.assert_allclose(samples["mean"], golden["scores/sample_mean_of_max"], rtol=1e-6)
    assert auroc(truth, samples["mean"]) == pytest.approx(golden["exact/sample_auroc_mean_of_max"], abs=1e-12)
    assert auroc(truth, samples["max"]) == pytest.approx(golden["exact/sample_auroc_max_of_max"], abs=1e-12)


def test_scores_are_not_clipped(golden: dict[str, np.ndarray]) -> None:
    """The released code's last evaluation clips scores before the AUROC; on these data that would show."""
    image = golden["scores/image_max"]
    assert auroc(golden["labels"], np.minimum(image, 1)) == pytest.approx(golden["clipped1/image_auroc_max"])
    assert auroc(golden["labels"], image) != pytest.approx(golden["clipped1/image_auroc_max"], abs=0.1)


def test_pixel_metrics_meet_the_exact_values(
    golden: dict[str, np.ndarray], maps: torch.Tensor, truth: torch.Tensor
) -> None:
    result = measure(maps, truth)
    assert result.auroc == pytest.approx(golden["exact/pixel_auroc"], abs=5e-5)
    assert result.aupro == pytest.approx(golden["exact/aupro"], abs=2e-4)
    labels, scores = truth.numpy().ravel(), maps.numpy().ravel()
    assert result.ap == pytest.approx(average_precision(labels, scores), rel=1e-4)
    assert result.f1_max == pytest.approx(f1_max(labels, scores), rel=1e-3)


def test_a_thousand_strips_are_nearly_enough(
    golden: dict[str, np.ndarray], maps: torch.Tensor, truth: torch.Tensor
) -> None:
    result = measure(maps, truth, strips=1000)
    assert result.auroc == pytest.approx(golden["exact/pixel_auroc"], abs=1e-4)
    assert result.aupro == pytest.approx(golden["exact/aupro"], abs=5e-4)


@pytest.mark.parametrize("factor", [10, 1e4, 1e8])
def test_one_far_score_does_not_spoil_the_others(
    golden: dict[str, np.ndarray], maps: torch.Tensor, truth: torch.Tensor, factor: float
) -> None:
    """One pixel of 163,840 that is as many times as high as all others moves nothing but itself."""
    spiked = maps.clone()
    spiked[0, 0, 0] = factor * maps.max()
    result = measure(spiked, truth)
    assert result.auroc == pytest.approx(golden["exact/pixel_auroc"], abs=5e-5)
    assert result.aupro == pytest.approx(golden["exact/aupro"], abs=2e-4)


def test_heavy_tails_give_the_exact_values(
    golden: dict[str, np.ndarray], maps: torch.Tensor, truth: torch.Tensor
) -> None:
    """An increasing map that leaves nearly all scores in a ten-thousandth of their range."""
    spread = torch.sinh(maps.double() * 2)
    assert (spread.abs() < spread.max() / 10_000).double().mean() > 0.9
    result = measure(spread, truth)
    assert result.auroc == pytest.approx(golden["exact/pixel_auroc"], abs=5e-5)
    assert result.aupro == pytest.approx(golden["exact/aupro"], abs=2e-4)


def test_integration_agrees_with_adeval(
    maps: torch.Tensor, truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADEval's own summary of its own accumulator, `np.trapz` given back to it."""
    monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)
    counter = AdevalCounter(find_strips(maps.numpy(), 10_000))
    result, accumulator = measure(maps, truth, counter=counter), counter._accumulator
    assert result.auroc == pytest.approx(accumulator._auroc(accumulator._pixel_acc), abs=1e-12)
    assert result.aupro == pytest.approx(float(accumulator._aupro()), abs=1e-12)


def test_counting_agrees_with_adeval(maps: torch.Tensor, truth: torch.Tensor) -> None:
    """Also where half of the foreground ties at the highest score."""
    for scores in (maps, maps.clamp(max=0.25)):
        found = measure(scores, truth)
        adeval = measure(scores, truth, counter=AdevalCounter(find_strips(scores.numpy(), 10_000)))
        assert vars(found) == pytest.approx(vars(adeval), abs=1e-12)
