"""Render one class of parts."""

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.datasets.rendered import render_class

with job(snakemake.log[0]):
    run = load_config(snakemake.config)
    render_class(
        snakemake.wildcards.class_name,
        run.rendering,
        run.root,
        processes=snakemake.threads,
    )
