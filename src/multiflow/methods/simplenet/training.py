"""The training: adapted features are to be told from the same ones with noise."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiflow.base.devices import exact_float32
from multiflow.base.errors import InputError
from multiflow.methods.contract import Model, Samples
from multiflow.methods.patches.features import create_patch_encoder, patch_features
from multiflow.methods.simplenet.network import SimpleNet
from multiflow.methods.simplenet.settings import Settings, Training
from multiflow.methods.work import Work

__all__ = ["train_simplenet", "truncated_loss"]


def train_simplenet(samples: Samples, settings: Settings, seed: int, work: Work) -> Model:
    """Train adaptor and discriminator on a class's normal samples, each view an image of its own.

    An epoch is recorded as ``epoch``, ``loss`` and ``seconds``. On a CPU an interrupted training gives the same bytes
    as one that was not. The pictures are held in memory as bytes: 0.2 MB each at 256 px.

    Args:
        samples: the training samples.
        settings: the method's.
        seed: of the layers, the order of the pictures, and the noise.
        work: device, progress, the network's weights, and the checkpoint that outlives a killed job.

    Raises:
        InputError: the loss is not finite.
    """
    training, device = settings.training, work.device
    encoder = create_patch_encoder(settings.encoder, work.weights, device)
    pictures = work.once("pictures", partial(_read, samples, work))
    torch.manual_seed(seed)
    channels = sum(shape[0] for shape in encoder.shapes(settings.image_size))
    network = SimpleNet(channels, settings.hidden).to(device).train()
    rates = ((network.adaptor, training.adaptor_rate), (network.discriminator, training.discriminator_rate))
    optimizer = torch.optim.Adam(
        [{"params": part.parameters(), "lr": rate} for part, rate in rates], weight_decay=training.weight_decay
    )
    order, noise = torch.Generator().manual_seed(seed), torch.Generator(device).manual_seed(seed)

    def restore(values: Any) -> None:
        network.load_state_dict(values["network"])
        optimizer.load_state_dict(values["optimizer"])
        order.set_state(values["order"])
        noise.set_state(values["noise"])

    work.resume(restore)
    first, batches = len(work.history), math.ceil(len(pictures) / training.image_batch)
    progress = work.progress("trained", training.epochs * batches, "batches", done=first * batches)
    for epoch in range(first, training.epochs):
        started, losses = time.monotonic(), []
        with exact_float32(work.threads):
            for chosen in torch.randperm(len(pictures), generator=order).split(training.image_batch):
                rows = patch_features(encoder, pictures[chosen.numpy()]).flatten(0, 2)
                loss = truncated_loss(network, rows, training, noise)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
                progress.step(f"epoch {epoch + 1}")
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise InputError(
                f"{work.place}: epoch {epoch + 1}: expected a finite loss, found {mean}; lower training.adaptor_rate "
                "and training.discriminator_rate"
            )
        work.record(epoch=epoch + 1, loss=mean, seconds=round(time.monotonic() - started, 3))
        if (epoch + 1) % training.checkpoint_every == 0 and epoch + 1 < training.epochs:
            state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            work.save(state | {"order": order.get_state(), "noise": noise.get_state()})
    return Model({name: tensor.cpu() for name, tensor in network.state_dict().items()})


def truncated_loss(network: SimpleNet, rows: Tensor, training: Training, generator: torch.Generator) -> Tensor:
    """Truncated L1 loss: what normal features lack to the margin, and those with noise to minus the margin.

    Args:
        network: the layers.
        rows: features of patches [N, C].
        training: the settings.
        generator: draws the noise, on the device of the features.
    """
    adapted = network.adaptor(rows)
    noise = torch.randn(adapted.shape, generator=generator, device=adapted.device) * training.noise
    normal, anomalous = network.normality(torch.cat([adapted, adapted + noise])).chunk(2)
    return (training.margin - normal).clamp(min=0).mean() + (training.margin + anomalous).clamp(min=0).mean()


def _read(samples: Samples, work: Work) -> NDArray[np.uint8]:
    """All views of all samples, RGB [N V, S, S, 3]."""
    pictures, progress = np.empty(0, np.uint8), work.progress("read", len(samples), "samples")
    for index, sample in enumerate(samples):
        images = sample.images
        if index == 0:
            pictures = np.empty((len(samples), *images.shape), np.uint8)
        pictures[index] = images
        progress.step()
    return pictures.reshape(-1, *pictures.shape[2:])
