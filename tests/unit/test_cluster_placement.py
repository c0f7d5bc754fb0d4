"""A job without a GPU is not sent where those with one go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.resources import Resource, Resources

from multiflow.cluster import send_to_partition

PROFILE = {
    "slurm_partition": "a100", "slurm_account": "deep", "qos": "gpu", "constraint": "nvlink", "gres": "gpu:a100:1",
    "gpu_model": "a100", "slurm_extra": "--reservation=gpus",
}  # fmt: skip
GENERAL = Resources({"slurm_partition": Resource("slurm_partition", "long"), "qos": Resource("qos", "normal")})


GPU = Resource("gpu", lambda wildcards: int(wildcards.method == "mvanet"))


def evaluated(resources: Resources, method: str) -> dict[str, Any]:
    """What Snakemake makes of the resources of one job."""
    job = {"input": [], "attempt": 1, "threads": 1, "rulename": "segment_foreground", "async_run": None}
    values = {name: item.evaluate(SimpleNamespace(method=method), **job).value for name, item in resources.items()}
    return {name: value for name, value in values.items() if value is not None}


def resources() -> Resources:
    values = {name: Resource(name, value) for name, value in (PROFILE | {"mem_mb": 8000}).items()}
    return Resources(values | {"gpu": GPU})


def test_a_job_without_a_gpu_goes_where_all_others_go() -> None:
    sent = resources()
    send_to_partition(sent, GENERAL)
    assert evaluated(sent, "mvanet") == PROFILE | {"mem_mb": 8000, "gpu": 1}
    assert evaluated(sent, "threshold") == {"slurm_partition": "long", "qos": "normal", "mem_mb": 8000, "gpu": 0}


def test_an_expression_of_a_profile_is_evaluated() -> None:
    expression = Resource.from_cli_expression("slurm_partition", "'big' if attempt > 0 else ''")
    sent = Resources({"slurm_partition": expression, "gpu": GPU})
    send_to_partition(sent, {})
    assert evaluated(sent, "mvanet") == {"slurm_partition": "big", "gpu": 1}
    assert evaluated(sent, "threshold") == {"gpu": 0}


@pytest.mark.parametrize("method", ["mvanet", "threshold"])
def test_what_no_profile_sets_stays_unset(method: str) -> None:
    sent = Resources({"mem_mb": Resource("mem_mb", 8000), "gpu": GPU})
    send_to_partition(sent, GENERAL)
    assert evaluated(sent, method) == {"mem_mb": 8000, "gpu": int(method == "mvanet")}
