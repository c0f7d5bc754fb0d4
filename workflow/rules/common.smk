"""The run's configuration, validated once, and the paths that rules share."""

import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "src"))
# The scripts of the rules import the library from this checkout, in whatever environment they run.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [sys.path[0], os.environ.get("PYTHONPATH")])
)

from snakemake.exceptions import WorkflowError

from multiflow.config import load_config, resolve_experiment
from multiflow.errors import InputError
from multiflow.flips import read_flips
from multiflow.tables import TABLES, table_context

try:
    RUN = load_config(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{RUN.run}"
DATASET_ROOT = RUN.dataset.root or f"{RESULTS}/dataset"
RESOLVED = {name: resolve_experiment(RUN, name) for name in RUN.experiments}
# Figures show the first experiment of the configuration, the paper's method.
HEADLINE = next(iter(RUN.experiments))


wildcard_constraints:
    class_name=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    experiment="|".join(RUN.experiments),
    seed=r"\d+",
    method="mvanet|threshold",
    table="|".join(TABLES),


def settings(block):
    """Settings of an experiment's block, as plain values: a rule reruns when they change."""
    values = {
        name: getattr(resolved, block).model_dump(mode="json")
        for name, resolved in RESOLVED.items()
    }
    return lambda wildcards: values[wildcards.experiment]


def foreground_file(wildcards):
    """The foreground masks of an experiment's class; none where everything is foreground."""
    method = RESOLVED[wildcards.experiment].foreground.method
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
