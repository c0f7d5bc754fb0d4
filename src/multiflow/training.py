"""Training of one flow (paper section 4.3): fixed epochs, the last one counts, resumable after a kill."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from multiflow import config
from multiflow.devices import device_name, select_device
from multiflow.errors import InputError
from multiflow.flow import MultiFlow, add_noise, sample_noise
from multiflow.flow import loss as flow_loss
from multiflow.flow.checkpoint import load_flow, read_header, save_flow
from multiflow.flow_input import FlowInput, Scaling
from multiflow.recipe import Recipe
from multiflow.second_names import link, second_name
from multiflow.store import atomic_path
from multiflow.views import camera_graph

__all__ = ["build_flow", "load_trained_flow", "train_flow"]

logger = logging.getLogger(__name__)

_PROGRESS_SECONDS = 5.0


def build_flow(settings: config.Flow, channels: int, views: int) -> MultiFlow:
    """The flow that the configuration describes, initialised from torch's global generator."""
    return MultiFlow(
        channels,
        camera_graph(views, settings.connections),
        blocks=settings.blocks,
        hidden=settings.hidden,
        kernels=tuple(settings.kernels),
        clamp=settings.clamp,
        clamp_slope=settings.clamp_slope,
        fusion=settings.fusion,
        attention=settings.attention,
        attention_heads=settings.attention_heads,
        gamma=settings.gamma,
        conditional=settings.noise != "none",
        condition_per_feature=settings.noise_shape == "features",
        transform_first=settings.transform_first,
        output_limit=settings.output_limit,
    )


def load_trained_flow(path: Path) -> tuple[MultiFlow, Scaling]:
    """A trained flow in evaluation mode, with the scaling of the features that it was trained on.

    Raises:
        InputError: the file is missing, damaged or no trained flow.
    """
    flow, extra, _ = load_flow(path)
    for name in ("scaling.mean", "scaling.std"):
        if name not in extra or extra[name].shape != (flow.channels,):
            found = f"{list(extra[name].shape)}" if name in extra else "none"
            raise InputError(f"{path}: {name}: expected [{flow.channels}] values, found {found}: train the flow again")
    return flow.eval(), Scaling(extra["scaling.mean"], extra["scaling.std"])


