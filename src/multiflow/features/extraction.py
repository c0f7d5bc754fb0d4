"""The features station: every view image of a class through the frozen backbone (paper section 3.1).

Worker processes decode images while the network runs; one sample is one batch, so its features don't depend
on which other samples are extracted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiflow.base.devices import device_name, exact_float32, select_device
from multiflow.base.errors import InputError
from multiflow.base.hdf5 import create_hdf5, write_strings
from multiflow.base.processes import ordered_map
from multiflow.base.progress import Progress
from multiflow.base.settings import Compute
from multiflow.base.tensors import read_provenance
from multiflow.datasets.images import load_image
from multiflow.datasets.table import load_samples
from multiflow.features.backbone import Backbone, create_backbone
from multiflow.features.settings import FeatureSet

__all__ = ["FeatureNetwork", "as_stored", "extract_features"]

logger = logging.getLogger(__name__)


def extract_features(
    samples_csv: Path,
    digests: Mapping[str, str],
    root: Path,
    weights: Path,
    settings: FeatureSet,
    compute: Compute,
    output: Path,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Extract one set of features of one class into an HDF5 file.

    The groups ``train`` and ``test`` hold, for N samples of V views: ``features`` [N, V, C, H, W] (one chunk
    a sample, with a checksum), ``sample`` [N] and ``image`` [N, V]; ``train`` also ``channel_mean`` and ``channel_std``
    [C], over all training images and as stored. Images are in the orientation that the flip column gives.
    The attribute ``views`` says of each camera whether it is flipped and how large its training images are,
    ``content_sha256`` is that of the features as they are stored, train before test.
    :class:`multiflow.features.file.FeatureFile` reads the file.

    Memory is bounded by a few samples, whatever their number.

    Args:
        samples_csv: the class's samples table, ``<class>.csv``.
        digests: checksums of the table, ``<class>.json``; ``pictures`` is recorded.
        root: folder of the data set that the table's paths start from.
        weights: the backbone's weights, from :func:`multiflow.features.pretrained.fetch_weights`.
        settings: an entry of the ``features`` block.
        compute: the ``compute`` block.
        output: the HDF5 file; it appears when it is complete.
        provenance: stored as JSON beside what this function records itself.

    Raises:
        InputError: an input is missing or damaged, or the features are not finite.
    """
    frame = load_samples(samples_csv)
    device = select_device(compute.device, "compute.device")
    attributes = {
        "class": samples_csv.stem,
        "cameras": frame["camera"].drop_duplicates().tolist(),
        "views": json.dumps(_describe_views(frame)),
        "device": device_name(device),
        "threads": compute.threads,
        "weights_sha256": read_provenance(weights)["tensors_sha256"],
        "pictures_sha256": digests["pictures"],
        "provenance": json.dumps(dict(provenance or {}), sort_keys=True),
    }
    # The weights' own checksum says which they are.
    attributes |= settings.model_dump(mode="json", exclude={"weights", "weights_sha256"})
    with (
        exact_float32(compute.threads),
        torch.inference_mode(),
        create_hdf5(output, "features", attributes) as file,
    ):
        network = FeatureNetwork(create_backbone(settings, weights), device, settings)
        file.attrs["content_sha256"] = _extract(frame, root, settings, compute.workers, network, file)


def as_stored(features: NDArray[np.float32], dtype: str, place: str) -> NDArray[Any]:
    """Features in the type in which they are stored.

    Raises:
        InputError: they are not finite, or beyond what the type holds; the message names ``place``.
    """
    stored = features.astype(np.dtype(dtype), copy=False)
    if not np.isfinite(stored).all():
        raise InputError(
            f"{place}: expected finite features, found values beyond {dtype}; in the features block, set "
            "dtype to float32, or check weights"
        )
    return stored


