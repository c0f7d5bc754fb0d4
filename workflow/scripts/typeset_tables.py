"""Typeset all tables in one PDF."""

from pathlib import Path

from multiflow.base.job import job
from multiflow.results.tables import write_pdf

with job(snakemake.log[0]):
    write_pdf(
        [
            ("Tables", [Path(path) for path in snakemake.input.tables]),
            ("Tests of the ablations", [Path(snakemake.input.ablations)]),
            ("Statistics of the methods", [Path(path) for path in snakemake.input.statistics]),
            ("Comparison with the paper", [Path(snakemake.input.comparison)]),
        ],
        snakemake.params.title,
        Path(snakemake.output.pdf),
        Path(snakemake.log.latex),
    )
