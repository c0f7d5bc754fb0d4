"""The tables of a run, from its measured metrics and the published numbers: CSV, LaTeX and text."""

from __future__ import annotations

from multiflow.results.metric_names import METRIC_HEADINGS, metric_heading
from multiflow.results.tables.ablation_tests import AblationTest, ablation_tests_table, compare_ablations
from multiflow.results.tables.aggregate import Results
from multiflow.results.tables.build import make_table
from multiflow.results.tables.catalog import (
    main_table,
    table_caption,
    table_experiments,
    table_place,
    table_reading,
    table_runs,
    tables_of,
)
from multiflow.results.tables.comparison import compare_with_paper, summary_line
from multiflow.results.tables.comparison_table import comparison_tables
from multiflow.results.tables.context import (
    ExperimentContext,
    TableContext,
    class_heading,
    context_from_values,
    context_values,
    table_context,
)
from multiflow.results.tables.files import write_csv, write_latex
from multiflow.results.tables.model import Cell, Column, Row, Table, Words
from multiflow.results.tables.pdf import missing_latex, write_pdf
from multiflow.results.tables.text import format_text

__all__ = [
    "METRIC_HEADINGS",
    "AblationTest",
    "Cell",
    "Column",
    "ExperimentContext",
    "Results",
    "Row",
    "Table",
    "TableContext",
    "Words",
    "ablation_tests_table",
    "class_heading",
    "compare_ablations",
    "compare_with_paper",
    "comparison_tables",
    "context_from_values",
    "context_values",
    "format_text",
    "main_table",
    "make_table",
    "metric_heading",
    "missing_latex",
    "summary_line",
    "table_caption",
    "table_context",
    "table_experiments",
    "table_place",
    "table_reading",
    "table_runs",
    "tables_of",
    "write_csv",
    "write_latex",
    "write_pdf",
]
