"""Count the metrics of one run."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config, write_configuration
from multiflow.datasets import read_digests, read_doubts
from multiflow.datasets.ground_truth import GroundTruthFile
from multiflow.metrics.counting import count_metrics, write_metrics
from multiflow.scores import ScoreFile

with job(snakemake.log[0]):
    run, wildcards, output = load_config(snakemake.config), snakemake.wildcards, snakemake.output.metrics
    experiment = run.experiment(wildcards.experiment, wildcards.class_name)
    scores = ScoreFile(snakemake.input.scores)
    counted = count_metrics(scores, GroundTruthFile(snakemake.input.ground_truth), experiment.evaluation)
    write_metrics(
        Path(output),
        wildcards.experiment,
        wildcards.class_name,
        int(wildcards.seed),
        counted,
        f"snakemake --configfile {write_configuration(snakemake.config, run.folder)} --forceall {output}",
        {
            **{name: value for name, value in scores.provenance.items() if name not in ("scoring", "background")},
            "config": run.decided_by(experiment),
            "ground_truth_sha256": read_digests(snakemake.input.digests)["ground_truth"],
        },
        read_doubts(snakemake.input.digests),
    )
