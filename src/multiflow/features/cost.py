"""What a set of features costs, and of which shape it is, before a picture is read."""

from __future__ import annotations

import math
from functools import cache

from multiflow.features.settings import FeatureSet
from multiflow.methods.contract import FeatureShape

__all__ = ["feature_cost"]

# Channels, stride and GFLOP of an image of 768 px at the node where the features are taken, counted by
# torch.utils.flop_counter.
_BACKBONES = {
    ("tf_efficientnet_b5.aa_in1k", "blocks.5"): (304, 32, 45.0),
    ("tf_efficientnet_lite0.in1k", "blocks.5"): (192, 32, 7.8),
}


def feature_cost(settings: FeatureSet) -> tuple[FeatureShape, float]:
    """Shape of an image's features, and GFLOP of an image."""
    known = _BACKBONES.get((settings.backbone, settings.node))
    channels, stride, gflop = known or _measure_backbone(settings.backbone, settings.node)
    side = math.ceil(settings.image_size / stride)
    return FeatureShape(channels, side, side), gflop * (settings.image_size / 768) ** 2


@cache
def _measure_backbone(name: str, node: str) -> tuple[int, int, float]:
    """Channels, stride and GFLOP for any backbone of timm, from its shapes alone: nothing is computed."""
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from multiflow.features.backbone import Backbone

    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        backbone = Backbone(timm.create_model(name), node, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        maps = backbone.to("meta")(torch.empty(1, 3, 768, 768))
    return maps.shape[1], 768 // maps.shape[2], counter.get_total_flops() / 1e9
