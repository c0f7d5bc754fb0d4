"""One part through a trained flow: the evaluation's score, and one line for each thing that can be wrong with it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_data import dataset, write_class

from multiflow import config
from multiflow.__main__ import main
from multiflow.backbone import fetch_weights
from multiflow.errors import InputError
from multiflow.evaluation import score_flow
from multiflow.features import extract_features
from multiflow.figures.part_panel import PartView, draw_part, part_norm
from multiflow.flow.checkpoint import load_flow, save_flow
from multiflow.flow.released import export_released
from multiflow.flow_input import open_input
from multiflow.foreground import segment_foreground
from multiflow.foreground.segmenters import SEGMENTERS
from multiflow.inspection import Inspection, inspect_part, write_inspection
from multiflow.provenance import file_sha256
from multiflow.recipe import Recipe
from multiflow.samples import load_samples, read_samples, write_samples
from multiflow.scores import ScoreFile
from multiflow.training import load_trained_flow, train_flow

FEATURES = config.Features(
    backbone="tf_efficientnet_lite0.in1k", weights="package", padding="same", image_size=128, dtype="float16",
    ground_truth_size=32, scaling="standardize", device="cpu", workers=0,
)  # fmt: skip
FOREGROUND = config.Foreground(method="threshold", image_size=64, mask_size=32, dilation=4)
FLOW = config.Flow(blocks=2, hidden=4, kernels=[3, 3], noise_std=0.1)
TRAINING = config.Training(epochs=3, batch_size=2, learning_rate=1e-3, device="cpu")
SAMPLE = "thing_0007_NG_HS"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on drawn pictures, camera C2 mirrored: weights, samples, flow and scores."""
    folder = tmp_path_factory.mktemp("results") / "drawn"
    data, samples = folder / "dataset", folder / "samples/thing.csv"
    write_class(data)
    frame = read_samples(dataset(), data, "thing", processes=0)
    frame["flip"] = (frame["camera"] == "C2").astype(int)
    write_samples(frame, samples)
    weights, features = folder / "weights/backbone.safetensors", folder / "features/thing.h5"
    foreground = folder / "foreground/threshold/thing.h5"
    fetch_weights(FEATURES, weights)
    extract_features(samples, data, weights, FEATURES, features)
    segment_foreground(samples, data, FOREGROUND, foreground, processes=0)
    inputs = open_input(features, foreground, "nearest")
    flow = flow_of(folder)
    train_flow(inputs, FEATURES, FLOW, TRAINING, 0, flow, flow.with_suffix(".jsonl"), folder / "checkpoint.pt")
    provenance = {"flow_sha256": file_sha256(flow), "config": {"evaluation": {"sample_score": "mean"}}}
    score_flow(inputs, flow, TRAINING, folder / "scores/multiflow/thing/seed0.h5", provenance)
    return folder


def flow_of(run: Path) -> Path:
    return run / "flows/multiflow/thing/seed0.safetensors"


@pytest.fixture
def part(run: Path, tmp_path: Path) -> Path:
    """A folder with the pictures of an anomalous test sample."""
    folder = tmp_path / "part"
    folder.mkdir()
    for path in pictures_of(run):
        shutil.copy(path, folder)
    return folder


def pictures_of(run: Path, sample: str = SAMPLE) -> list[Path]:
    frame = load_samples(run / "samples/thing.csv")
    images = frame[(frame["split"] == "test") & (frame["sample"] == sample)]["image"]
    return [run / "dataset" / image for image in images]


def assert_evaluations_scores(found: Inspection, run: Path) -> None:
    with ScoreFile(run / "scores/multiflow/thing/seed0.h5") as scores:
        index = scores.samples.index(SAMPLE)
        assert np.array_equal(found.maps, scores.map(index))
        assert np.array_equal(found.image_scores, scores.image_scores[index])
        for rule in ("max", "mean"):
            assert found.sample_scores[rule] == scores.sample_scores(rule)[index]


def test_the_score_is_the_evaluations_bit_for_bit(run: Path, part: Path) -> None:
    found = inspect_part(flow_of(run), part)
    assert_evaluations_scores(found, run)
    assert found.rule == "assigned by the cameras in the file names"
    assert not found.inside.all()
    assert [item.view.flip for item in found.photographs] == [False, True, False]


