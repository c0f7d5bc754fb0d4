"""Real-IAD's layout: a JSON per class says which pictures there are and what they show.

Records belong to one sample if the part of their file name before ``_C<n>_`` agrees, the defect code included, within a
split; where that doesn't tell samples apart, as in Real-IAD Variety, their folder must agree, too. A view is normal if
its anomaly class is the normal one; the folder of the image says nothing (Real-IAD's views under ``NG/`` that don't
show the defect are normal).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from multiflow.base.errors import InputError, permitted
from multiflow.base.text import read_json
from multiflow.datasets.contract import Findings, View
from multiflow.datasets.file_names import split_name, visible
from multiflow.datasets.settings import Dataset

__all__ = ["annotation_files", "count_images", "missing_data", "read_views", "subset"]

_SPLITS = ("train", "test")
_RECORD_KEYS = ("category", "anomaly_class", "image_path", "mask_path")


@permitted()
def annotation_files(dataset: Dataset, root: Path, class_name: str) -> list[Path]:
    """The class's JSON file; some archives nest the folder in itself.

    Raises:
        InputError: the data set, its annotations or the class is not there.
    """
    if not root.is_dir():
        raise InputError(f"{root}: expected the folder of the data set, found none; set dataset.root")
    folder = root / dataset.annotations
    folders = [folder, folder / Path(dataset.annotations).name]
    for candidate in folders:
        if (path := candidate / f"{class_name}.json").is_file():
            return [path]
    available = sorted({path.stem for candidate in folders for path in visible(candidate) if path.suffix == ".json"})
    if not available:
        raise InputError(f"{folder}: expected a folder with a JSON per class, found none; set dataset.annotations")
    raise InputError(f"{folder}: no class {class_name}; available: {', '.join(available)}; change dataset.classes")


def subset(dataset: Dataset) -> str:
    """The name of the folder of the annotations."""
    return dataset.annotations


def missing_data(dataset: Dataset) -> list[str]:
    """What is missing of a data set, in one line per problem; a folder that is missing is one for all classes."""
    root = Path(dataset.root or "")
    problems: dict[str, None] = {}
    for name in dataset.classes:
        try:
            annotation_files(dataset, root, name)
        except InputError as error:
            problems |= dict.fromkeys(error.problems)
    try:
        problems |= dict.fromkeys(_missing_images(dataset, root))
    except InputError as error:
        problems |= dict.fromkeys(error.problems)
    return list(problems)


def count_images(dataset: Dataset, root: Path, class_name: str) -> tuple[int, int]:
    """Records for training and test of a class.

    Raises:
        InputError: the class is not there, or its JSON is damaged.
    """
    (source,) = annotation_files(dataset, root, class_name)
    findings = Findings()
    content = _load(source, findings)
    findings.raise_problems()
    train, test = (_records(source, split, content or {}, findings) for split in _SPLITS)
    findings.raise_problems()
    return len(train), len(test)


def read_views(dataset: Dataset, root: Path, class_name: str, findings: Findings) -> list[View]:
    """All well-formed records of a class's JSON file; what is wrong with others goes to the findings.

    Raises:
        InputError: the data set, its annotations or the class is not there.
    """
    (source,) = annotation_files(dataset, root, class_name)
    content = _load(source, findings)
    if content is None:
        return []
    meta = content.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    missing = [key for key in ("prefix", "normal_class") if not isinstance(meta.get(key), str)]
    for key in missing:
        findings.problems.append(f"{source}: meta: expected a text under {key}, found {meta.get(key)!r}; add it")
    if not missing and _leads_out(_joined(dataset, meta["prefix"])):
        findings.problems.append(
            f"{source}: meta: prefix: expected a path below the data set's root, found {meta['prefix']}; mend it"
        )
        return []
    views = []
    for split in _SPLITS:
        for index, record in enumerate(_records(source, split, content, findings)):
            if missing:
                break
            view = _read_view(source, f"{split}[{index}]", split, record, meta, dataset, findings)
            if view is not None:
                views.append(view)
    if views and all(view.label for view in views):
        found = ", ".join(dict.fromkeys(view.anomaly_class for view in views))
        findings.problems.append(
            f"{source}: meta: expected the anomaly_class of normal views under normal_class, found "
            f"{meta['normal_class']}, where records have {found}; correct it"
        )
        return []
    absent = _missing_images(dataset, root)
    findings.problems += absent
    # Without their folder every picture would be a problem of its own.
    return [] if absent else _told_apart(views, dataset, meta)


def _told_apart(views: list[View], dataset: Dataset, meta: dict[str, Any]) -> list[View]:
    """Name samples by their folders, too, where pictures of one name lie in several, as in Real-IAD Variety."""
    folders: dict[tuple[str, str, str], set[str]] = {}
    for view in views:
        folders.setdefault((view.split, view.sample, view.camera), set()).add(posixpath.dirname(view.image))
    if all(len(found) == 1 for found in folders.values()):
        return views
    top = posixpath.normpath(posixpath.join(dataset.image_folder, meta["prefix"]))
    return [
        replace(view, sample=f"{posixpath.relpath(posixpath.dirname(view.image), top)}/{view.sample}") for view in views
    ]


@permitted()
def _missing_images(dataset: Dataset, root: Path) -> list[str]:
    if not root.is_dir():
        return []
    images = root / dataset.image_folder
    return [] if images.is_dir() else [f"{images}: expected the images, found no folder; set dataset.image_folder"]


def _load(source: Path, findings: Findings) -> dict[str, Any] | None:
    """The content of a JSON file; None and a problem if it is damaged."""
    try:
        content = read_json(source, "annotations")
    except InputError as error:
        findings.problems += error.problems
        return None
    if not isinstance(content, dict):
        findings.problems.append(
            f"{source}: expected an object with meta, train and test, found a {type(content).__name__}"
        )
        return None
    return content


def _records(source: Path, split: str, content: dict[str, Any], findings: Findings) -> list[Any]:
    records = content.get(split)
    if isinstance(records, list) and records:
        return records
    findings.problems.append(f"{source}: {split}: expected a list of records, found none; add the {split} set")
    return []


def _joined(dataset: Dataset, *parts: str) -> str:
    """A path relative to the data set's root; Windows writes backslashes."""
    below = (part.replace("\\", "/") for part in parts)
    return posixpath.normpath(posixpath.join(dataset.image_folder, *below))


