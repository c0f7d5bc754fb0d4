"""A small data set in MVTec AD's layout, and networks whose weights are made from a seed."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image

from multiflow.base.weights import write_weights
from multiflow.features.settings import Pretrained

__all__ = ["Part", "Parts", "made_weights", "striped_parts", "write_mvtec"]


@dataclass(frozen=True)
class Part:
    """A sample of pictures in memory; its right half is foreground."""

    key: str
    images: NDArray[np.uint8]

    def foreground(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        """Foreground [V, h, w]."""
        mask = np.zeros((len(self.images), *grid), dtype=bool)
        mask[..., grid[1] // 2 :] = True
        return mask


@dataclass(frozen=True)
class Parts:
    """Samples of pictures in memory [N, V, S, S, 3], as far as the method reads them."""

    values: NDArray[np.uint8]
    class_name: str = "part"

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the views."""
        return tuple(f"C{view + 1}" for view in range(self.values.shape[1]))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Part:
        return Part(f"part_{index}", self.values[index])

    def __iter__(self) -> Iterator[Part]:
        return (self[index] for index in range(len(self)))

    def pictures(self, order: Sequence[tuple[int, int]]) -> Generator[NDArray[np.uint8], None, None]:
        """Single pictures."""
        yield from (self.values[sample, view] for sample, view in order)


def striped_parts(count: int = 6, views: int = 1, size: int = 64, seed: int = 0, defects: int = 0) -> Parts:
    """Grey stripes of slightly different phase; the last of them have a bright square."""
    random = np.random.default_rng(seed)
    phase = random.uniform(0, 0.5, (count, views, 1, 1, 3))
    values = 128 + 80 * np.sin(0.4 * np.arange(size)[:, None, None] + phase)
    values = values + random.normal(0, 4, (count, views, size, size, 3))
    if defects:
        values[-defects:, :, size // 4 : size // 2, size // 4 : size // 2] += 90
    return Parts(values.clip(0, 255).astype(np.uint8))


def write_mvtec(folder: Path, train: Parts, good: Parts, bad: Parts) -> None:
    """Write a class ``part`` in MVTec AD's layout; the square of :func:`striped_parts` is its mask."""
    for place, parts in (("train/good", train), ("test/good", good), ("test/square", bad)):
        (folder / "part" / place).mkdir(parents=True)
        for index, sample in enumerate(parts):
            Image.fromarray(sample.images[0]).save(folder / "part" / place / f"{index:03}.png")
    size = bad.values.shape[2]
    mask = np.zeros((size, size), np.uint8)
    mask[size // 4 : size // 2, size // 4 : size // 2] = 255
    (folder / "part/ground_truth/square").mkdir(parents=True)
    for index in range(len(bad)):
        Image.fromarray(mask).save(folder / f"part/ground_truth/square/{index:03}_mask.png")


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
