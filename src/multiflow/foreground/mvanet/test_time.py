"""Segmentation by MVANet: the passes at test time and their mean (fidelity 26)."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiflow.base.devices import select_device
from multiflow.base.settings import Compute
from multiflow.foreground.mvanet.network import MVANet
from multiflow.foreground.mvanet.patches import resize
from multiflow.foreground.settings import Segmentation

__all__ = ["MVANetSegmenter", "mean_prediction"]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class MVANetSegmenter:
    """Segments by the mean logit of several passes: every scale, plain and mirrored.

    Memory is bounded by ``batch_size`` images at the largest scale, however many images there are.

    Args:
        network: the network with its weights.
        settings: the ``segmentation`` block.
        compute: the ``compute`` block.

    Raises:
        MissingGpuError: this process was given a GPU, and there is none.
        InputError: ``compute.device`` is ``cuda``, and there is no GPU.
    """

    in_workers = False

    def __init__(self, network: MVANet, settings: Segmentation, compute: Compute) -> None:
        self._device = select_device(compute.device, "compute.device")
        self._network = network.to(self._device).eval().requires_grad_(False)
        if settings.channels_last:
            network.to(memory_format=torch.channels_last)
        self._settings = settings
        self._threads = compute.threads

    def segment(self, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Foreground [V, S, S] of RGB images [V, S, S, 3]."""
        torch.set_num_threads(self._threads)
        with torch.inference_mode():
            masks = [
                mean_prediction(self._logits(self._normalize(chunk))).cpu().numpy()
                for chunk in torch.from_numpy(images).split(self._settings.batch_size)
            ]
        return np.concatenate(masks)

    def _normalize(self, images: Tensor) -> Tensor:
        """Network input [B, 3, S, S] float32 from RGB images [B, S, S, 3] uint8."""
        mean, std = (torch.tensor(values, device=self._device).view(3, 1, 1) for values in (_MEAN, _STD))
        return (images.to(self._device).permute(0, 3, 1, 2).float().div(255) - mean) / std

    def _logits(self, images: Tensor) -> Tensor:
        """Logits [P, B, S, S] of every pass over normalised images [B, 3, S, S], brought back to their size."""
        size = images.shape[-1]
        passes = []
        for mirror, scale in product(
            (False, True) if self._settings.test_time_flip else (False,), self._settings.test_time_scales
        ):
            seen = resize(images.flip(-1) if mirror else images, round(size * scale))
            # TF32 is not used: masks shouldn't depend on the kind of GPU more than they have to.
            with (
                torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
                torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.amp),
            ):
                logits = self._network(seen)
            logits = resize(logits.float(), size)[:, 0]
            passes.append(logits.flip(-1) if mirror else logits)
        return torch.stack(passes)


def mean_prediction(logits: Tensor) -> Tensor:
    """Foreground [...] of the logits [P, ...] of P passes: their mean, through the sigmoid, rounded; half is not."""
    return torch.sigmoid(logits.mean(dim=0)).round().bool()
