"""Whether a GPU computes what the CPU computes: every network, a training of every method, in every precision.

`gpu.py` runs it. Weights are random, since they don't matter for how far two devices differ.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiflow.base.weights import write_weights
from multiflow.features.backbone import Backbone
from multiflow.foreground.mvanet.network import MVANet
from multiflow.methods import METHODS, load_method
from multiflow.methods.contract import FeatureShape, Model
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.network import MultiFlow, loss
from multiflow.methods.multiflow.settings import Network
from multiflow.methods.work import Work

__all__ = ["TOLERANCES", "Parity", "parity", "precision"]

TOLERANCES = {"float32": 1e-4, "TF32": 1e-2, "bfloat16": 5e-2}
"""Largest difference to the CPU in float32, relative to the largest value: sums are added in another order; TF32 keeps
10 bits of a factor, bfloat16 keeps 7, and a network has dozens of layers."""

# A training amplifies a difference with every step; its scores are held against this multiple of the tolerance.
_AFTER_TRAINING = 20
_SAMPLES, _VIEWS, _SIZE, _GRID, _CHANNELS = 8, 5, 64, 4, 16
# Of each method, what makes it small. A registered method that has no line here is named as not checked.
_SMALL: dict[str, dict[str, Any]] = {
    "multiflow": {
        "network": {"blocks": 2, "hidden": 8, "kernels": [3, 5]},
        "training": {"epochs": 10, "batch_size": 8},
    },
    "multiscale": {
        "levels": {"fine": {"channels": 12}, "coarse": {"channels": 8}},
        "network": {"blocks": 2, "hidden": 8, "kernels": [3, 5]},
        "training": {"epochs": 10, "batch_size": 8},
        "map_size": 8,
    },
    "cflow": {
        "image_size": _SIZE,
        "encoder": {"backbone": "resnet18.tv_in1k"},
        "decoder": {"blocks": 2, "condition": 16},
        "training": {"meta_epochs": 2, "sub_epochs": 1, "image_batch": 8, "fibre_batch": 16},
    },
    # PatchCore's coreset begins with a picture that each device draws for itself.
    "anomalib": {
        "model": "Padim",
        "image_size": _SIZE,
        "network": {"backbone": "resnet18.tv_in1k"},
        "settings": {"n_features": 20},
        "training": {"batch_size": 8},
    },
    # A fixed weight, since which one is chosen can hang on a last digit; a low rate, since Adam makes whole steps of
    # rounding errors.
    "clscnf": {
        "image_size": _SIZE,
        "weight": 0.3,
        "encoder": {"backbone": "resnet18.tv_in1k"},
        "synthesis": {"textures": "in_domain"},
        "tuning": {"frozen_epochs": 1, "tuned_epochs": 1, "sub_epochs": 1, "repeats": 1, "learning_rate": 1e-6},
        "flows": {"blocks": 2, "condition": 16},
        "training": {"meta_epochs": 2, "sub_epochs": 1, "image_batch": 8, "fibre_batch": 16},
    },
    # All patches, since each device draws for itself with which one a coreset begins.
    "softpatch": {
        "image_size": _SIZE,
        "encoder": {"backbone": "resnet18.tv_in1k"},
        "coreset_share": 1.0,
    },
    # Next to no noise, since each device draws its own; a low rate, as above.
    "simplenet": {
        "image_size": _SIZE,
        "encoder": {"backbone": "resnet18.tv_in1k"},
        "hidden": 16,
        "training": {"epochs": 2, "noise": 1e-9, "adaptor_rate": 1e-6, "discriminator_rate": 1e-6},
    },
}


@dataclass(frozen=True)
class Parity:
    """One comparison with the CPU in float32.

    Args:
        name: what was computed.
        precision: in which precision.
        difference: the largest one, relative to the largest value; None where it was not computed.
        tolerance: how large it may be.
        remark: why it was not computed.
    """

    name: str
    precision: str
    difference: float | None
    tolerance: float
    remark: str = ""

    @property
    def holds(self) -> bool:
        """Whether the difference is within its tolerance."""
        return self.difference is not None and self.difference <= self.tolerance


@contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Compute in ``float32``, in ``TF32`` where the device has it, or in ``bfloat16`` where torch takes it."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = name == "TF32"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def parity(device: torch.device, kinds: Sequence[str]) -> Iterator[Parity]:
    """Compare a device with the CPU, network by network in these precisions, and method by method."""
    cpu = torch.device("cpu")
    networks: dict[str, Callable[[torch.device], dict[str, Tensor]]] = {
        "extractor": _extractor,
        "MVANet": _mvanet,
        "flow": _flow,
    }
    for name, compute in networks.items():
        reference = compute(cpu)
        for kind in kinds:
            with precision(kind, device):
                found = compute(device)
            for part, expected in reference.items():
                yield Parity(f"{name}: {part}", kind, _difference(found[part], expected), TOLERANCES[kind])
    for name in METHODS:
        try:
            yield from _method(name, device)
        except ImportError as error:
            yield Parity(f"{name}: training", "float32", None, 0.0, f"not checked: {error}")


def _difference(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    return float((found - expected).abs().max() / expected.abs().max())


def _extractor(device: torch.device) -> dict[str, Tensor]:
    torch.manual_seed(0)
    backbone = Backbone(timm.create_model("tf_efficientnet_b5"), "blocks.5", (0.5,) * 3, (0.2,) * 3).to(device)
    images = torch.from_numpy(_pictures(2, 256)).to(device)
    with torch.inference_mode():
        return {"features": backbone(backbone.normalize(images).contiguous()).float()}


def _mvanet(device: torch.device) -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = MVANet().eval().to(device)
    images = torch.from_numpy(_pictures(1, 384)).to(device).permute(0, 3, 1, 2).float().div(255)
    with torch.inference_mode():
        return {"logits": network(images).float()}


def _flow(device: torch.device) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    settings = Network(blocks=4, hidden=32, kernels=[3, 3, 3, 5], noise="none")
    flow = MultiFlow(64, camera_graph(_VIEWS), settings, generator=generator)
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if name.endswith("gamma"):
                parameter.uniform_(0.1, 0.5, generator=generator)
    flow = flow.to(device)
    latents, log_determinant = flow(torch.randn(2, _VIEWS, 64, 12, 12, generator=generator).to(device))
    mean = loss(latents.float(), log_determinant.float())
    with torch.autocast(device.type, enabled=False):  # as a training calls it
        mean.backward()
    # As one vector: a single gradient can be a sum that nearly cancels.
    gradients = torch.cat([parameter.grad.flatten() for parameter in flow.parameters() if parameter.grad is not None])
    return {"latents": latents, "log-determinants": log_determinant, "loss": mean[None], "gradients": gradients}


def _method(name: str, device: torch.device) -> Iterator[Parity]:
    """A short training of a method and its scores; scores of one model, too, without what the trainings differ in."""
    if name not in _SMALL:
        yield Parity(f"{name}: training", "float32", None, 0.0, "not checked: benchmarks/gpu_parity.py has no settings")
        return
    method, samples = load_method(name), _MadeUpSamples()
    try:
        settings = method.Settings.model_validate(_SMALL[name])
    except ValueError as error:  # its library is not here
        yield Parity(f"{name}: training", "float32", None, 0.0, f"not checked: {' '.join(str(error).split())[:60]}")
        return
    with tempfile.TemporaryDirectory() as folder:
        weights = _random_weights(method.needs(settings).weights, Path(folder))

        def train(where: torch.device) -> Model:
            work = Work(where, torch.get_num_threads(), Path(folder) / f"{where.type}.pt", where.type, weights)
            model = method.train(samples, settings, 0, work)
            work.checkpoint.unlink(missing_ok=True)
            return Model(model.tensors, model.metadata, weights)

        def score(model: Model, where: torch.device) -> Tensor:
            with torch.inference_mode():
                scorer = method.scorer(model, settings, where)
                return torch.from_numpy(np.stack([scorer(sample).map for sample in samples]))

        cpu, tolerance = torch.device("cpu"), TOLERANCES["float32"]
        own = train(cpu)
        expected = score(own, cpu)
        # Methods switch TF32 on and off themselves, as their settings say.
        with precision("float32", device):
            yield Parity(f"{name}: scores", "float32", _difference(score(own, device), expected), tolerance)
            trained = score(train(device), device)
        kind = "TF32" if device.type == "cuda" else "float32"
        limit = _AFTER_TRAINING * TOLERANCES[kind]
        yield Parity(f"{name}: training, then scores", kind, _difference(trained, expected), limit)


def _random_weights(networks: Sequence[Any], folder: Path) -> dict[str, Path]:
    files = {}
    for network in networks:
        torch.manual_seed(0)
        files[network.backbone] = folder / f"{network.backbone}.safetensors"
        write_weights(files[network.backbone], timm.create_model(network.backbone).state_dict(), {})
    return files


def _pictures(count: int, size: int) -> NDArray[np.uint8]:
    """Smooth random pictures [count, size, size, 3]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    return (255 * smooth).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


