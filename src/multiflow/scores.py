"""The scores file: the seam between a method and its metrics.

Whatever writes this file is a method; metrics, tables and figures read it and know nothing of methods.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from multiflow.base.errors import InputError
from multiflow.base.hdf5 import Hdf5File, create_hdf5, write_strings
from multiflow.base.progress import Progress
from multiflow.methods.contract import Scores

__all__ = ["ScoreFile", "checked_scores", "write_scores"]

logger = logging.getLogger(__name__)

Shape = tuple[int, ...]


def write_scores(
    path: Path,
    samples: Sequence[str],
    views: int,
    score: Callable[[int], Scores],
    provenance: Mapping[str, Any],
    place: str,
    earlier: Iterable[tuple[str, Callable[[int], Scores]]] = (),
) -> None:
    """Score every test sample of a class, one after another, and store the result.

    The file holds, for N samples of V views: ``map`` [N, V, h, w] float32 (higher is more anomalous), ``image_score``
    [N, V] float32, ``sample`` [N], and, where a sample has a foreground, ``foreground`` [N, V, h, w] bool. Where a
    method gives no image score it is the map's maximum, inside the foreground (paper section 3.5). ``stage`` names the
    earlier stages of the training that were scored as well, if any; each has a group with the same data sets. The
    attribute ``content_sha256`` is that of all scores and their provenance.

    Args:
        path: the scores file.
        samples: keys of the test samples.
        views: of a sample.
        score: gives the scores of the sample with this index.
        provenance: what the scores came from; stored as JSON.
        place: which method gives the scores, as errors name it.
        earlier: names of earlier stages of the training, and what gives their scores; one is asked for after another.

    Raises:
        InputError: scores are not what :class:`multiflow.methods.contract.Scores` describes, or the maps of two samples
            differ in size.
    """
    origin = json.dumps(dict(provenance), sort_keys=True)
    content = hashlib.sha256(origin.encode())
    with create_hdf5(path, "scores", {"provenance": origin}) as file:
        _write(file, samples, views, score, place, content)
        write_strings(file, "sample", list(samples))
        stages: list[str] = []
        for name, score_earlier in earlier:
            _write(file.create_group(_group(len(stages))), samples, views, score_earlier, f"{place}: {name}", content)
            stages.append(name)
        if stages:
            write_strings(file, "stage", stages)
        file.attrs["content_sha256"] = content.hexdigest()


def _write(
    group: h5py.Group,
    samples: Sequence[str],
    views: int,
    score: Callable[[int], Scores],
    place: str,
    content: hashlib._Hash,
) -> None:
    """The scores of one model, of which ``content`` becomes the checksum."""
    image_scores = np.empty((len(samples), views), np.float32)
    shape: Shape | None = None
    progress = Progress(logger, "scored", len(samples), "samples", per_step=views)
    for index, key in enumerate(samples):
        found = checked_scores(score(index), views, shape, f"{place}: sample {key}")
        if shape is None:
            shape = found.map.shape
            _create(group, "map", len(samples), shape, np.float32)
        group["map"][index] = found.map
        image_scores[index] = found.image_score
        content.update(found.map.tobytes())
        content.update(np.asarray(found.image_score).tobytes())
        if found.foreground is not None:
            if "foreground" not in group:
                # Samples without a foreground are foreground as a whole.
                _create(group, "foreground", len(samples), shape, np.bool_, fillvalue=True, compression="gzip")
            group["foreground"][index] = found.foreground
            content.update(found.foreground.tobytes())
        progress.step()
    group["image_score"] = image_scores


class ScoreFile(Hdf5File):
    """The scores of one experiment, class and seed (see :func:`write_scores` for the content).

    Args:
        path: the file.
        stage: one of the :attr:`stages` before the last; by default the scores are those of the training's end.

    Raises:
        InputError: at the first use, the file is missing, damaged or of another kind.
    """

    def __init__(self, path: str | Path, stage: int | None = None) -> None:
        super().__init__(path, "scores")
        self._place = "" if stage is None else f"{_group(stage)}/"

    def __len__(self) -> int:
        return self.shape("sample")[0]

    @property
    def samples(self) -> list[str]:
        """Sample keys [N]."""
        values: list[str] = self.array("sample").tolist()
        return values

    @property
    def image_scores(self) -> NDArray[np.float32]:
        """Image scores [N, V]."""
        return self.array(f"{self._place}image_score")

    @property
    def stages(self) -> list[str]:
        """Names of the training's stages before the last that the file has scores of."""
        with self.guard():
            if "stage" not in self.file:
                return []
        names: list[str] = self.array("stage").tolist()
        return names

    @property
    def provenance(self) -> dict[str, Any]:
        """What the scores came from."""
        values: dict[str, Any] = json.loads(self.attribute("provenance"))
        return values

    def map(self, index: int) -> NDArray[np.float32]:
        """Anomaly map [V, h, w] of one sample."""
        return self.array(f"{self._place}map", index)

    def foreground(self, index: int) -> NDArray[np.bool_] | None:
        """Where one sample has a score [V, h, w]; None where no sample of the file has a foreground."""
        with self.guard():
            if f"{self._place}foreground" not in self.file:
                return None
        return self.array(f"{self._place}foreground", index)


