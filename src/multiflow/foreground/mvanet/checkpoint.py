"""The released checkpoint of MVANet: fetch it, check it tensor by tensor, load it."""

from __future__ import annotations

import http.client
import logging
import re
import shutil
import tempfile
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.base.weights import checked_sha256, read_checkpoint, read_weights, write_weights
from multiflow.foreground.mvanet.network import MVANet
from multiflow.foreground.settings import Segmentation

__all__ = ["create_mvanet", "fetch_mvanet"]

logger = logging.getLogger(__name__)

_FILE = "Model_80.pth"
_REPOSITORY = "https://github.com/qianyu-dlut/MVANet"
_DRIVE_ID = "1_gabQXOF03MfXnf3EWDK1d_8wKiOemOv"
_ADDRESS = f"https://drive.usercontent.google.com/download?id={_DRIVE_ID}&export=download&confirm=t"
_TIMEOUT = 60.0  # s without an answer

# Tensors of the released checkpoint that the network doesn't have: it was saved by another version of it.
_LEFT_OVER = {
    r"sideout\d+\..+": "logits of the stages, for the loss of the training",
    r"dec_blk[1-4]\.linear[12]\.(weight|bias)": "a feed-forward that the refinement never runs",
    r"dec_blk[1-4]\.attention\.[4-7]\..+": "attentions beyond the four that the refinement runs",
    r"multifieldcrossatt\.attention\.[5-9]\..+": "attentions beyond the five that are run",
    r"multifieldcrossatt\.linear[56]\.(weight|bias)": "the feed-forward of a later version, beside its own",
}

_INDEX = "relative_position_index"


def create_mvanet(weights: Path) -> MVANet:
    """Create the network with weights from :func:`fetch_mvanet`, in evaluation mode.

    Raises:
        InputError: the file is missing, damaged, or of another network.
    """
    state, _ = read_weights(weights)
    network = MVANet()
    own = _released_names(network)
    _check(state, own, weights)
    with torch.no_grad():
        for name, tensor in own.items():
            if not name.endswith(_INDEX):
                tensor.copy_(state[name])
            elif not torch.equal(tensor, state[name]):
                raise InputError(f"{weights}: {name} is not that of a 12 x 12 window; give MVANet's {_FILE}")
    return network.eval().requires_grad_(False)


def fetch_mvanet(settings: Segmentation, path: Path) -> None:
    """Put MVANet's weights into one safetensors file; only this may use the network.

    ``segmentation.weights`` says where they come from: ``download``, or the path of a checkpoint, as it was
    released or as this function writes it. The authors publish no checksum: what was fetched is checked by the names
    and shapes of its tensors, and by ``segmentation.weights_sha256`` where that is set. The file's metadata and the
    log record its source and SHA-256.

    Raises:
        InputError: the checkpoint is not there, cannot be downloaded, or is not MVANet's.
    """
    with tempfile.TemporaryDirectory() as folder:
        if settings.weights == "download":
            source = f"{_REPOSITORY}, {_FILE}, Google Drive {_DRIVE_ID}"
            file = Path(folder) / _FILE
            _download(file, path)
        else:
            source = settings.weights
            file = Path(settings.weights)
            if not file.is_file():
                raise InputError(f"segmentation.weights: {file}: no such file; {_advice(path)}")
        checksum = checked_sha256(file, source, settings.weights_sha256, "segmentation.weights_sha256")
        state = read_checkpoint(file)
    with torch.device("meta"):
        wanted = _released_names(MVANet())
    left_over = [name for name in state if any(re.fullmatch(pattern, name) for pattern in _LEFT_OVER)]
    for name in left_over:
        del state[name]
    _check(state, wanted, Path(source))
    write_weights(
        path,
        {name: state[name].contiguous() for name in wanted},
        {"network": "MVANet", "source": source, "sha256": checksum},
    )
    logger.info(
        "weights of MVANet from %s, sha256 %s, %d tensors taken, %d of the training left out",
        source,
        checksum,
        len(wanted),
        len(left_over),
    )


def _released_names(network: MVANet) -> dict[str, Tensor]:
    """The network's own tensors by their names in the released checkpoint.

    There, a stage of the backbone ends with the merging of patches; in timm, the next one begins with it. The
    indices of relative positions are stored there; timm computes them.
    """
    tensors = network.state_dict() | {name: buffer for name, buffer in network.named_buffers() if name.endswith(_INDEX)}
    return {
        re.sub(
            r"^backbone\.layers\.(\d)\.downsample",
            lambda found: f"backbone.layers.{int(found[1]) - 1}.downsample",
            name,
        ): tensor
        for name, tensor in tensors.items()
    }


def _check(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: Path) -> None:
    """Same names, same shapes, or one line that says what differs."""
    problems = []
    if missing := [name for name in wanted if name not in state]:
        problems.append(f"{_listed(missing)} missing")
    if unknown := [name for name in state if name not in wanted]:
        problems.append(f"{_listed(unknown)} unknown")
    for name, tensor in wanted.items():
        if name in state and state[name].shape != tensor.shape:
            problems.append(f"{name} is {list(state[name].shape)}, not {list(tensor.shape)}")
            break
    if problems:
        raise InputError(
            f"{source}: expected the {len(wanted)} tensors of MVANet, found {len(state)}: {'; '.join(problems)}; "
            f"give {_FILE} of {_REPOSITORY}"
        )


def _listed(names: Collection[str]) -> str:
    first = next(iter(names))
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


def _download(file: Path, path: Path) -> None:
    try:
        with urllib.request.urlopen(_ADDRESS, timeout=_TIMEOUT) as response, open(file, "wb") as stream:
            shutil.copyfileobj(response, stream)
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: cannot download MVANet's weights ({reason}); {_advice(path)}") from None
    with open(file, "rb") as stream:
        if stream.read(2) != b"PK":  # a checkpoint is a zip file
            raise InputError(f"{path}: Google Drive answered with a page instead of MVANet's weights; {_advice(path)}")


def _advice(path: Path) -> str:
    return (
        f"download {_FILE} from https://drive.google.com/file/d/{_DRIVE_ID} (the README of {_REPOSITORY} links it) "
        f"to {path.parent / _FILE} and set segmentation.weights to that path"
    )
