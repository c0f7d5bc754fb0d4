"""Train one flow."""

from pathlib import Path

from multiflow.config import Features, Flow, Training
from multiflow.flow_input import open_input
from multiflow.job import job
from multiflow.training import train_flow

with job(snakemake.log[0]):
    foreground = snakemake.input.get("foreground")
    train_flow(
        open_input(Path(snakemake.input.features), Path(foreground) if foreground else None, snakemake.params.to_grid),
        Features(**snakemake.params.features),
        Flow(**snakemake.params.flow),
        Training(**snakemake.params.training, checkpoint_every=snakemake.resources.checkpoint_every),
        int(snakemake.wildcards.seed),
        Path(snakemake.output.flow),
        Path(snakemake.output.history),
        Path(snakemake.params.checkpoint),
        take_up=bool(snakemake.resources.take_up),
    )
