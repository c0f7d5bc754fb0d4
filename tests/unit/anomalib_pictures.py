"""Small pictures of striped parts, and networks whose weights are made from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import timm
import torch
from pictured_samples import PicturedSamples, right_half

from multiflow.base.weights import write_weights
from multiflow.features.settings import Pretrained

__all__ = ["made_weights", "striped_parts"]


def striped_parts(count: int = 6, views: int = 1, size: int = 64, seed: int = 0, defects: int = 0) -> PicturedSamples:
    """Grey stripes of slightly different phase; the last of them have a bright square."""
    random = np.random.default_rng(seed)
    phase = random.uniform(0, 0.5, (count, views, 1, 1, 3))
    values = 128 + 80 * np.sin(0.4 * np.arange(size)[:, None, None] + phase)
    values = values + random.normal(0, 4, (count, views, size, size, 3))
    if defects:
        values[-defects:, :, size // 4 : size // 2, size // 4 : size // 2] += 90
    return PicturedSamples(values.clip(0, 255).astype(np.uint8), shown=right_half)


def made_weights(folder: Path, networks: Sequence[Pretrained]) -> dict[str, Path]:
    """A file of weights for each network, drawn from a seed, as the rule ``fetch_weights`` would write it."""
    found = {}
    for network in networks:
        path = folder / f"{network.backbone}.safetensors"
        if not path.exists():
            state = torch.get_rng_state()
            torch.manual_seed(1)
            model = timm.create_model(network.backbone, pretrained=False)
            torch.set_rng_state(state)
            write_weights(path, model.state_dict(), {"backbone": network.backbone, "source": "a seed"})
        found[network.backbone] = path
    return found
