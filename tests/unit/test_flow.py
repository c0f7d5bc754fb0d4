"""Properties of the flow that hold whatever its parameters are."""

from __future__ import annotations

import copy
import doctest
import math
import shutil
import sysconfig
from pathlib import Path
from typing import cast

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.multiflow.camera_graph import CameraGraph, camera_graph
from multiflow.methods.multiflow.checkpoint import from_model, to_model
from multiflow.methods.multiflow.inputs import Scaling
from multiflow.methods.multiflow.network import MultiFlow, anomaly_map, loss, model
from multiflow.methods.multiflow.network.attention import EdgeAttention
from multiflow.methods.multiflow.network.coupling import CouplingBlock
from multiflow.methods.multiflow.network.noise import condition_shape
from multiflow.methods.multiflow.released import RELEASED, export_released
from multiflow.methods.multiflow.settings import Network

FUSIONS = ("conv2d", "self_attention", "cross_view_attention")


def small_network(**options: object) -> Network:
    """Return the settings of a small flow, where nothing else is said those of the released code."""
    return Network(**{**RELEASED.model_dump(), "clamp_slope": 2 / math.pi, **options})  # type: ignore[arg-type]


def small_flow(
    graph: CameraGraph | None = None,
    channels: int = 6,
    kernels: tuple[int, ...] = (3, 5),
    hidden: int = 4,
    **options: object,
) -> MultiFlow:
    """Return a small float64 flow whose parameters, gammas included, are random."""
    generator = torch.Generator().manual_seed(3)
    settings = small_network(blocks=len(kernels), hidden=hidden, kernels=list(kernels), **options)
    flow = MultiFlow(channels, graph or camera_graph(5), settings, generator=generator).double()
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if name.endswith("gamma"):
                parameter.uniform_(0.5, 1.5, generator=generator)
    return flow


def batch(flow: MultiFlow, size: int = 2, height: int = 4, width: int = 5) -> tuple[Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(
        size, flow.graph.views, flow.channels, height, width, generator=generator, dtype=torch.float64
    )
    shape = condition_shape(flow.settings, features.shape)
    return features, None if shape is None else torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("chunk_bytes", [2**30, 1])
def test_compiled_flow_equals_the_eager_one(monkeypatch: pytest.MonkeyPatch, chunk_bytes: int) -> None:
    monkeypatch.setattr("multiflow.methods.multiflow.network.chunks._CHUNK_BYTES", chunk_bytes)
    flow = small_flow(camera_graph(2), kernels=(3,), fusion="cross_view_attention")
    compiled = copy.deepcopy(flow)
    # torch.compile's own backend needs a C++ compiler and Python's headers; without them its tracing is compared.
    # Chunks are a matter of the tracing alone, which takes a third of the time.
    has_compiler = shutil.which("g++") and (Path(sysconfig.get_path("include")) / "Python.h").exists()
    compiled.compile(backend="inductor" if has_compiler and chunk_bytes > 1 else "aot_eager")
    for size in (3, 2):  # an epoch's last batch is smaller
        gradients = []
        for each in (flow, compiled):
            each.zero_grad()
            loss(*each(*batch(each, size))).backward()
            gradients.append({name: parameter.grad for name, parameter in each.named_parameters()})
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("views", "channels", "transform_first"), [(1, 6, "first"), (2, 7, "second"), (5, 7, "first")])
def test_the_inverse_inverts(fusion: str, views: int, channels: int, transform_first: str) -> None:
    flow = small_flow(camera_graph(views), channels, fusion=fusion, transform_first=transform_first)
    features, condition = batch(flow)
    latents, _ = flow(features, condition)
    assert not torch.allclose(latents, features)
    torch.testing.assert_close(flow.inverse(latents, condition), features, rtol=0, atol=1e-10)


