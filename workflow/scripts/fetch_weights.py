"""Fetch the weights of one network."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.features.pretrained import fetch_weights
from multiflow.foreground.mvanet import fetch_mvanet

with job(snakemake.log[0], mark=True):
    run, network = load_config(snakemake.config), snakemake.wildcards.network
    fetch = fetch_mvanet if network == "mvanet" else fetch_weights
    fetch(run.networks[network], Path(snakemake.output.weights))
