"""What each part of the method is worth: an experiment without it, in a table."""

from __future__ import annotations

from multiflow.methods.ablation import Ablation, AblationRow

__all__ = ["ABLATIONS"]

_FULL = "multiscale"
_WHOLE = {
    "detection": ("all",),
    "localization": ("all",),
    "calibration": ("standardize",),
    "connections": ("both",),
    "background": ("ignored",),
}


def _row(heading: str, **changed: str) -> AblationRow:
    return AblationRow((heading,), _WHOLE | {fact: (value,) for fact, value in changed.items()})


ABLATIONS = {
    "multiscale_parts": Ablation(
        caption="Parts of Multi-Scale Multi-Flow",
        place="Multi-scale",
        stub=("Experiment",),
        keys=(),
        metrics=("aupro", "pixel_auroc", "sample_auroc", "image_auroc"),
        rows={
            _FULL: _row("All levels, messages, calibration"),
            "multiscale_finest": _row("Finest level alone", detection="finest", localization="finest"),
            "multiscale_coarsest": _row("Coarsest level alone", detection="coarsest", localization="coarsest"),
            "multiscale_no_messages": _row("No messages between views", connections="none"),
            "multiscale_uncalibrated": _row("Maps added as they are", calibration="none"),
            "multiscale_background_zero": _row("Background scores 0", background="zero"),
        },
        reference=_FULL,
        reading="What each part of the method is worth: the same without it. All but the row without messages share "
        "the models of the first, so that they differ by that part alone.",
    ),
}
"""By the name of the table."""