def test_masks_beside_the_pictures_are_left_out(run: Path, part: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in pictures_of(run)[:2]:
        shutil.copy(path.with_suffix(".png"), part)
    assert_evaluations_scores(inspect_part(flow_of(run), part), run)
    assert "left out as ground truth: thing_0007_NG_HS_C1_test2024.png, thing_0007" in caplog.text
    picture(part).unlink()
    with pytest.raises(InputError, match="found none of C2"):
        inspect_part(flow_of(run), part)


def test_names_without_cameras_are_taken_in_their_order(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "notes.txt").write_text("no picture")
    for number, path in zip((2, 9, 10), pictures_of(run), strict=True):
        shutil.copy(path, folder / f"IMG{number}.JPG")
    found = inspect_part(flow_of(run), folder)
    assert_evaluations_scores(found, run)
    assert found.rule == "assigned by the order of the file names"


def test_pictures_can_be_given_one_by_one(run: Path) -> None:
    found = inspect_part(flow_of(run), pictures_of(run))
    assert_evaluations_scores(found, run)
    reversed_order = inspect_part(flow_of(run), pictures_of(run)[::-1])
    assert not np.array_equal(found.maps, reversed_order.maps)


def test_what_is_written_is_oriented_as_photographed(run: Path, part: Path, tmp_path: Path) -> None:
    found = inspect_part(flow_of(run), part)
    files = write_inspection(found, tmp_path / "out")
    assert {path.name for path in files} == {path.name for path in (tmp_path / "out").iterdir()}
    maps = np.load(tmp_path / "out/anomaly_maps.npy")
    assert np.array_equal(maps[[0, 2]], found.maps[[0, 2]])
    assert np.array_equal(maps[1], found.maps[1, :, ::-1])
    for camera in ("C1", "C2", "C3"):
        with Image.open(tmp_path / f"out/{camera}.png") as overlay:
            assert overlay.size == (96, 80)
    with Image.open(tmp_path / "out/panel.png") as panel:
        assert panel.width > 800
    record = json.loads((tmp_path / "out/score.json").read_text())
    assert record["sample_score"] == found.sample_scores
    assert [view["score"] for view in record["views"]] == found.image_scores.tolist()
    assert record["provenance"]["flow_sha256"] == file_sha256(flow_of(run))
    assert record["test_set"]["normal"]["parts"] == record["test_set"]["anomalous"]["parts"] == 2
    with pytest.raises(InputError, match="expected another folder than that of the photographs"):
        write_inspection(found, part)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file: cannot make this folder \(File exists\); change --output"):
        write_inspection(found, tmp_path / "file")


def test_the_command_says_where_the_score_lies(
    run: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(flow_of(run)), str(part), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    with ScoreFile(run / "scores/multiflow/thing/seed0.h5") as scores:
        values = scores.sample_scores("mean")
    own = values[3]
    assert f"sample score {own:.4f} (maximum" in printed
    lower = [int((part_of < own).sum()) for part_of in (values[:2], values[2:])]
    assert f"higher than {lower[0]} of 2 normal and {lower[1]} of 2 anomalous parts of the test set" in printed
    assert re.search(rf"C2 +[0-9.]+ +[0-2] of 2 +{SAMPLE}_C2_test2024.jpg \(mirrored\)", printed)
    with pytest.raises(SystemExit):
        main(["inspect", str(flow_of(run))])


def test_a_flow_alone_needs_the_backbones_weights(
    run: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = shutil.copy(flow_of(run), tmp_path)
    with pytest.raises(InputError, match=r"expected the weights of backbone, found none; .* with --backbone$"):
        inspect_part(Path(flow), part)
    weights = run / "weights/backbone.safetensors"
    assert_evaluations_scores(found := inspect_part(Path(flow), part, weights), run)
    assert found.reference is None
    assert main(["inspect", str(flow), str(part), "--backbone", str(flow), "--output", str(tmp_path / "out")]) == 1
    assert "expected the weights that the flow was trained with, SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def rename(folder: Path, camera: str, name: str) -> None:
    (path,) = folder.glob(f"*_{camera}_*.jpg")
    path.rename(folder / name)


def other_class(folder: Path) -> None:
    for path in folder.glob("*.jpg"):
        path.rename(folder / path.name.replace("thing", "bolt"))


def picture(folder: Path, camera: str = "C2") -> Path:
    (path,) = folder.glob(f"*_{camera}_*.jpg")
    return path


def two_others(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (96, 80)).save(folder / name)


def change(folder: Path, size: tuple[int, int] = (96, 80), mode: str = "RGB", **options: Any) -> None:
    with Image.open(picture(folder)) as image:
        image.convert(mode).resize(size).save(picture(folder), **options)


MISTAKES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a view is missing": (lambda folder: picture(folder).unlink(), r"of each of C1, C2, C3, found none of C2; add it"),
    "a view is there twice": (
        lambda folder: shutil.copy(picture(folder), folder / "thing_0007_NG_HS_C2_again.jpg"),
        r"found 2 of C2 \(thing_0007_NG_HS_C2_again.jpg, thing_0007_NG_HS_C2_test2024.jpg\); leave the pictures of one",
    ),
    "another camera": (
        lambda folder: shutil.copy(picture(folder), folder / "thing_0007_NG_HS_C4_test2024.jpg"),
        r"of each of C1, C2, C3, which the flow was trained with, found C4 as well",
    ),
    "two parts": (
        lambda folder: rename(folder, "C2", "thing_0008_NG_HS_C2_x.jpg"),
        r"expected the pictures of one part, found those of thing_0007_NG_HS, thing_0008_NG_HS",
    ),
    "another class": (other_class, r"a part of the class thing, .* found bolt in the file names"),
    "one name without a camera": (
        lambda folder: rename(folder, "C2", "side.jpg"),
        r"thing_0007_NG_HS_C1_test2024.jpg tells its camera, that of side.jpg does not; .*--views",
    ),
    "too few without cameras": (
        two_others,
        r"expected 3 pictures, one of each of C1, C2, C3, found 2: a.jpg, b.jpg",
    ),
    "another shape": (
        lambda folder: change(folder, (80, 80)),
        r"_C2_test2024.jpg: expected the shape of the training pictures of C2, 96 x 80 px, found 80 x 80 px",
    ),
    "not a picture": (lambda folder: picture(folder).write_text("hello"), r"expected a picture, .* \(not a picture\)"),
    "truncated": (
        lambda folder: picture(folder).write_bytes(picture(folder).read_bytes()[:900]),
        r"_C2_test2024.jpg: expected a picture, cannot decode its 900 bytes",
    ),
    "no folder": (shutil.rmtree, r"part: expected a folder with the pictures of one part, found none"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(run: Path, part: Path, mistake: str) -> None:
    make, message = MISTAKES[mistake]
    make(part)
    with pytest.raises(InputError, match=message) as caught:
        inspect_part(flow_of(run), part)
    assert len(caught.value.problems) == 1


def test_too_many_given_one_by_one(run: Path) -> None:
    with pytest.raises(InputError, match=r"--views: expected 3 pictures, one of each of C1, C2, C3, found 4: "):
        inspect_part(flow_of(run), [*pictures_of(run), pictures_of(run)[0]])


def test_one_given_twice(run: Path) -> None:
    first, second, _ = pictures_of(run)
    with pytest.raises(InputError, match=r"--views: expected a picture per camera, found .* more than once"):
        inspect_part(flow_of(run), [first, second, first])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "L"}, "a grey picture; its three channels become equal"),
        ({"mode": "CMYK"}, "a CMYK picture; it becomes RGB without a colour profile"),
        ({"size": (192, 160)}, "192 x 160 px, the training pictures of C2 have 96 x 80 px; it is resized"),
        ({"exif": {0x0112: 6}}, "its EXIF orientation is ignored"),
    ],
    ids=["grey", "cmyk", "size", "orientation"],
)
def test_what_a_training_would_take_is_a_warning(
    run: Path, part: Path, caplog: pytest.LogCaptureFixture, options: dict[str, Any], message: str
) -> None:
    if "exif" in options:
        exif = Image.Exif()
        exif.update(options["exif"])
        options = {"exif": exif}
    change(part, **options)
    assert np.isfinite(inspect_part(flow_of(run), part).maps).all()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{picture(part)}: {message}")


