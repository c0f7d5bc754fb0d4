"""The foreground station: a mask for every view image of a class (paper section 3.4)."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multiflow.config import Foreground
from multiflow.foreground.postprocess import dilate, fill_holes, shrink
from multiflow.foreground.segmenters import Segmenter, create_segmenter
from multiflow.images import load_image
from multiflow.parallel import ordered_map
from multiflow.provenance import file_sha256
from multiflow.samples import load_samples
from multiflow.store import create_hdf5, write_strings

__all__ = ["sample_masks", "segment_foreground"]

logger = logging.getLogger(__name__)

_PROGRESS_SECONDS = 5.0


def segment_foreground(
    samples_csv: Path,
    root: Path,
    settings: Foreground,
    output: Path,
    provenance: Mapping[str, Any] | None = None,
    processes: int = 1,
    weights: Path | None = None,
) -> None:
    """Segment the foreground of one class into an HDF5 file.

    The groups ``train`` and ``test`` hold, for N samples of V views: ``mask`` [N, V, S, S] (1 is foreground),
    ``sample`` [N] and ``image`` [N, V]. Masks are in the orientation that the flip column gives, like the
    features. :class:`multiflow.store.ForegroundFile` reads the file.

    A view without any foreground pixel would score 0 everywhere and could hide a defect: everything counts as its
    foreground, unless ``foreground.empty`` says otherwise, and a warning names the image.

    Args:
        samples_csv: the class's samples table, ``<class>.csv``.
        root: folder of the data set that the table's paths start from.
        settings: the ``foreground`` block.
        output: the HDF5 file; it appears when it is complete.
        provenance: stored as JSON beside what this function records itself.
        processes: worker processes; 0 works in this one.
        weights: weights of the method, if it has any.

    Raises:
        InputError: an input or the method's weights are missing or damaged.
    """
    segmenter = create_segmenter(settings, weights)
    frame = load_samples(samples_csv)
    attributes: dict[str, Any] = {
        "class": samples_csv.stem,
        "cameras": frame["camera"].drop_duplicates().tolist(),
        "samples_sha256": file_sha256(samples_csv),
        "provenance": json.dumps(dict(provenance or {}), sort_keys=True),
    }
    if weights is not None:
        attributes["weights_sha256"] = file_sha256(weights)
    attributes |= settings.mask_settings() | {"threads": settings.threads}
    with create_hdf5(output, "foreground", attributes) as file:
        _segment(frame, root, settings, segmenter, processes, file)


def sample_masks(
    images: NDArray[np.uint8], names: Sequence[str], segmenter: Segmenter, settings: Foreground
) -> NDArray[np.uint8]:
    """The masks [V, m, m] of one sample as they are stored, from its RGB images [V, S, S, 3] and their names."""
    return _fill_empty(_finish(segmenter.segment(images), settings), names, settings.empty)


@dataclass(frozen=True)
class _Task:
    """One sample: paths, flips and what is done in the worker process."""

    root: Path
    images: list[str]
    flips: list[bool]
    settings: Foreground
    segmenter: Segmenter | None


def _prepare(task: _Task) -> NDArray[np.uint8]:
    """Masks [V, m, m] of one sample; its images [V, S, S, 3] if they are segmented in the parent."""
    images = np.stack(
        [
            load_image(task.root / image, task.settings.image_size, flip)
            for image, flip in zip(task.images, task.flips, strict=True)
        ]
    )
    return images if task.segmenter is None else _finish(task.segmenter.segment(images), task.settings)


def _finish(masks: NDArray[np.bool_], settings: Foreground) -> NDArray[np.uint8]:
    """Stored masks [V, m, m] from segmentations [V, S, S]."""
    finished = []
    for mask in masks:
        filled = fill_holes(mask) if settings.fill_holes else mask
        finished.append(shrink(dilate(filled, settings.dilation), settings.mask_size))
    return np.stack(finished)


def _fill_empty(masks: NDArray[np.uint8], names: Sequence[str], empty: str) -> NDArray[np.uint8]:
    """Masks [V, m, m] in which everything is what ``empty`` says where no foreground was found, with a warning."""
    for view in np.flatnonzero(~masks.any(axis=(1, 2))):
        logger.warning("%s: no foreground found; all of it counts as %s", names[int(view)], empty)
        masks[view] = empty == "foreground"
    return masks


def _segment(
    frame: pd.DataFrame,
    root: Path,
    settings: Foreground,
    segmenter: Segmenter,
    processes: int,
    file: h5py.File,
) -> None:
    """Fill the file, split by split."""
    views = frame["camera"].nunique()
    splits = {str(name): rows for name, rows in frame.groupby("split", sort=False)}
    tasks = [
        _Task(
            root,
            rows["image"].tolist(),
            rows["flip"].astype(bool).tolist(),
            settings,
            segmenter if segmenter.in_workers else None,
        )
        for split in splits.values()
        for _, rows in split.groupby("sample", sort=False)
    ]
    started = shown = time.monotonic()
    done, foreground = 0, 0.0
    with closing(ordered_map(_prepare, tasks, processes)) as prepared:
        for name, rows in splits.items():
            group = file.create_group(name)
            samples = rows["sample"].drop_duplicates().tolist()
            images = rows["image"].to_numpy(dtype=object).reshape(-1, views)
            write_strings(group, "sample", samples)
            write_strings(group, "image", images)
            shape = (len(samples), views, settings.mask_size, settings.mask_size)
            stored = group.create_dataset(
                "mask", shape, np.uint8, chunks=(1, *shape[1:]), compression="gzip", fletcher32=True
            )
            for index in range(len(samples)):
                result = next(prepared)
                if segmenter.in_workers:
                    masks = _fill_empty(result, images[index], settings.empty)
                else:
                    masks = sample_masks(result, images[index], segmenter, settings)
                stored[index] = masks
                done += 1
                foreground += float(masks.mean())
                now = time.monotonic()
                if now - shown >= _PROGRESS_SECONDS:
                    left = (now - started) / done * (len(tasks) - done)
                    logger.info("segmented %d of %d samples, %.0f s left", done, len(tasks), left)
                    shown = now
    seconds = time.monotonic() - started
    logger.info(
        "segmented %d samples in %.1f s, %.1f images/s, %.0f %% of the area is foreground",
        done,
        seconds,
        done * views / seconds,
        100 * foreground / done,
    )
