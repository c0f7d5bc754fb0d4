"""Write what the methods cost as CSV, LaTeX and a page, and draw it."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.results.costs import load_costs
from multiflow.results.figures.costs import plot_costs
from multiflow.results.pages import write_table_page
from multiflow.results.records import load_runs
from multiflow.results.tables import context_from_values, cost_table, write_csv, write_latex

with job(snakemake.log[0]):
    run, output = load_config(snakemake.config), snakemake.output
    context = context_from_values(snakemake.params.context)
    costs = load_costs(run, run.folder, run.method_runs)
    table = cost_table(costs, context)
    write_csv(table, Path(output.csv))
    write_latex(table, Path(output.latex))
    write_table_page(table, Path(output.page))
    metrics = load_runs(map(Path, snakemake.input.runs))
    plot_costs(costs, metrics, context, Path(output.figure), Path(output.figure_pdf))
