"""The scores file: the seam between a method and its metrics.

Whatever writes this file is a method; metrics, tables and figures read it and know nothing of flows.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from multiflow.errors import InputError
from multiflow.flow_input import FlowInput
from multiflow.metrics import sample_scores
from multiflow.store import atomic_path

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
    """
    test = data.features.split("test")
    count, views = len(test), len(data.features.cameras)
    strings = h5py.string_dtype()
    image_scores = np.empty((count, views), np.float32)
    started = shown = time.monotonic()
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        maps = file.create_dataset(
            "map", (count, views, *data.features.grid), np.float32, chunks=(1, views, *data.features.grid)
        )
        for index in range(count):
            maps[index] = values = anomaly_map(index)
            image_scores[index] = values.max(axis=(1, 2))
            now = time.monotonic()
            if now - shown >= _PROGRESS_SECONDS:
                left = (now - started) / (index + 1) * (count - index - 1)
                logger.info("scored %d of %d samples, %.0f s left", index + 1, count, left)
                shown = now
        file["image_score"] = image_scores
        for name, values in sample_scores(image_scores).items():
            file[f"sample_score_{name}"] = values
        file["label"] = test.labels
        file.create_dataset("sample", data=list(test.samples), dtype=strings)
        file.create_dataset("image", data=np.array(test.images, dtype=object), dtype=strings)
        file.attrs["provenance"] = json.dumps(dict(provenance), sort_keys=True)
    logger.info("scored %d samples in %.1f s", count, time.monotonic() - started)


class ScoreFile:
    """A scores file, opened for reading (see :func:`write_scores` for its content).

    Raises:
        InputError: the file is missing, damaged or not a scores file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._file = h5py.File(self.path, "r")
            self.image_scores: NDArray[np.float32] = self._file["image_score"][()]
            self.labels: NDArray[np.uint8] = self._file["label"][()]
            self.samples: list[str] = list(self._file["sample"].asstr()[()])
            self.images: list[list[str]] = self._file["image"].asstr()[()].tolist()
            self.provenance: dict[str, Any] = json.loads(self._file.attrs["provenance"])
        except (OSError, KeyError, ValueError) as error:
            raise InputError(
                f"{self.path}: expected a scores file, found {error}; delete it and run the workflow again"
            ) from None

    def __enter__(self) -> ScoreFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.samples)

    def map(self, index: int) -> NDArray[np.float32]:
        """Anomaly map [V, h, w] of one sample."""
        values: NDArray[np.float32] = self._file["map"][index]
        return values

    def sample_scores(self, kind: str) -> NDArray[np.float32]:
        """Sample scores [N]: ``max`` or ``mean`` of the views' image scores."""
        values: NDArray[np.float32] = self._file[f"sample_score_{kind}"][()]
        return values

    def range(self) -> tuple[float, float]:
        """Lowest and highest value of all maps, read one sample at a time."""
        lowest, highest = np.inf, -np.inf
        for index in range(len(self)):
            values = self.map(index)
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
        return lowest, highest
