"""The settings in words, as footnotes of tables print them, and the facts on which ablation rows depend."""

from __future__ import annotations

from multiflow.methods.multiflow.description import describe as describe_flow
from multiflow.methods.multiflow.description import effective_connections
from multiflow.methods.multiflow.settings import Settings as FlowSettings
from multiflow.methods.multiscale.settings import Settings

__all__ = ["describe", "facts"]


def describe(settings: Settings, views: int) -> dict[str, str]:
    """A phrase per part: those of each level's flow, and how the levels' maps are added."""
    flow = FlowSettings(network=settings.network, training=settings.training)
    seen = [
        f"{name}{f' ({level.channels} components)' if level.channels else ''}"
        for name, level in settings.levels.items()
    ]
    return {**describe_flow(flow, views), "levels": f"levels: {', '.join(seen)}", "maps": _maps(settings)}


def facts(settings: Settings, views: int) -> dict[str, str]:
    """Values on which it depends whether an experiment is an ablation's row."""
    return {
        "detection": _used(settings, settings.detection),
        "localization": _used(settings, settings.localization),
        "calibration": settings.calibration,
        "connections": effective_connections(settings.network.connections, views),
    }


def _maps(settings: Settings) -> str:
    calibrated = "standardized" if settings.calibration == "standardize" else "as they are"
    words = f"maps {calibrated}, on a grid of {settings.map_size} × {settings.map_size}"
    if settings.detection != settings.localization:
        words += (
            f", detection by {' and '.join(settings.detection)}, localization by {' and '.join(settings.localization)}"
        )
    return words


def _used(settings: Settings, names: tuple[str, ...]) -> str:
    """Which levels serve a purpose: ``all``, ``finest``, ``coarsest``, or their names."""
    levels = tuple(settings.levels)
    known = {levels: "all", levels[:1]: "finest", levels[-1:]: "coarsest"}
    return "all" if names == levels else known.get(names, " and ".join(names))
