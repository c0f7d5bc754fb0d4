"""How a model's run made scores with it: experiments that share a model may score with it in different ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from multiflow.base.errors import InputError
from multiflow.config.problems import problem_lines
from multiflow.foreground.settings import Foreground
from multiflow.inspection.run_files import RunFiles
from multiflow.methods.recipe import Recipe
from multiflow.scores import ScoreFile

__all__ = ["ScoringRule"]


@dataclass(frozen=True)
class ScoringRule:
    """What decides the scores of a trained model, beside the model.

    Args:
        values: what the scores file says of them; empty where the model's own settings count.
        source: the file that says so: the scores file, or the model.
        words: the same in words.
    """

    values: Mapping[str, Any]
    source: Path
    words: str

    @classmethod
    def of_run(cls, run: RunFiles | None, model: Path, model_sha256: str, experiment: str | None) -> ScoringRule:
        """The rule of the scores that a run has of a model.

        Args:
            run: the files of the model's run.
            model: its file.
            model_sha256: its checksum: scores of another model say nothing.
            experiment: whose scores; None for the experiment in the model's path, or the model's own settings where
                there are no scores of it.

        Raises:
            InputError: there are no scores of the experiment that was asked for.
        """
        if run is not None:
            values = _provenance(run.scores, model_sha256)
            if values is not None:
                return cls(values, run.scores, f"settings of the experiment {run.experiment}, as in {run.scores}")
        if experiment is None:
            return cls({}, model, "settings of the training, as in the model: its run has no scores of it")
        if run is None:
            raise InputError(
                f"{model}: expected a model in results/<run>/models/<experiment>/<class>, by which the scores of the "
                f"experiment {experiment} are found, found it elsewhere; give the run's model, or no --experiment"
            )
        others = [name for name in run.scored if _provenance(run.of(name).scores, model_sha256) is not None]
        raise InputError(
            f"{run.scores}: expected the scores that this model gave as the experiment {experiment}, found none; "
            f"--experiment takes {', '.join(others) or 'none of this run'}"
        )

    def settings(self, trained: Mapping[str, Any]) -> dict[str, Any]:
        """A method's settings as plain values.

        Args:
            trained: those in the model, which give what decides nothing.
        """
        return {**trained, **self.values.get("scoring", {}).get("settings", {})}

    def recipe(self, trained: Recipe) -> Recipe:
        """How pictures are prepared.

        Args:
            trained: the recipe in the model.

        Raises:
            InputError: the scores file says it otherwise than this version knows.
        """
        changes: dict[str, Any] = {}
        if "threads" in self.values:
            changes["threads"] = self.values["threads"]
        foreground = self.values.get("scoring", {}).get("foreground")
        if trained.foreground is not None and foreground is not None:
            try:
                settings = Foreground.model_validate(foreground)
            except ValidationError as error:
                lines = problem_lines(error, f"{self.source}: foreground.")
                raise InputError([f"{line}; score again with this version" for line in lines]) from None
            changes["foreground"] = trained.foreground.model_copy(update={"settings": settings})
        return trained.model_copy(update=changes)

    def foreground(self, recipe: Recipe) -> Foreground:
        """What says how a background is scored.

        Args:
            recipe: as :meth:`recipe` gave it.
        """
        known = Foreground() if recipe.foreground is None else recipe.foreground.settings
        # A method may give a foreground of its own, of which the recipe says nothing.
        return known.model_copy(update={"background": self.values.get("background", known.background)})


def _provenance(path: Path, model_sha256: str) -> dict[str, Any] | None:
    """What a scores file says of the scores of a model; None where it holds none of it, or says no settings."""
    if not path.is_file():
        return None
    with ScoreFile(path) as scores:
        found = scores.provenance
    return found if found.get("model_sha256") == model_sha256 and "scoring" in found else None
