"""How an experiment's numbers came about, in words: what footnotes say of its settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from multiflow.methods.hooks import ask

if TYPE_CHECKING:
    from multiflow.config import Config
    from multiflow.foreground.settings import Foreground, Segmentation
    from multiflow.methods.experiment import Experiment

__all__ = ["departures", "experiment_facts", "facts_by_class", "protocol_phrases"]

_SAMPLE_SCORES = {
    "max": "maximum over the views",
    "mean": "mean over the views' maxima",
    "top1": "mean of the highest 1 % of all views' pixels",
}

_LAST_DIGITS = {"weights", "strips", "counter"}
"""Settings that say where a file is, or change a result's last digits: no departure from the paper."""


def protocol_phrases(config: Config, name: str) -> dict[str, str]:
    """An experiment's protocol, a phrase by what it is about.

    A method says what matters about its own settings in an optional ``describe(settings, views) -> dict``; of one that
    does not, the settings that are not its defaults are named.
    """
    experiment = config.experiment(name)
    evaluation = experiment.evaluation
    size = evaluation.ground_truth_size
    phrases = {
        "sample_score": f"sample score: {_SAMPLE_SCORES[evaluation.sample_score]}",
        "evaluation_size": f"pixel metrics at {size} × {size} px, "
        f"anomalous above grey value {evaluation.ground_truth_threshold}",
    }
    if evaluation.aupro == "linear":
        phrases["aupro"] = (
            "AUPRO at 1,000 evenly spaced thresholds, holes count as found, false-positive rates stretched"
        )
    if evaluation.select == "best_on_test":
        phrases["selection"] = (
            f"chosen on the test set: of each metric by itself the best of {experiment.stages + 1} evaluations during "
            "the training"
        )
    reads = experiment.needs.foreground
    foreground = _foreground(experiment.foreground, config.segmentation) if reads else "not read"
    phrases["foreground"] = f"foreground: {foreground}"
    read = [config.features[features] for features in experiment.needs.features]
    if inputs := dict.fromkeys(f"{features.backbone} at {features.image_size} px" for features in read):
        phrases["features"] = f"features: {', '.join(inputs)}"
    described = ask(experiment.method, "describe", dict, experiment.settings, len(config.dataset.cameras))
    if described is not None:
        phrases |= described
    elif changes := [f"{key} {value}" for key, value, _ in _changes(experiment.settings)]:
        phrases["settings"] = f"settings: {', '.join(changes)}"
    if by_class := _classes_with_own_settings(config, name):
        phrases["by_class"] = f"other settings for {', '.join(by_class)}"
    return phrases


def experiment_facts(experiment: Experiment, views: int) -> dict[str, str]:
    """Values that decide whether an experiment is the row of an ablation table.

    A method has its own in an optional ``facts(settings, views) -> dict``.
    """
    own = ask(experiment.method, "facts", dict, experiment.settings, views) or {}
    return own | {"foreground": experiment.segmentation or "none", "background": experiment.foreground.background}


def facts_by_class(config: Config, name: str) -> dict[str, dict[str, str]]:
    """The facts of an experiment on each of its classes for which it has settings of its own."""
    views = len(config.dataset.cameras)
    return {
        class_name: experiment_facts(config.experiment(name, class_name), views)
        for class_name in _classes_with_own_settings(config, name)
    }


def departures(config: Config, name: str) -> tuple[str, ...]:
    """Settings of an experiment that are not the defaults, which are the paper's: ``key value (default)``.

    One that not all of its classes have names those that do. A method whose defaults are not its paper's says itself
    what differs, in an optional ``departures(settings, changes) -> tuple``.
    """
    classes, own = config.classes_of(name), _classes_with_own_settings(config, name)
    others = [class_name for class_name in classes if class_name not in own]
    found: dict[str, list[str]] = {}
    for group in [others, *([class_name] for class_name in own)]:
        for text in _departures(config, config.experiment(name, group[0])) if group else ():
            found.setdefault(text, []).extend(group)
    return tuple(
        text if len(having) == len(classes) else f"{text} on {', '.join(having)}" for text, having in found.items()
    )


def _classes_with_own_settings(config: Config, name: str) -> list[str]:
    classes = config.classes_of(name)
    return [class_name for class_name in config.by_class_of(name) if class_name in classes]


def _departures(config: Config, experiment: Experiment) -> Iterator[str]:
    needs = experiment.needs
    found = [change for name in needs.features for change in _changes(config.features[name], place=f"features.{name}.")]
    if experiment.segmentation is not None:
        found += _changes(config.segmentation, config.segmentation.deciding(experiment.segmentation), "segmentation.")
    if needs.foreground:
        found += _changes(experiment.foreground, place="foreground.")
    yield from _phrases(found)
    # The name of a set of features says nothing; what is in the set does.
    changes = _phrases(change for change in _changes(experiment.settings) if change[1] not in needs.features)
    own = ask(experiment.method, "departures", tuple, experiment.settings, changes)
    yield from changes if own is None else own
    yield from _phrases(_changes(experiment.evaluation, place="evaluation."))


def _phrases(changes: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
    return tuple(f"{key} {value} ({default})" for key, value, default in changes)


def _changes(
    block: BaseModel, among: dict[str, object] | None = None, place: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Settings of a block and of the blocks in it that are not their defaults: key, value, default.

    Args:
        block: the settings; those that decide nothing are passed by.
        among: the keys that count; None for all.
        place: what stands before a key.
    """
    for name, field in type(block).model_fields.items():
        value = getattr(block, name)
        marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if marks.get("decides") == "nothing" or name in _LAST_DIGITS or (among is not None and name not in among):
            continue
        default = field.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            yield from _changes(value, place=f"{place}{name}.")
        elif isinstance(value, Mapping) and isinstance(default, Mapping):
            for key, own in value.items():
                if key not in default or default[key] != own:
                    yield f"{place}{name}.{key}", _brief(own), _brief(default.get(key, ""))
        elif value != default:
            yield f"{place}{name}", _brief(value), "required" if default is PydanticUndefined else _brief(default)


def _brief(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "empty"


def _foreground(foreground: Foreground, segmentation: Segmentation) -> str:
    if foreground.method == "none":
        return "none, the whole image counts"
    steps: list[str] = [foreground.method]
    if foreground.fill_holes:
        steps.append("holes filled")
    if foreground.dilation:
        steps.append(f"dilated by {foreground.dilation} px at {segmentation.image_size} px")
    steps.append(f"{foreground.to_grid} to the feature grid")
    if foreground.empty == "background":
        steps.append("a view without foreground is background")
    if foreground.background == "ignored":
        steps.append("the background has no score")
    return ", ".join(steps)
