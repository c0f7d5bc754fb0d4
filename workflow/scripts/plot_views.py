"""Draw one sample of each class with its flips applied."""

from pathlib import Path

from multiflow.figures.views import plot_views
from multiflow.job import job
from multiflow.samples import load_samples

with job(snakemake.log[0]):
    samples = {
        name: load_samples(Path(path))
        for name, path in zip(snakemake.params.classes, snakemake.input.samples, strict=True)
    }
    plot_views(samples, Path(snakemake.params.root), Path(snakemake.output.figure))
