"""AD-CLSCNFs against numbers of its released code: classifier, both stages, maps and their metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from clscnf_cases import FILES, OWN, arrays, beside, close, groups
from golden_formula import formula, formula_images
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve
from torch import Tensor, nn

from multiflow.methods.cflow.decoder import Decoders, log_likelihood
from multiflow.methods.cflow.encoder import LevelEncoder
from multiflow.methods.cflow.schedule import learning_rate
from multiflow.methods.cflow.scoring import normality
from multiflow.methods.cflow.settings import Decoder, Encoder
from multiflow.methods.cflow.training import DecoderTraining
from multiflow.methods.clscnf.classifier import DefectClassifier
from multiflow.methods.clscnf.scoring import joint_map
from multiflow.methods.clscnf.settings import Classifier, FlowTraining, Tuning
from multiflow.methods.clscnf.tuning import ClassifierTraining, loss, tuning_rate
from multiflow.methods.clscnf.weight import GRID, best_weight, pixel_aupr
from multiflow.metrics.linear_aupro import LinearCounter
from multiflow.metrics.ranking import auroc
from multiflow.metrics.upsampling import Pixels

BACKBONES = {"r18": "resnet18.tv_in1k", "wrn50": "wide_resnet50_2.tv_in1k"}


# Classifier


def own_name(name: str) -> str:
    """A tensor of the released decoder under our name."""
    name = re.sub(r"^uplayer(\d)", lambda match: f"stages.{int(match[1]) - 1}", name)
    for theirs, ours in (("nin", "deepest"), ("conv1", "head.0"), ("bn1", "head.1"), ("conv2", "head.3")):
        name = re.sub(rf"^{theirs}\b", ours, name)
    return name


def formula_classifier(kind: str, gains: tuple[float, float], names: dict[str, tuple[int, ...]]) -> DefectClassifier:
    """A classifier with weights by formula.

    Args:
        kind: of the encoder.
        gains: of encoder and decoder.
        names: the released decoder's tensors and their shapes.
    """
    backbone = BACKBONES[kind]
    model = timm.create_model(backbone)
    encoder = LevelEncoder(model, Encoder(backbone=backbone))
    classifier = DefectClassifier(encoder, Classifier()).requires_grad_(True)
    values = {
        f"encoder.model.{name}": weights(name, tuple(tensor.shape), gains[0])
        for name, tensor in encoder.model.state_dict().items()
    }
    values |= {f"decoder.{own_name(name)}": decoder_weights(name, shape, gains[1]) for name, shape in names.items()}
    classifier.load_state_dict(values)
    return classifier


def weights(name: str, shape: tuple[int, ...], gain: float) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    return torch.from_numpy(formula(name, shape, gain))


def decoder_weights(name: str, shape: tuple[int, ...], gain: float) -> Tensor:
    return weights(f"decoder.{name}", shape, gain)


def decoder_shapes(data: dict[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    return {
        str(name): tuple(int(size) for size in re.findall(r"\d+", str(shape)))
        for name, shape in zip(data["dec_names"], data["dec_shapes"], strict=True)
    }


def classifier_of(path: Path) -> DefectClassifier:
    data = arrays(path)
    gains = float(data["meta_gain_encoder"]), float(data["meta_gain_decoder"])
    # Only the decoder of a WideResNet-50 is made of bottlenecks, which have a third convolution.
    kind = "wrn50" if any(".conv3." in str(name) for name in data["dec_names"]) else "r18"
    return formula_classifier(kind, gains, decoder_shapes(data))


DECODERS = [pytest.param(path, id=path.stem) for path in FILES if "n_params_decoder" in arrays(path)]


def inner_layers(decoder: nn.Module) -> dict[str, nn.Module]:
    """The layers whose outputs are stored, by the released names."""
    layers = {"nin": "deepest", "bn1": "head.1"} | {f"uplayer{stage + 1}": f"stages.{stage}" for stage in range(4)}
    return {theirs: decoder.get_submodule(ours) for theirs, ours in layers.items()}


@contextmanager
def recorded(layers: dict[str, nn.Module]) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Input and output of each layer's last pass."""
    passes: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        layer.register_forward_hook(
            lambda layer, given, output, name=name: passes.update({name: (given[0], output.clone())})
        )
        for name, layer in layers.items()
    ]
    yield passes
    for hook in hooks:
        hook.remove()


