"""A training gives the same bytes again, also after it was killed, and says what is wrong with its input."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from memory_samples import MemorySamples, random_samples

from multiflow.base.devices import hold_on_device
from multiflow.base.errors import InputError
from multiflow.methods.contract import Model
from multiflow.methods.model import write_model
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.checkpoint import from_model
from multiflow.methods.multiflow.inputs import Scaling, load_inputs
from multiflow.methods.multiflow.network import MultiFlow, add_noise, loss, sample_noise
from multiflow.methods.multiflow.settings import Settings
from multiflow.methods.multiflow.training import FlowTraining, train_flow
from multiflow.methods.work import Work

NETWORK = {"blocks": 2, "hidden": 4, "kernels": [3, 3], "noise_std": 0.1}
TRAINING = {"epochs": 6, "batch_size": 2, "learning_rate": 1e-3, "checkpoint_every": 2}


def settings(scaling: str = "standardize", network: dict[str, Any] | None = None, **training: Any) -> Settings:
    return Settings.model_validate(
        {"scaling": scaling, "network": NETWORK | (network or {}), "training": TRAINING | training}
    )


def work_in(folder: Path) -> Work:
    folder.mkdir(exist_ok=True)
    torch.set_num_threads(1)  # as train_model sets them
    return Work(torch.device("cpu"), 1, folder / "checkpoint.pt", "fingerprint")


def losses(work: Work) -> list[float]:
    return [record["loss"] for record in work.history]


def assert_same(first: Model, second: Model) -> None:
    assert first.metadata == second.metadata
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


@pytest.mark.parametrize("noise", ["none", "uniform", "softflow", "simplenet"])
def test_same_seed_same_bytes_and_the_loss_falls(tmp_path: Path, noise: str) -> None:
    chosen, samples = settings(network={"noise": noise}, epochs=25), random_samples()
    works = [work_in(tmp_path / name) for name in ("first", "second", "other")]
    models = [train_flow(samples, chosen, seed, work) for seed, work in zip((0, 0, 1), works, strict=True)]
    for name, model in zip("abc", models, strict=True):
        write_model(tmp_path / name, model)
    first, second, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second != other
    assert losses(works[0]) == losses(works[1]) != losses(works[2])
    assert [record["epoch"] for record in works[0].history] == list(range(1, 26))
    assert all(record.keys() == {"epoch", "loss", "seconds"} for record in works[0].history)
    assert sum(losses(works[0])[-8:]) < sum(losses(works[0])[:8])


def test_a_training_leaves_the_samples_as_they_are(tmp_path: Path) -> None:
    samples = random_samples()
    before = samples.values.copy()
    train_flow(samples, settings("none"), 0, work_in(tmp_path))
    assert np.array_equal(samples.values, before)


def test_a_killed_training_goes_on_and_ends_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chosen, samples = settings(epochs=60, checkpoint_every=10), random_samples()
    whole = work_in(tmp_path / "whole")
    expected = train_flow(samples, chosen, 0, whole)
    program = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_training import *
        train_flow(random_samples(), Settings(**{chosen.model_dump()!r}), 0, work_in(Path({str(tmp_path)!r})))
        """
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    work = work_in(tmp_path)
    while not work.checkpoint.exists():
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    with caplog.at_level("INFO", logger="multiflow"):
        assert_same(train_flow(samples, chosen, 0, work), expected)
    assert losses(work) == losses(whole)
    assert "resumed from" in caplog.text


def test_a_training_goes_on_from_every_checkpoint_with_the_same_bits(tmp_path: Path) -> None:
    chosen, samples = settings(network={"noise": "softflow"}), random_samples()
    whole = work_in(tmp_path)
    expected = train_flow(samples, chosen, 0, whole)
    stored = torch.load(whole.checkpoint, weights_only=True)
    assert len(stored["history"]) == 4
    work = work_in(tmp_path)
    assert_same(train_flow(samples, chosen, 0, work), expected)
    assert losses(work) == losses(whole)


