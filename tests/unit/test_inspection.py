"""One part through a trained model: the evaluation's score, and one line for each thing that can be wrong with it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import h5py
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_data import dataset, write_class

from multiflow.__main__ import main
from multiflow.base.errors import InputError
from multiflow.base.provenance import file_sha256
from multiflow.base.settings import Compute
from multiflow.base.weights import write_weights
from multiflow.datasets.digests import read_digests, write_digests
from multiflow.datasets.ground_truth import write_ground_truth
from multiflow.datasets.table import load_samples, read_samples, write_samples
from multiflow.features.extraction import extract_features
from multiflow.features.pretrained import fetch_weights
from multiflow.features.settings import FeatureSet
from multiflow.foreground.segmentation import segment_foreground
from multiflow.foreground.segmenters import SEGMENTERS
from multiflow.foreground.settings import Foreground, Segmentation
from multiflow.inspection.output import output_folder, write_inspection
from multiflow.inspection.part import Inspection, inspect_part
from multiflow.methods import load_method
from multiflow.methods.contract import Model
from multiflow.methods.data import ClassFiles
from multiflow.methods.experiment import Experiment
from multiflow.methods.model import read_metadata, read_model, write_model
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.network import MultiFlow
from multiflow.methods.multiflow.released import RELEASED, export_released
from multiflow.methods.multiflow.settings import Network, Settings, Training
from multiflow.methods.score import score_samples
from multiflow.methods.train import train_model
from multiflow.metrics.counting import Counted, write_metrics
from multiflow.metrics.ranking import mean_of_highest, sample_scores
from multiflow.metrics.settings import Evaluation
from multiflow.metrics.upsampling import pixels
from multiflow.results.figures.part_panel import PartView, draw_part, part_norm
from multiflow.scores import ScoreFile

LITE0 = "tf_efficientnet_lite0.in1k"
FEATURES = FeatureSet(backbone=LITE0, weights="package", padding="same", image_size=128, dtype="float16")
SEGMENTATION = Segmentation(image_size=64)
COMPUTE = Compute(device="cpu", workers=0)
SAMPLE = "thing_0007_NG_HS"


def experiment(**changes: Any) -> Experiment:
    """A small Multi-Flow, or what differs from it."""
    method = load_method("multiflow")
    settings = Settings(
        features="lite0",
        scaling="standardize",
        network=Network(blocks=2, hidden=4, kernels=[3, 3], noise_std=0.1),
        training=Training(epochs=3, batch_size=2, learning_rate=1e-3),
    )
    foreground = Foreground(method="threshold", mask_size=32, dilation=4)
    evaluation = Evaluation(sample_score="mean", ground_truth_size=32)
    values = {"method": method, "settings": settings, "foreground": foreground, "evaluation": evaluation}
    return Experiment(
        **{"name": "multiflow", "method_name": "multiflow", "heading": "Multi-Flow", "compute": COMPUTE, **values}
        | changes
    )


def files_of(run: Path, experiment: Experiment) -> ClassFiles:
    method = experiment.foreground.method
    return ClassFiles(
        samples=run / "samples/thing.csv",
        digests=run / "samples/thing.json",
        root=run / "dataset",
        needs=experiment.needs,
        features={name: run / f"features/{name}/thing.h5" for name in experiment.needs.features},
        segmentation=run / f"foreground/{method}/thing.h5" if experiment.segmentation else None,
        foreground=experiment.foreground,
    )


def train_and_score(run: Path, experiment: Experiment) -> Path:
    """A model in the run, with its scores and a record of how they are evaluated."""
    place = f"{experiment.name}/thing/seed0"
    model, files = run / f"models/{place}.safetensors", files_of(run, experiment)
    train_model(experiment, 0, files, model, model.with_suffix(".jsonl"), run / "checkpoint.pt", keep=False)
    score_samples(experiment, files, model, run / f"scores/{place}.h5", {})
    provenance = {"config": {"evaluation": experiment.evaluation.model_dump(mode="json")}}
    write_metrics(run / f"metrics/{place}.json", experiment.name, "thing", 0, Counted({}, {}, {}), "", provenance)
    return model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on drawn pictures, camera C2 mirrored: weights, samples, model and scores."""
    folder = tmp_path_factory.mktemp("results") / "drawn"
    data, samples = folder / "dataset", folder / "samples/thing.csv"
    write_class(data)
    frame = read_samples(dataset(), data, "thing", processes=0)
    frame["flip"] = (frame["camera"] == "C2").astype(int)
    write_samples(frame, samples)
    write_digests(frame, samples.with_suffix(".json"))
    write_ground_truth(frame, data, 32, 127, folder / "ground_truth/thing.h5")
    weights, digests = folder / f"weights/{LITE0}.safetensors", read_digests(samples.with_suffix(".json"))
    fetch_weights(FEATURES, weights)
    extract_features(samples, digests, data, weights, FEATURES, COMPUTE, folder / "features/lite0/thing.h5")
    foreground = folder / "foreground/threshold/thing.h5"
    segment_foreground(samples, digests, data, "threshold", SEGMENTATION, COMPUTE, foreground)
    train_and_score(folder, experiment())
    return folder


