"""Draw the metrics per class, and what each experiment changes."""

from pathlib import Path

from multiflow.figures.ablations import plot_ablations
from multiflow.figures.classes import DETECTION, SEGMENTATION, plot_classes
from multiflow.job import job
from multiflow.metrics import load_metrics
from multiflow.tables import context_from_values

with job(snakemake.log[0]):
    output, experiment = snakemake.output, snakemake.params.experiment
    metrics = load_metrics(Path(snakemake.input.metrics))
    context = context_from_values(snakemake.params.context)
    for labels, name in ((DETECTION, "detection"), (SEGMENTATION, "segmentation")):
        plot_classes(metrics, experiment, labels, context, Path(output[name]), Path(output[f"{name}_pdf"]))
    plot_ablations(metrics, experiment, context, Path(output.ablations), Path(output.ablations_pdf))
