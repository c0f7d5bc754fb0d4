"""``metrics.csv``: what is written reads back, and what is wrong is one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multiflow.base.errors import InputError
from multiflow.results.records import COLUMNS, METRICS, collect_metrics, load_metrics, load_runs


def write_run(folder: Path, experiment: str, class_name: str, seed: int, metrics: dict[str, float | None]) -> Path:
    path = folder / "scores" / experiment / class_name / f"seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "experiment": experiment,
        "class": class_name,
        "seed": seed,
        "metrics": metrics,
        "device": "cpu",
    }
    path.write_text(json.dumps(content))
    return path


def test_rounding_beyond_one_stops_no_collection(tmp_path: Path) -> None:
    """What an earlier version wrote stays readable; what is farther off is still one line, which says what to do."""
    path = write_run(tmp_path, "multiflow", "nut", 0, {"aupro": 1.0000000000000002, "pixel_ap": -1e-17})
    collect_metrics([path], tmp_path / "metrics.csv")
    assert load_metrics(tmp_path / "metrics.csv")["value"].tolist() == [1.0, 0.0]
    write_run(tmp_path, "multiflow", "nut", 0, {"aupro": 1.001})
    with pytest.raises(InputError, match=r"metrics.aupro: expected a number .* found 1.001; delete it and run the"):
        collect_metrics([path], tmp_path / "metrics.csv")


def test_collected_metrics_read_back_exactly(tmp_path: Path) -> None:
    values = {"sample_auroc": 0.1 + 0.2, "aupro": None, "image_auroc": 1 / 3, "latency": 0.5}
    paths = [
        write_run(tmp_path, experiment, class_name, seed, values)
        for experiment in ("multiflow", "a_later_one")
        for class_name in ("zinc", "NA")
        for seed in (10, 9)
    ]
    output = tmp_path / "metrics.csv"
    collect_metrics(paths, output)
    text = output.read_bytes()
    assert text.decode().splitlines()[0] == ",".join(COLUMNS)
    assert b"multiflow,NA,9,sample_auroc,0.30000000000000004,scores/multiflow/NA/seed9.json\n" in text

    frame = load_metrics(output)
    assert list(frame.columns) == list(COLUMNS)
    assert list(frame["experiment"].unique()) == ["multiflow", "a_later_one"]
    assert list(frame["class"].unique()) == ["NA", "zinc"]
    assert list(frame["seed"].unique()) == [9, 10]
    assert list(frame["metric"][:4]) == ["sample_auroc", "image_auroc", "aupro", "latency"]
    for metric, value in values.items():
        found = frame.loc[frame["metric"] == metric, "value"]
        assert len(found) == 8
        assert found.isna().all() if value is None else (found == value).all()

    collect_metrics([*paths[:4][::-1], *paths[4:][::-1]], output)
    assert output.read_bytes() == text
    assert [path.name for path in tmp_path.iterdir()].count("metrics.csv") == 1
    assert not list(tmp_path.glob(".*partial"))


def test_the_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    path = write_run(tmp_path, "multiflow", "part", 0, dict.fromkeys(METRICS, 0.5))
    output = tmp_path / "metrics.csv"
    collect_metrics([path], output)
    expected = load_metrics(output)
    random = np.random.default_rng(0)
    for _ in range(5):
        shuffled = tmp_path / "shuffled.csv"
        raw = pd.read_csv(output, dtype=str, keep_default_na=False)
        raw[list(random.permutation(raw.columns))].assign(note="x").to_csv(shuffled, index=False)
        pd.testing.assert_frame_equal(load_metrics(shuffled), expected)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "expected the JSON of a run"),
        ("[]", "found a list"),
        ('{"experiment": "a", "class": "b", "seed": 0}', "metrics: expected an object, found nothing"),
        (
            '{"experiment": "a", "class": "b", "seed": "0", "metrics": {}}',
            'seed: expected an integer, found "0"',
        ),
        (
            '{"experiment": "a", "class": "b", "seed": true, "metrics": {}}',
            "seed: expected an integer, found true",
        ),
        ('{"experiment": 1, "class": "b", "seed": 0, "metrics": {}}', "experiment: expected text, found 1"),
        (
            '{"experiment": "a", "class": "b", "seed": 0, "metrics": {"aupro": NaN}}',
            "metrics.aupro: .* found nan",
        ),
        (
            '{"experiment": "a", "class": "b", "seed": 0, "metrics": {"aupro": 93.1}}',
            "from 0 to 1 or null, found 93.1",
        ),
    ],
)
def test_a_malformed_json_is_one_line(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "seed0.json"
    path.write_text(content)
    with pytest.raises(InputError, match=problem) as error:
        collect_metrics([path], tmp_path / "metrics.csv")
    assert len(error.value.problems) == 1
    assert str(path) in str(error.value)
    assert not (tmp_path / "metrics.csv").exists()


def test_every_problem_is_named_at_once_and_the_old_file_stays(tmp_path: Path) -> None:
    output = tmp_path / "metrics.csv"
    output.write_text("old")
    good = write_run(tmp_path, "multiflow", "part", 0, {"aupro": 0.5})
    twin = tmp_path / "twin.json"
    twin.write_text(good.read_text())
    with pytest.raises(InputError) as error:
        collect_metrics([good, tmp_path / "none.json", twin], output)
    assert len(error.value.problems) == 2
    assert "none.json" in error.value.problems[0]
    assert f"in {good}, too; delete one of them" in error.value.problems[1]
    assert output.read_text() == "old"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("experiment,class,seed,metric,value\n", "found no source"),
        ("experiment,class,seed,metric,value,source\na,b,0,aupro,nan,s\n", "line 2, value"),
        ("experiment,class,seed,metric,value,source\na,b,0,aupro,1.5,s\n", "line 2, value"),
        ("experiment,class,seed,metric,value,source\na,b,0.5,aupro,0.5,s\n", "line 2, seed"),
        (
            "experiment,class,seed,metric,value,source\na,b,0,aupro,0.5,s\na,b,0,aupro,0.5,s\n",
            "line 3.*twice",
        ),
        ("", "none that can be read"),
    ],
)
def test_a_wrong_metrics_csv_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        load_metrics(path)


def test_a_missing_metrics_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none that can be read"):
        load_metrics(tmp_path / "metrics.csv")


def test_the_table_of_finished_runs_is_that_of_the_csv(tmp_path: Path) -> None:
    values = {"sample_auroc:AK": 0.25, "aupro": None, "sample_auroc": 1 / 3}
    paths = [
        write_run(tmp_path, experiment, class_name, seed, values)
        for experiment in ("multiflow", "a_later_one")
        for class_name, seed in (("zinc", 10), ("zinc", 9), ("NA", 0))
    ]
    collect_metrics(paths, tmp_path / "metrics.csv")
    collected, direct = load_metrics(tmp_path / "metrics.csv"), load_runs(paths)
    pd.testing.assert_frame_equal(direct.drop(columns="source"), collected.drop(columns="source"))
    assert [str(tmp_path / source) for source in collected["source"]] == list(direct["source"])
    assert list(direct["metric"][:3]) == ["sample_auroc", "aupro", "sample_auroc:AK"]


def test_no_finished_run_is_an_empty_table(tmp_path: Path) -> None:
    collect_metrics([], tmp_path / "metrics.csv")
    pd.testing.assert_frame_equal(load_runs([]), load_metrics(tmp_path / "metrics.csv"))


def test_a_wrong_run_is_refused_in_the_table_of_finished_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: expected the JSON of a run"):
        load_runs([tmp_path / "none.json"])
