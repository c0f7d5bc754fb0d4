"""The ground truth of a class's test samples: labels, anomaly classes and masks, apart from what a method reads."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multiflow.base.hdf5 import Hdf5File, create_hdf5, write_strings
from multiflow.base.processes import ordered_map
from multiflow.base.progress import Progress
from multiflow.datasets.masks import load_grey_mask

__all__ = ["GroundTruthFile", "write_ground_truth"]

logger = logging.getLogger(__name__)


def write_ground_truth(
    frame: pd.DataFrame,
    root: Path,
    size: int,
    threshold: int,
    output: Path,
    provenance: Mapping[str, Any] | None = None,
    processes: int = 0,
) -> None:
    """Write the ground truth of one class's N test samples of V views into an HDF5 file.

    It holds ``sample`` [N], ``image`` [N, V], ``label`` [N, V], ``located`` [N, V], ``anomaly_class`` [N, V] and
    ``mask`` [N, V, S, S]: grey values in the orientation that the flip column gives, resized to the nearest pixel; what
    is anomalous is decided where they are read. :class:`GroundTruthFile` reads it. Memory is bounded by a few samples.

    Args:
        frame: the class's samples table.
        root: folder of the data set that the table's paths start from.
        size: side S of the masks, px.
        threshold: grey value above which a pixel is anomalous; only for a warning of masks that have no such pixel.
        output: the HDF5 file ``<class>.h5``; it appears when it is complete.
        provenance: stored as JSON.
        processes: worker processes that decode masks; 0 decodes in this one.

    Raises:
        InputError: a mask is missing or damaged.
    """
    cameras = frame["camera"].drop_duplicates().tolist()
    rows = frame[frame["split"] == "test"]
    shape = (len(rows) // len(cameras), len(cameras))
    labels = rows["label"].to_numpy(dtype=np.uint8).reshape(shape)
    located = (labels == 0) | (rows["mask"] != "").to_numpy().reshape(shape)
    tasks = [
        _Masks(root, size, views["mask"].tolist(), views["flip"].astype(bool).tolist())
        for _, views in rows.groupby("sample", sort=False)
    ]
    attributes = {
        "class": output.stem,
        "cameras": cameras,
        "provenance": json.dumps(dict(provenance or {}), sort_keys=True),
    }
    progress = Progress(logger, "wrote the ground truth of", len(tasks), "samples")
    with (
        create_hdf5(output, "ground_truth", attributes) as file,
        closing(ordered_map(_load_masks, tasks, processes)) as decoded,
    ):
        write_strings(file, "sample", rows["sample"].drop_duplicates().tolist())
        for column in ("image", "anomaly_class"):
            write_strings(file, column, rows[column].to_numpy(dtype=object).reshape(shape))
        file["label"], file["located"] = labels, located
        stored = file.create_dataset(
            "mask",
            (*shape, size, size),
            np.uint8,
            chunks=(1, shape[1], size, size),
            compression="gzip",
            compression_opts=1,
            fletcher32=True,
        )
        for index, masks in enumerate(decoded):
            stored[index] = masks
            marked = (labels[index] == 1) & located[index]
            for view in np.flatnonzero(marked & ~(masks > threshold).any(axis=(1, 2))):
                logger.warning("%s: no anomalous pixel at the ground truth's size", root / tasks[index].paths[view])
            progress.step()


@dataclass(frozen=True)
class _Masks:
    """The masks of one sample, as files; empty where a view is normal."""

    root: Path
    size: int
    paths: list[str]
    flips: list[bool]


def _load_masks(task: _Masks) -> NDArray[np.uint8]:
    """Grey masks [V, S, S] of one sample, 0 where there is none."""
    masks = np.zeros((len(task.paths), task.size, task.size), np.uint8)
    for view, (path, flip) in enumerate(zip(task.paths, task.flips, strict=True)):
        if path:
            masks[view] = load_grey_mask(task.root / path, task.size, flip)
    return masks


class GroundTruthFile(Hdf5File):
    """The ground truth of a class's N test samples of V views, written by :func:`write_ground_truth`.

    Args:
        path: the file.

    Raises:
        InputError: at the first use, the file is missing, damaged or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "ground_truth")

    def __len__(self) -> int:
        return self.shape("sample")[0]

    @property
    def class_name(self) -> str:
        """Name of the class."""
        return str(self.attribute("class"))

    @property
    def cameras(self) -> list[str]:
        """The views of a sample, in order."""
        return list(self.attribute("cameras"))

    @property
    def size(self) -> int:
        """Side S of the masks, px."""
        return self.shape("mask")[-1]

    @property
    def samples(self) -> list[str]:
        """Sample keys [N]."""
        return list(self.array("sample"))

    @property
    def images(self) -> list[list[str]]:
        """Paths of the images [N][V], relative to the data set's root."""
        images: list[list[str]] = self.array("image").tolist()
        return images

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Labels of the views [N, V]: 1 is anomalous."""
        return self.array("label")

    @property
    def located(self) -> NDArray[np.bool_]:
        """Whether it is known which pixels of a view are anomalous [N, V]; not of anomalous views without a mask."""
        return self.array("located")

    @property
    def anomaly_classes(self) -> list[list[str]]:
        """Anomaly classes of the views [N][V], as the data set names them."""
        classes: list[list[str]] = self.array("anomaly_class").tolist()
        return classes

    def masks(self, index: int, threshold: int) -> NDArray[np.uint8]:
        """Ground truth of one sample [V, S, S]: 1 where the grey value exceeds the threshold."""
        return (self.array("mask", index) > threshold).astype(np.uint8)
