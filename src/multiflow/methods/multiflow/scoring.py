"""A trained flow that scores one sample at a time: the one path from features to an anomaly map (paper section 3.5)."""

from __future__ import annotations

import torch

from multiflow.base.errors import InputError
from multiflow.methods.contract import Model, Sample, Scores
from multiflow.methods.multiflow.checkpoint import from_model
from multiflow.methods.multiflow.network import anomaly_map
from multiflow.methods.multiflow.settings import Settings

__all__ = ["FlowScorer"]


class FlowScorer:
    """Scores samples with a trained flow, each alone, so that no score depends on the others.

    The caller decides on threads and precision, see :func:`multiflow.base.devices.exact_float32`: the last digits of a
    score depend on both.

    Args:
        model: the trained flow.
        settings: of its experiment.
        device: where it runs.

    Raises:
        InputError: the model is no flow.
    """

    def __init__(self, model: Model, settings: Settings, device: torch.device) -> None:
        flow, self._scaling = from_model(model, "trained flow")
        self._flow = flow.to(device)
        self._features = settings.features
        self._device = device

    @torch.inference_mode()
    def __call__(self, sample: Sample) -> Scores:
        """Scores of one sample: a map [V, H, W] over everything, of which the foreground counts.

        Raises:
            InputError: the flow was trained on other features.
        """
        features = torch.from_numpy(sample.features(self._features))
        views, channels = features.shape[:2]
        if (views, channels) != (self._flow.graph.views, self._flow.channels):
            raise InputError(
                f"{sample.key}: features {self._features}: expected {self._flow.graph.views} views with "
                f"{self._flow.channels} channels as the flow was trained on, found {views} views with {channels}; "
                "train the flow on these features"
            )
        inputs = self._scaling(features)[None].to(self._device)
        z, log_determinant = self._flow(inputs, self._flow.condition_of_test_time(inputs))
        scores = anomaly_map(z, log_determinant)[0].cpu().numpy()
        height, width = scores.shape[1:]
        return Scores(scores, foreground=sample.foreground((height, width)))
