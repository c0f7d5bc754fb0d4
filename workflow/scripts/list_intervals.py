"""Write the AUROC of every class with its interval as CSV, LaTeX and a page."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.intervals import load_intervals
from multiflow.results.pages import write_table_page
from multiflow.results.records import load_runs
from multiflow.results.tables import context_from_values, interval_table, write_csv, write_latex

with job(snakemake.log[0]):
    paths = [Path(path) for path in snakemake.input.runs]
    context = context_from_values(snakemake.params.context)
    table = interval_table(load_runs(paths), load_intervals(paths), context)
    write_csv(table, Path(snakemake.output.csv))
    write_latex(table, Path(snakemake.output.latex))
    write_table_page(table, Path(snakemake.output.page))
