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
from numpy.typing import NDArray
from pictured_samples import PicturedSample, PicturedSamples, pictured
from PIL import Image

from multiflow.base.errors import InputError
from multiflow.base.settings import deciding
from multiflow.cluster.plan import plan, render_plan
from multiflow.config import load_config, read_overlays
from multiflow.features.pretrained import create_pretrained, fetch_weights
from multiflow.methods.cflow.encoder import LevelEncoder
from multiflow.methods.cflow.settings import Encoder
from multiflow.methods.cflow.settings import Settings as CflowSettings
from multiflow.methods.cflow.training import train_cflow
from multiflow.methods.clscnf import ClscnfMethod
from multiflow.methods.clscnf.classifier import DefectClassifier
from multiflow.methods.clscnf.cost import _KNOWN, _measure, clscnf_cost
from multiflow.methods.clscnf.settings import Classifier, Settings, Synthesis
from multiflow.methods.clscnf.synthetic.defects import Draw, blended
from multiflow.methods.clscnf.synthetic.objects import object_mask
from multiflow.methods.clscnf.synthetic.operations import altered
from multiflow.methods.clscnf.synthetic.pictures import NormalPictures, read_pictures
from multiflow.methods.clscnf.synthetic.textures import find_textures
from multiflow.methods.clscnf.training import train_clscnf
from multiflow.methods.clscnf.weight import GRID, best_weight
from multiflow.methods.contract import Images, Model
from multiflow.methods.model import read_model, write_model
from multiflow.methods.work import Work
from multiflow.results.figures.illustration import plot_illustration
from multiflow.results.tables.context import table_context

LITE0 = "tf_efficientnet_lite0.in1k"
CPU = torch.device("cpu")
ENCODER = {"backbone": LITE0, "weights": "package", "padding": "zeros"}
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
    path = tmp_path_factory.mktemp("weights") / f"{LITE0}.safetensors"
    fetch_weights(settings().encoder, path)
    return {LITE0: path}


def work_in(folder: Path, weights: dict[str, Path], workers: int = 0) -> Work:
    folder.mkdir(exist_ok=True)
    torch.set_num_threads(1)  # as train_model sets them
    return Work(CPU, 1, folder / "checkpoint.pt", "fingerprint", weights, workers=workers)


def trained(folder: Path, weights: dict[str, Path], samples: Any = None, **changes: Any) -> Model:
    model = train_clscnf(samples or pictured(), settings(**changes), 0, work_in(folder, weights))
    return replace(model, weights=weights)


def written(folder: Path, model: Model) -> bytes:
    write_model(folder / "model.safetensors", model)
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, Path]) -> Model:
    return trained(tmp_path_factory.mktemp("model"), weights)


# Synthetic defects


def pictures(synthesis: Synthesis | None = None) -> NormalPictures:
    places = [(sample, view) for sample in range(4) for view in range(2)]
    return read_pictures(pictured(), places, synthesis or Synthesis(textures="package"), 64)


def test_a_defect_is_where_its_mask_is_and_there_alone() -> None:
    found = pictures()
    draws = list(found.draws([0, 1, 2, 3] * 5, (0, 1)))
    for draw, again in zip(draws, found.draws([0, 1, 2, 3] * 5, (0, 1)), strict=True):
        source, mask, defect = draw.parts()
        normal = (draw.picture / 255).astype(np.float32)
        assert (defect.image[~defect.mask] == normal[~defect.mask]).all()
        assert defect.mask.any() == (defect.label > 0)
        assert set(np.unique(defect.target).tolist()) <= {0.0, np.float32(defect.label)}
        assert not (mask & ~draw.part).any()
        assert source.shape == draw.picture.shape
        assert (again.make().image == defect.image).all(), "it depends on nothing but its seed"
    assert sum(draw.part.all() for draw in draws) == 0, "the foreground is a part of the picture"


def test_every_draw_has_a_generator_of_its_own() -> None:
    found = pictures()
    many, one = list(found.draws([3, 3, 2], (0, 7))), list(found.draws([3], (0, 7)))
    assert (many[0].make().image == one[0].make().image).all()
    assert (many[0].make().image != many[1].make().image).any()
    assert (next(found.draws([3], (0, 8))).make().image != one[0].make().image).any()


