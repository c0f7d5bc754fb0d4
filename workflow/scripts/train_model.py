"""Train one model, or take one that was imported."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.methods.data import ClassFiles
from multiflow.methods.finished import checkpoint_of
from multiflow.methods.train import adopt_model, train_model

with job(snakemake.log[0]):
    run, wildcards, output = load_config(snakemake.config), snakemake.wildcards, snakemake.output
    experiment = run.experiment(wildcards.experiment, wildcards.class_name)
    if imported := snakemake.input.get("imported"):
        adopt_model(
            experiment,
            wildcards.class_name,
            int(wildcards.seed),
            Path(imported),
            Path(output.model),
            Path(output.history),
        )
    else:
        train_model(
            experiment,
            int(wildcards.seed),
            ClassFiles.of_job(experiment, run.root, snakemake.input),
            Path(output.model),
            Path(output.history),
            checkpoint_of(run.folder, wildcards),
            keep=run.keep.models,
        )
