"""One trained level: from a sample's features to a map, and its part of the model's file."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.contract import Model, Sample
from multiflow.methods.multiflow.checkpoint import from_model, to_model
from multiflow.methods.multiflow.inputs import Scaling
from multiflow.methods.multiflow.network import MultiFlow, anomaly_map
from multiflow.methods.multiscale.calibration import Calibration
from multiflow.methods.multiscale.projection import project

__all__ = ["TrainedLevel", "read_level", "score_inputs"]

_OWN = ("components", "calibration.mean", "calibration.std")


@dataclass(frozen=True)
class TrainedLevel:
    """A level that scores.

    Args:
        features: name of its set.
        components: of the projection [K, C].
        scaling: whitens what is projected.
        flow: in evaluation mode.
        calibration: of its maps.
    """

    features: str
    components: Tensor
    scaling: Scaling
    flow: MultiFlow
    calibration: Calibration

    def model(self) -> Model:
        """Its part of the model's file."""
        flow = to_model(self.flow, self.scaling)
        own = dict(zip(_OWN, (self.components, self.calibration.mean, self.calibration.std), strict=True))
        return Model(
            {f"{self.features}.{name}": tensor for name, tensor in {**flow.tensors, **own}.items()}, flow.metadata
        )

    @torch.inference_mode()
    def raw_map(self, sample: Sample, device: torch.device) -> Tensor:
        """The map of a sample before it is calibrated, [V, H, W] on the CPU.

        Raises:
            InputError: the level was trained on other features.
        """
        features = torch.from_numpy(sample.features(self.features))
        expected = self.flow.graph.views, self.components.shape[1]
        if features.shape[:2] != expected:
            raise InputError(
                f"{sample.key}: features {self.features}: expected {expected[0]} views with {expected[1]} channels as "
                f"the level was trained on, found {features.shape[0]} views with {features.shape[1]}; train it on these"
            )
        return score_inputs(self.flow, project(features, self.components, self.scaling), device)


def score_inputs(flow: MultiFlow, inputs: Tensor, device: torch.device) -> Tensor:
    """The anomaly map [V, H, W] of what a flow sees of a sample [V, K, H, W], on the CPU."""
    batch = inputs[None].to(device)
    return anomaly_map(*flow(batch, flow.condition_of_test_time(batch)))[0].cpu()


def read_level(model: Model, name: str) -> TrainedLevel:
    """A level of a trained model, on the CPU.

    Raises:
        InputError: the model has no such level, or its tensors are not those of one.
    """
    place = f"trained model: level {name}"
    found = {
        key.removeprefix(f"{name}."): tensor for key, tensor in model.tensors.items() if key.startswith(f"{name}.")
    }
    architecture = (model.metadata.get("levels") or {}).get(name)
    missing = [key for key in _OWN if key not in found]
    if architecture is None or missing:
        raise InputError(
            f"{place}: expected a level that was trained, found none{': no ' + ', '.join(missing) if missing else ''}; "
            "train the model again with this level"
        )
    components, mean, std = (found.pop(key) for key in _OWN)
    flow, scaling = from_model(Model(found, {"architecture": architecture}), place)
    return TrainedLevel(name, components, scaling, flow, Calibration(mean, std))
