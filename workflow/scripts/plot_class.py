"""Draw a class: anomaly maps, foreground masks, score histograms and ROC curves."""

from pathlib import Path

from multiflow.figures.anomaly_maps import plot_anomaly_maps
from multiflow.figures.detection import plot_detection
from multiflow.figures.foreground import plot_foreground
from multiflow.job import job
from multiflow.samples import load_samples
from multiflow.scores import ScoreFile
from multiflow.store import ForegroundFile

with job(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    class_name, root = snakemake.wildcards.class_name, Path(params.root)
    samples = load_samples(Path(snakemake.input.samples))
    foreground = ForegroundFile(snakemake.input.foreground) if snakemake.input.get("foreground") else None
    scores = {seed: ScoreFile(path) for seed, path in zip(params.seeds, snakemake.input.scores, strict=True)}
    plot_anomaly_maps(
        class_name,
        samples,
        root,
        scores[params.seeds[0]],
        foreground,
        Path(output.anomaly_maps),
        Path(output.anomaly_maps_pdf),
        run=f"{params.experiment}, seed {params.seeds[0]}",
        sample_score=params.sample_score,
        to_grid=params.to_grid,
        ground_truth_threshold=params.ground_truth_threshold,
    )
    plot_foreground(class_name, samples, root, foreground, Path(output.foreground), Path(output.foreground_pdf))
    plot_detection(
        class_name,
        scores,
        Path(output.detection),
        Path(output.detection_pdf),
        experiment=params.experiment,
        sample_score=params.sample_score,
    )
