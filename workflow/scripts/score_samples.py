"""Score one model's test samples."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.base.provenance import git_revision, versions
from multiflow.config import load_config
from multiflow.methods.data import ClassFiles
from multiflow.methods.score import score_samples

with job(snakemake.log[0]):
    run, wildcards = load_config(snakemake.config), snakemake.wildcards
    experiment = run.experiment(wildcards.experiment, wildcards.class_name)
    score_samples(
        experiment,
        ClassFiles.of_job(experiment, run.root, snakemake.input),
        Path(snakemake.input.model[0]),
        Path(snakemake.output.scores),
        {"versions": versions(), "revision": git_revision()},
    )
