"""Any method from a class's files to a model and scores: what is done around it, whatever it is."""

from __future__ import annotations

import gc
import json
import pickle
import signal
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from station_files import CAMERAS, PICTURES

from multiflow.base.devices import exact_float32
from multiflow.base.errors import InputError
from multiflow.base.provenance import versions
from multiflow.base.settings import Block, Compute
from multiflow.base.tensors import read_provenance
from multiflow.base.weights import write_weights
from multiflow.datasets.table import SAMPLE_COLUMNS, write_samples
from multiflow.features.settings import FeatureSet
from multiflow.foreground.settings import Foreground
from multiflow.methods import METHODS, load_method
from multiflow.methods.contract import Cost, Model, Needs, Scores
from multiflow.methods.data import ClassFiles
from multiflow.methods.experiment import Experiment, title_of
from multiflow.methods.finished import forget_all_finished, forget_finished
from multiflow.methods.hooks import ask
from multiflow.methods.model import read_metadata, read_model, write_model
from multiflow.methods.multiflow import MultiFlowMethod
from multiflow.methods.multiflow.settings import Network, Settings, Training
from multiflow.methods.recipe import Recipe
from multiflow.methods.score import background_scored, score_samples
from multiflow.methods.source import source_sha256
from multiflow.methods.train import adopt_model, train_model
from multiflow.methods.work import Work
from multiflow.metrics.settings import Evaluation
from multiflow.scores import ScoreFile

Write = Callable[..., Path]

SETTINGS = Settings(
    features="tiny",
    scaling="standardize",
    network=Network(blocks=2, hidden=4, kernels=[3, 3], noise_std=0.1),
    training=Training(epochs=6, batch_size=2, learning_rate=1e-3, checkpoint_every=2),
)


def experiment(settings: Any = SETTINGS, method: Any = None, **blocks: Any) -> Experiment:
    defaults: dict[str, Any] = {"foreground": Foreground(mask_size=16, dilation=0), "compute": Compute(device="cpu")}
    return Experiment(
        name="tiny", method_name="multiflow", method=method or MultiFlowMethod(), heading="Tiny", settings=settings,
        evaluation=Evaluation(), **(defaults | blocks),
    )  # fmt: skip


@pytest.fixture
def files(write_features: Write, write_foreground: Write, tmp_path: Path) -> ClassFiles:
    """A class's files; its samples are those of the fixtures."""
    rows = []
    for split, count in (("train", 6), ("test", 8)):
        for index in range(count):
            for camera in CAMERAS:
                label = int(split == "test" and index >= 4 and camera == CAMERAS[0])
                key = f"part_{split}_{index}"
                rows.append(
                    [split, key, camera, f"{key}_{camera}.png", "", label, "AK" if label else "OK",
                     int(camera == "C2"), "a" * 64, "", 64, 48]
                )  # fmt: skip
    write_samples(pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS)), tmp_path / "part.csv")
    (tmp_path / "part.json").write_text(json.dumps({"pictures": PICTURES, "ground_truth": "5" * 64}))
    return ClassFiles(
        samples=tmp_path / "part.csv",
        digests=tmp_path / "part.json",
        root=tmp_path,
        needs=Needs(features=("tiny",), foreground=True),
        features={"tiny": write_features()},
        segmentation=write_foreground(),
        foreground=Foreground(mask_size=16, dilation=0),
    )


def train(files: ClassFiles, output: Path, seed: int = 0, keep: bool = True, **changes: Any) -> None:
    outputs = output, output.with_suffix(".jsonl"), output.with_suffix(".pt")
    train_model(experiment(**changes), seed, files, *outputs, keep=keep)


def losses(output: Path) -> list[float]:
    return [record["loss"] for record in records(output) if "loss" in record]


