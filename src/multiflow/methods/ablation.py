"""Ablation tables of a method: which experiment is a row, and what must be true of it to be that row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Ablation", "AblationRow"]


@dataclass(frozen=True)
class AblationRow:
    """A row of an ablation table.

    Attributes:
        headings: what the row says of its experiment, one for each of the table's ``stub``.
        facts: values with which the headings are true, by fact: what the method's ``facts`` returns, and
            ``foreground`` (the method of segmentation) and ``background`` (``zero`` or ``ignored``).
        published: the values of the table's ``keys`` that name the row among the published numbers; None where
            nothing was published.
    """

    headings: tuple[str | bool, ...]
    facts: Mapping[str, tuple[str, ...]]
    published: tuple[str, ...] | None = None

    def contradiction(self, facts: Mapping[str, str]) -> str | None:
        """What of an experiment, in words, is not as the row says; None where it is this row.

        Args:
            facts: of the experiment. A fact that it lacks contradicts.
        """
        wrong = [f"{name} {facts.get(name)}" for name, allowed in self.facts.items() if facts.get(name) not in allowed]
        return " and ".join(wrong) or None


@dataclass(frozen=True)
class Ablation:
    """A table whose rows are experiments.

    Attributes:
        caption: what the table shows.
        place: where in the method's paper it stands, such as ``Table 2``.
        stub: titles of the columns with the rows' headings.
        keys: columns of the published numbers that name a row.
        metrics: names of the columns with numbers.
        rows: by the name of the experiment, from top to bottom.
        reference: the experiment with which the others are compared.
        reading: how to read it, a sentence or two above it in the report, in reStructuredText.
    """

    caption: str
    place: str
    stub: tuple[str, ...]
    keys: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: Mapping[str, AblationRow]
    reference: str
    reading: str = ""

    def __post_init__(self) -> None:
        assert self.reference in self.rows
        assert all(len(row.headings) == len(self.stub) for row in self.rows.values())
