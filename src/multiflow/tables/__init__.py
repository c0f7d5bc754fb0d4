"""The paper's tables from ``metrics.csv``, as CSV, LaTeX and text."""

from __future__ import annotations

from multiflow.tables.build import TABLES, make_table, table_caption
from multiflow.tables.context import (
    ExperimentContext,
    Protocol,
    TableContext,
    context_from_values,
    context_values,
    table_context,
)
from multiflow.tables.files import write_csv, write_latex
from multiflow.tables.model import Cell, Column, Row, Table
from multiflow.tables.text import format_text

__all__ = [
    "TABLES",
    "Cell",
    "Column",
    "ExperimentContext",
    "Protocol",
    "Row",
    "Table",
    "TableContext",
    "context_from_values",
    "context_values",
    "format_text",
    "make_table",
    "table_caption",
    "table_context",
    "write_csv",
    "write_latex",
]
