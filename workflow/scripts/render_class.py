"""Render one class of parts."""

from pathlib import Path

from multiflow.job import job
from multiflow.rendering.settings import Rendering

with job(snakemake.log[0]):
    from multiflow.rendering.dataset import render_class

    class_name = snakemake.wildcards.class_name
    render_class(
        class_name,
        Rendering(classes=[class_name], **snakemake.params.rendering),
        Path(snakemake.params.root),
        processes=snakemake.threads,
    )