def _describe_views(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Camera, flip and sizes (width and height, px) of the training images, per view of the table."""
    train = frame[frame["split"] == "train"]
    return [
        {
            "camera": camera,
            "flip": bool(rows["flip"].iloc[0]),
            "sizes": sorted(set(zip(rows["width"].tolist(), rows["height"].tolist(), strict=True))),
        }
        for camera, rows in train.groupby("camera", sort=False)
    ]


@dataclass(frozen=True)
class _Task:
    """One sample to decode: paths, flips and the images' size."""

    root: Path
    images: list[str]
    flips: list[bool]
    size: int


def _decode(task: _Task) -> NDArray[np.uint8]:
    """Images [V, S, S, 3] of one sample."""
    images = np.empty((len(task.images), task.size, task.size, 3), np.uint8)
    for view, (image, flip) in enumerate(zip(task.images, task.flips, strict=True)):
        images[view] = load_image(task.root / image, task.size, flip)
    return images


class FeatureNetwork:
    """Runs the backbone one sample ahead of the reader of its results, and counts the time it runs.

    Args:
        backbone: the backbone; it is moved to the device.
        device: where it runs.
        settings: ``precision`` and ``channels_last``.
    """

    def __init__(self, backbone: Backbone, device: torch.device, settings: FeatureSet) -> None:
        self._backbone = backbone.to(device)
        if settings.channels_last:
            backbone.to(memory_format=torch.channels_last)
        self._device = device
        self._settings = settings
        self.busy_seconds = 0.0

    def submit(self, images: NDArray[np.uint8]) -> _Pending:
        """Start one sample [V, S, S, 3]; on a GPU this returns before the result is there."""
        started = time.perf_counter()
        if self._device.type == "cpu":
            output = self._compute(self._backbone.normalize(torch.from_numpy(images)))
            self.busy_seconds += time.perf_counter() - started
            return _Pending(self, output)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        batch = torch.from_numpy(images).pin_memory().to(self._device, non_blocking=True)
        events[0].record()
        seen = self._backbone.normalize(batch)
        output = self._compute(seen if self._settings.channels_last else seen.contiguous())
        host = torch.empty(output.shape, dtype=output.dtype, pin_memory=True)
        host.copy_(output, non_blocking=True)
        events[1].record()
        return _Pending(self, host, events)

    def _compute(self, images: Tensor) -> Tensor:
        """Features [V, C, H, W] float32 of normalised images."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.precision == "bfloat16"):
            features: Tensor = self._backbone(images)
        return features.float()


@dataclass(frozen=True)
class _Pending:
    """One sample's features, perhaps still under way."""

    network: FeatureNetwork
    output: Tensor
    events: list[torch.cuda.Event] | None = None

    def result(self) -> NDArray[np.float32]:
        """Features [V, C, H, W]."""
        if self.events is not None:
            self.events[1].synchronize()
            self.network.busy_seconds += self.events[0].elapsed_time(self.events[1]) / 1000
        features: NDArray[np.float32] = self.output.numpy()
        return features


def _extract(
    frame: pd.DataFrame, root: Path, settings: FeatureSet, workers: int, network: FeatureNetwork, file: h5py.File
) -> str:
    """Fill the file, split by split, and return the checksum of all features."""
    views = frame["camera"].nunique()
    splits = {str(name): rows for name, rows in frame.groupby("split", sort=False)}
    tasks = [
        _Task(root, rows["image"].tolist(), rows["flip"].astype(bool).tolist(), settings.image_size)
        for split in splits.values()
        for _, rows in split.groupby("sample", sort=False)
    ]
    progress = Progress(logger, "extracted", len(tasks), "samples", per_step=views)
    content = hashlib.sha256()

    def write(writer: _Writer, index: int, pending: _Pending) -> None:
        content.update(writer.write(index, pending.result()).tobytes())
        idle = max(0.0, 1 - network.busy_seconds / max(progress.seconds, 1e-9))
        progress.step(f"network idle {100 * idle:.1f} % of the time")

    with closing(ordered_map(_decode, tasks, workers)) as decoded:
        for name, rows in splits.items():
            group = file.create_group(name)
            samples = rows["sample"].drop_duplicates().tolist()
            write_strings(group, "sample", samples)
            write_strings(group, "image", rows["image"].to_numpy(dtype=object).reshape(-1, views))
            writer = _Writer(group, samples, settings.dtype)
            pending = network.submit(next(decoded))
            for index in range(1, len(samples)):
                following = network.submit(next(decoded))
                write(writer, index - 1, pending)
                pending = following
            write(writer, len(samples) - 1, pending)
            writer.close()
    return content.hexdigest()


class _Writer:
    """Writes one split sample by sample, with the channel statistics of what it wrote."""

    def __init__(self, group: h5py.Group, samples: list[str], dtype: str) -> None:
        self._group = group
        self._samples = samples
        self._dtype = dtype
        self._moments = _Moments()
        self._features: h5py.Dataset | None = None

    def write(self, index: int, features: NDArray[np.float32]) -> NDArray[Any]:
        """Store the features [V, C, H, W] of one sample, and return them as they are stored."""
        stored = as_stored(features, self._dtype, f"{self._group.name[1:]}: sample {self._samples[index]}")
        if self._features is None:
            shape = (len(self._samples), *stored.shape)
            self._features = self._group.create_dataset(
                "features", shape, self._dtype, chunks=(1, *shape[1:]), fletcher32=True
            )
        self._features[index] = stored
        if self._group.name == "/train":
            self._moments.add(stored)
        return stored

    def close(self) -> None:
        """Store the statistics."""
        if self._group.name == "/train":
            self._group["channel_mean"] = self._moments.mean
            self._group["channel_std"] = self._moments.std


class _Moments:
    """Mean and population standard deviation per channel of a stream, in float64 (Chan's pairwise update)."""

    def __init__(self) -> None:
        self._count = 0
        self.mean: NDArray[np.float64] = np.zeros(0)
        self._squares: NDArray[np.float64] = np.zeros(0)

    def add(self, features: NDArray[Any]) -> None:
        """Add one sample [V, C, H, W]."""
        values = np.moveaxis(features, 1, 0).reshape(features.shape[1], -1).astype(np.float64)
        count = values.shape[1]
        mean = values.mean(axis=1)
        squares = ((values - mean[:, None]) ** 2).sum(axis=1)
        if self._count == 0:
            self._count, self.mean, self._squares = count, mean, squares
            return
        total = self._count + count
        difference = mean - self.mean
        self._squares = self._squares + squares + difference**2 * (self._count * count / total)
        self.mean = self.mean + difference * (count / total)
        self._count = total

    @property
    def std(self) -> NDArray[np.float64]:
        """Population standard deviation [C]."""
        return np.sqrt(self._squares / self._count)
