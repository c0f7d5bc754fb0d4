"""The scores file: the seam between a method and its metrics.

Whatever writes this file is a method; metrics, tables and figures read it and know nothing of flows.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multiflow.errors import InputError
from multiflow.metrics import sample_scores
from multiflow.store import Hdf5File, create_hdf5, write_strings

if TYPE_CHECKING:
    from multiflow.flow_input import FlowInput  # figures read scores and need no torch

__all__ = ["ScoreFile", "write_scores"]

logger = logging.getLogger(__name__)

_PROGRESS_SECONDS = 5.0


def write_scores(
    path: Path,
    data: FlowInput,
    anomaly_map: Callable[[int], NDArray[np.float32]],
    provenance: Mapping[str, Any],
) -> None:
    """Score every test sample of a class, one after another, and store the result.

    The file holds, for N samples of V views: ``map`` [N, V, h, w] float32 at feature resolution (higher is
    more anomalous), ``image_score`` [N, V] (the map's maximum, paper section 3.5), ``sample_score_max`` and
    ``sample_score_mean`` [N], ``label`` [N, V], ``sample`` [N] and ``image`` [N, V].

    Args:
        path: the scores file.
        data: the class's features.
        anomaly_map: gives the map [V, h, w] of the test sample with this index.
        provenance: what the scores came from; stored as JSON.

    Raises:
        InputError: a map is not finite.
    """
    test = data.features.split("test")
    count, views = len(test), len(data.features.cameras)
    image_scores = np.empty((count, views), np.float32)
    started = shown = time.monotonic()
    attributes = {"provenance": json.dumps(dict(provenance), sort_keys=True)}
    with create_hdf5(path, "scores", attributes) as file:
        maps = file.create_dataset(
            "map", (count, views, *data.features.grid), np.float32, chunks=(1, views, *data.features.grid)
        )
        for index in range(count):
            maps[index] = values = anomaly_map(index)
            if not np.isfinite(values).all():
                raise InputError(
                    f"{data.features.path}: test: sample of {test.images[index][0]}: expected finite anomaly maps, "
                    "found infinite or NaN values; if a flow made them, its training has diverged: lower "
                    "training.learning_rate or set features.scaling, and train it again"
                )
            image_scores[index] = values.max(axis=(1, 2))
            now = time.monotonic()
            if now - shown >= _PROGRESS_SECONDS:
                left = (now - started) / (index + 1) * (count - index - 1)
                logger.info("scored %d of %d samples, %.0f s left", index + 1, count, left)
                shown = now
        file["image_score"] = image_scores
        for name, sample_score in sample_scores(image_scores).items():
            file[f"sample_score_{name}"] = sample_score
        file["label"] = test.labels
        write_strings(file, "sample", test.samples)
        write_strings(file, "image", test.images)
    logger.info("scored %d samples in %.1f s", count, time.monotonic() - started)


class ScoreFile(Hdf5File):
    """The scores of one experiment, class and seed (see :func:`write_scores` for the content).

    Args:
        path: the file.

    Raises:
        InputError: at the first use, the file is missing, damaged or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "scores")

    def __len__(self) -> int:
        return self.shape("sample")[0]

    @property
    def samples(self) -> list[str]:
        """Sample keys [N]."""
        values: list[str] = self.array("sample").tolist()
        return values

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Labels of the views [N, V]: 1 is anomalous."""
        return self.array("label")

    @property
    def image_scores(self) -> NDArray[np.float32]:
        """Image scores [N, V]."""
        return self.array("image_score")

    def sample_scores(self, kind: str) -> NDArray[np.float64]:
        """Sample scores [N]: ``max`` or ``mean`` of the views' image scores."""
        return self.array(f"sample_score_{kind}")

    def map(self, index: int) -> NDArray[np.float32]:
        """Anomaly map [V, h, w] of one sample."""
        return self.array("map", index)
