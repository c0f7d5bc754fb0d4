"""Metrics of a scores file, a file a concept: ranking (image and sample), pixel, and counting, which calls the others.

Nothing is imported here: the configuration reads ``multiflow.metrics.settings`` at every start.
"""

from __future__ import annotations

__all__ = ["CONFIDENCE"]

CONFIDENCE = 0.95
"""Level of all confidence intervals."""
