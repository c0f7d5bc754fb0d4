"""What a flow costs, counted from the shapes of the network without building it."""

from __future__ import annotations

import math

from multiflow.methods.contract import Cost, FeatureShape, Images
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.settings import Network, Settings

__all__ = ["flow_cost", "flow_parameters", "flow_tflop"]


def flow_cost(settings: Settings, images: Images) -> Cost:
    """Cost of a class and seed."""
    training, features, views = settings.training, images.features[settings.features], images.views
    batches = images.train / training.batch_size
    steps = training.epochs * (math.floor(batches) if training.drop_last else math.ceil(batches))
    forward = flow_tflop(settings.network, features, views)
    return Cost(
        # Backward is twice forward.
        training_tflop=steps * training.batch_size * 3 * forward,
        scoring_tflop=forward,
        model_bytes=4 * flow_parameters(settings.network, features.channels, views),
        map_bytes=4 * views * features.height * features.width,
        precision=training.precision,
    )


def flow_parameters(network: Network, channels: int, views: int) -> int:
    """Parameters of a flow."""
    messages = len(camera_graph(views, network.connections).edges)
    hidden, condition = network.hidden, network.condition_channels(channels)
    total = 0
    for kernel in network.kernels:
        first = (channels // 2 + condition) * hidden * kernel**2 + hidden
        second = hidden * channels * kernel**2 + channels
        total += 2 * (views * (first + network.gamma) + (views + messages) * second)
        if network.fusion != "conv2d":
            # Query, key, value and output of the attention, and the layer norm.
            total += 2 * messages * (4 * (hidden**2 + hidden) + 2 * hidden)
    return total


def flow_tflop(network: Network, features: FeatureShape, views: int) -> float:
    """Operations of a sample's way through a flow, TFLOP: every weight once at every position, and the attention."""
    positions = features.height * features.width
    operations = 2.0 * positions * flow_parameters(network, features.channels, views)
    if network.fusion != "conv2d":
        messages = len(camera_graph(views, network.connections).edges)
        operations += 2 * network.blocks * messages * 4 * positions**2 * network.hidden
    return operations / 1e12
