"""Photographs of one part: which camera took which, and whether they are such as the model was trained on."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiflow.base.errors import InputError
from multiflow.datasets.file_names import PICTURES, split_name, visible
from multiflow.datasets.images import Resampling, eight_bits, few_bits, image_array, picture_remarks
from multiflow.datasets.pictures import open_picture
from multiflow.methods.recipe import Recipe, ViewRecipe

__all__ = ["Assignment", "Photograph", "assign_cameras", "load_photographs"]

logger = logging.getLogger(__name__)

_UNREADABLE = {".arw", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".nef", ".raf", ".rw2"}
_ASPECT = 0.01  # another ratio of width to height would distort the part


@dataclass(frozen=True)
class Assignment:
    """Which file is which view.

    Args:
        files: a file per view, in the model's order.
        rule: how they were told apart, in words.
    """

    files: list[Path]
    rule: str


@dataclass(frozen=True)
class Photograph:
    """One view of the part.

    Args:
        path: its file.
        view: what the model expects of it.
        picture: decoded, as photographed.
    """

    path: Path
    view: ViewRecipe
    picture: Image.Image

    def array(self, size: int, resampling: Resampling = "bilinear") -> NDArray[np.uint8]:
        """What a network takes: RGB [size, size, 3], mirrored where the model's pictures of this camera are."""
        return image_array(self.picture, size, self.view.flip, resampling)


