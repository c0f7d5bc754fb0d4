"""MVANet, a network for dichotomous segmentation (Yu et al., CVPR 2024), as Multi-Flow uses it."""

from multiflow.foreground.mvanet.checkpoint import create_mvanet, fetch_mvanet
from multiflow.foreground.mvanet.network import MVANet
from multiflow.foreground.mvanet.test_time import MVANetSegmenter

__all__ = ["MVANet", "MVANetSegmenter", "create_mvanet", "fetch_mvanet"]
