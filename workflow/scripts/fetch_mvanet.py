"""Fetch the weights of MVANet."""

from pathlib import Path

from multiflow.config import Foreground
from multiflow.foreground.mvanet import fetch_mvanet
from multiflow.job import job

with job(snakemake.log[0]):
    fetch_mvanet(Foreground(weights=snakemake.params.weights), Path(snakemake.output.weights))
