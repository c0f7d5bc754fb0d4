"""The files of a run around one of its models."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from multiflow.metrics.settings import Evaluation

__all__ = ["RunFiles"]

_FOLDERS = ("models", "imported")
_LINKS = 40  # as many as Linux follows


def _links(path: Path) -> Iterator[Path]:
    """Every place through which a chain of links leads, its own first and that of the file last."""
    place = Path(os.path.abspath(path))
    for _ in range(_LINKS):
        yield place
        if not place.is_symlink():
            break
        place = Path(os.path.abspath(place.parent / place.readlink()))
    yield path.resolve()


@dataclass(frozen=True)
class RunFiles:
    """Where the run of a model has what belongs to it.

    Args:
        folder: of the run.
        experiment: whose model it is, or that has scored with it as well.
        class_name: the class that it was trained on.
        run: ``seed<n>``.
    """

    folder: Path
    experiment: str
    class_name: str
    run: str

    @classmethod
    def of_model(cls, model: Path) -> RunFiles | None:
        """Those of ``<run>/models/<experiment>/<class>/seed<n>.safetensors``; None where the model lies elsewhere."""
        # A link may lie in a run and lead out of it, or lie elsewhere and lead into one.
        found = [
            cls(path.parents[3], path.parents[1].name, path.parents[0].name, path.stem)
            for path in _links(model)
            if len(path.parents) > 3 and path.parents[2].name in _FOLDERS
        ]
        return next((run for run in found if run.weights.is_dir()), found[0] if found else None)

    def of(self, experiment: str) -> RunFiles:
        """Those of another experiment with the same model."""
        return replace(self, experiment=experiment)

    @property
    def scored(self) -> list[str]:
        """Experiments of the run with scores of this class and seed."""
        return sorted(path.parents[1].name for path in self.folder.glob(f"scores/*/{self.class_name}/{self.run}.h5"))

    @property
    def weights(self) -> Path:
        """Folder with the weights of the networks that read pictures."""
        return self.folder / "weights"

    @property
    def scores(self) -> Path:
        """The scores that the model gave the test samples."""
        return self._result("scores", ".h5")

    @property
    def ground_truth(self) -> Path:
        """The labels of the test samples."""
        return self.folder / "ground_truth" / f"{self.class_name}.h5"

    def evaluation(self) -> Evaluation:
        """How the run makes a sample's score; the paper's way where its metrics are not counted yet."""
        try:
            record = json.loads(self._result("metrics", ".json").read_text(encoding="utf-8"))
            return Evaluation.model_validate(record["provenance"]["config"]["evaluation"])
        except (OSError, ValueError, KeyError, TypeError):
            return Evaluation()

    def _result(self, station: str, suffix: str) -> Path:
        return self.folder / station / self.experiment / self.class_name / f"{self.run}{suffix}"
