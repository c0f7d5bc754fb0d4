"""Every benchmark runs, at small size; what it measures is looked at by people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def printed(*arguments: str) -> str:
    """What a benchmark prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, f"benchmarks/{arguments[0]}", *arguments[1:]]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Warning" not in result.stderr
    return result.stdout


def test_the_data_path_is_measured() -> None:
    sizes = ("--samples", "3", "--channels", "4", "--map", "4", "--mask-side", "32", "--batch", "2", "--repeat", "1")
    found = json.loads(printed("data_path.py", *sizes))
    assert min(found[name]["samples_per_second"] for name in ("load_cold", "load_warm", "batches")) > 0


def test_the_step_is_measured_beside_a_reference_that_computes_the_same() -> None:
    sizes = ("--batch", "2", "--map", "6", "--channels", "8", "--hidden", "8", "--repeat", "1")
    lines = {line.split("  ")[0]: line for line in printed("training_step.py", *sizes).splitlines()}
    assert {"forward", "backward", "forward and backward", "optimizer (AdamW)"} <= set(lines)
    differences = [float(word.strip(",")) for word in lines.popitem()[1].split() if "e" in word and word[0].isdigit()]
    assert len(differences) == 4
    assert max(differences) < 1e-4


def test_the_extraction_is_measured() -> None:
    found = json.loads(printed("feature_extraction.py", "--samples", "4", "--size", "64", "--image-size", "64"))
    assert found["images_per_second"] > 0


def test_the_start_of_jobs_is_measured() -> None:
    lines = [line.split() for line in printed("start.py", "--repeat", "1").splitlines()[1:]]
    assert {name for name, _ in lines} >= {"Snakemake", "train_model", "score_samples"}
    assert min(float(seconds) for _, seconds in lines) > 0


@pytest.mark.parametrize("station", ["flip_views", "train_model", "score_samples", "count_metrics"])
def test_a_station_is_measured(station: str) -> None:
    """The smallest class; the two large networks take longer than a test may."""
    samples = 8 if station == "train_model" else 2
    found = json.loads(printed("stations.py", station, "--samples", str(samples)))
    assert (found["station"], found["samples"]) == (station, samples)
    assert found["peak_mb"] > 100
