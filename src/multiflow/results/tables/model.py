"""What a table is: rows, columns, and cells that know where their number comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

__all__ = ["DAGGER", "MISSING", "Cell", "Column", "Row", "Table", "Words", "rank_cells"]

MISSING = "-"
"""What is printed in a cell that was never computed or published, and in LaTeX for a missing check mark."""

DAGGER = "†"
"""Marks a published number."""


@dataclass(frozen=True)
class Cell:
    """A number of a table.

    Attributes:
        value: percent, unless its column says otherwise; None where it was never computed or published.
        std: standard deviation over ``n`` runs, percent; None where there is none (also for ``n`` = 1).
        n: runs behind the value; None where the source does not say.
        source: measured in this run, or published.
        digits: decimals that are printed.
        competes: whether it may be called best; not where it is an average over other classes.
        rank: 1 for the best of the cells it competes with, 2 for the runner-up, else 0.
        form: ``plain``; ``signed``, a difference; or ``chance``, a p-value.
    """

    value: float | None
    std: float | None = None
    n: int | None = None
    source: Literal["measured", "published"] = "measured"
    digits: int = 2
    competes: bool = True
    rank: Literal[0, 1, 2] = 0
    form: Literal["plain", "signed", "chance"] = "plain"

    @property
    def printed(self) -> str:
        """The value as printed, without std."""
        if self.value is None:
            return MISSING
        if self.form == "chance":
            return "<0.001" if self.value < 0.0005 else f"{self.value:.3f}"
        text = f"{self.value:{'+' if self.form == 'signed' else ''}.{self.digits}f}"
        if self.form == "plain":
            return text
        # A difference that is printed as zero has no sign.
        return text.replace("-", "−") if float(text) else text[1:]

    @property
    def printed_std(self) -> str:
        """The std as printed, empty where there is none."""
        return "" if self.value is None or self.std is None else f"{self.std:.2f}"


@dataclass(frozen=True)
class Words:
    """Words in a table.

    Attributes:
        text: for people.
        key: for programs; empty where it is the same.
        strong: whether they are printed bold.
    """

    text: str
    key: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: for programs.
        heading: for people.
        remark: below the heading.
        published: whether its numbers are published ones.
        kind: of measurements (value, std, runs and source), of plain numbers, or of words.
        group: cells of a row compete with those of the same group.
        csv_only: whether only the CSV has it.
    """

    key: str
    heading: str
    remark: str = ""
    published: bool = False
    kind: Literal["measurement", "number", "words"] = "measurement"
    group: str = ""
    csv_only: bool = False


@dataclass(frozen=True)
class Row:
    """A row: a key for programs, headings for people (true and false are printed as a check mark or not)."""

    key: str
    headings: tuple[str | bool, ...]
    cells: tuple[Cell | Words, ...]
    rule_above: bool = False

    @property
    def numbers(self) -> tuple[Cell, ...]:
        """The cells that are numbers."""
        return tuple(cell for cell in self.cells if isinstance(cell, Cell))


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of its files, such as ``table1``.
        caption: one sentence.
        row_key: what the rows' keys are: ``metric``, ``experiment``, ``class`` or ``defect_type``; empty where rows
            have none.
        stub: headings of the columns that hold the rows' headings.
        columns, rows: the cells. A table without columns says its ``lead`` and nothing else.
        compared: the direction in which cells compete for best and runner-up.
        notes: footnotes: data set, protocol, sources.
        lead: a sentence above the table.
        sortable: whether a page lets its reader sort and filter it; rows below a rule then stay below.
    """

    name: str
    caption: str
    row_key: str
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    compared: Literal["row", "column"] = "row"
    notes: tuple[str, ...] = ()
    lead: str = ""
    sortable: bool = False

    @property
    def title(self) -> str:
        """The caption, after the number where the paper's table has one."""
        number = self.name.removeprefix("table")
        return f"Table {number}: {self.caption}" if number.isdigit() else self.caption

    @property
    def ranked(self) -> bool:
        """Whether a cell is marked as best."""
        return any(cell.rank for row in self.rows for cell in row.numbers)

    def for_people(self) -> Table:
        """The table without the columns that only programs read."""
        shown = [index for index, column in enumerate(self.columns) if not column.csv_only]
        rows = tuple(replace(row, cells=tuple(row.cells[index] for index in shown)) for row in self.rows)
        return replace(self, columns=tuple(self.columns[index] for index in shown), rows=rows)


def rank_cells(table: Table) -> Table:
    """Mark best and runner-up among the cells of each row or column.

    What is printed decides: values that read the same rank the same, and the runner-up is the next different
    one. A cell that has nothing to compete with is not marked.
    """
    groups: dict[tuple[object, ...], dict[tuple[int, int], Decimal]] = {}
    for i, row in enumerate(table.rows):
        for j, (column, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
            if isinstance(cell, Cell) and cell.value is not None and cell.competes:
                group = (i, column.group) if table.compared == "row" else (j,)
                groups.setdefault(group, {})[i, j] = Decimal(cell.printed)
    ranks: dict[tuple[int, int], Literal[1, 2]] = {}
    for printed in groups.values():
        if len(printed) > 1:
            best, *others = sorted(set(printed.values()), reverse=True)
            ranks |= {place: 1 for place, value in printed.items() if value == best}
            ranks |= {place: 2 for place, value in printed.items() if value in others[:1]}
    rows = tuple(
        replace(row, cells=tuple(_ranked(cell, ranks.get((i, j), 0)) for j, cell in enumerate(row.cells)))
        for i, row in enumerate(table.rows)
    )
    return replace(table, rows=rows)


def _ranked(cell: Cell | Words, rank: Literal[0, 1, 2]) -> Cell | Words:
    return replace(cell, rank=rank) if isinstance(cell, Cell) else cell
