"""Seeds that one job trains: the same models, and none trained twice."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout
from test_reruns import OVERLAYS, planned, ran

from multiflow.methods.contract import Model
from multiflow.methods.model import read_model, write_model

SEEDS = (0, 1)


@pytest.fixture
def together(finished: Checkout) -> list[str]:
    """Overlays by which the finished run's seeds share a job."""
    return [*OVERLAYS, finished.write_config({"seeds_together": list(SEEDS)}, "together.yaml")]


def models(checkout: Checkout) -> dict[str, bytes]:
    folder = checkout.folder / "results/small/models"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def history(checkout: Checkout, seed: int) -> list[dict[str, Any]]:
    path = checkout.folder / f"results/small/models/multiflow/coin_cell/seed{seed}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_job_makes_the_same_models_as_one_for_each(finished: Checkout, together: list[str]) -> None:
    assert "Nothing to be done" in finished.succeed(together, "-n"), "who makes a model doesn't change it"
    results = finished.folder / "results/small"
    before, metrics = models(finished), (results / "metrics.csv").read_bytes()
    shutil.rmtree(results / "models/multiflow")
    found = ran(finished.succeed(together, "--forcerun", "train_seeds", "results/small/metrics.csv"))
    # Another experiment scores with one of the models; those with one seed only train it in a job of its own.
    assert (found["train_seeds"], found["train_model"], found["count_metrics"]) == (2, 0, 5), found
    assert models(finished) == before
    assert (results / "metrics.csv").read_bytes() == metrics
    assert "Nothing to be done" in finished.succeed(OVERLAYS, "-n")
    log = (results / "logs/train_seeds/multiflow/coin_cell.log").read_text()
    assert all(f"training multiflow on coin_cell, seed {seed}: 4 samples" in log for seed in SEEDS), log
    more = finished.write_config({"experiments": {"multiflow": {"seeds": [0, 1, 2]}}}, "more.yaml")
    planned_jobs = planned(finished.succeed([*together, more], "-n"))
    assert (planned_jobs["train_seeds"], planned_jobs["train_model"], planned_jobs["score_samples"]) == (0, 2, 2)


@pytest.mark.parametrize("keep", [True, False])
def test_a_seed_that_fails_costs_the_others_nothing(finished: Checkout, together: list[str], keep: bool) -> None:
    results = finished.folder / "results/small"
    target = "results/small/metrics/multiflow/coin_cell/seed1.json"
    overlays = [*together, finished.write_config({"keep": {"models": keep}}, "keep.yaml")]
    trained = results / "models/multiflow/coin_cell/seed1.safetensors"
    imported = results / "imported/multiflow/coin_cell/seed1.safetensors"
    model, expected = read_model(trained), trained.read_bytes()
    write_model(imported, Model(model.tensors, {**model.metadata, "class": "another"}))
    shutil.rmtree(results / "models/multiflow")
    result = finished.run(overlays, target, "--forcerun", "train_seeds")
    assert result.returncode == 1
    assert "seed1.safetensors: expected a model of method multiflow, class coin_cell, seed 1, found" in result.stderr
    assert not list((results / "models/multiflow/coin_cell").glob("*"))
    links = results / "checkpoints/multiflow/coin_cell"
    first = [json.loads(line) for line in (links / "seed0.finished.jsonl").read_text().splitlines()]

    imported.unlink()
    kept = ["--notemp"] if not keep else []
    finished.succeed(overlays, target, "--forcerun", "count_metrics", *kept)
    assert history(finished, 0) == first, "the seconds of its epochs tell that it was not trained again"
    assert trained.read_bytes() == expected
    assert not list(links.glob("*")), "no link holds the space of models that go"


