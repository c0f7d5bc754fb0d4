"""Data sets of one view: a folder for each split and type of defect, and masks in folders of their own.

``<class>/train/<normal>`` holds the training pictures, ``<class>/test/<type>`` those to test, of which ``<normal>`` are
normal, and ``<class>/ground_truth/<type>`` the masks of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multiflow.base.errors import InputError, permitted
from multiflow.datasets.contract import Findings, View
from multiflow.datasets.file_names import PICTURES, similar_name, visible
from multiflow.datasets.settings import Dataset

__all__ = ["CAMERAS", "DefectFolders"]

CAMERAS = ("C1",)
"""The one view of a sample."""

_MASKS = "ground_truth"
_TOP = ("train", "test", _MASKS)


@dataclass(frozen=True)
class DefectFolders:
    """A layout of this kind; its methods are the functions of :class:`~multiflow.datasets.contract.Layout`.

    Attributes:
        normal: name of the folders of normal pictures.
        mask_suffixes: what a mask's name may have behind that of its picture; their file formats may differ.
    """

    normal: str
    mask_suffixes: tuple[str, ...]

    def annotation_files(self, dataset: Dataset, root: Path, class_name: str) -> list[Path]:
        """All folders of a class: a picture that is added or removed changes one of them."""
        source = self._class_folder(root, class_name)
        tops = [source / name for name in _TOP if (source / name).is_dir()]
        return [path for top in tops for path in (top, *_folders(top))]

    def missing_data(self, dataset: Dataset) -> list[str]:
        """What is missing of a data set, in one line per problem; a root that is missing is one for all classes."""
        problems: dict[str, None] = {}
        for name in dataset.classes:
            try:
                self._class_folder(Path(dataset.root or ""), name)
            except InputError as error:
                problems |= dict.fromkeys(error.problems)
        return list(problems)

    def count_images(self, dataset: Dataset, root: Path, class_name: str) -> tuple[int, int]:
        """Pictures for training and test of a class."""
        source = self._class_folder(root, class_name)
        test = sum(len(_pictures(folder)) for folder in _folders(source / "test"))
        return len(_pictures(source / "train" / self.normal)), test

    def read_views(self, dataset: Dataset, root: Path, class_name: str, findings: Findings) -> list[View]:
        """All pictures of a class, by folder and name."""
        source = self._class_folder(root, class_name)
        if renamed := self._otherwise_written(source):
            findings.problems += renamed
            return []
        if others := [folder.name for folder in _folders(source / "train") if folder.name != self.normal]:
            findings.problems.append(
                f"{source}: train: expected the folder {self.normal} alone, found {', '.join(others)}; move it away"
            )
        masks = {folder.name: _masks(folder, source, findings) for folder in _folders(source / _MASKS)}
        _report_unread(source, findings)
        if masks.pop(self.normal, None):
            findings.warnings.append(f"{source}: {_MASKS}/{self.normal}: masks of normal pictures are ignored")
        views: list[View] = []
        for folder in (source / "train" / self.normal, *_folders(source / "test")):
            views += self._read_folder(root, source, folder, masks.get(folder.name, {}), findings)
        findings.problems += [
            f"{source}: {mask.relative_to(source)}: expected its picture in test/{name}, found none; restore it or "
            "delete the mask"
            for name, unused in masks.items()
            for mask in unused.values()
        ]
        return views

    def _otherwise_written(self, source: Path) -> list[str]:
        """Problems of folders whose names differ from those that are read in capitals alone."""
        types = [folder.name for folder in _folders(source / "test") if folder.name != self.normal]
        test, masks = source / "test", source / _MASKS
        read = [test, test / self.normal, masks, *(masks / name for name in types)]
        return [
            f"{source}: expected the folder {folder.relative_to(source)}, found {near}; rename it"
            for folder in read
            if not folder.is_dir() and (near := similar_name(folder))
        ]

    def _read_folder(
        self, root: Path, source: Path, folder: Path, masks: dict[str, Path], findings: Findings
    ) -> Iterator[View]:
        """The pictures of a folder; their masks are taken out of ``masks``."""
        pictures = _pictures(folder)
        if not pictures:
            findings.problems.append(
                f"{source}: {folder.relative_to(source)}: expected pictures ({', '.join(sorted(PICTURES))}), found "
                "none; add them or delete the folder"
            )
        for picture in pictures:
            names = [picture.stem + suffix for suffix in self.mask_suffixes]
            mask = next((masks.pop(name) for name in names if name in masks), None)
            yield View(
                source=source,
                place=str(picture.relative_to(source)),
                split=folder.parent.name,
                sample=f"{folder.name}/{picture.stem}",
                camera=CAMERAS[0],
                image=str(picture.relative_to(root)),
                mask="" if mask is None else str(mask.relative_to(root)),
                label=int(folder.name != self.normal),
                anomaly_class=folder.name,
            )

    @permitted()
    def _class_folder(self, root: Path, class_name: str) -> Path:
        """The folder of a class.

        Raises:
            InputError: the data set or the class is not there, or lies in another layout.
        """
        if not root.is_dir():
            raise InputError(f"{root}: expected the folder of the data set, found none; set dataset.root")
        source = root / class_name
        if not source.is_dir():
            available = [folder.name for folder in _folders(root) if (folder / "train").is_dir()]
            raise InputError(
                f"{root}: no class {class_name}; available: {', '.join(available) or 'none'}; change dataset.classes "
                "or dataset.root"
            )
        if not (source / "train" / self.normal).is_dir():
            top = source / "train"
            wrong = top / self.normal if top.is_dir() else top
            if near := similar_name(wrong):
                raise InputError(f"{source}: expected the folder {wrong.relative_to(source)}, found {near}; rename it")
            there = ", ".join(sorted(path.name for path in source.iterdir() if not path.name.startswith(".")))
            raise InputError(
                f"{source}: expected the folders train/{self.normal} and test/<type of defect>, found "
                f"{there or 'nothing'}; restore them, or set dataset.layout to that of this data set"
            )
        return source


def _masks(folder: Path, source: Path, findings: Findings) -> dict[str, Path]:
    """The masks in a folder, by their names without file format."""
    masks: dict[str, Path] = {}
    for mask in _pictures(folder):
        if (first := masks.setdefault(mask.stem, mask)) != mask:
            findings.problems.append(
                f"{source}: {mask.relative_to(source)}: expected one mask of this name, found {first.name}, too; "
                "delete one"
            )
    return masks


def _report_unread(source: Path, findings: Findings) -> None:
    """Files that are no pictures, and pictures where the layout has none, would be left out without a word."""
    tops = [source / top for top in _TOP]
    folders = [folder for top in tops for folder in _folders(top)]
    for path in (path for top in tops for path in visible(top) if not path.is_dir()):
        findings.doubt(f"{source}: {path.relative_to(source)}", "files where the layout has none are left out")
    for path in (path for folder in folders for path in visible(folder)):
        if path.is_dir():
            findings.doubt(f"{source}: {path.relative_to(source)}", "files where the layout has none are left out")
        elif path.suffix.lower() not in PICTURES:
            findings.doubt(f"{source}: {path.relative_to(source)}", "files that are no pictures are left out")


def _folders(parent: Path) -> list[Path]:
    """The folders in a folder by name; none where it is missing."""
    return [path for path in visible(parent) if path.is_dir()]


def _pictures(folder: Path) -> list[Path]:
    """The pictures in a folder by name; none where it is missing."""
    return [path for path in visible(folder) if path.suffix.lower() in PICTURES and path.is_file()]
