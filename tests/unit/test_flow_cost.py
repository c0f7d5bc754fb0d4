"""What a flow costs follows from the shapes of its network, and its ablations from its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from multiflow.methods.contract import FeatureShape, Images
from multiflow.methods.multiflow import MultiFlowMethod
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.cost import flow_cost, flow_parameters, flow_tflop
from multiflow.methods.multiflow.network import MultiFlow
from multiflow.methods.multiflow.settings import Network, Settings

CONFIGURATION = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text(encoding="utf-8"))
NETWORKS: dict[str, dict[str, Any]] = {
    name: {**CONFIGURATION["methods"]["multiflow"]["network"], **(entry or {}).get("network", {})}
    for name, entry in CONFIGURATION["experiments"].items()
}


def build(network: Network, channels: int, views: int) -> MultiFlow:
    return MultiFlow(channels, camera_graph(views, network.connections), network)


@pytest.mark.parametrize("experiment", NETWORKS)
def test_parameters_are_those_of_the_flow(experiment: str) -> None:
    network = Network(**NETWORKS[experiment])
    with torch.device("meta"):
        flow = build(network, 304, 5)
    assert flow_parameters(network, 304, 5) == sum(parameter.numel() for parameter in flow.parameters())


@pytest.mark.parametrize(
    "options",
    [{}, {"fusion": "self_attention"}, {"noise_shape": "features", "gamma": False}, {"connections": "top"}],
)
def test_operations_are_those_that_torch_counts(options: dict[str, Any]) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    network = Network(**options, blocks=2, kernels=[3, 5], hidden=16)
    flow = build(network, 32, 5)
    features = torch.zeros(1, 5, 32, 12, 10)
    # The fused attention of a CPU is not counted.
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        flow(features, flow.condition_of_test_time(features))
    assert flow_parameters(network, 32, 5) == sum(parameter.numel() for parameter in flow.parameters())
    counted = flow_tflop(network, FeatureShape(32, 12, 10), 5) * 1e12
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.02)


@pytest.mark.parametrize(("drop_last", "steps"), [(True, 3 * 2), (False, 3 * 3)])
def test_the_cost_of_a_training(drop_last: bool, steps: int) -> None:
    settings = Settings.model_validate(
        {"features": "b5", "training": {"epochs": 3, "batch_size": 8, "drop_last": drop_last, "tf32": False}}
    )
    images = Images(train=20, test=7, views=5, features={"b5": FeatureShape(304, 24, 20)})
    forward = flow_tflop(settings.network, FeatureShape(304, 24, 20), 5)
    cost = flow_cost(settings, images)
    assert cost.training_tflop == pytest.approx(steps * 8 * 3 * forward)
    assert cost.scoring_tflop == forward
    assert cost.model_bytes == 4 * flow_parameters(settings.network, 304, 5)
    assert cost.map_bytes == 5 * 24 * 20 * 4
    assert cost.precision == "float32"
    assert flow_cost(Settings(), images).precision == "tf32"
    amp = Settings.model_validate({"training": {"amp": True}})
    assert flow_cost(amp, images).precision == "bfloat16"


def test_the_paper_in_words() -> None:
    assert MultiFlowMethod().describe(Settings(), 5) == {
        "training": "112 epochs",
        "noise": "noise: simplenet, std 0.387, condition 1 × noise",
        "network": "flow: soft clamp 0.637, second half first",
    }
    network = Network(
        fusion="self_attention",
        attention_heads=2,
        gamma=False,
        output_limit=None,
        noise="softflow",
        noise_shape="features",
    )
    words = MultiFlowMethod().describe(Settings(network=network), 5)
    assert words["noise"] == "noise: softflow, std c to the power of 1, a value per feature, condition 1 × noise"
    assert words["network"] == (
        "flow: soft clamp 0.637, second half first, attention of the paper, 2 heads, no gamma, outputs without limit"
    )
    assert "attention" not in MultiFlowMethod().describe(Settings(network=network), 1)["network"]


def test_connections_are_those_that_there_are() -> None:
    def connections(views: int, name: Any) -> str:
        return MultiFlowMethod().facts(Settings(network=Network(connections=name)), views)["connections"]

    assert [connections(5, name) for name in ("none", "top", "neighbors", "both")] == [
        "none", "top", "neighbors", "both"
    ]  # fmt: skip
    assert connections(1, "both") == "none"
    assert connections(2, "both") == "top"
    assert connections(2, "neighbors") == "none"


@pytest.mark.parametrize("table", MultiFlowMethod.ablations)
def test_every_row_of_an_ablation_is_an_experiment_of_the_paper(table: str) -> None:
    ablation = MultiFlowMethod.ablations[table]
    for name, row in ablation.rows.items():
        entry = CONFIGURATION["experiments"][name] or {}
        foreground = CONFIGURATION["foreground"] | entry.get("foreground", {})
        facts = MultiFlowMethod().facts(Settings(network=Network(**NETWORKS[name])), 5)
        facts |= {"foreground": foreground["method"], "background": foreground.get("background", "zero")}
        assert row.contradiction(facts) is None, name
        for other, another in ablation.rows.items():
            assert other == name or another.contradiction(facts) is not None, f"{name} is also {other}"


def test_a_row_says_what_contradicts_it() -> None:
    row = MultiFlowMethod.ablations["table3"].rows["self_attention"]
    assert row.contradiction({"connections": "none", "fusion": "conv2d"}) == "connections none and fusion conv2d"
    assert row.contradiction({"connections": "top"}) == "fusion None"
