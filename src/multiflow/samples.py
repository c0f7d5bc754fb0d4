"""The samples table: one row per view image of a class, whatever the data set's own format is.

This module alone knows Real-IAD's layout. Flips are a column, applied when an image is decoded: no file of
the data set is ever written.
"""

from __future__ import annotations

import hashlib
import json
import logging
import posixpath
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from multiflow.annotations import find_annotations
from multiflow.config import Dataset
from multiflow.errors import InputError
from multiflow.flips import read_flips
from multiflow.images import decode_picture
from multiflow.parallel import ordered_map
from multiflow.store import atomic_path

__all__ = ["SAMPLE_COLUMNS", "load_samples", "read_samples", "split_name", "write_samples"]

logger = logging.getLogger(__name__)

_SPLITS = ("train", "test")
_RECORD_KEYS = ("category", "anomaly_class", "image_path", "mask_path")
_TEXT_COLUMNS = ("split", "sample", "camera", "image", "mask", "anomaly_class", "sha256")
_NUMBER_COLUMNS = ("label", "flip", "width", "height")
SAMPLE_COLUMNS = (
    "split", "sample", "camera", "image", "mask", "label",
    "anomaly_class", "flip", "sha256", "width", "height",
)  # fmt: skip
_PROBLEMS_SHOWN = 200
_PROGRESS_SECONDS = 5.0
_ORIENTATION = 0x0112  # EXIF tag


@dataclass(frozen=True)
class _View:
    """One record of the annotations, as a row of the table."""

    place: str
    split: str
    sample: str
    camera: str
    image: str
    mask: str
    label: int
    anomaly_class: str


