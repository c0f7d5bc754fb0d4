"""The ablation of the source: what the classifier and the encoder that it has tuned are worth."""

from __future__ import annotations

from multiflow.methods.ablation import Ablation, AblationRow

__all__ = ["ABLATIONS"]

_JOINT = "clscnf"


def _row(score: str, encoder: tuple[str, ...], headings: tuple[str, str]) -> AblationRow:
    return AblationRow(headings, {"score": (score,), "flows_on": encoder})


ABLATIONS = {
    "clscnf_parts": Ablation(
        caption="Classifier and flows of AD-CLSCNFs, alone and together",
        place="AD-CLSCNFs",
        stub=("Score", "Encoder of the flows"),
        keys=("score", "encoder"),
        metrics=("image_auroc", "pixel_auroc", "pixel_ap", "aupro"),
        rows={
            "clscnf_flows": _row("flows", ("pretrained",), ("Flows", "pretrained")),
            "clscnf_classifier": _row("classifier", ("tuned", "pretrained"), ("Classifier", "none")),
            "clscnf_separate": _row("joint", ("pretrained",), ("Flows and classifier", "pretrained")),
            _JOINT: _row("joint", ("tuned",), ("Flows and classifier", "tuned by the classifier")),
        },
        reference=_JOINT,
        reading="What the parts of AD-CLSCNFs are worth: its flows on the encoder as it was pretrained, the classifier "
        "of synthetic defects, both without and with the encoder that the classifier has tuned.",
    ),
}
"""By the name of the table. Its rows share two trainings: one on each encoder of the flows."""
