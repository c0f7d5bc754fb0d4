"""Multi-Flow's settings in words, as footnotes of tables print them, and the facts on which ablation rows depend."""

from __future__ import annotations

from multiflow.methods.multiflow.camera_graph import Connections, camera_graph
from multiflow.methods.multiflow.settings import Network, Settings

__all__ = ["describe", "effective_connections", "facts"]

_USUAL_LIMIT = 1e6  # of a block's outputs; named where it is another


def describe(settings: Settings, views: int) -> dict[str, str]:
    """What the paper and its released code do differently, a phrase per part: ``training``, ``noise``, ``network``."""
    epochs = settings.training.epochs
    return {
        "training": f"{epochs} epoch{'s' if epochs != 1 else ''}",
        "noise": _noise(settings.network),
        "network": _network(settings.network, views),
    }


def facts(settings: Settings, views: int) -> dict[str, str]:
    """Values on which it depends whether an experiment is an ablation's row."""
    network = settings.network
    return {
        "connections": effective_connections(network.connections, views),
        "fusion": network.fusion,
        "noise": network.noise,
    }


def effective_connections(connections: Connections, views: int) -> Connections:
    """The connections that there are: one view has none, and a ring of one side view has no edge."""
    graph = camera_graph(views, connections)
    names: tuple[Connections, ...] = ("none", "top", "neighbors", "both")
    return next(name for name in names if camera_graph(views, name) == graph)


def _noise(network: Network) -> str:
    if network.noise == "none":
        return "no noise"
    parts = [f"noise: {network.noise}"]
    if network.noise == "simplenet":
        parts.append(f"std {network.noise_std:.3g}")
    if network.noise == "softflow":
        parts.append(f"std c to the power of {network.softflow_exponent:g}")
    if network.noise_shape == "features":
        parts.append("a value per feature")
    return ", ".join([*parts, f"condition {network.condition_scale:g} × noise"])


def _network(network: Network, views: int) -> str:
    parts = [f"soft clamp {network.clamp_slope:.3g}", f"{network.transform_first} half first"]
    if network.fusion != "conv2d" and effective_connections(network.connections, views) != "none":
        source = {"paper": "the paper", "released": "the released code"}[network.attention]
        heads = network.attention_heads
        parts.append(f"attention of {source}, {heads} head{'s' if heads != 1 else ''}")
    if not network.gamma:
        parts.append("no gamma")
    if network.output_limit != _USUAL_LIMIT:
        parts.append(f"outputs within {network.output_limit:g}" if network.output_limit else "outputs without limit")
    return f"flow: {', '.join(parts)}"