class _MadeUpSamples:
    """Random samples in memory; see :class:`multiflow.methods.contract.Samples`."""

    class_name = "part"
    cameras = tuple(f"C{view + 1}" for view in range(_VIEWS))

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._images = _pictures(_SAMPLES * _VIEWS, _SIZE).reshape(_SAMPLES, _VIEWS, _SIZE, _SIZE, 3)
        self._features = random.standard_normal((_SAMPLES, _VIEWS, _CHANNELS, _GRID, _GRID)).astype(np.float32)

    def feature_shape(self, name: str) -> FeatureShape:
        return FeatureShape(_CHANNELS, _GRID, _GRID)

    def feature_statistics(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = self._features.astype(np.float64)
        return values.mean(axis=(0, 1, 3, 4)), values.std(axis=(0, 1, 3, 4))

    def __len__(self) -> int:
        return _SAMPLES

    def __getitem__(self, index: int) -> _MadeUpSample:
        if index >= _SAMPLES:
            raise IndexError(index)
        return _MadeUpSample(f"part_{index}", self._images[index], self._features[index])

    def __iter__(self) -> Iterator[_MadeUpSample]:
        return (self[index] for index in range(_SAMPLES))

    def pictures(self, order: Sequence[tuple[int, int]]) -> Generator[NDArray[np.uint8], None, None]:
        yield from (self._images[index, view] for index, view in order)


@dataclass(frozen=True)
class _MadeUpSample:
    """One of them; see :class:`multiflow.methods.contract.Sample`."""

    key: str
    images: NDArray[np.uint8]
    values: NDArray[np.float32]

    def features(self, name: str) -> NDArray[np.float32]:
        return self.values

    def foreground(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        return np.ones((_VIEWS, *grid), dtype=bool)
