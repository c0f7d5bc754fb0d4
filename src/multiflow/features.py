"""The features station: every view image of a class through the frozen backbone (paper section 3.1).

Worker processes decode images while the network runs; one sample is one batch, so its features don't depend
on which other samples are extracted.
"""

from __future__ import annotations

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

from multiflow.backbone import Backbone, create_backbone
from multiflow.config import Features
from multiflow.devices import device_name, exact_float32, select_device
from multiflow.errors import InputError
from multiflow.images import load_image, load_mask
from multiflow.parallel import ordered_map
from multiflow.provenance import file_sha256
from multiflow.samples import load_samples
from multiflow.store import create_hdf5, write_strings

__all__ = ["FeatureNetwork", "as_stored", "extract_features"]

logger = logging.getLogger(__name__)

_PROGRESS_SECONDS = 5.0


def extract_features(
    samples_csv: Path,
    root: Path,
    weights: Path,
    settings: Features,
    output: Path,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Extract the features of one class into an HDF5 file.

    The groups ``train`` and ``test`` hold, for N samples of V views: ``features`` [N, V, C, H, W] (one chunk
    a sample, with a checksum), ``label`` [N, V], ``anomaly_class`` [N, V], ``sample`` [N], ``image`` [N, V]
    and ``ground_truth`` [N, V, S, S]; ``train`` also ``channel_mean`` and ``channel_std`` [C], over all
    training images and as stored. Images and masks are in the orientation that the flip column gives.
    The attribute ``views`` says of each camera whether it is flipped and how large its training images are.
    :class:`multiflow.store.FeatureFile` reads the file.

    Memory is bounded by a few samples, whatever their number.

    Args:
        samples_csv: the class's samples table, ``<class>.csv``.
        root: folder of the data set that the table's paths start from.
        weights: the backbone's weights, from :func:`multiflow.backbone.fetch_weights`.
        settings: the ``features`` block.
        output: the HDF5 file; it appears when it is complete.
        provenance: stored as JSON beside what this function records itself.

    Raises:
        InputError: an input is missing or damaged, or the features are not finite.
    """
    frame = load_samples(samples_csv)
    cameras = frame["camera"].drop_duplicates().tolist()
    device = select_device(settings.device, "features.device")
    attributes = {
        "class": samples_csv.stem,
        "cameras": cameras,
        "views": json.dumps(_describe_views(frame)),
        "backbone": settings.backbone,
        "node": settings.node,
        "padding": settings.padding,
        "image_size": settings.image_size,
        "dtype": settings.dtype,
        "ground_truth_threshold": settings.ground_truth_threshold,
        "device": device_name(device),
        "threads": settings.threads,
        "weights_sha256": file_sha256(weights),
        "samples_sha256": file_sha256(samples_csv),
        "provenance": json.dumps(dict(provenance or {}), sort_keys=True),
    }
    with (
        exact_float32(settings.threads),
        torch.inference_mode(),
        create_hdf5(output, "features", attributes) as file,
    ):
        network = FeatureNetwork(create_backbone(settings, weights), device)
        _extract(frame, root, settings, network, file)


def as_stored(features: NDArray[np.float32], dtype: str, place: str) -> NDArray[Any]:
    """Features in the type in which they are stored.

    Raises:
        InputError: they are not finite, or beyond what the type holds; the message names ``place``.
    """
    stored = features.astype(np.dtype(dtype), copy=False)
    if not np.isfinite(stored).all():
        raise InputError(
            f"{place}: expected finite features, found values beyond {dtype}; set features.dtype to float32, or "
            "check features.weights"
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
    """One sample to decode: paths, flips and sizes."""

    root: Path
    images: list[str]
    masks: list[str]
    flips: list[bool]
    settings: Features


def _decode(task: _Task) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images [V, S, S, 3] and ground truth [V, S', S'] of one sample."""
    settings = task.settings
    images = np.empty((len(task.images), settings.image_size, settings.image_size, 3), np.uint8)
    truth = np.zeros((len(task.images), settings.ground_truth_size, settings.ground_truth_size), np.uint8)
    for view, (image, mask, flip) in enumerate(zip(task.images, task.masks, task.flips, strict=True)):
        images[view] = load_image(task.root / image, settings.image_size, flip)
        if mask:
            truth[view] = load_mask(task.root / mask, settings.ground_truth_size, flip, settings.ground_truth_threshold)
    return images, truth


class FeatureNetwork:
    """Runs the backbone one sample ahead of the reader of its results, and counts the time it runs.

    Args:
        backbone: the backbone; it is moved to the device.
        device: where it runs.
    """

    def __init__(self, backbone: Backbone, device: torch.device) -> None:
        self._backbone = backbone.to(device)
        self._device = device
        self.busy_seconds = 0.0

    def submit(self, images: NDArray[np.uint8]) -> _Pending:
        """Start one sample [V, S, S, 3]; on a GPU this returns before the result is there."""
        started = time.perf_counter()
        if self._device.type == "cpu":
            output = self._backbone(self._backbone.normalize(torch.from_numpy(images)))
            self.busy_seconds += time.perf_counter() - started
            return _Pending(self, output)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
        batch = torch.from_numpy(images).pin_memory().to(self._device, non_blocking=True)
        events[0].record()
        output = self._backbone(self._backbone.normalize(batch).contiguous())
        host = torch.empty(output.shape, dtype=output.dtype, pin_memory=True)
        host.copy_(output, non_blocking=True)
        events[1].record()
        return _Pending(self, host, events)


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


def _extract(frame: pd.DataFrame, root: Path, settings: Features, network: FeatureNetwork, file: h5py.File) -> None:
    """Fill the file, split by split."""
    views = frame["camera"].nunique()
    splits = {str(name): rows for name, rows in frame.groupby("split", sort=False)}
    tasks = [
        _Task(root, rows["image"].tolist(), rows["mask"].tolist(), rows["flip"].astype(bool).tolist(), settings)
        for split in splits.values()
        for _, rows in split.groupby("sample", sort=False)
    ]
    progress = _Progress(len(tasks), views)
    with closing(ordered_map(_decode, tasks, settings.workers)) as decoded:
        for name, rows in splits.items():
            group = file.create_group(name)
            samples = rows["sample"].drop_duplicates().tolist()
            write_strings(group, "sample", samples)
            for column in ("image", "anomaly_class"):
                write_strings(group, column, rows[column].to_numpy(dtype=object).reshape(-1, views))
            labels = rows["label"].to_numpy(dtype=np.uint8).reshape(-1, views)
            group["label"] = labels
            writer = _Writer(group, samples, labels, settings)
            pending: tuple[int, _Pending, NDArray[np.uint8]] | None = None
            for index in range(len(samples)):
                images, truth = next(decoded)
                following = index, network.submit(images), truth
                if pending is not None:
                    writer.write(pending[0], pending[1].result(), pending[2])
                    progress.step()
                pending = following
            assert pending is not None
            writer.write(pending[0], pending[1].result(), pending[2])
            progress.step()
            writer.close()
    progress.finish(network.busy_seconds)


class _Writer:
    """Writes one split sample by sample, with the channel statistics of what it wrote."""

    def __init__(self, group: h5py.Group, samples: list[str], labels: NDArray[np.uint8], settings: Features) -> None:
        self._group = group
        self._samples = samples
        self._labels = labels
        self._dtype = settings.dtype
        self._vanished = 0
        self._moments = _Moments()
        shape = (len(samples), labels.shape[1], settings.ground_truth_size, settings.ground_truth_size)
        self._truth = group.create_dataset(
            "ground_truth",
            shape,
            np.uint8,
            chunks=(1, *shape[1:]),
            compression="gzip",
            compression_opts=1,
            fletcher32=True,
        )
        self._features: h5py.Dataset | None = None

    def write(self, index: int, features: NDArray[np.float32], truth: NDArray[np.uint8]) -> None:
        """Store the features [V, C, H, W] and the ground truth [V, S, S] of one sample."""
        stored = as_stored(features, self._dtype, f"{self._group.name[1:]}: sample {self._samples[index]}")
        if self._features is None:
            shape = (len(self._samples), *stored.shape)
            self._features = self._group.create_dataset(
                "features", shape, self._dtype, chunks=(1, *shape[1:]), fletcher32=True
            )
        self._features[index] = stored
        self._truth[index] = truth
        self._vanished += int(((self._labels[index] == 1) & ~truth.any(axis=(1, 2))).sum())
        if self._group.name == "/train":
            self._moments.add(stored)

    def close(self) -> None:
        """Store the statistics."""
        if self._group.name == "/train":
            self._group["channel_mean"] = self._moments.mean
            self._group["channel_std"] = self._moments.std
        if self._vanished:
            logger.warning(
                "%s: %d anomalous views have no anomalous pixel at the ground truth's size",
                self._group.name[1:],
                self._vanished,
            )


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


class _Progress:
    """Says every few seconds how far the extraction is, and at its end how fast it was."""

    def __init__(self, samples: int, views: int) -> None:
        self._samples = samples
        self._views = views
        self._done = 0
        self._started = self._shown = time.perf_counter()

    def step(self) -> None:
        """One more sample is written."""
        self._done += 1
        now = time.perf_counter()
        if now - self._shown >= _PROGRESS_SECONDS:
            seconds = now - self._started
            logger.info(
                "extracted %d of %d samples, %.1f images/s, %.0f s left",
                self._done,
                self._samples,
                self._done * self._views / seconds,
                seconds / self._done * (self._samples - self._done),
            )
            self._shown = now

    def finish(self, busy_seconds: float) -> None:
        """All samples are written; ``busy_seconds`` is the time that the network ran."""
        seconds = time.perf_counter() - self._started
        logger.info(
            "extracted %d samples in %.1f s, %.1f images/s, network idle %.1f %% of the time",
            self._samples,
            seconds,
            self._samples * self._views / seconds,
            100 * max(0.0, 1 - busy_seconds / seconds),
        )
