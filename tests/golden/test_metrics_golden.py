"""The metrics against values that the released code's libraries and an exact computation gave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from multiflow.metrics import PixelMetrics, PixelResult, auroc, sample_labels, sample_scores, upsample

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


def measure(maps: torch.Tensor, truth: torch.Tensor, strips: int = 10_000) -> PixelResult:
    metrics = PixelMetrics(float(maps.min()), float(maps.max()), strips)
    for anomaly_map, mask in zip(maps, truth, strict=True):
        metrics.update(anomaly_map, mask)
    return metrics.result()


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


def test_a_thousand_strips_are_nearly_enough(
    golden: dict[str, np.ndarray], maps: torch.Tensor, truth: torch.Tensor
) -> None:
    result = measure(maps, truth, strips=1000)
    assert result.auroc == pytest.approx(golden["exact/pixel_auroc"], abs=1e-4)
    assert result.aupro == pytest.approx(golden["exact/aupro"], abs=5e-4)


def test_one_far_score_does_not_spoil_the_others(
    golden: dict[str, np.ndarray], maps: torch.Tensor, truth: torch.Tensor
) -> None:
    """A pixel ten times as high as all others leaves the metrics where they were."""
    spiked = maps.clone()
    spiked[0, 0, 0] = 10 * maps.max()
    result = measure(spiked, truth)
    assert result.auroc == pytest.approx(golden["exact/pixel_auroc"], abs=1e-4)
    assert result.aupro == pytest.approx(golden["exact/aupro"], abs=5e-4)


def test_integration_agrees_with_adeval(
    golden: dict[str, np.ndarray], maps: torch.Tensor, truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADEval's own summary of the same accumulator, `np.trapz` given back to it."""
    metrics = PixelMetrics(float(maps.min()), float(maps.max()))
    for anomaly_map, mask in zip(maps, truth, strict=True):
        metrics.update(anomaly_map, mask)
    monkeypatch.setattr(np, "trapz", np.trapezoid, raising=False)
    accumulator = metrics._accumulator
    result = metrics.result()
    assert result.auroc == pytest.approx(accumulator._auroc(accumulator._pixel_acc), abs=1e-12)
    assert result.aupro == pytest.approx(float(accumulator._aupro()), abs=1e-12)


def histogram_as_on_a_gpu(scores: torch.Tensor, bins: int, min: float, max: float) -> torch.Tensor:
    """``torch.histc`` on CUDA: the right edge lies in the last bin and in the overflow, too."""
    scores = scores.reshape(-1)
    inside = scores[(scores >= min) & (scores <= max)]
    index = ((inside - min) / (max - min) * bins).long().clamp(max=bins - 1)
    counts = torch.zeros(bins + 2, dtype=torch.float64)
    counts[1:-1] = torch.bincount(index, minlength=bins)
    counts[0] = scores.less(min).count_nonzero()
    counts[-1] = scores.greater_equal(max).count_nonzero()
    return counts


def test_gpu_class_gives_the_same_and_counts_nothing_twice(
    maps: torch.Tensor, truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADEval's GPU class, its tensors placed on the CPU; half of the foreground sits on the upper bound."""
    import adeval
    from adeval import cuda_mem_effic

    clamped = maps.clamp(max=0.25)
    expected = measure(clamped, truth)
    pixels = truth.numel()

    real = torch.zeros
    rerouted = SimpleNamespace(**{name: getattr(torch, name) for name in dir(torch) if not name.startswith("__")})
    rerouted.zeros = lambda *size, dtype, device: real(*size, dtype=dtype)
    monkeypatch.setattr(cuda_mem_effic, "torch", rerouted)
    monkeypatch.setattr(cuda_mem_effic, "_histogram_bins", histogram_as_on_a_gpu)
    monkeypatch.setattr(adeval, "EvalAccumulator", adeval.EvalAccumulatorCuda)

    metrics = PixelMetrics(float(clamped.min()), float(clamped.max()))
    real_tensors = metrics._accumulator
    monkeypatch.setattr(
        metrics,
        "_accumulator",
        SimpleNamespace(
            add_anomap=lambda scores, mask: real_tensors.add_anomap(torch.from_numpy(scores), torch.from_numpy(mask)),
            _pixel_acc=real_tensors._pixel_acc,
        ),
    )
    for anomaly_map, mask in zip(clamped, truth, strict=True):
        metrics.update(anomaly_map, mask)
    counted = real_tensors._pixel_acc.pos_stat.sum() + real_tensors._pixel_acc.neg_stat.sum()
    assert float(counted) == pixels
    result = metrics.result()
    assert result.auroc == expected.auroc
    assert result.aupro == pytest.approx(expected.aupro, abs=1e-12)

    # The same data handed over as the released code does: the trap is really there.
    naive = adeval.EvalAccumulatorCuda(float(clamped.min()), float(clamped.max()), nstrips=10_000)
    for anomaly_map, mask in zip(clamped, truth, strict=True):
        naive.add_anomap(anomaly_map, mask.to(torch.uint8))
    assert float(naive._pixel_acc.pos_stat.sum() + naive._pixel_acc.neg_stat.sum()) > 1.05 * pixels
