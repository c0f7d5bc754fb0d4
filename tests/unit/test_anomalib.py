"""anomalib's models: settings, trainings and scores on small pictures, and what is said of those that are refused."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from anomalib_pictures import made_weights, striped_parts
from pydantic import ValidationError

from multiflow.base.errors import InputError
from multiflow.methods.anomalib import AnomalibMethod
from multiflow.methods.anomalib.catalog import _entries, entry, model_names, parameters
from multiflow.methods.anomalib.settings import Settings
from multiflow.methods.contract import Model
from multiflow.methods.model import read_model, write_model
from multiflow.methods.work import Work

CPU = torch.device("cpu")
RESNET = "resnet18.tv_in1k"
METHOD = AnomalibMethod()
FASTFLOW: dict[str, Any] = {
    "model": "Fastflow",
    "settings": {"flow_steps": 1},
    "training": {"epochs": 3, "batch_size": 3, "checkpoint_every": 1},
}


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "model": "Patchcore",
        "settings": {"coreset_sampling_ratio": 0.05},
        "image_size": 64,
        "network": {"backbone": RESNET},
        "training": {"batch_size": 3},
    }
    return Settings.model_validate(values | changes)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture
def train(tmp_path: Path, networks: Path) -> Callable[..., tuple[Model, Work]]:
    """Train on made-up pictures; a work of the same name goes on from its checkpoint."""

    def trained(values: Settings, seed: int = 0, name: str = "work", count: int = 3) -> tuple[Model, Work]:
        torch.set_num_threads(1)
        weights = made_weights(networks, values.networks)
        (tmp_path / name).mkdir(exist_ok=True)
        work = Work(CPU, 1, tmp_path / name / "checkpoint.pt", "fingerprint", weights, place="mine on part")
        samples: Any = striped_parts(count, views=2, size=values.image_size)
        return replace(METHOD.train(samples, values, seed, work), weights=weights), work

    return trained


def written(folder: Path, model: Model) -> bytes:
    write_model(folder / "model.safetensors", model)
    return (folder / "model.safetensors").read_bytes()


# Settings


def test_a_start_of_the_workflow_reads_settings_without_the_library() -> None:
    code = (
        "import sys; from multiflow.methods import load_method; method = load_method('anomalib');"
        "settings = method.Settings(model='Padim', settings={'n_features': 7});"
        "print(method.needs(settings).weights[0].backbone, method.title(settings)[0]);"
        "assert not {'anomalib', 'lightning', 'torch', 'timm'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "resnet18 PaDiM\n"), result.stderr


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "Patchcor"}, ["anomalib has no Patchcor (did you mean Patchcore?); it has AnomalyDINO, Dfm"]),
        ({"model": "WinClip"}, ["WinClip of anomalib cannot be taken: it needs text prompts"]),
        ({"model": "VlmAd"}, ["VlmAd of anomalib cannot be taken: it asks a language model with a text prompt"]),
        ({"model": "EfficientAd"}, ["EfficientAd of anomalib cannot be taken: it downloads a teacher"]),
        ({"model": "Ganomaly"}, ["gives no anomaly map, and scales scores by those of the test set"]),
        ({"model": "Cflow"}, ["highest of its own batch; take method: cflow"]),
        ({"settings": {"neighbours": 3}}, ["Patchcore of anomalib has no neighbours", "num_neighbors=9"]),
        ({"settings": {"num_neighbors": "many"}}, ["settings.num_neighbors", "valid integer", "found 'many'"]),
        ({"settings": {"layers": "layer2"}}, ["settings.layers", "found 'layer2'", "layers=('layer2', 'layer3')"]),
        ({"settings": {"pre_processor": False}}, ["Patchcore of anomalib has no pre_processor"]),
    ],
)
def test_a_wrong_model_or_setting_is_one_line(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(values)
    (problem,) = caught.value.errors()
    assert "\n" not in problem["msg"]
    for part in words:
        assert part in problem["msg"]


def test_the_network_is_that_of_the_configuration_else_of_the_models_settings_else_its_own() -> None:
    def networks_of(**values: Any) -> list[str]:
        return [network.backbone for network in METHOD.needs(Settings.model_validate(values)).weights]

    assert networks_of(model="Patchcore") == ["wide_resnet50_2"]
    assert networks_of(model="Patchcore", settings={"backbone": "resnet18"}) == ["resnet18"]
    assert networks_of(model="Patchcore", network={"backbone": RESNET}) == [RESNET]
    assert networks_of(model="L2BT") == []
    tagged = Settings.model_validate({"network": {"backbone": RESNET}})
    assert tagged.arguments() == {"backbone": "resnet18"}, "the library's tables know the plain name"


def test_every_model_of_the_library_is_known_with_its_reference() -> None:
    assert sorted(_entries()) == model_names()
    for name in model_names():
        assert parameters(name) is not None
        heading, reference = entry(name).heading, entry(name).reference
        assert heading
        assert reference
    assert METHOD.title(settings(model="Padim", settings={})) == (
        "PaDiM",
        "Defard et al., PaDiM, ICPR 2020 workshops, arXiv 2011.08785 (by Akcay et al., Anomalib, ICIP 2022, "
        "arXiv 2202.08341)",
    )


def test_footnotes_name_network_training_and_score() -> None:
    described = METHOD.describe(settings(masks=True, **FASTFLOW), 5)
    assert described == {
        "network": f"{RESNET} at 64 px",
        "training": "3 epochs, flow_steps 1",
        "score": "one view at a time, not normalised, background without score",
    }


def test_footnotes_beside_published_numbers_say_what_differs_from_the_models_own_defaults() -> None:
    code, size = f"code of anomalib {version('anomalib')} (the authors')", "whole pictures of 64 px (not compared)"
    assert METHOD.departures(settings(), ()) == (
        code,
        "coreset_sampling_ratio 0.05 (the library's 0.1)",
        "backbone resnet18 (the library's wide_resnet50_2)",
        size,
    )
    own = {"layers": ["layer2", "layer3"], "num_neighbors": 9, "precision": "float32"}
    values = settings(settings=own, network={"backbone": "wide_resnet50_2.tv_in1k"}, masks=True)
    assert METHOD.departures(values, ()) == (code, size, "scores in the foreground alone (everywhere)")
    epochs = "3 epochs in batches of 3 (not compared)"
    assert METHOD.departures(settings(**FASTFLOW), ()) == (code, "flow_steps 1 (the library's 8)", epochs, size)
    modes = {"model": "ReverseDistillation", "network": {}}
    assert METHOD.departures(settings(**modes, settings={"anomaly_map_mode": "add"}), ()) == (code, size)
    assert "anomaly_map_mode multiply (the library's add)" in METHOD.departures(
        settings(**modes, settings={"anomaly_map_mode": "multiply"}), ()
    )


# Training


def test_a_model_depends_on_its_seed_alone_and_leaves_no_folders(
    train: Callable[..., tuple[Model, Work]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("SLURM_NTASKS", "4")  # Lightning would take it for one of four processes
    monkeypatch.setenv("SLURM_JOB_NAME", "snakejob")
    first, work = train(settings())
    assert written(tmp_path, first) == written(tmp_path, train(settings())[0])
    assert written(tmp_path, first) != written(tmp_path, train(settings(), seed=1)[0])
    assert list(elsewhere.iterdir()) == []
    assert list(work.checkpoint.parent.iterdir()) == []
    assert [sorted(line) for line in work.history] == [["epoch", "seconds"]], "there is nothing that has a loss"


def test_a_killed_training_goes_on_and_ends_the_same(
    train: Callable[..., tuple[Model, Work]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from multiflow.methods.anomalib.reporting import Report

    handler = signal.getsignal(signal.SIGTERM)
    whole, work = train(settings(**FASTFLOW))
    losses = [line["loss"] for line in work.history]
    assert losses == sorted(losses, reverse=True)
    step, count = Report.on_train_batch_end, iter(range(100))

    def killed(self: Report, *arguments: Any) -> None:
        step(self, *arguments)
        assert signal.getsignal(signal.SIGTERM) == handler, "a job that is ended ends at once"
        if next(count) == 4:  # in the last of three epochs of two batches
            raise SystemExit(1)

    with monkeypatch.context() as patched:
        patched.setattr(Report, "on_train_batch_end", killed)
        with pytest.raises(SystemExit):
            train(settings(**FASTFLOW), name="killed")
    assert (tmp_path / "killed/checkpoint.pt").exists()
    resumed, again = train(settings(**FASTFLOW), name="killed")
    assert [line["loss"] for line in again.history] == losses
    assert written(tmp_path, resumed) == written(tmp_path, whole)


def test_a_long_loop_of_the_library_is_a_line_in_the_log(
    train: Callable[..., tuple[Model, Work]], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, logger="multiflow"):
        train(settings())
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("Selecting Coreset Indices: 18 of 18 steps") for line in lines), lines
    assert "it/s" not in capfd.readouterr().err


# Scores


def test_a_stored_model_scores_one_view_at_a_time_and_holds_no_weights_of_the_network(
    train: Callable[..., tuple[Model, Work]], tmp_path: Path
) -> None:
    model, _ = train(settings())
    size = len(written(tmp_path, model))
    assert size < 100_000, "the network has 40 MB"
    scorer = METHOD.scorer(replace(read_model(tmp_path / "model.safetensors"), weights=model.weights), settings(), CPU)
    both = striped_parts(2, views=2, seed=3, defects=1)
    normal, defect = (scorer(sample) for sample in both)  # type: ignore[arg-type]
    assert normal.map.shape == (2, 64, 64)
    assert normal.image_score is not None
    assert defect.image_score is not None
    assert defect.image_score.min() > 2 * normal.image_score.max()
    assert not np.allclose(normal.image_score, normal.map.max(axis=(1, 2)), rtol=1e-3), "PatchCore has its own"
    alone = replace(both, values=both.values[1:, 1:])
    other = scorer(alone[0])  # type: ignore[arg-type]
    assert np.array_equal(other.map[0], defect.map[1]), "a view scores the same without the other"


def test_with_masks_the_background_has_no_score_and_an_image_that_of_its_map(
    train: Callable[..., tuple[Model, Work]],
) -> None:
    model, _ = train(settings())
    assert METHOD.needs(settings(masks=True)).foreground
    assert not METHOD.needs(settings()).foreground
    sample: Any = striped_parts(1, views=2)[0]
    scores = METHOD.scorer(model, settings(masks=True), CPU)(sample)
    assert scores.image_score is None
    assert scores.foreground is not None
    assert np.array_equal(scores.foreground, sample.foreground((64, 64)))


def test_the_model_of_other_settings_is_one_line(train: Callable[..., tuple[Model, Work]]) -> None:
    model, _ = train(settings())
    with pytest.raises(InputError, match=r"trained model: expected one of Padim .*; train it again"):
        METHOD.scorer(model, settings(model="Padim", settings={"n_features": 9}), CPU)


# What cannot be taken


def test_nothing_is_fetched(train: Callable[..., tuple[Model, Work]], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError(f"fetched {arguments}")

    import huggingface_hub
    import timm.models._builder as builder
    import timm.models._hub as hub

    for module, name in (
        (socket.socket, "connect"),
        (torch.hub, "download_url_to_file"),
        (torch.hub, "load_state_dict_from_url"),
        (urllib.request, "urlopen"),
        (urllib.request, "urlretrieve"),
        (huggingface_hub, "hf_hub_download"),
        (hub, "hf_hub_download"),
        (builder, "load_state_dict_from_hf"),
        (builder, "load_state_dict_from_url"),
    ):
        monkeypatch.setattr(module, name, refuse)
    model, _ = train(settings())
    METHOD.scorer(model, settings(), CPU)


def test_a_download_is_one_line_that_names_its_host() -> None:
    from multiflow.methods.anomalib.offline import offline

    def fetch() -> None:
        try:
            urllib.request.urlopen("https://weights.example/a.pth", timeout=5)
        except OSError as error:
            raise RuntimeError("no weights") from error

    with pytest.raises(InputError, match=r"Some of anomalib asked for weights\.example, but a job"), offline("Some"):
        fetch()
    with pytest.raises(RuntimeError, match="of its own"), offline("Some"):
        raise RuntimeError("of its own")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"batch_size": 7}}, "part: train: expected at least training.batch_size = 7 images, found 6"),
        ({"model": "Fastflow", "settings": {}}, "training.epochs: expected a number, Fastflow of anomalib has none"),
        ({"training": {"epochs": 2, "batch_size": 3}}, "training.epochs: Patchcore of anomalib takes 1, found 2"),
        (FASTFLOW | {"image_size": 100}, "Fastflow of anomalib refuses pictures of 100 px"),
        (
            {"model": "Uflow", "settings": {}},
            "image_size: Uflow of anomalib takes 448 px, found 64; set image_size: 448",
        ),
        ({"settings": {"layers": ["layer2", "layer9"]}}, "Layer layer9 not found in model resnet18"),
        (
            {"settings": {"precision": "float8"}},
            "Patchcore of anomalib refuses its settings or size: 'float8' is",
        ),
        ({"settings": {"coreset_sampling_ratio": 1e-6}}, "coreset_size must be a positive integer"),
        ({"model": "L2BT", "settings": {}, "network": {}}, "network.backbone: L2BT of anomalib runs vit_base_patch14_"),
    ],
)
def test_what_a_model_refuses_is_one_line(
    train: Callable[..., tuple[Model, Work]], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        train(settings(**changes))
    (problem,) = caught.value.problems
    assert words in problem


def test_features_that_would_not_fit_are_refused_after_the_first_batch(
    train: Callable[..., tuple[Model, Work]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from multiflow.methods.anomalib import room

    # Two batches of three pictures, 8 x 8 places of 128 + 256 channels, twice but for the batch that is there already.
    needed = 3 * (3 * 64 * 384 * 4)
    monkeypatch.setattr(room, "free_bytes", lambda device: needed)
    train(settings())
    monkeypatch.setattr(room, "free_bytes", lambda device: needed - 1)
    with pytest.raises(InputError, match=r"Patchcore of anomalib collects 0\.0 GB of features .* a smaller image_size"):
        train(settings())


def test_a_model_whose_scores_depend_on_others_or_on_what_is_not_stored_is_refused() -> None:
    from multiflow.methods.anomalib.training import _check_scores

    def built(shift: float, of_batch: bool = False) -> Any:
        def predict_step(batch: Any, index: int) -> Any:
            maps = batch.mean(dim=-1) + shift
            return SimpleNamespace(anomaly_map=maps / (maps.max() if of_batch else 1), pred_score=maps.amax((-2, -1)))

        module = SimpleNamespace(predict_step=predict_step, name="Mine")
        return SimpleNamespace(module=module, batch=lambda images: images.float())

    pictures = torch.from_numpy(striped_parts(2).values[:, 0])
    pictures[0] //= 2
    _check_scores(built(0), built(0), pictures)
    with pytest.raises(InputError, match="Mine of anomalib keeps what it has learned outside of its tensors"):
        _check_scores(built(0), built(50), pictures)
    with pytest.raises(InputError, match="Mine of anomalib scores a picture by the others of its batch"):
        _check_scores(built(0, True), built(0, True), pictures)


def test_a_bank_of_all_features_is_no_score_by_neighbours(train: Callable[..., tuple[Model, Work]]) -> None:
    """A training picture lies at a distance of rounding errors from itself; the check takes others."""
    model, _ = train(settings(settings={"coreset_sampling_ratio": 1.0}))
    assert model.tensors