def test_an_epoch_is_the_steps_of_its_batches_one_after_another() -> None:
    """Losses are read at the end of an epoch; each is still that of its step, and their mean is that of numbers."""
    chosen, samples = settings("none", epochs=1, draw_noise="device"), random_samples()
    inputs, foreground = load_inputs(samples, chosen.features, Scaling.identity(samples.values.shape[2]))
    one = FlowTraining(inputs, foreground, chosen.network, chosen.training, 3, torch.device("cpu"), "part")
    torch.manual_seed(3)
    flow = MultiFlow(inputs.shape[2], camera_graph(inputs.shape[1], "both"), chosen.network)
    optimizer = torch.optim.AdamW(flow.parameters(), 1e-3, (0.9, 0.95), 1e-8, 1e-5)
    generator, total = torch.Generator().manual_seed(3), 0.0
    for batch in torch.randperm(len(inputs), generator=generator).split(2):
        noise, condition = sample_noise(chosen.network, inputs[batch].shape, generator)
        value = loss(*flow(add_noise(inputs[batch], noise), condition), foreground[batch])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        total += float(value.detach()) / 3
    assert one.epoch() == total
    assert all(torch.equal(own, other) for own, other in zip(one.flow.parameters(), flow.parameters(), strict=True))


def test_features_go_to_a_gpu_once_where_they_leave_half_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 4000))
    gpu, moved = torch.device("cuda"), []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: moved.append(device) or self)
    for size, expected in ((501, []), (500, [gpu])):
        values = torch.empty(size, dtype=torch.uint8)
        assert hold_on_device(values, gpu) is values
        assert moved == expected


def test_scaling_of_the_training_set_travels_with_the_flow(tmp_path: Path) -> None:
    samples = random_samples(value=5.0)
    model = train_flow(samples, settings(), 0, work_in(tmp_path))
    _, scaling = from_model(model, "flow")
    data, _ = load_inputs(samples, settings().features, scaling)
    assert data.mean().abs() < 1e-5
    assert data.std() == pytest.approx(1.0, abs=1e-2)


def test_a_channel_that_never_varies_is_not_divided_by_zero(tmp_path: Path) -> None:
    samples = random_samples()
    samples.values[:, :, 2] = 3
    _, scaling = from_model(train_flow(samples, settings(), 0, work_in(tmp_path)), "flow")
    assert (scaling.mean[2], scaling.std[2]) == (3, 1)


def test_the_loss_sees_the_foreground_alone(tmp_path: Path) -> None:
    # One pixel's worth of messages crosses the border, so the kernels see a pixel only.
    chosen = settings("none", {"kernels": [1, 1], "noise": "none"})
    samples = random_samples()
    other = MemorySamples(np.where(samples.masks[:, :, None], samples.values, np.float32(9)), samples.masks)
    works = work_in(tmp_path), work_in(tmp_path / "other")
    assert_same(train_flow(samples, chosen, 0, works[0]), train_flow(other, chosen, 0, works[1]))
    assert losses(works[0]) == losses(works[1])


def test_one_camera_has_no_neighbours_and_trains(tmp_path: Path) -> None:
    flow, _ = from_model(train_flow(random_samples(views=1), settings(), 0, work_in(tmp_path)), "flow")
    assert flow.graph.edges == ()


def test_amp_trains(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    train_flow(random_samples(), settings(amp=True), 0, work)
    assert len(losses(work)) == TRAINING["epochs"]


def test_an_incomplete_batch_is_left_out_or_not(tmp_path: Path) -> None:
    samples, works = random_samples(3), [work_in(tmp_path / name) for name in ("kept", "left")]
    for work, drop in zip(works, (False, True), strict=True):
        train_flow(samples, settings(drop_last=drop), 0, work)
    assert losses(works[0]) != losses(works[1])


def test_a_diverged_training_whose_loss_is_finite_gives_no_flow(tmp_path: Path) -> None:
    # In the last of these three steps the loss is still finite, but its gradient is not.
    work = work_in(tmp_path)
    with pytest.raises(InputError, match=r"part: after the last epoch: expected finite parameters.*learning_rate"):
        train_flow(random_samples(), settings(learning_rate=1.5e8, epochs=3, batch_size=6), 0, work)
    assert len(losses(work)) == 3


def test_a_training_that_learns_nothing_warns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train_flow(random_samples(), settings(learning_rate=100.0, epochs=2), 0, work_in(tmp_path))
    assert "part: the mean loss of the last epoch is" in caplog.text
    assert "the flow has learned nothing" in caplog.text


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"part: train: expected at least training.batch_size = 9 samples, found 6"):
        train_flow(random_samples(), settings(batch_size=9), 0, work_in(tmp_path))
    with pytest.raises(InputError, match=r"part: epoch 1: expected a finite loss, found nan"):
        train_flow(random_samples(value=float("nan")), settings("none"), 0, work_in(tmp_path))
