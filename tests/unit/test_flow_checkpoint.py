"""Flows as models and as checkpoints of the released code: whole, broken and of another architecture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from multiflow.base.errors import InputError
from multiflow.methods.contract import Model
from multiflow.methods.model import read_metadata, read_model, write_model
from multiflow.methods.multiflow.camera_graph import CameraGraph, camera_graph
from multiflow.methods.multiflow.checkpoint import from_model, to_model
from multiflow.methods.multiflow.inputs import Scaling
from multiflow.methods.multiflow.network import MultiFlow
from multiflow.methods.multiflow.released import RELEASED, export_released, import_released
from multiflow.methods.multiflow.settings import Network

SCALING = Scaling(torch.arange(6.0), torch.full((6,), 2.0))


def small_flow(graph: CameraGraph | None = None, channels: int = 6, **options: object) -> MultiFlow:
    settings = RELEASED.model_dump() | {"blocks": 2, "hidden": 4, "kernels": [3, 5]} | options
    generator = torch.Generator().manual_seed(6)
    return MultiFlow(channels, graph or camera_graph(5), Network(**settings), generator=generator)


def save(path: Path, flow: MultiFlow, scaling: Scaling = SCALING) -> None:
    write_model(path, to_model(flow, scaling))


def load(path: Path) -> tuple[MultiFlow, Scaling]:
    return from_model(read_model(path), path)


def assert_same(first: MultiFlow, second: MultiFlow) -> None:
    assert first.architecture() == second.architecture()
    expected = first.state_dict()
    found = second.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("fusion", ["conv2d", "self_attention", "cross_view_attention"])
@pytest.mark.parametrize("graph", [camera_graph(1), camera_graph(4, "top"), CameraGraph(((2,), (0,), ()))])
def test_a_saved_flow_comes_back(tmp_path: Path, fusion: str, graph: CameraGraph) -> None:
    flow = small_flow(graph, fusion=fusion, noise="none", transform_first="second")
    flow.permutations.copy_(flow.permutations.flip(0))
    path = tmp_path / "flow.safetensors"
    write_model(path, to_model(flow, SCALING, {"seed": "1"}))
    state = torch.get_rng_state()
    loaded, scaling = load(path)
    assert torch.equal(state, torch.get_rng_state())
    assert_same(flow, loaded)
    assert read_metadata(path) == {"architecture": flow.architecture(), "seed": "1"}
    assert torch.equal(scaling.mean, SCALING.mean)
    assert torch.equal(scaling.std, SCALING.std)
    features = torch.randn(2, graph.views, 6, 4, 4)
    assert torch.equal(flow(features)[0], loaded(features)[0])
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert not loaded.training


def test_the_architecture_is_every_setting() -> None:
    flow = small_flow(camera_graph(3), noise="softflow", output_limit=None)
    architecture = flow.architecture()
    assert architecture.keys() == {"channels", "neighbors", *Network.model_fields}
    assert (architecture["channels"], architecture["neighbors"]) == (6, [[1, 2], [0, 2], [0, 1]])
    assert json.loads(json.dumps(architecture)) == architecture


def test_the_same_flow_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_model(tmp_path / name, to_model(small_flow(), SCALING, {"seed": "1", "class": "bolt"}))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("size", [0, 5, 1000, -1])
def test_a_truncated_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "flow.safetensors"
    save(path, small_flow())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"flow\.safetensors: expected a whole safetensors file") as caught:
        load(path)
    assert len(str(caught.value).splitlines()) == 1


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no file"):
        load(tmp_path / "flow.safetensors")


def test_a_file_of_something_else(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"format: expected multiflow\.model\.1, found None"):
        load(tmp_path / "other.safetensors")


def test_a_model_of_another_method(tmp_path: Path) -> None:
    write_model(tmp_path / "bank.safetensors", Model({"bank": torch.zeros(2)}, {"neighbours": 5}))
    with pytest.raises(InputError, match="architecture: expected an object, found None: give a trained flow"):
        load(tmp_path / "bank.safetensors")


@pytest.mark.parametrize("fusion", ["conv2d", "self_attention", "cross_view_attention"])
@pytest.mark.parametrize("connections", ["both", "top", "neighbors", "none"])
@pytest.mark.parametrize("noise", ["simplenet", "none"])
def test_released_checkpoints_there_and_back(tmp_path: Path, fusion: str, connections: str, noise: str) -> None:
    if connections == "none" and fusion != "conv2d":
        fusion = "conv2d"  # no messages, no attention: the released code has no such checkpoint
    graph = camera_graph(5, connections)  # type: ignore[arg-type]
    flow = small_flow(graph, fusion=fusion, connections=connections, noise=noise)
    path = tmp_path / "released.pth"
    torch.save(export_released(flow), path)
    assert_same(flow, import_released(path, fusion=None if fusion == "conv2d" else fusion))


@pytest.mark.parametrize("size", [0, 10, 3000, -100])
def test_a_truncated_released_checkpoint(tmp_path: Path, size: int) -> None:
    path = tmp_path / "released.pth"
    torch.save(export_released(small_flow()), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"released\.pth: expected a PyTorch state dict, cannot read it") as caught:
        import_released(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_released_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "released.pth"
    torch.save({"weight": Path("x")}, path)
    with pytest.raises(InputError, match="expected a PyTorch state dict, cannot read it"):
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


def one_line(problems: list[str]) -> bool:
    return all(problem and "\n" not in problem for problem in problems)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("9.s2.conv_scale2_0.weight", torch.zeros(4, 3), r"expected \[4, 4, 5, 5\], found \[4, 3\]"),
        ("7.s1.conv_scale0_0.weight", torch.zeros(4, 4), r"expected a weight \[out, in, height, .*found \[4, 4\]"),
        ("9.s1.conv_scale0_0.weight", None, r"module_list\.9\.s1\.conv_scale0_0\.weight: .*, found none"),
        ("7.s2.conv_scale0_1.weight", torch.tensor(1.0), r"expected a weight \[out, in, height, .*found \[\]"),
        ("7.s1.conv_scale0_1.weight", torch.zeros(7, 4, 3, 3), r"conv_scale0_1\.weight: expected \[6, 4, 3, 3\], "),
        ("7.s1.conv_scale0_0.weight", torch.zeros(4, 4, 2, 2), r"kernels \[2, 5\] must be odd"),
        ("7.s1.gamma2", None, r"found 227, of them 1 missing: module_list\.7\.s1\.gamma2"),
        ("7.s1.gamma4", None, r"found 227, of them 1 missing: module_list\.7\.s1\.gamma4"),
        ("7.s1.gamma99999999999", torch.zeros(1), "expected at most 10 views, found 100000000000"),
        ("7.s1.conv_scale3_1.bias", torch.zeros(6, dtype=torch.int8), "expected floating-point numbers, found torch.i"),
        ("7.s1.conv_scale3_1.bias", torch.full((6,), torch.nan), "expected finite numbers, found infinite or NaN"),
    ],
)
def test_a_damaged_parameter_is_named(name: str, value: torch.Tensor | None, message: str) -> None:
    state = export_released(small_flow())
    if value is None:
        del state[f"module_list.{name}"]
    else:
        state[f"module_list.{name}"] = value
    with pytest.raises(InputError, match=message) as caught:
        import_released(state)
    assert one_line(caught.value.problems)
    assert all(problem.startswith("released checkpoint: ") for problem in caught.value.problems)


@pytest.mark.parametrize("channels", [5, 6])
def test_odd_channels_there_and_back(channels: int) -> None:
    flow = small_flow(camera_graph(3), channels, hidden=2, kernels=[1, 3], clamp=1.4)
    assert_same(flow, import_released(export_released(flow), clamp=1.4))


def test_what_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("epoch 1\nloss 0.3\n")
    (tmp_path / "folder.pth").mkdir()
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    torch.save({"net": export_released(small_flow())}, tmp_path / "nested.pth")
    save(tmp_path / "ours.safetensors", small_flow())
    for name, message in (
        ("text.pth", "expected a PyTorch state dict, cannot read it"),
        ("folder.pth", "expected a checkpoint, found no file"),
        ("absent.pth", "expected a checkpoint, found no file"),
        ("list.pth", "expected a PyTorch state dict, found a list"),
        ("nested.pth", "expected a PyTorch state dict of names and tensors, found 'net' with a dict"),
        ("ours.safetensors", "expected parameters named like module_list"),
    ):
        with pytest.raises(InputError, match=f"{name}: {message}") as caught:
            import_released(tmp_path / name)
        assert one_line(caught.value.problems)


def damaged(content: bytes, count: int) -> Iterator[bytes]:
    """The content with bytes changed, cut out or put in."""
    random = np.random.default_rng(0)
    for _ in range(count):
        # Half of the places near the start: that is where the header is.
        place = int(random.integers(0, random.choice([min(600, len(content)), len(content)])))
        length = int(random.integers(1, 9))
        other = random.bytes(length * int(random.integers(0, 2)))
        yield content[:place] + other + content[place + length * int(random.integers(0, 2)) :]


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    flow = small_flow(camera_graph(2), 2, blocks=1, hidden=1, kernels=[1])
    torch.save(export_released(flow), tmp_path / "whole.pth")
    save(tmp_path / "whole.safetensors", flow, Scaling.identity(2))
    found: dict[str, list[str]] = {"whole.pth": [], "whole.safetensors": []}
    for name, read in (("whole.pth", import_released), ("whole.safetensors", load)):
        for content in damaged((tmp_path / name).read_bytes(), 250):
            path = tmp_path / f"damaged_{name}"
            path.write_bytes(content)
            try:
                read(path)
            except InputError as error:
                found[name] += error.problems
    assert all(len(problems) > 50 and one_line(problems) for problems in found.values())


def header_of(metadata: object) -> dict[str, str]:
    return {"multiflow": json.dumps({"format": "multiflow.model.1", "metadata": metadata})}


ARCHITECTURE = small_flow().architecture()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"multiflow": "{'format': 1}"}, "metadata: expected JSON, found other text"),
        ({"multiflow": "[1]"}, r"format: expected multiflow\.model\.1, found \[1\]"),
        (header_of([]), r"metadata: expected an object, found \[\]"),
        (header_of({"architecture": None}), "architecture: expected an object, found None"),
        (header_of({"architecture": {}}), r"expected one that a flow can be built of, found \{\} \(KeyError"),
        (header_of({"architecture": {"channels": 2, "neighbors": [[9]]}}), r"InputError: camera graph: view 0"),
        (header_of({"architecture": ARCHITECTURE | {"channels": "6"}}), r"\(TypeError"),
        (header_of({"architecture": ARCHITECTURE | {"hidden": "four"}}), r"\(ValidationError: hidden: Input should"),
        (header_of({"architecture": ARCHITECTURE | {"depth": 4}}), r"\(ValidationError: depth: Extra inputs"),
    ],
)
def test_wrong_metadata_is_one_line(tmp_path: Path, header: dict[str, str], message: str) -> None:
    path = tmp_path / "flow.safetensors"
    save_file({"a": torch.zeros(1)}, path, header)
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert len(caught.value.problems) == 1
    assert one_line(caught.value.problems)


def test_wrong_tensors_are_named() -> None:
    flow = small_flow()
    model = to_model(flow, SCALING)

    def problems(change: dict[str, torch.Tensor], without: str = "") -> list[str]:
        tensors = {name: tensor for name, tensor in {**model.tensors, **change}.items() if name != without}
        with pytest.raises(InputError) as caught:
            from_model(Model(tensors, model.metadata), "flow")
        return caught.value.problems

    assert problems({"scaling.std": torch.ones(5)}) == ["flow: scaling.std: expected [6], found [5]"]
    assert problems({}, "scaling.mean") == ["flow: scaling.mean: expected a tensor, found none"]
    assert problems({"flow.more": torch.ones(1)}) == ["flow: flow.more: expected no such tensor, found one"]
    integers = torch.ones(5, dtype=torch.int64)
    assert problems({"flow.couplings.0.networks.0.gamma": integers}) == [
        "flow: flow.couplings.0.networks.0.gamma: expected torch.float32, found torch.int64"
    ]
    permutations = flow.permutations.clone()
    permutations[0, 0, 0] = 6
    assert problems({"flow.permutations": permutations}) == [
        "flow: permutations: expected orders of 6 channels, found other numbers"
    ]
    with pytest.raises(InputError) as caught:
        from_model(Model({}, model.metadata), "flow")
    assert len(caught.value.problems) == 6
    assert caught.value.problems[-1] == f"flow: and {len(flow.state_dict()) + 2 - 5} more problems"


def test_the_kind_of_attention_must_be_named() -> None:
    state = export_released(small_flow(fusion="self_attention"))
    with pytest.raises(InputError, match="fusion: expected self_attention or cross_view_attention, found None"):
        import_released(state)
    with pytest.raises(InputError, match="the checkpoint has no attention"):
        import_released(export_released(small_flow()), fusion="self_attention")


def test_flows_that_the_released_code_does_not_have() -> None:
    flow = small_flow(transform_first="second", clamp_slope=0.6)
    flow.permutations.copy_(flow.permutations.flip(0))
    with pytest.raises(InputError) as caught:
        export_released(flow)
    assert caught.value.problems == [
        "flow: clamp_slope: expected 0.636, found 0.6: the released code has no other",
        "flow: transform_first: expected first, found second: the released code has no other",
        "flow: block 0: its permutation isn't that of the released code",
        "flow: block 1: its permutation isn't that of the released code",
    ]


def test_the_released_network_is_that_of_the_released_configuration() -> None:
    path = Path(__file__).parents[2] / "config/released.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))["experiments"]["released"]["network"]
    assert Network(**values) == RELEASED
