"""Draw the metrics per class, and what each experiment changes."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.figures.ablations import plot_ablations
from multiflow.results.figures.classes import DETECTION, SEGMENTATION, plot_classes
from multiflow.results.intervals import load_intervals
from multiflow.results.records import load_metrics
from multiflow.results.tables import context_from_values

with job(snakemake.log[0]):
    output, context = snakemake.output, context_from_values(snakemake.params.context)
    metrics = load_metrics(Path(snakemake.input.metrics))
    intervals = load_intervals(map(Path, snakemake.input.runs))
    for shown, name in ((DETECTION, "detection"), (SEGMENTATION, "segmentation")):
        paths = Path(output[name]), Path(output[f"{name}_pdf"])
        plot_classes(metrics, shown, context, *paths, intervals=intervals)
    plot_ablations(metrics, context, Path(output.ablations), Path(output.ablations_pdf))
