"""Checkpoints: ours and those of the released code, whole, broken and of another architecture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from multiflow.errors import InputError
from multiflow.flow import MultiFlow
from multiflow.flow.checkpoint import load_flow, save_flow
from multiflow.flow.released import RELEASED_CLAMP_SLOPE, export_released, import_released
from multiflow.views import CameraGraph, camera_graph


def small_flow(graph: CameraGraph | None = None, **options: object) -> MultiFlow:
    generator = torch.Generator().manual_seed(6)
    options = {"clamp_slope": RELEASED_CLAMP_SLOPE} | options
    return MultiFlow(6, graph or camera_graph(5), blocks=2, hidden=4, kernels=(3, 5), generator=generator, **options)


def assert_same(first: MultiFlow, second: MultiFlow) -> None:
    assert first.architecture() == second.architecture()
    expected = first.state_dict()
    found = second.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("fusion", ["conv2d", "self_attention", "cross_view_attention"])
@pytest.mark.parametrize("graph", [camera_graph(1), camera_graph(4, "top"), CameraGraph(((2,), (0,), ()))])
def test_a_saved_flow_comes_back(tmp_path: Path, fusion: str, graph: CameraGraph) -> None:
    flow = small_flow(graph, fusion=fusion, conditional=False, transform_first="second")
    flow.permutations.copy_(flow.permutations.flip(0))
    extra = {"step": torch.tensor(3), "moments": torch.randn(2, 3)}
    path = tmp_path / "flow.safetensors"
    save_flow(path, flow, {"seed": "1"}, extra)
    state = torch.get_rng_state()
    loaded, loaded_extra, metadata = load_flow(path, expected=flow.architecture())
    assert torch.equal(state, torch.get_rng_state())
    assert_same(flow, loaded)
    assert metadata == {"seed": "1"}
    assert all(torch.equal(loaded_extra[name], extra[name]) for name in extra)
    features = torch.randn(2, graph.views, 6, 4, 4)
    assert torch.equal(flow(features)[0], loaded(features)[0])
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_the_same_flow_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_flow(tmp_path / name, small_flow(), {"seed": "1", "class": "bolt"}, {"step": torch.tensor(3)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("size", [0, 5, 1000, -1])
def test_a_truncated_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "flow.safetensors"
    save_flow(path, small_flow())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"flow\.safetensors: expected a whole safetensors file") as caught:
        load_flow(path)
    assert len(str(caught.value).splitlines()) == 1


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file"):
        load_flow(tmp_path / "flow.safetensors")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"format: expected multiflow\.flow\.1, found None"):
        load_flow(tmp_path / "other.safetensors")


def test_another_architecture(tmp_path: Path) -> None:
    path = tmp_path / "flow.safetensors"
    save_flow(path, small_flow())
    with pytest.raises(InputError) as caught:
        load_flow(path, expected={"channels": 304, "views": 4, "fusion": "conv2d", "clamp": 1.9})
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "channels: expected 304, found 6: train it again",
        "views: expected 4, found 5: train it again",
    ]


@pytest.mark.parametrize("fusion", ["conv2d", "self_attention", "cross_view_attention"])
@pytest.mark.parametrize("connections", ["both", "top", "neighbors", "none"])
@pytest.mark.parametrize("conditional", [True, False])
def test_released_checkpoints_there_and_back(tmp_path: Path, fusion: str, connections: str, conditional: bool) -> None:
    if connections == "none" and fusion != "conv2d":
        fusion = "conv2d"  # no messages, no attention: the released code has no such checkpoint
    flow = small_flow(camera_graph(5, connections), fusion=fusion, conditional=conditional, clamp_slope=0.636)
    path = tmp_path / "released.pth"
    torch.save(export_released(flow), path)
    assert_same(flow, import_released(path, fusion=None if fusion == "conv2d" else fusion))


@pytest.mark.parametrize("size", [0, 10, 3000, -100])
def test_a_truncated_released_checkpoint(tmp_path: Path, size: int) -> None:
    path = tmp_path / "released.pth"
    torch.save(export_released(small_flow()), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"released\.pth: expected a whole checkpoint") as caught:
        import_released(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_released_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "released.pth"
    torch.save({"weight": Path("x")}, path)
    with pytest.raises(InputError, match="expected a whole checkpoint"):
        import_released(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.clear(), "found nothing"),
        (
            lambda state: state.pop("module_list.9.s2.gamma3"),
            "found 227, of them 1 missing: module_list.9.s2.gamma3",
        ),
        (lambda state: state.update(extra=torch.zeros(1)), "found 229, of them 1 unknown: extra"),
        (
            lambda state: state.update({"module_list.9.s2.gamma3": torch.zeros(2)}),
            r"module_list\.9\.s2\.gamma3: expected \[1\], found \[2\]",
        ),
    ],
)
def test_released_checkpoints_of_another_architecture(change: object, message: str) -> None:
    state = export_released(small_flow())
    change(state)  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        import_released(state)


def test_the_kind_of_attention_must_be_named() -> None:
    state = export_released(small_flow(fusion="self_attention"))
    with pytest.raises(InputError, match="fusion: expected self_attention or cross_view_attention, found None"):
        import_released(state)
    with pytest.raises(InputError, match="the checkpoint has no attention"):
        import_released(export_released(small_flow()), fusion="self_attention")


def test_flows_that_the_released_code_does_not_have() -> None:
    flow = small_flow(transform_first="second")
    flow.permutations.copy_(flow.permutations.flip(0))
    with pytest.raises(InputError) as caught:
        export_released(flow)
    assert len(caught.value.problems) == 3
