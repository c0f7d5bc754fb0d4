"""Figures: what they are made of is right, they come out for every kind of input, and are the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from test_tables import COLLECTION, PARTS, REAL_IAD, SOURCE, context, measured
from tiny_data import CAMERAS, dataset, write_class

from multiflow.errors import InputError
from multiflow.figures.ablations import confidence_interval, paired_differences, plot_ablations
from multiflow.figures.anomaly_maps import choose_samples, plot_anomaly_maps
from multiflow.figures.canvas import BACKGROUND
from multiflow.figures.classes import DETECTION, plot_classes, published_cells
from multiflow.figures.detection import mean_curve, plot_detection, roc_curve
from multiflow.figures.foreground import plot_foreground
from multiflow.figures.training import load_histories, plot_training
from multiflow.metrics import auroc
from multiflow.samples import read_samples
from multiflow.scores import ScoreFile
from multiflow.store import ForegroundFile, create_hdf5, write_strings


class Inputs(NamedTuple):
    """What the figures of a class are drawn from."""

    samples: pd.DataFrame
    root: Path
    scores: ScoreFile
    foreground: ForegroundFile


def class_inputs(folder: Path, cameras: tuple[str, ...] = CAMERAS, anomalous: bool = True) -> Inputs:
    """A tiny class; its foreground is the right half of every view."""
    write_class(folder, cameras=cameras)
    samples = read_samples(dataset(cameras=list(cameras)), folder, "thing", processes=0)
    if not anomalous:
        normal = samples.groupby(["split", "sample"])["label"].transform("max") == 0
        samples = samples[normal].reset_index(drop=True)
    keys = {split: list(dict.fromkeys(rows["sample"])) for split, rows in samples.groupby("split")}
    labels = samples[samples["split"] == "test"]["label"].to_numpy(np.uint8).reshape(-1, len(cameras))
    inside = np.zeros((len(cameras), 4, 4), np.uint8)
    inside[..., 2:] = 1
    maps = np.random.default_rng(0).random((*labels.shape, 4, 4)).astype(np.float32) * inside
    with create_hdf5(folder / "scores.h5", "scores", {"provenance": "{}"}) as file:
        file["map"], file["label"], file["image_score"] = maps, labels, maps.max(axis=(2, 3))
        file["sample_score_max"] = maps.max(axis=(1, 2, 3)).astype(np.float64)
        write_strings(file, "sample", keys["test"])
    with create_hdf5(folder / "foreground.h5", "foreground", {"cameras": list(cameras)}) as file:
        for split, samples_of_split in keys.items():
            file[f"{split}/mask"] = np.stack([inside.repeat(4, 1).repeat(4, 2)] * len(samples_of_split))
            write_strings(file[split], "sample", samples_of_split)
    return Inputs(samples, folder, ScoreFile(folder / "scores.h5"), ForegroundFile(folder / "foreground.h5"))


def draw_class(inputs: Inputs, folder: Path, foreground: ForegroundFile | None) -> list[Path]:
    """The three figures of a class, as PNG and PDF."""
    paths = [folder / f"{name}.{ending}" for name in ("maps", "masks", "detection") for ending in ("png", "pdf")]
    samples, root, scores, _ = inputs
    plot_anomaly_maps(
        "thing", samples, root, scores, foreground, *paths[:2],
        run="multiflow, seed 0", sample_score="max", to_grid="nearest", ground_truth_threshold=127,
    )  # fmt: skip
    plot_foreground("thing", samples, root, foreground, *paths[2:4])
    plot_detection("thing", {0: scores, 7: scores}, *paths[4:], experiment="multiflow", sample_score="max")
    return paths


def share_of_background(path: Path) -> float:
    """Share of a picture's pixels that have the colour of the background."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return float((pixels == np.frombuffer(bytes.fromhex(BACKGROUND[1:]), np.uint8)).all(axis=2).mean())


def test_figures_of_a_class_show_the_background_and_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    inputs = class_inputs(tmp_path, CAMERAS[-2:])
    first = draw_class(inputs, tmp_path / "first", inputs.foreground)
    second = draw_class(inputs, tmp_path / "second", inputs.foreground)
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        assert one.read_bytes().startswith(b"%PDF" if one.suffix == ".pdf" else b"\x89PNG"), one.name
    without = draw_class(inputs, tmp_path / "without", None)
    # Three eighths of the maps, which are a tenth of the sheet.
    assert share_of_background(first[0]) > 0.03
    assert share_of_background(without[0]) < 0.003


def test_a_class_of_one_view_without_anomalous_samples_is_drawn(tmp_path: Path) -> None:
    inputs = class_inputs(tmp_path, CAMERAS[:1], anomalous=False)
    assert all(path.stat().st_size > 5000 for path in draw_class(inputs, tmp_path / "figures", inputs.foreground))


def test_best_median_and_worst_are_by_score() -> None:
    labels = np.array([0, 1, 1, 0, 1, 1, 0], bool)
    scores = np.array([0.1, 3.0, 9.0, 0.5, 5.0, 4.0, 7.0])
    assert [item.index for item in choose_samples(labels, scores)] == [2, 5, 1, 3]
    assert [item.index for item in choose_samples(labels[:3], scores[:3])] == [2, 1, 0]
    assert [item.index for item in choose_samples(labels[1:3], scores[1:3])] == [1, 0]
    assert [item.index for item in choose_samples(labels[:1], scores[:1])] == [0]


