"""Checkpoints of the released code, read into this implementation and written from it.

The released code is m-kruse98/Multi-Flow; its checkpoint is the ``state_dict`` of its network. The channel
permutations aren't in it: they follow from the block number and the legacy NumPy generator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast, get_args

import torch
from pydantic import ValidationError
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.base.weights import read_checkpoint
from multiflow.methods.multiflow.camera_graph import Connections, camera_graph
from multiflow.methods.multiflow.network.coupling import CouplingBlock
from multiflow.methods.multiflow.network.model import MultiFlow, channel_permutations
from multiflow.methods.multiflow.network.st_network import StNetwork
from multiflow.methods.multiflow.settings import Fusion, Network

__all__ = ["RELEASED", "export_released", "import_released"]

RELEASED = Network(
    attention="released",
    clamp_slope=0.636,  # in place of 2/pi
    noise_std=0.15,
    softflow_exponent=2.0,
    condition_scale=20.0,
    transform_first="first",
)
"""The network of the released code, as ``config/released.yaml`` has it."""

_NAME = re.compile(r"module_list\.(\d+)\.s[12]\.(.+)")
_VIEW = re.compile(r"(?:gamma|conv_scale)(\d+)")
# What the released code has settings for, or what its parameters show; all else must be as in RELEASED.
_FREE = {"blocks", "hidden", "kernels", "clamp", "connections", "fusion"}
# These only matter in a training.
_FREE |= {"noise", "noise_std", "softflow_exponent", "condition_scale"}
_OF_ATTENTION = {"attention", "attention_heads"}
_LISTED = 5
_MOST_VIEWS = 10


def import_released(
    checkpoint: str | Path | Mapping[str, Tensor],
    *,
    fusion: Fusion | None = None,
    clamp: float = RELEASED.clamp,
) -> MultiFlow:
    """Return the flow of a checkpoint of the released code.

    Args:
        checkpoint: the file, or its state dict.
        fusion: needed for a checkpoint with attention, where self-attention and cross-view attention have the
            same parameters; else found from the checkpoint.
        clamp: limit of the soft clamping, a setting of the released code; not in the checkpoint.

    Returns:
        The flow. Of its noise the checkpoint says only whether there was any.

    Raises:
        InputError: the file can't be read, or its parameters aren't those of an architecture that this
            package has.
    """
    if isinstance(checkpoint, Mapping):
        source, state = "released checkpoint", checkpoint
    else:
        source, state = str(checkpoint), read_checkpoint(Path(checkpoint))
    matches = [match for name in state if (match := _NAME.fullmatch(name))]
    nodes = sorted({int(match[1]) for match in matches})
    rest = {match[2] for match in matches if int(match[1]) == nodes[0]}
    # The view with the highest number counts, so that one that lacks a parameter is said to lack it.
    views = max((int(match[1]) + 1 for match in map(_VIEW.match, rest) if match), default=0)
    if not views:
        found = ", ".join(list(state)[:_LISTED]) or "nothing"
        raise InputError(
            f"{source}: expected parameters named like module_list.7.s1.conv_scale0_0.weight, found {found}: "
            "give the state dict that the released code's save_weights writes"
        )
    if views > _MOST_VIEWS:
        raise InputError(f"{source}: expected at most {_MOST_VIEWS} views, found {views}: the names are ambiguous")
    first = f"module_list.{nodes[0]}"
    hidden, in_channels, _, _ = _kernel(source, state, f"{first}.s1.conv_scale0_0.weight")
    # s1 gives scale and shift of the second half, s2 those of the first.
    halves = [_kernel(source, state, f"{first}.{name}.conv_scale0_1.weight")[0] for name in ("s1", "s2")]
    channels = sum(halves) // 2
    connections = _connections(rest)
    values = {
        "blocks": len(nodes),
        "hidden": hidden,
        "kernels": [_kernel(source, state, f"module_list.{node}.s1.conv_scale0_0.weight")[3] for node in nodes],
        "clamp": clamp,
        "connections": connections,
        "fusion": _fusion(source, rest, fusion),
        "noise": "simplenet" if in_channels > channels // 2 else "none",
    }
    try:
        settings = Network(**RELEASED.model_dump() | values)
        # Every value is replaced below; a generator of its own leaves the global one alone.
        flow = MultiFlow(channels, camera_graph(views, connections), settings, generator=torch.Generator())
    except ValidationError as error:
        problems = [
            ": ".join([source, *map(str, each["loc"]), each["msg"].removeprefix("Value error, ")])
            for each in error.errors()
        ]
        raise InputError(problems) from None
    except InputError as error:
        raise InputError([f"{source}: {line}" for line in error.problems]) from None
    parameters = dict(_released_parameters(flow))
    _compare(source, state, parameters)
    flow.to(state[f"{first}.s1.conv_scale0_0.weight"].dtype)
    with torch.no_grad():
        for name, parameter in _released_parameters(flow):
            parameter.copy_(state[name])
    return flow


def export_released(flow: MultiFlow) -> dict[str, Tensor]:
    """Return the state dict that the released code loads, its parameters copied.

    Raises:
        InputError: the released code has no such flow.
    """
    free = _FREE | (_OF_ATTENTION if flow.settings.fusion == "conv2d" else set())
    problems = [
        f"flow: {name}: expected {getattr(RELEASED, name)}, found {getattr(flow.settings, name)}: the released code "
        "has no other"
        for name in Network.model_fields.keys() - free
        if getattr(flow.settings, name) != getattr(RELEASED, name)
    ]
    problems.sort()
    if all(flow.graph != camera_graph(flow.graph.views, kind) for kind in get_args(Connections)):
        problems.append(f"flow: expected connections {', '.join(get_args(Connections))}, found the graph {flow.graph}")
    if flow.graph.views > _MOST_VIEWS:
        problems.append(
            f"flow: expected at most {_MOST_VIEWS} views, found {flow.graph.views}: the released names are ambiguous"
        )
    for block, permutation in enumerate(flow.permutations.cpu()):
        if not torch.equal(permutation, channel_permutations(block, flow.graph.views, flow.channels)):
            problems.append(f"flow: block {block}: its permutation isn't that of the released code")
    if problems:
        raise InputError(problems)
    return {name: parameter.detach().clone() for name, parameter in _released_parameters(flow)}


def _released_parameters(flow: MultiFlow) -> Iterator[tuple[str, Tensor]]:
    """Yield the released name of each parameter and the part of ours that holds it."""
    first_node = flow.graph.views + 1 + (flow.settings.condition_channels(flow.channels) > 0)
    for block, coupling in enumerate(flow.couplings):
        # s2 reads the second half and transforms the first; s1 the other way round.
        for name, half in (("s1", 1), ("s2", 0)):
            network = cast(StNetwork, cast(CouplingBlock, coupling).networks[half])
            for rest, parameter in _network_parameters(network):
                yield f"module_list.{first_node + 2 * block}.{name}.{rest}", parameter


def _network_parameters(network: StNetwork) -> Iterator[tuple[str, Tensor]]:
    hidden = network.in_bias.shape[1]
    attention = network.attention
    row = edge = 0
    for view, senders in enumerate(network.graph.neighbors):
        yield f"gamma{view}", network.gamma.detach()[view : view + 1]
        yield f"conv_scale{view}_0.weight", network.in_weights[view].detach()
        yield f"conv_scale{view}_0.bias", network.in_bias.detach()[view]
        names = [f"conv_scale{view}_1", *(_message(sender, view) for sender in senders)]
        for position, name in enumerate(names):
            if position and attention is not None:
                yield f"{name}.att.in_proj_weight", attention.in_weight.detach()[edge]
                yield f"{name}.att.in_proj_bias", attention.in_bias.detach()[edge]
                yield f"{name}.att.out_proj.weight", attention.out_weight.detach()[edge]
                yield f"{name}.att.out_proj.bias", attention.out_bias.detach()[edge]
                yield f"{name}.norm.weight", attention.norm_weight.detach()[edge]
                yield f"{name}.norm.bias", attention.norm_bias.detach()[edge]
                name, edge = f"{name}.conv", edge + 1
            columns = slice(position * hidden, (position + 1) * hidden)
            yield f"{name}.weight", network.out_weights[view].detach()[:, columns]
            yield f"{name}.bias", network.out_biases.detach()[row]
            row += 1


def _message(sender: int, receiver: int) -> str:
    if receiver == 0:
        return f"topview_down{sender - 1}"
    return f"topview_up{receiver - 1}" if sender == 0 else f"cross_conv{sender}{receiver}"


def _connections(names: set[str]) -> Connections:
    top = any(name.startswith("topview_") for name in names)
    ring = any(name.startswith("cross_conv") for name in names)
    if top:
        return "both" if ring else "top"
    return "neighbors" if ring else "none"


def _fusion(source: str, names: set[str], fusion: Fusion | None) -> Fusion:
    has_attention = any(".att." in name for name in names)
    if has_attention and fusion in (None, "conv2d"):
        raise InputError(
            f"{source}: fusion: expected self_attention or cross_view_attention, found {fusion}: "
            "the checkpoint has attention, but not which of the two; name it"
        )
    if not has_attention and fusion not in (None, "conv2d"):
        raise InputError(f"{source}: fusion: expected {fusion}, found conv2d: the checkpoint has no attention")
    return fusion or "conv2d"


def _kernel(source: str, state: Mapping[str, Tensor], name: str) -> tuple[int, int, int, int]:
    """Shape of a convolution's weight."""
    shape = tuple(state[name].shape) if name in state else None
    if shape is None or len(shape) != 4 or 0 in shape:
        found = "none" if shape is None else list(shape)
        raise InputError(
            f"{source}: {name}: expected a weight [out, in, height, width], found {found}: "
            "the checkpoint isn't of an architecture that can be read"
        )
    return shape


def _compare(source: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    problems = []
    for what, names in (
        ("missing", expected.keys() - found.keys()),
        ("unknown", found.keys() - expected.keys()),
    ):
        if names:
            listed = ", ".join(sorted(names)[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
            problems.append(
                f"{source}: expected {len(expected)} parameters, found {len(found)}, "
                f"of them {len(names)} {what}: {listed}: "
                "the checkpoint isn't of an architecture that can be read"
            )
    for name in sorted(expected.keys() & found.keys()):
        if expected[name].shape != found[name].shape:
            problems.append(f"{source}: {name}: expected {list(expected[name].shape)}, found {list(found[name].shape)}")
        elif not found[name].is_floating_point():
            problems.append(f"{source}: {name}: expected floating-point numbers, found {found[name].dtype}")
        elif not found[name].isfinite().all():
            problems.append(f"{source}: {name}: expected finite numbers, found infinite or NaN values")
    if problems:
        raise InputError(problems[:_LISTED])
