"""Let Snakemake write its report of the run."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.pages import write_report

with job(snakemake.log[0]):
    checkout = Path(snakemake.scriptdir).resolve().parents[1]
    write_report(
        checkout / "Snakefile",
        snakemake.config,
        "results",
        checkout / "workflow/report/style.css",
        Path(snakemake.output.report),
    )
