"""Draw what a method makes of a class's training samples before it learns from them."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.methods.data import ClassFiles
from multiflow.results.figures.illustration import plot_illustration

with job(snakemake.log[0]):
    run, name, class_name = load_config(snakemake.config), *snakemake.wildcards
    experiment, output = run.experiment(name, class_name), snakemake.output
    samples = ClassFiles.of_job(experiment, run.root, snakemake.input).split("train")
    found = experiment.method.illustrate(samples, experiment.settings, run.seeds_of(name)[0])
    plot_illustration(found, class_name, snakemake.params.heading, Path(output.figure), Path(output.figure_pdf))