def model_of(run: Path, name: str = "multiflow") -> Path:
    return run / f"models/{name}/thing/seed0.safetensors"


def part_of_scores(run: Path, name: str = "multiflow") -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Map, image scores and sample scores that the evaluation gave the part."""
    with ScoreFile(run / f"scores/{name}/thing/seed0.h5") as scores:
        index = scores.samples.index(SAMPLE)
        by_rule = {rule: float(values[index]) for rule, values in sample_scores(scores.image_scores).items()}
        ordered = pixels(scores.map(index), scores.foreground(index), 32).ordered
        return scores.map(index), scores.image_scores[index], by_rule | {"top1": mean_of_highest(ordered)}


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


def assert_evaluations_scores(found: Inspection, run: Path, name: str = "multiflow") -> None:
    maps, image_scores, by_rule = part_of_scores(run, name)
    assert np.array_equal(found.maps, maps)
    assert np.array_equal(found.image_scores, image_scores)
    assert found.sample_scores == by_rule


def test_the_score_is_the_evaluations_bit_for_bit(run: Path, part: Path) -> None:
    found = inspect_part(model_of(run), part)
    assert_evaluations_scores(found, run)
    assert found.assignment.rule == "assigned by the cameras in the file names"
    assert not found.inside.all()
    assert [item.view.flip for item in found.photographs] == [False, True, False]


def test_masks_beside_the_pictures_are_left_out(run: Path, part: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in pictures_of(run)[:2]:
        shutil.copy(path.with_suffix(".png"), part)
    assert_evaluations_scores(inspect_part(model_of(run), part), run)
    assert "left out as ground truth: thing_0007_NG_HS_C1_test2024.png, thing_0007" in caplog.text
    picture(part).unlink()
    with pytest.raises(InputError, match="found none of C2"):
        inspect_part(model_of(run), part)


def test_what_the_system_left_beside_the_pictures_is_nobodys(run: Path, part: Path) -> None:
    for path in list(part.iterdir()):
        (part / f"._{path.name}").write_bytes(b"\0\x05\x16\x07")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (part / name).write_bytes(b"\0")
    assert_evaluations_scores(inspect_part(model_of(run), part), run)


def test_a_picture_of_few_bits_is_a_warning(run: Path, part: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in part.iterdir():
        with Image.open(path) as image:
            values = np.asarray(image.convert("L")).astype(np.uint16) * 16
        Image.fromarray(values).save(path, "PNG")
    inspect_part(model_of(run), part)
    assert caplog.text.count("its 16-bit values use 12 bits at most") == 3


def test_a_model_behind_links_has_the_files_of_its_run(run: Path, part: Path, tmp_path: Path) -> None:
    """A link that leads into a run, one in the run that leads out of it into a store, and a chain of both."""
    model = model_of(run)
    place = tmp_path / "store/models/best/thing/seed0.safetensors"
    place.parent.mkdir(parents=True)
    model.rename(place)
    try:
        model.symlink_to(place)
        first, last = tmp_path / "first", tmp_path / "mine/models/of/all/flow.safetensors"
        first.symlink_to(model)
        last.parent.mkdir(parents=True)
        last.symlink_to("../../../../first")
        for path in (model, first, last):
            found = inspect_part(path, part)
            assert found.reference is not None
            assert_evaluations_scores(found, run)
    finally:
        place.replace(model)


def test_names_of_any_bytes_and_paths_as_a_shell_takes_them(
    run: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PARTS", str(tmp_path / "parts"))
    rename(part, "C2", "thing_0007_NG_HS_C2_caf\udce9.jpg")
    folder = tmp_path / "parts" / "lot $5 caf\udce9"
    shutil.copytree(part, folder)
    (tmp_path / "model.safetensors").symlink_to(model_of(run))
    for typed in (str(folder), f"~/parts/{folder.name}", f"${{PARTS}}/{folder.name}"):
        assert main(["inspect", "~/model.safetensors", typed, "--output", "~/out"]) == 0
        assert r"thing_0007_NG_HS_C2_caf\udce9.jpg" in capsys.readouterr().out
        assert json.loads((tmp_path / "out/score.json").read_text())["source"] == str(folder)
    with pytest.raises(SystemExit):
        main(["inspect", "~/model.safetensors", "$NOWHERE/part"])
    assert "the variable NOWHERE is not set" in capsys.readouterr().err


def test_names_without_cameras_are_taken_in_their_order(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "notes.txt").write_text("no picture")
    for number, path in zip((2, 9, 10), pictures_of(run), strict=True):
        shutil.copy(path, folder / f"IMG{number}.JPG")
    found = inspect_part(model_of(run), folder)
    assert_evaluations_scores(found, run)
    assert found.assignment.rule == "assigned by the order of the file names"


def test_pictures_can_be_given_one_by_one(run: Path) -> None:
    found = inspect_part(model_of(run), pictures_of(run))
    assert_evaluations_scores(found, run)
    reversed_order = inspect_part(model_of(run), pictures_of(run)[::-1])
    assert not np.array_equal(found.maps, reversed_order.maps)


def test_what_is_written_is_oriented_as_photographed(run: Path, part: Path, tmp_path: Path) -> None:
    found = inspect_part(model_of(run), part)
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
    assert record["provenance"]["model_sha256"] == file_sha256(model_of(run))
    assert record["test_set"]["normal"]["parts"] == record["test_set"]["anomalous"]["parts"] == 2
    with pytest.raises(InputError, match="expected another folder than that of the photographs"):
        write_inspection(found, part)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file: cannot make this folder \(File exists\); change --output"):
        write_inspection(found, tmp_path / "file")


def test_the_command_says_where_the_score_lies(
    run: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(model_of(run)), str(part), "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    with ScoreFile(run / "scores/multiflow/thing/seed0.h5") as scores:
        values = sample_scores(scores.image_scores)["mean"]
    own, by_rule = values[3], part_of_scores(run)[2]
    others = f"(maximum {by_rule['max']:.4f}, mean {own:.4f}, highest 1 % {by_rule['top1']:.4f})"
    assert f"sample score {own:.4f} {others}" in printed
    lower = [int((part_of < own).sum()) for part_of in (values[:2], values[2:])]
    assert f"higher than {lower[0]} of 2 normal and {lower[1]} of 2 anomalous parts of the test set" in printed
    assert re.search(rf"C2 +[0-9.]+ +[0-2] of 2 +{SAMPLE}_C2_test2024.jpg \(mirrored\)", printed)
    with pytest.raises(SystemExit):
        main(["inspect", str(model_of(run))])


def test_a_model_alone_needs_the_weights_of_its_networks(
    run: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copy(model_of(run), tmp_path))
    with pytest.raises(InputError, match=rf"expected the weights of {LITE0}, found none; .* with --weights$"):
        inspect_part(model, part)
    found = inspect_part(model, part, run / "weights")
    assert np.array_equal(found.maps, part_of_scores(run)[0])
    assert found.reference is None
    assert found.evaluation == Evaluation()
    write_weights(tmp_path / f"{LITE0}.safetensors", {"other": torch.zeros(1)}, {})
    assert main(["inspect", str(model), str(part), "--weights", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "expected the weights that the model was trained with, SHA-256" in capsys.readouterr().err
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
        r"of each of C1, C2, C3, which the model was trained with, found C4 as well",
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
    "phone's format": (
        lambda folder: picture(folder).rename(picture(folder).with_suffix(".HEIC")),
        r"expected pictures that can be read \(.*\), found thing_0007_NG_HS_C2_test2024.HEIC; convert them to PNG or",
    ),
    "no folder": (shutil.rmtree, r"part: expected a folder with the pictures of one part, found none"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(run: Path, part: Path, mistake: str) -> None:
    make, message = MISTAKES[mistake]
    make(part)
    with pytest.raises(InputError, match=message) as caught:
        inspect_part(model_of(run), part)
    assert len(caught.value.problems) == 1


def test_too_many_given_one_by_one(run: Path) -> None:
    with pytest.raises(InputError, match=r"--views: expected 3 pictures, one of each of C1, C2, C3, found 4: "):
        inspect_part(model_of(run), [*pictures_of(run), pictures_of(run)[0]])


def test_one_given_twice(run: Path) -> None:
    first, second, _ = pictures_of(run)
    with pytest.raises(InputError, match=r"--views: expected a picture per camera, found .* more than once"):
        inspect_part(model_of(run), [first, second, first])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "L"}, "a grey picture; its three channels become equal"),
        ({"mode": "CMYK"}, "a CMYK picture; it becomes RGB without a colour profile"),
        ({"size": (192, 160)}, "192 x 160 px, the training pictures of C2 have 96 x 80 px; it is resized"),
        ({"exif": {0x0112: 6}}, "its EXIF orientation is ignored"),
        ({"exif": b"garbage", "format": "WEBP"}, "its EXIF block is damaged, and ignored"),
        (
            {"format": "TIFF", "save_all": True, "append_images": [Image.new("RGB", (9, 9))]},
            "it holds several pictures",
        ),
    ],
    ids=["grey", "cmyk", "size", "orientation", "damaged block", "pages"],
)
def test_what_a_training_would_take_is_a_warning(
    run: Path, part: Path, caplog: pytest.LogCaptureFixture, options: dict[str, Any], message: str
) -> None:
    if isinstance(options.get("exif"), dict):
        exif = Image.Exif()
        exif.update(options["exif"])
        options = {"exif": exif}
    change(part, **options)
    assert np.isfinite(inspect_part(model_of(run), part).maps).all()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{picture(part)}: {message}")


def with_recipe(run: Path, path: Path, **changes: Any) -> Path:
    """The run's model with another recipe."""
    model = read_model(model_of(run))
    recipe = {**model.metadata["recipe"], **changes}
    write_model(path, Model(model.tensors, {**model.metadata, "recipe": recipe}))
    return path


