"""The foreground station: the raw segmentation of every view image of a class (paper section 3.4)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multiflow.base.hdf5 import create_hdf5, write_strings
from multiflow.base.processes import ordered_map
from multiflow.base.progress import Progress
from multiflow.base.settings import Compute
from multiflow.base.tensors import read_provenance
from multiflow.datasets.images import load_image
from multiflow.datasets.table import load_samples
from multiflow.foreground.file import pack
from multiflow.foreground.segmenters import Segmenter, create_segmenter
from multiflow.foreground.settings import Segmentation

__all__ = ["segment_foreground"]

logger = logging.getLogger(__name__)


def segment_foreground(
    samples_csv: Path,
    digests: Mapping[str, str],
    root: Path,
    method: str,
    settings: Segmentation,
    compute: Compute,
    output: Path,
    provenance: Mapping[str, Any] | None = None,
    weights: Path | None = None,
) -> None:
    """Segment every image of one class into an HDF5 file.

    The groups ``train`` and ``test`` hold, for N samples of V views: ``mask`` [N, V, S, ceil(S / 8)], the segmentation
    as it was found, eight pixels of a row a byte; ``sample`` [N] and ``image`` [N, V]. Masks are in the orientation
    that the flip column gives, like the features. The attribute ``content_sha256`` is that of the masks as they are
    stored, train before test. :class:`multiflow.foreground.file.ForegroundFile` reads the file, and
    :func:`multiflow.foreground.grid.sample_foreground` makes the foreground of it.

    Memory is bounded by a few samples, whatever their number.

    Args:
        samples_csv: the class's samples table, ``<class>.csv``.
        digests: checksums of the table, ``<class>.json``; ``pictures`` is recorded.
        root: folder of the data set that the table's paths start from.
        method: of segmentation, a name of :data:`multiflow.foreground.segmenters.SEGMENTERS`.
        settings: the ``segmentation`` block.
        compute: the ``compute`` block; ``threads`` is also the number of worker processes.
        output: the HDF5 file; it appears when it is complete.
        provenance: stored as JSON beside what this function records itself.
        weights: weights of the method, if it has any.

    Raises:
        InputError: an input or the method's weights are missing or damaged.
    """
    segmenter = create_segmenter(method, settings, compute, weights)
    frame = load_samples(samples_csv)
    attributes: dict[str, Any] = {
        "class": samples_csv.stem,
        "cameras": frame["camera"].drop_duplicates().tolist(),
        "method": method,
        "threads": compute.threads,
        "pictures_sha256": digests["pictures"],
        "provenance": json.dumps(dict(provenance or {}), sort_keys=True),
    }
    if weights is not None:
        attributes["weights_sha256"] = read_provenance(weights)["tensors_sha256"]
    with create_hdf5(output, "foreground", attributes | settings.deciding(method)) as file:
        file.attrs["content_sha256"] = _segment(frame, root, settings, segmenter, compute.threads, file)


@dataclass(frozen=True)
class _Task:
    """One sample: paths, flips and what is done in the worker process."""

    root: Path
    images: list[str]
    flips: list[bool]
    size: int
    segmenter: Segmenter | None


def _prepare(task: _Task) -> NDArray[np.uint8]:
    """Packed masks of one sample; its images [V, S, S, 3] if they are segmented in the parent."""
    images = np.stack(
        [load_image(task.root / image, task.size, flip) for image, flip in zip(task.images, task.flips, strict=True)]
    )
    return images if task.segmenter is None else pack(task.segmenter.segment(images))


def _segment(
    frame: pd.DataFrame, root: Path, settings: Segmentation, segmenter: Segmenter, processes: int, file: h5py.File
) -> str:
    """Fill the file, split by split, and return the checksum of all masks."""
    views, size = frame["camera"].nunique(), settings.image_size
    splits = {str(name): rows for name, rows in frame.groupby("split", sort=False)}
    tasks = [
        _Task(
            root,
            rows["image"].tolist(),
            rows["flip"].astype(bool).tolist(),
            size,
            segmenter if segmenter.in_workers else None,
        )
        for split in splits.values()
        for _, rows in split.groupby("sample", sort=False)
    ]
    progress = Progress(logger, "segmented", len(tasks), "samples", per_step=views)
    content = hashlib.sha256()
    done = foreground = 0
    with closing(ordered_map(_prepare, tasks, processes)) as prepared:
        for name, rows in splits.items():
            group = file.create_group(name)
            samples = rows["sample"].drop_duplicates().tolist()
            write_strings(group, "sample", samples)
            write_strings(group, "image", rows["image"].to_numpy(dtype=object).reshape(-1, views))
            shape = (len(samples), views, size, -(-size // 8))
            stored = group.create_dataset(
                "mask", shape, np.uint8, chunks=(1, *shape[1:]), compression="gzip", fletcher32=True
            )
            for index in range(len(samples)):
                result = next(prepared)
                masks = result if segmenter.in_workers else pack(segmenter.segment(result))
                stored[index] = masks
                content.update(masks.tobytes())
                done += 1
                foreground += int(np.bitwise_count(masks).sum())
                share = foreground / (done * views * size**2)
                progress.step(f"{100 * share:.0f} % of the area is foreground")
    return content.hexdigest()
