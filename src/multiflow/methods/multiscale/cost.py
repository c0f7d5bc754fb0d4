"""What the levels cost, counted as one flow is."""

from __future__ import annotations

from dataclasses import replace

from multiflow.methods.contract import Cost, FeatureShape, Images
from multiflow.methods.multiflow.cost import flow_cost
from multiflow.methods.multiflow.settings import Settings as FlowSettings
from multiflow.methods.multiscale.settings import Settings

__all__ = ["levels_cost"]


def levels_cost(settings: Settings, images: Images) -> Cost:
    """Cost of a class and seed."""
    flows = [flow_cost(flow, seen) for flow, seen in _flows(settings, images)]
    projections = [
        (images.features[name], level.channels or images.features[name].channels)
        for name, level in settings.levels.items()
    ]
    return Cost(
        training_tflop=sum(cost.training_tflop for cost in flows),
        scoring_tflop=sum(cost.scoring_tflop for cost in flows)
        + sum(_projection_tflop(shape, channels, images.views) for shape, channels in projections),
        model_bytes=sum(cost.model_bytes for cost in flows)
        + sum(4 * shape.channels * channels for shape, channels in projections),
        # The map in float32; the foreground is compressed to next to nothing.
        map_bytes=4 * images.views * settings.map_size**2,
        precision=settings.training.precision,
    )


def _flows(settings: Settings, images: Images) -> list[tuple[FlowSettings, Images]]:
    """Each level's flow as a Multi-Flow of its own, on the features that it sees."""
    found = []
    for name, level in settings.levels.items():
        flow = FlowSettings(features=name, network=settings.network, training=settings.training)
        shape = images.features[name]
        seen = replace(shape, channels=level.channels or shape.channels)
        found.append((flow, replace(images, features={name: seen})))
    return found


def _projection_tflop(shape: FeatureShape, channels: int, views: int) -> float:
    return 2.0 * views * shape.height * shape.width * shape.channels * channels / 1e12
