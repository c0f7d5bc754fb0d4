"""Metrics: image, sample and pixel AUROC, AUPRO, and the table of all measured values."""

from __future__ import annotations

from multiflow.metrics.pixel import PixelMetrics, PixelResult
from multiflow.metrics.quantiles import ScoreQuantiles
from multiflow.metrics.ranking import auroc, sample_labels, sample_scores
from multiflow.metrics.records import COLUMNS, METRICS, collect_metrics, load_metrics
from multiflow.metrics.upsampling import upsample

__all__ = [
    "COLUMNS",
    "METRICS",
    "PixelMetrics",
    "PixelResult",
    "ScoreQuantiles",
    "auroc",
    "collect_metrics",
    "load_metrics",
    "sample_labels",
    "sample_scores",
    "upsample",
]
