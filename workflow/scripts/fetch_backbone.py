"""Fetch the backbone's weights."""

from pathlib import Path

from multiflow.backbone import fetch_weights
from multiflow.config import Features
from multiflow.job import job

with job(snakemake.log[0]):
    fetch_weights(Features(**snakemake.params.features), Path(snakemake.output.weights))
