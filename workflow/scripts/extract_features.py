"""Extract one set of features of one class."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.base.provenance import git_revision, versions
from multiflow.config import load_config
from multiflow.datasets import read_digests
from multiflow.features.extraction import extract_features

with job(snakemake.log[0]):
    run = load_config(snakemake.config)
    extract_features(
        Path(snakemake.input.samples),
        read_digests(snakemake.input.digests),
        run.root,
        Path(snakemake.input.weights[0]),
        run.features[snakemake.wildcards.features],
        run.compute,
        Path(snakemake.output.features),
        {"versions": versions(), "revision": git_revision()},
    )
