"""Sizes and names in the small files of the stations that the fixtures of `conftest.py` write."""

from __future__ import annotations

__all__ = ["CAMERAS", "CHANNELS", "GRID", "PICTURES", "SEGMENTATION", "TRUTH"]

CAMERAS = ["C1", "C2", "C3"]
CHANNELS, GRID, TRUTH, SEGMENTATION = 6, (4, 4), 16, 64
PICTURES = "0" * 64
