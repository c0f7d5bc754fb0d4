"""Draw a method on a class: anomaly maps, foreground masks, score histograms and ROC curves."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.datasets.ground_truth import GroundTruthFile
from multiflow.datasets.table import load_samples
from multiflow.foreground.file import ForegroundFile
from multiflow.results.figures.anomaly_maps import plot_anomaly_maps
from multiflow.results.figures.detection import plot_detection
from multiflow.results.figures.foreground import plot_foreground
from multiflow.results.figures.subject import Subject
from multiflow.scores import ScoreFile

with job(snakemake.log[0]):
    run, name, class_name = load_config(snakemake.config), *snakemake.wildcards
    experiment, output = run.experiment(name, class_name), snakemake.output
    foreground = snakemake.input.get("foreground")
    subject = Subject(
        snakemake.params.heading,
        class_name,
        load_samples(Path(snakemake.input.samples)),
        run.root,
        GroundTruthFile(snakemake.input.ground_truth),
        ForegroundFile(foreground[0]) if foreground else None,
        experiment.foreground,
        experiment.evaluation,
    )
    seeds = run.seeds_of(name)
    scores = {seed: ScoreFile(path) for seed, path in zip(seeds, snakemake.input.scores, strict=True)}
    plot_anomaly_maps(subject, seeds[0], scores[seeds[0]], Path(output.anomaly_maps), Path(output.anomaly_maps_pdf))
    plot_foreground(subject, Path(output.foreground), Path(output.foreground_pdf))
    plot_detection(subject, scores, Path(output.detection), Path(output.detection_pdf))