def records(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.with_suffix(".jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", METHODS)
def test_every_registered_method_keeps_the_contract(name: str) -> None:
    method = load_method(name)
    assert method.heading
    assert method.reference
    assert isinstance(method.needs(method.Settings()), Needs)
    assert load_method(name) is method, "one object serves all experiments"


def test_a_model_knows_what_made_it(files: ClassFiles, tmp_path: Path) -> None:
    train(files, tmp_path / "model.safetensors", seed=3)
    metadata = read_metadata(tmp_path / "model.safetensors")
    assert (metadata["method"], metadata["class"], metadata["seed"]) == ("multiflow", "part", 3)
    assert Settings(**metadata["settings"]) == SETTINGS
    recipe = Recipe.read(tmp_path / "model.safetensors", metadata)
    assert recipe.cameras == CAMERAS
    assert [view.flip for view in recipe.views] == [False, True, False]
    assert recipe.views[0].sizes == [(64, 48)]
    assert recipe.features["tiny"].settings.model_dump(exclude={"weights"}) == FeatureSet(
        backbone="random", node="blocks.0", padding="same", image_size=64
    ).model_dump(exclude={"weights"})
    assert recipe.foreground is not None
    assert (recipe.foreground.settings, recipe.foreground.segmentation.image_size) == (files.foreground, 64)


def test_same_seed_same_bytes_and_another_seed_others(files: ClassFiles, tmp_path: Path) -> None:
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        train(files, tmp_path / f"{name}.safetensors", seed)
    made = {name: (tmp_path / f"{name}.safetensors").read_bytes() for name in ("first", "again", "other")}
    assert made["first"] == made["again"]
    assert made["first"] != made["other"]
    assert len(losses(tmp_path / "first.safetensors")) == 6
    usage = records(tmp_path / "first.safetensors")[-1]["usage"]
    assert usage["seconds"] > 0
    assert (usage["gpu_memory"], usage["samples"], usage["threads"]) == (None, 6, 1)
    stored = read_model(tmp_path / "first.safetensors").tensors
    assert usage["parameters"] == sum(value.numel() for value in stored.values() if value.is_floating_point())
    assert not list(tmp_path.glob("*.pt"))


def test_a_killed_training_goes_on_and_ends_the_same(files: ClassFiles, tmp_path: Path) -> None:
    long = SETTINGS.model_copy(
        update={"training": SETTINGS.training.model_copy(update={"epochs": 60, "checkpoint_every": 10})}
    )
    train(files, tmp_path / "whole.safetensors", settings=long)
    program = textwrap.dedent(
        f"""
        import pickle, sys
        from pathlib import Path
        sys.path[:0] = [{str(Path(__file__).parent)!r}]
        from test_methods import train
        files, settings = pickle.loads(bytes.fromhex(sys.argv[1]))
        train(files, Path(sys.argv[2]), settings=settings)
        """
    )
    output, data = tmp_path / "killed.safetensors", pickle.dumps((files, long)).hex()
    process = subprocess.Popen([sys.executable, "-c", program, data, str(output)])
    deadline = time.monotonic() + 120
    while not output.with_suffix(".pt").exists():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert not output.exists()
    assert not output.with_suffix(".jsonl").exists(), "a history is there whole or not at all"
    train(files, output, settings=long)
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert losses(output) == losses(tmp_path / "whole.safetensors")
    assert not output.with_suffix(".pt").exists()


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_not_used(files: ClassFiles, tmp_path: Path) -> None:
    train(files, tmp_path / "whole.safetensors")
    expected = (tmp_path / "whole.safetensors").read_bytes()
    output = tmp_path / "model.safetensors"
    for content in ({"fingerprint": "of another", "history": [{"epoch": 1}], "state": {}}, None):
        if content is None:
            output.with_suffix(".pt").write_bytes(b"half a file")
        else:
            torch.save(content, output.with_suffix(".pt"))
        train(files, output, keep=False)
        assert output.read_bytes() == expected


def test_a_finished_training_whose_outputs_were_deleted_is_used_again(files: ClassFiles, tmp_path: Path) -> None:
    output = tmp_path / "model.safetensors"
    train(files, output)
    made, history = output.read_bytes(), output.with_suffix(".jsonl").read_bytes()
    for name in (output, output.with_suffix(".jsonl")):
        name.unlink()
    train(files, output)
    assert (output.read_bytes(), output.with_suffix(".jsonl").read_bytes()) == (made, history), (
        "the seconds in the history tell that it was trained a second time"
    )
    train(files, output, seed=1)
    assert output.read_bytes() != made


def test_a_model_that_is_not_kept_has_no_second_link(files: ClassFiles, tmp_path: Path) -> None:
    output = tmp_path / "model.safetensors"
    for keep, links in ((False, 1), (True, 2)):
        train(files, output, keep=keep)
        assert (output.stat().st_nlink, output.with_suffix(".jsonl").stat().st_nlink) == (links, links)
    forget_finished(output.with_suffix(".pt"))
    assert (output.stat().st_nlink, output.with_suffix(".jsonl").stat().st_nlink) == (1, 1)
    train(files, output)
    forget_all_finished(tmp_path)
    assert (output.stat().st_nlink, output.with_suffix(".jsonl").stat().st_nlink) == (1, 1)


def test_an_imported_model_takes_the_place_of_a_training(files: ClassFiles, tmp_path: Path) -> None:
    train(files, tmp_path / "model.safetensors")
    imported, output = tmp_path / "imported.safetensors", tmp_path / "adopted.safetensors"
    write_model(imported, read_model(tmp_path / "model.safetensors"))
    adopt_model(experiment(), "part", 0, imported, output, output.with_suffix(".jsonl"))
    assert output.read_bytes() == imported.read_bytes()
    assert json.loads(output.with_suffix(".jsonl").read_text()) == {"imported": "imported.safetensors"}
    imported.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"imported\.safetensors: expected a whole safetensors file"):
        adopt_model(experiment(), "part", 0, imported, tmp_path / "new.safetensors", tmp_path / "new.jsonl")
    assert not (tmp_path / "new.safetensors").exists()
    assert not (tmp_path / "new.jsonl").exists()


