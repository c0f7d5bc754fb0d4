"""Where Real-IAD keeps what it says about its pictures: a JSON per class."""

from __future__ import annotations

from pathlib import Path

from multiflow.config import Dataset
from multiflow.errors import InputError

__all__ = ["find_annotations", "missing_data"]


def find_annotations(dataset: Dataset, root: Path, class_name: str) -> Path:
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
            return path
    available = sorted({path.stem for candidate in folders for path in candidate.glob("*.json")})
    if not available:
        raise InputError(f"{folder}: expected a folder with a JSON per class, found none; set dataset.annotations")
    raise InputError(f"{folder}: no class {class_name}; available: {', '.join(available)}; change dataset.classes")


def missing_data(dataset: Dataset) -> list[str]:
    """What is missing of a data set, in one line per problem; a folder that is missing is one for all classes."""
    root = Path(dataset.root or "")
    problems: dict[str, None] = {}
    for name in dataset.classes:
        try:
            find_annotations(dataset, root, name)
        except InputError as error:
            problems |= dict.fromkeys(error.problems)
    images = root / dataset.image_folder
    if root.is_dir() and not images.is_dir():
        problems[f"{images}: expected the images, found no folder; set dataset.image_folder"] = None
    return list(problems)
