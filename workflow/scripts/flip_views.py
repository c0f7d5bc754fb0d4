"""Read and validate one class; its flips become a column of the samples table."""

from pathlib import Path

from multiflow.config import Dataset
from multiflow.job import job
from multiflow.samples import read_samples, write_samples

with job(snakemake.log[0]):
    class_name = snakemake.wildcards.class_name
    dataset = Dataset(classes=[class_name], **snakemake.params.dataset)
    samples = read_samples(dataset, Path(snakemake.params.root), class_name, processes=snakemake.threads)
    write_samples(samples, Path(snakemake.output.samples))
