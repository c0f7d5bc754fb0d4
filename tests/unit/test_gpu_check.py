"""The check of a GPU, run on a CPU at small size: `make bench-gpu` is to work when somebody first has a GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from multiflow.config import load_config, read_overlays
from multiflow.config.run import merge
from multiflow.methods import METHODS
from multiflow.methods.contract import FeatureShape

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    yield
    for name in ("gpu", "gpu_parity", "gpu_speed", "training_step"):
        sys.modules.pop(name, None)


def test_a_cpu_computes_what_a_cpu_computes_and_another_result_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import gpu_parity

    same = list(gpu_parity._method("multiflow", CPU))
    assert [comparison.name for comparison in same] == ["multiflow: scores", "multiflow: training, then scores"]
    assert all(comparison.holds and comparison.difference == 0 for comparison in same)
    flow = gpu_parity._flow(CPU)
    assert gpu_parity._difference(1.001 * flow["gradients"], flow["gradients"]) == pytest.approx(1e-3, rel=1e-3)
    with gpu_parity.precision("bfloat16", CPU):
        rounded = gpu_parity._flow(CPU)
    difference = gpu_parity._difference(rounded["latents"], flow["latents"])
    assert gpu_parity.TOLERANCES["float32"] < difference < gpu_parity.TOLERANCES["bfloat16"]


def test_every_registered_method_is_checked_or_named() -> None:
    import gpu_parity

    for name in METHODS:
        if name not in gpu_parity._SMALL:
            (comparison,) = gpu_parity._method(name, CPU)
            assert comparison.remark.startswith("not checked")
            assert not comparison.holds
    assert set(gpu_parity._SMALL) <= set(METHODS)


def test_the_speed_of_a_training_step_is_counted_work_over_time() -> None:
    import gpu
    import gpu_speed

    sizes = gpu_speed.Sizes(features=FeatureShape(8, 4, 4), samples=2, hidden=4)
    found = list(gpu_speed._trainings(CPU, sizes, ("float32",)))
    assert [speed.name for speed in found] == ["training step", "training step, plain reference", "scoring"]
    step, plain, scoring = found
    assert step.tflops is not None
    assert scoring.tflops is not None
    # Forward and backward of two samples are six times a sample's way forward.
    assert step.tflops / step.rate == pytest.approx(6 * scoring.tflops / scoring.rate)
    assert plain.tflops == pytest.approx(step.tflops * plain.rate / step.rate)
    tf32 = gpu_speed.Speed("training step", "TF32", "steps", 1.0, 30.0)
    assert gpu._costs([tf32, scoring]) == {"gpu_training_tflops": 30.0, "gpu_scoring_tflops": scoring.tflops}


def test_the_small_run_of_the_workflow_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import gpu

    root = Path(__file__).parents[2] / "config"
    values = read_overlays([root / "config.yaml", root / "demo.yaml"])
    config = load_config(merge(values, gpu.OVERLAY | {"compute": {"device": "cpu"}}))
    assert config.run == "gpu_check"
    assert config.rendering is not None
