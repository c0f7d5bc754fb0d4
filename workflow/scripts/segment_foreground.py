"""Segment the foreground of one class."""

from pathlib import Path

from multiflow.config import Foreground
from multiflow.foreground import segment_foreground
from multiflow.job import job

with job(snakemake.log[0]):
    segment_foreground(
        Path(snakemake.input.samples),
        Path(snakemake.params.root),
        Foreground(method=snakemake.wildcards.method, **snakemake.params.foreground),
        Path(snakemake.output.foreground),
        processes=snakemake.threads,
    )
