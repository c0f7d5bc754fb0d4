"""From latents to anomaly scores and the training loss."""

from __future__ import annotations

from torch import Tensor

__all__ = ["anomaly_map", "loss"]


def anomaly_map(latents: Tensor, log_determinant: Tensor, foreground: Tensor | None = None) -> Tensor:
    """Return the negative log-likelihood per pixel and channel without its constant (paper equation 7).

    Higher is more anomalous. The background is exactly 0, which isn't the lowest score: that of a likely
    foreground pixel can be negative.

    Args:
        latents: ``[B, V, C, H, W]``.
        log_determinant: ``[B, V, H, W]``.
        foreground: ``[B, V, H, W]``, 1 in the foreground and 0 elsewhere; all is foreground by default.

    Returns:
        Scores ``[B, V, H, W]``, in nats per channel.
    """
    energy = 0.5 * latents.square().sum(dim=2)
    if foreground is not None:
        mask = foreground.to(latents.dtype)
        energy = energy * mask.square()
        log_determinant = log_determinant * mask
    return (energy - log_determinant) / latents.shape[2]


def loss(latents: Tensor, log_determinant: Tensor, foreground: Tensor | None = None) -> Tensor:
    """Return the mean of the anomaly map over all pixels, the background included, as the released code does.

    The arguments are those of `anomaly_map`.
    """
    return anomaly_map(latents, log_determinant, foreground).mean()
