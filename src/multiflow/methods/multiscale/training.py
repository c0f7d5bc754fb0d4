"""Training: a projection, a flow and a calibration a level, all from the training samples alone."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from multiflow.base.devices import exact_float32
from multiflow.methods.contract import Model, Samples
from multiflow.methods.multiflow.inputs import load_inputs
from multiflow.methods.multiflow.network import MultiFlow
from multiflow.methods.multiflow.training import FlowTraining, train_flows
from multiflow.methods.multiscale.calibration import Calibration
from multiflow.methods.multiscale.level import TrainedLevel, score_inputs
from multiflow.methods.multiscale.projection import fit_projection, project
from multiflow.methods.multiscale.settings import Settings
from multiflow.methods.work import Work

__all__ = ["train_levels"]


def train_levels(samples: Samples, settings: Settings, seed: int, work: Work) -> Model:
    """Train all levels on a class's normal samples; see :func:`multiflow.methods.multiflow.training.train_flows`.

    On a CPU an interrupted training gives the same bytes as one that was not, and a level the same tensors whatever
    other levels there are.

    Args:
        samples: the training samples; the projected features of all levels are held in memory.
        settings: the method's.
        seed: of each level's flow.
        work: device, progress, and the checkpoint that outlives a killed job.

    Raises:
        InputError: a level has more channels than its features vary in, there are fewer samples than a batch, or a
            loss or a trained parameter is not finite.
    """
    projections, inputs, trainings = {}, {}, {}
    for name, level in settings.levels.items():
        fit = partial(fit_projection, samples, name, level.channels)
        components, scaling = projections[name] = work.once(f"projection {name}", fit)
        transform = partial(project, components=components, scaling=scaling)
        inputs[name] = work.once(f"inputs {name}", partial(load_inputs, samples, name, transform))
        trainings[name] = FlowTraining(
            *inputs[name],
            settings.network,
            settings.training,
            seed,
            work.device,
            f"{samples.class_name}: level {name}",
        )
    train_flows(trainings, settings.training, work)
    tensors: dict[str, Tensor] = {}
    architectures = {}
    for name, training in trainings.items():
        flow = training.flow.eval()
        calibration = _calibrate(flow, *inputs[name], work)
        trained = TrainedLevel(name, *projections[name], flow.cpu(), calibration).model()
        tensors |= trained.tensors
        architectures[name] = trained.metadata["architecture"]
    return Model(tensors, {"levels": architectures})


@torch.inference_mode()
def _calibrate(flow: MultiFlow, inputs: Tensor, foreground: Tensor, work: Work) -> Calibration:
    """The calibration of a level, as exactly as test samples are scored."""
    # A compiled flow would give other last digits than the one that scores.
    with exact_float32(work.threads), torch.compiler.set_stance("force_eager"):
        maps = torch.stack([score_inputs(flow, sample, work.device) for sample in inputs])
    return Calibration.fit(maps, foreground)
