"""Figures: what they are made of is right, they come out for every kind of input, and are the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from table_runs import COLLECTION, PARTS, REAL_IAD, change, context, measured
from tiny_data import CAMERAS, dataset, write_class

import multiflow
from multiflow.base.errors import InputError
from multiflow.base.hdf5 import create_hdf5, write_strings
from multiflow.datasets.ground_truth import GroundTruthFile, write_ground_truth
from multiflow.datasets.table import read_samples
from multiflow.foreground.file import ForegroundFile, pack
from multiflow.foreground.settings import Foreground
from multiflow.methods.ablation import Ablation, AblationRow
from multiflow.metrics.ranking import auroc
from multiflow.metrics.settings import Evaluation
from multiflow.results.figures import ablations, classes, training
from multiflow.results.figures.ablations import changes, compared_experiments, plot_ablations
from multiflow.results.figures.anomaly_maps import choose_samples, plot_anomaly_maps
from multiflow.results.figures.canvas import BACKGROUND, BETTER, GREY, WORSE
from multiflow.results.figures.classes import DETECTION, plot_classes, published_cells
from multiflow.results.figures.detection import mean_curve, plot_detection, roc_curve
from multiflow.results.figures.foreground import plot_foreground
from multiflow.results.figures.heat import color_map, score_norm
from multiflow.results.figures.part_panel import PartView, draw_part, part_norm
from multiflow.results.figures.subject import Subject
from multiflow.results.figures.training import (
    load_histories,
    plot_training_classes,
    plot_training_experiments,
)
from multiflow.results.tables import ExperimentContext, compare_ablations
from multiflow.scores import ScoreFile

SOURCE = str(Path(multiflow.__file__).parents[1])
FOREGROUND = Foreground(method="threshold", mask_size=16, fill_holes=False, dilation=0)


class Inputs(NamedTuple):
    """What the figures of a class are drawn from: with a foreground, and its scores."""

    subject: Subject
    scores: ScoreFile


def class_inputs(
    folder: Path,
    cameras: tuple[str, ...] = CAMERAS,
    anomalous: bool = True,
    shift: float = 0.0,
    grid: int = 4,
    rule: Literal["max", "mean", "top1"] = "max",
) -> Inputs:
    """A tiny class; its foreground is the right half of every view, with scores from ``shift`` to ``shift`` + 1."""
    write_class(folder, cameras=cameras)
    samples = read_samples(dataset(cameras=list(cameras)), folder, "thing", processes=0)
    if not anomalous:
        normal = samples.groupby(["split", "sample"])["label"].transform("max") == 0
        samples = samples[normal].reset_index(drop=True)
    write_ground_truth(samples, folder, 64, 127, folder / "ground_truth.h5")
    with create_hdf5(folder / "foreground.h5", "foreground", {"cameras": list(cameras)}) as file:
        for split, rows in samples.groupby("split"):
            keys = list(dict.fromkeys(rows["sample"]))
            inside = np.zeros((len(keys), len(cameras), 32, 32), bool)
            inside[..., 16:] = True
            file[f"{split}/mask"] = pack(inside)
            write_strings(file[str(split)], "sample", keys)
            write_strings(file[str(split)], "image", rows["image"].to_numpy(dtype=object).reshape(len(keys), -1))
    truth = GroundTruthFile(folder / "ground_truth.h5")
    maps = np.random.default_rng(0).random((*truth.labels.shape, grid, grid)).astype(np.float32) + np.float32(shift)
    maps[..., : grid // 2] = 0
    subject = Subject(
        "My Method", "thing", samples, folder, truth, ForegroundFile(folder / "foreground.h5"), FOREGROUND,
        Evaluation(sample_score=rule),
    )  # fmt: skip
    return Inputs(subject, write_maps(folder / "scores.h5", truth.samples, maps))


def write_maps(path: Path, samples: list[str], maps: np.ndarray, inside: np.ndarray | None = None) -> ScoreFile:
    with create_hdf5(path, "scores", {"provenance": "{}"}) as file:
        file["map"], file["image_score"] = maps, maps.max(axis=(2, 3))
        if inside is not None:
            file["foreground"] = inside
        write_strings(file, "sample", samples)
    return ScoreFile(path)


def draw_class(inputs: Inputs, folder: Path) -> list[Path]:
    """The three figures of a class, as PNG and PDF."""
    paths = [folder / f"{name}.{ending}" for name in ("maps", "masks", "detection") for ending in ("png", "pdf")]
    subject, scores = inputs
    plot_anomaly_maps(subject, 0, scores, *paths[:2])
    plot_foreground(subject, *paths[2:4])
    plot_detection(subject, {0: scores, 7: scores}, *paths[4:])
    return paths


def share_of_background(path: Path) -> float:
    """Share of a picture's pixels that have the colour of the background."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return float((pixels == np.frombuffer(bytes.fromhex(BACKGROUND[1:]), np.uint8)).all(axis=2).mean())


