"""Write the page that leads from every number to its run."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.pages import write_runs_page
from multiflow.results.tables import context_from_values

with job(snakemake.log[0]):
    write_runs_page(
        Path(snakemake.input.metrics), context_from_values(snakemake.params.context), Path(snakemake.output.page)
    )
