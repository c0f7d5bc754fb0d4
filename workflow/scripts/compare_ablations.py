"""Write the tests of the ablations as CSV, LaTeX and a page."""

from pathlib import Path

from multiflow.job import job
from multiflow.metrics import load_metrics
from multiflow.report import write_ablation_tests_page
from multiflow.tables import compare_ablations, context_from_values, write_ablation_tests

with job(snakemake.log[0]):
    context = context_from_values(snakemake.params.context)
    tests = compare_ablations(load_metrics(Path(snakemake.input.metrics)), context)
    write_ablation_tests(tests, context, Path(snakemake.output.csv), Path(snakemake.output.latex))
    write_ablation_tests_page(tests, context, Path(snakemake.output.page))
