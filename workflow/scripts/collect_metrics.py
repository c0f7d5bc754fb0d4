"""Collect the metrics of all runs."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.records import collect_metrics

with job(snakemake.log[0]):
    collect_metrics([Path(path) for path in snakemake.input.runs], Path(snakemake.output.metrics))
