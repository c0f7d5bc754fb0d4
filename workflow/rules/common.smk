"""The run's configuration, validated once, and the paths that rules share."""

import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.join(workflow.current_basedir, "../../src"))

from snakemake.exceptions import WorkflowError

from multiflow.annotations import find_annotations
from multiflow.cluster import exclude_failed
from multiflow.config import load_config, resolve_experiment
from multiflow.errors import InputError
from multiflow.flips import read_flips
from multiflow.job import share_library
from multiflow.second_names import forget_second_names
from multiflow.tables import TABLES, context_values, missing_latex, table_caption, table_place

# The scripts of the rules import the library from this checkout, in whatever environment they run.
share_library()

try:
    RUN = load_config(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{RUN.run}"
DATASET_ROOT = RUN.dataset.root or f"{RESULTS}/dataset"
RESOLVED = {name: resolve_experiment(RUN, name) for name in RUN.experiments}
# GPUs that a job needs, by rule: none where its settings compute on the CPU.
GPUS = {
    "extract_features": lambda wildcards: int(RUN.features.device != "cpu"),
    "segment_foreground": lambda wildcards: int(wildcards.method == "mvanet"),
    "train_flow": lambda wildcards: int(RESOLVED[wildcards.experiment].training.device != "cpu"),
    "evaluate_flow": lambda wildcards: int(
        {RESOLVED[wildcards.experiment].training.device, RESOLVED[wildcards.experiment].evaluation.device}
        != {"cpu"}
    ),
}
# Figures show the first experiment of the configuration, the paper's method.
HEADLINE = next(iter(RUN.experiments))


wildcard_constraints:
    class_name=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    experiment="|".join(RUN.experiments),
    seed=r"\d+",
    method="mvanet|threshold",
    table="|".join(TABLES),


def settings(block, exclude=None):
    """Settings of an experiment's block, as plain values: a rule reruns when they change."""
    values = {
        name: getattr(resolved, block).model_dump(mode="json", exclude=exclude)
        for name, resolved in RESOLVED.items()
    }
    return lambda wildcards: values[wildcards.experiment]


def mask_settings(wildcards):
    """What an experiment's foreground depends on; not the place of its network's weights."""
    foreground = RESOLVED[wildcards.experiment].foreground
    return foreground.mask_settings() | {"to_grid": foreground.to_grid}


def uses_mvanet():
    """Whether an experiment has its foreground from MVANet."""
    return any(resolved.foreground.method == "mvanet" for resolved in RESOLVED.values())


def foreground_file(wildcards):
    """The foreground masks of an experiment's class, the headline's by default; none where all is foreground."""
    method = RESOLVED[wildcards.get("experiment", HEADLINE)].foreground.method
    if method == "none":
        return []
    return f"{RESULTS}/foreground/{method}/{wildcards.class_name}.h5"


def grid(pattern, experiments=RUN.experiments):
    """A path per experiment, class and seed of the run."""
    return [
        path
        for name in experiments
        for path in expand(
            pattern,
            experiment=name,
            class_name=RUN.classes_of(name),
            seed=RUN.seeds_of(name),
        )
    ]


def annotation_file(wildcards):
    """The class's JSON; a missing one is reported by the script, with the classes that are there."""
    if RUN.rendering is not None:
        return f"{DATASET_ROOT}/{RUN.dataset.annotations}/{wildcards.class_name}.json"
    try:
        return str(find_annotations(RUN.dataset, Path(DATASET_ROOT), wildcards.class_name))
    except InputError:
        return []


def flip_row(wildcards):
    """The class's row of the table of flips, so that only a change of this row reruns the class."""
    if RUN.dataset.flips is None:
        return None
    try:
        return read_flips(RUN.dataset.flips, wildcards.class_name, RUN.dataset.cameras)
    except InputError:
        return None  # the script says what is wrong, together with all else


def exclude_failed_gpus(wildcards, attempt):
    """A second attempt runs on another node than those on which a GPU failed; Slurm alone knows this resource."""
    return exclude_failed(Path(RESULTS) / "logs", attempt)
