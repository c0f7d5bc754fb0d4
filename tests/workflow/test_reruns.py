"""What a change makes again, and what it leaves alone."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import Checkout, small_run
from PIL import Image
from safetensors.torch import save_file

from multiflow.base.tensors import read_provenance
from multiflow.base.weights import read_weights
from multiflow.methods.contract import Model
from multiflow.methods.model import read_model, write_model
from multiflow.results.tables.pdf import missing_latex

OVERLAYS = ["config/demo.yaml", "test.yaml"]


def planned(printed: str) -> Counter[str]:
    """Jobs of a dry run, by rule."""
    return Counter({rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)})


def ran(printed: str) -> Counter[str]:
    """Jobs that ran, by rule."""
    return Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", printed, re.MULTILINE))


def changed_run(**change: Any) -> dict[str, Any]:
    return small_run() | change


def test_a_second_run_does_nothing_and_says_so(rendered: Checkout) -> None:
    assert "Nothing to be done" in rendered.succeed(OVERLAYS)


def test_touching_a_script_reruns_nothing(rendered: Checkout) -> None:
    for name in ("train_model.py", "score_samples.py"):
        script = rendered.folder / "workflow/scripts" / name
        script.write_text(script.read_text() + "# touched\n")
    assert "Nothing to be done" in rendered.succeed(OVERLAYS, "-n")


def test_a_new_seed_class_or_experiment_runs_only_itself(rendered: Checkout) -> None:
    experiments, one_class = small_run()["experiments"], {"classes": ["stud_brick"]}
    one = {"train_model": 1, "score_samples": 1, "count_metrics": 1, "plot_training": 1}
    two = {"train_model": 2, "score_samples": 2, "count_metrics": 2, "plot_training": 1}
    changes: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
        "seed": (
            changed_run(experiments=experiments | {"multiflow": {"seeds": [0, 1, 2]}}),
            two | {"plot_class": 2},
        ),
        "experiment": (
            changed_run(experiments=experiments | {"noise_none": {"classes": ["coin_cell"]}}),
            one,
        ),
        "class": (
            changed_run(dataset={"image_folder": "realiad_128", "classes": ["stud_brick", "coin_cell", "flange_nut"]}),
            two | {
                "render_class": 1, "flip_views": 1, "extract_features": 1, "segment_foreground": 1, "plot_class": 1,
            },
        ),
        "evaluation": (
            changed_run(evaluation={"sample_score": "mean"}),
            {"count_metrics": 7, "plot_class": 2},
        ),
        "training": (
            changed_run(experiments=experiments | {"no_cross_view": {"training": {"epochs": 5}, **one_class}}),
            one,
        ),
        "masks": (
            changed_run(foreground={"mask_size": 128, "dilation": 4}),
            {"train_model": 5, "score_samples": 6, "count_metrics": 6, "plot_training": 1, "plot_class": 2},
        ),
    }  # fmt: skip
    always = {"collect_metrics", "compare_ablations", "compare_with_paper", "plot_metrics", "list_runs"}
    always |= {"compare_methods", "list_intervals", "list_costs"}
    always |= {"summarize", "write_report", "all", "make_table"} | (set() if missing_latex() else {"typeset_tables"})
    for name, (values, expected) in changes.items():
        overlay = rendered.write_config(values, f"{name}.yaml")
        found = planned(rendered.succeed(["config/demo.yaml", overlay], "-n"))
        stations = {rule: count for rule, count in found.items() if rule not in always | {"total"}}
        assert stations == expected, name
        assert always <= set(found), name


def test_what_changes_no_number_reruns_nothing(rendered: Checkout) -> None:
    run = small_run()
    weights = rendered.folder / "results/small/weights/tf_efficientnet_lite0.in1k.safetensors"
    change = {
        "methods": {"multiflow": {"training": {"checkpoint_every": 7, "compile": True}}},
        "compute": {"device": "auto", "threads": 2, "workers": 0},
        "features": {"lite0": {"weights_sha256": read_provenance(weights)["sha256"]}},
        "segmentation": {"weights_sha256": 32 * "5e", "batch_size": 4},
    }
    overlay = rendered.write_config(change, "harmless.yaml")
    assert "Nothing to be done" in rendered.succeed([*OVERLAYS, overlay], "-n")
    own = {"experiments": {"multiflow": {"compute": {"threads": 2}, **run["experiments"]["multiflow"]}}}
    assert "Nothing to be done" in rendered.succeed([*OVERLAYS, rendered.write_config(own, "own.yaml")], "-n")


def test_an_experiments_own_threads_reach_snakemake(rendered: Checkout) -> None:
    # What a dry run prints of a job with a message does not tell its threads: the rule is asked itself.
    asked = textwrap.dedent(
        """
        from snakemake.iocontainers import Wildcards

        include: "Snakefile"

        for asked_name in ("multiflow", "no_cross_view"):
            asked_of = Wildcards(fromdict={"experiment": asked_name, "class_name": "stud_brick", "seed": "0"})
            for asked_rule in ("train_model", "score_samples"):
                asked_threads = workflow.get_rule(asked_rule).resources["_cores"]
                print(asked_rule, asked_name, asked_threads.evaluate(
                    asked_of, input=None, attempt=1, threads=None, rulename=asked_rule, async_run=None
                ).value)
        """
    )
    (rendered.folder / "asked.smk").write_text(asked)
    own = {"experiments": {"multiflow": {"compute": {"threads": 3}}}}
    printed = rendered.succeed(
        [*OVERLAYS, rendered.write_config(own, "threads.yaml")], "-n", "--snakefile", "asked.smk"
    )
    for rule in ("train_model", "score_samples"):
        assert f"{rule} multiflow 3\n" in printed, printed[:3000]
        assert f"{rule} no_cross_view 1\n" in printed


def test_a_copy_without_times_reruns_nothing(finished: Checkout) -> None:
    files = [path for path in finished.folder.rglob("*") if path.is_file()]
    now = time.time()
    for number, path in enumerate(random.Random(0).sample(files, len(files))):
        os.utime(path, (now + number / 100,) * 2)
    assert "Nothing to be done" in finished.succeed(OVERLAYS, "-n")


def test_a_data_set_and_weights_that_moved_rerun_nothing_behind_them(
    finished: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, parts = finished.folder / "results/small", finished.folder / "parts of {2024}, 5$ ü"
    (results / "dataset").rename(parts)
    shutil.copy(results / "weights/tf_efficientnet_lite0.in1k.safetensors", finished.folder / "lite0.safetensors")
    moved = {
        "dataset": {"root": "${PARTS}/" + parts.name, "name": "Parts {2024}"},
        "rendering": None,
        "features": {"lite0": {"weights": "lite0.safetensors"}},
    }
    monkeypatch.setenv("PARTS", str(finished.folder))
    # With a core for each, jobs start as soon as they may.
    printed = finished.succeed([*OVERLAYS, finished.write_config(moved, "moved.yaml")], "--cores", "8")
    # The tables say whether the parts were rendered, so they are written again.
    stations = {"extract_features", "segment_foreground", "train_model", "score_samples", "count_metrics", "plot_class"}
    assert (ran(printed)["flip_views"], ran(printed)["fetch_weights"]) == (2, 1)
    assert not stations & set(ran(printed)), ran(printed)
    # What reads the tables has waited for them.
    assert "Nothing to be done" in finished.succeed([*OVERLAYS, "moved.yaml"], "-n")


def test_only_what_a_changed_picture_changes_is_made_again(finished: Checkout) -> None:
    results = finished.folder / "results/small"
    forced = ["--forcerun", "flip_views"]
    unchanged = ran(finished.succeed(OVERLAYS, *forced))
    assert unchanged["flip_views"] == 2
    assert set(unchanged) <= {"flip_views", "all", "write_report"}, unchanged

    before = json.loads((results / "samples/coin_cell.json").read_text())
    picture = sorted((results / "dataset/realiad_128/coin_cell/OK").rglob("*.jpg"))[0]
    time = picture.stat().st_mtime
    Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture, quality=95)
    os.utime(picture, (time, time))
    changed = ran(finished.succeed(OVERLAYS, *forced))
    after = json.loads((results / "samples/coin_cell.json").read_text())
    assert before["pictures"] != after["pictures"]
    assert before["ground_truth"] == after["ground_truth"]
    assert (changed["extract_features"], changed["segment_foreground"], changed["train_model"]) == (1, 1, 2), changed
    assert changed["count_metrics"] == 2
    assert "Nothing to be done" in finished.succeed(OVERLAYS, "-n")


def test_other_weights_in_the_same_file_are_seen(finished: Checkout) -> None:
    stored = finished.folder / "results/small/weights/tf_efficientnet_lite0.in1k.safetensors"
    state, _ = read_weights(stored)
    overlay = finished.write_config({"features": {"lite0": {"weights": "own.safetensors"}}}, "own.yaml")
    save_file(state, finished.folder / "own.safetensors")
    target = "results/small/metrics/multiflow/coin_cell/seed0.json"
    assert ran(finished.succeed([*OVERLAYS, overlay], target)) == Counter(["fetch_weights"])
    save_file({name: tensor.mul(1.5) if name == "conv_stem.weight" else tensor for name, tensor in state.items()},
              finished.folder / "own.safetensors")  # fmt: skip
    os.utime(finished.folder / "own.safetensors", (0, 0))  # a file that is moved there keeps its time
    changed = ran(finished.succeed([*OVERLAYS, overlay], target))
    assert (changed["fetch_weights"], changed["extract_features"], changed["segment_foreground"]) == (1, 1, 0), changed
    assert changed["count_metrics"] == 1
    other = finished.write_config({"features": {"lite0": {"weights_sha256": 32 * "5e"}}}, "other.yaml")
    for _ in range(2):  # the second time, Snakemake has records of the first
        result = finished.run([*OVERLAYS, overlay, other], target)
        assert result.returncode == 1
        assert f"own.safetensors: expected SHA-256 {32 * '5e'} (weights_sha256), found " in result.stderr
    assert ran(finished.succeed([*OVERLAYS, overlay], target)) == Counter(["fetch_weights"])
    assert "Nothing to be done" in finished.succeed([*OVERLAYS, overlay], "-n", target)


@pytest.mark.parametrize(("rule", "experiment"), [("train_model", "no_cross_view"), ("train_seeds", "multiflow")])
def test_a_training_that_is_forced_is_made_again(finished: Checkout, rule: str, experiment: str) -> None:
    # What was finished is then remembered beyond the end of the run.
    run = {"keep": {"features": False}, "seeds_together": [0, 1]}
    overlays = [*OVERLAYS, finished.write_config(run, "dropping.yaml")]
    target = f"results/small/models/{experiment}/stud_brick/seed0.jsonl"
    history = finished.folder / target
    finished.succeed(overlays, target, "--forcerun", rule)
    before = history.read_text()
    assert list((finished.folder / "results/small/checkpoints").rglob("seed0.finished.jsonl"))
    others = [["--forcerun", f"./{target}"], ["--force"]] if rule == "train_seeds" else []
    for forced in (["--forcerun", rule], *others):
        finished.succeed(overlays, target, *forced)
        after = history.read_text()
        assert after != before, f"{forced}: the seconds of its epochs tell that nothing was trained"
        before = after


def test_an_imported_model_stays(finished: Checkout) -> None:
    results = finished.folder / "results/small"
    trained = results / "models/multiflow/coin_cell/seed1.safetensors"
    imported = results / "imported/multiflow/coin_cell/seed0.safetensors"
    model = read_model(trained)
    # As of a checkpoint from elsewhere, which knows no seed; else it would be refused in the place of another.
    write_model(imported, Model(model.tensors, {key: value for key, value in model.metadata.items() if key != "seed"}))
    found = ran(finished.succeed(OVERLAYS))
    assert (found["train_model"], found["score_samples"]) == (1, 1), found
    assert (results / "models/multiflow/coin_cell/seed0.safetensors").read_bytes() == imported.read_bytes()
    values = [
        json.loads((results / f"metrics/multiflow/coin_cell/seed{seed}.json").read_text())["metrics"] for seed in (0, 1)
    ]
    assert values[0] == values[1]
    assert "Nothing to be done" in finished.succeed(OVERLAYS, "-n")
    more = {"features": {"lite0": {"image_size": 160}}}
    assert "Nothing" not in finished.succeed([*OVERLAYS, finished.write_config(more, "larger.yaml")], "-n")


def test_the_command_in_a_runs_json_makes_its_number_again(finished: Checkout) -> None:
    source = finished.folder / "results/small/metrics/multiflow/coin_cell/seed1.json"
    before = json.loads(source.read_text())
    command = before["command"].split()
    assert command[0] == "snakemake"
    source.unlink()
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", *command[1:]],
        cwd=finished.folder,
        env=finished.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    after = json.loads(source.read_text())
    assert after["metrics"] == before["metrics"]
    assert ran(result.stdout + result.stderr)["train_model"] == 1, "it is made from the beginning"


def test_a_table_asks_only_for_the_runs_that_it_shows(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.write_config(small_run())
    found = {name: planned(checkout.succeed(OVERLAYS, "-n", name)) for name in ("table1", "table2", "table4")}
    assert found["table1"]["train_model"] == 4
    assert found["table1"]["count_metrics"] == 4
    assert found["table2"]["train_model"] == 5, "the default and no_cross_view"
    assert found["table4"]["train_model"] == 4
    assert all("collect_metrics" not in jobs for jobs in found.values())
