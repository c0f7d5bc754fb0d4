"""Write the comparison with the paper as CSV, LaTeX and a page."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.pages import write_table_page
from multiflow.results.records import load_runs
from multiflow.results.tables import (
    compare_with_paper,
    comparison_tables,
    context_from_values,
    write_csv,
    write_latex,
)

with job(snakemake.log[0]):
    context = context_from_values(snakemake.params.context, snakemake.input.runs)
    tables = comparison_tables(compare_with_paper(load_runs(map(Path, snakemake.input.runs)), context), context)
    write_csv(tables[0], Path(snakemake.output.csv))
    write_latex(tables, Path(snakemake.output.latex))
    write_table_page(tables, Path(snakemake.output.page))
