"""CFLOW-AD against numbers of its released code: position code, flow, training, encoder, maps, AUPRO.

Every ``cflow_*.npz`` of this folder is read, or of the folder in the environment variable GOLDEN_DIR, which may hold
further cases. What a file holds says which tests it is for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from golden_formula import formula, formula_images
from numpy.typing import NDArray
from torch import Tensor

from multiflow.methods.cflow.decoder import Decoders, create_decoder, fibres, log_likelihood, loss
from multiflow.methods.cflow.encoder import LevelEncoder
from multiflow.methods.cflow.position import position_code
from multiflow.methods.cflow.schedule import learning_rate
from multiflow.methods.cflow.scoring import anomaly_map, normality
from multiflow.methods.cflow.settings import Decoder, Encoder, Training
from multiflow.methods.cflow.training import DecoderTraining
from multiflow.metrics.linear_aupro import LinearCounter
from multiflow.metrics.ranking import auroc
from multiflow.metrics.upsampling import Pixels

FOLDER = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent))
FILES = sorted(FOLDER.glob("cflow_*.npz"))
BACKBONES = (
    "resnet18.tv_in1k",
    "resnet34.tv_in1k",
    "resnet50.tv_in1k",
    "wide_resnet50_2.tv_in1k",
    "resnext50_32x4d.tv_in1k",
)
DOUBLE, SINGLE = torch.float64, torch.float32
TOLERANCE = {DOUBLE: 1e-9, SINGLE: 1e-5}
FLOW_TOLERANCE = {DOUBLE: 1e-9, SINGLE: 1e-4}  # log-determinants are sums over channels and blocks that cancel out


@cache
def arrays(path: Path) -> dict[str, NDArray[Any]]:
    return dict(np.load(path))


def groups(pattern: str) -> list[Any]:
    """File and first group of each key that matches, once each."""
    found = {(path, match[1]): None for path in FILES for key in arrays(path) if (match := re.fullmatch(pattern, key))}
    assert found or "GOLDEN_DIR" in os.environ, f"no case with {pattern}"
    return [pytest.param(arrays(path), name, id=f"{path.stem}:{name}") for path, name in found]


def close(found: Any, expected: Any, tolerance: float, what: str, scale: float | None = None) -> None:
    """Equal within a share of the array's largest value, or of another scale."""
    found, expected = (
        np.asarray(value.detach() if isinstance(value, Tensor) else value) for value in (found, expected)
    )
    assert found.shape == expected.shape, what
    scale = scale or max(float(np.abs(expected).max(initial=0)), 1e-12)
    assert float(np.abs(found - expected).max(initial=0)) <= tolerance * scale, what


