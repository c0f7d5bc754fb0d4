"""Published figures as data: the tables of the Multi-Flow paper, and figures by class of further data sets.

Percent. The collection ``real-iad-multi-view`` was transcribed from Kruse & Rosenhahn 2025 (arXiv 2504.03306), Tables 1
to 7 and section 4.5.2; a std is over five runs. The baselines' numbers are those of the Real-IAD paper as printed there
and carry no std; their pixel AUROC was not published. ``class`` is the folder name in Real-IAD, ``class_name`` the
printed one (``Vcpill`` is misspelt once in the paper). The other collections are those of
:mod:`multiflow.results.published.by_class`.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from multiflow.results.published.by_class import by_class_tables

__all__ = [
    "PAPER",
    "PUBLISHED_RUNS",
    "has_published",
    "published_by_class",
    "published_classes",
    "published_methods",
    "published_protocol",
    "published_source",
    "read_published",
]

PAPER = "Kruse & Rosenhahn 2025, arXiv 2504.03306"

PUBLISHED_RUNS = 5
"""Runs behind a published mean with a std."""

_LAYOUTS = {"mvtec-ad": "mvtec", "btad": "btad"}
"""Of the collections by class, the layout of the data set that their figures are of."""

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
    return table in _FILES.get(collection or "", {}) or table in by_class_tables().get(collection or "", {})


@cache
def read_published(collection: str, table: str) -> tuple[dict[str, str], ...]:
    """Rows of a published table, every value as printed.

    Args:
        collection: ``real-iad-multi-view``, or one of :func:`by_class_tables`.
        table: of ``real-iad-multi-view`` ``table1`` to ``table7`` or ``background_removal``.

    Raises:
        ValueError: there is no such collection or table.
    """
    by_class = by_class_tables()
    if table in by_class.get(collection, {}):
        return tuple(by_class[collection][table])
    try:
        name = _FILES[collection][table]
    except KeyError:
        known = ", ".join(f"{group}: {' '.join(names)}" for group, names in (_FILES | by_class).items())
        raise ValueError(f"no published {table} of {collection}; there are {known}") from None
    text = (files(__name__) / name).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def published_classes(collection: str) -> dict[str, str]:
    """Classes of a published data set: folder name to printed name, in the paper's order."""
    table = "table5" if has_published(collection, "table5") else "image_auroc_by_class"
    return {
        row["class"]: row.get("class_name", row["class"].replace("_", " "))
        for row in read_published(collection, table)
        if row["class"] != "average"
    }


def published_methods(collection: str) -> tuple[str, ...]:
    """Methods that have a column in a collection's tables, as printed, in that order."""
    table = "table1" if has_published(collection, "table1") else "averages"
    return tuple(dict.fromkeys(row["method"] for row in read_published(collection, table)))


def published_by_class(collection: str) -> bool:
    """Whether a collection's figures are those of several sources, which :mod:`by_class` reads."""
    return collection in by_class_tables()


def published_protocol(collection: str) -> dict[str, str]:
    """What the ``dataset`` block must say for a collection's numbers to stand beside, by its keys."""
    if not published_by_class(collection):
        return {"layout": "real_iad", "annotations": "realiad_jsons", "cameras": "C1, C2, C3, C4, C5"}
    return {"layout": _LAYOUTS[collection], "cameras": "C1"}


def published_source(collection: str, table: str) -> str:
    """Where a table's numbers were printed and how they came about, in words; for all tables of the paper alike."""
    if not published_by_class(collection):
        return f"{PAPER}; a std is over {PUBLISHED_RUNS} runs"
    sources = {row["method"]: row["source"] for row in read_published(collection, table)}
    return "; ".join(f"{method}: {source}" for method, source in sources.items())