@pytest.mark.parametrize("transform_first", ["first", "second"])
def test_log_determinant_is_that_of_autograd_per_pixel(transform_first: str) -> None:
    # With 1 x 1 kernels a pixel depends on itself alone: all of its views and channels.
    flow = small_flow(kernels=(1, 1, 1), channels=4, transform_first=transform_first)
    features, condition = batch(flow, size=1, height=2, width=2)
    _, log_determinant = flow(features, condition)

    def transform(maps: Tensor) -> Tensor:
        latents: Tensor = flow(maps, condition)[0]
        return latents

    jacobian = torch.autograd.functional.jacobian(transform, features)
    for row in range(2):
        for column in range(2):
            at_pixel = jacobian[0, :, :, row, column, 0, :, :, row, column].reshape(20, 20)
            expected = torch.linalg.slogdet(at_pixel).logabsdet
            torch.testing.assert_close(log_determinant[0, :, row, column].sum(), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_log_determinant_is_that_of_the_whole_jacobian(fusion: str) -> None:
    flow = small_flow(camera_graph(3), channels=4, fusion=fusion)
    features, condition = batch(flow, size=1, height=3, width=2)
    _, log_determinant = flow(features, condition)

    def transform(maps: Tensor) -> Tensor:
        latents: Tensor = flow(maps, condition)[0]
        return latents

    jacobian = torch.autograd.functional.jacobian(transform, features).reshape(2 * [features.numel()])
    torch.testing.assert_close(log_determinant.sum(), torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-10, atol=0)


def test_log_determinant_of_a_view_without_messages_is_its_own() -> None:
    flow = small_flow(camera_graph(3, "none"), channels=4, kernels=(1, 1))
    features, condition = batch(flow, size=1, height=1, width=1)
    _, log_determinant = flow(features, condition)
    jacobian = torch.autograd.functional.jacobian(lambda maps: flow(maps, condition)[0], features)
    for view in range(3):
        own = jacobian[0, view, :, 0, 0, 0, view, :, 0, 0]
        torch.testing.assert_close(log_determinant[0, view, 0, 0], torch.linalg.slogdet(own).logabsdet)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("connections", ["both", "top", "neighbors", "none"])
def test_gradients_reach_every_parameter(fusion: str, connections: str) -> None:
    # Wide enough that no ReLU is closed everywhere.
    hidden = 16
    flow = small_flow(camera_graph(5, connections), hidden=hidden, fusion=fusion)
    loss(*flow(*batch(flow))).backward()
    for name, parameter in flow.named_parameters():
        gradient = parameter.grad
        assert gradient is not None, name
        if ".in_weights." in name:
            parts = [gradient]
        elif ".out_weights." in name:  # the view itself and each of its messages
            parts = list(gradient.split(hidden, dim=1))
        elif name.endswith("attention.in_weight"):  # queries, keys and values of each message
            parts = list(gradient.reshape(-1, hidden, hidden))
        elif name.endswith("attention.in_bias"):  # without the bias of the keys, which can't change a softmax
            parts = list(gradient[:, :hidden]) + list(gradient[:, 2 * hidden :])
        else:  # a row per view or message
            parts = list(gradient)
        assert all(part.any() for part in parts), name


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_are_those_of_finite_differences(fusion: str) -> None:
    flow = small_flow(camera_graph(3), channels=4, kernels=(3,), fusion=fusion)
    features, condition = batch(flow, size=1, height=2, width=3)
    parameters = [parameter for parameter in flow.parameters() if parameter.numel() < 40]
    assert len(parameters) >= 4
    assert torch.autograd.gradcheck(
        lambda maps, *_: flow(maps, condition), (features.requires_grad_(), *parameters), fast_mode=True
    )


@pytest.mark.parametrize(
    "graph",
    [
        camera_graph(4),
        camera_graph(5, "neighbors"),
        camera_graph(5, "none"),
        CameraGraph(((), (0,), (1,), (2,))),
    ],
    ids=str,
)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_views_depend_on_their_neighbors_alone(graph: CameraGraph, fusion: str) -> None:
    views = range(graph.views)
    # A block has two st-networks: what it reads comes over two edges at most.
    reads = [{view, *graph.neighbors[view]} for view in views]
    reads = [set().union(*(reads[sender] for sender in reads[view])) for view in views]
    flow = small_flow(graph, kernels=(3,), fusion=fusion)
    features, condition = batch(flow)
    latents, log_determinant = flow(features, condition)
    for changed in views:
        other = features.clone()
        other[:, changed] += 1
        other_latents, other_log_determinant = flow(other, condition)
        for view in views:
            depends = changed in reads[view]
            assert torch.equal(latents[:, view], other_latents[:, view]) != depends
            assert torch.equal(log_determinant[:, view], other_log_determinant[:, view]) != depends


def test_a_broken_view_stays_alone_without_messages() -> None:
    flow = small_flow(camera_graph(2, "none"))
    features, condition = batch(flow)
    features[:, 0] = math.nan
    latents, log_determinant = flow(features, condition)
    assert latents[:, 1].isfinite().all()
    assert log_determinant[:, 1].isfinite().all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_score_does_not_depend_on_the_batch(fusion: str) -> None:
    flow = small_flow(fusion=fusion)
    features, condition = batch(flow, size=3)
    assert condition is not None
    together = anomaly_map(*flow(features, condition))
    for sample in range(3):
        alone = anomaly_map(*flow(features[sample : sample + 1], condition[sample : sample + 1]))
        torch.testing.assert_close(alone[0], together[sample], rtol=1e-12, atol=1e-12)


def test_one_view_is_a_flow_of_its_own() -> None:
    flow = small_flow(camera_graph(1))
    several = small_flow(camera_graph(3, "none"))
    features, condition = batch(several)
    with torch.no_grad():
        for ours, theirs in zip(flow.couplings, several.couplings, strict=True):
            for network, other in zip(ours.networks, theirs.networks, strict=True):
                network.in_weights[0].copy_(other.in_weights[0])
                network.out_weights[0].copy_(other.out_weights[0])
                for name in ("in_bias", "out_biases", "gamma"):
                    getattr(network, name).copy_(getattr(other, name)[:1])
    latents, log_determinant = flow(features[:, :1], condition)
    expected_latents, expected_log_determinant = several(features, condition)
    torch.testing.assert_close(latents, expected_latents[:, :1])
    torch.testing.assert_close(log_determinant, expected_log_determinant[:, :1])


def test_messages_are_averaged() -> None:
    """Two neighbours with equal parameters and equal features send what one of them sends."""
    two = small_flow(CameraGraph(((1, 2), (), ())), kernels=(3,))
    one = small_flow(CameraGraph(((1,), (), ())), kernels=(3,))
    features, condition = batch(two)
    two.permutations.copy_(torch.arange(6).expand_as(two.permutations))
    one.permutations.copy_(two.permutations)
    features[:, 2] = features[:, 1]
    with torch.no_grad():
        for network, other in zip(two.couplings[0].networks, one.couplings[0].networks, strict=True):
            network.in_weights[2].copy_(network.in_weights[1])
            network.in_bias[2].copy_(network.in_bias[1])
            network.out_weights[2].copy_(network.out_weights[1])
            network.out_biases[4].copy_(network.out_biases[3])
            network.gamma[2].copy_(network.gamma[1])
            other.load_state_dict(
                {
                    name: value
                    for name, value in network.state_dict().items()
                    if name not in ("out_weights.0", "out_biases")
                },
                strict=False,
            )
            message = network.out_weights[0][:, 4:8]
            network.out_weights[0][:, 8:].copy_(message)
            network.out_biases[2].copy_(network.out_biases[1])
            other.out_weights[0].copy_(network.out_weights[0][:, :8])
            other.out_biases.copy_(network.out_biases[[0, 1, 3, 4]])
    torch.testing.assert_close(two(features, condition)[0][:, 0], one(features, condition)[0][:, 0])


def test_an_untrained_flow_permutes_channels() -> None:
    flow = MultiFlow(6, camera_graph(2), Network(blocks=1, hidden=4, kernels=[3], noise="none"))
    features = torch.randn(2, 2, 6, 3, 3)
    latents, log_determinant = flow(features)
    assert (log_determinant == 0).all()
    for view in range(2):
        assert torch.equal(latents[:, view], features[:, view, flow.permutations[0, view]])


def test_outputs_are_limited() -> None:
    flow = small_flow(kernels=(1,))
    features, condition = batch(flow)
    latents, _ = flow(features * 1e8, condition)
    assert latents.abs().max() == flow.settings.output_limit == 1e6


def test_initial_parameters_follow_the_seed() -> None:
    settings = Network(blocks=1, kernels=[3])

    def parameters(seed: int) -> Tensor:
        flow = MultiFlow(4, camera_graph(3), settings, generator=torch.Generator().manual_seed(seed))
        return torch.cat([parameter.flatten() for parameter in flow.parameters()])

    assert torch.equal(parameters(1), parameters(1))
    assert not torch.equal(parameters(1), parameters(2))
    torch.manual_seed(1)
    flow = MultiFlow(4, camera_graph(3), settings)
    torch.manual_seed(1)
    again = MultiFlow(4, camera_graph(3), settings)
    assert all(torch.equal(*pair) for pair in zip(flow.parameters(), again.parameters(), strict=True))


def test_a_flow_can_be_copied_and_runs_in_inference_mode() -> None:
    flow = small_flow()
    features, condition = batch(flow)
    expected = flow(features, condition)[0]
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(flow)(features, condition)[0], expected)