def test_a_foreground_without_its_weights(run: Path, part: Path, tmp_path: Path) -> None:
    recipe = read_metadata(model_of(run))["recipe"]["foreground"]
    masks = recipe | {"settings": {"method": "mvanet"}, "weights_sha256": "0" * 64}
    model = with_recipe(run, tmp_path / "m.safetensors", foreground=masks)
    with pytest.raises(InputError, match=r"mvanet.safetensors: expected the weights of mvanet, found none; .*--weight"):
        inspect_part(model, part, run / "weights")


def test_masks_of_a_network_are_those_of_the_evaluation(
    run: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bright:
        in_workers = False

        def segment(self, images: np.ndarray) -> np.ndarray:
            return images.mean(axis=3) < 130

    monkeypatch.setitem(SEGMENTERS, "mvanet", lambda settings, compute, weights: Bright())
    weights = run / "weights/mvanet.safetensors"
    write_weights(weights, {"bright": torch.zeros(1)}, {})
    segment_foreground(
        run / "samples/thing.csv", read_digests(run / "samples/thing.json"), run / "dataset", "mvanet",
        Segmentation(image_size=512, test_time_scales=[1.0]), COMPUTE, run / "foreground/mvanet/thing.h5",
        weights=weights,
    )  # fmt: skip
    masked = experiment(name="masked", foreground=Foreground(mask_size=32, dilation=0, to_grid="bilinear"))
    found = inspect_part(train_and_score(run, masked), part)
    assert_evaluations_scores(found, run, "masked")
    assert not np.array_equal(found.inside, inspect_part(model_of(run), part).inside)


def test_a_background_without_scores_takes_no_part_and_is_marked(run: Path, part: Path, tmp_path: Path) -> None:
    usual = experiment()
    ignored = replace(
        usual,
        name="ignored",
        foreground=usual.foreground.model_copy(update={"background": "ignored"}),
        evaluation=Evaluation(sample_score="top1", ground_truth_size=32),
    )
    found = inspect_part(train_and_score(run, ignored), part)
    assert_evaluations_scores(found, run, "ignored")
    assert found.scores.foreground is not None
    assert np.array_equal(found.image_scores, np.where(found.inside, found.maps, -np.inf).max(axis=(1, 2)))
    assert found.reference is not None
    assert found.sample_scores["top1"] in found.reference.anomalous
    write_inspection(found, tmp_path / "out")
    assert np.array_equal(np.isnan(np.load(tmp_path / "out/anomaly_maps.npy")), ~found.photographed(found.inside))


FROM_OUTSIDE = """
import numpy as np
import torch
from multiflow.base.settings import Block
from multiflow.methods.contract import Model, Needs, Scores

class Settings(Block):
    size: int = 40

class Brightness:
    heading, reference, Settings = "Brightness", "nobody", Settings

    def needs(self, settings):
        return Needs(images=settings.size)

    def train(self, samples, settings, seed, work):
        return Model({"mean": torch.tensor(np.mean([sample.images.mean() for sample in samples]))})

    def scorer(self, model, settings, device):
        mean = float(model.tensors["mean"])
        return lambda sample: Scores(sample.images.mean(axis=3).astype(np.float32) - mean)
"""


def test_a_method_from_outside_that_reads_pictures_is_inspected_as_well(run: Path, part: Path, tmp_path: Path) -> None:
    (tmp_path / "brightness.py").write_text(FROM_OUTSIDE)
    name = f"{tmp_path}/brightness.py:Brightness"
    method = load_method(name)
    outside = experiment(name="outside", method_name=name, method=method, settings=method.Settings())
    found = inspect_part(train_and_score(run, outside), part)
    assert_evaluations_scores(found, run, "outside")
    assert found.inside.all()
    assert found.maps.shape == (3, 40, 40)
    model = read_model(model_of(run, "outside"))
    for change, message in (
        ({"method": "nobody.knows:This"}, r"m.safetensors: method: nobody.knows:This: cannot be imported"),
        ({"settings": {"sise": 1}}, r"m.safetensors: settings.sise: unknown key"),
        ({"method": None}, r"m.safetensors: expected a model that names its method and settings, found none"),
    ):
        write_model(tmp_path / "m.safetensors", Model(model.tensors, {**model.metadata, **change}))
        with pytest.raises(InputError, match=message):
            inspect_part(tmp_path / "m.safetensors", part)


DARKNESS = """
import numpy as np
from multiflow.base.settings import NEUTRAL, SCORING, Block
from multiflow.methods.contract import Model, Needs, Scores
from pydantic import Field

class Settings(Block):
    offset: float = Field(0.0, json_schema_extra=SCORING)
    batch: int = Field(json_schema_extra=NEUTRAL)

class Darkness:
    heading, reference, Settings = "Darkness", "nobody", Settings

    def needs(self, settings):
        return Needs(images=40)

    def train(self, samples, settings, seed, work):
        return Model({})

    def scorer(self, model, settings, device):
        def score(sample):
            dark = 255 - sample.images.mean(axis=3).astype(np.float32)
            return Scores(dark + np.float32(settings.offset), foreground=dark > 100)
        return score
"""


def trained_alone(name: str, epochs: int) -> Experiment:
    """An experiment whose model is no other's of this run."""
    settings = experiment().settings
    assert isinstance(settings, Settings)
    training = settings.training.model_copy(update={"epochs": epochs})
    return experiment(name=name, settings=settings.model_copy(update={"training": training}))


def score_again(run: Path, owner: Experiment, **changes: Any) -> None:
    """Another experiment's scores by the same model, as of experiments that share a training."""
    other = replace(owner, **changes)
    place = f"{other.name}/thing/seed0"
    score_samples(other, files_of(run, other), model_of(run, owner.name), run / f"scores/{place}.h5", {})
    provenance = {"config": {"evaluation": other.evaluation.model_dump(mode="json")}}
    write_metrics(run / f"metrics/{place}.json", other.name, "thing", 0, Counted({}, {}, {}), "", provenance)


def test_experiments_that_share_a_model_are_inspected_by_their_own_rules(
    run: Path, part: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = trained_alone("owner", 1)
    model = train_and_score(run, owner)
    ignored = owner.foreground.model_copy(update={"background": "ignored"})
    maximum = Evaluation(sample_score="max", ground_truth_size=32)
    score_again(run, owner, name="sharing", foreground=ignored, evaluation=maximum)
    as_trained, as_shared = inspect_part(model, part), inspect_part(model, part, experiment="sharing")
    assert_evaluations_scores(as_trained, run, "owner")
    assert_evaluations_scores(as_shared, run, "sharing")
    assert (as_trained.scores.foreground is None, as_shared.scores.foreground is None) == (True, False)
    assert (as_trained.evaluation.sample_score, as_shared.evaluation.sample_score) == ("mean", "max")
    assert as_shared.reference is not None
    assert as_shared.reference.path == run / "scores/sharing/thing/seed0.h5"
    assert as_shared.provenance["recipe"]["foreground"]["settings"]["background"] == "ignored"
    write_inspection(as_trained, output_folder(as_trained, tmp_path / "inspection"))
    assert output_folder(as_trained, tmp_path / "inspection") == tmp_path / "inspection/thing/part"
    assert output_folder(as_shared, tmp_path / "inspection") != tmp_path / "inspection/thing/part"

    command = ["inspect", str(model), str(part), "--output", str(tmp_path / "out"), "--experiment"]
    assert main([*command, "sharing"]) == 0
    scores = run / "scores/sharing/thing/seed0.h5"
    assert f"settings of the experiment sharing, as in {scores}\n" in capsys.readouterr().out
    assert main([*command, "multiflow"]) == 1, "another model's scores"
    assert "as the experiment multiflow, found none; --experiment takes owner, sharing\n" in capsys.readouterr().err


def test_an_experiment_whose_rule_alone_was_changed_is_inspected_by_the_new_one(run: Path, part: Path) -> None:
    """A change of foreground.background scores again and trains nothing."""
    owner = trained_alone("changed", 2)
    model = train_and_score(run, owner)
    score_again(run, owner, foreground=owner.foreground.model_copy(update={"background": "ignored"}))
    found = inspect_part(model, part)
    assert_evaluations_scores(found, run, "changed")
    assert found.scores.foreground is not None
    scores = run / "scores/changed/thing/seed0.h5"
    assert found.provenance["settings_from"] == str(scores)
    scores.unlink()
    found = inspect_part(model, part)
    assert found.scores.foreground is None
    assert found.rule == "settings of the training, as in the model: its run has no scores of it"
    assert found.provenance["settings_from"] == str(model)
    with pytest.raises(InputError, match=r"as the experiment changed, found none; --experiment takes none of this run"):
        inspect_part(model, part, experiment="changed")


def test_settings_of_scoring_and_a_foreground_of_the_methods_own_are_those_of_the_evaluation(
    run: Path, part: Path, tmp_path: Path
) -> None:
    (tmp_path / "darkness.py").write_text(DARKNESS)
    name = f"{tmp_path}/darkness.py:Darkness"
    method = load_method(name)
    trained = experiment(name="dark", method_name=name, method=method, settings=method.Settings(batch=2))
    model = train_and_score(run, trained)
    ignored = trained.foreground.model_copy(update={"background": "ignored"})
    compute = COMPUTE.model_copy(update={"threads": 2})
    score_again(run, trained, settings=method.Settings(batch=3, offset=7.0), foreground=ignored, compute=compute)
    found = inspect_part(model, part)
    assert_evaluations_scores(found, run, "dark")
    assert found.scores.foreground is not None
    assert found.provenance["settings"] == {"offset": 7.0, "batch": 2}
    assert (found.recipe.threads, inspect_part(model, part, threads=1).recipe.threads) == (2, 1)


def test_scores_of_another_model_or_of_an_older_version_say_nothing(run: Path, part: Path, tmp_path: Path) -> None:
    owner = trained_alone("older", 4)
    model = train_and_score(run, owner)
    ignored = owner.foreground.model_copy(update={"background": "ignored"})
    score_again(run, owner, foreground=ignored)
    scores = run / "scores/older/thing/seed0.h5"
    with h5py.File(scores, "r+") as file:
        provenance = json.loads(file.attrs["provenance"])
        del provenance["scoring"]
        file.attrs["provenance"] = json.dumps(provenance)
    assert inspect_part(model, part).scores.foreground is None
    score_again(run, owner, foreground=ignored)
    trained = read_model(model)
    write_model(model, Model(trained.tensors, {**trained.metadata, "seed": 1}))
    assert inspect_part(model, part).scores.foreground is None
    alone = Path(shutil.copy(model, tmp_path / "alone.safetensors"))
    with pytest.raises(InputError, match=r"alone\.safetensors: expected a model in .*experiment older are found"):
        inspect_part(alone, part, run / "weights", experiment="older")


def test_results_of_another_part_are_never_overwritten(run: Path, part: Path, tmp_path: Path) -> None:
    """Two days' `part7`: each has a folder of its own, and the same part inspected again goes to the same one."""
    results = tmp_path / "inspection"

    def inspect(day: str) -> Path:
        folder = tmp_path / day / "part7"
        shutil.copytree(part, folder, dirs_exist_ok=True)
        found = inspect_part(model_of(run), folder)
        output = output_folder(found, results)
        write_inspection(found, output)
        return output.relative_to(results)

    days = ["monday", "tuesday", "monday", "tuesday", "other/monday"]
    assert [str(inspect(day)) for day in days] == [
        "thing/part7",
        "thing/tuesday-part7",
        "thing/part7",
        "thing/tuesday-part7",
        "thing/monday-part7",
    ]
    assert str(inspect("third/monday")) == "thing/part7-2"
    again = inspect_part(model_of(run), tmp_path / "monday/part7")
    # A camera numbers its folders from the beginning when its card is emptied.
    Image.new("RGB", (96, 80), "red").save(picture(tmp_path / "monday/part7"))
    assert output_folder(inspect_part(model_of(run), tmp_path / "monday/part7"), results).name == "part7-3"
    shutil.copy(picture(part), picture(tmp_path / "monday/part7"))
    elsewhere = replace(again, provenance=again.provenance | {"model": "/another/model.safetensors"})
    assert output_folder(again, results) == results / "thing/part7"
    assert output_folder(elsewhere, results) == results / "thing/part7-3"
    (results / "thing/part7/score.json").write_text("torn")
    assert output_folder(again, results) == results / "thing/part7-3"


def test_the_command_chooses_the_folder(
    run: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for day in ("monday", "tuesday"):
        shutil.copytree(part, f"{day}/part7")
        assert main(["inspect", str(model_of(run)), f"{day}/part7"]) == 0
    printed = capsys.readouterr().out
    for name in ("part7", "tuesday-part7"):
        assert f"results/inspection/thing/{name}: panel.png, score.json" in printed
        assert Path(f"results/inspection/thing/{name}/score.json").is_file()


def test_an_inspection_that_was_stopped_goes_into_the_same_folder(
    run: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = inspect_part(model_of(run), sorted(part.iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr("multiflow.results.figures.part_panel.write_overlay", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_inspection(found, tmp_path / "out")
    assert all(path.is_file() for path in write_inspection(found, tmp_path / "out"))


def test_a_folder_that_is_given_loses_nothing_that_lies_there(run: Path, part: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").touch()
    pictures = sorted(part.iterdir())
    first, second = inspect_part(model_of(run), pictures), inspect_part(model_of(run), pictures[::-1])
    for _ in range(2):  # the same part again
        write_inspection(first, tmp_path / "out")
    before = (tmp_path / "out/score.json").read_bytes()
    with pytest.raises(InputError, match=r"found panel.png, score.json, anomaly_maps.npy, C1.png, .*; change --output"):
        write_inspection(second, tmp_path / "out")
    assert (tmp_path / "out/score.json").read_bytes() == before
    (tmp_path / "mine").mkdir()
    shutil.copy(pictures[0], tmp_path / "mine/C1.png")
    with pytest.raises(
        InputError, match=r"expected a folder without files of another inspection, found C1.png; change"
    ):
        write_inspection(first, tmp_path / "mine")
    assert (tmp_path / "mine/C1.png").read_bytes() == pictures[0].read_bytes()
    assert len(list((tmp_path / "mine").iterdir())) == 1


def test_two_parts_in_one_folder_have_folders_of_their_own(run: Path, part: Path, tmp_path: Path) -> None:
    results = tmp_path / "inspection"
    pictures = sorted(part.iterdir())
    first = inspect_part(model_of(run), pictures)
    write_inspection(first, output_folder(first, results))
    second = inspect_part(model_of(run), pictures[::-1])
    assert output_folder(first, results) == results / "thing/part"
    assert output_folder(second, results) != results / "thing/part"


def test_a_part_of_one_view_without_background_is_drawn(tmp_path: Path) -> None:
    view = PartView("top", Image.new("L", (40, 20)), np.zeros((2, 2), np.float32), np.ones((2, 2), bool), 0.0)
    draw_part([view], part_norm([view], []), "title", "note", tmp_path / "panel.png")
    with Image.open(tmp_path / "panel.png") as panel:
        assert panel.height < 2 * panel.width


def test_a_camera_may_be_called_as_one_of_the_files(run: Path, part: Path, tmp_path: Path) -> None:
    found = inspect_part(model_of(run), part)
    first, *others = found.photographs
    named = replace(
        found, photographs=[replace(first, view=first.view.model_copy(update={"camera": "panel"})), *others]
    )
    files = write_inspection(named, tmp_path / "out")
    assert len({path.name for path in files}) == len(files) == 6
    with Image.open(tmp_path / "out/panel.png") as panel, Image.open(tmp_path / "out/panel-view.png") as view:
        assert panel.width > 2 * view.width


def test_a_model_of_other_channels_than_the_backbone(run: Path, part: Path, tmp_path: Path) -> None:
    features = read_metadata(model_of(run))["recipe"]["features"]
    features["lite0"]["settings"]["node"] = "blocks.4"
    model = with_recipe(run, tmp_path / "m.safetensors", features=features)
    with pytest.raises(InputError, match=r"expected 3 views with 192 channels as .*, found 3 views with 112"):
        inspect_part(model, part, run / "weights")


def test_an_imported_checkpoint_is_inspected_once_its_run_has_the_files(
    run: Path, part: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = RELEASED.model_copy(update={"blocks": 1, "hidden": 4, "kernels": [3]})
    flow = MultiFlow(192, camera_graph(3), network, generator=torch.Generator().manual_seed(0))
    torch.save(export_released(flow), tmp_path / "released.pt")
    values: dict[str, Any] = {
        "run": "drawn",
        "dataset": dataset(root=str(run / "dataset")).model_dump(mode="json"),
        "features": {"lite0": FEATURES.model_dump(mode="json")},
        "segmentation": SEGMENTATION.model_dump(mode="json"),
        "foreground": {"method": "threshold", "mask_size": 32, "dilation": 4},
        "seeds": [0, 1],
        "methods": {"multiflow": {"features": "lite0", "network": network.model_dump(mode="json")}},
        "experiments": {"multiflow": {}},
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    command = ["import-checkpoint", "released.pt", "--experiment", "multiflow", "--class", "thing", "--seed", "1"]
    imported = Path("results/drawn/imported/multiflow/thing/seed1.safetensors")

    assert main(command) == 0
    assert "results/drawn/samples/thing.csv: not there yet, so the model does not say how" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"seed1.safetensors: expected a model that says .* --config and --class$"):
        inspect_part(imported, part)

    shutil.copytree(run, "results/drawn", dirs_exist_ok=True)
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    found = inspect_part(imported, part)
    assert np.array_equal(found.inside, inspect_part(model_of(run), part).inside)
    assert found.reference is None
    released = experiment(settings=Settings(features="lite0", network=network))
    files = files_of(run, released)
    score_samples(released, files, imported, tmp_path / "scores.h5", {})
    with ScoreFile(tmp_path / "scores.h5") as scores:
        assert np.array_equal(found.maps, scores.map(scores.samples.index(SAMPLE)))
