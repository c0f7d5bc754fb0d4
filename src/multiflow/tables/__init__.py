"""The paper's tables from ``metrics.csv``, as CSV, LaTeX and text."""

from __future__ import annotations

from multiflow.tables.ablation_tests import compare_ablations
from multiflow.tables.build import TABLES, class_heading, make_table, metric_heading, table_caption, table_place
from multiflow.tables.comparison import compare_with_paper, summary_line
from multiflow.tables.context import (
    ExperimentContext,
    Protocol,
    TableContext,
    context_from_values,
    context_values,
    table_context,
)
from multiflow.tables.files import write_ablation_tests, write_comparison, write_csv, write_latex
from multiflow.tables.model import Cell, Column, Row, Table
from multiflow.tables.pdf import missing_latex, write_pdf
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
    "class_heading",
    "compare_ablations",
    "compare_with_paper",
    "context_from_values",
    "context_values",
    "format_text",
    "make_table",
    "metric_heading",
    "missing_latex",
    "summary_line",
    "table_caption",
    "table_context",
    "table_place",
    "write_ablation_tests",
    "write_comparison",
    "write_csv",
    "write_latex",
    "write_pdf",
]
