"""The decoders, one for each level: conditional flows of FrEIA over single pixels, "fibres" of all channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from FrEIA.framework import SequenceINN
from FrEIA.modules import AllInOneBlock
from torch import Tensor, nn

from multiflow.methods.cflow.position import position_code
from multiflow.methods.cflow.settings import Decoder

__all__ = ["Decoders", "Shape", "create_decoder", "fibres", "log_likelihood", "loss", "random_rotation"]

Shape = tuple[int, int, int]
"""Channels, height and width of a level."""

_AT_ONCE = 4096  # fibres whose likelihood is computed together: 50 MB of hidden units at 2048 channels


class _Block(AllInOneBlock):  # type: ignore[misc]
    """FrEIA's block with a rotation that is given, and stored once.

    FrEIA draws it with SciPy, which takes minutes at 1024 and 2048 channels, and stores its inverse, which is its
    transpose, beside it.
    """

    rotation: Tensor

    def __init__(
        self, dims_in: list[tuple[int]], dims_c: list[tuple[int]] | None = None, *, rotation: Tensor, clamp: float
    ) -> None:
        state = np.random.get_state()  # FrEIA draws a permutation, which is replaced, from the global generator
        super().__init__(
            dims_in,
            dims_c or [],
            subnet_constructor=_subnet,
            affine_clamping=clamp,
            global_affine_type="SOFTPLUS",
            permute_soft=False,
        )
        np.random.set_state(state)
        del self.w_perm, self.w_perm_inv
        self.register_buffer("rotation", rotation)

    @property
    def w_perm(self) -> Tensor:
        """The rotation, as FrEIA calls it."""
        return self.rotation

    @property
    def w_perm_inv(self) -> Tensor:
        """Its inverse."""
        return self.rotation.T


class Decoders(nn.Module):
    """The decoders of all levels, and the position codes that are their conditions.

    Args:
        shapes: of the levels.
        settings: of each decoder.
        generator: draws the rotations; None where all tensors are loaded afterwards.
    """

    def __init__(self, shapes: Sequence[Shape], settings: Decoder, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.shapes, self.settings = list(shapes), settings
        self.flows = nn.ModuleList(create_decoder(channels, settings, generator) for channels, _, _ in shapes)
        for level, (_, height, width) in enumerate(shapes):
            code = position_code(settings.condition, height, width, torch.float64)
            self.register_buffer(f"code{level}", code.flatten(1).T.contiguous(), persistent=False)

    def likelihood(self, level: int, rows: Tensor, index: Tensor) -> Tensor:
        """Log-likelihood per channel [N] of fibres of a level.

        Args:
            level: which.
            rows: fibres [N, C].
            index: of each, counted over all pixels of one image after the other [N].
        """
        code: Tensor = getattr(self, f"code{level}")
        condition = code[index % len(code)].to(rows.dtype) if self.settings.condition else None
        flow = self.flows[level]
        assert isinstance(flow, SequenceINN)
        return log_likelihood(flow, rows, condition)

    @torch.no_grad()
    def likelihood_maps(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Log-likelihood per channel [B, H, W] of the levels' features [B, C, H, W].

        Memory beside the maps is bounded by a few thousand fibres.
        """
        maps = []
        for level, features in enumerate(levels):
            rows = fibres(features)
            indices = torch.arange(len(rows), device=rows.device).split(_AT_ONCE)
            found = torch.cat([self.likelihood(level, rows[index], index) for index in indices])
            maps.append(found.view(len(features), *features.shape[2:]))
        return maps


def fibres(features: Tensor) -> Tensor:
    """The channels of every pixel [B H W, C], row by row and image by image, of features [B, C, H, W]."""
    return features.movedim(1, -1).flatten(0, 2)


def create_decoder(channels: int, settings: Decoder, generator: torch.Generator | None = None) -> SequenceINN:
    """Create a decoder: it maps fibres [N, C] and a list of their conditions [N, D] to z [N, C] and log-det [N].

    Its parameters are drawn from PyTorch's global generator.

    Args:
        channels: C of the level.
        settings: of the decoder.
        generator: draws the rotations; None where they are loaded afterwards.
    """
    flow = SequenceINN(channels)
    condition = {} if settings.condition == 0 else {"cond": 0, "cond_shape": (settings.condition,)}
    for _ in range(settings.blocks):
        rotation = torch.eye(channels) if generator is None else random_rotation(channels, generator)
        flow.append(_Block, **condition, rotation=rotation, clamp=settings.clamp)
    return flow


def random_rotation(channels: int, generator: torch.Generator) -> Tensor:
    """A rotation [C, C] float32, uniformly distributed over all of them (Stewart 1980: QR of normal numbers)."""
    normal = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(normal)
    q = q * r.diagonal().sign()
    if torch.linalg.slogdet(q).sign < 0:
        q[:, 0].neg_()  # a reflection becomes a rotation
    return q.float()


def log_likelihood(flow: SequenceINN, fibres: Tensor, condition: Tensor | None) -> Tensor:
    """Log-likelihood of fibres per channel [N].

    Args:
        flow: the decoder.
        fibres: [N, C].
        condition: position codes [N, D]; None where the decoder has no condition.
    """
    z, log_determinant = flow(fibres, None if condition is None else [condition])
    channels = fibres.shape[1]
    return (log_determinant - 0.5 * (z**2).sum(dim=1)) / channels - 0.5 * math.log(2 * math.pi)


def loss(likelihood: Tensor) -> Tensor:
    """Mean loss of fibres with this log-likelihood per channel [N]."""
    return -F.logsigmoid(likelihood).mean()


def _subnet(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 2 * inputs), nn.ReLU(), nn.Linear(2 * inputs, outputs))