def test_what_defects_are_made_of() -> None:
    def sources(**changes: Any) -> list[bool]:
        found = pictures(Synthesis.model_validate({"textures": "package"} | changes))
        own = [image.tobytes() for image in found.images]
        return [
            isinstance(draw.other, np.ndarray) and draw.other.tobytes() in own for draw in found.draws([0] * 60, (1,))
        ]

    assert all(sources(textures="in_domain"))
    assert not any(sources(in_domain_share=0.0))
    assert 0.2 < np.mean(sources()) < 0.8


def draw_of(picture: NDArray[np.uint8], part: NDArray[np.bool_], seed: int = 0, **changes: Any) -> Draw:
    return Draw(picture, part, 255 - picture, np.random.default_rng(seed), Synthesis.model_validate(changes))


def test_a_picture_without_an_object_gets_its_defects_everywhere() -> None:
    picture = pictured().values[0, 0]
    for seed in range(5):
        nowhere, everywhere = (draw_of(picture, np.full((64, 64), part), seed).parts()[1] for part in (False, True))
        assert (nowhere == everywhere).all()
    constant = np.full((64, 64, 3), 100, np.uint8)
    for bright in (False, True):
        part = object_mask(constant, bright, filled=True) > 0
        assert (draw_of(constant, part).parts()[1] == draw_of(constant, ~part).parts()[1]).all()


def test_the_share_of_pictures_with_a_defect() -> None:
    picture, part = pictured().values[0, 0], np.ones((64, 64), bool)
    assert not any(draw_of(picture, part, seed, share=0.0).make().mask.any() for seed in range(10))
    assert any(draw_of(picture, part, seed).make().mask.any() for seed in range(10))


def test_soft_labels_by_the_signed_and_the_absolute_difference() -> None:
    grey, mask = np.full((8, 8, 3), 128, np.uint8), np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    for value, signed in ((48, 0.17), (208, 0.83)):
        source = np.full((8, 8, 3), value, np.uint8)
        assert blended(grey, source, mask, 0.0, "signed").label == pytest.approx(signed, abs=0.01)
        assert blended(grey, source, mask, 0.0, "absolute").label == pytest.approx(0.83, abs=0.01)
    same = blended(grey, grey, mask, 0.3, "signed")
    assert not same.mask.any(), "what has changed nothing is no defect"
    assert same.label == 0


def test_operations_keep_pictures_and_do_something() -> None:
    picture = pictured().values[0, 0]
    found = [altered(picture, np.random.default_rng(seed)) for seed in range(30)]
    assert {image.shape for image in found} == {picture.shape}
    assert {image.dtype for image in found} == {np.dtype(np.uint8)}
    assert sum((image != picture).any() for image in found) > 25
    for value in (0, 255):  # a constant picture
        constant = np.full_like(picture, value)
        assert all(altered(constant, np.random.default_rng(seed)).shape == picture.shape for seed in range(30))


def test_textures_of_a_folder(tmp_path: Path) -> None:
    synthesis = Synthesis(texture_folder=str(tmp_path / "dtd"))
    for state in ("no such folder", "none in it"):
        with pytest.raises(InputError, match=rf"texture_folder: .*dtd: .*found {state}; give that of DTD") as caught:
            find_textures(synthesis, 64)
        assert "\n" not in caught.value.problems[0]
        (tmp_path / "dtd").mkdir(exist_ok=True)
    (tmp_path / "dtd/images/bumpy").mkdir(parents=True)
    Image.new("RGB", (90, 70), (255, 0, 0)).save(tmp_path / "dtd/images/bumpy/one.png")
    found = find_textures(synthesis, 64)
    assert found == [tmp_path / "dtd/images/bumpy/one.png"]
    draw = draw_of(pictured().values[0, 0], np.ones((64, 64), bool))
    source, _, _ = replace(draw, other=found[0]).parts()
    assert source.shape == (64, 64, 3)


# Weight


