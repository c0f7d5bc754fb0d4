"""AD-CLSCNFs: what synthetic defects promise, and a training and its scores on small pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from killing import kill_when
from lite0 import CPU, LITE0, NETWORK, lite0_weights, work_in, written
from numpy.typing import NDArray
from pictured_samples import PicturedSample, PicturedSamples, pictured

from multiflow.base.errors import InputError
from multiflow.base.settings import deciding
from multiflow.cluster.plan import count_images, plan, render_plan
from multiflow.config import load_config, read_overlays
from multiflow.features.pretrained import create_pretrained
from multiflow.methods.cflow.encoder import LevelEncoder
from multiflow.methods.cflow.settings import Encoder
from multiflow.methods.cflow.settings import Settings as CflowSettings
from multiflow.methods.cflow.training import train_cflow
from multiflow.methods.clscnf import ClscnfMethod
from multiflow.methods.clscnf.classifier import DefectClassifier
from multiflow.methods.clscnf.cost import _KNOWN, _measure, clscnf_cost
from multiflow.methods.clscnf.settings import Classifier, Settings
from multiflow.methods.clscnf.training import train_clscnf
from multiflow.methods.clscnf.weight import GRID
from multiflow.methods.contract import Images, Model
from multiflow.methods.model import read_model, write_model
from multiflow.results.tables.context import table_context

ENCODER = NETWORK | {"padding": "zeros"}
SMALL: dict[str, Any] = {
    "image_size": 64,
    "encoder": ENCODER,
    "synthesis": {"textures": "package"},
    "tuning": {"frozen_epochs": 1, "tuned_epochs": 1, "sub_epochs": 1, "repeats": 1, "image_batch": 4},
    "flows": {"blocks": 1, "condition": 8},
    "training": {"meta_epochs": 2, "sub_epochs": 1, "image_batch": 6, "fibre_batch": 100},
    "weight_images": 4,
}


def settings(**changes: Any) -> Settings:
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in SMALL.items()}
    for name, value in changes.items():
        values[name] = values[name] | value if isinstance(value, dict) else value
    return Settings.model_validate(values)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return lite0_weights(tmp_path_factory.mktemp("weights"))


def trained(folder: Path, weights: dict[str, Path], samples: Any = None, **changes: Any) -> Model:
    model = train_clscnf(samples or pictured(), settings(**changes), 0, work_in(folder, weights))
    return replace(model, weights=weights)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, Path]) -> Model:
    return trained(tmp_path_factory.mktemp("model"), weights)


# Training


def test_a_training_records_both_stages_and_gives_the_same_bytes(tmp_path: Path, weights: dict[str, Path]) -> None:
    made = []
    for name, workers in (("first", 0), ("again", 2)):
        work = work_in(tmp_path / name, weights, workers)
        made.append(written(tmp_path / name, train_clscnf(pictured(), settings(), 0, work)))
    assert made[0] == made[1], "worker processes change nothing"
    assert [record.get("tuning_pass") for record in work.history] == [1, 2, None, None]
    assert [record.get("epoch") for record in work.history] == [None, None, 1, 2]


class Killed(BaseException):
    """What stands for a signal."""


@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_killed_stage_goes_on_and_ends_in_the_same_bytes(
    tmp_path: Path, weights: dict[str, Path], model: Model, saves: int
) -> None:
    changes = {"tuning": {"checkpoint_every": 1}, "training": {"checkpoint_every": 1}}
    work = work_in(tmp_path, weights)
    plain, count = work.save, iter(range(1, 99))

    def save(state: Any) -> None:
        plain(state)
        if next(count) == saves:
            raise Killed

    work.save = save  # type: ignore[method-assign]
    with pytest.raises(Killed):
        train_clscnf(pictured(), settings(**changes), 0, work)
    again = work_in(tmp_path, weights)
    found = train_clscnf(pictured(), settings(**changes), 0, again)
    (tmp_path / "expected").mkdir()
    assert written(tmp_path, found) == written(tmp_path / "expected", model)
    assert len(again.history) == 4
    assert work.history[:saves] == again.history[:saves], "what was done was not done again"


def test_the_flows_stage_survives_a_kill_without_a_last_word(tmp_path: Path, weights: dict[str, Path]) -> None:
    changes = {"training": {"meta_epochs": 6, "checkpoint_every": 1}}
    folder = tmp_path / "killed"

    def second_stage() -> bool:
        checkpoint = folder / "checkpoint.pt"
        return checkpoint.exists() and "decoders" in torch.load(checkpoint, weights_only=True)["state"]

    kill_when(second_stage, "test_clscnf", folder, weights, **changes)
    work = work_in(folder, weights)
    found = written(folder, train_clscnf(pictured(), settings(**changes), 0, work))
    assert found == written(tmp_path, trained(tmp_path / "whole", weights, **changes))
    assert [record["tuning_pass"] for record in work.history[:2]] == [1, 2]
    assert [record["epoch"] for record in work.history[2:]] == list(range(1, 7))


def encoder_of(found: Model) -> dict[str, torch.Tensor]:
    prefix = "classifier.encoder.model."
    return {name.removeprefix(prefix): value for name, value in found.tensors.items() if name.startswith(prefix)}


def test_the_encoder_is_tuned_in_the_last_epochs_alone_and_its_statistics_never(
    tmp_path: Path, weights: dict[str, Path], model: Model
) -> None:
    pretrained = create_pretrained(LITE0, weights[LITE0]).state_dict()
    frozen = trained(tmp_path, weights, tuning={"frozen_epochs": 2, "tuned_epochs": 0})
    assert all(torch.equal(value, pretrained[name]) for name, value in encoder_of(frozen).items())
    changed = {name for name, value in encoder_of(model).items() if not torch.equal(value, pretrained[name])}
    assert changed
    assert not any("running" in name or "num_batches" in name for name in changed)
    assert not any(name.startswith(("conv_head", "classifier")) for name in encoder_of(model))


def test_flows_that_share_no_encoder_are_those_of_cflow(tmp_path: Path, weights: dict[str, Path], model: Model) -> None:
    separate = trained(tmp_path, weights, shared_encoder=False)
    assert all(torch.equal(value, encoder_of(model)[name]) for name, value in encoder_of(separate).items())
    own = settings()
    alone = CflowSettings.model_validate(
        {"image_size": 64, "encoder": ENCODER}
        | {"decoder": own.flows.model_dump(), "training": own.training.model_dump()}
    )
    work = work_in(tmp_path / "cflow", weights)
    expected = train_cflow(pictured(), alone, 0, work).tensors
    assert all(torch.equal(separate.tensors[name], value) for name, value in expected.items())
    assert any(not torch.equal(model.tensors[name], value) for name, value in expected.items())


def test_the_classifier_learns_what_it_is_shown(tmp_path: Path, weights: dict[str, Path]) -> None:
    tuning = {"frozen_epochs": 6, "tuned_epochs": 2, "repeats": 4, "learning_rate": 2e-3}
    work = work_in(tmp_path, weights)
    synthesis = {"soft_label": "absolute", "in_domain_share": 0.0, "textures": "package"}
    changed = settings(tuning=tuning, synthesis=synthesis)
    found = replace(train_clscnf(pictured(8, 1), changed, 0, work), weights=weights)
    losses = [record["tuning_loss"] for record in work.history if "tuning_loss" in record]
    assert losses[-1] < 0.5 * losses[0]
    images = pictured(1, 2, seed=3).values[0].copy()
    images[0, 24:40, 24:40] = (250, 250, 250)
    map_ = scores(found, PicturedSample("part", images), score="classifier", tuning=tuning)
    assert map_[0, 24:40, 24:40].mean() > 3 * map_[1].mean()


# Scores


def scores(found: Model, sample: Any, **changes: Any) -> NDArray[np.float32]:
    result = ClscnfMethod().scorer(found, settings(**changes), CPU)(sample)
    assert result.image_score is None, "it is the map's maximum"
    return result.map


def test_joint_scores_are_the_weighted_sum_of_their_parts_and_need_no_other_training(model: Model) -> None:
    sample = pictured(1, seed=1)[0]
    assert deciding(settings(score="flows", weight=0.3), "training") == deciding(settings(), "training")
    flows, classifier = (scores(model, sample, score=score) for score in ("flows", "classifier"))
    assert flows.shape == classifier.shape == (2, 64, 64)
    assert ((classifier >= 0) & (classifier <= 1)).all()
    assert ((flows >= -3 * 1.5) & (flows <= 0)).all()
    assert (scores(model, sample, weight=0.0) == flows).all()
    np.testing.assert_allclose(scores(model, sample, weight=0.3), flows + 0.3 * classifier, atol=1e-6)
    chosen = float(model.tensors["weight"])
    assert chosen in GRID
    np.testing.assert_allclose(scores(model, sample), flows + chosen * classifier, atol=1e-6)


def test_a_score_depends_on_no_other_sample_and_a_stored_model_gives_the_same(
    tmp_path: Path, weights: dict[str, Path], model: Model
) -> None:
    samples = pictured(2, seed=1)
    scorer = ClscnfMethod().scorer(model, settings(), CPU)
    alone = scorer(samples[1]).map
    scorer(PicturedSample("stray", np.full((2, 64, 64, 3), 255, np.uint8)))
    assert (scorer(samples[1]).map == alone).all()
    write_model(tmp_path / "model.safetensors", model)
    stored = replace(read_model(tmp_path / "model.safetensors"), weights=weights)
    assert (scores(stored, samples[1]) == alone).all()


ODD = [
    pytest.param(pictured(1, 1), "foreground", id="one image"),
    pytest.param(PicturedSamples(np.full((2, 1, 64, 64, 3), 0, np.uint8)), "brightness", id="black"),
    pytest.param(PicturedSamples(np.full((2, 1, 64, 64, 3), 255, np.uint8)), "foreground", id="white"),
]


@pytest.mark.parametrize(("samples", "source"), ODD)
def test_what_cannot_be_learnt_from_gives_numbers(
    tmp_path: Path, weights: dict[str, Path], samples: Any, source: str
) -> None:
    synthesis = {"textures": "in_domain", "objects": {"source": source}}
    found = trained(tmp_path, weights, samples, synthesis=synthesis)
    assert np.isfinite(scores(found, pictured(1, 1, seed=1)[0])).all()
    assert np.isfinite(scores(found, samples[0])).all()


# Bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"synthesis": {"textures": "dtd", "texture_folder": "nowhere"}},
            "synthesis.texture_folder: nowhere: expected",
        ),
        ({"encoder": {"levels": [-2, -1]}}, "encoder.levels: .*expected three levels of strides 8, 16 and 32"),
        ({"encoder": {"levels": [-1, -2, -3]}}, "encoder.levels: .*expected three levels of strides 8, 16 and 32"),
        ({"encoder": {"padding": "reflect"}}, "encoder.padding: .*set encoder.padding: zeros"),
        ({"training": {"drop_last": True, "image_batch": 9}}, "expected at least training.image_batch = 9 images"),
        ({"tuning": {"learning_rate": 1e30}}, "pass . of the classifier: expected a finite loss"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    tmp_path: Path, weights: dict[str, Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        trained(tmp_path, weights, **changes)
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]


def test_models_that_do_not_fit_are_one_line(model: Model) -> None:
    without = {name: value for name, value in model.tensors.items() if name != "weight"}
    for broken, changes, message in (
        (model, {"image_size": 96}, "trained decoders: expected those of levels .* at 96 px"),
        (model, {"classifier": {"decoder": "bottleneck"}}, "trained classifier: expected one of"),
        (replace(model, tensors=without), {}, "trained classifier: expected one of"),
        (replace(model, metadata={}), {}, "trained decoders: expected a model"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            ClscnfMethod().scorer(broken, Settings.model_validate(SMALL | changes), CPU)
        assert "\n" not in caught.value.problems[0]


# Contract


def test_needs_name_the_foreground_where_it_says_where_defects_may_be() -> None:
    assert ClscnfMethod().needs(settings()).foreground
    assert not ClscnfMethod().needs(settings(synthesis={"objects": {"source": "none"}})).foreground
    assert ClscnfMethod().needs(settings()).images == 64


def test_the_cost_is_that_of_the_shapes_and_says_what_the_published_training_would_cost() -> None:
    known = _KNOWN["resnet18.tv_in1k", "auto"]
    parameters, decoder, gflop = _measure("resnet18.tv_in1k", "auto")
    assert (parameters, decoder) == known[:2]
    assert gflop == pytest.approx(known[2], rel=0.005)
    images = Images(train=100, test=10, views=1)
    published = clscnf_cost(Settings(), images)
    assert published.alternatives == {}, "the defaults are the published ones"
    tenth = Settings.model_validate({"tuning": {"frozen_epochs": 9, "tuned_epochs": 1}})
    cost = clscnf_cost(tenth, images)
    ((label, expected),) = cost.alternatives.items()
    assert label == "1,000 synthetic defects an image"
    assert cost.training_tflop < expected
    # 100 images of 1,000 draws with a WideResNet-50 and its decoder forward, and the decoder backward.
    least = 100 * 1000 * (29.77 + 3 * 7.69) / 1e3
    assert least < published.training_tflop


ROOT = Path(__file__).parents[2]


def configured(*overlays: str, **dataset: Any) -> Any:
    files = [ROOT / "config" / name for name in ("config.yaml", *overlays)]
    values = read_overlays(files)
    kept = re.compile("cflow|clscnf")
    experiments = {
        name: entry for name, entry in values["experiments"].items() if entry is not None and kept.match(name)
    }
    tables = {"methods": ["clscnf"]}
    return load_config(values | {"experiments": experiments, "tables": tables, "dataset": values["dataset"] | dataset})


def test_a_run_of_the_four_variants_trains_twice_and_its_table_shows_them() -> None:
    config = configured("clscnf.yaml", classes=["zipper"])
    assert {config.trained_as(*run) for run in config.runs} == {"clscnf", "clscnf_separate"}
    context = table_context(config)
    assert not context.contradictions("clscnf_parts")
    assert set(context.ablations["clscnf_parts"].rows) == set(context.experiments)


def test_the_plan_says_what_the_published_training_would_cost() -> None:
    config = configured("clscnf.yaml", classes=["zipper"])
    text = render_plan(config)
    match = re.search(r"- With 1,000 synthetic defects an image, the 5 trainings of clscnf would take (.+) hours", text)
    assert match is not None
    jobs = [job for job in plan(config) if job.rule == "train_model" and job.variant == "clscnf"]
    seconds = [job.alternatives["1,000 synthetic defects an image"] for job in jobs]
    assert sum(seconds) / 3600 == pytest.approx(float(match[1]), abs=0.5)
    cost = clscnf_cost(config.experiment("clscnf").settings, count_images(config)[0]["zipper"])
    ratio = cost.alternatives["1,000 synthetic defects an image"] / cost.training_tflop
    assert ratio > 5
    for job, other in zip(jobs, seconds, strict=True):
        assert job.seconds is not None
        assert other / job.seconds == pytest.approx(ratio)


def test_published_settings_differ_by_class() -> None:
    mvtec = configured("mvtec_ad.yaml", "released_clscnf_mvtec_ad.yaml")
    found = {name: mvtec.experiment("clscnf", name).settings for name in mvtec.dataset.classes}
    draws = {name: settings.tuning.passes * settings.tuning.repeats for name, settings in found.items()}
    assert {name: count for name, count in draws.items() if count != 1000} == {
        "cable": 500, "capsule": 400, "pill": 500, "screw": 200,
    }  # fmt: skip
    assert {name for name, settings in found.items() if settings.tuning.learning_rate != 1e-4} == {
        "cable", "capsule", "screw",
    }  # fmt: skip
    assert sum(settings.weight for settings in found.values()) == pytest.approx(10.9)
    assert {settings.training.passes for settings in found.values()} == {200}
    btad = configured("btad.yaml", "released_clscnf_btad.yaml")
    found = {name: btad.experiment("clscnf", name).settings for name in ("01", "02", "03")}
    assert [settings.tuning.passes * settings.tuning.repeats for settings in found.values()] == [160, 120, 120]
    assert [settings.synthesis.objects.source for settings in found.values()] == ["brightness", "none", "brightness"]
    assert {settings.training.passes for settings in found.values()} == {48}


def test_ablation_rows_are_what_they_say() -> None:
    table = ClscnfMethod.ablations["clscnf_parts"]
    own = {
        "clscnf": {},
        "clscnf_separate": {"shared_encoder": False},
        "clscnf_flows": {"shared_encoder": False, "score": "flows"},
        "clscnf_classifier": {"score": "classifier"},
    }
    for name, row in table.rows.items():
        fitting = [
            other for other, changes in own.items()
            if row.contradiction(ClscnfMethod().facts(settings(**changes), 1)) is None
        ]  # fmt: skip
        assert fitting == [name]


def test_a_classifier_for_any_backbone_of_timm_takes_its_channels() -> None:
    encoder = LevelEncoder(timm.create_model(LITE0), Encoder(backbone=LITE0, padding="zeros"))
    classifier = DefectClassifier(encoder, Classifier())
    assert classifier.decoder.deepest[0].in_channels == 320
    assert classifier.decoder.stages[0][0].conv1.in_channels == 320 + 112
    assert classifier.decoder.stages[1][0].conv1.in_channels == 256 + 40
    with torch.no_grad():
        assert classifier(torch.zeros(1, 3, 96, 96)).shape == (1, 96, 96)


def test_a_classifier_that_is_never_trained_scores_nothing() -> None:
    with pytest.raises(ValueError, match="tuning: expected at least one epoch with score: joint, found none"):
        Settings.model_validate({"tuning": {"frozen_epochs": 0, "tuned_epochs": 0}})
    assert Settings.model_validate({"score": "flows", "tuning": {"frozen_epochs": 0, "tuned_epochs": 0}})
