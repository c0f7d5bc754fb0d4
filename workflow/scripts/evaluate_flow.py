"""Score one flow's test samples and compute the metrics."""

from pathlib import Path

from multiflow.config import Evaluation, Training
from multiflow.evaluation import compute_metrics, score_flow, write_metrics
from multiflow.flow_input import open_input
from multiflow.job import job
from multiflow.provenance import file_sha256, git_revision, versions
from multiflow.scores import ScoreFile

with job(snakemake.log[0]):
    params, wildcards = snakemake.params, snakemake.wildcards
    provenance = {
        "config": {name: value for name, value in params.items() if name is not None},
        "data_sha256": file_sha256(snakemake.input.samples),
        "backbone_sha256": file_sha256(snakemake.input.weights),
        "flow_sha256": file_sha256(snakemake.input.flow),
        "versions": versions(),
        "revision": git_revision(),
    }
    foreground = snakemake.input.get("foreground")
    data = open_input(
        Path(snakemake.input.features),
        Path(foreground) if foreground else None,
        params.foreground["to_grid"],
    )
    scores = Path(snakemake.output.scores)
    device = score_flow(data, Path(snakemake.input.flow), Training(**params.training), scores, provenance)
    with ScoreFile(scores) as score_file:
        metrics = compute_metrics(score_file, data.features, Evaluation(**params.evaluation))
    write_metrics(
        Path(snakemake.output.metrics),
        wildcards.experiment,
        wildcards.class_name,
        int(wildcards.seed),
        metrics,
        {**provenance, "device": device},
    )
