"""Fetch the weights of one network."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.features.pretrained import fetch_weights
from multiflow.foreground.mvanet import fetch_mvanet
from multiflow.foreground.settings import Segmentation

with job(snakemake.log[0], mark=True):
    network = load_config(snakemake.config).networks[snakemake.wildcards.network]
    fetch = fetch_mvanet if isinstance(network, Segmentation) else fetch_weights
    fetch(network, Path(snakemake.output.weights))
