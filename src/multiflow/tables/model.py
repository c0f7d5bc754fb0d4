"""What a table is: rows, columns and cells that know where their number comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

__all__ = ["MISSING", "Cell", "Column", "Row", "Table", "rank_cells"]

MISSING = "-"
"""What stands in a cell that was never computed or published, and in LaTeX for a missing check mark."""


@dataclass(frozen=True)
class Cell:
    """A number of a table.

    Attributes:
        value: percent; None where it was never computed or published.
        std: standard deviation over ``n`` runs, percent; None where there is none (also for ``n`` = 1).
        n: runs behind the value; None where the source does not say.
        source: measured in this run, or published.
        digits: decimals that are printed.
        competes: whether it may be called best; not where it is an average over other classes.
        rank: 1 for the best of the cells it competes with, 2 for the runner-up, else 0.
    """

    value: float | None
    std: float | None = None
    n: int | None = None
    source: Literal["measured", "published"] = "measured"
    digits: int = 2
    competes: bool = True
    rank: Literal[0, 1, 2] = 0

    @property
    def printed(self) -> str:
        """The value as printed, without std."""
        return MISSING if self.value is None else f"{self.value:.{self.digits}f}"

    @property
    def printed_std(self) -> str:
        """The std as printed, empty where there is none."""
        return "" if self.value is None or self.std is None else f"{self.std:.2f}"


@dataclass(frozen=True)
class Column:
    """A column of numbers: a key for programs, a heading for people, a remark below the heading."""

    key: str
    heading: str
    remark: str = ""
    published: bool = False


@dataclass(frozen=True)
class Row:
    """A row: a key for programs, headings for people (true and false are printed as a check mark or not)."""

    key: str
    headings: tuple[str | bool, ...]
    cells: tuple[Cell, ...]
    rule_above: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        name: ``table1`` to ``table7`` or ``background_removal``.
        caption: one sentence.
        row_key: what the rows' keys are: ``metric``, ``experiment`` or ``class``.
        stub: headings of the columns that hold the rows' headings.
        columns, rows: the numbers.
        compared: the direction in which cells compete for best and runner-up.
        notes: footnotes: data set, protocol, sources.
    """

    name: str
    caption: str
    row_key: str
    stub: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    compared: Literal["row", "column"]
    notes: tuple[str, ...] = ()


def rank_cells(table: Table) -> Table:
    """Mark best and runner-up among the cells of each row or column.

    What is printed decides: values that read the same rank the same, and the runner-up is the next different
    one. A cell that has nothing to compete with is not marked.
    """
    grid = [list(row.cells) for row in table.rows]
    if table.compared == "row":
        groups = [[(i, j) for j in range(len(table.columns))] for i in range(len(grid))]
    else:
        groups = [[(i, j) for i in range(len(grid))] for j in range(len(table.columns))]
    for group in groups:
        printed = {
            (i, j): Decimal(grid[i][j].printed)
            for i, j in group
            if grid[i][j].value is not None and grid[i][j].competes
        }
        if len(printed) < 2:
            continue
        ordered = sorted(set(printed.values()), reverse=True)
        for (i, j), value in printed.items():
            if value == ordered[0]:
                grid[i][j] = replace(grid[i][j], rank=1)
            elif value == ordered[1]:
                grid[i][j] = replace(grid[i][j], rank=2)
    rows = tuple(replace(row, cells=tuple(cells)) for row, cells in zip(table.rows, grid, strict=True))
    return replace(table, rows=rows)