def with_metadata(run: Path, path: Path, **changes: Any) -> Path:
    """The run's flow with another recipe."""
    flow, extra, metadata = load_flow(flow_of(run))
    save_flow(path, flow, metadata | {"recipe": metadata["recipe"] | changes}, extra)
    return path


def test_a_foreground_without_its_weights(run: Path, part: Path, tmp_path: Path) -> None:
    masks = {"method": "mvanet", "image_size": 512}
    flow = with_metadata(run, tmp_path / "f.safetensors", foreground=masks, foreground_sha256="0" * 64)
    with pytest.raises(InputError, match=r"expected the weights of mvanet, found none; .* with --foreground$"):
        inspect_part(flow, part, run / "weights/backbone.safetensors")


def test_masks_of_a_network_are_those_of_the_evaluation(
    run: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bright:
        in_workers = False

        def segment(self, images: np.ndarray) -> np.ndarray:
            return images.mean(axis=3) < 130

    monkeypatch.setitem(SEGMENTERS, "mvanet", lambda settings, weights: Bright())
    settings = config.Foreground(method="mvanet", image_size=512, test_time_scales=[1.0], mask_size=32, dilation=0)
    weights, foreground = tmp_path / "mvanet.safetensors", tmp_path / "foreground.h5"
    weights.write_bytes(b"weights")
    segment_foreground(run / "samples/thing.csv", run / "dataset", settings, foreground, weights=weights)
    inputs = open_input(run / "features/thing.h5", foreground, "bilinear")
    recipe = Recipe.of(inputs)
    assert recipe is not None
    flow = with_metadata(run, tmp_path / "f.safetensors", **recipe.metadata())
    score_flow(inputs, flow, TRAINING, tmp_path / "scores.h5", {})
    found = inspect_part(flow, part, run / "weights/backbone.safetensors", weights)
    with ScoreFile(tmp_path / "scores.h5") as scores:
        assert np.array_equal(found.maps, scores.map(scores.samples.index(SAMPLE)))
    assert not np.array_equal(found.inside, inspect_part(flow_of(run), part).inside)


def test_a_part_of_one_view_without_background_is_drawn(tmp_path: Path) -> None:
    view = PartView("top", Image.new("L", (40, 20)), np.zeros((2, 2), np.float32), np.ones((2, 2), bool), 0.0)
    draw_part([view], part_norm([view], []), "title", "note", tmp_path / "panel.png")
    with Image.open(tmp_path / "panel.png") as panel:
        assert panel.height < 2 * panel.width


def test_a_flow_of_other_channels_than_the_backbone(run: Path, part: Path, tmp_path: Path) -> None:
    features = load_flow(flow_of(run))[2]["recipe"]["features"] | {"node": "blocks.4"}
    flow = with_metadata(run, tmp_path / "f.safetensors", features=features)
    with pytest.raises(InputError, match=r"expected 3 views with 192 channels as in .*, found 3 views with 112"):
        inspect_part(flow, part, run / "weights/backbone.safetensors")


def test_an_imported_checkpoint_needs_the_features_it_was_trained_on(
    run: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow, _ = load_trained_flow(flow_of(run))
    flow.transform_first, flow.clamp_slope = "first", 0.636
    torch.save(export_released(flow), tmp_path / "released.pt")
    imported = tmp_path / "imported.safetensors"
    command = ["import-checkpoint", str(tmp_path / "released.pt"), str(imported)]
    assert main(command) == 0
    with pytest.raises(InputError, match=r"imported.safetensors: expected a flow that says .* again with --features"):
        inspect_part(imported, part, run / "weights/backbone.safetensors")
    command += ["--features", str(run / "features/thing.h5")]
    assert main([*command, "--foreground", str(run / "foreground/threshold/thing.h5")]) == 0
    found = inspect_part(imported, part, run / "weights/backbone.safetensors")
    assert np.array_equal(found.inside, inspect_part(flow_of(run), part).inside)
    capsys.readouterr()
