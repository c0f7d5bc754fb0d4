"""Noise, condition, anomaly maps and the loss."""

from __future__ import annotations

import math

import pytest
import torch

from multiflow.methods.multiflow.network import add_noise, anomaly_map, loss, sample_noise
from multiflow.methods.multiflow.released import RELEASED
from multiflow.methods.multiflow.settings import Network

SHAPE = (50, 3, 4, 30, 20)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_simplenet_has_the_variance_of_the_paper() -> None:
    noise, condition = sample_noise(Network(), SHAPE, generator())
    assert noise is not None
    assert condition is not None
    assert noise.shape == (50, 1, 30, 20)
    assert float(noise.var()) == pytest.approx(0.15, rel=0.03)
    assert torch.equal(condition, noise)


def test_simplenet_as_released() -> None:
    noise, condition = sample_noise(RELEASED, SHAPE, generator())
    assert noise is not None
    assert condition is not None
    assert float(noise.std()) == pytest.approx(0.15, rel=0.03)
    assert torch.equal(condition, 20 * noise)


@pytest.mark.parametrize(("exponent", "mean_square"), [(1.0, 1 / 3), (2.0, 1 / 5)])
def test_softflow_draws_one_deviation_per_sample(exponent: float, mean_square: float) -> None:
    noise, _ = sample_noise(Network(noise="softflow", softflow_exponent=exponent), (2000, 3, 4, 10, 10), generator())
    assert noise is not None
    deviations = noise.std(dim=(1, 2, 3))
    assert float(deviations.square().mean()) == pytest.approx(mean_square, rel=0.1)
    assert deviations.min() < 0.1
    assert deviations.max() > 0.9


def test_uniform() -> None:
    noise, _ = sample_noise(Network(noise="uniform"), SHAPE, generator())
    assert noise is not None
    assert float(noise.min()) >= 0
    assert float(noise.max()) < 1
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", ["uniform", "softflow", "simplenet"])
def test_the_generator_decides(kind: str) -> None:
    settings = Network(noise=kind)  # type: ignore[arg-type]
    first, _ = sample_noise(settings, SHAPE, generator())
    second, _ = sample_noise(settings, SHAPE, generator())
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def test_none_has_no_condition() -> None:
    assert sample_noise(Network(noise="none", noise_shape="features"), SHAPE) == (None, None)
    features = torch.randn(1, 2, 3, 4, 5)
    assert add_noise(features, None) is features


def test_views_and_channels_share_the_noise() -> None:
    features = torch.zeros(2, 3, 4, 5, 6)
    noise = torch.randn(2, 1, 5, 6)
    noisy = add_noise(features, noise)
    assert all(torch.equal(noisy[:, view, channel], noise[:, 0]) for view in range(3) for channel in range(4))


def test_anomaly_map_is_the_negative_log_likelihood() -> None:
    latents = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64)
    log_determinant = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1)
    likelihood = normal.log_prob(latents).sum(dim=2) + log_determinant
    constant = 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(anomaly_map(latents, log_determinant), -likelihood / 4 - constant)


def test_background_is_zero_and_counts_in_the_mean() -> None:
    latents = torch.randn(2, 3, 4, 5, 6)
    log_determinant = torch.randn(2, 3, 5, 6)
    foreground = torch.rand(2, 3, 5, 6) > 0.5
    scores = anomaly_map(latents, log_determinant, foreground)
    assert (scores[~foreground] == 0).all()
    torch.testing.assert_close(scores[foreground], anomaly_map(latents, log_determinant)[foreground])
    torch.testing.assert_close(loss(latents, log_determinant, foreground), scores.mean())


@pytest.mark.parametrize("kind", ["simplenet", "softflow", "uniform"])
def test_a_value_per_feature(kind: str) -> None:
    shape = (3, 2, 5, 40, 30)
    settings = Network(noise=kind, noise_shape="features", condition_scale=20)  # type: ignore[arg-type]
    noise, condition = sample_noise(settings, shape, generator())
    assert noise is not None
    assert condition is not None
    assert noise.shape == condition.shape == shape
    assert torch.equal(condition, 20 * noise)
    assert noise.unique().numel() > 0.9 * noise.numel()
    deviations = noise.std(dim=(3, 4))
    assert ((deviations / deviations.mean(dim=(1, 2), keepdim=True) - 1).abs() < 0.15).all(), "one c per sample"
    features = torch.randn(shape, generator=generator())
    assert torch.equal(add_noise(features, noise), features + noise)