def assign_cameras(folder: Path, recipe: Recipe) -> Assignment:
    """Find the views of one part in a folder.

    Where every file name tells its camera, as ``<anything>_<camera>_<anything>.jpg`` or ``<camera>.jpg``, that
    decides. Where none does, the files are taken in the order of their names, 2 before 10. PNGs beside pictures of
    another format are ground truth, as in Real-IAD, and left out with a warning.

    Args:
        folder: the folder; what is no picture, by its suffix, is left out.
        recipe: that of the model.

    Raises:
        InputError: a view is missing or there twice, there are pictures of several parts, of another class or of
            other cameras, or only some names tell a camera.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder with the pictures of one part, found none")
    files = sorted((path for path in visible(folder) if path.suffix.lower() in PICTURES), key=_natural)
    unreadable = [path.name for path in visible(folder) if path.suffix.lower() in _UNREADABLE]
    if unreadable and len(files) < len(recipe.views):
        raise InputError(
            f"{folder}: expected pictures that can be read ({', '.join(sorted(PICTURES))}), found "
            f"{', '.join(unreadable)}; convert them to PNG or JPEG"
        )
    masks = [path for path in files if path.suffix.lower() == ".png"]
    if 0 < len(masks) < len(files):
        files = [path for path in files if path not in masks]
        logger.warning("%s: left out as ground truth: %s", folder, ", ".join(path.name for path in masks))
    names = {path: _name(path, recipe.cameras) for path in files}
    named = {path: name for path, name in names.items() if name is not None}
    wanted = f"expected a picture of each of {', '.join(recipe.cameras)}"
    if named and len(named) < len(files):
        silent = next(path for path in files if path not in named)
        raise InputError(
            f"{folder}: the name of {next(iter(named)).name} tells its camera, that of {silent.name} does not; "
            "rename it, or give all with --views in the order of the cameras"
        )
    if not named:
        check_count(files, recipe, str(folder))
        return Assignment(files, "assigned by the order of the file names")
    found: dict[str, list[Path]] = {}
    for path, (_, camera) in named.items():
        found.setdefault(camera, []).append(path)
    problems = [
        f"{folder}: {wanted}, found {len(paths)} of {camera} ({', '.join(path.name for path in paths)}); "
        "leave the pictures of one part there, or give them with --views"
        for camera, paths in found.items()
        if camera in recipe.cameras and len(paths) > 1
    ]
    if missing := [camera for camera in recipe.cameras if camera not in found]:
        problems.append(f"{folder}: {wanted}, found none of {', '.join(missing)}; add it, or give all with --views")
    if others := [camera for camera in found if camera not in recipe.cameras]:
        problems.append(
            f"{folder}: {wanted}, which the model was trained with, found {', '.join(others)} as well; "
            "take these pictures out, or give those of the part with --views"
        )
    samples = sorted({sample for sample, _ in named.values() if sample})
    if len(samples) > 1 and not problems:
        problems.append(f"{folder}: expected the pictures of one part, found those of {', '.join(samples)}")
    classes = sorted({match[1] for sample in samples if (match := re.match(r"(.+?)_+\d+_(?:OK|NG)(?:_|$)", sample))})
    if classes and classes != [recipe.class_name]:
        problems.append(
            f"{folder}: expected a part of the class {recipe.class_name}, which the model was trained on, found "
            f"{', '.join(classes)} in the file names; take that class's model, or rename the pictures"
        )
    if problems:
        raise InputError(problems)
    return Assignment([found[camera][0] for camera in recipe.cameras], "assigned by the cameras in the file names")


def check_count(files: Sequence[Path], recipe: Recipe, place: str) -> None:
    """Check that there is a file per camera.

    Raises:
        InputError: there are fewer or more, or one of them twice; the message begins with ``place``.
    """
    if len(files) != len(recipe.views):
        raise InputError(
            f"{place}: expected {len(recipe.views)} pictures, one of each of {', '.join(recipe.cameras)}, "
            f"found {len(files)}{': ' if files else ''}{', '.join(path.name for path in files)}; "
            "give them with --views in the order of the cameras"
        )
    if twice := [path for path in dict.fromkeys(files) if files.count(path) > 1]:
        raise InputError(f"{place}: expected a picture per camera, found {', '.join(map(str, twice))} more than once")


def load_photographs(assignment: Assignment, recipe: Recipe) -> list[Photograph]:
    """Decode the pictures of a part and compare them with those that the model was trained on.

    What the training would have taken as well, if not from this camera, is a warning: another size, grey values,
    CMYK, an EXIF orientation (it is ignored, as there).

    Raises:
        InputError: a picture is missing or damaged, or of another ratio of width to height; all of them together.
    """
    photographs, problems = [], []
    for path, view in zip(assignment.files, recipe.views, strict=True):
        try:
            decoded = open_picture(path)
            picture = eight_bits(decoded, path)
        except InputError as error:
            problems += error.problems
            continue
        if picture.size not in view.sizes:
            problem = _other_size(picture.size, view)
            if problem:
                problems.append(f"{path}: {problem}")
                continue
            logger.warning(
                "%s: %d x %d px, the training pictures of %s have %s; it is resized",
                path, *picture.size, view.camera, _listed(view.sizes),
            )  # fmt: skip
        if picture.mode in ("1", "L", "LA", "La"):
            logger.warning("%s: a grey picture; its three channels become equal, as in a training", path)
        if picture.mode == "CMYK":
            logger.warning("%s: a CMYK picture; it becomes RGB without a colour profile, as in a training", path)
        for remark in picture_remarks(decoded):
            logger.warning("%s: %s, as in a training", path, remark)
        if decoded.highest is not None and (doubt := few_bits(decoded.highest)):
            logger.warning("%s: %s", path, doubt)
        photographs.append(Photograph(path, view, picture))
    if problems:
        raise InputError(problems)
    return photographs


def _other_size(size: tuple[int, int], view: ViewRecipe) -> str:
    """What is wrong with a picture whose shape no training picture had; empty if only its resolution differs."""
    ratio = size[0] / size[1]
    if any(abs(ratio * height / width - 1) <= _ASPECT for width, height in view.sizes):
        return ""
    return (
        f"expected the shape of the training pictures of {view.camera}, {_listed(view.sizes)}, found "
        f"{size[0]} x {size[1]} px: the part would be distorted; crop the picture"
    )


def _listed(sizes: Sequence[tuple[int, int]]) -> str:
    shown = [f"{width} x {height}" for width, height in sizes[:3]]
    return " or ".join([*shown, "..."] if len(sizes) > 3 else shown) + " px"


def _name(path: Path, cameras: Sequence[str]) -> tuple[str, str] | None:
    """Sample (may be empty) and camera in a file's name."""
    return ("", path.stem) if path.stem in cameras else split_name(path.stem, cameras)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
