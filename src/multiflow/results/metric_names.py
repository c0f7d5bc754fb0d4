"""What metrics are called in print."""

from __future__ import annotations

__all__ = ["METRIC_HEADINGS", "metric_heading"]

METRIC_HEADINGS = {
    "sample_auroc": "Sample-AUROC",
    "image_auroc": "Image-AUROC",
    "pixel_auroc": "Pixel-AUROC",
    "aupro": "AUPRO",
    "image_ap": "Image-AP",
    "image_f1_max": "Image-F1-max",
    "pixel_ap": "Pixel-AP",
    "pixel_f1_max": "Pixel-F1-max",
    "sample_auroc_max": "Sample-AUROC (max)",
    "sample_auroc_mean": "Sample-AUROC (mean)",
    "sample_auroc_top1": "Sample-AUROC (top1)",
}
"""By the metric's name in ``metrics.csv``."""


def metric_heading(metric: str) -> str:
    """A metric's name as printed; one of a single defect type, such as ``sample_auroc:scratch``, names the type."""
    name, _, defect_type = metric.partition(":")
    heading = METRIC_HEADINGS.get(name, name.replace("_", " "))
    return f"{heading}, {defect_type}" if defect_type else heading
