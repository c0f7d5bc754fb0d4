"""The tools beside the workflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import FLOW, train

from multiflow import config
from multiflow.__main__ import main
from multiflow.flow import MultiFlow
from multiflow.flow.released import export_released
from multiflow.training import load_trained_flow
from multiflow.views import camera_graph

Write = Callable[..., Path]


def test_a_checkpoint_goes_out_and_in_again(write_features: Write, tmp_path: Path) -> None:
    path = tmp_path / "flow.safetensors"
    released_order = FLOW.model_copy(update={"transform_first": "first", "clamp_slope": 0.636})
    train(write_features(), path, flow=released_order, scaling=config.Features())
    assert main(["export-checkpoint", str(path), str(tmp_path / "released.pt")]) == 0
    names = torch.load(tmp_path / "released.pt", weights_only=True)
    assert all(name.startswith("module_list.") for name in names)
    assert main(["import-checkpoint", str(tmp_path / "released.pt"), str(tmp_path / "again.safetensors")]) == 0
    first, _ = load_trained_flow(path)
    second, scaling = load_trained_flow(tmp_path / "again.safetensors")
    assert scaling.is_identity()
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 6, 4, 4)).astype(np.float32))
    condition = torch.zeros(1, 1, 4, 4)
    assert torch.equal(first(features, condition)[0], second(features, condition)[0])
    arguments = [str(tmp_path / "released.pt"), str(tmp_path / "other.safetensors")]
    assert main(["import-checkpoint", *arguments, "--clamp", "2.5"]) == 0
    assert load_trained_flow(tmp_path / "other.safetensors")[0].clamp == 2.5
    assert main(["import-checkpoint", *arguments, "--clamp", "nan"]) == 1


def test_a_checkpoint_and_features_of_other_channels(
    write_features: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = MultiFlow(4, camera_graph(3), blocks=1, hidden=2, kernels=(1,), clamp_slope=0.636)
    torch.save(export_released(flow), tmp_path / "released.pt")
    arguments = [str(tmp_path / "released.pt"), str(tmp_path / "flow.safetensors"), "--features", str(write_features())]
    assert main(["import-checkpoint", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected 3 views with 4 channels" in line
    assert "found 3 views with 6" in line


def test_mistakes_are_one_line(write_features: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-checkpoint", str(tmp_path / "none.pt"), str(tmp_path / "flow.safetensors")]) == 1
    train(write_features(), tmp_path / "scaled.safetensors")
    assert main(["export-checkpoint", str(tmp_path / "scaled.safetensors"), str(tmp_path / "out.pt")]) == 1
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 2
    assert "none.pt" in printed[0]
    assert "features.scaling: none" in printed[1]
    assert not (tmp_path / "out.pt").exists()
