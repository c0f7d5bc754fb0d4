"""The training pictures of a class as Lightning takes them: decoded once, held in memory as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from anomalib.data import ImageBatch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from multiflow.methods.anomalib.building import Built
from multiflow.methods.anomalib.settings import Settings
from multiflow.methods.contract import Samples
from multiflow.methods.work import Work

__all__ = ["Pictures", "read_pictures"]


def read_pictures(samples: Samples, settings: Settings, work: Work) -> Tensor:
    """All views of all training samples, RGB [N V, S, S, 3] uint8: 240 MB of 1,215 pictures of 256 px.

    Raises:
        InputError: there are fewer than a batch.
    """
    size, count, views = settings.image_size, len(samples) * len(samples.cameras), len(samples.cameras)
    settings.training.check(count, samples.class_name)
    pictures = torch.empty(count, size, size, 3, dtype=torch.uint8)
    progress = work.progress("read", len(samples), "samples")
    for index, sample in enumerate(samples):
        pictures[index * views : (index + 1) * views] = torch.from_numpy(sample.images)
        progress.step()
    return pictures


class Pictures(pl.LightningDataModule):
    """Batches of pictures in random order, prepared as the model takes them.

    Args:
        pictures: RGB [N, S, S, 3] uint8.
        built: prepares them.
        settings: the method's.
    """

    def __init__(self, pictures: Tensor, built: Built, settings: Settings) -> None:
        super().__init__()
        self.train_batch_size = settings.training.batch_size  # some models ask for it
        self._pictures, self._built, self._drop_last = pictures, built, settings.training.drop_last

    def train_dataloader(self) -> DataLoader[Any]:
        """A pass over all pictures; its order is drawn from PyTorch's global generator."""
        return DataLoader(
            TensorDataset(self._pictures),
            batch_size=self.train_batch_size,
            shuffle=True,
            drop_last=self._drop_last,
            collate_fn=self._batch,
        )

    def _batch(self, items: Sequence[tuple[Tensor]]) -> ImageBatch:
        return self._built.batch(torch.stack([picture for (picture,) in items]))
