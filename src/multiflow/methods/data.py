"""The samples of a class as a method sees them, read from the stations' files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from multiflow.base.errors import InputError
from multiflow.base.processes import ordered_map
from multiflow.base.tensors import read_provenance
from multiflow.datasets import read_digests
from multiflow.datasets.images import Resampling, load_image
from multiflow.datasets.table import load_samples
from multiflow.features.file import FeatureFile
from multiflow.features.settings import FeatureSet
from multiflow.foreground.file import ForegroundFile
from multiflow.foreground.grid import sample_foreground
from multiflow.foreground.settings import Foreground, Segmentation
from multiflow.methods.contract import FeatureShape, Needs
from multiflow.methods.recipe import FeatureRecipe, ForegroundRecipe, Recipe, ViewRecipe

if TYPE_CHECKING:
    from multiflow.methods.experiment import Experiment

__all__ = ["ClassFiles", "StoredSample", "StoredSamples"]


@dataclass(frozen=True)
class ClassFiles:
    """The files of one class that a method reads.

    Args:
        samples: the samples table.
        digests: checksums of what the samples table says of the pictures.
        root: folder of the data set.
        needs: what the method reads.
        features: the features file of each set that it needs.
        segmentation: the foreground file; None where everything is foreground.
        foreground: what is made of the segmentation.
        weights: the file of each pretrained network that the method runs itself.
        workers: processes that decode pictures.
    """

    samples: Path
    digests: Path
    root: Path
    needs: Needs
    features: Mapping[str, Path]
    segmentation: Path | None
    foreground: Foreground
    weights: Mapping[str, Path] = field(default_factory=dict)
    workers: int = 0

    @classmethod
    def of_job(cls, experiment: Experiment, root: Path, files: Any) -> ClassFiles:
        """The files that Snakemake gives a job of an experiment.

        Args:
            experiment: what the job runs with.
            root: folder of the data set.
            files: the job's input, by the names of the rules ``train_model`` and ``score_samples``.
        """
        segmentation, needs = files.get("foreground"), experiment.needs
        networks = [network.backbone for network in needs.weights]
        return cls(
            samples=Path(files.samples),
            digests=Path(files.digests),
            root=root,
            needs=needs,
            features=dict(zip(needs.features, map(Path, files.get("features") or ()), strict=True)),
            segmentation=Path(segmentation[0]) if segmentation else None,
            foreground=experiment.foreground,
            weights=dict(zip(networks, map(Path, files.get("weights") or ()), strict=True)),
            workers=experiment.compute.workers,
        )

    @property
    def class_name(self) -> str:
        """Name of the class."""
        return self.samples.stem

    def split(self, name: str) -> StoredSamples:
        """The samples of a split, ``train`` or ``test``.

        Raises:
            InputError: a file cannot be read, or holds other samples than the table.
        """
        return StoredSamples(self, name)

    def pictures_sha256(self) -> str:
        """Checksum of the class's pictures, their order and their flips."""
        return read_digests(self.digests)["pictures"]

    def weights_sha256(self) -> dict[str, str]:
        """Checksums of all networks' weights, by the name of the set, the method of segmentation or the network."""
        checksums = {name: str(FeatureFile(path).attribute("weights_sha256")) for name, path in self.features.items()}
        if self.segmentation is not None:
            stored = ForegroundFile(self.segmentation)
            if "weights_sha256" in stored.file.attrs:
                checksums[self.foreground.method] = stored.attribute("weights_sha256")
        return checksums | self._own_weights_sha256()

    def fingerprint(self) -> str:
        """Checksum of all that the method reads."""
        contents: dict[str, Any] = {
            name: FeatureFile(path).attribute("content_sha256") for name, path in self.features.items()
        }
        if self.segmentation is not None:
            contents["/segmentation"] = ForegroundFile(self.segmentation).attribute("content_sha256")
        if self.needs.images is not None:
            contents["/images"] = [self.needs.images, self.needs.resampling, self.pictures_sha256()]
        if self.weights:
            contents["/weights"] = self._own_weights_sha256()
        return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()

    def _own_weights_sha256(self) -> dict[str, str]:
        return {network: read_provenance(path)["tensors_sha256"] for network, path in self.weights.items()}

    def recipe(self, threads: int) -> Recipe:
        """How new pictures become what the method sees.

        Args:
            threads: CPU threads of the method.
        """
        table = load_samples(self.samples)
        train = table[table["split"] == "train"]
        views = [
            ViewRecipe(
                camera=str(camera),
                flip=bool(rows["flip"].iloc[0]),
                sizes=sorted(set(zip(rows["width"].tolist(), rows["height"].tolist(), strict=True))),
            )
            for camera, rows in train.groupby("camera", sort=False)
        ]
        features = {}
        for name, path in self.features.items():
            file = FeatureFile(path)
            features[name] = FeatureRecipe(
                settings=FeatureSet(**_known(FeatureSet, file)),
                weights_sha256=file.attribute("weights_sha256"),
                threads=file.attribute("threads"),
            )
        foreground = None
        if self.segmentation is not None:
            stored = ForegroundFile(self.segmentation)
            foreground = ForegroundRecipe(
                settings=self.foreground,
                segmentation=Segmentation(**_known(Segmentation, stored)),
                weights_sha256=stored.attribute("weights_sha256") if "weights_sha256" in stored.file.attrs else None,
                threads=stored.attribute("threads"),
            )
        return Recipe(
            class_name=self.class_name,
            views=views,
            images=self.needs.images,
            resampling=self.needs.resampling,
            features=features,
            weights=self._own_weights_sha256(),
            foreground=foreground,
            threads=threads,
        )


