"""What CFLOW-AD costs, counted from the shapes of encoder and decoders without building the decoders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from multiflow.methods.cflow.settings import Decoder, Encoder, Settings, Training
from multiflow.methods.contract import Cost, Images

__all__ = ["ImageCost", "cflow_cost", "decoder_parameters", "decoder_training_tflop", "image_cost", "level_shapes"]

# Channels and stride of the levels by index, and GFLOP of an image of 256 px, as `_measure` counts them; which takes
# seconds, while a plan asks for every class.
_KNOWN = {
    "wide_resnet50_2.tv_in1k": (((64, 2), (256, 4), (512, 8), (1024, 16), (2048, 32)), 29.77),
    "resnet18.tv_in1k": (((64, 2), (64, 4), (128, 8), (256, 16), (512, 32)), 4.74),
    "tf_efficientnet_lite0.in1k": (((16, 2), (24, 4), (40, 8), (112, 16), (320, 32)), 0.95),
}


@dataclass(frozen=True)
class ImageCost:
    """What one image costs on its way through encoder and decoders.

    Attributes:
        channels: of the levels.
        encoder: operations of the encoder, 1e12.
        decoders: of the decoders.
        decoder_bytes: of their parameters and rotations.
    """

    channels: tuple[int, ...]
    encoder: float
    decoders: float
    decoder_bytes: float


def cflow_cost(settings: Settings, images: Images) -> Cost:
    """Cost of a class and seed."""
    image = image_cost(settings.encoder, settings.decoder, settings.image_size)
    forward = image.encoder + image.decoders
    # The test set's maxima take a pass of their own.
    passes = 2 if settings.maximum == "test" else 1
    return Cost(
        training_tflop=decoder_training_tflop(image, settings.training, images),
        scoring_tflop=passes * images.views * forward,
        model_bytes=image.decoder_bytes,
        map_bytes=4 * images.views * settings.image_size**2,
        precision="tf32" if settings.training.tf32 else "float32",
    )


def image_cost(encoder: Encoder, decoder: Decoder, size: int) -> ImageCost:
    """What an image of this side costs.

    Args:
        encoder, decoder: the settings.
        size: px.
    """
    levels, forward = level_shapes(encoder, size)
    parameters = sum(decoder_parameters(channels, decoder) for channels, _ in levels)
    rotations = decoder.blocks * sum(channels**2 for channels, _ in levels)
    return ImageCost(
        channels=tuple(channels for channels, _ in levels),
        encoder=forward,
        decoders=sum(fibres * _fibre_flop(channels, decoder) for channels, fibres in levels) / 1e12,
        decoder_bytes=4 * (parameters + rotations),
    )


def level_shapes(encoder: Encoder, size: int) -> tuple[list[tuple[int, int]], float]:
    """Channels and pixels of the levels, and operations of the whole encoder, 1e12, for an image of this side.

    Args:
        encoder: the settings.
        size: px.
    """
    all_levels, gflop = _KNOWN.get(encoder.backbone) or _measure(encoder.backbone)
    chosen = [all_levels[index] for index in encoder.levels if -len(all_levels) <= index < len(all_levels)]
    levels = [(channels, math.ceil(size / stride) ** 2) for channels, stride in chosen]
    return levels, gflop * (size / 256) ** 2 / 1e3


def decoder_training_tflop(image: ImageCost, training: Training, images: Images) -> float:
    """Operations of a whole training of the decoders.

    Backward is twice forward; the encoder goes forward only. At the end all training images are measured once.

    Args:
        image: what one costs.
        training: the settings.
        images: how many there are.
    """
    batches = images.train * images.views / training.image_batch
    count = training.passes * training.image_batch * (math.floor(batches) if training.drop_last else math.ceil(batches))
    return count * (image.encoder + 3 * image.decoders) + images.train * images.views * (image.encoder + image.decoders)


def decoder_parameters(channels: int, decoder: Decoder) -> int:
    """Trained parameters of a level's decoder."""
    inputs = channels - channels // 2 + decoder.condition
    outputs = 2 * (channels // 2)
    subnet = 2 * inputs * (inputs + 1) + outputs * (2 * inputs + 1)
    return decoder.blocks * (subnet + 2 * channels)


def _fibre_flop(channels: int, decoder: Decoder) -> float:
    """Operations of a fibre's way through its decoder: every weight and every entry of a rotation once."""
    return 2.0 * (decoder_parameters(channels, decoder) + decoder.blocks * channels**2)


@cache
def _measure(backbone: str) -> tuple[tuple[tuple[int, int], ...], float]:
    """Channels and stride of all levels, and GFLOP of an image of 256 px, from shapes alone: nothing is computed."""
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model: Any = timm.create_model(backbone)
        found = model.forward_intermediates(torch.empty(1, 3, 256, 256), intermediates_only=True)
    return tuple((level.shape[1], 256 // level.shape[2]) for level in found), counter.get_total_flops() / 1e9
