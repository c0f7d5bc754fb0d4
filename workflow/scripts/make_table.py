"""Write one table as CSV, LaTeX and a page, and print it: tables are read while others are still computed."""

import sys
from pathlib import Path

from multiflow.base.job import job
from multiflow.results.pages import write_table_page
from multiflow.results.records import load_runs
from multiflow.results.tables import context_from_values, format_text, make_table, write_csv, write_latex

with job(snakemake.log[0]):
    context = context_from_values(snakemake.params.context, snakemake.input.runs)
    table = make_table(snakemake.wildcards.table, load_runs(map(Path, snakemake.input.runs)), context)
    write_csv(table, Path(snakemake.output.csv))
    write_latex(table, Path(snakemake.output.latex))
    write_table_page(table, Path(snakemake.output.page))
    # As bytes: a terminal without the plus-minus sign fails no run.
    sys.stdout.buffer.write(f"\n{format_text(table)}\n".encode())
