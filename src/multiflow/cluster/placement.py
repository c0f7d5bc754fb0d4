"""Where a job goes: with a GPU where the profile sends its rule, without one where all other jobs go.

A profile cannot tell: whether a rule needs a GPU depends on the run's configuration. Many clusters refuse jobs without
one in their GPU partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

__all__ = ["GPU_RESOURCES", "place"]

GPU_RESOURCES = ("slurm_partition", "slurm_account", "qos", "constraint", "gres", "gpu_model", "slurm_extra")
"""What a profile sets for a rule on GPUs, and what its jobs without one do not get."""


def place(resources: MutableMapping[str, Any], goes_to_gpu: Callable[[Any], bool], general: Mapping[str, Any]) -> None:
    """Let those of a rule's jobs that need no GPU have the resources of jobs in general.

    Args:
        resources: of the rule, as Snakemake holds them before it knows a job; changed in place.
        goes_to_gpu: whether a job needs a GPU, from its wildcards, or one that is submitted together with it: all of
            those must go to one place.
        general: the default resources.
    """
    for name in GPU_RESOURCES:
        if name in resources:
            resources[name] = _choice(goes_to_gpu, resources[name], general.get(name))


def _choice(goes_to_gpu: Callable[[Any], bool], own: Any, general: Any | None) -> Callable[..., Any]:
    """A resource that Snakemake evaluates for every job and attempt, by the names of its arguments; None: not set."""

    def choose(wildcards: Any, input: Any, attempt: int, threads: int, rulename: str, async_run: Any) -> Any:
        chosen = own if goes_to_gpu(wildcards) else general
        if chosen is None:
            return None
        given = {"input": input, "attempt": attempt, "threads": threads, "rulename": rulename, "async_run": async_run}
        return chosen.evaluate(wildcards, **given).value

    return choose
