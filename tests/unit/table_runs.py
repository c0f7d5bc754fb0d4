"""Runs for the tables, made up: their metrics and their contexts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from multiflow.methods.multiflow import MultiFlowMethod
from multiflow.methods.multiflow.ablations import ABLATIONS
from multiflow.results.published import published_classes, read_published
from multiflow.results.tables import ExperimentContext, TableContext

MULTI_FLOW = MultiFlowMethod.heading
COLLECTION = "real-iad-multi-view"
REAL_IAD = tuple(published_classes(COLLECTION))
PARTS = ("hex_nut", "knob", "odd&%_part")
METRICS = ("sample_auroc", "image_auroc", "pixel_auroc", "aupro")
FURTHER = (
    "image_ap",
    "image_f1_max",
    "pixel_ap",
    "pixel_f1_max",
    "sample_auroc_max",
    "sample_auroc_mean",
    "sample_auroc_top1",
)
DEFECTS = ("crack", "missing_part")
TABLES = (
    *(f"table{number}" for number in range(1, 8)),
    "background_removal",
    "sample_rules",
    "detection_metrics",
    "defect_types",
)
PUBLISHED = TABLES[:8]
"""Tables that the paper has."""
EXPERIMENTS = (
    "multiflow",
    "no_cross_view",
    "top_view_only",
    "neighbor_view_only",
    "self_attention",
    "cross_view_attention",
    "noise_none",
    "noise_uniform",
    "noise_softflow",
    "with_background",
    "background_ignored",
)
CONNECTIONS = {
    "no_cross_view": "none",
    "top_view_only": "top",
    "neighbor_view_only": "neighbors",
}
PROTOCOL = {
    "sample_score": "sample score: maximum over the views",
    "evaluation_size": "pixel metrics at 256 × 256 px, anomalous above grey value 127",
    "foreground": "foreground: threshold, nearest to the feature grid",
    "training": "12 epochs",
    "noise": "no noise",
}
FACTS = {
    "connections": "both",
    "fusion": "conv2d",
    "noise": "simplenet",
    "foreground": "threshold",
    "background": "zero",
}


def measured(
    classes: tuple[str, ...] = PARTS,
    seeds: tuple[int, ...] = (0, 1, 2),
    experiments: tuple[str, ...] = EXPERIMENTS,
) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        (experiment, class_name, seed, metric, random.uniform(0.5, 0.75), "a.json")
        for experiment in experiments
        for class_name in classes
        for seed in seeds
        for metric in (
            *METRICS,
            *FURTHER,
            *(f"{level}_auroc:{name}" for level in ("sample", "image") for name in DEFECTS),
        )
    ]
    return pd.DataFrame(rows, columns=["experiment", "class", "seed", "metric", "value", "source"])


def context(
    classes: tuple[str, ...] = PARTS, seeds: tuple[int, ...] = (0, 1, 2), published: str | None = None
) -> TableContext:
    facts = {
        name: FACTS
        | {
            "connections": CONNECTIONS.get(name, "both"),
            "fusion": name if name.endswith("attention") else "conv2d",
            "noise": name.removeprefix("noise_") if name.startswith("noise_") else "simplenet",
            "foreground": "none" if name == "with_background" else "threshold",
            "background": "ignored" if name == "background_ignored" else "zero",
        }
        for name in EXPERIMENTS
    }
    return TableContext(
        dataset="Real-IAD" if published else "Rendered parts",
        data_protocol="5 views per sample",
        classes=classes,
        methods={"multiflow": MULTI_FLOW},
        experiments={name: ExperimentContext(classes, seeds, MULTI_FLOW, PROTOCOL, own) for name, own in facts.items()},
        ablations=ABLATIONS,
        published=published,
        references={MULTI_FLOW: MultiFlowMethod.reference},
    )


def change(run: TableContext, experiment: str, **facts: str) -> TableContext:
    """The run with other facts of an experiment."""
    known = run.experiments[experiment]
    return replace(run, experiments={**run.experiments, experiment: replace(known, facts=known.facts | facts)})


def as_published(seeds: tuple[int, ...] = (0, 1, 2, 3, 4), spread: float = 1.0) -> pd.DataFrame:
    """Metrics of a run that is the paper's: every seed is drawn around the published mean, with its std.

    The paper gives no segmentation results per class and no ablations per class: there all classes differ
    from the default by the published difference of the averages, and the std is 0.1.

    Args:
        seeds: of all experiments.
        spread: factor of the published std.
    """
    random = np.random.default_rng(0)
    classes: dict[tuple[str, str], tuple[float, float]] = {}
    for table, metric in (("table5", "sample_auroc"), ("table6", "image_auroc")):
        for row in read_published(COLLECTION, table):
            if row["method"] == MULTI_FLOW:
                classes[metric, row["class"]] = float(row["mean"]), float(row["std"])
    average = {
        row["metric"]: float(row["mean"])
        for table in ("table1", "table7")
        for row in read_published(COLLECTION, table)
        if row["method"] == MULTI_FLOW
    }
    changes: dict[tuple[str, str], float] = {}
    for table, layout in ABLATIONS.items():
        printed = {tuple(row[key] for key in layout.keys): row for row in read_published(COLLECTION, table)}
        for experiment, row in layout.rows.items():
            for metric in layout.metrics:
                if row.published is not None and (number := printed[row.published].get(metric)):
                    changes[experiment, metric] = float(number) - average[metric]
    rows = []
    for experiment in EXPERIMENTS:
        for class_name in REAL_IAD:
            for metric in METRICS:
                mean, std = classes.get((metric, class_name), (average[metric], 0.1))
                for seed in seeds:
                    value = mean + changes.get((experiment, metric), 0) + spread * random.normal(0, max(std, 0.004))
                    rows.append((experiment, class_name, seed, metric, min(value / 100, 1.0), "a.json"))
    return pd.DataFrame(rows, columns=["experiment", "class", "seed", "metric", "value", "source"])
