"""Training of the decoders: a fixed number of passes, the last one counts, resumable after a kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.cflow.checkpoint import to_model
from multiflow.methods.cflow.decoder import Decoders, Shape, fibres, loss
from multiflow.methods.cflow.encoder import LevelEncoder, create_encoder
from multiflow.methods.cflow.schedule import learning_rate
from multiflow.methods.cflow.settings import Decoder, Settings, Training
from multiflow.methods.contract import Model, Samples
from multiflow.methods.work import Work

__all__ = [
    "DecoderTraining",
    "check_batches",
    "encode",
    "highest_likelihoods",
    "tf32",
    "train_cflow",
    "train_passes",
]

logger = logging.getLogger(__name__)

_IMAGES_AT_ONCE = 8  # that go through the encoder together: 0.6 GB at 512 px in a WideResNet-50


def train_cflow(samples: Samples, settings: Settings, seed: int, work: Work) -> Model:
    """Train the decoders on a class's normal samples, each view an image of its own.

    The models after all meta-epochs but the last are offered to :meth:`Work.keep`. On a CPU an interrupted training
    gives the same bytes as one that was not. Nothing is kept of an image beyond its batch: pictures are decoded and
    encoded again in every pass, and memory doesn't grow with their number.

    Args:
        samples: the training samples.
        settings: the method's.
        seed: decides the initial parameters, the rotations, and the order of images and fibres.
        work: device, progress, the encoder's weights, and the checkpoint that outlives a killed job.

    Raises:
        InputError: the encoder can't take such images, there are fewer images or fibres than a batch, or the loss or a
            trained parameter is not finite.
    """
    encoder = create_encoder(settings.encoder, work.weights).to(work.device)
    shapes = encoder.shapes(settings.image_size)
    check_batches(samples, settings.encoder.levels, shapes, settings.training)
    state = DecoderTraining.start(shapes, settings.decoder, settings.training, seed, work.device)
    work.resume(state.restore)

    def model() -> Model:
        with tf32(False):
            return to_model(state.decoders, highest_likelihoods(samples, encoder, state.decoders, work))

    train_passes(samples, encoder, state, len(work.history), work, work.save, model)
    return model()


def train_passes(
    samples: Samples,
    encoder: LevelEncoder,
    state: DecoderTraining,
    first: int,
    work: Work,
    save: Callable[[Mapping[str, Any]], None],
    model: Callable[[], Model] | None = None,
) -> None:
    """Train decoders pass by pass over all training images.

    A pass is recorded as ``epoch``, ``loss`` (the mean over its steps), ``learning_rate`` and ``seconds``.

    Args:
        samples: the training samples.
        encoder: on the device; it is left as it is.
        state: the decoders, after as many passes as were made before.
        first: their number.
        work: progress and history.
        save: keeps the state's values for a later start.
        model: gives the model so far, which :meth:`Work.keep` is offered after each meta-epoch but the last.

    Raises:
        InputError: the loss or a trained parameter is not finite.
    """
    training, place, generator = state.training, samples.class_name, state.generator
    images = len(samples) * len(samples.cameras)
    batches = training.batches(images, place)
    logger.info(
        "levels %s, %d parameters, %d passes over %d batches of %d images",
        state.decoders.shapes, sum(parameter.numel() for parameter in state.decoders.parameters()), training.passes,
        batches, training.image_batch,
    )  # fmt: skip
    progress = work.progress("trained", training.passes * batches, "batches", done=first * batches)
    for number in range(first, training.passes):
        started, losses = time.monotonic(), []
        order = torch.randperm(images, generator=generator)[: batches * training.image_batch].tolist()
        epoch, sub_epoch = divmod(number, training.sub_epochs)
        rate = 0.0
        views = [divmod(image, len(samples.cameras)) for image in order]
        with closing(samples.pictures(views)) as pictures, tf32(training.tf32):
            for batch in range(batches):
                rate = learning_rate(training, epoch, sub_epoch * batches + batch, training.sub_epochs * batches)
                turned = _turned(islice(pictures, training.image_batch), training, encoder, generator)
                losses += state.train_on(encode(encoder, turned), rate)
                progress.step(f"pass {number + 1}, loss {losses[-1]:.4f}")
        total = sum(losses) / len(losses)
        if not np.isfinite(total):
            raise InputError(
                f"{place}: pass {number + 1}: expected a finite loss, found {total}; lower training.learning_rate"
            )
        work.record(epoch=number + 1, loss=total, learning_rate=rate, seconds=round(time.monotonic() - started, 3))
        if model is not None and sub_epoch + 1 == training.sub_epochs and number + 1 < training.passes:
            work.keep(f"pass {number + 1}", model)
        if (number + 1) % training.checkpoint_every == 0 or number + 1 == training.passes:
            save(state.values())
    _check_finite(state.decoders, place)


class DecoderTraining:
    """Decoders, their optimizer, and the generator of all that is drawn.

    Args:
        decoders: on the device.
        training: the settings.
        generator: on the CPU, so that every device sees the same order.
    """

    def __init__(self, decoders: Decoders, training: Training, generator: torch.Generator) -> None:
        self.decoders = decoders
        self.optimizer = torch.optim.Adam(decoders.parameters(), lr=training.learning_rate)
        self.training = training
        self.generator = generator

    @classmethod
    def start(
        cls, shapes: Sequence[Shape], decoder: Decoder, training: Training, seed: int, device: torch.device
    ) -> DecoderTraining:
        """New decoders.

        Args:
            shapes: of the levels.
            decoder: of each of them.
            training: the settings.
            seed: decides parameters, rotations and all that is drawn later; it becomes PyTorch's global one.
            device: where they are trained.
        """
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        return cls(Decoders(shapes, decoder, generator).to(device), training, generator)

    def train_on(
        self, levels: Sequence[Tensor], rate: float, permute: Callable[[int], Tensor] | None = None
    ) -> list[float]:
        """Train on the features of a batch of images: all of a level's fibres before those of the next.

        Args:
            levels: features [B, C, H, W] of each level.
            rate: the learning rate.
            permute: gives a random order of so many fibres; by default from the generator.

        Returns:
            The loss of each step, before it.
        """
        permute = permute or (lambda count: torch.randperm(count, generator=self.generator))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses, size = [], self.training.fibre_batch
        for level, features in enumerate(levels):
            rows = fibres(features)
            order = permute(len(rows)).to(rows.device)
            used = len(rows) // size * size if self.training.drop_last_fibres else len(rows)
            for index in order[:used].split(size):
                mean = loss(self.decoders.likelihood(level, rows[index], index))
                # Where gradients are dropped, Adam leaves the other decoders alone; zeros leave them their momentum.
                self.optimizer.zero_grad(set_to_none=not self.training.coasting)
                mean.backward()
                self.optimizer.step()
                losses.append(mean.detach())
        return torch.stack(losses).tolist() if losses else []

    def values(self) -> dict[str, Any]:
        """All that a checkpoint needs."""
        return {
            "decoders": self.decoders.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from :meth:`values`."""
        self.decoders.load_state_dict(values["decoders"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.generator.set_state(values["generator"])
        if self.training.coasting:
            for parameter in self.optimizer.state:
                parameter.grad = torch.zeros_like(parameter)  # or it would rest until its next step


@torch.no_grad()
def encode(encoder: LevelEncoder, images: NDArray[np.uint8]) -> list[Tensor]:
    """Features [B, C, H, W] of each level of RGB images [B, S, S, 3]."""
    batch = torch.from_numpy(images).to(encoder.mean.device)
    parts = [encoder(encoder.normalize(some)) for some in batch.split(_IMAGES_AT_ONCE)]
    return [torch.cat(level) for level in zip(*parts, strict=True)]


def highest_likelihoods(samples: Samples, encoder: LevelEncoder, decoders: Decoders, work: Work) -> Tensor:
    """The highest log-likelihood per channel of each level over all training images [L], float64."""
    progress = work.progress("measured", len(samples), "samples")
    highest = torch.full((len(decoders.shapes),), -torch.inf, dtype=torch.float64)
    for sample in samples:
        maps = decoders.likelihood_maps(encode(encoder, sample.images))
        highest = torch.maximum(highest, torch.stack([level.max() for level in maps]).double().cpu())
        progress.step()
    return highest


def _turned(
    pictures: Iterator[NDArray[np.uint8]], training: Training, encoder: LevelEncoder, generator: torch.Generator
) -> NDArray[np.uint8]:
    """A batch of pictures, each turned by an angle of its own."""
    batch = list(pictures)
    if training.rotation == 0:
        return np.stack(batch)
    angles = (2 * torch.rand(len(batch), generator=generator) - 1) * training.rotation
    fill = (0, 0, 0)
    if training.rotation_fill == "mean":
        red, green, blue = (round(255 * value) for value in encoder.mean.flatten().tolist())
        fill = (red, green, blue)
    return np.stack(
        [
            np.asarray(Image.fromarray(picture).rotate(angle, Image.Resampling.NEAREST, fillcolor=fill))
            for picture, angle in zip(batch, angles.tolist(), strict=True)
        ]
    )


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Compute in TF32 where the GPU has it, or in full float32, as scores and all that they are compared with are."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def check_batches(samples: Samples, levels: Sequence[int], shapes: Sequence[Shape], training: Training) -> None:
    """Check, before anything is computed, that every level gets a step.

    Args:
        samples: the training samples.
        levels: as the configuration names them.
        shapes: of the levels.
        training: the settings.

    Raises:
        InputError: there are fewer images or fibres than a batch.
    """
    place, images = samples.class_name, len(samples) * len(samples.cameras)
    training.batches(images, place)
    images, size = min(images, training.image_batch), training.fibre_batch
    for level, (_, height, width) in zip(levels, shapes, strict=True):
        if training.drop_last_fibres and (found := images * height * width) < size:
            raise InputError(
                f"{place}: train: level {level}: expected at least training.fibre_batch = {size} pixels in a batch of "
                f"images, found {found} ({images} images of {height} x {width}); lower training.fibre_batch, or raise "
                "training.image_batch or image_size, or set training.drop_last_fibres: false"
            )


def _check_finite(decoders: Decoders, place: str) -> None:
    damaged = [name for name, parameter in decoders.named_parameters() if not parameter.isfinite().all()]
    if damaged:
        raise InputError(
            f"{place}: after the last pass: expected finite parameters, found infinite or NaN values in "
            f"{len(damaged)} of {len(list(decoders.parameters()))} ({damaged[0]}, ...): the training has diverged; "
            "lower training.learning_rate"
        )
