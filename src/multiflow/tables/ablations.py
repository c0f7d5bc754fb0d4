"""The ablation tables: which experiment is a row, and with which settings it is that row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiflow.tables.context import ExperimentContext

__all__ = ["ABLATIONS", "Ablation", "AblationRow"]


@dataclass(frozen=True)
class AblationRow:
    """A row of an ablation table.

    Attributes:
        headings: what the row says of its experiment.
        published: the values of the table's ``keys`` that name the row in the published file.
        settings: attributes of :class:`multiflow.tables.ExperimentContext` and the values with which the
            headings are true.
    """

    headings: tuple[str | bool, ...]
    published: tuple[str, ...]
    settings: Mapping[str, tuple[str, ...]]

    def contradiction(self, experiment: ExperimentContext) -> str | None:
        """The settings, in words, with which an experiment is not this row; None where it is."""
        wrong = [
            f"{setting.replace('_', ' ')} {getattr(experiment, setting)}"
            for setting, allowed in self.settings.items()
            if getattr(experiment, setting) not in allowed
        ]
        return " and ".join(wrong) or None


@dataclass(frozen=True)
class Ablation:
    """A table whose rows are experiments, by name."""

    caption: str
    stub: tuple[str, ...]
    keys: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: Mapping[str, AblationRow]


_FOUR = ("aupro", "pixel_auroc", "sample_auroc", "image_auroc")


def _connections(value: str, *, top: bool, neighbors: bool) -> AblationRow:
    return AblationRow((top, neighbors), (str(top).lower(), str(neighbors).lower()), {"connections": (value,)})


def _fusion(value: str, heading: str) -> AblationRow:
    # Without connections no message is sent, so none is fused.
    settings = {"connections": ("top", "neighbors", "both"), "fusion": (value,)}
    return AblationRow((heading,), (value,), settings)


def _noise(value: str, heading: str) -> AblationRow:
    return AblationRow((heading,), (value,), {"noise": (value,)})


ABLATIONS = {
    "table2": Ablation(
        "Cross-view connections of the flow",
        ("Top view", "Neighbor view"),
        ("top_view", "neighbor_view"),
        ("sample_auroc", "image_auroc"),
        {
            "no_cross_view": _connections("none", top=False, neighbors=False),
            "top_view_only": _connections("top", top=True, neighbors=False),
            "neighbor_view_only": _connections("neighbors", top=False, neighbors=True),
            "multiflow": _connections("both", top=True, neighbors=True),
        },
    ),
    "table3": Ablation(
        "Fusion of the views in the st-networks",
        ("Fusion",),
        ("fusion",),
        _FOUR,
        {
            "self_attention": _fusion("self_attention", "Self-attention"),
            "cross_view_attention": _fusion("cross_view_attention", "Cross-view attention"),
            "multiflow": _fusion("conv2d", "Conv2D"),
        },
    ),
    "table4": Ablation(
        "Noise of the training features",
        ("Noise",),
        ("noise",),
        _FOUR,
        {
            "noise_none": _noise("none", "None"),
            "noise_uniform": _noise("uniform", "Uniform"),
            "noise_softflow": _noise("softflow", "SoftFlow"),
            "multiflow": _noise("simplenet", "SimpleNet"),
        },
    ),
    "background_removal": Ablation(
        "Removal of the background",
        ("Background removed",),
        ("background_removal",),
        _FOUR,
        {
            "with_background": AblationRow((False,), ("false",), {"foreground_method": ("none",)}),
            "multiflow": AblationRow((True,), ("true",), {"foreground_method": ("mvanet", "threshold")}),
        },
    ),
}
"""Tables 2 to 4 and section 4.5.2."""
