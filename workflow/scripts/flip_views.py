"""Read and validate one class; its flips become a column of the samples table."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.config import load_config
from multiflow.datasets.digests import write_digests
from multiflow.datasets.ground_truth import write_ground_truth
from multiflow.datasets.table import read_samples, write_samples
from multiflow.methods.checks import check_samples

with job(snakemake.log[0], mark=True):
    run, class_name = load_config(snakemake.config), snakemake.wildcards.class_name
    root, output = run.root, snakemake.output
    size, threshold = run.evaluation.ground_truth_size, run.evaluation.ground_truth_threshold
    samples = read_samples(run.dataset, root, class_name, snakemake.threads, threshold)
    check_samples(run.trained_on(class_name), class_name, samples)
    write_ground_truth(samples, root, size, threshold, Path(output.ground_truth))
    write_samples(samples, Path(output.samples))
    write_digests(samples, Path(output.digests))
