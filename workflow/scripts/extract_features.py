"""Extract one set of features of one class."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.base.provenance import git_revision, versions
from multiflow.config import load_config
from multiflow.datasets import read_digests
from multiflow.datasets.table import load_samples
from multiflow.features.extraction import extract_features
from multiflow.methods.checks import check_samples

with job(snakemake.log[0]):
    run, class_name = load_config(snakemake.config), snakemake.wildcards.class_name
    check_samples(run.trained_on(class_name), class_name, load_samples(snakemake.input.samples))
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