def _leads_out(path: str) -> bool:
    """Whether a path does not lie below the data set's root."""
    return posixpath.isabs(path) or path.split("/")[0] == ".." or re.search(r"(^|/)[A-Za-z]:(/|$)", path) is not None


def _read_view(
    source: Path, place: str, split: str, record: Any, meta: dict[str, Any], dataset: Dataset, findings: Findings
) -> View | None:
    """One record; None and a problem if it is malformed."""

    def report(problem: str) -> None:
        findings.problems.append(f"{source}: {place}: {problem}")

    if not isinstance(record, dict):
        report(f"expected an object, found {type(record).__name__}")
        return None
    missing = [key for key in _RECORD_KEYS if key not in record]
    if missing:
        report(f"expected the keys {', '.join(_RECORD_KEYS)}, {', '.join(missing)} missing; add them")
        return None
    for key in _RECORD_KEYS:
        value = record[key]
        if not (isinstance(value, str) and value) and not (key == "mask_path" and value is None):
            report(f"{key}: expected a text, found {value!r}")
            return None
    paths = {}
    for key in ("image_path", "mask_path"):
        value = record[key]
        path = _joined(dataset, meta["prefix"], value) if value else ""
        if _leads_out(path):
            report(f"{key}: expected a path below the data set's root, found {value}; mend it")
            return None
        paths[key] = path
    name = posixpath.basename(paths["image_path"])
    parts = split_name(posixpath.splitext(name)[0], dataset.cameras)
    if parts is None:
        report(
            "image_path: expected a file name <sample>_<camera>_<time> with a camera such as "
            f"{dataset.cameras[0]}, found {name}"
        )
        return None
    if record["category"] != source.stem:
        report(f"category: expected {source.stem}, found {record['category']}; move the record to its class")
    anomaly_class = record["anomaly_class"]
    normal = anomaly_class == meta["normal_class"]
    if normal and paths["mask_path"]:
        findings.doubt(f"{source}: {place}", "the mask of a normal view is ignored")
    return View(
        source=source,
        place=place,
        split=split,
        sample=parts[0],
        camera=parts[1],
        image=paths["image_path"],
        mask="" if normal else paths["mask_path"],
        label=0 if normal else 1,
        anomaly_class=anomaly_class,
    )