def test_an_imported_model_of_another_method_class_or_seed_is_refused(tmp_path: Path) -> None:
    imported, output = tmp_path / "imported.safetensors", tmp_path / "adopted.safetensors"
    stated = {"method": METHODS["multiflow"], "class": "part", "seed": "0"}
    for change, message in (
        ({"method": "mine.py:Mine"}, "method multiflow, class part, seed 0, found one of method mine.py:Mine, class"),
        ({"class": "bolt"}, "class part, seed 0, found one of .*, class bolt, seed 0; put it"),
        ({"seed": 7}, "seed 0, found one of .*, seed 7; put it"),
    ):
        write_model(imported, Model({}, stated | change))
        with pytest.raises(InputError, match=rf"imported\.safetensors: expected a model of .*{message}") as caught:
            adopt_model(experiment(), "part", 0, imported, output, output.with_suffix(".jsonl"))
        assert len(caught.value.problems) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["imported.safetensors"]
    for metadata in (stated, {}, {"class": "part"}):
        write_model(imported, Model({}, metadata))
        adopt_model(experiment(), "part", 0, imported, output, output.with_suffix(".jsonl"))


def test_the_background_is_exactly_zero_or_has_no_score(files: ClassFiles, tmp_path: Path) -> None:
    train(files, tmp_path / "model.safetensors")
    found = {}
    for background in ("zero", "ignored"):
        foreground = files.foreground.model_copy(update={"background": background})
        path = tmp_path / f"{background}.h5"
        score_samples(experiment(foreground=foreground), files, tmp_path / "model.safetensors", path, {"by": "a test"})
        found[background] = ScoreFile(path)
    zero, ignored = found["zero"], found["ignored"]
    inside = ignored.foreground(5)
    assert inside is not None
    assert 0 < inside.mean() < 1
    assert zero.foreground(5) is None
    assert (zero.map(5)[~inside] == 0).all()
    assert (zero.map(5)[inside] == ignored.map(5)[inside]).all()
    assert ignored.image_scores[5, 0] == ignored.map(5)[0][inside[0]].max()
    assert zero.image_scores[5, 0] == zero.map(5)[0].max()
    provenance = zero.provenance
    assert provenance["by"] == "a test"
    assert provenance["pictures_sha256"] == PICTURES
    assert provenance["weights_sha256"] == {"tiny": "1" * 64}


def test_scores_say_how_they_were_made(files: ClassFiles, tmp_path: Path) -> None:
    """Digits of a CPU depend on its threads, and inspection scores by the same settings."""
    train(files, tmp_path / "model.safetensors", compute=Compute(device="cpu", threads=1))
    scoring = experiment(compute=Compute(device="cpu", threads=2))
    score_samples(scoring, files, tmp_path / "model.safetensors", tmp_path / "scores.h5", {})
    provenance = ScoreFile(tmp_path / "scores.h5").provenance
    assert (provenance["threads"], provenance["training_threads"]) == (2, 1)
    assert provenance["scoring"] == scoring.scoring_values()
    assert provenance["background"] == "zero"


def test_background_scores_of_a_method_without_foreground_stay() -> None:
    scores = Scores(np.full((1, 2, 2), -1, np.float32))
    assert background_scored(scores, Foreground()) is scores


def test_a_sample_has_the_same_score_whatever_others_there_are(files: ClassFiles, tmp_path: Path) -> None:
    train(files, tmp_path / "model.safetensors")
    score_samples(experiment(), files, tmp_path / "model.safetensors", tmp_path / "all.h5", {})
    method = MultiFlowMethod()
    scorer = method.scorer(read_model(tmp_path / "model.safetensors"), SETTINGS, torch.device("cpu"))
    with torch.inference_mode(), exact_float32(1):
        alone = background_scored(scorer(files.split("test")[6]), files.foreground)
    assert (alone.map == ScoreFile(tmp_path / "all.h5").map(6)).all()


