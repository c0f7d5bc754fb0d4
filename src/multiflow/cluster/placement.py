"""Where a job goes: with a GPU where the profile sends its rule, without one where all other jobs go.

A profile cannot decide it: whether a job needs a GPU depends on the run's configuration. Many clusters refuse jobs
without one in their GPU partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

__all__ = ["GPU_RESOURCES", "send_to_partition"]

GPU_RESOURCES = ("slurm_partition", "slurm_account", "qos", "constraint", "gres", "gpu_model", "slurm_extra")
"""What a profile sets for a rule on GPUs, and what its jobs without one do not get."""


def send_to_partition(resources: MutableMapping[str, Any], general: Mapping[str, Any]) -> None:
    """Let those of a rule's jobs that ask for no GPU have the resources of jobs in general.

    Args:
        resources: of the rule, as Snakemake holds them before it knows a job; changed in place. ``gpu`` among them says
            how many a job asks for.
        general: the default resources.
    """
    gpus = resources["gpu"]
    for name in GPU_RESOURCES:
        if name in resources:
            resources[name] = _choice(gpus, resources[name], general.get(name))


def _choice(gpus: Any, own: Any, general: Any | None) -> Callable[..., Any]:
    """A resource that Snakemake evaluates for every job and attempt, by the names of its arguments; None: not set."""

    def choose(wildcards: Any, input: Any, attempt: int, threads: int, rulename: str, async_run: Any) -> Any:
        given = {"input": input, "attempt": attempt, "threads": threads, "rulename": rulename, "async_run": async_run}
        chosen = own if gpus.evaluate(wildcards, **given).value else general
        return None if chosen is None else chosen.evaluate(wildcards, **given).value

    return choose
