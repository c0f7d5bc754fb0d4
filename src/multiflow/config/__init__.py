"""The configuration of a run, validated once; `config/README.md` explains every key."""

from multiflow.config.blocks import Dataset, Evaluation, Features, Flow, Foreground, Keep, Training
from multiflow.config.loading import load_config, read_overlays
from multiflow.config.run import Config, Experiment, resolve_experiment

__all__ = [
    "Config",
    "Dataset",
    "Evaluation",
    "Experiment",
    "Features",
    "Flow",
    "Foreground",
    "Keep",
    "Training",
    "load_config",
    "read_overlays",
    "resolve_experiment",
]
