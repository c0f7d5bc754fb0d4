"""What there is to doubt about a class as a whole, whatever its data set's layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from multiflow.datasets.contract import Findings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["doubt_class"]

_SQUARE = 0.05  # by how much a ratio of width to height may differ from 1


def doubt_class(frame: pd.DataFrame, source: Path, findings: Findings) -> None:
    """Doubt pictures that are there twice under whatever name, anomalous training views, and turned pictures.

    Args:
        frame: the class's samples table.
        source: the file or folder that describes the class.
        findings: take the doubts.
    """
    train, test = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    trained = dict(zip(train["sha256"], train["image"], strict=True))
    for image, sha256 in zip(test["image"], test["sha256"], strict=True):
        if (copy := trained.get(sha256)) is not None:
            where = image if copy == image else f"{image}, {copy}"
            findings.doubt(f"{source}: {where}", "the picture is in both train and test")
    for _, copies in test.groupby("sha256", sort=False):
        if len(copies) > 1:
            findings.doubt(f"{source}: {', '.join(copies['image'])}", "a picture is in the test set more than once")
    for image in train[train["label"] == 1]["image"]:
        findings.doubt(f"{source}: {image}", "an anomalous view is trained on")
    for camera, views in frame.groupby("camera", sort=False):
        ratio = views["width"] / views["height"]
        wide, tall = int((ratio > 1 + _SQUARE).sum()), int((ratio < 1 - _SQUARE).sum())
        if wide and tall:
            findings.doubt(
                f"{source}: {wide} wide and {tall} tall pictures of {camera}",
                "a camera's pictures are both wide and tall, as where some are turned; all become squares",
            )
