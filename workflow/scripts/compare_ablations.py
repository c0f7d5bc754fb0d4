"""Write the tests of the ablations as CSV, LaTeX and a page."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.pages import write_table_page
from multiflow.results.records import load_runs
from multiflow.results.tables import (
    ablation_tests_table,
    compare_ablations,
    context_from_values,
    write_csv,
    write_latex,
)

with job(snakemake.log[0]):
    context = context_from_values(snakemake.params.context, snakemake.input.runs)
    table = ablation_tests_table(compare_ablations(load_runs(map(Path, snakemake.input.runs)), context), context)
    write_csv(table, Path(snakemake.output.csv))
    write_latex(table, Path(snakemake.output.latex))
    write_table_page(table, Path(snakemake.output.page))
