"""CFLOW-AD: what its parts promise, and a training and its scores on small pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from killing import kill_when
from lite0 import CPU, LITE0, lite0_weights, work_in, written
from numpy.typing import NDArray
from pictured_samples import PicturedSample, PicturedSamples, pictured
from torch import nn

from multiflow.base.errors import InputError
from multiflow.base.settings import deciding
from multiflow.features.pretrained import create_pretrained, fetch_weights
from multiflow.methods.cflow import CflowMethod
from multiflow.methods.cflow.cost import _KNOWN, _measure, cflow_cost, decoder_parameters
from multiflow.methods.cflow.decoder import create_decoder, random_rotation
from multiflow.methods.cflow.encoder import LevelEncoder, create_encoder
from multiflow.methods.cflow.position import position_code
from multiflow.methods.cflow.scoring import anomaly_map
from multiflow.methods.cflow.settings import Decoder, Encoder, Settings
from multiflow.methods.cflow.training import encode, train_cflow
from multiflow.methods.contract import Images, Model
from multiflow.methods.model import read_model, write_model
from multiflow.methods.stages import Stages

SMALL: dict[str, Any] = {
    "image_size": 64,
    "encoder": {"backbone": LITE0, "weights": "package", "padding": "zeros", "levels": [-3, -1]},
    "decoder": {"blocks": 2, "condition": 8},
    "training": {"meta_epochs": 2, "sub_epochs": 2, "image_batch": 4, "fibre_batch": 16, "checkpoint_every": 1},
}


def settings(**changes: Any) -> Settings:
    values = {name: dict(value) if isinstance(value, dict) else value for name, value in SMALL.items()}
    for name, value in changes.items():
        values[name] = values[name] | value if isinstance(value, dict) else value
    return Settings.model_validate(values)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return lite0_weights(tmp_path_factory.mktemp("weights"))


def trained(folder: Path, weights: dict[str, Path], samples: Any = None, seed: int = 0, **changes: Any) -> Model:
    model = train_cflow(samples or pictured(), settings(**changes), seed, work_in(folder, weights))
    return replace(model, weights=weights)


# Parts


def test_a_position_code_tells_column_and_row_apart() -> None:
    code = position_code(16, 5, 7, torch.float64)
    assert torch.equal(code[:8], code[:8, :1].expand(-1, 5, -1)), "the first half is the same in all rows"
    assert torch.equal(code[8:], code[8:, :, :1].expand(-1, -1, 7)), "the second half is the same in all columns"
    assert len(code.flatten(1).T.unique(dim=0)) == 35
    assert torch.allclose(code[:8, 0, :5], code[8:, :, 0])


@pytest.mark.parametrize("channels", [2, 7, 64])
def test_a_rotation_is_one_and_depends_on_the_generator(channels: int) -> None:
    found = [random_rotation(channels, torch.Generator().manual_seed(seed)).double() for seed in range(20)]
    for rotation in found:
        torch.testing.assert_close(rotation @ rotation.T, torch.eye(channels, dtype=torch.float64), atol=1e-5, rtol=0)
        assert torch.linalg.det(rotation) == pytest.approx(1, abs=1e-4)
    again = random_rotation(channels, torch.Generator().manual_seed(0)).double()
    assert torch.equal(found[0], again)
    assert abs(float(torch.stack(found)[:, 0, 0].mean())) < 0.6, "it is drawn from all rotations, not near one"


@pytest.mark.parametrize("channels", [7, 8])
def test_a_decoder_inverts_and_its_determinant_is_that_of_autograd(channels: int) -> None:
    torch.manual_seed(0)
    state = np.random.get_state()[1].tolist()
    flow = create_decoder(channels, Decoder(blocks=2, condition=8), torch.Generator().manual_seed(0)).double()
    assert np.random.get_state()[1].tolist() == state, "the global generator of NumPy stays"
    x, condition = torch.randn(3, channels).double(), torch.randn(3, 8).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    z, log_determinant = flow(x, [condition])
    back, inverse_log_determinant = flow(z, [condition], rev=True)
    torch.testing.assert_close(back, x, atol=1e-5, rtol=0)
    torch.testing.assert_close(inverse_log_determinant, -log_determinant, atol=1e-5, rtol=0)
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda value, row=row: flow(value[None], [condition[row : row + 1]])[0][0], x[row]
        )
        assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(log_determinant[row].item(), abs=1e-5)


def test_parameters_are_counted_without_building_and_a_rotation_is_none_and_stored_once() -> None:
    decoder = Decoder(blocks=2, condition=8)
    for channels in (7, 12):
        flow = create_decoder(channels, decoder, torch.Generator())
        assert sum(parameter.numel() for parameter in flow.parameters()) == decoder_parameters(channels, decoder)
        assert all(parameter.requires_grad for parameter in flow.parameters())
        matrices = [name for name, tensor in flow.state_dict().items() if tensor.shape == (channels, channels)]
        assert matrices == ["module_list.0.rotation", "module_list.1.rotation"]
    counts = [decoder_parameters(channels, Decoder()) / 1e6 for channels in (512, 1024, 2048)]
    assert counts == pytest.approx([5.52, 17.07, 59.05], abs=0.005)


@pytest.mark.parametrize("backbone", ["resnet18.tv_in1k", "wide_resnet50_2.tv_in1k"])
def test_every_padded_convolution_reflects(backbone: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(backbone)
    LevelEncoder(model, Encoder(backbone=backbone))
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    modes = {(any(layer.padding), layer.padding_mode) for layer in layers}
    assert modes == {(True, "reflect"), (False, "zeros")}


def test_levels_are_those_of_timm_in_the_order_of_the_settings(weights: dict[str, Path]) -> None:
    images = torch.from_numpy(pictured(1).values[0])
    model = timm.create_model(LITE0, features_only=True).eval()
    model.load_state_dict(create_pretrained(LITE0, weights[LITE0]).state_dict(), strict=False)
    for levels in ([-3, -2, -1], [4, 0], [-1]):
        encoder = create_encoder(settings(encoder={"levels": levels}).encoder, weights)
        with torch.no_grad():
            expected = model(encoder.normalize(images))
            found = encoder(encoder.normalize(images))
        assert all(torch.equal(one, expected[level]) for one, level in zip(found, levels, strict=True))
        assert encoder.shapes(64) == [tuple(one.shape[1:]) for one in found]
    assert not encoder.train().model.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


# Training


def test_same_seed_same_bytes_and_the_loss_falls(tmp_path: Path, weights: dict[str, Path]) -> None:
    training = {"meta_epochs": 5, "learning_rate": 1e-3}
    made = []
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        work = work_in(tmp_path / name, weights)
        model = train_cflow(pictured(), settings(training=training), seed, work)
        made.append(written(tmp_path / name, model))
    assert made[0] == made[1] != made[2]
    losses = [record["loss"] for record in work.history]
    assert [record["epoch"] for record in work.history] == list(range(1, 11))
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    assert read_model(tmp_path / "first/model.safetensors").tensors["maximum"].shape == (2,)


@pytest.mark.parametrize("coasting", [False, True])
def test_a_killed_training_goes_on_and_ends_the_same(tmp_path: Path, weights: dict[str, Path], coasting: bool) -> None:
    changes = {"training": {"meta_epochs": 5, "sub_epochs": 4, "coasting": coasting}}
    expected = written(tmp_path, trained(tmp_path / "whole", weights, **changes))
    folder = tmp_path / "killed"
    kill_when((folder / "checkpoint.pt").exists, "test_cflow", folder, weights, **changes)
    work = work_in(folder, weights)
    resumed: list[int] = []
    plain = work.resume
    work.resume = lambda restore: resumed.append(plain(restore)) or bool(resumed[-1])  # type: ignore[method-assign]
    model = train_cflow(pictured(), settings(**changes), 0, work)
    assert resumed == [True]
    assert written(folder, model) == expected
    assert [record["epoch"] for record in work.history] == list(range(1, 21))


def killed_at(count: int, save: Any) -> Any:
    """A function that saves so many times less one, and then ends the job."""
    calls = iter(range(1, count))

    def saved(values: Any) -> None:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        save(values)

    return saved


def test_models_after_each_meta_epoch_are_kept_with_their_own_maxima_and_survive_a_kill(
    tmp_path: Path, weights: dict[str, Path]
) -> None:
    chosen = settings(training={"meta_epochs": 3, "sub_epochs": 2})
    plain = train_cflow(pictured(), chosen, 0, work_in(tmp_path / "plain", weights))
    files = []
    for name in ("whole", "killed"):
        work = work_in(tmp_path / name, weights)
        work.stages = Stages(work.checkpoint, "fingerprint")
        if name == "killed":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(work, "save", killed_at(3, work.save))
                with pytest.raises(KeyboardInterrupt):
                    train_cflow(pictured(), chosen, 0, work)
            work = work_in(tmp_path / name, weights)
            work.stages = Stages(work.checkpoint, "fingerprint")
        last = train_cflow(pictured(), chosen, 0, work)
        assert work.stages is not None
        with work.stages.opened() as earlier:
            assert list(earlier) == ["pass 2", "pass 4"]
            assert len(earlier) == CflowMethod().stages(chosen)
            write_model(tmp_path / name / "model.safetensors", last, earlier)
        files.append(tmp_path / name / "model.safetensors")
        assert all(torch.equal(plain.tensors[key], tensor) for key, tensor in last.tensors.items()), "as without them"
    assert files[0].read_bytes() == files[1].read_bytes()
    earlier_model = replace(read_model(files[0], "pass 2"), weights=weights)
    assert not torch.equal(earlier_model.tensors["maximum"], plain.tensors["maximum"])
    sample = pictured(1, seed=1)[0]
    scores = CflowMethod().scorer(earlier_model, chosen, CPU)(sample).map
    last_scores = CflowMethod().scorer(replace(plain, weights=weights), chosen, CPU)(sample).map
    assert (scores != last_scores).any()


def test_what_a_training_sees_is_turned_by_at_most_the_angle_and_filled(
    tmp_path: Path, weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NDArray[np.uint8]] = []
    original = encode
    place = "multiflow.methods.cflow.training.encode"
    monkeypatch.setattr(place, lambda encoder, images: seen.append(images) or original(encoder, images))
    white = PicturedSamples(np.full((4, 1, 64, 64, 3), 255, np.uint8))
    once = {"meta_epochs": 1, "sub_epochs": 1}
    for name, changes, corner in (
        ("black", {"rotation": 5.0}, 0),
        ("mean", {"rotation": 5.0, "rotation_fill": "mean"}, 128),
        ("none", {"rotation": 0.0}, 255),
    ):
        seen.clear()
        trained(tmp_path / name, weights, white, training=once | changes)
        turned, measured = seen[0], np.concatenate(seen[1:])
        assert (measured == 255).all(), "the training set's maximum is that of the pictures as they are"
        values = set(np.unique(turned).tolist())
        assert values == {255, corner}
        assert (turned[:, 8:-8, 8:-8] == 255).all(), "5 degrees reach no farther"


# Scores


def test_a_score_depends_on_no_other_sample(tmp_path: Path, weights: dict[str, Path]) -> None:
    model, samples = trained(tmp_path, weights), pictured(3, seed=1)
    scorer = CflowMethod().scorer(model, settings(), CPU)
    assert not hasattr(scorer, "survey")
    alone = scorer(samples[1])
    scorer(PicturedSample("stray", np.full((2, 64, 64, 3), 255, np.uint8)))  # type: ignore[arg-type]
    again = scorer(samples[1])
    assert alone.map.shape == (2, 64, 64)
    assert alone.map.dtype == np.float32
    assert (alone.map == again.map).all()
    assert alone.image_score is None, "it is the map's maximum"


def test_a_stored_model_gives_equal_scores(tmp_path: Path, weights: dict[str, Path]) -> None:
    model, sample = trained(tmp_path, weights), pictured(1, seed=1)[0]
    expected = CflowMethod().scorer(model, settings(), CPU)(sample).map
    write_model(tmp_path / "model.safetensors", model)
    stored = replace(read_model(tmp_path / "model.safetensors"), weights=weights)
    assert (CflowMethod().scorer(stored, settings(), CPU)(sample).map == expected).all()


def test_a_defect_scores_higher_than_the_rest_of_its_picture(tmp_path: Path, weights: dict[str, Path]) -> None:
    training = {"meta_epochs": 10, "learning_rate": 1e-3}
    model = trained(tmp_path, weights, pictured(8), training=training)
    images = pictured(1, seed=3).values[0].copy()
    images[0, 24:40, 24:40] = (250, 10, 10)
    found = CflowMethod().scorer(model, settings(), CPU)(PicturedSample("part", images)).map  # type: ignore[arg-type]
    assert found[0].max() > found[1].max()
    assert found[0, 24:40, 24:40].mean() > found[0].mean() + found[0].std()


def test_unlikely_pixels_keep_their_order_in_float32() -> None:
    sums = torch.tensor([2.0, 1.0, 1e-9, 1e-30, 1e-300, 0.0], dtype=torch.float64)
    logarithm = anomaly_map(sums, 2.0, "logarithm").float()
    assert logarithm[0] == 0
    assert logarithm.isfinite().all()
    assert (logarithm.diff() > 0).all()
    difference = anomaly_map(sums, 2.0, "difference").float()
    assert (difference[2:] == 2).all(), "as in the released code, which stores float64"


def test_by_the_maximum_of_the_test_set_a_score_depends_on_all_of_it(tmp_path: Path, weights: dict[str, Path]) -> None:
    model, samples = trained(tmp_path, weights), pictured(3, seed=1)
    chosen = settings(maximum="test")
    assert deciding(chosen, "training") == deciding(settings(), "training"), "both share a model"
    assert deciding(chosen) != deciding(settings())
    maps = []
    for seen in (samples, PicturedSamples(samples.values[:1])):
        scorer: Any = CflowMethod().scorer(model, chosen, CPU)
        with pytest.raises(InputError, match="part_0: expected a test set"):
            scorer(samples[0])
        scorer.survey(seen)
        maps.append(scorer(samples[0]).map)
        assert np.concatenate([scorer(sample).map for sample in seen]).min() == pytest.approx(0, abs=1e-6)
    assert not np.allclose(maps[0] - maps[0].mean(), maps[1] - maps[1].mean(), atol=1e-4)
    words = CflowMethod().describe(chosen, 5)["score"]
    assert "depends on all test images" in words


# Mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"image_batch": 9}}, r"part: train: expected at least training.image_batch = 9 images, found 8"),
        (
            {"training": {"fibre_batch": 17}},
            r"part: train: level -1: expected at least training.fibre_batch = 17 pixels in a batch of images, found 16 "
            r"\(4 images of 2 x 2\)",
        ),
        ({"encoder": {"padding": "reflect"}}, r"encoder.padding: .* pads .* set encoder.padding: zeros"),
        ({"encoder": {"levels": [-6]}}, r"encoder.levels: expected different ones of the 5 .* found \[-6\]"),
        ({"encoder": {"levels": [4, -1]}}, r"encoder.levels: expected different ones of the 5"),
        ({"training": {"learning_rate": 1e30}}, r"expected a finite loss|expected finite parameters"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    tmp_path: Path, weights: dict[str, Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        trained(tmp_path, weights, **changes)
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]


def test_an_image_size_at_which_a_level_has_too_few_pixels_is_one_line() -> None:
    encoder = LevelEncoder(timm.create_model("resnet18.tv_in1k"), Encoder(backbone="resnet18.tv_in1k"))
    assert encoder.shapes(64) == [(128, 8, 8), (256, 4, 4), (512, 2, 2)]
    with pytest.raises(InputError, match=r"image_size: resnet18.tv_in1k can't take 32 px, a level has too") as caught:
        encoder.shapes(32)
    assert "\n" not in caught.value.problems[0]


def test_an_unknown_backbone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="backbone: timm has no model resnet19; close are resnet1") as caught:
        fetch_weights(Encoder(backbone="resnet19"), tmp_path / "w.safetensors")
    assert "\n" not in caught.value.problems[0]


def test_models_that_do_not_fit_are_one_line(tmp_path: Path, weights: dict[str, Path]) -> None:
    model = trained(tmp_path, weights)
    with pytest.raises(InputError, match=r"expected those of levels .* at 96 px"):
        CflowMethod().scorer(model, settings(image_size=96), CPU)
    for broken in (
        replace(model, metadata={}),
        replace(model, tensors={name: value for name, value in model.tensors.items() if name != "maximum"}),
        replace(model, tensors={name: value[:1] for name, value in model.tensors.items()}),
    ):
        with pytest.raises(InputError, match="trained decoders: expected a model of CFLOW-AD") as caught:
            CflowMethod().scorer(broken, settings(), CPU)
        assert "\n" not in caught.value.problems[0]


# Contract


def test_needs_name_pictures_and_the_encoders_weights() -> None:
    needs = CflowMethod().needs(settings(resampling="bilinear"))
    assert (needs.images, needs.resampling, needs.features, needs.foreground) == (64, "bilinear", (), False)
    assert [network.backbone for network in needs.weights] == [LITE0]


def test_the_cost_is_that_of_the_shapes() -> None:
    known = _KNOWN["resnet18.tv_in1k"]
    levels, gflop = _measure("resnet18.tv_in1k")
    assert levels == known[0]
    assert gflop == pytest.approx(known[1], rel=0.005)
    images = Images(train=64, test=10, views=1)
    one = Settings.model_validate({"training": {"meta_epochs": 1, "sub_epochs": 1}})
    cost, twice = cflow_cost(one, images), cflow_cost(one, replace(images, views=2))
    assert cost.model_bytes == pytest.approx(4 * (81.65e6 + 8 * (512**2 + 1024**2 + 2048**2)), rel=1e-3)
    assert cost.map_bytes == 4 * 256**2
    assert twice.training_tflop == pytest.approx(2 * cost.training_tflop)
    assert twice.scoring_tflop == pytest.approx(2 * cost.scoring_tflop)
    large = cflow_cost(one.model_copy(update={"image_size": 512}), images)
    assert large.training_tflop == pytest.approx(4 * cost.training_tflop)
