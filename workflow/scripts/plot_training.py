"""Draw the training curves of all flows."""

from pathlib import Path

from multiflow.figures.training import load_histories, plot_training
from multiflow.job import job

with job(snakemake.log[0]):
    output = snakemake.output
    plot_training(
        load_histories(map(Path, snakemake.input.histories)),
        snakemake.params.experiment,
        [Path(output.classes), Path(output.classes_pdf)],
        [Path(output.experiments), Path(output.experiments_pdf)],
    )