@dataclass
class _Findings:
    """What is wrong with a class, and what is only worth a look."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def raise_problems(self) -> None:
        if not self.problems:
            return
        hidden = len(self.problems) - _PROBLEMS_SHOWN
        lines = self.problems[:_PROBLEMS_SHOWN]
        if hidden > 0:
            lines.append(f"... and {hidden} more problems; mend these first")
        raise InputError(lines)


def read_samples(dataset: Dataset, root: Path, class_name: str, processes: int = 1) -> pd.DataFrame:
    """Read and check one class of a data set in Real-IAD's layout.

    Records belong to one sample if the part of their file name before ``_C<n>_`` agrees, the defect code
    included, within a split. A view is normal if it has no mask or its anomaly class is the normal one; the
    folder of the image says nothing (Real-IAD's views under ``NG/`` that don't show the defect are normal).

    Args:
        dataset: where the annotations and images are, the cameras and the table of flips.
        root: folder of the data set; it is only read.
        class_name: name of the class's JSON file.
        processes: worker processes that decode every image and mask; 0 decodes in this one.

    Returns:
        Table with one row per view image: split, sample, camera, image and mask (paths relative to ``root``;
        the mask is empty for a normal view), label (1 is anomalous), anomaly_class, flip, sha256 (of the
        image's bytes followed by the mask's), width, height (px). Ordered by split (train first), then sample
        in the annotations' order, then camera in the order of ``dataset.cameras``.

    Raises:
        InputError: all problems of the class, one line each, the first 200.
    """
    findings = _Findings()
    flips = _flips(dataset, class_name, findings)
    source = find_annotations(dataset, root, class_name)
    views = _ordered_views(source, _read_views(source, dataset, findings), dataset.cameras, findings)
    folder = root / dataset.image_folder
    inspected = []
    if folder.is_dir():
        inspected = _inspect_files(root, views, processes, findings)
    else:
        findings.problems.append(f"{folder}: expected the images, found no folder; set dataset.image_folder")
    findings.raise_problems()
    for warning in findings.warnings[:_PROBLEMS_SHOWN]:
        logger.warning(warning)
    return pd.DataFrame(
        [
            (
                view.split, view.sample, view.camera, view.image, view.mask, view.label, view.anomaly_class,
                flips[view.camera], checksum, width, height,
            )
            for view, (checksum, width, height) in zip(views, inspected, strict=True)
        ],
        columns=list(SAMPLE_COLUMNS),
    )  # fmt: skip


def split_name(stem: str, cameras: Sequence[str]) -> tuple[str, str] | None:
    """Sample and camera in the name of a picture, ``<sample>_<camera>_<time>``; None for another name.

    Args:
        stem: the file's name without its suffix.
        cameras: names of cameras that are known besides ``C<n>``.
    """
    names = "|".join(["C[0-9]+", *map(re.escape, cameras)])
    match = re.fullmatch(rf"(.+)_({names})(?:_.*)?", stem)
    return None if match is None else (match[1], match[2])


def write_samples(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a samples table as CSV; equal tables give equal bytes."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, columns=list(SAMPLE_COLUMNS), index=False, lineterminator="\n", encoding="utf-8")


def load_samples(path: str | Path) -> pd.DataFrame:
    """Load a samples table that :func:`write_samples` wrote.

    Raises:
        InputError: the file is missing, is not such a table, or its samples don't all have the same cameras.
    """
    advice = "delete it and rerun"
    try:
        frame = pd.read_csv(
            path,
            dtype=dict.fromkeys(_TEXT_COLUMNS, str) | dict.fromkeys(_NUMBER_COLUMNS, "int64"),
            keep_default_na=False,
            encoding="utf-8",
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected a samples table, cannot read it ({reason}); {advice}") from None
    if list(frame.columns) != list(SAMPLE_COLUMNS):
        raise InputError(
            f"{path}: expected the columns {', '.join(SAMPLE_COLUMNS)}, found {', '.join(frame.columns)}; {advice}"
        )
    cameras = frame["camera"].drop_duplicates().tolist()
    views = frame.groupby(["split", "sample"], sort=False)["camera"].agg(list)
    if len(frame) == 0 or any(found != cameras for found in views) or set(frame["split"]) != set(_SPLITS):
        raise InputError(
            f"{path}: expected train and test samples that all have the views {', '.join(cameras)} in this "
            f"order, found others; {advice}"
        )
    return frame


def _flips(dataset: Dataset, class_name: str, findings: _Findings) -> dict[str, int]:
    """0 or 1 per camera; problems go to the findings, so that they are reported with the others."""
    if dataset.flips is not None:
        try:
            return read_flips(dataset.flips, class_name, dataset.cameras)
        except InputError as error:
            findings.problems += error.problems
    return dict.fromkeys(dataset.cameras, 0)


def _read_views(source: Path, dataset: Dataset, findings: _Findings) -> list[_View]:
    """All well-formed records of a JSON file."""
    report = findings.problems.append
    try:
        content: Any = json.loads(source.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        report(f"{source}: line {error.lineno}, column {error.colno}: malformed JSON ({error.msg}); restore it")
        return []
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        report(f"{source}: expected JSON in UTF-8, cannot read it ({error}); restore the file")
        return []
    if not isinstance(content, dict):
        report(f"{source}: expected an object with meta, train and test, found a {type(content).__name__}")
        return []
    meta = content.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    missing = [key for key in ("prefix", "normal_class") if not isinstance(meta.get(key), str)]
    for key in missing:
        report(f"{source}: meta: expected a text under {key}, found {meta.get(key)!r}; add it")
    views = []
    for split in _SPLITS:
        records = content.get(split)
        if not isinstance(records, list) or not records:
            report(f"{source}: {split}: expected a list of records, found none; add the {split} set")
            continue
        for index, record in enumerate(records):
            if missing:
                break
            view = _read_view(source, f"{source}: {split}[{index}]", split, record, meta, dataset, findings)
            if view is not None:
                views.append(view)
    return views


def _read_view(
    source: Path, place: str, split: str, record: Any, meta: dict[str, Any], dataset: Dataset, findings: _Findings
) -> _View | None:
    """One record; None and a problem if it is malformed."""
    report = findings.problems.append
    if not isinstance(record, dict):
        report(f"{place}: expected an object, found {type(record).__name__}")
        return None
    missing = [key for key in _RECORD_KEYS if key not in record]
    if missing:
        report(f"{place}: expected the keys {', '.join(_RECORD_KEYS)}, {', '.join(missing)} missing; add them")
        return None
    for key in _RECORD_KEYS:
        value = record[key]
        if not (isinstance(value, str) and value) and not (key == "mask_path" and value is None):
            report(f"{place}: {key}: expected a text, found {value!r}")
            return None
    paths = {}
    for key in ("image_path", "mask_path"):
        value = record[key]
        path = ""
        if value:
            path = posixpath.normpath(posixpath.join(dataset.image_folder, meta["prefix"], value))
        if posixpath.isabs(path) or path.split("/")[0] == "..":
            report(f"{place}: {key}: expected a path below the data set's root, found {value}; mend it")
            return None
        paths[key] = path
    name = posixpath.basename(paths["image_path"])
    parts = split_name(posixpath.splitext(name)[0], dataset.cameras)
    if parts is None:
        report(
            f"{place}: image_path: expected a file name <sample>_<camera>_<time> with a camera such as "
            f"{dataset.cameras[0]}, found {name}"
        )
        return None
    if record["category"] != source.stem:
        report(f"{place}: category: expected {source.stem}, found {record['category']}; move the record to its class")
    anomaly_class = record["anomaly_class"]
    normal = anomaly_class == meta["normal_class"]
    if not normal and not paths["mask_path"]:
        report(
            f"{place}: anomaly_class {anomaly_class} without a mask; give mask_path, or anomaly_class "
            f"{meta['normal_class']} if this view does not show the defect"
        )
    if normal and paths["mask_path"]:
        findings.warnings.append(f"{place}: the mask of a view of class {anomaly_class} is ignored")
    return _View(
        place=place,
        split=split,
        sample=parts[0],
        camera=parts[1],
        image=paths["image_path"],
        mask="" if normal else paths["mask_path"],
        label=0 if normal else 1,
        anomaly_class=anomaly_class,
    )


def _ordered_views(source: Path, views: list[_View], cameras: list[str], findings: _Findings) -> list[_View]:
    """Group the views to samples and sort them; the first of two records for one camera stays."""
    samples: dict[tuple[str, str], dict[str, _View]] = {}
    for view in views:
        sample = samples.setdefault((view.split, view.sample), {})
        if view.camera in sample:
            findings.problems.append(
                f"{view.place}: sample {view.sample}: second record for camera {view.camera}, "
                f"the first is {sample[view.camera].place.rpartition(' ')[2]}; delete one"
            )
            continue
        sample[view.camera] = view
    ordered = []
    left_out = Counter(view.camera for view in views if view.camera not in cameras)
    if left_out:
        found = ", ".join(f"{count} records of {camera}" for camera, count in sorted(left_out.items()))
        findings.warnings.append(f"{source}: {found} are left out: not in dataset.cameras")
    for (split, name), sample in samples.items():
        missing = [camera for camera in cameras if camera not in sample]
        if missing:
            findings.problems.append(
                f"{source}: {split}: sample {name}: expected the cameras {', '.join(cameras)}, "
                f"{', '.join(missing)} missing; add the records or change dataset.cameras"
            )
        ordered += [sample[camera] for camera in cameras if camera in sample]
    twice = {view.image for view in ordered if view.split == "train"} & {
        view.image for view in ordered if view.split == "test"
    }
    findings.warnings += [f"{source}: {image} is in both train and test" for image in sorted(twice)]
    return ordered


def _inspect_files(root: Path, views: list[_View], processes: int, findings: _Findings) -> list[tuple[str, int, int]]:
    """Decode every image and mask: checksum, width and height per view."""
    started = shown = time.monotonic()
    tasks: Iterable[tuple[Path, str, str]] = ((root, view.image, view.mask) for view in views)
    results = []
    for index, (result, problems, warnings) in enumerate(ordered_map(_inspect, tasks, processes, ahead=8)):
        findings.problems += [f"{views[index].place}: {problem}" for problem in problems]
        findings.warnings += [f"{views[index].place}: {warning}" for warning in warnings]
        results.append(result)
        now = time.monotonic()
        if now - shown >= _PROGRESS_SECONDS:
            left = (now - started) / (index + 1) * (len(views) - index - 1)
            logger.info("checked %d of %d images, %.0f s left", index + 1, len(views), left)
            shown = now
    return results


def _inspect(task: tuple[Path, str, str]) -> tuple[tuple[str, int, int], list[str], list[str]]:
    """Checksum and size of one image, and the problems and warnings of it and its mask."""
    root, image, mask = task
    problems: list[str] = []
    warnings: list[str] = []
    checksum = hashlib.sha256()
    sizes = []
    for path in filter(None, (image, mask)):
        try:
            content = (root / path).read_bytes()
            picture = decode_picture(root / path, content)
        except FileNotFoundError:
            problems.append(f"{root / path}: no such file; restore it")
            continue
        except OSError as error:
            problems.append(f"{root / path}: cannot be read ({error.strerror}); mend it")
            continue
        except InputError as error:
            problems += error.problems
            continue
        checksum.update(content)
        sizes.append(picture.size)
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            warnings.append(f"{root / path}: its EXIF orientation is ignored")
        if path == mask and np.asarray(picture.convert("RGB")).max() <= 127:
            warnings.append(f"{root / path}: the mask of an anomalous view has no pixel above 127")
    if len(sizes) == 2 and sizes[0] != sizes[1]:
        problems.append(
            f"{root / mask}: expected the size of the image, {sizes[0][0]} x {sizes[0][1]} px, "
            f"found {sizes[1][0]} x {sizes[1][1]}; restore the mask"
        )
    width, height = sizes[0] if sizes else (0, 0)
    return (checksum.hexdigest(), width, height), problems, warnings