def test_a_flow_trains_after_inference() -> None:
    # A graph of its own: what is kept per graph is made in inference mode.
    flow = small_flow(CameraGraph(((1, 2, 3), (3,), (0, 1), ())))
    features, condition = batch(flow)
    with torch.inference_mode():
        flow(features, condition)
    loss(*flow(features, condition)).backward()
    assert all(parameter.grad is not None for parameter in flow.parameters())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_autocast_trains(fusion: str) -> None:
    flow = small_flow(fusion=fusion).float()
    features, condition = batch(flow)
    assert condition is not None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = loss(*flow(features.float(), condition.float()))
    total.backward()
    expected = loss(*flow(features.float(), condition.float()))
    assert all(parameter.grad is not None and parameter.grad.dtype == torch.float32 for parameter in flow.parameters())
    torch.testing.assert_close(total, expected, rtol=0.05, atol=0.05)


def test_repr_names_what_matters() -> None:
    text = repr(small_flow(camera_graph(3, "top"), fusion="self_attention", clamp=1.4))
    for part in ("6 channels", "3 views, 0<-1+2, 1<-0, 2<-0", "fusion=self_attention", "clamp=1.4", "5x5"):
        assert part in text
    assert "output_limit" not in text


def test_the_example_runs() -> None:
    failed, tried = doctest.testmod(model)
    assert (failed, tried > 0) == (0, True)


