"""The fixed projection of a level's features, fitted on the training set's foreground."""

from __future__ import annotations

import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.contract import Samples
from multiflow.methods.multiflow.inputs import Scaling

__all__ = ["fit_projection", "project"]

_SMALLEST_VARIANCE = 1e-9
"""Of a component, over the largest: what lies below is a rounding error of features in float32."""


def fit_projection(samples: Samples, features: str, channels: int | None) -> tuple[Tensor, Scaling]:
    """The principal components in which normal features vary least, and the scaling that whitens them.

    A defect need not lie in the directions in which normal parts differ from each other; it shows in those in which
    they don't (Rippel et al., Modeling the Distribution of Normal Data in Pre-Trained Deep Features for Anomaly
    Detection, ICPR 2020, arXiv 2005.14140).

    Args:
        samples: the training samples, of which the foreground counts.
        features: name of the set.
        channels: number of components; None for all in which the features vary.

    Returns:
        Components [K, C], orthonormal, by falling variance; and the scaling of the projected features.

    Raises:
        InputError: the features vary in fewer directions.
    """
    shape = samples.feature_shape(features)
    grid = shape.height, shape.width
    count = 0
    total = torch.zeros(shape.channels, dtype=torch.float64)
    products = torch.zeros(shape.channels, shape.channels, dtype=torch.float64)
    for index in range(len(samples)):
        sample = samples[index]
        inside = torch.from_numpy(sample.foreground(grid))
        values = torch.from_numpy(sample.features(features)).movedim(1, -1)[inside].double()
        count += len(values)
        total += values.sum(dim=0)
        products += values.T @ values
    mean = total / count
    variances, components = torch.linalg.eigh(products / count - torch.outer(mean, mean))
    varying = int((variances > _SMALLEST_VARIANCE * variances[-1]).sum())
    wanted = varying if channels is None else channels
    if wanted > varying or varying < 2:
        raise InputError(
            f"{samples.class_name}: features {features}: expected at least {max(wanted, 2)} directions in which the "
            f"training set's foreground varies, found {varying}; lower the level's channels or add training samples"
        )
    # Eigenvalues ascend, and those that are no more than rounding errors come first.
    chosen = slice(len(variances) - varying, len(variances) - varying + wanted)
    rows, variances = components[:, chosen].T.flip(0), variances[chosen].flip(0)
    # An eigenvector's sign is the library's choice; this one is the same everywhere.
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    rows = rows * largest.sign()
    return rows.float(), Scaling((rows @ mean).float(), variances.sqrt().float())


def project(features: Tensor, components: Tensor, scaling: Scaling) -> Tensor:
    """Project and whiten features [V, C, H, W] to [V, K, H, W]."""
    return scaling(torch.einsum("kc,vchw->vkhw", components, features))
