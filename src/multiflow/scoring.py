"""A trained flow that scores one sample at a time: the one path from features to an anomaly map (paper section 3.5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiflow.devices import exact_float32
from multiflow.errors import InputError
from multiflow.flow import anomaly_map
from multiflow.training import load_trained_flow

__all__ = ["FlowScorer"]


class FlowScorer:
    """Scores samples with a trained flow, each alone, so that no score depends on the others.

    Args:
        path: the trained flow.
        device: where it runs.
        threads: CPU threads; on a CPU, the last digits of a score can depend on them.

    Raises:
        InputError: the flow is missing or damaged.
    """

    def __init__(self, path: Path, device: torch.device, threads: int) -> None:
        self.path = path
        flow, self._scaling = load_trained_flow(path)
        self._flow = flow.to(device)
        self._device = device
        self._threads = threads

    def check(self, source: Path, views: int, channels: int) -> None:
        """Check that the flow takes features of this shape.

        Args:
            source: where the features come from, for the message.
            views: of a sample.
            channels: of a feature map.

        Raises:
            InputError: the flow was trained on others.
        """
        expected = (self._flow.graph.views, self._flow.channels)
        if (views, channels) != expected:
            raise InputError(
                f"{source}: expected {expected[0]} views with {expected[1]} channels as in {self.path}, "
                f"found {views} views with {channels}; train the flow on these features"
            )

    @torch.inference_mode()
    def __call__(self, features: Tensor, foreground: Tensor) -> NDArray[np.float32]:
        """Anomaly map [V, H, W] of one sample.

        Args:
            features: [V, C, H, W] float32, unscaled, on the CPU.
            foreground: [V, H, W] bool, on the CPU.
        """
        inputs = self._scaling(features)[None].to(self._device)
        with exact_float32(self._threads):
            z, log_determinant = self._flow(inputs, self._flow.condition_of_test_time(inputs))
        scores: NDArray[np.float32] = (
            anomaly_map(z, log_determinant, foreground[None].to(self._device))[0].cpu().numpy()
        )
        return scores