def test_roc_curves_have_the_area_that_the_tables_print() -> None:
    random = np.random.default_rng(0)
    labels = random.random(60) < 0.4
    curves, areas = [], []
    for _ in range(4):
        scores = (random.random(60) + 0.3 * labels).round(1)  # many scores are equal
        curve, area = roc_curve(labels, scores), auroc(labels, scores)
        assert curve is not None
        assert curve.area == pytest.approx(area, abs=1e-12)
        curves.append(curve)
        areas.append(curve.area)
    assert mean_curve(curves).area == pytest.approx(np.mean(areas), abs=1e-12)
    assert mean_curve(curves[:1]).area == pytest.approx(areas[0], abs=1e-12)
    assert roc_curve([0, 0], [1.0, 2.0]) is None
    assert roc_curve([1, 1], [1.0, 2.0]) is None


def test_differences_are_paired_by_class_and_seed() -> None:
    rows = [
        ("multiflow", "a", 0, 0.90), ("multiflow", "a", 1, 0.70), ("multiflow", "b", 0, 0.80),
        ("multiflow", "c", 0, 0.5),
        ("other", "a", 0, 0.92), ("other", "b", 0, 0.70), ("other", "b", 5, 0.1), ("other", "c", 0, np.nan),
    ]  # fmt: skip
    metrics = pd.DataFrame(rows, columns=["experiment", "class", "seed", "value"]).assign(metric="aupro")
    assert paired_differences(metrics, "other", "multiflow", "aupro") == pytest.approx({"a": 2.0, "b": -10.0})
    assert paired_differences(metrics, "other", "multiflow", "pixel_auroc") == {}


def test_interval_is_students_and_needs_three_classes() -> None:
    differences = [0.3, -0.1, 0.8, 0.4]
    interval = confidence_interval(differences)
    assert interval is not None
    expected = stats.t.interval(0.95, 3, np.mean(differences), stats.sem(differences))
    assert (interval.lower, interval.upper) == pytest.approx(expected)
    assert confidence_interval(differences[:2]) is None


def test_published_numbers_stand_in_the_dot_plots_as_in_the_tables() -> None:
    metrics = measured(classes=REAL_IAD)
    assert published_cells(metrics, context(classes=REAL_IAD)) == {}
    cells = published_cells(metrics, context(classes=REAL_IAD, published=COLLECTION))
    assert len(cells) == 2 * 31 + 2
    assert (cells["sample_auroc", "audiojack"].value, cells["sample_auroc", "audiojack"].std) == (96.56, 0.12)
    some = published_cells(metrics, context(classes=REAL_IAD[:2], published=COLLECTION))
    assert set(some) == {(metric, name) for metric in DETECTION for name in REAL_IAD[:2]}


def test_figures_of_all_metrics_come_out_where_metrics_are_undefined(tmp_path: Path) -> None:
    metrics = measured()
    metrics.loc[metrics["metric"] == "aupro", "value"] = np.nan
    metrics.loc[(metrics["metric"] == "sample_auroc") & (metrics["class"] == PARTS[0]), "value"] = np.nan
    paths = [tmp_path / "classes.png", tmp_path / "ablations.pdf"]
    plot_classes(metrics, "multiflow", DETECTION | {"aupro": "AUPRO, %"}, context(), paths[0])
    plot_ablations(metrics, "multiflow", context(), paths[1])
    assert all(path.stat().st_size > 5000 for path in paths)


def test_training_curves_of_every_experiment_class_and_seed(tmp_path: Path) -> None:
    paths = [
        tmp_path / f"flows/{experiment}/{class_name}/seed{seed}.jsonl"
        for experiment, class_name, seed in (("multiflow", "a", 0), ("multiflow", "a", 1), ("other", "b", 0))
    ]
    for epochs, path in enumerate(paths, start=1):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"epoch": n + 1, "loss": 1 / (n + 1)}) + "\n" for n in range(epochs)))
    histories = load_histories(paths)
    assert histories == {
        ("multiflow", "a", 0): [1],
        ("multiflow", "a", 1): [1, 1 / 2],
        ("other", "b", 0): [1, 1 / 2, 1 / 3],
    }
    plot_training(histories, "multiflow", [tmp_path / "classes.png"], [tmp_path / "experiments.pdf"])
    assert (tmp_path / "classes.png").exists()
    assert (tmp_path / "experiments.pdf").exists()


@pytest.mark.parametrize("content", ["", '{"epoch": 2, "loss": 1}', '{"epoch": 1}', '{"epoch": 1, "lo', "[]"])
def test_a_damaged_history_is_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "seed0.jsonl"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        load_histories([path])
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(f"{path}: ")


def test_figures_are_drawn_without_torch() -> None:
    modules = ("ablations", "anomaly_maps", "classes", "detection", "foreground", "training")
    imports = ", ".join(f"multiflow.figures.{name}" for name in modules)
    code = f"import sys; sys.path.insert(0, {SOURCE!r}); import {imports}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
