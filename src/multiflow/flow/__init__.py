"""The Multi-Flow network: a normalizing flow over the feature maps of several views."""

from multiflow.flow.likelihood import anomaly_map, loss
from multiflow.flow.model import KERNELS, MultiFlow
from multiflow.flow.noise import add_noise, sample_noise
from multiflow.flow.st_network import Fusion

__all__ = ["KERNELS", "Fusion", "MultiFlow", "add_noise", "anomaly_map", "loss", "sample_noise"]
