"""What a reader opens in a browser: pages with the tables, and Snakemake's report that holds them all."""

from __future__ import annotations

from multiflow.report.comparison_page import write_ablation_tests_page, write_comparison_page
from multiflow.report.runs_page import write_runs_page
from multiflow.report.snakemake_report import write_report
from multiflow.report.table_page import write_table_page

__all__ = [
    "write_ablation_tests_page",
    "write_comparison_page",
    "write_report",
    "write_runs_page",
    "write_table_page",
]
