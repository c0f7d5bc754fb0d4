"""What a method is: the seam between the pictures of a class and the anomaly scores of its test samples.

A method reads samples and gives scores; it never sees a label. Everything else (files, seeds, resuming, Slurm, metrics,
tables, figures) is done around it. ``docs/architecture.md`` has a whole method of 40 lines.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from multiflow.base.settings import Precision

if TYPE_CHECKING:  # the configuration reads this file at every start, and needs neither numpy nor torch
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from multiflow.base.settings import Block
    from multiflow.features.settings import Pretrained
    from multiflow.methods.work import Work

__all__ = ["Cost", "FeatureShape", "Illustration", "Images", "Method", "Model", "Needs", "Sample", "Samples", "Scores"]


@dataclass(frozen=True)
class Needs:
    """What a method reads of a sample; what it does not name here is neither made nor loaded for it.

    Attributes:
        features: names of sets in the run's ``features`` block.
        images: side of the decoded, square pictures, px; None where it reads none.
        resampling: how pictures are brought to that size, antialiased.
        foreground: whether it reads the foreground, of which the experiment's ``foreground`` block decides.
        weights: pretrained networks that it runs itself; the file of each is in :attr:`Work.weights` by the network's
            name where the method trains, and in :attr:`Model.weights` where it scores.
    """

    features: tuple[str, ...] = ()
    images: int | None = None
    resampling: Literal["bilinear", "lanczos"] = "bilinear"
    foreground: bool = False
    weights: tuple[Pretrained, ...] = ()


class Sample(Protocol):
    """One part: V views of it, in the order of the cameras, flipped where the data set says so."""

    @property
    def key(self) -> str:
        """The sample's name in the samples table."""
        ...

    @property
    def images(self) -> NDArray[np.uint8]:
        """RGB pictures [V, S, S, 3], of the size that :class:`Needs` names."""
        ...

    def features(self, name: str) -> NDArray[np.float32]:
        """Features [V, C, H, W] of a set."""
        ...

    def foreground(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        """Foreground [V, h, w] on any grid; everything, where the experiment has no method of segmentation."""
        ...


class Samples(Protocol):
    """The training samples of a class, all of them normal as far as the data set knows."""

    @property
    def class_name(self) -> str:
        """Name of the class."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the views."""
        ...

    def feature_shape(self, name: str) -> FeatureShape:
        """Channels and grid of a set of features."""
        ...

    def feature_statistics(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation [C] of a set of features over all training samples."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def __iter__(self) -> Iterator[Sample]:
        """All samples in order; worker processes prepare the next ones."""
        ...

    def pictures(self, order: Sequence[tuple[int, int]]) -> Generator[NDArray[np.uint8], None, None]:
        """Single RGB pictures [S, S, 3], each named by its sample and view; worker processes prepare the next ones."""
        ...


@dataclass(frozen=True)
class FeatureShape:
    """Channels and grid of a set of features."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Model:
    """What a training leaves: one safetensors file, whose header holds the metadata.

    Attributes:
        tensors: by name, on the CPU.
        metadata: values that JSON can hold.
        weights: files of the pretrained networks that the method's needs name, by network, where it scores; they are
            no part of the model's file.
    """

    tensors: Mapping[str, torch.Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """The scores of one sample; higher is more anomalous.

    Attributes:
        map: anomaly map [V, h, w], finite, of any resolution.
        image_score: [V]; None where it is the map's maximum.
        foreground: [V, h, w]; outside of it there is no score: it takes no part in a maximum and ranks below
            every pixel inside. None where the whole map counts.
    """

    map: NDArray[np.float32]
    image_score: NDArray[np.float32] | None = None
    foreground: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Images:
    """How much there is of a class, for a forecast of the cost.

    Attributes:
        train, test: samples.
        views: images of a sample.
        features: shapes of the sets of features that the method needs.
    """

    train: float
    test: float
    views: int
    features: Mapping[str, FeatureShape] = field(default_factory=dict)

    @property
    def count(self) -> float:
        """Images of the class."""
        return (self.train + self.test) * self.views


@dataclass(frozen=True)
class Cost:
    """Forecast of what a class and seed cost.

    Attributes:
        training_tflop: floating-point operations of the whole training, 1e12.
        scoring_tflop: of one test sample.
        model_bytes: of the stored model.
        map_bytes: of the stored maps of one test sample.
        precision: of the training, where a GPU has it.
        alternatives: ``training_tflop`` under other settings that a reader may think of, by what they are.
    """

    training_tflop: float
    scoring_tflop: float
    model_bytes: float
    map_bytes: float
    precision: Precision = "float32"
    alternatives: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision: expected one of {', '.join(get_args(Precision))}, found {self.precision}")


@dataclass(frozen=True)
class Illustration:
    """Pictures of what a method does with its training samples; a figure of the report shows them.

    Attributes:
        columns: headings of the pictures of a row.
        rows: pictures, RGB [h, w, 3] or grey [h, w], of ``uint8``, or from 0 to 1.
        notes: what is said of each row.
    """

    columns: tuple[str, ...]
    rows: Sequence[Sequence[NDArray[Any]]]
    notes: Sequence[str]


class Method(Protocol):
    """A method, without state of its own: one object serves all experiments.

    A class of this shape is registered in :mod:`multiflow.methods`, or named in the configuration as
    ``package.module:Class`` or ``folder/file.py:Class``. It may also have:

    - ``check_samples(settings, samples, views, place)``: raises an ``InputError`` where a training set has too few
      samples, before anything is computed for it; ``place`` begins its message;
    - ``title(settings) -> tuple[str, str]``: its heading and reference, where they depend on its settings;
    - ``cost(settings, images) -> Cost``: for ``make plan``, which else takes the times of jobs that have run;
    - ``bibtex(settings) -> str``: its BibTeX entry for ``make cite``, which else makes one of ``reference``;
    - ``stages(settings) -> int``: how many models of earlier stages its training gives to ``work.keep``; without it
      ``evaluation.select: best_on_test`` has nothing to choose from;
    - ``describe(settings, views) -> dict[str, str]``: what footnotes say of its settings, by topic; else those that
      differ from their defaults are named;
    - ``departures(settings, changes) -> tuple[str, ...]``: what footnotes beside published numbers say of how it
      differs from its paper, each with what it is there in brackets; else ``changes``, its settings that are not their
      defaults;
    - ``facts(settings, views) -> dict[str, str]`` and ``ablations``: what rows of its ablation tables depend on, and
      those tables, see :mod:`multiflow.methods.ablation`;
    - ``illustrate(samples, settings, seed) -> Illustration`` and ``illustration``: what it makes of training samples
      before it learns from them, and a sentence on how to read it, in reStructuredText.
    """

    heading: str
    """Its name in tables."""

    reference: str
    """How it is cited: authors, year, title or number."""

    Settings: type[Block]
    """Its block of the configuration; pydantic checks and documents it, and it is passed down whole."""

    def needs(self, settings: Any) -> Needs:
        """What it reads of a sample."""
        ...

    def train(self, samples: Samples, settings: Any, seed: int, work: Work) -> Model:
        """Train on a class.

        Args:
            samples: the training samples.
            settings: an object of its ``Settings``.
            seed: decides all that is random.
            work: device, threads, progress, and a checkpoint that outlives a killed job.
        """
        ...

    def scorer(self, model: Model, settings: Any, device: torch.device) -> Callable[[Any], Scores]:
        """A function that scores one sample, whatever others there are.

        Where the released code of a method scores by the test set as a whole, the function may have an attribute
        ``survey``, which is called with all test samples before the first one is scored.

        Args:
            model: as :meth:`train` returned it.
            settings: as in the training.
            device: where to compute.
        """
        ...