@dataclass
class _State:
    """What a training needs to go on: the model, the optimizer, the generator of shuffles and noise."""

    flow: MultiFlow
    optimizer: torch.optim.AdamW
    generator: torch.Generator
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)

    def save(self, path: Path, fingerprint: str) -> None:
        with atomic_path(path) as temporary:
            torch.save(
                {
                    "fingerprint": fingerprint,
                    "history": self.history,
                    "flow": self.flow.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "generator": self.generator.get_state(),
                },
                temporary,
            )

    def resume(self, path: Path, fingerprint: str) -> None:
        """Go on from a checkpoint of the same training; start at epoch 0 where there is none."""
        if not path.exists():
            return
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file; none may stop a training
            logger.warning("%s: unreadable checkpoint (%s); training starts at epoch 0", path, type(error).__name__)
            return
        if stored.get("fingerprint") != fingerprint:
            logger.info("%s: checkpoint of other settings or data; training starts at epoch 0", path)
            return
        self.flow.load_state_dict(stored["flow"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self.generator.set_state(stored["generator"])
        self.history = stored["history"]
        logger.info("resumed from %s after epoch %d", path, self.epoch)


def train_flow(
    data: FlowInput,
    features: config.Features,
    flow: config.Flow,
    training: config.Training,
    seed: int,
    output: Path,
    history: Path,
    checkpoint: Path,
    take_up: bool = True,
) -> None:
    """Train one flow on a class's normal samples and store it.

    The flow is written whole at the end; ``history`` gets a JSON line per epoch (epoch, loss, seconds) as it
    runs; ``checkpoint`` lets a killed training go on and is removed at the end. On a CPU an interrupted
    training gives the same bytes as one that was not.

    With ``take_up``, what was made gets a second name beside the checkpoint: jobs that were submitted together are
    run again together when one of them fails, and Snakemake deletes what the others had made. It is taken up again
    then. :func:`multiflow.second_names.forget_second_names` removes these names.

    Raises:
        InputError: there are fewer samples than a batch, or the loss or a trained parameter is not finite.
    """
    device = select_device(training.device, "training.device")
    torch.set_num_threads(training.threads)
    # PyTorch's defaults with tf32, but stated: convolutions only, no matrix products.
    torch.backends.cudnn.allow_tf32 = training.tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    scaling = Scaling.fit(data.features, features)
    samples, foreground = data.load("train", scaling)
    batches = _batches(len(samples), training, data.features.path)
    fingerprint = _fingerprint(samples, foreground, flow, training, seed, device)
    if _take_up(output, history, checkpoint, fingerprint):
        return

    torch.manual_seed(seed)
    model = build_flow(flow, samples.shape[2], samples.shape[1]).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=training.learning_rate,
        betas=training.betas,
        eps=training.eps,
        weight_decay=training.weight_decay,
    )
    state = _State(model, optimizer, torch.Generator().manual_seed(seed))
    state.resume(checkpoint, fingerprint)
    if training.compile:
        model.compile()

    logger.info(
        "training on %s: %d samples of %d views, features %s, %d parameters, %d epochs of %d steps",
        device_name(device), samples.shape[0], samples.shape[1], tuple(samples.shape[2:]),
        sum(parameter.numel() for parameter in model.parameters()), training.epochs, batches,
    )  # fmt: skip
    model.train()
    started, first, shown = time.monotonic(), state.epoch, 0.0
    history.parent.mkdir(parents=True, exist_ok=True)
    history.unlink(missing_ok=True)  # it may have a second name, which is not to be overwritten
    with open(history, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in state.history)
        for epoch in range(state.epoch, training.epochs):
            epoch_started = time.monotonic()
            order = torch.randperm(len(samples), generator=state.generator)
            total = 0.0
            for batch in order[: batches * training.batch_size].split(training.batch_size):
                loss = _step(state, samples[batch], foreground[batch], flow, training.amp, device)
                total += loss / batches
            if not torch.isfinite(torch.tensor(total)):
                raise InputError(
                    f"{data.features.path}: epoch {epoch + 1}: expected a finite loss, found {total}; "
                    "lower training.learning_rate or set features.scaling"
                )
            seconds = time.monotonic() - epoch_started
            state.history.append({"epoch": epoch + 1, "loss": total, "seconds": round(seconds, 3)})
            stream.write(json.dumps(state.history[-1]) + "\n")
            stream.flush()
            if state.epoch % training.checkpoint_every == 0 and state.epoch < training.epochs:
                state.save(checkpoint, fingerprint)
            now = time.monotonic()
            if now - shown >= _PROGRESS_SECONDS or state.epoch == training.epochs:
                left = (now - started) / (state.epoch - first) * (training.epochs - state.epoch)
                logger.info("epoch %d/%d, loss %.4f, %.0f s left", state.epoch, training.epochs, total, left)
                shown = now
    _check_finite(model, data.features.path)
    _warn_of_rise(state.history, data.features.path)
    recipe = Recipe.of(data)
    save_flow(
        output,
        model.cpu(),
        metadata={
            "class": data.features.attribute("class"),
            "seed": seed,
            "threads": training.threads,
            "fingerprint": fingerprint,
            "recipe": None if recipe is None else recipe.metadata(),
        },
        extra={"scaling.mean": scaling.mean, "scaling.std": scaling.std},
    )
    checkpoint.unlink(missing_ok=True)
    for made in (output, history) if take_up else ():
        link(made, second_name(made, checkpoint))


def _take_up(output: Path, history: Path, checkpoint: Path, fingerprint: str) -> bool:
    """Give a training that was finished before, and whose outputs were deleted, its outputs again."""
    flow, log = second_name(output, checkpoint), second_name(history, checkpoint)
    try:
        known = read_header(flow)[1].get("fingerprint")
    except InputError:
        return False
    if known != fingerprint or not log.exists():
        return False
    logger.info("%s: this training was finished before; its flow is taken up", flow)
    link(log, history)
    link(flow, output)
    return output.exists()


def _step(
    state: _State,
    samples: Tensor,
    foreground: Tensor,
    flow: config.Flow,
    amp: bool,
    device: torch.device,
) -> float:
    """One optimizer step on samples [B, V, C, H, W]; the noise is drawn on the CPU, the same on every device."""
    noise, condition = sample_noise(
        flow.noise,
        samples.shape if flow.noise_shape == "features" else (len(samples), *samples.shape[-2:]),
        standard_deviation=flow.noise_std,
        softflow_exponent=flow.softflow_exponent,
        condition_scale=flow.condition_scale,
        generator=state.generator,
        device=device,
    )
    inputs = add_noise(samples.to(device), noise)
    with torch.autocast(device.type, torch.bfloat16, enabled=amp):
        z, log_determinant = state.flow(inputs, condition)
        loss = flow_loss(z, log_determinant, foreground.to(device))
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.optimizer.step()
    return float(loss.detach())


def _warn_of_rise(history: list[dict[str, float]], place: Path) -> None:
    """A training that diverges can end with finite parameters, its scales saturated at the soft clamp: say so."""
    losses = [record["loss"] for record in history]
    tenth = max(1, len(losses) // 10)
    first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    if last > first:
        logger.warning(
            "%s: the mean loss of the last %s is %.4g, that of the first %.4g: the flow has learned nothing; lower "
            "training.learning_rate or set features.scaling",
            place, "epoch" if tenth == 1 else f"{tenth} epochs", last, first,
        )  # fmt: skip


def _check_finite(model: MultiFlow, place: Path) -> None:
    """A loss can stay finite in a training that diverges: the couplings clamp what the st-networks give."""
    damaged = [name for name, parameter in model.named_parameters() if not parameter.isfinite().all()]
    if damaged:
        raise InputError(
            f"{place}: after the last epoch: expected finite parameters, found {len(damaged)} of "
            f"{len(list(model.parameters()))} with infinite or NaN values ({damaged[0]}, ...): the training has "
            "diverged; lower training.learning_rate or set features.scaling"
        )


def _batches(count: int, training: config.Training, place: Path) -> int:
    """Steps of an epoch."""
    batches, rest = divmod(count, training.batch_size)
    if rest and not training.drop_last:
        batches += 1
    if batches == 0:
        raise InputError(
            f"{place}: train: expected at least training.batch_size = {training.batch_size} samples, found {count}; "
            "lower training.batch_size or set training.drop_last: false"
        )
    return batches


def _fingerprint(
    samples: Tensor,
    foreground: Tensor,
    flow: config.Flow,
    training: config.Training,
    seed: int,
    device: torch.device,
) -> str:
    """Checksum of all that decides the result of a training, so that no other training's checkpoint is taken up."""
    settings = {
        "flow": flow.model_dump(),
        "training": training.model_dump(exclude={"checkpoint_every"}),
        "seed": seed,
        "device": device.type,
    }
    checksum = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    checksum.update(samples.numpy().data)
    checksum.update(foreground.numpy().data)
    return checksum.hexdigest()
