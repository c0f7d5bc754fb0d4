"""Where a job goes: with a GPU where the profile sends its rule, without one where all other jobs go.

A profile cannot tell: whether a rule needs a GPU depends on the run's configuration. Many clusters refuse jobs without
one in their GPU partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

__all__ = ["GPU_RESOURCES", "place"]

GPU_RESOURCES = ("slurm_partition", "slurm_account", "qos", "constraint", "gres", "gpu_model")
"""What a profile sets for a rule on GPUs, and what its jobs without one do not get."""


def place(
    resources: MutableMapping[str, Any], gpus: Sequence[Callable[[Any], int]], general: Mapping[str, Any]
) -> None:
    """Let those of a rule's jobs that need no GPU have the resources of jobs in general.

    Args:
        resources: of the rule, as Snakemake holds them before it knows a job; changed in place.
        gpus: the number of GPUs that a job needs, from its wildcards: the rule's own, and that of every rule whose
            jobs are submitted together with it, since all of those must go to one place.
        general: the default resources.
    """
    for name in GPU_RESOURCES:
        if name in resources:
            resources[name] = _choice(gpus, resources[name], general.get(name))


def _choice(gpus: Sequence[Callable[[Any], int]], own: Any, general: Any | None) -> Callable[..., Any]:
    """A resource that Snakemake evaluates for every job and attempt, by the names of its arguments; None: not set."""

    def choose(wildcards: Any, input: Any, attempt: int, threads: int, rulename: str, async_run: Any) -> Any:
        chosen = own if any(count(wildcards) for count in gpus) else general
        if chosen is None:
            return None
        given = {"input": input, "attempt": attempt, "threads": threads, "rulename": rulename, "async_run": async_run}
        return chosen.evaluate(wildcards, **given).value

    return choose
