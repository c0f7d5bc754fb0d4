"""The `evaluation` block."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from multiflow.base.settings import Block

__all__ = ["Evaluation"]


class Evaluation(Block):
    """How maps become scores and scores become metrics (paper section 4.2)."""

    sample_score: Literal["max", "mean", "top1"] = Field(
        "max",
        description="Sample score: `max` of the views' image scores in the paper, their `mean` in the released code, "
        "or `top1`, the mean of the highest 1 % of all views' pixels. All three are computed; this one is printed as "
        "Sample-AUROC. Fidelity 29.",
    )
    select: Literal["last", "best_on_test"] = Field(
        "last",
        description="The `last` epoch counts. `best_on_test`: for each metric by itself, the best of all evaluations "
        "during the training, chosen on the test set, as some released codes do. The method must keep models of "
        "earlier stages, and all of them are stored and scored. The runs' JSON says which one was chosen, footnotes "
        "that it was; figures and inspection show the last.",
    )
    ground_truth_size: int = Field(
        256,
        ge=8,
        le=4096,
        description="Side of the ground truth, px; pixel metrics are computed at this size. The same for all "
        "experiments.",
    )
    ground_truth_threshold: int = Field(
        127,
        ge=0,
        le=254,
        description="A ground-truth pixel counts as anomalous above this grey value: 127 as in Real-IAD; the "
        "released code counts only 255, which is 254 here. Fidelity 23.",
    )
    counter: Literal["strips", "adeval"] = Field(
        "strips",
        description="What counts the pixels: `strips` counts as ADEval does, four times as fast, or `adeval` itself. "
        "Fidelity 33.",
    )
    strips: int = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description="Strips that scores are counted in. Between two thresholds lie equally many scores, fewer among "
        "the highest 3 %, which decide AP and F1 of rare defects. Fidelity 31.",
    )
    false_positive_limit: float = Field(
        0.3, gt=0, le=1, description="AUPRO is integrated up to this false-positive rate."
    )
    aupro: Literal["exact", "linear"] = Field(
        "exact",
        description="How AUPRO is counted: `exact`, at the thresholds of all strips, or `linear`, as some released "
        "codes do: at 1,000 thresholds evenly between the lowest and the highest score, a hole of a region counting "
        "as found, and the false-positive rates below the limit stretched to the whole of it; what this brings above "
        "1 is printed as 1.",
    )
