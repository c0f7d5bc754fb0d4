"""The samples table: one row per view image of a class, whatever the data set's own format is.

The data set's layout says which pictures there are; everything else is checked here. Flips are a column, applied when
an image is decoded: no file of the data set is ever written.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.processes import ordered_map
from multiflow.base.progress import Progress
from multiflow.datasets import layout
from multiflow.datasets.contract import PROBLEMS_SHOWN, Findings, View
from multiflow.datasets.flips import read_flips
from multiflow.datasets.images import decode_picture
from multiflow.datasets.settings import Dataset

__all__ = ["SAMPLE_COLUMNS", "load_samples", "read_samples", "write_samples"]

logger = logging.getLogger(__name__)

_SPLITS = ("train", "test")
_TEXT_COLUMNS = ("split", "sample", "camera", "image", "mask", "anomaly_class", "sha256", "mask_sha256")
_NUMBER_COLUMNS = ("label", "flip", "width", "height")
SAMPLE_COLUMNS = (
    "split", "sample", "camera", "image", "mask", "label",
    "anomaly_class", "flip", "sha256", "mask_sha256", "width", "height",
)  # fmt: skip
_ADVICE = "delete it and rerun"
_ORIENTATION = 0x0112  # EXIF tag
_GREY = {"1", "L", "LA", "La"}  # Pillow's modes


def read_samples(dataset: Dataset, root: Path, class_name: str, processes: int = 1) -> pd.DataFrame:
    """Read and check one class of a data set; every image and mask is decoded once.

    Args:
        dataset: the layout, where in it things are, the cameras and the table of flips.
        root: folder of the data set; it is only read.
        class_name: the class.
        processes: worker processes that decode the pictures; 0 decodes in this one.

    Returns:
        Table with one row per view image: split, sample, camera, image and mask (paths relative to ``root``;
        the mask is empty where there is none), label (1 is anomalous), anomaly_class, flip, sha256 (of the
        image's bytes), mask_sha256 (of the mask's, empty without one), width, height (px). Ordered by split
        (train first), then sample in the data set's order, then camera in the order of ``dataset.cameras``.

    Raises:
        InputError: all problems of the class, one line each, the first 200.
    """
    findings = Findings()
    flips = _flips(dataset, class_name, findings)
    views = layout(dataset.layout).read_views(dataset, root, class_name, findings)
    if not findings.problems:
        findings.problems += [
            f"{root}: class {class_name}: expected pictures for {split}, found none; add them"
            for split in _SPLITS
            if all(view.split != split for view in views)
        ]
    views = _labelled(_ordered_views(views, dataset.cameras, findings), dataset, findings)
    inspected = _inspect_files(root, views, processes, findings)
    findings.raise_problems()
    findings.warnings += _of_two_kinds(views, inspected)
    for warning in findings.warnings[:PROBLEMS_SHOWN]:
        logger.warning(warning)
    rows = [
        asdict(view) | asdict(files) | {"flip": flips[view.camera]}
        for view, files in zip(views, inspected, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS))


def write_samples(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a samples table as CSV; equal tables give equal bytes."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, columns=list(SAMPLE_COLUMNS), index=False, lineterminator="\n", encoding="utf-8")


def load_samples(path: str | Path) -> pd.DataFrame:
    """Load a samples table that :func:`write_samples` wrote.

    Raises:
        InputError: the file is missing, is not such a table, or its samples don't all have the same cameras.
    """
    try:
        frame = pd.read_csv(
            path,
            dtype=dict.fromkeys(_TEXT_COLUMNS, str) | dict.fromkeys(_NUMBER_COLUMNS, "int64"),
            keep_default_na=False,
            encoding="utf-8",
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected a samples table, cannot read it ({reason}); {_ADVICE}") from None
    if list(frame.columns) != list(SAMPLE_COLUMNS):
        raise InputError(
            f"{path}: expected the columns {', '.join(SAMPLE_COLUMNS)}, found {', '.join(frame.columns)}; {_ADVICE}"
        )
    cameras = frame["camera"].drop_duplicates().tolist()
    views = frame.groupby(["split", "sample"], sort=False)["camera"].agg(list)
    if len(frame) == 0 or any(found != cameras for found in views) or set(frame["split"]) != set(_SPLITS):
        raise InputError(
            f"{path}: expected train and test samples that all have the views {', '.join(cameras)} in this "
            f"order, found others; {_ADVICE}"
        )
    return frame


def _flips(dataset: Dataset, class_name: str, findings: Findings) -> dict[str, int]:
    """0 or 1 per camera; problems go to the findings, so that they are reported with the others."""
    if dataset.flips is not None:
        try:
            return read_flips(dataset.flips, class_name, dataset.cameras)
        except InputError as error:
            findings.problems += error.problems
    return dict.fromkeys(dataset.cameras, 0)


def _ordered_views(views: list[View], cameras: list[str], findings: Findings) -> list[View]:
    """Group the views to samples and sort them; the first of two records for one camera stays."""
    samples: dict[tuple[str, str], dict[str, View]] = {}
    # Stable: within a split, the samples stay in the data set's order.
    for view in sorted(views, key=lambda view: _SPLITS.index(view.split)):
        sample = samples.setdefault((view.split, view.sample), {})
        if view.camera in sample:
            findings.problems.append(
                f"{view.where}: sample {view.sample}: second record for camera {view.camera}, "
                f"the first is {sample[view.camera].place}; delete one"
            )
            continue
        sample[view.camera] = view
    ordered = []
    left_out = Counter(view.camera for view in views if view.camera not in cameras)
    if left_out:
        found = ", ".join(f"{count} records of {camera}" for camera, count in sorted(left_out.items()))
        findings.warnings.append(f"{views[0].source}: {found} are left out: not in dataset.cameras")
    for (split, name), sample in samples.items():
        missing = [camera for camera in cameras if camera not in sample]
        if missing:
            source = next(iter(sample.values())).source
            findings.problems.append(
                f"{source}: {split}: sample {name}: expected the cameras {', '.join(cameras)}, "
                f"{', '.join(missing)} missing; add the records or change dataset.cameras"
            )
        ordered += [sample[camera] for camera in cameras if camera in sample]
    trained = {view.image for view in ordered if view.split == "train"}
    twice = {view.image: view.source for view in ordered if view.split == "test" and view.image in trained}
    findings.warnings += [f"{source}: {image} is in both train and test" for image, source in sorted(twice.items())]
    return ordered


def _labelled(views: list[View], dataset: Dataset, findings: Findings) -> list[View]:
    """The views with the labels of those that are anomalous without a mask decided."""
    labelled = []
    for view in views:
        unmasked = view.label == 1 and not view.mask
        if unmasked and dataset.unmasked_views == "refuse":
            findings.problems.append(
                f"{view.where}: anomaly_class {view.anomaly_class} without a mask; restore the mask, call the view "
                "normal if it does not show the defect, or set dataset.unmasked_views"
            )
        labelled.append(replace(view, label=0) if unmasked and dataset.unmasked_views == "normal" else view)
    return labelled


@dataclass(frozen=True)
class _Inspected:
    """What is found out about a view by decoding its files."""

    sha256: str
    mask_sha256: str
    width: int
    height: int
    grey: bool = False


def _inspect_files(root: Path, views: list[View], processes: int, findings: Findings) -> list[_Inspected]:
    """Decode every image and mask."""
    progress = Progress(logger, "checked", len(views), "images")
    tasks: Iterable[tuple[Path, str, str]] = ((root, view.image, view.mask) for view in views)
    results = []
    for view, (result, found) in zip(views, ordered_map(_inspect, tasks, processes, ahead=8), strict=True):
        findings.problems += [f"{view.where}: {problem}" for problem in found.problems]
        findings.warnings += [f"{view.where}: {warning}" for warning in found.warnings]
        results.append(result)
        progress.step()
    return results


def _of_two_kinds(views: list[View], inspected: list[_Inspected]) -> list[str]:
    """A warning where some pictures of a class are grey and others coloured; networks see all of them in colour."""
    grey = [view for view, files in zip(views, inspected, strict=True) if files.grey]
    coloured = [view for view, files in zip(views, inspected, strict=True) if not files.grey]
    if not grey or not coloured:
        return []
    example = min(grey, coloured, key=len)[0]
    return [
        f"{example.source}: expected pictures that are all grey or all coloured, found {len(grey)} grey and "
        f"{len(coloured)} coloured ones, such as {example.place}; grey ones are converted to RGB"
    ]


def _inspect(task: tuple[Path, str, str]) -> tuple[_Inspected, Findings]:
    """Checksums and size of one view, and the problems and warnings of its files."""
    root, image, mask = task
    found = Findings()
    checksums = {"": "", image: "", mask: ""}
    sizes, grey = [], False
    for path in filter(None, (image, mask)):
        try:
            content = (root / path).read_bytes()
            picture = decode_picture(root / path, content)
        except FileNotFoundError:
            found.problems.append(f"{root / path}: no such file; restore it")
            continue
        except OSError as error:
            found.problems.append(f"{root / path}: cannot be read ({error.strerror}); mend it")
            continue
        except InputError as error:
            found.problems += error.problems
            continue
        checksums[path] = hashlib.sha256(content).hexdigest()
        sizes.append(picture.size)
        grey |= path == image and picture.mode in _GREY
        if picture.getexif().get(_ORIENTATION, 1) != 1:
            found.warnings.append(f"{root / path}: its EXIF orientation is ignored")
        if path == mask and np.asarray(picture.convert("RGB")).max() <= 127:
            found.warnings.append(f"{root / path}: the mask of an anomalous view has no pixel above 127")
    if len(sizes) == 2 and sizes[0] != sizes[1]:
        found.problems.append(
            f"{root / mask}: expected the size of the image, {sizes[0][0]} x {sizes[0][1]} px, "
            f"found {sizes[1][0]} x {sizes[1][1]}; restore the mask"
        )
    width, height = sizes[0] if sizes else (0, 0)
    return _Inspected(checksums[image], checksums[mask], width, height, grey), found
