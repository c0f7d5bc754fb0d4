"""Which tables a run has, what they show, and which of its runs they need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from multiflow.base.errors import InputError
from multiflow.methods.ablation import Ablation
from multiflow.results.published import has_published
from multiflow.results.tables.context import TableContext, ablations_of, table_context

if TYPE_CHECKING:
    from multiflow.config import Config

__all__ = [
    "DEFECT_TYPES",
    "METHOD_TABLES",
    "MethodTable",
    "main_table",
    "method_tables",
    "table_caption",
    "table_experiments",
    "table_place",
    "table_reading",
    "table_runs",
    "tables_of",
]


class MethodTable(NamedTuple):
    """A table with a column, or a few, per method.

    Attributes:
        place: where in the paper it stands, or what it is.
        caption: what it shows.
        metrics: a row each, or, with a row per class, the one that is shown.
        reading: how to read it, a sentence or two above it in the report, in reStructuredText.
        by_class: whether it has a row per class.
        stub: heading of the rows.
        headings: of the rows, where they are not the metrics' names.
    """

    place: str
    caption: str
    metrics: tuple[str, ...]
    reading: str
    by_class: bool = False
    stub: str = "Metric"
    headings: tuple[str, ...] = ()


METHOD_TABLES = {
    "table1": MethodTable(
        "Table 1",
        "Average detection results",
        ("sample_auroc", "image_auroc"),
        "How well defective parts are told from good ones: by part (Sample-AUROC: one decision for all its views) and "
        "by picture (Image-AUROC), averaged over the classes.",
    ),
    "table5": MethodTable(
        "Table 5",
        "Sample-wise detection results per class",
        ("sample_auroc",),
        "How well defective parts are told from good ones, class by class; one decision for all views of a part.",
        by_class=True,
    ),
    "table6": MethodTable(
        "Table 6",
        "Image-wise detection results per class",
        ("image_auroc",),
        "How well defective pictures are told from good ones, class by class; each view counts alone.",
        by_class=True,
    ),
    "table7": MethodTable(
        "Table 7",
        "Average segmentation results",
        ("aupro", "pixel_auroc"),
        "How well defects are located: AUPRO is the mean overlap with the defects while few good pixels are marked, "
        "Pixel-AUROC counts all pixels alike.",
    ),
    "averages": MethodTable(
        "Averages",
        "Average results",
        ("image_auroc", "pixel_auroc", "pixel_ap", "aupro"),
        "How well defective pictures are told from good ones (Image-AUROC), and how well defects are located, averaged "
        "over the classes; Pixel-AP is also called AUPR.",
    ),
    "image_auroc_by_class": MethodTable(
        "By class",
        "Detection results per class",
        ("image_auroc",),
        "How well defective pictures are told from good ones, class by class.",
        by_class=True,
    ),
    "pixel_auroc_by_class": MethodTable(
        "By class",
        "Segmentation results per class",
        ("pixel_auroc",),
        "How well defects are located, class by class; all pixels count alike.",
        by_class=True,
    ),
    "pixel_ap_by_class": MethodTable(
        "By class",
        "Precision of the segmentation per class",
        ("pixel_ap",),
        "How precisely defects are located, class by class; average precision, also called AUPR, depends on how "
        "frequent defective pixels are.",
        by_class=True,
    ),
    "aupro_by_class": MethodTable(
        "By class",
        "Overlap of the segmentation per class",
        ("aupro",),
        "The mean overlap with the defects while few good pixels are marked, class by class.",
        by_class=True,
    ),
    "sample_rules": MethodTable(
        "Sample scores",
        "Sample-AUROC by the rule that makes a sample's score, averages",
        ("sample_auroc_max", "sample_auroc_mean", "sample_auroc_top1"),
        "How much hangs on the rule that makes one score of a part's views. The same anomaly maps are behind all rows.",
        stub="Score of a sample",
        headings=("Maximum over the views", "Mean over the views' maxima", "Mean of the highest 1 % of all pixels"),
    ),
    "detection_metrics": MethodTable(
        "Further metrics",
        "Average precision and maximal F1 beside the AUROCs, averages",
        ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro"),
        "The metrics of other benchmarks. AP and F1-max depend on how frequent defects are, so only numbers on the "
        "same test set can be compared by them; F1-max is that of the best threshold.",
    ),
}
"""By the name of the table; a run has those of :func:`method_tables`."""

DEFECT_TYPES = "defect_types"
"""The table with a row per defect type."""

_DEFECT_TYPES = MethodTable(
    "Defect types",
    "Detection results per defect type, averages over the classes that have it",
    ("sample_auroc", "image_auroc"),
    "Which kinds of defects are found: the parts (pictures) with one kind of defect against all good ones.",
)

_AS_PUBLISHED = (
    ("table1", "table5", "table6", "table7"),
    ("averages", "image_auroc_by_class", "pixel_auroc_by_class", "pixel_ap_by_class", "aupro_by_class"),
)
"""Tables as collections of published numbers have them: a run has those of its own collection, or else the first."""


def method_tables(published: str | None) -> dict[str, MethodTable]:
    """The tables with columns of methods that a run has, by name.

    Args:
        published: collection of published numbers, if any stand beside the run's.
    """
    chosen = next((names for names in _AS_PUBLISHED if has_published(published, names[0])), _AS_PUBLISHED[0])
    others = {name for names in _AS_PUBLISHED if names != chosen for name in names}
    return {name: layout for name, layout in METHOD_TABLES.items() if name not in others}


_OTHER_FILES = (
    *("ablation_tests", "auroc_intervals", "class_ranks", "comparison"),
    *("costs", "method_ranks", "method_tests", "runs"),
)
"""Tables with rules of their own: files of the same folder."""


def main_table(context: TableContext) -> str:
    """The table of averages that a summary shows."""
    return next(iter(method_tables(context.published)))


def tables_of(config: Config) -> list[str]:
    """Names of a run's tables: the numbered ones first.

    Raises:
        InputError: two methods have an ablation table of one name, or a method one of a name that is taken or that
            files cannot have.
    """
    own, ablations = [*method_tables(config.dataset.published), DEFECT_TYPES], ablations_of(config)
    if wrong := [name for name in ablations if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name)]:
        raise InputError(
            f"methods: expected ablation tables with names of letters, digits, _ and -, found {wrong[0]!r}; rename it"
        )
    if taken := [name for name in ablations if name in own or name in _OTHER_FILES]:
        raise InputError(f"methods: an ablation table has the name {taken[0]}, which is taken; rename it")
    names = [*ablations, *own]
    numbered = [name for name in names if name.removeprefix("table").isdigit()]
    numbered.sort(key=lambda name: int(name.removeprefix("table")))
    return [*numbered, *(name for name in names if name not in numbered)]


def table_caption(name: str, run: Config | TableContext) -> str:
    """What a table shows.

    Raises:
        ValueError: the run has no such table.
    """
    return _layout(name, run).caption


def table_place(name: str, run: Config | TableContext) -> str:
    """Where in the paper a table stands, or what it is.

    Raises:
        ValueError: the run has no such table.
    """
    return _layout(name, run).place


def table_reading(name: str, run: Config | TableContext) -> str:
    """How to read a table, in reStructuredText; empty where nobody says it.

    Raises:
        ValueError: the run has no such table.
    """
    return _layout(name, run).reading


def _layout(name: str, run: Config | TableContext) -> MethodTable | Ablation:
    if name == DEFECT_TYPES:
        return _DEFECT_TYPES
    if name in METHOD_TABLES:
        return METHOD_TABLES[name]
    ablations = run.ablations if isinstance(run, TableContext) else ablations_of(run)
    if name not in ablations:
        raise ValueError(f"there is no {name}; the tables are {', '.join([*METHOD_TABLES, DEFECT_TYPES, *ablations])}")
    return ablations[name]


def table_experiments(name: str, context: TableContext) -> list[str]:
    """The experiments that a table shows, in the order of the configuration.

    An experiment that is not the row of an ablation table that bears its name is not shown there.

    Args:
        name: a table; ``ablation_tests`` for all ablation tables, ``comparison`` for all that have published numbers.
        context: the run.

    Raises:
        ValueError: the run has no such table.
    """
    if name == "ablation_tests":
        tables = list(context.ablations)
    elif name == "comparison":
        tables = [main_table(context), *context.ablations] if context.published is not None else []
    else:
        tables = [name]
    shown: set[str] = set()
    for table in tables:
        layout = _layout(table, context)
        if isinstance(layout, Ablation):
            shown |= set(layout.rows) - set(context.contradictions(table))
        else:
            shown |= set(context.methods)
    return [experiment for experiment in context.experiments if experiment in shown]


def table_runs(name: str, config: Config) -> list[tuple[str, str, int]]:
    """The runs that a table shows: experiment, class and seed, in the order of the configuration.

    Args:
        name: as in :func:`table_experiments`.
        config: the run.

    Raises:
        ValueError: the run has no such table.
    """
    return [
        (experiment, class_name, seed)
        for experiment in table_experiments(name, table_context(config))
        for class_name in config.classes_of(experiment)
        for seed in config.seeds_of(experiment)
    ]
