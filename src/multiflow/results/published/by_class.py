"""Published figures by class, of data sets that several sources have figures of.

``by_class.csv`` says which: a row is a method's column in the tables of a collection, with its file, the encoder whose
rows of the file it takes (empty: all rows), and where its figures are printed and how they came about. In a file a row
is a class, or the average as printed, and a column a metric.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

__all__ = ["by_class_tables"]

_METRICS = {"image_auroc": "image_auroc", "pixel_auroc": "pixel_auroc", "pixel_ap": "pixel_aupr", "aupro": "aupro"}
"""Metrics of the benchmark and the columns of the files."""

Rows = list[dict[str, str]]


@cache
def by_class_tables() -> dict[str, dict[str, Rows]]:
    """Tables by collection and name: ``averages``, and ``<metric>_by_class`` of each metric.

    The rows have ``method``, ``mean`` and ``std`` as printed, ``source``, and ``class`` or ``metric``.
    """
    collections: dict[str, dict[str, Rows]] = {}
    for column in _read("by_class.csv"):
        tables = collections.setdefault(
            column["collection"], {"averages": [], **{f"{metric}_by_class": [] for metric in _METRICS}}
        )
        common = {"method": column["method"], "source": column["source"], "std": ""}
        for row in _read(column["file"]):
            if row.get("encoder", "") != column["encoder"]:
                continue
            for metric, name in _METRICS.items():
                cell = common | {"mean": row.get(name, "")}
                if cell["mean"]:  # a method without any number has no column there
                    tables[f"{metric}_by_class"].append(cell | {"class": row["class"]})
                if row["class"] == "average":
                    tables["averages"].append(cell | {"metric": metric})
    return collections


def _read(name: str) -> Rows:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
