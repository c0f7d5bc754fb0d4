"""Render one class of parts."""

from pathlib import Path

from multiflow.job import job
from multiflow.rendering.dataset import render_class
from multiflow.rendering.settings import Rendering

with job(snakemake.log[0]):
    render_class(
        snakemake.wildcards.class_name,
        Rendering(**snakemake.params.rendering),
        Path(snakemake.params.root),
        processes=snakemake.threads,
    )
