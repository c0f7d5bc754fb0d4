"""A training gives the same bytes again, also after it was killed, and says what is wrong with its input."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from multiflow import config
from multiflow.errors import InputError
from multiflow.flow_input import open_input
from multiflow.second_names import forget_second_names
from multiflow.training import load_trained_flow, train_flow

FLOW = config.Flow(blocks=2, hidden=4, kernels=[3, 3], noise_std=0.1)
TRAINING = config.Training(epochs=6, batch_size=2, learning_rate=1e-3, checkpoint_every=2, device="cpu")
FEATURES = config.Features(scaling="standardize")

Write = Callable[..., Path]


def train(
    features: Path,
    output: Path,
    training: config.Training = TRAINING,
    flow: config.Flow = FLOW,
    seed: int = 0,
    foreground: Path | None = None,
    scaling: config.Features = FEATURES,
    take_up: bool = True,
) -> None:
    train_flow(
        open_input(features, foreground, "nearest"),
        scaling,
        flow,
        training,
        seed,
        output,
        output.with_suffix(".jsonl"),
        output.with_suffix(".pt"),
        take_up,
    )


def losses(output: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in output.with_suffix(".jsonl").read_text().splitlines()]


@pytest.mark.parametrize("noise", ["none", "uniform", "softflow", "simplenet"])
def test_same_seed_same_bytes_and_the_loss_falls(write_features: Write, tmp_path: Path, noise: str) -> None:
    features = write_features()
    flow = FLOW.model_copy(update={"noise": noise})
    longer = TRAINING.model_copy(update={"epochs": 25})
    for name in ("first", "second"):
        train(features, tmp_path / f"{name}.safetensors", longer, flow)
    assert (tmp_path / "first.safetensors").read_bytes() == (tmp_path / "second.safetensors").read_bytes()
    history = losses(tmp_path / "first.safetensors")
    assert len(history) == 25
    assert sum(history[-8:]) < sum(history[:8])
    train(features, tmp_path / "other.safetensors", longer, flow, seed=1)
    assert (tmp_path / "first.safetensors").read_bytes() != (tmp_path / "other.safetensors").read_bytes()
    assert not list(tmp_path.glob("*.pt"))


def test_a_killed_training_goes_on_and_ends_the_same(write_features: Write, tmp_path: Path) -> None:
    features = write_features()
    training = TRAINING.model_copy(update={"epochs": 60, "checkpoint_every": 10})
    train(features, tmp_path / "whole.safetensors", training)
    program = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_training import train
        from multiflow.config import Training
        train(
            Path({str(features)!r}), Path(sys.argv[1]), Training(**{training.model_dump()!r})
        )
        """
    )
    output = tmp_path / "killed.safetensors"
    process = subprocess.Popen([sys.executable, "-c", program, str(output)])
    checkpoint = output.with_suffix(".pt")
    while not checkpoint.exists():
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists()
    train(features, output, training)
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert losses(output) == losses(tmp_path / "whole.safetensors")


def test_a_checkpoint_of_other_settings_or_a_damaged_one_is_not_taken_up(write_features: Write, tmp_path: Path) -> None:
    features = write_features()
    whole, output = tmp_path / "whole.safetensors", tmp_path / "flow.safetensors"
    train(features, whole)
    output.with_suffix(".pt").write_bytes(b"not a checkpoint")
    train(features, output)
    assert output.read_bytes() == whole.read_bytes()