def statistics(values: Tensor) -> list[float]:
    """Mean, standard deviation, lowest and highest."""
    array = values.detach().double()
    return [float(array.mean()), float(array.std(correction=0)), float(array.min()), float(array.max())]


def residual_stages(classifier: DefectClassifier) -> dict[str, nn.Module]:
    """The stages of the encoder by number; the first is no level of the classifier."""
    return {str(number): classifier.encoder.model.get_submodule(f"layer{number}") for number in range(1, 5)}


@pytest.mark.parametrize("path", DECODERS)
def test_classifier(path: Path) -> None:
    data, classifier = arrays(path), classifier_of(path).double().eval()
    assert sum(parameter.numel() for parameter in classifier.decoder.parameters()) == int(data["n_params_decoder"])
    gain = float(data["meta_gain_decoder"])
    for (name, shape), first in zip(decoder_shapes(data).items(), data["dec_weight_first"], strict=True):
        start = np.resize(decoder_weights(name, shape, gain).ravel()[:4].numpy(), 4)
        np.testing.assert_allclose(start, first, rtol=0, atol=1e-14, err_msg=name)
    for size in sorted({int(key.split("/")[0]) for key in data if key.endswith("/image_sum")}):
        images = formula_images(size, int(data[f"{size}/out_shape"][0]))
        assert images.sum() == pytest.approx(float(data[f"{size}/image_sum"]), abs=1e-9)
        np.testing.assert_allclose(images[0, :, :2, :3], data[f"{size}/image_check"], rtol=0, atol=1e-14)
        layers = inner_layers(classifier.decoder) | residual_stages(classifier) | {"decoder": classifier.decoder}
        with torch.no_grad(), recorded(layers) as passes:
            found = classifier(torch.from_numpy(images))
        expected, logits = data[f"{size}/out"][:, 0], data[f"{size}/logit"]
        step = size // expected.shape[-1]
        close(found[:, ::step, ::step], expected, 1e-9, f"{size} out")
        close(statistics(found), data[f"{size}/stat"], 1e-9, f"{size} out")
        _, logit = passes.pop("decoder")
        step = size // logits.shape[-1]
        close(logit.view(found[:, None].shape)[..., ::step, ::step], logits, 1e-9, f"{size} logit")
        close(statistics(logit)[:2], data[f"{size}/logit_stat"], 1e-9, f"{size} logit")
        for number in residual_stages(classifier):
            close(statistics(passes.pop(number)[1])[:2], data[f"{size}/enc{number}_stat"], 1e-9, f"{size} {number}")
        for name, (given, output) in passes.items():
            assert list(given.shape) == data[f"{size}/mid/{name}_in_shape"].tolist()
            close(statistics(output)[:2], data[f"{size}/mid/{name}_stat"], 1e-9, f"{size} {name}")
            values = output[0, :: max(1, output.shape[1] // 8)]
            stride = max(1, output.shape[2] // 4)
            stored = data[f"{size}/mid/{name}_sub"]
            close(values[: len(stored), ::stride, ::stride], stored, 1e-9, f"{size} {name}")
            assert list(output.shape) == data[f"{size}/mid/{name}_shape"].tolist()
    check_statistics(classifier, data)


def check_statistics(classifier: DefectClassifier, data: dict[str, NDArray[Any]]) -> None:
    """In training, the decoder takes those of the batch, and the encoder its own, which stay."""
    before = {name: buffer.clone() for name, buffer in classifier.encoder.named_buffers()}
    start = {name: value.clone() for name, value in classifier.state_dict().items()}
    for size in sorted({int(key.split("/")[0]) for key in data if key.endswith("/train_out")}):
        classifier.load_state_dict(start)
        images = formula_images(size, int(data[f"{size}/out_shape"][0]))
        with torch.no_grad():
            found = classifier.train()(torch.from_numpy(images))
        expected = data[f"{size}/train_out"][:, 0]
        step = size // expected.shape[-1]
        close(found[:, ::step, ::step], expected, 1e-9)
        close(statistics(found)[:2], data[f"{size}/train_stat"], 1e-9)
        after = dict(classifier.decoder.named_buffers())
        prefix = f"{size}/train_buffer_after/"
        for key in data:
            if key.startswith(prefix):
                close(after[own_name(key.removeprefix(prefix))], data[key], 1e-9, key)
    assert all(torch.equal(buffer, before[name]) for name, buffer in classifier.encoder.named_buffers())


# First stage


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/grad_pred"))
def test_loss(data: dict[str, NDArray[Any]], name: str) -> None:
    probability = torch.from_numpy(data[f"{name}/pred"]).requires_grad_()
    mean = loss(probability, torch.from_numpy(data[f"{name}/target"]))
    mean.backward()
    assert float(mean.detach()) == pytest.approx(float(data[f"{name}/mean"]), rel=1e-12)
    close(probability.grad, data[f"{name}/grad_pred"], 1e-12)
    pixels = zip(data[f"{name}/pred"].ravel(), data[f"{name}/target"].ravel(), strict=True)
    single = [float(loss(*(torch.tensor([value], dtype=torch.float64) for value in pixel))) for pixel in pixels]
    close(single, data[f"{name}/pixel"].ravel(), 1e-12)


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/target_boxes"))
def test_first_stage(data: dict[str, NDArray[Any]], name: str) -> None:
    values = dict(zip(str(data[f"{name}/config_names"]).split(), data[f"{name}/config"].tolist(), strict=True))
    # A ResNet-18 has 60 parameters without its head.
    kind = "r18" if data[f"{name}/encoder_params_with_grad"].max() == 60 else "wrn50"
    gains = values["gain_encoder"], values["gain_decoder"]
    classifier = formula_classifier(kind, gains, decoder_shapes(arrays(OWN / f"clscnfs_decoder_{kind}.npz"))).double()
    tuning = Tuning(
        frozen_epochs=int(values["freeze"]),
        tuned_epochs=int(values["meta"]),
        sub_epochs=int(values["sub"]),
        learning_rate=values["lr"],
        weight_decay=values["weight_decay"],
    )
    count, _, rows, _ = data[f"{name}/target"].shape  # every second row and column
    images = torch.from_numpy(formula_images(2 * rows, count))
    target = torch.zeros(count, 2 * rows, 2 * rows, dtype=torch.float64)
    for (image, top, bottom, left, right), value in zip(
        data[f"{name}/target_boxes"].tolist(), data[f"{name}/target_values"].tolist(), strict=True
    ):
        target[image, top:bottom, left:right] = value
    close(target[:, ::2, ::2], data[f"{name}/target"][:, 0], 1e-6)
    training = ClassifierTraining(classifier, tuning)
    parts = {
        "encoder_params": lambda: dict(classifier.encoder.model.named_parameters()),
        "encoder_buffers": lambda: dict(classifier.encoder.model.named_buffers()),
        "decoder_params": lambda: dict(classifier.decoder.named_parameters()),
        "decoder_buffers": lambda: dict(classifier.decoder.named_buffers()),
    }
    assert list(parts) == str(data[f"{name}/max_change_names"]).split()
    before = {part: {key: value.detach().clone() for key, value in of().items()} for part, of in parts.items()}
    steps: list[tuple[float, float, int]] = []
    norms: list[list[float]] = []
    for epoch in range(tuning.epochs):
        for _ in range(tuning.sub_epochs):
            rate = tuning_rate(tuning, epoch)
            found = training.train_on(images, target, rate, tuned=epoch >= tuning.frozen_epochs)
            gradients = sum(value.grad is not None for value in classifier.encoder.parameters())
            steps.append((found, rate, gradients))
            norms.append([gradient_norm(classifier.decoder), gradient_norm(classifier.encoder)])
        changes = [
            max(float((value - before[part][key]).detach().abs().max()) for key, value in of().items())
            for part, of in parts.items()
        ]
        expected = data[f"{name}/max_change_after_epoch"][epoch]
        assert [change == 0 for change in changes] == [change == 0 for change in expected]
        close(changes, expected, 1e-7, "largest changes")
        seen = {int(value) for key, value in classifier.decoder.named_buffers() if key.endswith("num_batches_tracked")}
        assert seen == {int(data[f"{name}/epoch{epoch}_dec_num_batches"])}
        after = {"enc": parts["encoder_params"](), "dec": parts["decoder_params"]() | parts["decoder_buffers"]()}
        for key in data:
            if match := re.fullmatch(rf"{name}/epoch{epoch}_(enc|dec)_(.+\..+)", key):
                # The name of a layer's first values, without the blocks that the layer is in.
                name_in_block = match[2] if match[1] == "enc" else own_name(match[2])
                close_to_one(after[match[1]], name_in_block, data[key], key)
    close([found for found, _, _ in steps], data[f"{name}/step_loss"], 1e-9)
    close([rate for _, rate, _ in steps], data[f"{name}/step_lr"], 1e-12)
    close(norms, data[f"{name}/gradnorm_decoder_encoder"], 1e-9)
    assert [count for _, _, count in steps] == data[f"{name}/encoder_params_with_grad"].tolist()
    with torch.no_grad():
        after_train = float(loss(classifier(images), target))
        after_eval = float(loss(classifier.eval()(images), target))
    assert after_train == pytest.approx(float(data[f"{name}/loss_after_train_mode"]), rel=1e-8)
    assert after_eval == pytest.approx(float(data[f"{name}/loss_after_eval_mode"]), rel=1e-8)


def gradient_norm(network: nn.Module) -> float:
    """Of all gradients of the last step together; 0 where there are none."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return float(torch.stack([gradient.norm() for gradient in gradients]).norm()) if gradients else 0.0


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+/(?!stage1_).+_\d+x\d+_lr.+)_used_lr"))
def test_learning_rate_of_the_second_stage(data: dict[str, NDArray[Any]], name: str) -> None:
    match = re.search(r"_(\d+)x(\d+)_lr(.+)", name)
    assert match is not None
    training = FlowTraining(meta_epochs=int(match[1]), sub_epochs=int(match[2]), learning_rate=float(match[3]))
    used = data[f"{name}_used_lr"]
    found = [
        [learning_rate(training, epoch, batch, used.shape[1]) for batch in range(used.shape[1])]
        for epoch in range(len(used))
    ]
    close(np.array(found), used, 1e-12)
    plain = training.model_copy(update={"warm_up_epochs": 0})
    starts = [learning_rate(plain, epoch, 0, used.shape[1]) for epoch in range(len(used))]
    close(starts, data[f"{name}_epoch_lr"], 1e-12)


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+/stage1_.+)_epoch_lr"))
def test_learning_rate_of_the_first_stage(data: dict[str, NDArray[Any]], name: str) -> None:
    match = re.search(r"stage1_(\d+)\+(\d+)_lr(.+)", name)
    assert match is not None
    tuning = Tuning(frozen_epochs=int(match[1]), tuned_epochs=int(match[2]), learning_rate=float(match[3]))
    close([tuning_rate(tuning, epoch) for epoch in range(tuning.epochs)], data[f"{name}_epoch_lr"], 1e-12)


def close_to_one(layers: dict[str, Tensor], name: str, expected: NDArray[Any], what: str) -> None:
    """Equal to the first values of a layer of that name."""
    named = [value.detach().numpy()[: len(expected)] for key, value in layers.items() if key.endswith(name)]
    differences = [np.abs(value - expected).max() for value in named if value.shape == expected.shape]
    assert min(differences) <= 1e-7, what


# Second stage


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/fibers_per_step"))
def test_no_fibre_is_dropped(data: dict[str, NDArray[Any]], name: str) -> None:
    """It begins with what CFLOW-AD's case ``a`` begins with."""
    start = beside("cflow_fibers.npz", "a/features")
    features = torch.from_numpy(start["a/features"]).double()[start["a/batch_image_order"].astype(int)]
    _, channels, height, width = features.shape
    prefix = "a/sd0/"
    values = {
        key.removeprefix(prefix).replace("w_perm", "rotation"): torch.from_numpy(start[key]).double()
        for key in start
        if key.startswith(prefix)
    }
    blocks = 1 + max(int(key.split(".")[1]) for key in values)
    condition = values["module_list.0.subnet.0.weight"].shape[1] - (channels + 1) // 2
    decoders = Decoders([(channels, height, width)], Decoder(blocks=blocks, condition=condition)).double()
    decoders.flows[0].load_state_dict(values)
    order = torch.from_numpy(start["a/perm"].astype(np.int64))
    training = DecoderTraining(decoders, FlowTraining(fibre_batch=int(start["a/N"])), torch.Generator())
    losses = training.train_on([features], float(data[f"{name}/step_lr"][0]), lambda count: order)
    assert len(losses) == int(data[f"{name}/steps"])
    close(losses, data[f"{name}/step_loss"], 1e-9)
    after = dict(decoders.flows[0].named_parameters())
    for key in data:
        if key.startswith(f"{name}/sd1/"):
            own = key.removeprefix(f"{name}/sd1/")
            close(after[own], data[key], 1e-9, key)


# Scores


def likelihoods(data: dict[str, NDArray[Any]], split: str) -> list[Tensor]:
    count = sum(key.startswith(f"logp_{split}") for key in data)
    return [torch.from_numpy(data[f"logp_{split}{level}"]).double() for level in range(count)]


def released_map(data: dict[str, NDArray[Any]], split: str, weight: float) -> NDArray[np.float64]:
    """The joint map as the released code shifts it: by the highest normality of the images that it scores."""
    maximum = torch.stack([level.max() for level in likelihoods(data, "train")]).double()
    close(maximum, data["train_max"], 1e-12)
    sums = normality(likelihoods(data, split), maximum, data[f"cls_{split}"].shape[-1])
    found = joint_map(sums, torch.from_numpy(data[f"cls_{split}"]), weight) + float(sums.max())
    return found.numpy()


def counted(maps: NDArray[np.floating], truth: NDArray[np.bool_]) -> LinearCounter:
    counter = LinearCounter(float(maps.min()), float(maps.max()), thresholds=200)
    for values, mask in zip(maps, truth, strict=True):
        counter.update(Pixels(values[None]), mask[None])
    return counter


def released_aupro(maps: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """CFLOW-AD's AUPRO at 200 thresholds, whose false-positive rates end a little below 1."""
    counter = counted(maps, truth)
    area = counter.aupro()
    assert area is not None
    rates, _ = counter.curve
    span = np.ptp(rates[rates <= 0.3])
    return float(area * span / (span + 1e-7))


def check_metrics(data: dict[str, NDArray[Any]], name: str, maps: NDArray[np.floating]) -> None:
    truth = data["gt_mask"].astype(bool)
    labels, scores = data["label"], maps.max(axis=(1, 2))
    for metric, value in (
        ("DET_AUROC", auroc(labels, scores)),
        ("PIX_AUROC", auroc(truth.ravel(), maps.ravel())),
        ("PIX_AUPR", pixel_aupr(truth, maps)),
        ("AUPRO", released_aupro(maps, truth)),
    ):
        assert value == pytest.approx(float(data[f"{name}/{metric}"]) / 100, abs=1e-8), metric


def check_curves(data: dict[str, NDArray[Any]], name: str, maps: NDArray[np.float64]) -> None:
    truth = data["gt_mask"].astype(bool)
    rates, shares = counted(maps, truth).curve
    kept = rates <= 0.3
    close(rates[kept], data[f"{name}/fpr_kept"], 1e-10)
    close(shares[kept], data[f"{name}/pro_kept"], 1e-10)
    stretched = (rates[kept] - rates[kept].min()) / (np.ptp(rates[kept]) + 1e-7)
    close(stretched, data[f"{name}/fpr_rescaled"], 1e-10)
    precision, _, _ = precision_recall_curve(truth.ravel(), maps.ravel())
    assert len(precision) == int(data[f"{name}/pr_curve_points"])


@pytest.mark.parametrize(("data", "name"), groups(r"(w[\d.]+)/map"))
def test_joint_maps(data: dict[str, NDArray[Any]], name: str) -> None:
    found = released_map(data, "test", float(name[1:]))
    close(found, data[f"{name}/map"], 5e-8)
    close(found.max(axis=(1, 2)), data[f"{name}/image_score"], 5e-8)
    check_metrics(data, name, found)
    check_curves(data, name, found)
    of_training = released_map(data, "train", float(name[1:]))
    step = of_training.shape[-1] // data[f"{name}/train_map_sub"].shape[-1]
    close(of_training[:, ::step, ::step], data[f"{name}/train_map_sub"], 5e-8)


@pytest.mark.parametrize(("data", "name"), groups(r"(fe_only)/PIX_AUPR"))
def test_the_classifier_alone(data: dict[str, NDArray[Any]], name: str) -> None:
    check_metrics(data, name, data["cls_test"])


@pytest.mark.parametrize(("data", "name"), groups(r"(best_w)/grid"))
def test_the_weight_with_the_highest_aupr(data: dict[str, NDArray[Any]], name: str) -> None:
    truth, probability = data["gt_mask"].astype(bool), data["cls_test"]
    maximum = torch.from_numpy(data["train_max"])
    sums = normality(likelihoods(data, "test"), maximum, truth.shape[-1]).numpy()
    close(np.array(GRID), data[f"{name}/grid"], 1e-12)
    found = [100 * pixel_aupr(truth, np.float32(weight) * probability - sums) for weight in GRID]
    close(np.array(found), data[f"{name}/grid_PIX_AUPR"], 1e-8)
    assert best_weight(sums, probability, truth) == float(data[f"{name}/w"])
    assert max(found) == pytest.approx(float(data[f"{name}/PIX_AUPR"]), abs=1e-8)


@pytest.mark.parametrize(("data", "name"), groups(r"(subset_\d+_\d+)/map_minus_full_map"))
def test_other_images_shift_the_released_maps_and_change_none_of_ours(data: dict[str, NDArray[Any]], name: str) -> None:
    some = slice(*(int(place) for place in re.findall(r"\d+", name)))
    maximum, size = torch.from_numpy(data["train_max"]), data["gt_mask"].shape[-1]
    probability = torch.from_numpy(data["cls_test"])
    sums = normality(likelihoods(data, "test"), maximum, size)
    alone = normality([level[some] for level in likelihoods(data, "test")], maximum, size)
    assert torch.equal(joint_map(alone, probability[some], 0.3), joint_map(sums, probability, 0.3)[some])
    shift = float(alone.max()) - float(sums.max())
    assert shift == pytest.approx(float(data[f"{name}/map_minus_full_map"]), abs=1e-10)


@pytest.mark.parametrize(("data", "name"), groups(r"(two_images_pred_shape)"))
def test_two_images_have_a_map_each(data: dict[str, NDArray[Any]], name: str) -> None:
    """The released code keeps the last one of exactly two."""
    levels = [level[:2] for level in likelihoods(data, "test")]
    size = data["gt_mask"].shape[-1]
    found = joint_map(
        normality(levels, torch.from_numpy(data["train_max"]), size), torch.from_numpy(data["cls_test"][:2]), 1.0
    )
    assert list(found.shape) == [2, *data[name].tolist()]


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/logjac"))
def test_log_likelihood(data: dict[str, NDArray[Any]], name: str) -> None:
    """The released code divides it by the channels afterwards."""
    latents, log_determinant = (torch.from_numpy(data[f"{name}/{key}"]) for key in ("z", "logjac"))

    def flow(rows: Tensor, condition: None) -> tuple[Tensor, Tensor]:
        return latents, log_determinant

    found = log_likelihood(flow, latents, None)  # type: ignore[arg-type]
    close(latents.shape[1] * found, data[f"{name}/value"], 1e-12)


@pytest.mark.parametrize(("data", "name"), groups(r"(\w+)/pixel_aupr_trapezoid"))
def test_metrics_of_a_map_with_ties(data: dict[str, NDArray[Any]], name: str) -> None:
    """The map is that of CFLOW-AD's case of the same name."""
    case = beside("cflow_scores.npz", f"{name}/map")
    maps, truth = case[f"{name}/map"].astype(np.float64), case[f"{name}/gt_mask"].astype(bool)
    assert pixel_aupr(truth, maps) == pytest.approx(float(data[f"{name}/pixel_aupr_trapezoid"]), abs=1e-10)
    step = float(data[f"{name}/average_precision_for_comparison"])  # another area under the same curve
    assert average_precision_score(truth.ravel(), maps.ravel()) == pytest.approx(step, abs=1e-10)
    assert released_aupro(maps, truth) == pytest.approx(float(data[f"{name}/aupro_200"]), abs=1e-10)
    assert auroc(truth.ravel(), maps.ravel()) == pytest.approx(float(data[f"{name}/pixel_auroc"]), abs=1e-10)
