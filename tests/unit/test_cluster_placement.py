"""A job without a GPU is not sent where those with one go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.resources import Resource, Resources

from multiflow.cluster import place

PROFILE = {
    "slurm_partition": "a100", "slurm_account": "deep", "qos": "gpu", "constraint": "nvlink", "gres": "gpu:a100:1",
    "gpu_model": "a100", "slurm_extra": "--reservation=gpus",
}  # fmt: skip
GENERAL = Resources({"slurm_partition": Resource("slurm_partition", "long"), "qos": Resource("qos", "normal")})


def on_gpu(wildcards: Any) -> bool:
    return wildcards.method == "mvanet"


def evaluated(resources: Resources, method: str) -> dict[str, Any]:
    """What Snakemake makes of the resources of one job."""
    job = {"input": [], "attempt": 1, "threads": 1, "rulename": "segment_foreground", "async_run": None}
    values = {name: item.evaluate(SimpleNamespace(method=method), **job).value for name, item in resources.items()}
    return {name: value for name, value in values.items() if value is not None}


def resources() -> Resources:
    return Resources({name: Resource(name, value) for name, value in (PROFILE | {"mem_mb": 8000}).items()})


def test_each_job_has_its_place() -> None:
    placed = resources()
    place(placed, on_gpu, GENERAL)
    assert evaluated(placed, "mvanet") == PROFILE | {"mem_mb": 8000}
    assert evaluated(placed, "threshold") == {"slurm_partition": "long", "qos": "normal", "mem_mb": 8000}


def test_an_expression_of_a_profile_is_evaluated() -> None:
    placed = Resources(
        {"slurm_partition": Resource.from_cli_expression("slurm_partition", "'big' if attempt > 0 else ''")}
    )
    place(placed, on_gpu, {})
    assert evaluated(placed, "mvanet") == {"slurm_partition": "big"}
    assert evaluated(placed, "threshold") == {}


@pytest.mark.parametrize("method", ["mvanet", "threshold"])
def test_what_no_profile_sets_stays_unset(method: str) -> None:
    placed = Resources({"mem_mb": Resource("mem_mb", 8000)})
    place(placed, on_gpu, GENERAL)
    assert evaluated(placed, method) == {"mem_mb": 8000}