def _known(model: type[FeatureSet] | type[Segmentation], file: FeatureFile | ForegroundFile) -> dict[str, Any]:
    """Those of a file's attributes that are settings, but for where its weights came from."""
    names = set(model.model_fields) - {"weights", "weights_sha256"}
    return {name: file.attribute(name) for name in file.file.attrs if name in names}


@dataclass(frozen=True)
class _Pictures:
    """Pictures of one sample."""

    root: Path
    paths: list[str]
    flips: list[bool]
    size: int
    resampling: Resampling

    def decode(self) -> NDArray[np.uint8]:
        """RGB [V, S, S, 3]."""
        return np.stack(
            [
                load_image(self.root / path, self.size, flip, self.resampling)
                for path, flip in zip(self.paths, self.flips, strict=True)
            ]
        )


class StoredSamples:
    """The samples of one split; see :class:`multiflow.methods.contract.Samples`.

    Args:
        files: the class's files.
        split: ``train`` or ``test``.

    Raises:
        InputError: a file cannot be read, or holds other samples than the table.
    """

    def __init__(self, files: ClassFiles, split: str) -> None:
        self._files = files
        self._split = split
        table = load_samples(files.samples)
        self.cameras = tuple(str(camera) for camera in table["camera"].drop_duplicates())
        rows = table[table["split"] == split]
        self.keys = [str(key) for key in rows["sample"].drop_duplicates()]
        self._images: list[list[str]] = rows["image"].to_numpy(dtype=object).reshape(-1, len(self.cameras)).tolist()
        self._flips: list[list[bool]] = self._by_view(rows["flip"]).astype(bool).tolist()
        self._features = {name: FeatureFile(path) for name, path in files.features.items()}
        self._segmentation = None if files.segmentation is None else ForegroundFile(files.segmentation)
        others: list[FeatureFile | ForegroundFile] = [*self._features.values()]
        if self._segmentation is not None:
            others.append(self._segmentation)
        for file in others:
            if file.split(split).samples != self.keys:
                raise InputError(
                    f"{file.path}: {split}: expected the samples of {files.samples}, found others; "
                    "delete it and run the workflow again"
                )

    def _by_view(self, column: pd.Series[Any]) -> NDArray[Any]:
        return column.to_numpy().reshape(-1, len(self.cameras))

    @property
    def class_name(self) -> str:
        """Name of the class."""
        return self._files.class_name

    def feature_shape(self, name: str) -> FeatureShape:
        """Channels and grid of a set of features."""
        file = self._features[name]
        return FeatureShape(file.channels, *file.grid)

    def feature_statistics(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation [C] of a set of features over all training samples."""
        file = self._features[name]
        return file.channel_mean, file.channel_std

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> StoredSample:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return StoredSample(self, index % len(self))

    def __iter__(self) -> Iterator[StoredSample]:
        """All samples in order; worker processes decode the pictures of the next ones."""
        if self._files.needs.images is None:
            yield from (self[index] for index in range(len(self)))
            return
        tasks = [self._pictures(index) for index in range(len(self))]
        with closing(ordered_map(_Pictures.decode, tasks, self._files.workers)) as decoded:
            for index, images in enumerate(decoded):
                yield StoredSample(self, index, images)

    def pictures(self, order: Sequence[tuple[int, int]]) -> Generator[NDArray[np.uint8], None, None]:
        """Single RGB pictures [S, S, 3], each named by its sample and view."""
        tasks = (self._pictures(index, view) for index, view in order)
        with closing(ordered_map(_Pictures.decode, tasks, self._files.workers, ahead=4)) as decoded:
            for images in decoded:
                yield images[0]

    def _pictures(self, index: int, view: int | None = None) -> _Pictures:
        """The pictures of a sample, or of one of its views."""
        needs, some = self._files.needs, slice(None) if view is None else slice(view, view + 1)
        assert needs.images is not None, "the method's needs name no size of images"
        paths, flips = self._images[index][some], self._flips[index][some]
        return _Pictures(self._files.root, paths, flips, needs.images, needs.resampling)


class StoredSample:
    """One sample; see :class:`multiflow.methods.contract.Sample`. Nothing is read before it is asked for.

    Args:
        samples: those that it is one of.
        index: its place among them.
        images: its pictures, where they are decoded already.
    """

    def __init__(self, samples: StoredSamples, index: int, images: NDArray[np.uint8] | None = None) -> None:
        self._samples = samples
        self._index = index
        self._images = images

    @property
    def key(self) -> str:
        """The sample's name in the samples table."""
        return self._samples.keys[self._index]

    @property
    def images(self) -> NDArray[np.uint8]:
        """RGB pictures [V, S, S, 3]."""
        if self._images is None:
            self._images = self._samples._pictures(self._index).decode()
        return self._images

    def features(self, name: str) -> NDArray[np.float32]:
        """Features [V, C, H, W] of a set."""
        return self._samples._features[name].split(self._samples._split).features(self._index)

    def foreground(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        """Foreground [V, h, w] on any grid."""
        file, names = self._samples._segmentation, self._samples._images[self._index]
        if file is None:
            return np.ones((len(names), *grid), dtype=bool)
        raw = file.split(self._samples._split).segmentation(self._index)
        return sample_foreground(raw, names, grid, self._samples._files.foreground)
