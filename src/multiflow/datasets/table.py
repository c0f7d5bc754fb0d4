"""The samples table: one row per view image of a class, whatever the data set's own format is.

The data set's layout says which pictures there are; everything else is checked here. Flips are a column, applied when
an image is decoded: no file of the data set is ever written.
"""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.processes import ordered_map
from multiflow.base.progress import Progress
from multiflow.base.text import writable
from multiflow.datasets import layout
from multiflow.datasets.class_doubts import doubt_class
from multiflow.datasets.contract import Findings, View
from multiflow.datasets.file_names import is_hidden, similar_name
from multiflow.datasets.flips import read_flips
from multiflow.datasets.images import eight_bits, few_bits, picture_remarks
from multiflow.datasets.masks import BORDER_COVERED, read_mask
from multiflow.datasets.pictures import Picture, open_picture, read_content
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
_GREY = {"1", "L", "LA", "La"}  # Pillow's modes


def read_samples(
    dataset: Dataset, root: Path, class_name: str, processes: int = 1, threshold: int = 127
) -> pd.DataFrame:
    """Read and check one class of a data set; every image and mask is decoded once.

    Args:
        dataset: the layout, where in it things are, the cameras and the table of flips.
        root: folder of the data set; it is only read.
        class_name: the class.
        processes: worker processes that decode the pictures; 0 decodes in this one.
        threshold: grey value above which a pixel of a mask is anomalous; only for warnings.

    Returns:
        Table with one row per view image: split, sample, camera, image and mask (paths relative to ``root``;
        the mask is empty where there is none), label (1 is anomalous), anomaly_class, flip, sha256 (of the
        image's bytes), mask_sha256 (of the mask's, empty without one), width, height (px). Ordered by split
        (train first), then sample in the data set's order, then camera in the order of ``dataset.cameras``. Its
        ``attrs["doubts"]`` count what there is to doubt about the class, by words that a footnote repeats.

    Raises:
        InputError: all problems of the class, one line each, the first 200.
    """
    findings = Findings()
    flips = _flips(dataset, class_name, findings)
    views = layout(dataset.layout).read_views(dataset, root, class_name, findings)
    views = [view for view in views if not _hidden(view.image)]
    if not findings.problems:
        findings.problems += [
            f"{root}: class {class_name}: expected pictures for {split}, found none; add them"
            for split in _SPLITS
            if all(view.split != split for view in views)
        ]
    views = _labelled(_ordered_views(views, dataset.cameras, findings), dataset, findings)
    views = _in_folders(root, views, findings)
    inspected = _inspect_files(root, views, processes, threshold, findings)
    findings.raise_problems()
    rows = [
        asdict(view) | asdict(files) | {"flip": flips[view.camera]}
        for view, files in zip(views, inspected, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS))
    doubt_class(frame, views[0].source, findings)
    findings.doubts["another warning"] = len(findings.warnings) - findings.doubts.total()
    for line in findings.warnings:
        # A job's log counts together what is said in the same words.
        what = next((words for words in findings.doubts if line.endswith(words)), "")
        logger.warning("%s" + what.replace("%", "%%"), line.removesuffix(what))
    frame.attrs["doubts"] = dict(+findings.doubts)
    return frame


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


def _hidden(path: str) -> bool:
    """Whether a picture, or the folder that it lies in, is nobody's."""
    return any(map(is_hidden, PurePosixPath(path).parts[-2:]))


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
        findings.doubt(f"{views[0].source}: {found}", "cameras that are not in dataset.cameras are left out")
    for (split, name), sample in samples.items():
        missing = [camera for camera in cameras if camera not in sample]
        if missing:
            source = next(iter(sample.values())).source
            findings.problems.append(
                f"{source}: {split}: sample {name}: expected the cameras {', '.join(cameras)}, "
                f"{', '.join(missing)} missing; add the records or change dataset.cameras"
            )
        ordered += [sample[camera] for camera in cameras if camera in sample]
    for view in ordered:
        for name in (view.sample, view.image, view.mask, view.anomaly_class):
            if not writable(name):
                findings.problems.append(f"{view.where}: expected names in UTF-8, found {name}; rename it")
                break
            if any(unicodedata.category(letter) == "Cc" for letter in name):
                findings.problems.append(f"{view.where}: expected names of one line, found {name!r}; rename it")
                break
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


def _in_folders(root: Path, views: list[View], findings: Findings) -> list[View]:
    """The views whose folders are there; without its folder every picture would be a problem of its own."""
    folders = {str(PurePosixPath(path).parent): None for view in views for path in (view.image, view.mask) if path}
    missing = {folder: top for folder in folders if (top := _missing_folder(root, folder)) is not None}
    lost: dict[str, list[View]] = {}
    there: list[View] = []
    for view in views:
        tops = [missing.get(str(PurePosixPath(path).parent)) for path in (view.image, view.mask)]
        top = tops[0] or tops[1]
        (there if top is None else lost.setdefault(top, [])).append(view)
    for top, absent in lost.items():
        near = similar_name(root / top)
        findings.problems.append(
            f"{root / top}: expected a folder with files of {len(absent)} views, such as {absent[0].where}, found "
            f"none; {f'there is {near}: rename one' if near else 'unpack it there, or mend the paths'}"
        )
    return there