def test_a_finished_training_whose_outputs_were_deleted_is_not_repeated(
    write_features: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = write_features()
    output = tmp_path / "flow.safetensors"
    train(features, output)
    made, log = output.read_bytes(), output.with_suffix(".jsonl").read_bytes()
    output.unlink()
    output.with_suffix(".jsonl").unlink()
    caplog.clear()
    with caplog.at_level("INFO", logger="multiflow"):
        train(features, output)
    assert "taken up" in caplog.text
    assert "training on" not in caplog.text
    assert (output.read_bytes(), output.with_suffix(".jsonl").read_bytes()) == (made, log)
    caplog.clear()
    with caplog.at_level("INFO", logger="multiflow"):
        train(features, output, seed=1)
    assert "training on" in caplog.text
    assert output.read_bytes() != made


def test_a_training_that_is_not_to_be_taken_up_leaves_no_second_name(write_features: Write, tmp_path: Path) -> None:
    features, output = write_features(), tmp_path / "flow.safetensors"
    train(features, output, take_up=False)
    assert (output.stat().st_nlink, output.with_suffix(".jsonl").stat().st_nlink) == (1, 1)
    train(features, output)
    assert (output.stat().st_nlink, output.with_suffix(".jsonl").stat().st_nlink) == (2, 2)
    forget_second_names(tmp_path)
    assert (output.stat().st_nlink, output.with_suffix(".jsonl").stat().st_nlink) == (1, 1)


def test_scaling_of_the_training_set_travels_with_the_flow(write_features: Write, tmp_path: Path) -> None:
    features = write_features(value=5.0)
    output = tmp_path / "flow.safetensors"
    train(features, output)
    _, scaling = load_trained_flow(output)
    data, _ = open_input(features, None, "nearest").load("train", scaling)
    assert data.mean().abs() < 1e-5
    assert data.std() == pytest.approx(1.0, abs=1e-2)


def test_one_camera_has_no_neighbours_and_trains(write_features: Write, tmp_path: Path) -> None:
    features = write_features(cameras=["C1"])
    train(features, tmp_path / "flow.safetensors")
    flow, _ = load_trained_flow(tmp_path / "flow.safetensors")
    assert flow.graph.edges == ()


def test_amp_trains(write_features: Write, tmp_path: Path) -> None:
    train(write_features(), tmp_path / "flow.safetensors", TRAINING.model_copy(update={"amp": True}))
    assert len(losses(tmp_path / "flow.safetensors")) == TRAINING.epochs


def test_an_incomplete_batch_is_left_out_or_not(write_features: Write, tmp_path: Path) -> None:
    features = write_features(train=3)
    kept = TRAINING.model_copy(update={"drop_last": False})
    train(features, tmp_path / "kept.safetensors", kept)
    train(features, tmp_path / "left.safetensors")
    assert losses(tmp_path / "kept.safetensors") != losses(tmp_path / "left.safetensors")


def test_a_diverged_training_whose_loss_is_finite_gives_no_flow(write_features: Write, tmp_path: Path) -> None:
    # In the last of these three steps the loss is still finite, but its gradient is not.
    diverging = TRAINING.model_copy(update={"learning_rate": 1.5e8, "epochs": 3, "batch_size": 6})
    with pytest.raises(InputError, match=r"after the last epoch: expected finite parameters.*learning_rate"):
        train(write_features(), tmp_path / "flow.safetensors", diverging)
    assert len(losses(tmp_path / "flow.safetensors")) == 3
    assert not (tmp_path / "flow.safetensors").exists()


def test_mistakes(write_features: Write, write_foreground: Write, tmp_path: Path) -> None:
    output = tmp_path / "flow.safetensors"
    with pytest.raises(InputError, match=r"expected at least training.batch_size = 9 samples, found 6"):
        train(write_features(), output, TRAINING.model_copy(update={"batch_size": 9}))
    with pytest.raises(InputError, match=r"epoch \d+: expected a finite loss, found (nan|inf)"):
        train(write_features(value=float("nan")), output, scaling=config.Features())
    with pytest.raises(InputError, match=r"expected the samples of .*features.h5, found others"):
        train(write_features(), output, foreground=write_foreground(train=5))
    with pytest.raises(InputError, match=r"expected a CUDA device, found none"):
        train(write_features(), output, TRAINING.model_copy(update={"device": "cuda"}))
    assert not output.exists()
