"""Fetch the weights of MVANet."""

from pathlib import Path

from multiflow.config import Foreground
from multiflow.foreground.mvanet import fetch_mvanet
from multiflow.job import job

with job(snakemake.log[0]):
    foreground = Foreground(weights=snakemake.params.weights, weights_sha256=snakemake.resources.weights_sha256 or None)
    fetch_mvanet(foreground, Path(snakemake.output.weights))