def tensor(data: dict[str, NDArray[Any]], key: str, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.from_numpy(data[key]).to(dtype)


def state(data: dict[str, NDArray[Any]], prefix: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """A decoder's tensors under our names."""
    names = {key: key.removeprefix(prefix).replace("w_perm", "rotation") for key in data if key.startswith(prefix)}
    return {name: tensor(data, key, dtype) for key, name in names.items()}


def test_there_are_cases() -> None:
    assert FILES or "GOLDEN_DIR" in os.environ, f"no cflow_*.npz in {FOLDER}"


# Position code


@pytest.mark.parametrize(("data", "name"), groups(r"pos64/(\d+x\d+_D\d+)"))
def test_position_code(data: dict[str, NDArray[Any]], name: str) -> None:
    height, width, channels = map(int, re.findall(r"\d+", name))
    found = position_code(channels, height, width, DOUBLE)
    np.testing.assert_allclose(found, data[f"pos64/{name}"], rtol=0, atol=1e-14)
    np.testing.assert_allclose(position_code(channels, height, width), data[f"pos32/{name}"], rtol=0, atol=5e-7)


@pytest.mark.parametrize(("data", "name"), groups(r"accepts_D(\d+)"))
def test_position_code_refuses_channels_that_the_released_code_refuses(data: dict[str, Any], name: str) -> None:
    if data[f"accepts_D{name}"]:
        assert position_code(int(name), 2, 2).shape == (int(name), 2, 2)
        return
    with pytest.raises(ValueError, match="multiple of 4"):
        position_code(int(name), 2, 2)


# Flow


@dataclass(frozen=True)
class Flow:
    """A file of section 8: a decoder with its input."""

    data: dict[str, NDArray[Any]]
    dtype: torch.dtype

    @property
    def values(self) -> dict[str, float]:
        return dict(zip(str(self.data["meta_names"]).split(), self.data["meta"].tolist(), strict=True))

    def build(self) -> Any:
        values = self.values
        condition = int(values["cond_dim"]) if values["conditional"] else 0
        settings = Decoder(blocks=int(values["blocks"]), condition=condition, clamp=values["clamp"])
        flow = create_decoder(int(values["C"]), settings).to(self.dtype)
        flow.load_state_dict(state(self.data, "sd/", self.dtype))
        return flow

    @property
    def x(self) -> Tensor:
        return tensor(self.data, "x", self.dtype)

    @property
    def condition(self) -> Tensor | None:
        return tensor(self.data, "cond", self.dtype) if self.values["conditional"] else None

    def close(self, found: Any, key: str, factor: float = 1.0) -> None:
        close(found, self.data[key].reshape(tuple(np.shape(found))), factor * FLOW_TOLERANCE[self.dtype], key)


FLOWS = [
    pytest.param(Flow(arrays(path), dtype), id=f"{path.stem}-{str(dtype)[6:]}")
    for path in FILES
    if "logp_dim" in arrays(path)
    for dtype in (DOUBLE, SINGLE)
]


@pytest.mark.parametrize("case", FLOWS)
def test_flow_blocks_likelihood_and_loss(case: Flow) -> None:
    flow = case.build()
    condition = case.condition
    given = [] if condition is None else [condition]
    values, x = case.values, (case.x,)
    for number, block in enumerate(flow):
        x, log_determinant = block(x, c=given)
        if f"block{number}/y" in case.data:
            case.close(x[0], f"block{number}/y")
        case.close(log_determinant, f"block{number}/logjac")
    assert number + 1 == values["blocks"]
    z, log_determinant = flow(case.x, given)
    case.close(z, "z")
    case.close(log_determinant, "logjac")
    likelihood = log_likelihood(flow, case.x, condition)
    case.close(likelihood, "logp_dim")
    case.close(likelihood * values["C"], "logp")
    case.close(-F.logsigmoid(likelihood), "loss_fiber")
    case.close(loss(likelihood), "loss")


@pytest.mark.parametrize("case", FLOWS)
def test_flow_inverse(case: Flow) -> None:
    given = [] if case.condition is None else [case.condition]
    x, log_determinant = case.build()(tensor(case.data, "inv/z", case.dtype), given, rev=True)
    case.close(x, "inv/x", 10)
    case.close(log_determinant, "inv/logjac", 10)


@pytest.mark.parametrize("case", FLOWS)
def test_flow_gradients(case: Flow) -> None:
    flow, x = case.build(), case.x.requires_grad_()
    loss(log_likelihood(flow, x, case.condition)).backward()
    gradients = {name: parameter.grad for name, parameter in flow.named_parameters()}
    assert f"gradnorm/{next(iter(gradients))}" in case.data
    for name, gradient in gradients.items():
        assert gradient is not None, name
        case.close(gradient.norm(), f"gradnorm/{name}")
        if f"grad/{name}" in case.data:
            case.close(gradient, f"grad/{name}")
    if "grad_x" in case.data:
        case.close(x.grad, "grad_x")


@pytest.mark.parametrize("case", FLOWS)
def test_three_steps_of_adam(case: Flow) -> None:
    flow = case.build()
    optimizer = torch.optim.Adam(flow.parameters(), lr=Training().learning_rate)
    losses = []
    for _ in case.data["adam/loss_before"]:
        optimizer.zero_grad()
        mean = loss(log_likelihood(flow, case.x, case.condition))
        mean.backward()
        optimizer.step()
        losses.append(float(mean.detach()))
    close(losses, case.data["adam/loss_before"], FLOW_TOLERANCE[case.dtype], "losses")
    after = dict(flow.named_parameters())
    for key in case.data:
        if key.startswith("adam/after/"):
            case.close(after[key.removeprefix("adam/after/")], key)
    case.close(loss(log_likelihood(flow, case.x, case.condition)), "adam/loss_final")


# Encoder


@cache
def encoder_weights(path: Path) -> dict[str, Tensor]:
    data, made = arrays(path), {}
    for name, shape, first in zip(data["names"], data["shapes"], data["weight_first"], strict=True):
        sizes = tuple(int(size) for size in re.findall(r"\d+", str(shape)))
        if str(name).endswith("num_batches_tracked"):
            made[str(name)] = torch.zeros(sizes, dtype=torch.int64)
            continue
        values = formula(str(name), sizes, float(data["meta_gain"]))
        np.testing.assert_array_equal(np.resize(values.ravel()[:4], 4), first)
        made[str(name)] = torch.from_numpy(values)
    return made


@cache
def shapes_of(backbone: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in timm.create_model(backbone).state_dict().items()}


def backbone_of(weights: dict[str, Tensor]) -> str:
    """The network that has these tensors, and no others that matter but its classifier."""

    def encoding(shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        return {key: shape for key, shape in shapes.items() if not re.match(r"fc\.|.*num_batches_tracked", key)}

    own = encoding({name: tuple(value.shape) for name, value in weights.items()})
    found = [name for name in BACKBONES if own == encoding(shapes_of(name))]
    assert len(found) == 1, f"tensors of {found or 'another network'}"
    return found[0]


def image_of(data: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """The input: the first level has a pixel for each 8, rounded up."""
    count, _, rows, _ = data["reflect/layer2"].shape
    images = (formula_images(size, count) for size in range(8 * rows, 8 * (rows - 1), -1))
    return next(image for image in images if image.sum() == pytest.approx(float(data["image_sum"]), abs=1e-9))


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=["float64", "float32"])
@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES if "pool_dims" in arrays(path)])
def test_encoder(path: Path, padding: str, dtype: torch.dtype) -> None:
    data, weights = arrays(path), encoder_weights(path)
    backbone = backbone_of(weights)
    model = timm.create_model(backbone)
    missing = model.load_state_dict(weights, strict=False)
    assert (missing.missing_keys, missing.unexpected_keys) == (["fc.weight", "fc.bias"], [])
    encoder = LevelEncoder(model, Encoder(backbone=backbone, padding=padding)).to(dtype)
    image = image_of(data)
    np.testing.assert_allclose(image[0, :, :2, :3], data["image_check"], rtol=0, atol=1e-14)
    with torch.no_grad():
        levels = encoder(torch.from_numpy(image).to(dtype))
    assert [level.shape[1] for level in levels] == data["pool_dims"].tolist()
    for level, stride, name in zip(levels, data["channel_stride"], ("layer2", "layer3", "layer4"), strict=True):
        key = f"{padding}/{name}"
        close(level[:, :: stride * (4 if padding == "zeros" else 1)], data[key], TOLERANCE[dtype], key)
        largest = float(np.abs(data[f"{key}_stat"]).max())
        close(level.mean(dim=(0, 2, 3)), data[f"{key}_channel_mean"], TOLERANCE[dtype], f"{key} mean", largest)
        spread = level.std(dim=(0, 2, 3), correction=0)
        close(spread, data[f"{key}_channel_std"], TOLERANCE[dtype], f"{key} std", largest)


# Learning rate


@pytest.mark.parametrize(("data", "name"), groups(r"(.+)/epoch_lr"))
def test_learning_rate(data: dict[str, NDArray[Any]], name: str) -> None:
    names = str(data[f"{name}/config_names"]).split()
    values = dict(zip(names, data[f"{name}/config"].tolist(), strict=True))
    training = Training(
        learning_rate=values["lr"],
        meta_epochs=int(values["meta_epochs"]),
        sub_epochs=int(values["sub_epochs"]),
        warm_up_epochs=int(values["warm_epochs"]),
        final_share=values["decay_rate"] ** 3,
        warm_up_share=values["warmup_from"] / values["lr"],
    )
    used = data[f"{name}/used_lr"]
    batches = used.shape[1]
    found = [[learning_rate(training, epoch, batch, batches) for batch in range(batches)] for epoch in range(len(used))]
    close(np.array(found), used, 1e-12, "rate of each batch")
    plain = training.model_copy(update={"warm_up_epochs": 0})
    close(
        np.array([learning_rate(plain, epoch, 0, batches) for epoch in range(len(used))]),
        data[f"{name}/epoch_lr"],
        1e-12,
        "rate of each meta-epoch",
    )


@pytest.mark.parametrize(("data", "name"), groups(r"(default)/config"))
def test_the_defaults_are_those_of_the_released_code(data: dict[str, NDArray[Any]], name: str) -> None:
    values = dict(zip(str(data[f"{name}/config_names"]).split(), data[f"{name}/config"].tolist(), strict=True))
    training = Training()
    assert (training.learning_rate, training.meta_epochs, training.sub_epochs, training.warm_up_epochs) == (
        values["lr"], values["meta_epochs"], values["sub_epochs"], values["warm_epochs"],
    )  # fmt: skip
    assert training.final_share == pytest.approx(values["decay_rate"] ** 3, rel=1e-12)
    assert training.warm_up_share * training.learning_rate == pytest.approx(values["warmup_from"], rel=1e-12)


# Fibres


def decoders_of(shapes: list[tuple[int, int, int]], states: list[dict[str, Tensor]], dtype: torch.dtype) -> Decoders:
    """Decoders with these tensors, which say how many blocks and channels of the condition there are."""
    blocks = 1 + max(int(name.split(".")[1]) for name in states[0])
    inputs = states[0]["module_list.0.subnet.0.weight"].shape[1]
    condition = inputs - (shapes[0][0] + 1) // 2
    decoders = Decoders(shapes, Decoder(blocks=blocks, condition=condition)).to(dtype)
    for flow, values in zip(decoders.flows, states, strict=True):
        flow.load_state_dict(values)
    return decoders


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/perm"))
def test_fibres_of_a_batch_are_shuffled_and_cut_and_the_rest_dropped(data: dict[str, NDArray[Any]], name: str) -> None:
    features = tensor(data, f"{name}/features")[data[f"{name}/batch_image_order"].astype(int)]
    _, channels, height, width = features.shape
    decoders = decoders_of([(channels, height, width)], [state(data, f"{name}/sd0/", DOUBLE)], DOUBLE)
    seen: list[Tensor] = []
    plain = decoders.likelihood
    decoders.likelihood = lambda level, rows, index: seen.append(index) or plain(level, rows, index)  # type: ignore[method-assign]
    training = DecoderTraining(decoders, Training(fibre_batch=int(data[f"{name}/N"])), torch.Generator())
    order = torch.from_numpy(data[f"{name}/perm"].astype(np.int64))
    losses = training.train_on([features], float(data[f"{name}/lr"][0]), lambda count: order)
    assert [len(index) for index in seen] == data[f"{name}/fibers_per_step"].tolist()
    dropped = set(range(int(data[f"{name}/E"]))) - set(torch.cat(seen).tolist())
    assert sorted(dropped) == sorted(data[f"{name}/dropped_flat_index"].tolist())
    close(losses, data[f"{name}/loss"], 1e-9, "loss")
    after = dict(decoders.flows[0].named_parameters())
    for key, value in state(data, f"{name}/sd1/", DOUBLE).items():
        close(after[key], value, 1e-9, key)


@pytest.mark.parametrize(("data", "name"), groups(r"(.*steps_per_batch32_S\d+)"))
def test_steps_of_a_batch_of_32_images(data: dict[str, NDArray[Any]], name: str) -> None:
    size = Training().fibre_batch
    side = int(name.rpartition("S")[2])
    levels = [torch.empty(32, 1, side // stride, side // stride) for stride in (8, 16, 32)]
    assert [len(fibres(level)) // size for level in levels] == data[name].tolist()


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=["float64", "float32"])
@pytest.mark.parametrize(("data", "kind"), groups(r"(\w+)/step_loss"))
def test_a_whole_run_of_three_decoders(data: dict[str, NDArray[Any]], kind: str, dtype: torch.dtype) -> None:
    base = kind.removesuffix("_coast")
    values = dict(zip(str(data[f"{base}/config_names"]).split(), data[f"{base}/config"].tolist(), strict=True))
    shapes = [tuple(level) for level in data[f"{base}/levels"].tolist()]
    states = [state(data, f"{base}/sd0/{level}/", dtype) for level in range(len(shapes))]
    decoders = decoders_of(shapes, states, dtype)
    training = Training(
        meta_epochs=int(values["meta"]),
        sub_epochs=int(values["sub"]),
        fibre_batch=int(values["N"]),
        image_batch=int(values["batch"]),
        learning_rate=values["lr"],
        coasting=kind.endswith("_coast"),
    )
    run = DecoderTraining(decoders, training, torch.Generator())
    features = [tensor(data, f"{base}/features{level}", dtype) for level in range(len(shapes))]
    batches = int(values["images"]) // training.image_batch

    def drawn(number: int) -> Iterator[Tensor]:
        return (torch.from_numpy(data[f"{base}/perms{level}"][number].astype(np.int64)) for level in range(len(shapes)))

    losses, rates = [], []
    for number, order in enumerate(data[f"{base}/image_order"].astype(int)):
        epoch, sub_epoch = divmod(number, training.sub_epochs)
        for batch, images in enumerate(np.split(order[: batches * training.image_batch], batches)):
            rate = learning_rate(training, epoch, sub_epoch * batches + batch, training.sub_epochs * batches)
            orders = drawn(number * batches + batch)
            found = run.train_on([level[images] for level in features], rate, lambda count, orders=orders: next(orders))
            losses += found
            rates += [rate] * len(found)
    close(rates, data[f"{kind}/step_lr"], 1e-12, "rates")
    close(losses, data[f"{kind}/step_loss"], FLOW_TOLERANCE[dtype], "losses")
    for level, flow in enumerate(decoders.flows):
        after = dict(flow.named_parameters())
        for name, value in state(data, f"{kind}/sd1/{level}/", dtype).items():
            close(after[name], value, FLOW_TOLERANCE[dtype], f"{level} {name}")


# Scores


def likelihoods(data: dict[str, NDArray[Any]], name: str) -> list[Tensor]:
    count = sum(key.startswith(f"{name}/logp") for key in data)
    return [tensor(data, f"{name}/logp{level}") for level in range(count)]


def released_map(maps: list[Tensor], maximum: Tensor, size: int) -> Tensor:
    found = normality(maps, maximum, size)
    return anomaly_map(found, float(found.max()), "difference")


def linear_counter(maps: NDArray[np.float64], truth: NDArray[np.bool_]) -> LinearCounter:
    counter = LinearCounter(float(maps.min()), float(maps.max()))
    for one, mask in zip(maps, truth, strict=True):
        counter.update(Pixels(one[None]), mask[None])
    return counter


def check_scores(data: dict[str, NDArray[Any]], maps: NDArray[np.float64], truth: NDArray[np.bool_], name: str) -> None:
    labels, scores = truth.any(axis=(1, 2)), maps.max(axis=(1, 2))
    assert auroc(labels, scores) == pytest.approx(float(data[f"{name}/det_auroc"]) / 100, abs=1e-10)
    assert auroc(truth.ravel(), maps.ravel()) == pytest.approx(float(data[f"{name}/seg_auroc"]) / 100, abs=1e-10)
    found = linear_counter(maps, truth).aupro()
    assert found == pytest.approx(float(data[f"{name}/seg_aupro"]) / 100, abs=1e-10)


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/max_test0"))
def test_maps_by_the_maximum_of_the_test_set(data: dict[str, NDArray[Any]], name: str) -> None:
    maps, truth = likelihoods(data, name), data[f"{name}/gt_mask"].astype(bool)
    maximum = torch.stack([level.max() for level in maps])
    close(maximum, [float(data[f"{name}/max_test{level}"]) for level in range(len(maps))], 1e-12, "maximum")
    found = released_map(maps, maximum, truth.shape[-1]).numpy()
    close(found, data[f"{name}/map"], 1e-9, "map")
    close(found.max(axis=(1, 2)), data[f"{name}/image_score"], 1e-9, "image scores")
    check_scores(data, found, truth, name)
    sums = normality(maps, maximum, truth.shape[-1])
    logarithm = anomaly_map(sums, float(sums.max()), "logarithm").numpy()
    assert auroc(truth.ravel(), logarithm.ravel()) == pytest.approx(float(data[f"{name}/seg_auroc"]) / 100, abs=1e-10)


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)_stray/value"))
def test_by_the_test_sets_maximum_one_fibre_changes_every_map_and_by_the_training_sets_its_own(
    data: dict[str, NDArray[Any]], name: str
) -> None:
    maps, truth = likelihoods(data, name), data[f"{name}/gt_mask"].astype(bool)
    level, image, row, column = data[f"{name}_stray/level_image_row_col"].tolist()
    size = truth.shape[-1]
    stored = torch.stack([values.max() for values in maps])  # as if of a training set
    before = normality(maps, stored, size)
    maps[level][image, row, column] = float(data[f"{name}_stray/value"])
    found = released_map(maps, torch.stack([values.max() for values in maps]), size).numpy()
    step = size // data[f"{name}_stray/map_sub"].shape[-1]
    close(found[:, ::step, ::step], data[f"{name}_stray/map_sub"], 1e-9, "map")
    close(found.max(axis=(1, 2)), data[f"{name}_stray/image_score"], 1e-9, "image scores")
    check_scores(data, found, truth, f"{name}_stray")
    after = normality(maps, stored, size)
    others = [number for number in range(len(before)) if number != image]
    assert torch.equal(after[others], before[others])
    assert not torch.equal(after[image], before[image])


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/pro_kept"))
def test_aupro_in_the_style_of_the_paper(data: dict[str, NDArray[Any]], name: str) -> None:
    maps, truth = data[f"{name}/map"].astype(np.float64), data[f"{name}/gt_mask"].astype(bool)
    counter = linear_counter(maps, truth)
    false, shares = counter.curve
    kept = false <= 0.3
    close(false[kept], data[f"{name}/fpr_kept"], 1e-10, "false-positive rates")
    close(shares[kept], data[f"{name}/pro_kept"], 1e-10, "shares")
    key = next(key for key in (f"{name}/aupro_paper_style", f"{name}/seg_aupro") if key in data)
    assert counter.aupro() == pytest.approx(float(data[key]) / 100, abs=1e-10)
