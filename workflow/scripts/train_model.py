"""Train the models of a job's seeds, or take those that were imported."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.methods.data import ClassFiles
from multiflow.methods.finished import checkpoint_of, forget_finished
from multiflow.methods.train import adopt_model, train_model

with job(snakemake.log[0]):
    run, wildcards, output = load_config(snakemake.config), snakemake.wildcards, snakemake.output
    name, class_name = wildcards.experiment, wildcards.class_name
    experiment = run.experiment(name, class_name)
    files = ClassFiles.of_job(experiment, run.root, snakemake.input)
    imported = {path.stem: path for path in map(Path, snakemake.input.get("imported", []))}
    if wildcards.get("seed"):
        outputs, shared = {int(wildcards.seed): (output.model, output.history)}, None
    else:
        pairs = zip(output.models, output.histories, strict=True)
        outputs, shared = dict(zip(run.seeds_together, pairs, strict=True)), {}
    for seed, (model, history) in outputs.items():
        made = Path(model), Path(history)
        if found := imported.get(f"seed{seed}"):
            adopt_model(experiment, class_name, seed, found, *made)
        else:
            # A second attempt does not train again what this one has.
            keep = run.keep.models or len(outputs) > 1
            checkpoint = checkpoint_of(run.folder, name, class_name, seed)
            train_model(experiment, seed, files, *made, checkpoint, keep=keep, shared=shared)
    if not run.keep.models:
        for seed in outputs:
            forget_finished(checkpoint_of(run.folder, name, class_name, seed))