def test_figures_of_a_class_show_the_background_and_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    inputs = class_inputs(tmp_path, CAMERAS[-2:])
    first = draw_class(inputs, tmp_path / "first")
    second = draw_class(inputs, tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        assert one.read_bytes().startswith(b"%PDF" if one.suffix == ".pdf" else b"\x89PNG"), one.name
    without = draw_class(inputs._replace(subject=replace(inputs.subject, segmentation=None)), tmp_path / "without")
    # Three eighths of the maps, which are a tenth of the sheet.
    assert share_of_background(first[0]) > 0.03
    assert share_of_background(without[0]) < 0.003


@pytest.mark.parametrize("rule", ["mean", "top1"])
def test_a_class_of_one_view_without_anomalous_samples_is_drawn(rule: Literal["mean", "top1"], tmp_path: Path) -> None:
    inputs = class_inputs(tmp_path, CAMERAS[:1], anomalous=False, grid=20, rule=rule)
    assert all(path.stat().st_size > 5000 for path in draw_class(inputs, tmp_path / "figures"))


def test_scores_of_other_samples_are_refused_in_one_line(tmp_path: Path) -> None:
    subject, scores = class_inputs(tmp_path)
    maps = np.stack([scores.map(index) for index in range(len(scores))])
    others = write_maps(tmp_path / "others.h5", scores.samples[::-1], maps)
    for draw in (
        lambda path: plot_anomaly_maps(subject, 0, others, path),
        lambda path: plot_detection(subject, {0: others}, path),
    ):
        with pytest.raises(InputError, match=r"others.h5: expected scores of the test samples of .*ground_truth.h5"):
            draw(tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()


def test_background_is_what_has_no_score_of_its_own(tmp_path: Path) -> None:
    subject, scores = class_inputs(tmp_path)
    right = np.zeros((len(CAMERAS), 4, 4), bool)
    right[..., 2:] = True
    assert np.array_equal(subject.inside(scores, 0), right)
    assert replace(subject, segmentation=None).inside(scores, 0).all()
    # A method that reads the segmentation and scores the whole map: nothing that is counted is hidden.
    maps = np.ones((len(scores), len(CAMERAS), 4, 4), np.float32)
    assert subject.inside(write_maps(tmp_path / "whole.h5", scores.samples, maps), 0).all()
    # A method whose scores file names the foreground: it alone decides.
    top = np.zeros(maps.shape, bool)
    top[..., :2, :] = True
    assert np.array_equal(subject.inside(write_maps(tmp_path / "own.h5", scores.samples, maps, top), 0), top[0])


def test_an_empty_mask_is_shown_as_the_method_reads_it(tmp_path: Path) -> None:
    subject = class_inputs(tmp_path).subject
    with create_hdf5(tmp_path / "empty.h5", "foreground", {"cameras": list(CAMERAS)}) as file:
        file["test/mask"] = pack(np.zeros((1, len(CAMERAS), 32, 32), bool))
        write_strings(file["test"], "sample", ["part"])
        write_strings(file["test"], "image", [["image"] * len(CAMERAS)])
    subject = replace(subject, segmentation=ForegroundFile(tmp_path / "empty.h5"))
    for empty, expected in (("foreground", True), ("background", False)):
        masks = replace(subject, foreground=FOREGROUND.model_copy(update={"empty": empty})).masks("test", "part")
        assert masks is not None
        assert masks.shape == (len(CAMERAS), 16, 16)
        assert (masks == expected).all()


def colors_of(picture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The colours [N, 3] in 0 to 1 of the pixels that are inside."""
    return picture.reshape(-1, 3)[inside.ravel()]


@pytest.mark.parametrize("shift", [-40.0, -0.5, 3.0])
def test_the_colours_run_over_the_foregrounds_scores_wherever_they_lie(shift: float) -> None:
    """Both with scores of the background far above and far below them."""
    values = (np.arange(16, dtype=np.float32).reshape(4, 4) / 15) + np.float32(shift)
    inside = np.ones((4, 4), bool)
    inside[:, 0] = False
    for background in (0.0, -1000.0):
        whole = np.where(inside, values, np.float32(background))
        picture = color_map(whole, inside, score_norm(whole[inside]), (4, 4))
        colors = colors_of(picture, inside)
        assert colors.sum(axis=1).max() - colors.sum(axis=1).min() > 1.5
        assert len(np.unique(colors.round(2), axis=0)) == inside.sum()
        assert np.allclose(colors_of(picture, ~inside), int(BACKGROUND[1:3], 16) / 255)


def test_the_background_gives_the_foreground_no_rim() -> None:
    """Scores of -40 beside a background of 0 are all drawn as -40, also where a pixel lies between the two."""
    inside = np.zeros((4, 4), bool)
    inside[1:3, 1:3] = True
    values = np.where(inside, np.float32(-40), np.float32(0))
    norm = score_norm(np.array([-60, -20], np.float32))
    picture = color_map(values, inside, norm, (64, 64))
    flat = np.isclose(picture, int(BACKGROUND[1:3], 16) / 255).all(axis=2)
    assert 0.2 < flat.mean() < 0.8
    assert np.ptp(picture[~flat], axis=0).max() < 1e-5


def test_a_part_that_scores_below_zero_is_not_black(tmp_path: Path) -> None:
    values = np.linspace(-9, -5, 16, dtype=np.float32).reshape(4, 4)
    inside = np.ones((4, 4), bool)
    inside[0] = False
    views = [PartView("C1", Image.new("RGB", (64, 64)), np.where(inside, values, np.float32(0)), inside, 0.0)]
    norm = part_norm(views, [])
    assert (norm.vmin, norm.vmax) == (values[1, 0], -5)
    assert part_norm(views, [-7, 2.5]).vmax == 2.5
    colors = colors_of(color_map(views[0].values, inside, norm, (4, 4)), inside)
    assert np.ptp(colors.sum(axis=1)) > 1.5
    draw_part(views, norm, "title", "note", tmp_path / "panel.png")
    assert share_of_background(tmp_path / "panel.png") > 0.01


def test_a_drawn_map_below_zero_has_bright_and_dark_pixels(tmp_path: Path) -> None:
    subject, scores = class_inputs(tmp_path, CAMERAS[:1], shift=-2.0)
    assert all(scores.map(index)[..., 2:].max() < 0 for index in range(len(scores)))
    plot_anomaly_maps(subject, 0, scores, tmp_path / "maps.png")
    with Image.open(tmp_path / "maps.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    # Inferno's upper half is orange and yellow, which is nowhere else but in the narrow colour bar.
    orange = (pixels[..., 0] > 200) & (pixels[..., 2] < 120)
    purple = (pixels[..., 0] > 60) & (pixels[..., 0] < 160) & (pixels[..., 1] < 60) & (pixels[..., 2] > 80)
    assert orange.mean() > 0.01
    assert purple.mean() > 0.002


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


def test_published_numbers_stand_in_the_dot_plots_as_in_the_tables() -> None:
    metrics = measured(classes=REAL_IAD)
    assert published_cells(metrics, context(classes=REAL_IAD)) == {}
    published = published_cells(metrics, context(classes=REAL_IAD, published=COLLECTION))
    assert list(published) == ["Multi-Flow"]
    cells = published["Multi-Flow"]
    assert len(cells) == 2 * 31 + 2
    assert (cells["sample_auroc", "audiojack"].value, cells["sample_auroc", "audiojack"].std) == (96.56, 0.12)
    some = published_cells(metrics, context(classes=REAL_IAD[:2], published=COLLECTION))["Multi-Flow"]
    assert set(some) == {(metric, name) for metric in DETECTION for name in REAL_IAD[:2]}


def test_figures_of_all_metrics_come_out_where_metrics_are_undefined(tmp_path: Path) -> None:
    metrics = measured()
    metrics.loc[metrics["metric"] == "aupro", "value"] = np.nan
    metrics.loc[(metrics["metric"] == "sample_auroc") & (metrics["class"] == PARTS[0]), "value"] = np.nan
    paths = [tmp_path / "classes.png", tmp_path / "ablations.pdf", tmp_path / "nothing.png"]
    plot_classes(metrics, (*DETECTION, "aupro"), context(), paths[0])
    plot_ablations(metrics, context(), paths[1])
    plot_ablations(metrics, replace(context(), experiments={}, ablations={}), paths[2])
    assert all(path.stat().st_size > 5000 for path in paths)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are drawn, in place of files."""
    figures: list[Figure] = []
    for module in (ablations, classes, training):
        monkeypatch.setattr(module, "save_figure", lambda figure, *paths: figures.append(figure))
    return figures


def test_every_method_of_the_tables_has_its_own_colour_and_marker_beside_what_was_published(
    drawn: list[Figure],
) -> None:
    run = context(classes=REAL_IAD, published=COLLECTION)
    one = ExperimentContext(REAL_IAD[:2], (0,), "Another")
    run = replace(
        run,
        methods=dict.fromkeys(run.methods, "Multi-Flow")
        | {"noise_none": "Multi-Flow (noise none)", "other": "Another"},
        experiments={**run.experiments, "other": one},
    )
    metrics = pd.concat([measured(REAL_IAD), measured(REAL_IAD[:2], (0,), ("other",))])
    plot_classes(metrics, DETECTION, run)
    (legend,) = drawn[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "Multi-Flow, n = 3", "Multi-Flow (noise none), n = 3", "Another, n = 1, 2 of 30 classes",
        "published: Multi-Flow, n = 5",
    ]  # fmt: skip
    handles = [line for line in legend.get_lines() if line.get_marker() not in (None, "None", "")]
    assert len({handle.get_color() for handle in handles}) == 4
    measured_markers = [handle.get_marker() for handle in handles[:3]]
    assert len(set(measured_markers)) == 3
    assert handles[3].get_marker() == measured_markers[0]
    assert [handle.get_markerfacecolor() == "white" for handle in handles] == [False, False, False, True]
    axes = drawn[0].axes[0]
    found = {handle.get_color(): 0 for handle in handles}
    for bars in axes.containers:
        found[bars[0].get_color()] += 1
    assert list(found.values()) == [31, 31, 2, 31]


def test_the_ablation_figure_says_what_the_table_of_tests_says(drawn: list[Figure]) -> None:
    """Its means are the table's differences, and a mean is coloured where the table says better or worse."""
    run = context(classes=REAL_IAD)
    metrics = measured(REAL_IAD)
    worse = (metrics["experiment"] == "noise_none") & (metrics["metric"] == "aupro")
    metrics.loc[worse, "value"] = metrics.loc[worse, "value"] / 2
    better = (metrics["experiment"] == "no_cross_view") & (metrics["metric"] == "image_auroc")
    metrics.loc[better, "value"] = metrics.loc[better, "value"] / 2 + 0.5
    plot_ablations(metrics, run)
    tests = {(test.metric, test.experiment): test for test in compare_ablations(metrics, run)}
    assert {"better", "worse", "undecided"} == {test.verdict for test in tests.values()}
    colors = {"better": BETTER, "worse": WORSE, "undecided": GREY}
    names = list(compared_experiments(run))
    seen = set()
    for axes, metric in zip(drawn[0].axes, ("sample_auroc", "image_auroc", "aupro", "pixel_auroc"), strict=True):
        for line in axes.get_lines():
            if line.get_marker() != "D":
                continue
            name = names[round(line.get_ydata()[0])]
            if (metric, name) not in tests:
                assert line.get_markerfacecolor() == "white"
                continue
            test = tests[metric, name]
            assert line.get_xdata()[0] == pytest.approx(test.difference)
            assert line.get_markerfacecolor() == colors[test.verdict]
            seen.add((metric, name))
    assert seen == set(tests)
    assert "Wilcoxon" in drawn[0].texts[-1].get_text()


def test_an_experiment_is_compared_with_the_reference_of_its_table_else_with_the_first_method() -> None:
    run = context()
    assert compared_experiments(run) == dict.fromkeys(list(run.experiments)[1:], "multiflow")
    own = ExperimentContext(PARTS, (0,), "Another")
    run = replace(
        run,
        methods={**run.methods, "other": "Another"},
        experiments={**run.experiments, "other": own, "other_small": own, "longer": own},
        ablations={
            **run.ablations,
            "sizes": Ablation(
                "Size", "Table 9", ("Size",), (), ("aupro",),
                {name: AblationRow((name,), {}) for name in ("other_small", "other", "not_run")}, "other",
            ),
        },
    )  # fmt: skip
    compared = compared_experiments(run)
    assert (compared["other_small"], compared["longer"]) == ("other", "multiflow")
    assert not {"other", "multiflow", "not_run"} & set(compared)
    # A row whose experiment is something else in this run is compared, but not as this row.
    wrong = compared_experiments(change(run, "noise_none", noise="uniform"))
    assert wrong["noise_none"] == "multiflow"


def test_a_long_name_of_an_experiment_is_on_the_sheet(drawn: list[Figure]) -> None:
    run = context()
    name = "an_experiment_that_its_author_named_at_length_and_in_full"
    plot_ablations(measured(), replace(run, experiments={**run.experiments, name: run.experiments["noise_none"]}))
    (figure,) = drawn
    texts = figure.axes[0].texts
    assert name in [text.get_text() for text in texts]
    assert min(text.get_window_extent().x0 for text in texts) > 0


def test_what_an_experiment_changes_is_told_by_facts_and_by_the_parts_of_phrases_that_differ() -> None:
    run = context()
    assert changes("self_attention", "multiflow", run) == "fusion: self attention"
    assert changes("background_ignored", "multiflow", run) == "background: ignored"
    own = run.experiments["noise_none"]
    phrases = {"training": "3 epochs", "noise": "anything", "foreground": "foreground: threshold, dilated by 8 px"}
    run = replace(run, experiments={**run.experiments, "noise_none": replace(own, protocol=own.protocol | phrases)})
    assert changes("noise_none", "multiflow", run) == "noise: none, dilated by 8 px, 3 epochs"


def write_history(folder: Path, experiment: str, class_name: str, seed: int, *records: dict[str, object]) -> Path:
    path = folder / f"models/{experiment}/{class_name}/seed{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def epochs(count: int, step: int = 1) -> list[dict[str, object]]:
    return [{"epoch": step * (n + 1), "loss": 1 / (n + 1), "seconds": 3} for n in range(count)]


def test_training_curves_of_every_experiment_class_and_seed(tmp_path: Path) -> None:
    paths = [
        write_history(tmp_path, "multiflow", "a", 0, *epochs(1)),
        write_history(tmp_path, "multiflow", "a", 1, *epochs(2)),
        write_history(tmp_path, "other", "b", 0, {"stage": "one"}, *epochs(3, step=10), {"epoch": 40, "loss": np.nan}),
    ]
    histories = load_histories(paths)
    assert histories == {
        ("multiflow", "a", 0): [(1, 1)],
        ("multiflow", "a", 1): [(1, 1), (2, 1 / 2)],
        ("other", "b", 0): [(10, 1), (20, 1 / 2), (30, 1 / 3)],
    }
    plot_training_classes(histories, {"multiflow": "Multi-Flow", "other": "Another"}, tmp_path / "classes.png")
    plot_training_experiments(histories, tmp_path / "experiments.pdf")
    assert (tmp_path / "classes.png").stat().st_size > 5000
    assert (tmp_path / "experiments.pdf").stat().st_size > 5000


def test_a_run_without_a_training_curve_is_left_out_and_a_figure_without_any_says_so(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    without = [
        write_history(tmp_path, "imported", "a", 0, {"imported": "model.safetensors"}),
        write_history(tmp_path, "fitted", "a", 0),
        write_history(tmp_path, "bank", "a", 0, {"patches": 300}, {"epoch": "one", "loss": None}),
    ]
    assert load_histories(without) == {}
    histories = load_histories([*without, write_history(tmp_path, "multiflow", "a", 0, *epochs(2))])
    assert set(histories) == {("multiflow", "a", 0)}
    plot_training_experiments(histories)
    plot_training_classes(histories, {"bank": "Bank"})
    plot_training_experiments({})
    said = ["no method here has a training curve" in [text.get_text() for text in figure.texts] for figure in drawn]
    assert said == [False, True, True]
    assert [len(figure.axes) for figure in drawn] == [1, 0, 0]


@pytest.mark.parametrize("content", ['{"epoch": 1, "lo', "[]", "3", '{"epoch": 1}\n\n{"epoch": 2}'])
def test_a_damaged_history_is_one_line(content: str, tmp_path: Path) -> None:
    path = tmp_path / "seed0.jsonl"
    path.write_text(content)
    with pytest.raises(InputError) as error:
        load_histories([path])
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(f"{path}: ")


def test_figures_are_drawn_without_torch() -> None:
    modules = ("ablations", "anomaly_maps", "classes", "detection", "foreground", "part_panel", "training")
    imports = ", ".join(f"multiflow.results.figures.{name}" for name in modules)
    code = f"import sys; sys.path.insert(0, {SOURCE!r}); import {imports}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
