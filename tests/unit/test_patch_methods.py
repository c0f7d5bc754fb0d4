"""SoftPatch and SimpleNet: what their equations promise, and a training and its scores on small pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from anomalib_pictures import striped_parts
from lite0 import CPU, LITE0, NETWORK, lite0_weights, work_in, written
from numpy.typing import NDArray
from pictured_samples import PicturedSamples

from multiflow.base.errors import InputError
from multiflow.base.settings import deciding
from multiflow.methods.cflow.training import encode
from multiflow.methods.contract import Images, Model, Scores
from multiflow.methods.model import read_model
from multiflow.methods.patches.features import create_patch_encoder, patch_features, picture_scores
from multiflow.methods.patches.settings import PatchEncoder
from multiflow.methods.simplenet import SimpleNetMethod
from multiflow.methods.simplenet.cost import simplenet_cost
from multiflow.methods.simplenet.network import SimpleNet
from multiflow.methods.simplenet.settings import Settings as SimpleNetSettings
from multiflow.methods.simplenet.settings import Training
from multiflow.methods.simplenet.training import truncated_loss
from multiflow.methods.softpatch import SoftPatchMethod, bank
from multiflow.methods.softpatch.bank import outlier_scores
from multiflow.methods.softpatch.settings import Settings as SoftPatchSettings
from multiflow.methods.work import Work

SMALL: dict[str, dict[str, Any]] = {
    "softpatch": {"image_size": 64, "encoder": NETWORK, "neighbours": 3, "coreset_share": 0.2},
    "simplenet": {
        "image_size": 64,
        "encoder": NETWORK,
        "hidden": 64,
        "training": {
            "epochs": 6,
            "noise": 1.0,
            "adaptor_rate": 1e-3,
            "discriminator_rate": 2e-3,
            "checkpoint_every": 2,
        },
    },
}
METHODS: dict[str, Any] = {"softpatch": SoftPatchMethod(), "simplenet": SimpleNetMethod()}


def settings(name: str, **changes: Any) -> Any:
    return METHODS[name].Settings.model_validate(SMALL[name] | changes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return lite0_weights(tmp_path_factory.mktemp("weights"))


Train = Callable[..., tuple[Model, Work]]


@pytest.fixture
def train(tmp_path: Path, weights: dict[str, Path]) -> Train:
    """Train on made-up pictures; a work of the same name goes on from its checkpoint."""

    def trained(name: str, seed: int = 0, place: str = "work", samples: Any = None, **changes: Any) -> Any:
        work = work_in(tmp_path / place, weights)
        model = METHODS[name].train(samples or striped_parts(6, views=2), settings(name, **changes), seed, work)
        return replace(model, weights=weights), work

    return trained


def scores(name: str, model: Model, samples: Any, **changes: Any) -> list[Scores]:
    scorer = METHODS[name].scorer(model, settings(name, **changes), CPU)
    return [scorer(sample) for sample in samples]


# Patches


def test_patches_are_levels_averaged_over_neighbours_and_joined(weights: dict[str, Path]) -> None:
    chosen = PatchEncoder.model_validate(NETWORK)
    encoder = create_patch_encoder(chosen, weights, CPU)
    images = striped_parts(2).values[:, 0]
    fine, coarse = encode(encoder, images)
    features = patch_features(encoder, images)
    assert features.shape == (2, 8, 8, fine.shape[1] + coarse.shape[1])
    expected = fine[1, :, 2:5, 4:7].mean(dim=(1, 2))
    torch.testing.assert_close(features[1, 3, 5, : fine.shape[1]], expected)
    smooth = F.interpolate(F.avg_pool2d(coarse, 3, 1, 1), (8, 8), mode="bilinear")
    torch.testing.assert_close(features[..., fine.shape[1] :].movedim(-1, 1), smooth)


def test_a_picture_scores_as_its_highest_patch_whatever_is_smoothed() -> None:
    patches = torch.zeros(2, 8, 8)
    patches[1, 2, 6] = 3
    found = picture_scores(patches, 64)
    assert found.image_score is not None
    assert found.image_score.tolist() == [0, 3]
    assert found.map.shape == (2, 64, 64)
    assert not found.map[0].any()
    row, column = np.unravel_index(found.map[1].argmax(), (64, 64))
    assert (row // 8, column // 8) == (2, 6)
    assert 0 < found.map[1].max() < 3
    assert found.map[1].sum() == pytest.approx(3 * 64, rel=0.01), "smoothing moves scores and makes none"


# SoftPatch


@pytest.mark.parametrize("discriminator", ["lof", "nearest", "gaussian"])
def test_a_planted_patch_is_the_most_unlike_the_others_of_its_place(tmp_path: Path, discriminator: str) -> None:
    generator = torch.Generator().manual_seed(0)
    # Places differ by far more than samples do: what is normal at one would be noise at another.
    features = 100 * torch.randn(1, 2, 3, 3, 40, generator=generator) + torch.randn(
        12, 2, 3, 3, 40, generator=generator
    )
    features[7, 1, 2, 0] = features[7, 0, 0, 0]
    chosen = settings("softpatch", discriminator=discriminator, components=16)
    found = outlier_scores(features, chosen, 0, work_in(tmp_path, {}))
    assert found.shape == (12, 2, 3, 3)
    assert np.unravel_index(found.argmax(), found.shape) == (7, 1, 2, 0)
    others = np.delete(found.reshape(-1), found.argmax())
    assert found.max() > 1.3 * others.max()


def test_equal_patches_are_no_outliers_and_what_differs_from_them_has_a_finite_score(tmp_path: Path) -> None:
    features = torch.ones(12, 1, 1, 2, 8)
    features[3, 0, 0, 1] += 1e-3
    found = outlier_scores(features, settings("softpatch"), 0, work_in(tmp_path, {}))
    np.testing.assert_allclose(found[:, 0, 0, 0], 1, rtol=1e-5)
    assert found[3, 0, 0, 1] == 10


def test_a_defect_in_the_training_set_is_not_in_the_bank(train: Train) -> None:
    """With it in the bank the same defect is taken for normal; left out, it scores far above normal parts."""
    samples = striped_parts(12, defects=1)
    defects, normal = {}, {}
    for share in (0.0, 0.3):
        changes = {"noise_share": share, "coreset_share": 1.0, "weighted": False}
        model, _ = train("softpatch", samples=samples, **changes)
        *others, defects[share] = (float(np.max(one.image_score)) for one in scores("softpatch", model, samples))
        normal[share] = max(others)
        assert len(model.tensors["bank"]) == pytest.approx((1 - share) * 12 * 64, abs=1)
        assert len(model.tensors["weight"]) == len(model.tensors["bank"])
    assert defects[0.0] < 0.01 * defects[0.3]
    assert defects[0.3] > 1.5 * normal[0.3]


def test_of_patches_that_are_equally_unlike_as_many_are_left_out_as_the_share_says(train: Train) -> None:
    alike = PicturedSamples(np.full((8, 1, 64, 64, 3), 200, np.uint8))
    model, _ = train("softpatch", samples=alike, noise_share=0.25, coreset_share=1.0, discriminator="nearest")
    assert len(model.tensors["bank"]) == 0.75 * 8 * 64


def test_a_distance_counts_by_the_weight_of_the_nearest_patch(train: Train) -> None:
    model, _ = train("softpatch")
    sample = striped_parts(1, views=2, seed=2)
    (plain,), (weighted,) = (scores("softpatch", model, sample, weighted=flag) for flag in (False, True))
    assert deciding(settings("softpatch", weighted=False), "training") == deciding(settings("softpatch"), "training")
    twice = replace(model, tensors={**model.tensors, "weight": torch.full_like(model.tensors["weight"], 2)})
    (doubled,) = scores("softpatch", twice, sample)
    np.testing.assert_allclose(doubled.map, 2 * plain.map, rtol=1e-5)
    ratio = weighted.map / plain.map
    low, high = model.tensors["weight"].aminmax()
    assert ratio.min() >= float(low) - 1e-4
    assert ratio.max() <= float(high) + 1e-4
    assert ratio.std() > 1e-3


@pytest.mark.parametrize(
    ("changes", "count", "message"),
    [
        ({}, 3, "part: train: expected at least 4 samples to compare, found 3; lower neighbours"),
        ({"discriminator": "nearest"}, 1, "part: train: expected at least 2 samples to compare, found 1; give more"),
        ({"coreset_share": 1e-6}, 6, "coreset_share: expected a share of at least one of 652 patches, found 1e-06"),
    ],
)
def test_too_little_for_a_bank_is_one_line(train: Train, changes: dict[str, Any], count: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        train("softpatch", samples=striped_parts(count, views=2), **changes)
    (problem,) = caught.value.problems
    assert message in problem
    if "train:" in message:
        with pytest.raises(InputError, match="expected at least"):
            METHODS["softpatch"].check_samples(settings("softpatch", **changes), count, 2, "part")


def test_features_that_would_not_fit_are_refused_after_the_first_sample(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 2 * 6 * 2 * 64 * 152 * 4  # twice six samples of two views, 8 x 8 places of 40 + 112 channels
    monkeypatch.setattr(bank, "free_bytes", lambda device: needed)
    train("softpatch")
    monkeypatch.setattr(bank, "free_bytes", lambda device: needed - 1)
    with pytest.raises(InputError, match=r"mine on part: expected 0\.0 GB of free memory .* a smaller image_size"):
        train("softpatch")


# SimpleNet


def test_the_loss_is_truncated_at_the_margin() -> None:
    class Judge(SimpleNet):
        def normality(self, adapted: torch.Tensor) -> torch.Tensor:
            return adapted[:, 0]

    judge = Judge(1, 1)
    torch.nn.init.ones_(judge.adaptor.weight)

    def loss(*rows: float) -> float:
        tiny = Training(noise=1e-9)
        found = truncated_loss(judge, torch.tensor(rows)[:, None], tiny, torch.Generator().manual_seed(0))
        return float(found.detach())

    # A feature is its own anomaly here: normal ones cost 0.5 - d, anomalous ones 0.5 + d, none less than nothing.
    assert loss(0.0) == pytest.approx(1)
    assert loss(0.4) == pytest.approx(1)
    assert loss(2.0) == pytest.approx(2.5)
    assert loss(-2.0) == pytest.approx(2.5)
    assert loss(0.0, 2.0) == pytest.approx(1.75)


def test_the_loss_falls_and_training_pictures_score_below_a_defect(train: Train) -> None:
    model, work = train("simplenet", training=SMALL["simplenet"]["training"] | {"epochs": 20})
    losses = [line["loss"] for line in work.history]
    assert len(losses) == 20
    assert losses[-1] < 0.2 * losses[0]
    normal = scores("simplenet", model, striped_parts(6, views=2))
    (defect,) = scores("simplenet", model, striped_parts(1, views=2, seed=9, defects=1))
    assert max(float(one.image_score.max()) for one in normal if one.image_score is not None) < float(
        np.asarray(defect.image_score).min()
    )
    assert defect.map[:, 16:32, 16:32].mean() > defect.map[:, 40:, 40:].mean()


def test_a_killed_training_goes_on_and_ends_in_the_same_bytes(train: Train, tmp_path: Path) -> None:
    from multiflow.methods.simplenet import training

    whole, work = train("simplenet")
    step, count = training.truncated_loss, iter(range(100))

    def killed(*arguments: Any) -> Any:
        if next(count) == 10:  # in the fourth of six epochs of three batches, after a checkpoint
            raise SystemExit(1)
        return step(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "truncated_loss", killed)
        with pytest.raises(SystemExit):
            train("simplenet", place="killed")
    assert (tmp_path / "killed/checkpoint.pt").exists()
    resumed, again = train("simplenet", place="killed")
    assert [line["loss"] for line in again.history] == [line["loss"] for line in work.history]
    assert written(tmp_path, resumed) == written(tmp_path, whole)


def test_a_diverged_training_is_one_line(train: Train) -> None:
    with pytest.raises(InputError, match=r"mine on part: epoch .: expected a finite loss, found .*; lower training\."):
        train("simplenet", training=SMALL["simplenet"]["training"] | {"adaptor_rate": 1e30, "discriminator_rate": 1e30})


def test_the_cost_is_that_of_the_shapes() -> None:
    cost = simplenet_cost(SimpleNetSettings(), Images(train=10, test=3, views=2))
    # 32 x 32 patches of 512 + 1024 channels; the WideResNet-50 takes 29.77 GFLOP.
    patches, adaptor, discriminator = 32 * 32, 1536**2, 1024 * 1537
    layers = 2 * patches * (adaptor + discriminator) / 1e12
    assert cost.scoring_tflop == pytest.approx(2 * (29.77e-3 + layers))
    step = 29.77e-3 + 6 * patches * (adaptor + 2 * discriminator) / 1e12
    assert cost.training_tflop == pytest.approx(160 * 20 * step)
    stored = sum(tensor.numel() for tensor in SimpleNet(1536, 1024).state_dict().values()) - 1  # batches are counted
    assert cost.model_bytes == 4 * stored


# Both


@pytest.mark.parametrize("name", METHODS)
def test_a_model_depends_on_its_seed_alone(train: Train, tmp_path: Path, name: str) -> None:
    first, _ = train(name)
    torch.rand(5)
    assert written(tmp_path, train(name, place="again")[0]) == written(tmp_path, first)
    assert written(tmp_path, train(name, seed=1, place="other")[0]) != written(tmp_path, first)
    assert not any("encoder" in tensor for tensor in first.tensors), "the network's weights are a file of the run"


@pytest.mark.parametrize("name", METHODS)
def test_a_stored_model_scores_one_view_at_a_time(train: Train, tmp_path: Path, name: str) -> None:
    model, _ = train(name)
    both = striped_parts(2, views=2, seed=3)
    expected = scores(name, model, both)
    written(tmp_path, model)
    stored = replace(read_model(tmp_path / "model.safetensors"), weights=model.weights)
    (other,) = scores(name, stored, replace(both, values=both.values[1:, 1:]))

    def same(one: NDArray[np.float32] | None, two: NDArray[np.float32] | None) -> None:
        assert one is not None
        assert two is not None
        np.testing.assert_allclose(one[0], two[1], rtol=1e-4, atol=1e-4)

    same(other.map, expected[1].map)
    same(other.image_score, expected[1].image_score)


@pytest.mark.parametrize(("name", "words"), [("softpatch", "trained bank: expected"), ("simplenet", "trained layers:")])
def test_a_model_of_another_network_is_one_line(train: Train, name: str, words: str) -> None:
    model, _ = train(name)
    for changes, tensors in (({"encoder": NETWORK | {"levels": [-3]}}, model.tensors), ({}, {})):
        with pytest.raises(InputError, match=words) as caught:
            scores(name, replace(model, tensors=tensors), [], **changes)
        assert "\n" not in caught.value.problems[0]


def test_footnotes_name_network_and_what_was_left_out_or_trained() -> None:
    network = f"{LITE0} at 64 px"
    assert METHODS["softpatch"].describe(settings("softpatch", weighted=False), 5) == {
        "network": network,
        "bank": "15 % of the patches left out (lof), coreset of 20 %, distances not weighted",
    }
    assert METHODS["simplenet"].describe(settings("simplenet"), 5) == {
        "network": network,
        "training": "6 epochs, noise 1",
    }


def test_the_defaults_are_the_papers() -> None:
    softpatch, simplenet = SoftPatchSettings(), SimpleNetSettings()
    assert (softpatch.neighbours, softpatch.noise_share, softpatch.coreset_share) == (6, 0.15, 0.1)
    training = simplenet.training
    assert (training.noise, training.margin, training.epochs, training.image_batch) == (0.015, 0.5, 160, 4)
    for own in (softpatch, simplenet):
        assert (own.encoder.backbone, own.encoder.padding) == ("wide_resnet50_2.tv_in1k", "zeros")
