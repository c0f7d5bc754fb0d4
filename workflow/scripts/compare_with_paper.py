"""Write the comparison with the paper as CSV, LaTeX and a page."""

from pathlib import Path

from multiflow.job import job
from multiflow.metrics import load_metrics
from multiflow.report import write_comparison_page
from multiflow.tables import compare_with_paper, context_from_values, write_comparison

with job(snakemake.log[0]):
    context = context_from_values(snakemake.params.context)
    comparison = compare_with_paper(load_metrics(Path(snakemake.input.metrics)), context)
    write_comparison(comparison, context, Path(snakemake.output.csv), Path(snakemake.output.latex))
    write_comparison_page(comparison, context, Path(snakemake.output.page))
