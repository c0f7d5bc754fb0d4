"""Segment the foreground of one class."""

from pathlib import Path

from multiflow.config import Foreground
from multiflow.foreground import segment_foreground
from multiflow.job import job
from multiflow.provenance import git_revision, versions

with job(snakemake.log[0]):
    weights = snakemake.input.get("weights")
    segment_foreground(
        Path(snakemake.input.samples),
        Path(snakemake.params.root),
        Foreground(**snakemake.params.foreground, threads=snakemake.threads, batch_size=snakemake.resources.batch_size),
        Path(snakemake.output.foreground),
        {"versions": versions(), "revision": git_revision()},
        processes=snakemake.threads,
        weights=Path(weights) if weights else None,
    )
