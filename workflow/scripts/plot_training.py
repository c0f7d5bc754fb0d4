"""Draw the training curves of all models."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.figures.training import load_histories, plot_training_classes, plot_training_experiments

with job(snakemake.log[0]):
    output = snakemake.output
    histories = load_histories(map(Path, snakemake.input.histories))
    plot_training_classes(histories, snakemake.params.methods, Path(output.classes), Path(output.classes_pdf))
    plot_training_experiments(histories, Path(output.experiments), Path(output.experiments_pdf))
