"""Extract the features of one class."""

from pathlib import Path

from multiflow.config import Features
from multiflow.features import extract_features
from multiflow.job import job
from multiflow.provenance import git_revision, versions

with job(snakemake.log[0]):
    extract_features(
        Path(snakemake.input.samples),
        Path(snakemake.params.root),
        Path(snakemake.input.weights),
        Features(
            **snakemake.params.features,
            threads=snakemake.resources.network_threads,
            workers=snakemake.resources.workers,
        ),
        Path(snakemake.output.features),
        {"versions": versions(), "revision": git_revision()},
    )
