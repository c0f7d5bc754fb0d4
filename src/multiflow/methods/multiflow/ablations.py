"""The ablations of the paper: Tables 2 to 4 and the removal of the background (section 4.5.2)."""

from __future__ import annotations

from multiflow.methods.ablation import Ablation, AblationRow

__all__ = ["ABLATIONS"]

_FULL = "multiflow"
_FOUR = ("aupro", "pixel_auroc", "sample_auroc", "image_auroc")


def _connections(value: str, *, top: bool, neighbors: bool) -> AblationRow:
    return AblationRow((top, neighbors), {"connections": (value,)}, (str(top).lower(), str(neighbors).lower()))


def _fusion(value: str, heading: str) -> AblationRow:
    # Without connections no message is sent, so none is fused.
    facts = {"connections": ("top", "neighbors", "both"), "fusion": (value,)}
    return AblationRow((heading,), facts, (value,))


def _noise(value: str, heading: str) -> AblationRow:
    return AblationRow((heading,), {"noise": (value,)}, (value,))


_SEGMENTED = {"foreground": ("mvanet", "threshold")}

ABLATIONS = {
    "table2": Ablation(
        caption="Cross-view connections of the flow",
        place="Table 2",
        stub=("Top view", "Neighbor view"),
        keys=("top_view", "neighbor_view"),
        metrics=("sample_auroc", "image_auroc"),
        rows={
            "no_cross_view": _connections("none", top=False, neighbors=False),
            "top_view_only": _connections("top", top=True, neighbors=False),
            "neighbor_view_only": _connections("neighbors", top=False, neighbors=True),
            _FULL: _connections("both", top=True, neighbors=True),
        },
        reference=_FULL,
        reading="What the messages between the views are worth: none, only from and to the top view, only between "
        "neighbours, both.",
    ),
    "table3": Ablation(
        caption="Fusion of the views in the st-networks",
        place="Table 3",
        stub=("Fusion",),
        keys=("fusion",),
        metrics=_FOUR,
        rows={
            "self_attention": _fusion("self_attention", "Self-attention"),
            "cross_view_attention": _fusion("cross_view_attention", "Cross-view attention"),
            _FULL: _fusion("conv2d", "Conv2D"),
        },
        reference=_FULL,
        reading="How the messages of the other views enter: by attention within a view's own features, by attention "
        "across views, or by a convolution.",
    ),
    "table4": Ablation(
        caption="Noise of the training features",
        place="Table 4",
        stub=("Noise",),
        keys=("noise",),
        metrics=_FOUR,
        rows={
            "noise_none": _noise("none", "None"),
            "noise_uniform": _noise("uniform", "Uniform"),
            "noise_softflow": _noise("softflow", "SoftFlow"),
            _FULL: _noise("simplenet", "SimpleNet"),
        },
        reference=_FULL,
        reading="What noise on the training features is worth. It keeps the flow from fitting them too closely.",
    ),
    "background_removal": Ablation(
        caption="Removal of the background",
        place="Section 4.5.2",
        stub=("Background removed", "Score of the background"),
        keys=("background_removal",),
        metrics=_FOUR,
        rows={
            "with_background": AblationRow((False, "its own"), {"foreground": ("none",)}, ("false",)),
            _FULL: AblationRow((True, "0"), _SEGMENTED | {"background": ("zero",)}, ("true",)),
            "background_ignored": AblationRow((True, "none"), _SEGMENTED | {"background": ("ignored",)}),
        },
        reference=_FULL,
        reading="What it is worth to leave the background out: with and without the foreground masks.",
    ),
}
"""By the name of the table. The last row is not in the paper, whose "ignoring the background completely" can be read so
that the background has no score; the released code gives it 0."""
