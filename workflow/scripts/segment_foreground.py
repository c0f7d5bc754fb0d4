"""Segment the foreground of one class."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.base.provenance import git_revision, versions
from multiflow.config import load_config
from multiflow.datasets import read_digests
from multiflow.foreground.segmentation import segment_foreground

with job(snakemake.log[0]):
    run, weights = load_config(snakemake.config), snakemake.input.get("weights")
    segment_foreground(
        Path(snakemake.input.samples),
        read_digests(snakemake.input.digests),
        run.root,
        snakemake.wildcards.segmentation,
        run.segmentation,
        run.compute,
        Path(snakemake.output.foreground),
        {"versions": versions(), "revision": git_revision()},
        weights=Path(weights[0]) if weights else None,
    )
