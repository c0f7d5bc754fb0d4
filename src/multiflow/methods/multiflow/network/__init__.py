"""The Multi-Flow network: a normalizing flow over the feature maps of several views."""

from multiflow.methods.multiflow.network.likelihood import anomaly_map, loss
from multiflow.methods.multiflow.network.model import MultiFlow
from multiflow.methods.multiflow.network.noise import add_noise, sample_noise

__all__ = ["MultiFlow", "add_noise", "anomaly_map", "loss", "sample_noise"]
