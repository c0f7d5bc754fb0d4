"""A table as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiflow.results.pages.page import write_page
from multiflow.results.tables.model import DAGGER, Table

__all__ = ["write_table_page"]


def write_table_page(tables: Table | Sequence[Table], path: str | Path) -> None:
    """Write tables as a page: best bold, runner-up underlined, footnotes below.

    The first one gives the page its title. Where it is sortable, it can be sorted, filtered and searched; its averages
    stay below.
    """
    tables = [tables] if isinstance(tables, Table) else tables
    write_page(
        path,
        "table.html",
        tables[0].title,
        script="table.js" if tables[0].sortable else None,
        tables=[table.for_people() for table in tables],
        dagger=DAGGER,
    )