def test_the_weight_is_that_of_the_highest_aupr_and_the_larger_of_equals() -> None:
    truth = np.zeros((2, 8, 8), bool)
    truth[0, :2] = True
    useful, useless = truth.astype(np.float32), np.zeros((2, 8, 8), np.float32)
    random = np.random.default_rng(0).random((2, 8, 8))
    assert best_weight(random, useful, truth) == 1.0
    assert best_weight(random, useless, truth) == GRID[-1], "all are equal"
    # A classifier that errs is worth little beside flows that are right.
    assert best_weight(0.5 * ~truth, 1 - useful, truth) == 0.45
    assert best_weight(random, useful, np.zeros_like(truth)) is None


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
        (model, {"image_size": 96}, "trained flows: expected those of levels .* at 96 px"),
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
    experiments = {name: entry for name, entry in values["experiments"].items() if re.match("multiflow|clscnf", name)}
    return load_config(values | {"experiments": experiments, "dataset": values["dataset"] | dataset})


def test_a_run_of_the_four_variants_trains_twice_and_its_table_shows_them() -> None:
    config = configured("clscnf.yaml", classes=["zipper"])
    assert {config.trained_as(*run) for run in config.runs} == {"multiflow", "clscnf", "clscnf_separate"}
    context = table_context(config)
    assert not context.contradictions("clscnf_parts")
    assert set(context.ablations["clscnf_parts"].rows) == set(context.experiments) - {"multiflow"}


def test_the_plan_says_what_the_published_training_would_cost() -> None:
    config = configured("clscnf.yaml", classes=["zipper"])
    text = render_plan(config)
    match = re.search(r"- With 1,000 synthetic defects an image, the 5 trainings of clscnf would take (.+) hours", text)
    assert match is not None
    jobs = [job for job in plan(config) if job.rule == "train_model" and job.variant == "clscnf"]
    assert sum(job.alternatives["1,000 synthetic defects an image"] for job in jobs) / 3600 == pytest.approx(
        float(match[1]), abs=0.5
    )
    assert all(job.seconds and job.seconds < job.alternatives["1,000 synthetic defects an image"] / 5 for job in jobs)


def test_published_settings_differ_by_class() -> None:
    unlike = {"published": None, "cameras": ["C1"], "flips": None}
    names = (
        "bottle cable capsule carpet grid hazelnut leather metal_nut pill screw tile toothbrush transistor wood zipper"
    )
    mvtec = configured("released_clscnf_mvtec_ad.yaml", classes=names.split(), **unlike)
    found = {name: mvtec.experiment("clscnf", name).settings for name in names.split()}
    draws = {name: settings.tuning.passes * settings.tuning.repeats for name, settings in found.items()}
    assert {name: count for name, count in draws.items() if count != 1000} == {
        "cable": 500, "capsule": 400, "pill": 500, "screw": 200,
    }  # fmt: skip
    assert {name for name, settings in found.items() if settings.tuning.learning_rate != 1e-4} == {
        "cable", "capsule", "screw",
    }  # fmt: skip
    assert sum(settings.weight for settings in found.values()) == pytest.approx(10.9)
    assert {settings.training.passes for settings in found.values()} == {200}
    btad = configured("released_clscnf_btad.yaml", classes=["01", "02", "03"], **unlike)
    found = {name: btad.experiment("clscnf", name).settings for name in ("01", "02", "03")}
    assert [settings.tuning.passes * settings.tuning.repeats for settings in found.values()] == [160, 120, 120]
    assert [settings.synthesis.objects.source for settings in found.values()] == ["brightness", "none", "brightness"]
    assert {settings.training.passes for settings in found.values()} == {48}


def test_synthetic_defects_are_illustrated(tmp_path: Path) -> None:
    found = ClscnfMethod().illustrate(pictured(3, 2), settings(), 0)
    assert len(found.rows) == len(found.notes) == 6
    for pictures, note in zip(found.rows, found.notes, strict=True):
        assert len(pictures) == len(found.columns)
        normal, part, source, mask, blended_, target = pictures
        assert normal.shape == source.shape == blended_.shape == (64, 64, 3)
        assert not (mask & ~part).any()
        assert ((target > 0) <= mask).all()
        assert re.fullmatch(r"part_\d\nC[12], (label 0\.\d\d|no defect)", note)
    assert {note.split("\n")[1][:2] for note in found.notes} == {"C1", "C2"}
    paths = tmp_path / "figure.png", tmp_path / "figure.pdf"
    plot_illustration(found, "part", "AD-CLSCNFs", *paths)
    with Image.open(paths[0]) as picture:
        assert picture.height > 6 * 120
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    assert paths[1].stat().st_size > 5000


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
