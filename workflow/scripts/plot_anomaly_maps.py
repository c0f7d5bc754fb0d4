"""Draw the anomaly maps of some test samples."""

from pathlib import Path

from multiflow.figures.anomaly_maps import plot_anomaly_maps
from multiflow.job import job
from multiflow.samples import load_samples
from multiflow.scores import ScoreFile
from multiflow.store import FeatureFile

with job(snakemake.log[0]), ScoreFile(snakemake.input.scores) as scores:
    plot_anomaly_maps(
        snakemake.wildcards.class_name,
        load_samples(Path(snakemake.input.samples)),
        Path(snakemake.params.root),
        FeatureFile(Path(snakemake.input.features)),
        scores,
        Path(snakemake.output.figure),
    )