def _missing_folder(root: Path, folder: str) -> str | None:
    """The uppermost of a folder and those that it lies in that is not there; None where it is."""
    if os.path.isdir(root / folder):
        return None
    parents = [str(parent) for parent in PurePosixPath(folder).parents]
    return next((path for path in [*reversed(parents), folder] if not os.path.isdir(root / path)), None)


@dataclass(frozen=True)
class _Inspected:
    """What is found out about a view by decoding its files."""

    sha256: str = ""
    mask_sha256: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class _Values:
    """Values of a view's files that say something only beside those of its class, or beside a setting.

    Attributes:
        grey: whether the picture has no colours.
        highest: of a picture of 16-bit values whose range is unknown; else None.
        mask: the grey values of the mask: the lowest, the lowest at its border, and the highest; None without one.
    """

    grey: bool = False
    highest: int | None = None
    mask: tuple[int, int, int] | None = None


def _inspect_files(
    root: Path, views: list[View], processes: int, threshold: int, findings: Findings
) -> list[_Inspected]:
    """Decode every image and mask."""
    progress = Progress(logger, "checked", len(views), "images")
    tasks: Iterable[tuple[Path, str, str]] = ((root, view.image, view.mask) for view in views)
    results: list[_Inspected] = []
    highest: dict[tuple[str, str], int] = {}
    grey: list[View] = []
    coloured: list[View] = []
    for view, (result, values, found) in zip(views, ordered_map(_inspect, tasks, processes, ahead=8), strict=True):
        findings.problems += [f"{view.where}: {problem}" for problem in found.problems]
        findings.warnings += [f"{view.where}: {warning}" for warning in found.warnings]
        findings.doubts += found.doubts
        if values.mask is not None:
            _doubt_mask(f"{view.where}: {root / view.mask}", *values.mask, threshold)
        if values.highest is not None:
            place = (view.split, view.camera)
            highest[place] = max(highest.get(place, 0), values.highest)
        (grey if values.grey else coloured).append(view)
        results.append(result)
        progress.step()
    # One camera may have another range than the others, and pictures to test than those that are trained on.
    dark = {place: doubt for place, value in highest.items() if (doubt := few_bits(value))}
    for doubt in dict.fromkeys(dark.values()):
        places = ", ".join(f"{camera} in {split}" for (split, camera), own in dark.items() if own == doubt)
        findings.doubt(f"{views[0].source}: {places}", doubt)
    if grey and coloured:
        example = min(grey, coloured, key=len)[0]
        findings.doubt(
            f"{example.source}: {len(grey)} grey and {len(coloured)} coloured ones, such as {example.place}",
            "grey pictures among coloured ones are converted to RGB",
        )
    return results


def _doubt_mask(where: str, lowest: int, border: int, highest: int, threshold: int) -> None:
    """Warn of a mask that says nothing at the run's threshold.

    That is no finding of the class, since an experiment may have another threshold: its metrics say it for themselves.
    """
    if highest <= threshold:
        lower = "lower evaluation.ground_truth_threshold, or " if highest > 0 else ""
        logger.warning(
            f"%s: the mask of an anomalous view has no pixel above grey value {threshold}, its highest is %d; {lower}"
            "mend the mask",
            where, highest,
        )  # fmt: skip
    elif lowest > threshold:
        logger.warning("%s: the mask of an anomalous view covers all of it", where)
    elif border > threshold:
        logger.warning(f"%s: the mask of an anomalous view {BORDER_COVERED}", where)


def _inspect(task: tuple[Path, str, str]) -> tuple[_Inspected, _Values, Findings]:
    """Checksums and size of one view, its values, and the problems and warnings of its files."""
    root, image, mask = task
    found, result, values, picture = Findings(), _Inspected(), _Values(), None
    try:
        content = read_content(root / image)
        picture = open_picture(root / image, content)
        width, height = eight_bits(picture, root / image).size
        result = _Inspected(hashlib.sha256(content).hexdigest(), "", width, height)
        values = _Values(picture.image.mode in _GREY, picture.highest)
        for remark in picture_remarks(picture):
            found.doubt(str(root / image), remark)
    except InputError as error:
        found.problems += error.problems
    if not mask:
        return result, values, found
    try:
        content = read_content(root / mask)
        drawn = open_picture(root / mask, content)
        read = read_mask(drawn, root / mask)
        result = replace(result, mask_sha256=hashlib.sha256(content).hexdigest())
        if result.mask_sha256 == result.sha256:
            found.problems.append(f"{root / mask}: expected a mask, found the picture itself; correct the mask's path")
        border = min(read.grey[[0, -1]].min(), read.grey[:, [0, -1]].min())
        values = replace(values, mask=(int(read.grey.min()), int(border), int(read.grey.max())))
        for remark in read.remarks:
            found.doubt(str(root / mask), remark)
        if picture is not None and drawn.image.size != picture.image.size:
            found.problems.append(f"{root / mask}: {_other_size(picture, drawn)}")
    except InputError as error:
        found.problems += error.problems
    return result, values, found


def _other_size(picture: Picture, mask: Picture) -> str:
    """What is wrong with a mask that has another size than its picture."""
    (width, height), found = picture.image.size, mask.image.size
    wanted = f"expected the size of the image, {width} x {height} px, found {found[0]} x {found[1]}"
    if found == (height, width) and (picture.turned or mask.turned):
        return f"{wanted}: pictures are taken as they are stored, not as EXIF turns them; store both the same way"
    return f"{wanted}; restore the mask"
