"""The trained layers: a linear adaptor, and a discriminator of two layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from multiflow.base.errors import InputError

__all__ = ["SimpleNet", "load_network"]


class SimpleNet(nn.Module):
    """Says of the features of a patch how normal they are: above zero where they are, below where they aren't.

    Args:
        channels: of the features.
        hidden: units of the discriminator.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.adaptor = nn.Linear(channels, channels, bias=False)
        self.discriminator = nn.Sequential(
            nn.Linear(channels, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1, bias=False)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)

    def forward(self, rows: Tensor) -> Tensor:
        """Normality [N] of features [N, C]."""
        return self.normality(self.adaptor(rows))

    def normality(self, adapted: Tensor) -> Tensor:
        """Normality [N] of adapted features [N, C]."""
        found: Tensor = self.discriminator(adapted)
        return found[:, 0]


def load_network(tensors: Mapping[str, Tensor], channels: int, hidden: int) -> SimpleNet:
    """A trained network on the CPU, as it scores.

    Args:
        tensors: as its training left them.
        channels: of the features.
        hidden: units of the discriminator.

    Raises:
        InputError: they are those of another one.
    """
    network: Any = SimpleNet(channels, hidden)
    try:
        network.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"trained layers: expected those of {channels} channels and {hidden} hidden units, found others "
            f"({reason}); train them again"
        ) from None
    trained: SimpleNet = network.requires_grad_(False).eval()
    return trained
