"""Training of one flow (paper section 4.3): fixed epochs, the last one counts, resumable after a kill."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.contract import Model, Samples
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.checkpoint import to_model
from multiflow.methods.multiflow.inputs import Scaling, load_inputs
from multiflow.methods.multiflow.network import MultiFlow, add_noise, loss, sample_noise
from multiflow.methods.multiflow.settings import Settings
from multiflow.methods.work import Work

__all__ = ["train_flow"]

logger = logging.getLogger(__name__)


@dataclass
class _State:
    """What a training needs to go on: the flow, the optimizer, the generator of shuffles and noise."""

    flow: MultiFlow
    optimizer: torch.optim.AdamW
    generator: torch.Generator

    def values(self) -> dict[str, Any]:
        return {
            "flow": self.flow.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, values: Mapping[str, Any]) -> None:
        self.flow.load_state_dict(values["flow"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.generator.set_state(values["generator"])


def train_flow(samples: Samples, settings: Settings, seed: int, work: Work) -> Model:
    """Train one flow on a class's normal samples.

    An epoch is recorded as ``epoch``, ``loss`` (the mean over its steps) and ``seconds``. On a CPU an interrupted
    training gives the same bytes as one that was not.

    Args:
        samples: the training samples; features and foreground of all of them are held in memory.
        settings: the method's.
        seed: decides the initial parameters, the order of the samples and the noise.
        work: device, progress, and the checkpoint that outlives a killed job.

    Raises:
        InputError: there are fewer samples than a batch, or the loss or a trained parameter is not finite.
    """
    training, device, place = settings.training, work.device, samples.class_name
    # PyTorch's defaults with tf32, but stated: convolutions only, no matrix products.
    torch.backends.cudnn.allow_tf32 = training.tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    batches = training.batches(len(samples), place)
    scaling = Scaling.fit(samples, settings)
    features, foreground = load_inputs(samples, settings, scaling)

    torch.manual_seed(seed)
    views, channels = features.shape[1:3]
    flow = MultiFlow(channels, camera_graph(views, settings.network.connections), settings.network).to(device)
    optimizer = torch.optim.AdamW(
        flow.parameters(),
        lr=training.learning_rate,
        betas=training.betas,
        eps=training.eps,
        weight_decay=training.weight_decay,
    )
    state = _State(flow, optimizer, torch.Generator().manual_seed(seed))
    work.resume(state.restore)
    if training.compile:
        flow.compile()

    logger.info(
        "features %s, %d parameters, %d epochs of %d steps",
        tuple(features.shape), sum(parameter.numel() for parameter in flow.parameters()), training.epochs, batches,
    )  # fmt: skip
    flow.train()
    first = len(work.history)
    progress = work.progress("trained", training.epochs, "epochs", done=first)
    for epoch in range(first + 1, training.epochs + 1):
        started = time.monotonic()
        order = torch.randperm(len(features), generator=state.generator)
        total = 0.0
        for batch in order[: batches * training.batch_size].split(training.batch_size):
            total += _step(state, features[batch], foreground[batch], training.amp, device) / batches
        if not torch.isfinite(torch.tensor(total)):
            raise InputError(
                f"{place}: epoch {epoch}: expected a finite loss, found {total}; "
                "lower training.learning_rate or set scaling"
            )
        work.record(epoch=epoch, loss=total, seconds=round(time.monotonic() - started, 3))
        if epoch % training.checkpoint_every == 0 and epoch < training.epochs:
            work.save(state.values())
        progress.step(f"loss {total:.4f}")
    _check_finite(flow, place)
    _warn_of_rise([record["loss"] for record in work.history], place)
    return to_model(flow.cpu(), scaling)


def _step(state: _State, features: Tensor, foreground: Tensor, amp: bool, device: torch.device) -> float:
    """One optimizer step on features [B, V, C, H, W]; the noise is drawn on the CPU, the same on every device."""
    noise, condition = sample_noise(state.flow.settings, features.shape, state.generator, device)
    inputs = add_noise(features.to(device), noise)
    with torch.autocast(device.type, torch.bfloat16, enabled=amp):
        z, log_determinant = state.flow(inputs, condition)
        mean = loss(z, log_determinant, foreground.to(device))
    state.optimizer.zero_grad(set_to_none=True)
    mean.backward()
    state.optimizer.step()
    return float(mean.detach())


def _check_finite(flow: MultiFlow, place: str) -> None:
    """A loss can stay finite in a training that diverges: the couplings clamp what the st-networks give."""
    damaged = [name for name, parameter in flow.named_parameters() if not parameter.isfinite().all()]
    if damaged:
        raise InputError(
            f"{place}: after the last epoch: expected finite parameters, found {len(damaged)} of "
            f"{len(list(flow.parameters()))} with infinite or NaN values ({damaged[0]}, ...): the training has "
            "diverged; lower training.learning_rate or set scaling"
        )


def _warn_of_rise(losses: Sequence[float], place: str) -> None:
    """A training that diverges can end with finite parameters, its scales saturated at the soft clamp: say so."""
    tenth = max(1, len(losses) // 10)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    if last > first:
        logger.warning(
            "%s: the mean loss of the last %s is %.4g, that of the first %.4g: the flow has learned nothing; lower "
            "training.learning_rate or set scaling",
            place, "epoch" if tenth == 1 else f"{tenth} epochs", last, first,
        )  # fmt: skip