def test_a_model_of_other_pictures_is_refused(files: ClassFiles, tmp_path: Path) -> None:
    train(files, tmp_path / "model.safetensors")
    (tmp_path / "part.json").write_text(json.dumps({"pictures": "9" * 64, "ground_truth": "5" * 64}))
    with pytest.raises(InputError, match=r"expected a model of the pictures in .*part\.csv, found one of others"):
        score_samples(experiment(), files, tmp_path / "model.safetensors", tmp_path / "scores.h5", {})
    assert not (tmp_path / "scores.h5").exists()


class Weighted(MultiFlowMethod):
    """Multi-Flow that also asks for a network of its own, and notes what it gets."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def train(self, samples: Any, settings: Any, seed: int, work: Any) -> Any:
        self.seen.append(work.weights)
        return super().train(samples, settings, seed, work)

    def scorer(self, model: Any, settings: Any, device: torch.device) -> Any:
        self.seen.append(model.weights)
        return super().scorer(model, settings, device)


def test_weights_of_a_methods_own_networks_reach_it_and_belong_to_the_model(files: ClassFiles, tmp_path: Path) -> None:
    path, method = tmp_path / "network.safetensors", Weighted()
    write_weights(path, {"a": torch.zeros(2)}, {})
    weighted = ClassFiles(**(vars(files) | {"weights": {"network": path}}))
    model, scores = tmp_path / "model.safetensors", tmp_path / "scores.h5"
    train(weighted, model, method=method)
    score_samples(experiment(method=method), weighted, model, scores, {})
    assert method.seen == [{"network": path}, {"network": path}]
    checksum = read_provenance(path)["tensors_sha256"]
    assert read_metadata(model)["recipe"]["weights"] == {"network": checksum}
    assert ScoreFile(scores).provenance["weights_sha256"] == {"tiny": "1" * 64, "network": checksum}
    assert not read_model(model).weights, "they are no part of the model's file"
    before = weighted.fingerprint()
    write_weights(path, {"a": torch.zeros(2)}, {"source": "elsewhere"})
    assert weighted.fingerprint() == before, "equal values are equal weights, wherever they came from"
    write_weights(path, {"a": torch.ones(2)}, {})
    assert weighted.fingerprint() != before
    with pytest.raises(InputError, match=r"network\.safetensors, found one of others of network: they have changed"):
        score_samples(experiment(method=method), weighted, model, scores, {})


def test_the_checksum_of_tensors_reads_every_value_and_no_stride(tmp_path: Path) -> None:
    def checksum(**tensors: torch.Tensor) -> str:
        write_weights(tmp_path / "network.safetensors", tensors, {})
        return read_provenance(tmp_path / "network.safetensors")["tensors_sha256"]

    number = torch.tensor(2.0, dtype=torch.bfloat16)
    assert checksum(a=number.expand(1)) == checksum(a=number.reshape(1).clone())
    assert checksum(a=number.reshape(1)) != checksum(a=number) != checksum(b=number)
    assert checksum(a=torch.tensor([1, 2])) != checksum(a=torch.tensor([2, 1]))


def test_files_of_other_samples_are_refused(files: ClassFiles, write_features: Write) -> None:
    other = ClassFiles(**(vars(files) | {"features": {"tiny": write_features("other.h5", train=5)}}))
    with pytest.raises(InputError, match=r"other\.h5: train: expected the samples of .*part\.csv, found others"):
        other.split("train")


def test_pictures_come_flipped_sized_and_in_order_with_and_without_workers(files: ClassFiles, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for index in range(6):
        for camera in CAMERAS:
            picture = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / f"part_train_{index}_{camera}.png")
    found = []
    for workers in (0, 2):
        pictured = ClassFiles(**(vars(files) | {"needs": Needs(images=32), "features": {}, "workers": workers}))
        samples = pictured.split("train")
        found.append(np.stack([sample.images for sample in samples]))
        assert [sample.key for sample in samples] == [f"part_train_{index}" for index in range(6)]
    assert found[0].shape == (6, 3, 32, 32, 3)
    assert (found[0] == found[1]).all()
    assert (found[0][4] == files_of(files, 32)[4].images).all()
    whole = np.asarray(Image.open(tmp_path / "part_train_0_C2.png").resize((32, 32), Image.Resampling.BILINEAR))
    mirrored = np.asarray(
        Image.open(tmp_path / "part_train_0_C2.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize(
            (32, 32), Image.Resampling.BILINEAR
        )
    )  # fmt: skip
    assert (found[0][0, 1] == mirrored).all()
    assert not (found[0][0, 1] == whole).all()
    order = [(5, 2), (0, 1), (5, 2), (3, 0)]
    for workers in (0, 2):
        pictured = ClassFiles(**(vars(files) | {"needs": Needs(images=32), "features": {}, "workers": workers}))
        single = list(pictured.split("train").pictures(order))
        assert all((one == found[0][key]).all() for one, key in zip(single, order, strict=True))
    sharp = ClassFiles(**(vars(files) | {"needs": Needs(images=32, resampling="lanczos"), "features": {}}))
    expected = np.asarray(Image.open(tmp_path / "part_train_0_C1.png").resize((32, 32), Image.Resampling.LANCZOS))
    assert (sharp.split("train")[0].images[0] == expected).all()
    assert sharp.recipe(1).resampling == "lanczos"
    assert sharp.fingerprint() != pictured.fingerprint()


def files_of(files: ClassFiles, size: int) -> Any:
    return ClassFiles(**(vars(files) | {"needs": Needs(images=size), "features": {}})).split("train")


def test_without_a_segmentation_everything_is_foreground(files: ClassFiles) -> None:
    everything = ClassFiles(**(vars(files) | {"segmentation": None}))
    assert everything.split("test")[0].foreground((5, 7)).all()
    assert everything.split("test")[0].foreground((5, 7)).shape == (3, 5, 7)
    half = files.split("test")[0].foreground((4, 4))
    assert (~half[:, :, :2]).all()
    assert half[:, :, 2:].all()


class Plain(Block):
    """Settings of the smallest method."""

    size: int = 8


class Smallest:
    """A method whose parts the tests below replace, one at a time."""

    heading, reference, Settings = "Smallest", "nobody", Plain

    def needs(self, settings: Plain) -> Any:
        return Needs()

    def train(self, samples: Any, settings: Plain, seed: int, work: Work) -> Any:
        return Model({"zero": torch.zeros(1)})

    def scorer(self, model: Model, settings: Plain, device: torch.device) -> Any:
        return lambda sample: Scores(np.zeros((3, 4, 4), np.float32))


def smallest(**parts: Any) -> Experiment:
    return experiment(Plain(), type("Changed", (Smallest,), parts)())


SOURCE = """
from multiflow.base.settings import Block
from multiflow.methods.contract import Needs

