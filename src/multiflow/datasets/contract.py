"""What a layout is: the seam between a data set's own format and the samples table.

A layout only finds out which pictures there are and what the data set says of them. Order, completeness, flips,
checksums and damaged files are looked after for all layouts in :mod:`multiflow.datasets.table`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from multiflow.base.errors import InputError

if TYPE_CHECKING:
    from multiflow.datasets.settings import Dataset

__all__ = ["PROBLEMS_SHOWN", "Findings", "Layout", "View"]

PROBLEMS_SHOWN = 200


@dataclass(frozen=True)
class View:
    """One picture of a data set, and what the data set says of it.

    Attributes:
        source: the file or folder that describes the class; messages begin with it.
        place: of this picture in it, for messages.
        split: ``train`` or ``test``.
        sample: the part that is seen, named uniquely within the split.
        camera: the view, a name of ``dataset.cameras``; others are left out with a warning.
        image: path relative to the data set's root.
        mask: the same of the ground truth; empty where there is none. What an anomalous view without one counts as,
            ``dataset.unmasked_views`` decides.
        label: 1 is anomalous, 0 normal: that of this view, not of its sample.
        anomaly_class: as the data set names it.
    """

    source: Path
    place: str
    split: str
    sample: str
    camera: str
    image: str
    mask: str
    label: int
    anomaly_class: str

    @property
    def where(self) -> str:
        """How messages about this view begin."""
        return f"{self.source}: {self.place}"


@dataclass
class Findings:
    """What is wrong with a class, and what is only worth a look; one line each.

    Attributes:
        problems: what stops the run.
        warnings: what does not; tables say how many there are.
        doubts: how many of the warnings say what, in words that a footnote repeats; see :meth:`doubt`.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    doubts: Counter[str] = field(default_factory=Counter)

    def doubt(self, where: str, what: str) -> None:
        """Add a warning whose words are the same for every file or record that it is about.

        Args:
            where: the file or record.
            what: such as "its EXIF orientation is ignored".
        """
        self.warnings.append(f"{where}: {what}")
        self.doubts[what] += 1

    def raise_problems(self) -> None:
        """Stop if there are problems.

        Raises:
            InputError: the first :data:`PROBLEMS_SHOWN` of them.
        """
        if not self.problems:
            return
        hidden = len(self.problems) - PROBLEMS_SHOWN
        lines = self.problems[:PROBLEMS_SHOWN]
        if hidden > 0:
            lines.append(f"... and {hidden} more problems; mend these first")
        raise InputError(lines)


class Layout(Protocol):
    """How a data set lies on disk: a module with these four functions. It only reads, and imports little.

    It may also have ``CAMERAS``, the names of all views that it can give, which is checked before anything is read, and
    ``subset(dataset) -> str``, which part of a data set is read, as footnotes print it.
    """

    def annotation_files(self, dataset: Dataset, root: Path, class_name: str) -> list[Path]:
        """The files or folders that decide which pictures a class has; its table is made again when one changes.

        Raises:
            InputError: the class is not there.
        """
        ...

    def read_views(self, dataset: Dataset, root: Path, class_name: str, findings: Findings) -> list[View]:
        """All pictures of a class in the data set's own order.

        Args:
            dataset: the ``dataset`` block.
            root: folder of the data set.
            class_name: the class.
            findings: collects what is wrong with single pictures, so that all of it is reported at once.

        Raises:
            InputError: the class is not there at all.
        """
        ...

    def missing_data(self, dataset: Dataset) -> list[str]:
        """What is missing of the classes of ``dataset`` below ``dataset.root``, in one line per problem."""
        ...

    def count_images(self, dataset: Dataset, root: Path, class_name: str) -> tuple[int, int]:
        """Pictures for training and test of a class, for a forecast: no picture is opened.

        Raises:
            InputError: the class is not there, or cannot be read.
        """
        ...
