"""What methods cost: read from the jobs' own records, also where some are missing, and drawn."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from table_runs import PARTS, context

from multiflow.base.errors import InputError
from multiflow.config import Config, load_config
from multiflow.datasets.table import SAMPLE_COLUMNS
from multiflow.results.costs import RunCost, Taken, load_costs
from multiflow.results.figures import costs as costs_figure
from multiflow.results.figures.costs import plot_costs
from multiflow.results.tables import TableContext, cost_table, format_text, write_csv, write_latex

USAGE = {"seconds": 30.0, "memory": 10**9, "gpu_memory": None, "device": "cpu x86_64", "threads": 1, "samples": 4}
"""What a job notes of itself."""


def configuration(**blocks: Any) -> Config:
    values: dict[str, Any] = {
        "run": "test",
        "dataset": {"name": "Parts", "root": "/data", "classes": list(PARTS[:2])},
        "features": {"b5": {}},
        "foreground": {"method": "threshold"},
        "methods": {"multiflow": {}},
        "experiments": {"multiflow": {}, "ignored": {"foreground": {"background": "ignored"}}},
        "seeds": [0, 1],
    }
    return load_config(values | blocks)


def write_records(folder: Path, config: Config, **usage: Any) -> list[tuple[str, str, int]]:
    """Histories, JSON files and times of all runs of a configuration, and ten samples of each class."""
    runs = config.runs
    for experiment, class_name, seed in runs:
        owner = config.trained_as(experiment, class_name, seed)
        history = folder / f"models/{owner}/{class_name}/seed{seed}.jsonl"
        history.parent.mkdir(parents=True, exist_ok=True)
        training = USAGE | {"seconds": 100.0 + 20 * seed, "samples": 6, "parameters": 2_000_000} | usage
        history.write_text(json.dumps({"epoch": 1, "loss": 0.5}) + "\n" + json.dumps({"usage": training}) + "\n")
        record = folder / f"metrics/{experiment}/{class_name}/seed{seed}.json"
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"usage": USAGE | {"seconds": 2.0}}))
    for class_name in config.dataset.classes:
        (folder / "samples").mkdir(exist_ok=True)
        rows = [
            dict.fromkeys(SAMPLE_COLUMNS, "1") | {"split": split, "sample": f"part{index}", "camera": camera}
            for split, count in (("train", 6), ("test", 4))
            for index in range(count)
            for camera in ("C1", "C2")
        ]
        pd.DataFrame(rows).to_csv(folder / f"samples/{class_name}.csv", index=False)
        for station, seconds in (("extract_features/b5", 30), ("segment_foreground/threshold", 10)):
            path = folder / f"logs/{station}/.{class_name}.log.seconds"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{seconds}\n")
    return runs


def test_costs_come_from_the_jobs_own_records(tmp_path: Path) -> None:
    config = configuration()
    costs = load_costs(config, tmp_path, write_records(tmp_path, config))
    assert [(cost.experiment, cost.class_name, cost.seed) for cost in costs] == config.runs
    for cost in costs:
        assert cost.training is not None
        assert cost.training.seconds == 100 + 20 * cost.seed, "an experiment that shares a model has its training"
        assert cost.scoring_seconds == 0.5
        assert cost.preparation == 4.0, "features and masks of ten samples"
        assert cost.sample_seconds == 4.5


def test_what_was_not_noted_is_missing_and_nothing_else(tmp_path: Path) -> None:
    config = configuration(experiments={"multiflow": {}})
    runs = write_records(tmp_path, config)
    imported, uncounted = (tmp_path / f"models/multiflow/{name}/seed0.jsonl" for name in PARTS[:2])
    imported.write_text('{"imported": "flow.pt"}\n')
    uncounted.write_text("")
    (tmp_path / f"metrics/multiflow/{PARTS[0]}/seed0.json").write_text('{"usage": {}}')
    (tmp_path / f"logs/extract_features/b5/.{PARTS[1]}.log.seconds").unlink()
    first, second, third, _ = load_costs(config, tmp_path, runs)
    assert (first.training, first.scoring, first.sample_seconds) == (None, None, None)
    assert first.preparation == 4.0
    assert second.training is not None
    assert (third.training, third.preparation, third.sample_seconds) == (None, None, None)
    # A method that asks for no station has no preparation.
    cflow = configuration(methods={"cflow": {}}, experiments={"cflow": {}})
    assert [cost.preparation for cost in load_costs(cflow, tmp_path, write_records(tmp_path, cflow))] == [0.0] * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{half", "seed0.jsonl: last line: expected JSON"),
        ('{"usage": {"seconds": -1}}', r"seed0.jsonl: usage.seconds: "),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    config = configuration()
    runs = write_records(tmp_path, config)
    (tmp_path / f"models/multiflow/{PARTS[0]}/seed0.jsonl").write_text(content)
    with pytest.raises(InputError, match=message) as error:
        load_costs(config, tmp_path, runs)
    assert len(error.value.problems) == 1


def of_methods(*methods: str) -> TableContext:
    return replace(context(PARTS[:2]), methods={name: name.title() for name in methods}, experiments={})


def taken(seconds: float, **values: Any) -> Taken:
    return Taken.model_validate(USAGE | {"seconds": seconds} | values)


COSTS = [
    RunCost("a", PARTS[0], 0, taken(100, memory=3 * 10**9, parameters=10**6), taken(2), 1.0),
    RunCost("a", PARTS[0], 1, taken(120, memory=2 * 10**9, parameters=10**6), taken(4), 1.0),
    RunCost("a", PARTS[1], 0, taken(10, gpu_memory=5 * 10**8, device="a GPU", parameters=3 * 10**6), taken(1), 2.0),
    RunCost("b", PARTS[0], 0, None, taken(8), None),
]


def test_the_table_has_a_row_per_method_and_class_and_their_mean(tmp_path: Path) -> None:
    table = cost_table(COSTS, of_methods("a", "b"))
    write_csv(table, tmp_path / "costs.csv")
    write_latex(table, tmp_path / "costs.tex")
    rows = {
        (row["method"], row["class"]): row for row in csv.DictReader((tmp_path / "costs.csv").read_text().splitlines())
    }
    assert list(rows) == [(name, place) for name in "ab" for place in (PARTS[0], PARTS[1], "average")]
    first = rows["a", PARTS[0]]
    assert (float(first["training_seconds"]), int(first["training_seconds_n"])) == (110, 2)
    assert float(first["training_seconds_std"]) == pytest.approx(200**0.5, abs=1e-3)
    assert (float(first["scoring_seconds"]), float(first["preparation_seconds"])) == (0.75, 1.0)
    assert (float(first["training_memory"]), float(first["parameters"]), first["gpu_memory"]) == (3, 1, "")
    mean = rows["a", "average"]
    assert float(mean["training_seconds"]) == pytest.approx((110 + 10) / 2), "a class with more seeds counts no more"
    assert (float(mean["preparation_seconds"]), float(mean["gpu_memory"]), float(mean["parameters"])) == (1.5, 0.5, 2)
    assert mean["device"] == "cpu x86_64, a GPU"
    assert (rows["b", PARTS[0]]["training_seconds"], rows["b", PARTS[1]]["scoring_seconds"]) == ("-", "")
    text = " ".join(format_text(table).split())
    assert "A, B on cpu x86_64, 1 thread; A on a GPU, 1 thread. Times on different devices are not comparable." in text


def test_a_run_without_any_record_has_a_table_and_a_figure(tmp_path: Path) -> None:
    run = of_methods("a", "b")
    text = format_text(cost_table([], run))
    assert "Nothing was noted yet." in text
    assert "nan" not in text.lower()
    frame = pd.DataFrame(columns=["experiment", "class", "seed", "metric", "value", "source"])
    plot_costs([], frame, run, tmp_path / "costs.png")
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")


def test_the_figure_has_a_dot_per_class_and_one_for_the_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {("a", PARTS[0]): 0.9, ("a", PARTS[1]): 0.8, ("b", PARTS[0]): 0.7}
    frame = pd.DataFrame(
        [(name, place, 0, "sample_auroc", value, "a.json") for (name, place), value in values.items()],
        columns=["experiment", "class", "seed", "metric", "value", "source"],
    )
    run = of_methods("a", "b")
    paths = [tmp_path / f"{name}.{kind}" for name in ("first", "second") for kind in ("png", "pdf")]
    plot_costs(COSTS, frame, run, *paths[:2])
    plot_costs(COSTS, frame, run, *paths[2:])
    assert paths[0].read_bytes() == paths[2].read_bytes()
    assert paths[1].read_bytes() == paths[3].read_bytes()
    drawn: list[Figure] = []
    monkeypatch.setattr(costs_figure, "save_figure", lambda figure, *paths: drawn.append(figure))
    plot_costs(COSTS, frame, run, tmp_path / "costs.png")
    training, sample = drawn[0].axes
    classes, mean = training.lines  # of b no training is known
    assert (list(classes.get_xdata()), list(classes.get_ydata())) == ([110, 10], pytest.approx([90, 80]))
    assert mean.get_xdata()[0] == pytest.approx((110 * 10) ** 0.5)
    assert mean.get_ydata()[0] == pytest.approx(85)
    assert list(sample.lines[0].get_xdata()) == pytest.approx([1.75, 2.25])
    assert len(sample.lines) == 2, "b has no preparation, so its time of a sample is unknown"