class Settings(Block):
    size: int = 8

class Mine:
    heading, reference, Settings = "Mine", "nobody", Settings

    def needs(self, settings): return Needs()
    def train(self, samples, settings, seed, work): ...
    def scorer(self, model, settings, device): ...
"""


@pytest.mark.parametrize(
    ("found", "replacement", "message"),
    [
        ("    def needs", "    def __init__(self, size): ...\n    def needs", r"takes no arguments, .*'size'\)"),
        ("class Mine:", "def Mine(): ...\n\nclass Other:", "expected a class, found an object of type function"),
        ('"Mine", ', "3, ", "expected heading to be a text, found 3"),
        ('"nobody"', "None", "expected reference to be a text, found None"),
        ("def train(self, samples, settings, seed, work): ...", "train = None", "expected train to be a function"),
        ("size: int", "evaluation: int", "without the keys of every experiment, found evaluation; rename it"),
        ("size: int = 8", "seeds: int = 8\n    by_class: int = 0", "found seeds, by_class; rename them"),
    ],
    ids=["arguments", "function", "heading", "reference", "train", "key", "keys"],
)
def test_a_class_that_is_no_method_is_one_line(tmp_path: Path, found: str, replacement: str, message: str) -> None:
    assert found in SOURCE
    (tmp_path / "mine.py").write_text(SOURCE.replace(found, replacement, 1))
    with pytest.raises(InputError, match=rf"method: .*mine\.py:Mine: .*{message}") as caught:
        load_method(f"{tmp_path}/mine.py:Mine")
    assert len(caught.value.problems) == 1


def test_files_of_one_name_and_their_helpers_do_not_collide(tmp_path: Path) -> None:
    found = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper_of_mine.py").write_text(f"heading = {name!r}\n")
        source = SOURCE.replace('"Mine", ', "helper_of_mine.heading, ")
        (tmp_path / name / "mine.py").write_text(f"import helper_of_mine\n{source}")
        found.append(load_method(f"{tmp_path}/{name}/mine.py:Mine"))
    assert [method.heading for method in found] == ["first", "second"]
    names = [type(method).__module__ for method in found]
    assert names[0] != names[1]
    assert [pickle.loads(pickle.dumps(method)).heading for method in found] == ["first", "second"]
    assert not {str(tmp_path / name) for name in ("first", "second")} & set(sys.path)


def test_a_file_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(InputError, match=r"cannot be imported \(ModuleNotFoundError"):
        load_method(f"{tmp_path}/fails.py:Mine")
    assert not [name for name in sys.modules if "fails" in name and name.startswith("method_of")]
    assert str(tmp_path) not in sys.path


def fails(*_: Any) -> Any:
    raise RuntimeError("a mistake\nof two lines")


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (lambda *_: None, "an object of Needs, found None; correct the method's needs"),
        (fails, "an object of Needs, found RuntimeError: a mistake of two lines; correct"),
        (
            lambda *_: Needs(features="lite0"),  # type: ignore[arg-type]
            r"a tuple of texts, found the text 'lite0'; write Needs\(features=\('lite0',\)\), with the comma",
        ),
        (lambda *_: Needs(features=["lite0"]), r"features as a tuple of texts, found \['lite0'\]"),  # type: ignore[arg-type]
        (lambda *_: Needs(features=(3,)), r"features as a tuple of texts, found \(3,\)"),  # type: ignore[arg-type]
        (lambda *_: Needs(images=7), "images as a side of at least 8 px, or None, found 7"),
        (lambda *_: Needs(images=True), "images as a side of at least 8 px, or None, found True"),
        (lambda *_: Needs(images=64.0), "images as a side of at least 8 px, or None, found 64.0"),  # type: ignore[arg-type]
        (lambda *_: Needs(foreground="yes"), "foreground as True or False, found 'yes'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_needs_are_one_line(needs: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"^experiments\.tiny: needs of its method: expected .*{message}") as caught:
        _ = smallest(needs=needs).needs
    assert len(caught.value.problems) == 1


SHARED = torch.arange(6.0)


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (None, "an object of Model, found None"),
        ({"zero": SHARED}, "an object of Model, found an object of type dict"),
        (Model([SHARED]), "tensors by name, found an object of type list"),  # type: ignore[arg-type]
        (Model({3: SHARED}), "tensors with texts as names, found the name 3"),  # type: ignore[dict-item]
        (Model({"zero": np.zeros(3)}), "a tensor zero of torch, found an object of type ndarray; torch.as_tensor"),  # type: ignore[dict-item]
        (Model({"zero": SHARED.to_sparse()}), "a dense tensor zero, found torch.sparse_coo"),
        (Model({}, {"mean": np.float32(1)}), "metadata that JSON can hold, found Object of type float32"),
        (Model({}, {"threads": 3, "seed": 1}), "than those of every model, found seed, threads; rename them"),
        (Model({}, None), "metadata by name, found None"),  # type: ignore[arg-type]
    ],
)
def test_a_training_that_leaves_no_model_is_one_line_and_no_file(
    files: ClassFiles, tmp_path: Path, left: Any, message: str
) -> None:
    output = tmp_path / "made/model.safetensors"
    wrong = smallest(train=lambda *_: left)
    with pytest.raises(InputError, match=f"^tiny on part: train: expected .*{message}") as caught:
        train_model(wrong, 0, files, output, output.with_suffix(".jsonl"), output.with_suffix(".pt"))
    assert len(caught.value.problems) == 1
    assert not output.exists()
    assert not output.with_suffix(".jsonl").exists()


def test_tensors_that_share_memory_and_slices_are_stored(tmp_path: Path) -> None:
    table = SHARED.view(2, 3)
    given = {"whole": SHARED, "same": SHARED, "view": table, "turned": table.T, "slice": table[:, 1:], "one": SHARED[2]}
    write_model(tmp_path / "shared.safetensors", Model(given))
    write_model(tmp_path / "copies.safetensors", Model({name: value.clone() for name, value in given.items()}))
    assert (tmp_path / "shared.safetensors").read_bytes() == (tmp_path / "copies.safetensors").read_bytes()
    read = read_model(tmp_path / "shared.safetensors").tensors
    assert all(torch.equal(read[name], value) for name, value in given.items())


def test_a_second_seed_of_a_process_starts_when_what_the_first_held_is_given_back(
    files: ClassFiles, tmp_path: Path
) -> None:
    class Network:
        def __init__(self) -> None:
            self.itself = self  # as Lightning's modules do by way of their trainer

    networks: list[weakref.ref[Network]] = []

    def training(self: Any, samples: Any, settings: Any, seed: int, work: Work) -> Model:
        assert not [network for network in networks if network() is not None]
        networks.append(weakref.ref(Network()))
        return Model({})

    shared: dict[str, Any] = {}
    gc.disable()
    try:
        for seed in (0, 1):
            output = tmp_path / f"{seed}.safetensors"
            outputs = output, output.with_suffix(".jsonl"), output.with_suffix(".pt")
            train_model(smallest(train=training), seed, files, *outputs, shared=shared)
    finally:
        gc.enable()
    assert len(networks) == 2


def test_records_are_numbers_of_any_library(files: ClassFiles, tmp_path: Path) -> None:
    def training(self: Any, samples: Any, settings: Any, seed: int, work: Work) -> Model:
        work.record(epoch=np.int64(1), loss=np.float32(0.5), rate=torch.tensor([0.25]))
        return Model({})

    output = tmp_path / "model.safetensors"
    outputs = output, output.with_suffix(".jsonl"), output.with_suffix(".pt")
    train_model(smallest(train=training), 0, files, *outputs)
    assert output.with_suffix(".jsonl").read_text().startswith('{"epoch": 1, "loss": 0.5, "rate": 0.25}\n')


@pytest.mark.parametrize("value", [None, "0.5", True, np.zeros(2), torch.zeros(2), 1j])
def test_a_record_that_is_no_number_is_one_line_at_once(files: ClassFiles, tmp_path: Path, value: Any) -> None:
    steps = []

    def training(self: Any, samples: Any, settings: Any, seed: int, work: Work) -> Model:
        for epoch in range(3):
            steps.append(epoch)
            work.record(epoch=epoch, loss=value)
        return Model({})

    output = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match=r"^tiny on part: loss: expected a number, found .*; give a float$"):
        train_model(smallest(train=training), 0, files, output, output.with_suffix(".jsonl"), output.with_suffix(".pt"))
    assert steps == [0]


TWO = np.zeros((3, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (None, "tiny on part: scorer: expected a function that scores one sample, found None"),
        (Scores(TWO), "tiny on part: scorer: expected a function .*, found an object of type Scores"),
        (lambda sample: None, "sample part_test_0: expected Scores .*found an object of type NoneType"),
        (lambda sample: Scores(TWO, None, TWO[:, :1] == 0), r"a foreground of the shape \[3, 4, 4\], found"),
        (lambda sample: Scores(TWO, None, TWO.astype(int)), "a foreground of booleans, found int64"),  # type: ignore[arg-type]
        (lambda sample: Scores(TWO.astype(int), None, TWO == 0), "an anomaly map of floating-point numbers, found"),  # type: ignore[arg-type]
        (lambda sample: Scores(TWO, None, [True]), "a foreground as an array of NumPy, found an object of type list"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_scorer_is_one_line_and_no_file(files: ClassFiles, tmp_path: Path, scorer: Any, message: str) -> None:
    """Also where the configuration scores the background 0, which happens before the scores are checked."""
    write_model(tmp_path / "model.safetensors", Model({}))
    wrong = replace(smallest(scorer=lambda *_: scorer), foreground=Foreground(background="zero"))
    with pytest.raises(InputError, match=message) as caught:
        score_samples(wrong, files, tmp_path / "model.safetensors", tmp_path / "scores.h5", {})
    assert len(caught.value.problems) == 1
    assert not (tmp_path / "scores.h5").exists()


def test_earlier_stages_are_trained_stored_and_scored_where_the_experiment_selects_among_them(
    files: ClassFiles, tmp_path: Path
) -> None:
    def train(self: Any, samples: Any, settings: Plain, seed: int, work: Work) -> Any:
        for value in range(3):
            work.keep(f"pass {value}", lambda value=value: Model({"value": torch.full((1,), value)}))
        return Model({"value": torch.full((1,), 3)})

    def scorer(self: Any, model: Model, settings: Plain, device: torch.device) -> Any:
        return lambda sample: Scores(np.full((3, 4, 4), float(model.tensors["value"]), np.float32))

    plain = smallest(train=train, scorer=scorer, stages=lambda self, settings: 3)
    staged = replace(plain, evaluation=Evaluation(select="best_on_test"))
    assert "stages" not in plain.training_values(), "what is not selected among is trained as ever"
    assert plain.training_values() != staged.training_values()
    for chosen, names in ((plain, []), (staged, ["pass 0", "pass 1", "pass 2"])):
        output = tmp_path / f"{len(names)}.safetensors"
        train_model(chosen, 0, files, output, output.with_suffix(".jsonl"), output.with_suffix(".pt"))
        score_samples(chosen, files, output, output.with_suffix(".h5"), {})
        with ScoreFile(output.with_suffix(".h5")) as scores:
            assert scores.stages == read_metadata(output).get("stages", []) == names
            assert scores.image_scores.shape == (8, 3)
            assert (scores.map(7) == 3).all()
        for index in range(len(names)):
            with ScoreFile(output.with_suffix(".h5"), index) as scores:
                assert (scores.map(7) == index).all()
                assert (scores.image_scores == index).all()
                assert scores.foreground(0) is None
    assert not list(tmp_path.glob("*.stage*")), "they are in the model's file"


def trained_fingerprint(files: ClassFiles, output: Path, name: str) -> str:
    """The fingerprint of a method from outside, loaded anew as by another process."""
    load_method.cache_clear()
    method = load_method(name)
    changed = replace(experiment(method.Settings(), method), method_name=name)
    train_model(changed, 0, files, output, output.with_suffix(".jsonl"), output.with_suffix(".pt"))
    return str(read_metadata(output)["fingerprint"])


def test_a_finished_training_of_other_code_is_not_used_again(
    files: ClassFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SOURCE.replace("seed, work): ...", "seed, work):\n        from multiflow.methods.contract import Model\n")
    source = source.replace("contract import Model\n", "contract import Model\n        return Model({}, {'code': 1})\n")
    file, package = tmp_path / "outside.py", tmp_path / "package_of_mine"
    (package / "parts").mkdir(parents=True)
    file.write_text(source)
    (package / "detector.py").write_text(source)
    for path in (package / "__init__.py", package / "parts/net.py", tmp_path / "beside.py"):
        path.write_text("\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    output = tmp_path / "model.safetensors"
    for name, part in ((f"{file}:Mine", file), ("package_of_mine.detector:Mine", package / "parts/net.py")):
        first = trained_fingerprint(files, output, name)
        (tmp_path / "beside.py").write_text("other = 1\n")
        assert trained_fingerprint(files, output, name) == first
        part.write_text(part.read_text().replace("'code': 1", "'code': 2") + "# changed\n")
        assert trained_fingerprint(files, output, name) != first
        assert read_metadata(output)["code"] == (2 if part == file else 1)
    assert source_sha256(MultiFlowMethod()) is None, "the code of the package is known by its revision"


def test_versions_name_every_package_that_numbers_depend_on() -> None:
    found = versions()
    assert {"scipy", "opencv-python-headless", "numpy", "torch"} <= set(found)
    assert "not installed" not in found.values()


@pytest.mark.parametrize(
    ("hook", "answer", "found"),
    [
        ("describe", "{}['missing']", "expected dict, it failed (KeyError: 'missing')"),
        ("describe", "'a text'", "expected dict, found 'a text'"),
        ("facts", "1 / 0", "expected dict, it failed (ZeroDivisionError: division by zero)"),
        ("title", "'Mine'", "expected tuple, found 'Mine'"),
        ("title", "('Mine',)", "expected a name and a reference, found ('Mine',)"),
        ("describe", "{'a': 1}", "expected texts, found 1"),
        ("cost", "3.5", "expected Cost, found 3.5"),
        (
            "cost",
            "Cost(1, 1, 1, 1, precision='fp16')",
            "expected Cost, it failed (ValueError: precision: expected one of float32, tf32, bfloat16, found fp16)",
        ),
        ("stages", "True", "expected int, found True"),
        ("bibtex", "None", "expected str, found None"),
    ],
)
def test_a_mistake_in_what_a_method_need_not_have_is_one_line(hook: str, answer: str, found: str) -> None:
    method: Any = type("Mine", (), {"heading": "Mine", "reference": "Me", hook: eval(f"lambda self, *_: {answer}")})()
    kinds: dict[str, type] = {"cost": Cost, "stages": int, "bibtex": str, "title": tuple}
    with pytest.raises(InputError) as caught:
        title_of(method, Block()) if hook == "title" else ask(method, hook, kinds.get(hook, dict), None)
    assert caught.value.problems == [f"method Mine: {hook}: {found}; correct the method"]
    assert ask(method, "another", dict) is None


def test_a_methods_file_that_ends_the_program_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(InputError, match=r"ends\.py:Method: cannot be imported \(SystemExit: 3\)"):
        load_method(f"{tmp_path}/ends.py:Method")
