"""Write the comparison of the methods as CSV, LaTeX and a page, and draw it."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.figures.critical_difference import plot_critical_differences
from multiflow.results.pages import write_table_page
from multiflow.results.records import load_runs
from multiflow.results.tables import compare_methods, context_from_values, method_tables, write_csv, write_latex

with job(snakemake.log[0]):
    output, context = snakemake.output, context_from_values(snakemake.params.context)
    comparisons = compare_methods(load_runs(map(Path, snakemake.input.runs)), context)
    tables = method_tables(comparisons, context)
    for table, path in zip(tables, (output.ranks, output.tests, output.class_ranks), strict=True):
        write_csv(table, Path(path))
    write_latex(tables, Path(output.latex))
    write_table_page(tables, Path(output.page))
    plot_critical_differences(comparisons, context, Path(output.figure), Path(output.figure_pdf))
