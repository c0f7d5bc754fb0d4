"""What a reader opens in a browser: pages with the tables, and Snakemake's report that holds them all."""

from __future__ import annotations

from multiflow.results.pages.runs_page import write_runs_page
from multiflow.results.pages.snakemake_report import write_report
from multiflow.results.pages.table_page import write_table_page

__all__ = ["write_report", "write_runs_page", "write_table_page"]
