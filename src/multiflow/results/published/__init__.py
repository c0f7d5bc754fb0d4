"""Published figures as data: the tables of the Multi-Flow paper.

Percent, transcribed from Kruse & Rosenhahn 2025 (arXiv 2504.03306), Tables 1 to 7 and section 4.5.2; a std
is over five runs. The baselines' numbers are those of the Real-IAD paper as printed there and carry no std;
their pixel AUROC was not published. ``class`` is the folder name in Real-IAD, ``class_name`` the printed one
(``Vcpill`` is misspelt once in the paper).
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

__all__ = ["PAPER", "PUBLISHED_RUNS", "has_published", "published_classes", "read_published"]

PAPER = "Kruse & Rosenhahn 2025, arXiv 2504.03306"

PUBLISHED_RUNS = 5
"""Runs behind a published mean with a std."""

_FILES = {
    "real-iad-multi-view": {
        "table1": "table1_average_detection.csv",
        "table2": "table2_cross_view_connections.csv",
        "table3": "table3_fusion.csv",
        "table4": "table4_noise.csv",
        "table5": "table5_sample_auroc.csv",
        "table6": "table6_image_auroc.csv",
        "table7": "table7_average_segmentation.csv",
        "background_removal": "section_4_5_2_background_removal.csv",
    }
}


def has_published(collection: str | None, table: str) -> bool:
    """Whether there are published numbers of a table."""
    return table in _FILES.get(collection or "", {})


@cache
def read_published(collection: str, table: str) -> tuple[dict[str, str], ...]:
    """Rows of a published table, every value as printed.

    Args:
        collection: ``real-iad-multi-view``, the one there is.
        table: ``table1`` to ``table7`` or ``background_removal``.

    Raises:
        ValueError: there is no such collection or table.
    """
    try:
        name = _FILES[collection][table]
    except KeyError:
        known = ", ".join(f"{group}: {' '.join(names)}" for group, names in _FILES.items())
        raise ValueError(f"no published {table} of {collection}; there are {known}") from None
    text = (files(__name__) / name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def published_classes(collection: str) -> dict[str, str]:
    """Classes of a published data set: folder name to printed name, in the paper's order."""
    rows = read_published(collection, "table5")
    return {row["class"]: row["class_name"] for row in rows if row["class"] != "average"}