def test_a_killed_snakemake_trains_only_what_is_left(finished: Checkout, together: list[str]) -> None:
    """Snakemake forces the jobs in which it was killed."""
    folder = finished.folder / "results/small/models/multiflow/coin_cell"
    expected = models(finished)
    target = "results/small/models/multiflow/coin_cell/seed1.safetensors"
    command = finished.command(together, target, "--cores", "1")
    shutil.rmtree(folder)
    slow = finished.folder / "src/multiflow/methods/multiflow/training.py"
    text = slow.read_text()
    slow.write_text(text.replace("    scaling = Scaling.fit", "    time.sleep(60 * seed)\n    scaling = Scaling.fit"))
    process = subprocess.Popen(
        command, cwd=finished.folder, env=finished.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(600):
        if (finished.folder / "results/small/checkpoints/multiflow/coin_cell/seed0.finished.jsonl").exists():
            break
        assert process.poll() is None
        time.sleep(0.1)
    first = history(finished, 0)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    slow.write_text(text)
    assert ran(finished.succeed(together, target))["train_seeds"] == 1
    assert history(finished, 0) == first, "the seconds of its epochs tell that it was not trained again"
    assert models(finished) == expected


def test_a_forced_job_that_waited_when_snakemake_was_killed_trains_all(finished: Checkout, together: list[str]) -> None:
    """Its outputs are marked as incomplete when it is submitted, and deleted when it starts."""
    folder = finished.folder / "results/small/models/multiflow/coin_cell"
    before = [history(finished, seed) for seed in SEEDS]
    for path in folder.iterdir():
        name = base64.urlsafe_b64encode(str(path.relative_to(finished.folder)).encode()).decode()
        (finished.folder / ".snakemake/incomplete" / name).touch()
    target = "results/small/models/multiflow/coin_cell/seed1.safetensors"
    assert ran(finished.succeed(together, target))["train_seeds"] == 1
    assert all(history(finished, seed) != before[seed] for seed in SEEDS)


def test_a_missing_model_is_trained_without_the_others(finished: Checkout, together: list[str]) -> None:
    """As where a seed is put into both lists after the end of the run."""
    before = models(finished), history(finished, 0)
    (finished.folder / "results/small/models/multiflow/coin_cell/seed1.safetensors").unlink()
    target = "results/small/models/multiflow/coin_cell/seed1.safetensors"
    assert ran(finished.succeed(together, target))["train_seeds"] == 1
    assert (models(finished), history(finished, 0)) == before


def test_what_a_site_sets_for_trainings_holds_for_several_seeds(finished: Checkout, together: list[str]) -> None:
    asked = """
include: "Snakefile"
for asked_name in ("train_model", "train_seeds"):
    asked = workflow.get_rule(asked_name).resources
    print(asked_name, *(f"{name}={asked[name].raw}" for name in ("mem_mb", "runtime", "tasks") if asked[name].raw))
"""
    (finished.folder / "asked.smk").write_text(asked)
    printed = finished.succeed(
        together, "-n", "--snakefile", "asked.smk", "--set-resources",
        "train_model:mem_mb=20000", "train_model:runtime=40", "train_model:tasks=2", "train_seeds:tasks=3",
    )  # fmt: skip
    assert "train_model mem_mb=20000 runtime=40 tasks=2\n" in printed, printed[:2000]
    # A time is that of one training.
    assert "train_seeds mem_mb=20000 tasks=3\n" in printed


def test_an_imported_model_takes_the_place_of_its_seed(finished: Checkout, together: list[str]) -> None:
    results = finished.folder / "results/small"
    folder: Path = results / "models/multiflow/coin_cell"
    other, imported = folder / "seed0.safetensors", results / "imported/multiflow/coin_cell/seed1.safetensors"
    model = read_model(other)
    write_model(imported, Model(model.tensors, {key: value for key, value in model.metadata.items() if key != "seed"}))
    before = other.read_bytes()
    found = ran(finished.succeed(together, "results/small/metrics.csv"))
    assert (found["train_seeds"], found["train_model"]) == (1, 0), found
    assert (folder / "seed1.safetensors").read_bytes() == imported.read_bytes()
    assert other.read_bytes() == before
