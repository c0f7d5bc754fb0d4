"""Fetch the backbone's weights."""

from pathlib import Path

from multiflow.backbone import fetch_weights
from multiflow.config import Features
from multiflow.job import job

with job(snakemake.log[0]):
    features = Features(**snakemake.params.features, weights_sha256=snakemake.resources.weights_sha256 or None)
    fetch_weights(features, Path(snakemake.output.weights))
