"""Write one table as CSV and LaTeX."""

from pathlib import Path

from multiflow.job import job
from multiflow.metrics import load_metrics
from multiflow.tables import make_table

with job(snakemake.log[0]):
    table = make_table(
        snakemake.wildcards.table,
        load_metrics(Path(snakemake.input.metrics)),
        snakemake.params.context,
    )
    table.to_csv(Path(snakemake.output.csv))
    table.to_latex(Path(snakemake.output.latex))
