"""A model of anomalib as it is before its training: its network's weights are a file of the run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import timm
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from multiflow.base.errors import InputError
from multiflow.base.tensors import read_provenance
from multiflow.methods.anomalib.offline import offline
from multiflow.methods.anomalib.settings import Settings

with warnings.catch_warnings():  # of modules that are imported for models that are not used
    warnings.simplefilter("ignore")
    import anomalib.models
    from anomalib import LearningType
    from anomalib.data import ImageBatch
    from anomalib.models.components import AnomalibModule

__all__ = ["Built", "build"]


@dataclass(frozen=True)
class Built:
    """A model that this adapter prepares pictures for.

    Args:
        module: the library's model, without parts of its own that prepare pictures, normalise, measure or draw.
        transform: from RGB values in 0 to 1 [B, 3, S, S] to what the model takes.
        pretrained: the networks in it whose weights come from a file.
    """

    module: AnomalibModule
    transform: v2.Transform
    pretrained: tuple[nn.Module, ...]

    def batch(self, images: Tensor) -> ImageBatch:
        """A batch of normal pictures.

        Args:
            images: RGB [B, S, S, 3] uint8, on any device.
        """
        count = len(images)
        # The library's own conversion, since it rounds otherwise than a division by 255.
        values = v2.functional.to_dtype(images.permute(0, 3, 1, 2).contiguous(), torch.float32, scale=True)
        prepared = self.transform(values)
        return ImageBatch(
            image=prepared,
            gt_label=torch.zeros(count, dtype=torch.bool, device=images.device),
            gt_mask=torch.zeros(count, *prepared.shape[-2:], dtype=torch.bool, device=images.device),
        )


def build(settings: Settings, weights: Mapping[str, Path]) -> Built:
    """Create a model. What is random in it is drawn from the global generators.

    Args:
        settings: the method's.
        weights: the file of its network, by the network's name.

    Raises:
        InputError: the model refuses its settings or the image size, is trained on nothing, or wants a network whose
            weights are no file of the run.
    """
    for library in ("anomalib", "lightning", "lightning.pytorch", "lightning.fabric", "timm"):
        logging.getLogger(library).setLevel(logging.ERROR)
    name, size = settings.model, settings.image_size
    found = getattr(anomalib.models, name)
    try:
        pre_processor = found.configure_pre_processor(image_size=(size, size))
        transform = _whole_picture(pre_processor.transform)
        pre_processor.transform = transform
        taken = tuple(transform(torch.zeros(1, 3, size, size)).shape[-2:])
        if taken != (size, size):
            raise InputError(
                f"image_size: {name} of anomalib takes {taken[0]} px, found {size}; set image_size: {taken[0]}"
            )
        with offline(name), _weights_from_files(settings, weights) as pretrained, _complaints() as complaints:
            module: AnomalibModule = found(
                **settings.arguments(),
                pre_processor=pre_processor,
                post_processor=False,
                evaluator=False,
                visualizer=False,
            )
    except (ValueError, TypeError, RuntimeError, AssertionError, NotImplementedError, KeyError, IndexError) as error:
        raise InputError(
            f"{name} of anomalib refuses its settings or size: {_one_line(error)}; correct them"
        ) from error
    if complaints:
        raise InputError(f"settings: {name} of anomalib: {complaints[0]}; correct settings")
    if module.learning_type != LearningType.ONE_CLASS:
        raise InputError(f"model: {name} of anomalib is not trained on the class; take another")
    # Pictures come prepared, since some models also read batches that the library's own part would not have seen.
    module.pre_processor = None
    return Built(module, transform, tuple(pretrained))


@contextmanager
def _weights_from_files(settings: Settings, weights: Mapping[str, Path]) -> Iterator[list[nn.Module]]:
    """Let timm take pretrained weights from the run's files; yields the networks that got some."""
    create: Any = timm.create_model
    networks = {name.partition(".")[0]: (name, path) for name, path in weights.items()}
    made: list[nn.Module] = []

    def from_file(model_name: str, pretrained: bool = False, **options: Any) -> nn.Module:
        if not pretrained:
            return create(model_name, pretrained=False, **options)
        if model_name.partition(".")[0] not in networks:
            raise InputError(
                f"network.backbone: {settings.model} of anomalib runs {model_name}, found "
                f"{', '.join(weights) or 'none'}; set network.backbone: {model_name}"
            )
        name, path = networks[model_name.partition(".")[0]]
        stored = read_provenance(path).get("backbone", name)
        if stored != name:
            raise InputError(f"{path}: expected weights of {name}, found those of {stored}; delete it and rerun")
        options.pop("pretrained_cfg", None)
        network: nn.Module = create(name, pretrained=True, pretrained_cfg_overlay={"file": str(path)}, **options)
        made.append(network)
        return network

    with patch.object(timm, "create_model", from_file):
        yield made


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Warnings of the library, which goes on without a layer that it doesn't find."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "not found in model" in record.getMessage():
                found.append(record.getMessage())

    listener, library = Listener(), logging.getLogger("anomalib")
    before = library.level, library.propagate
    library.addHandler(listener)
    library.propagate = False
    library.setLevel(logging.WARNING)
    try:
        yield found
    finally:
        library.removeHandler(listener)
        library.level, library.propagate = before


def _whole_picture(transform: v2.Transform) -> v2.Transform:
    """Without crops: a map has to cover the whole picture."""
    if not isinstance(transform, v2.Compose):
        return transform
    return v2.Compose([step for step in transform.transforms if not isinstance(step, v2.CenterCrop)])


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