@pytest.mark.parametrize(
    ("features", "condition", "message"),
    [
        ((2, 4, 6, 3, 3), (2, 1, 3, 3), r"5 views, 6 channels.*\[2, 4, 6, 3, 3\]"),
        ((2, 5, 8, 3, 3), (2, 1, 3, 3), r"5 views, 6 channels.*\[2, 5, 8, 3, 3\]"),
        ((2, 5, 6, 3, 3), (2, 5, 3, 3), r"condition \[2, 1, 3, 3\], found \[2, 5, 3, 3\]"),
        ((2, 5, 6, 3, 3), None, "expected a condition, found none"),
    ],
)
def test_wrong_input(features: tuple[int, ...], condition: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_flow()(
            torch.zeros(features, dtype=torch.float64),
            None if condition is None else torch.zeros(condition, dtype=torch.float64),
        )


def test_one_channel_has_no_halves() -> None:
    with pytest.raises(InputError, match=r"channels: expected at least 2 .*, found 1"):
        MultiFlow(1, camera_graph(2), small_network())


# --- where the paper and its released code differ ---

OPTIONS: dict[str, dict[str, object]] = {
    "attention of the paper": {"fusion": "cross_view_attention", "attention": "paper", "attention_heads": 2},
    "self-attention of the paper": {"fusion": "self_attention", "attention": "paper"},
    "no gamma": {"gamma": False},
    "noise per feature": {"noise_shape": "features"},
    "no output limit": {"output_limit": None},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_a_flow_that_is_trained_stored_and_inverted(name: str) -> None:
    flow = small_flow(camera_graph(3), **OPTIONS[name])
    features, condition = batch(flow)
    latents, log_determinant = flow(features, condition)
    torch.testing.assert_close(flow.inverse(latents, condition), features, rtol=0, atol=1e-10)
    loss(latents, log_determinant).backward()
    for parameter_name, parameter in flow.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.any(), parameter_name
    again, _ = from_model(to_model(flow, Scaling.identity(6)), "flow")
    assert torch.equal(again(features, condition)[0], latents)
    released = small_flow(camera_graph(3), fusion=OPTIONS[name].get("fusion", "conv2d"))
    if name != "no output limit":  # which these values don't reach
        plain, _ = released(features, batch(released)[1])
        assert not torch.allclose(plain, latents)
    with pytest.raises(InputError, match="the released code has no other"):
        export_released(flow)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("rule", ["paper", "released"])
@pytest.mark.parametrize("cross_view", [False, True])
def test_attention_is_that_of_torch(cross_view: bool, rule: str, heads: int) -> None:
    """Both orders, against torch's own module: what gives query, key and value, and what stands behind it."""
    graph, generator = camera_graph(3), torch.Generator().manual_seed(0)
    fusion = "cross_view_attention" if cross_view else "self_attention"
    settings = small_network(hidden=4, fusion=fusion, attention=rule, attention_heads=heads)
    attention = EdgeAttention(graph, settings, generator=generator).double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    maps = torch.randn(3, 2, 4, 3, 2, generator=generator, dtype=torch.float64)
    messages = attention(maps)
    for edge, (sender, receiver) in enumerate(graph.edges):
        module = torch.nn.MultiheadAttention(4, heads, batch_first=True).double()
        norm = torch.nn.LayerNorm(4).double()
        with torch.no_grad():
            module.in_proj_weight.copy_(attention.in_weight[edge])
            module.in_proj_bias.copy_(attention.in_bias[edge])
            module.out_proj.weight.copy_(attention.out_weight[edge])
            module.out_proj.bias.copy_(attention.out_bias[edge])
            norm.weight.copy_(attention.norm_weight[edge])
            norm.bias.copy_(attention.norm_bias[edge])
        sending, receiving = (maps[view].flatten(2).transpose(1, 2) for view in (sender, receiver))
        query = receiving if cross_view else sending
        key = receiving if cross_view and rule == "paper" else sending
        attended, _ = module(query, key, sending)
        expected = norm(attended).relu() if rule == "paper" else norm(attended.relu())
        torch.testing.assert_close(messages[edge], expected.transpose(1, 2).view(2, 4, 3, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 2, "kernels": [3]}, "give one kernel per block"),
        ({"blocks": 1, "kernels": [4]}, "must be odd"),
        ({"hidden": 4, "attention_heads": 3}, "attention_heads 3 must divide hidden"),
        ({"attention": "mine"}, "attention"),
        ({"output_limit": 0.0}, "output_limit"),
        ({"clamp": math.inf}, "clamp"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        small_network(**options)


def test_without_gamma_a_flow_does_not_begin_as_a_permutation() -> None:
    flow = small_flow(gamma=False)
    assert not any(name.endswith("gamma") for name, _ in flow.named_parameters())
    features, condition = batch(flow)
    assert flow(features, condition)[1].abs().min() > 0


def test_a_view_reads_its_own_condition() -> None:
    flow = small_flow(camera_graph(3, "none"), noise_shape="features")
    features, condition = batch(flow)
    assert condition is not None
    before, _ = flow(features, condition)
    condition[:, 1] += 1
    changed = (flow(features, condition)[0] - before).abs().amax(dim=(0, 2, 3, 4)) > 0
    assert changed.tolist() == [False, True, False]
    zero = flow.condition_of_test_time(features)
    assert zero is not None
    assert zero.shape == features.shape
    assert not zero.any()
    with pytest.raises(InputError, match=r"expected a condition \[2, 3, 6, 4, 5\], found \[2, 1, 4, 5\]"):
        flow(features, condition[:, 0, :1])


def test_the_output_limit() -> None:
    graph = camera_graph(1)
    features = torch.full((1, 1, 4, 1, 1), 9.0)
    for limit, expected in ((5.0, 5.0), (None, 9.0)):
        flow = MultiFlow(4, graph, Network(blocks=1, hidden=2, kernels=[1], noise="none", output_limit=limit))
        assert (flow(features)[0] == expected).all()


def test_what_a_gpu_repeats_in_the_backward_pass_is_what_a_cpu_keeps() -> None:
    block = cast(CouplingBlock, small_flow(channels=6).couplings[0])
    generator = torch.Generator().manual_seed(0)
    output, half = (torch.randn(5, 2, size, 4, 4, generator=generator, requires_grad=True) for size in (6, 3))
    gamma = torch.rand(5, generator=generator, requires_grad=True)
    calls, gradients = [], []
    scale_and_shift = block._scale_and_shift
    block._scale_and_shift = lambda *inputs: calls.append(1) or scale_and_shift(*inputs)  # type: ignore[method-assign]
    for transform in (block._transform, block._transform_again):
        maps, log_determinant = transform(output, gamma, half)
        gradients.append(torch.autograd.grad(maps.square().sum() - log_determinant.sum(), (output, gamma, half)))
    assert len(calls) == 1 + 2
    assert all(torch.equal(kept, again) for kept, again in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fusion": "cross_view_attention"},
        {"noise_shape": "features", "gamma": False},
        {"noise": "none", "output_limit": None},
        {"connections": "none"},
    ],
    ids=str,
)
@pytest.mark.parametrize("views", [1, 2, 5])
def test_views_in_chunks_give_the_same_result(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object], views: int
) -> None:
    flow = small_flow(camera_graph(5, str(options.get("connections", "both"))), **options)
    features, condition = batch(flow)
    seen: set[tuple[int, ...]] = set()
    for coupling in flow.couplings:
        coupling.register_forward_pre_hook(lambda _, inputs: seen.add(tuple(map(len, inputs[0]))))
    results = []
    for size in (2**30, views * features[:, 0].nbytes):
        monkeypatch.setattr("multiflow.methods.multiflow.network.chunks._CHUNK_BYTES", size)
        flow.zero_grad()
        inputs = features.clone().requires_grad_()
        latents, log_determinant = flow(inputs, condition)
        loss(latents, log_determinant).backward()
        with torch.no_grad():
            restored = flow.inverse(latents, condition)
        results.append([latents, log_determinant, restored, inputs.grad, *(one.grad for one in flow.parameters())])
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
    assert seen == {(5,), {1: (1, 1, 1, 1, 1), 2: (2, 2, 1), 5: (5,)}[views]}
