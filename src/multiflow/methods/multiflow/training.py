"""Training of flows (paper section 4.3): fixed epochs, the last one counts, resumable after a kill."""

from __future__ import annotations

import logging
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from multiflow.base.devices import hold_on_device
from multiflow.base.errors import InputError
from multiflow.methods.contract import Model, Samples
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.checkpoint import to_model
from multiflow.methods.multiflow.inputs import Scaling, load_inputs
from multiflow.methods.multiflow.network import MultiFlow, add_noise, loss, sample_noise
from multiflow.methods.multiflow.settings import Network, Settings, Training
from multiflow.methods.work import Work

__all__ = ["FlowTraining", "train_flow", "train_flows"]

logger = logging.getLogger(__name__)


class FlowTraining:
    """One flow while it is trained: its data, its optimizer, and the generator of its shuffles and noise.

    Args:
        features: [N, V, C, H, W], on the CPU; on a GPU they are copied there once, if they fit.
        foreground: [N, V, H, W], of which the loss is made.
        network: the flow's network.
        training: batches and optimizer.
        seed: decides the initial parameters, the order of the samples and the noise.
        device: where it computes.
        place: what is trained, for errors.

    Raises:
        InputError: there are fewer samples than a batch.
    """

    def __init__(
        self,
        features: Tensor,
        foreground: Tensor,
        network: Network,
        training: Training,
        seed: int,
        device: torch.device,
        place: str,
    ) -> None:
        self._features = hold_on_device(features, device)
        self._foreground = foreground.to(self._features.device)
        self._training, self._device = training, device
        self.place = place
        self.steps = training.batches(len(features), place)
        torch.manual_seed(seed)
        views, channels = features.shape[1:3]
        self.flow = MultiFlow(channels, camera_graph(views, network.connections), network).to(device)
        self._optimizer = torch.optim.AdamW(
            self.flow.parameters(),
            lr=training.learning_rate,
            betas=training.betas,
            eps=training.eps,
            weight_decay=training.weight_decay,
        )
        self._generator = self._noise_generator = torch.Generator().manual_seed(seed)
        if training.draw_noise == "device" and device.type != "cpu":
            self._noise_generator = torch.Generator(device).manual_seed(seed)

    def values(self) -> dict[str, Any]:
        """What it needs to go on, for a checkpoint."""
        found = {
            "flow": self.flow.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
        }
        if self._noise_generator is not self._generator:
            found["noise_generator"] = self._noise_generator.get_state()
        return found

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from what :meth:`values` returned."""
        self.flow.load_state_dict(values["flow"])
        self._optimizer.load_state_dict(values["optimizer"])
        self._generator.set_state(values["generator"])
        if self._noise_generator is not self._generator:
            self._noise_generator.set_state(values["noise_generator"])

    def epoch(self) -> float:
        """Train on all samples once; returns the mean loss of the steps."""
        order = torch.randperm(len(self._features), generator=self._generator).to(self._features.device)
        batches = order[: self.steps * self._training.batch_size].split(self._training.batch_size)
        # The losses are read at the end: a GPU would compute nothing while each step's was waited for.
        losses = torch.stack([self._step(batch) for batch in batches]).tolist()
        return sum(value / self.steps for value in losses)

    def _step(self, batch: Tensor) -> Tensor:
        """One optimizer step; returns its loss, on the device."""
        features, foreground = (values[batch].to(self._device) for values in (self._features, self._foreground))
        noise, condition = sample_noise(self.flow.settings, features.shape, self._noise_generator, self._device)
        inputs = add_noise(features, noise)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._training.amp):
            z, log_determinant = self.flow(inputs, condition)
            mean = loss(z, log_determinant, foreground)
        self._optimizer.zero_grad(set_to_none=True)
        mean.backward()
        self._optimizer.step()
        return mean.detach()

    def describe(self) -> str:
        """Its features, parameters and steps in words."""
        parameters = sum(parameter.numel() for parameter in self.flow.parameters())
        return f"features {tuple(self._features.shape)}, {parameters} parameters, {self.steps} steps an epoch"


def train_flow(samples: Samples, settings: Settings, seed: int, work: Work) -> Model:
    """Train one flow on a class's normal samples; see :func:`train_flows` for what is recorded.

    Args:
        samples: the training samples; features and foreground of all of them are held in memory.
        settings: the method's.
        seed: decides the initial parameters, the order of the samples and the noise.
        work: device, progress, and the checkpoint that outlives a killed job.

    Raises:
        InputError: there are fewer samples than a batch, or the loss or a trained parameter is not finite.
    """
    scaling = Scaling.fit(samples, settings)
    features, foreground = work.once("inputs", partial(load_inputs, samples, settings.features, scaling))
    training = FlowTraining(
        features, foreground, settings.network, settings.training, seed, work.device, samples.class_name
    )
    train_flows({settings.features: training}, settings.training, work)
    return to_model(training.flow.cpu(), scaling)


def train_flows(flows: Mapping[str, FlowTraining], training: Training, work: Work) -> None:
    """Train flows that don't depend on each other, an epoch of each in turn.

    An epoch is recorded as ``epoch``, ``loss`` (the mean over its steps and over the flows), of several flows
    ``loss_<name>`` of each, and ``seconds``. On a CPU an interrupted training gives the same bytes as one that was not.

    Args:
        flows: by name; they are trained in place.
        training: of all of them.
        work: device, progress, and the checkpoint that outlives a killed job.

    Raises:
        InputError: a loss or a trained parameter is not finite.
    """
    # PyTorch's defaults with tf32, but stated: convolutions only, no matrix products.
    torch.backends.cudnn.allow_tf32 = training.tf32
    torch.backends.cuda.matmul.allow_tf32 = False

    def restore(state: Mapping[str, Any]) -> None:
        for name, one in flows.items():
            one.restore(state[name])

    work.resume(restore)
    for one in flows.values():
        logger.info("%s, %d epochs", one.describe(), training.epochs)
        if training.compile:
            one.flow.compile()
        one.flow.train()
    first = len(work.history)
    progress = work.progress("trained", training.epochs, "epochs", done=first)
    for epoch in range(first + 1, training.epochs + 1):
        started = time.monotonic()
        losses = {name: one.epoch() for name, one in flows.items()}
        for name, value in losses.items():
            _check_loss(value, epoch, flows[name].place)
        mean = statistics.fmean(losses.values())
        each = {_loss_of(name): value for name, value in losses.items()} if len(flows) > 1 else {}
        work.record(epoch=epoch, loss=mean, **each, seconds=round(time.monotonic() - started, 3))
        if epoch % training.checkpoint_every == 0 and epoch < training.epochs:
            work.save({name: one.values() for name, one in flows.items()})
        progress.step(f"loss {mean:.4f}")
    for name, one in flows.items():
        _check_finite(one.flow, one.place)
        key = _loss_of(name) if len(flows) > 1 else "loss"
        _warn_of_rise([record[key] for record in work.history], one.place)


def _loss_of(name: str) -> str:
    """The key of one of several flows in the history."""
    return f"loss_{name}"


def _check_loss(value: float, epoch: int, place: str) -> None:
    if not math.isfinite(value):
        raise InputError(
            f"{place}: epoch {epoch}: expected a finite loss, found {value}; "
            "lower training.learning_rate or set scaling"
        )


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