def _group(stage: int) -> str:
    """Where the scores of an earlier stage are."""
    return f"stage{stage}"


def _create(file: h5py.Group, name: str, samples: int, shape: Shape, dtype: Any, **options: Any) -> None:
    """A data set of which a chunk is one sample."""
    file.create_dataset(name, (samples, *shape), dtype, chunks=(1, *shape), **options)


def checked_scores(scores: Any, views: int, shape: Shape | None, place: str) -> Scores:
    """The scores of a sample as they are stored, with an image score.

    Args:
        scores: as the method gave them.
        views: of a sample.
        shape: of the maps of the samples before; None where this is the first.
        place: which method and sample, for the error.

    Raises:
        InputError: they are not what :class:`multiflow.methods.contract.Scores` describes.
    """

    def wrong(expected: str, found: str, remedy: str = "correct the method's scorer") -> InputError:
        return InputError(f"{place}: expected {expected}, found {found}; {remedy}")

    def array(name: str, value: Any, expected: Shape, kind: type[np.generic]) -> NDArray[Any]:
        words = "booleans" if kind is np.bool_ else "floating-point numbers"
        if not isinstance(value, np.ndarray):
            raise wrong(f"{name} as an array of NumPy", f"an object of type {type(value).__name__}")
        if value.shape != expected:
            raise wrong(f"{name} of the shape {list(expected)}", str(list(value.shape)))
        if not np.issubdtype(value.dtype, kind):
            raise wrong(f"{name} of {words}", str(value.dtype))
        return value

    if not isinstance(scores, Scores):
        raise wrong("Scores as multiflow.methods.contract describes them", f"an object of type {type(scores).__name__}")
    found: list[int] = list(getattr(scores.map, "shape", ()))
    if isinstance(scores.map, np.ndarray) and (len(found) != 3 or found[0] != views or 0 in found):
        raise wrong(f"an anomaly map [views, rows, columns] of {views} views", f"the shape {found}")
    anomaly_map = array("an anomaly map", scores.map, tuple(found) if shape is None else shape, np.floating)
    image_score, foreground = scores.image_score, scores.foreground
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused below
        anomaly_map = anomaly_map.astype(np.float32)
        if image_score is not None:
            image_score = array("image scores", image_score, (views,), np.floating).astype(np.float32)
    for name, values in (("anomaly maps", anomaly_map), ("image scores", image_score)):
        if values is not None and not np.isfinite(values).all():
            raise wrong(
                f"finite {name}",
                "infinite or NaN values",
                "if the training has diverged, lower its learning rate or scale its inputs, and train again",
            )
    if foreground is not None:
        foreground = array("a foreground", foreground, anomaly_map.shape, np.bool_)
        if not foreground.any(axis=(1, 2)).all():
            empty = int(np.flatnonzero(~foreground.any(axis=(1, 2)))[0])
            raise wrong(
                "a foreground with at least one pixel in every view",
                f"none in view {empty} (counted from 0)",
                "give the whole view as foreground where it is empty",
            )
    if image_score is None:
        inside = anomaly_map if foreground is None else np.where(foreground, anomaly_map, -np.inf)
        image_score = inside.max(axis=(1, 2)).astype(np.float32)
    return Scores(anomaly_map, image_score, foreground)
