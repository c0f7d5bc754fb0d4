"""What a table has to say about the run beside its numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from multiflow.base.errors import InputError
from multiflow.methods.ablation import Ablation, AblationRow
from multiflow.results.published import published_classes
from multiflow.results.records import load_doubts
from multiflow.results.tables.protocol import departures, experiment_facts, facts_by_class, protocol_phrases

if TYPE_CHECKING:
    from multiflow.config import Config

__all__ = [
    "ExperimentContext",
    "TableContext",
    "ablations_of",
    "class_heading",
    "context_from_values",
    "context_values",
    "table_context",
]


@dataclass(frozen=True)
class ExperimentContext:
    """What an experiment runs on, how its numbers came about, and what ablation tables compare.

    Attributes:
        classes, seeds: what it runs on.
        heading: its method's name as printed, or its own.
        protocol: phrases that footnotes print, by what they are about.
        facts: values that decide whether it is the row of an ablation table.
        class_facts: the same on classes for which it has settings of its own.
        departures: where its settings are not the paper's, in words; printed where published numbers of its method
            stand beside it.
        published_as: the published column that its numbers are compared with; empty: the one of its heading.
    """

    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    heading: str
    protocol: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    class_facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    departures: tuple[str, ...] = ()
    published_as: str = ""

    @property
    def published_heading(self) -> str:
        """The published column that its numbers are compared with."""
        return self.published_as or self.heading

    def contradiction(self, row: AblationRow) -> str | None:
        """What of the experiment, in words, is not as a row says; None where it is this row on all of its classes."""
        own = [class_name for class_name in self.classes if class_name in self.class_facts]
        found: dict[str, list[str]] = {}
        for class_name in own:
            if words := row.contradiction(self.class_facts[class_name]):
                found.setdefault(words, []).append(class_name)
        others = row.contradiction(self.facts) if len(own) < len(self.classes) else None
        return others or "; ".join(f"{words} on {', '.join(classes)}" for words, classes in found.items()) or None


@dataclass(frozen=True)
class TableContext:
    """The run behind the tables.

    Attributes:
        dataset: its name, as printed.
        data_protocol: which part of it, how many views, one model per class or for all; in words.
        classes: folder names in the order of the rows.
        methods: experiments that are columns of the tables of methods, with headings that differ.
        experiments: by name; one that is missing here is taken to run on all classes.
        ablations: the ablation tables of the methods, by name.
        published: collection of published numbers to print beside, or None; only for the same data and
            protocol.
        references: how the methods of ``methods`` are cited, by their heading there.
        left_out: runs that were made with other settings and are not shown, by experiment.
        doubts: how often there is what to doubt about a class's data, by class and by words.
    """

    dataset: str
    data_protocol: str
    classes: tuple[str, ...]
    methods: Mapping[str, str]
    experiments: Mapping[str, ExperimentContext] = field(default_factory=dict)
    ablations: Mapping[str, Ablation] = field(default_factory=dict)
    published: str | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    doubts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def main(self) -> str:
        """The first method."""
        return next(iter(self.methods))

    @property
    def average(self) -> str:
        """Key of the row of averages beside those of the classes, of which one may have its usual name."""
        return "average" if "average" not in self.classes else "(average)"

    def classes_of(self, experiment: str) -> tuple[str, ...]:
        """Classes whose mean is an experiment's average."""
        known = self.experiments.get(experiment)
        return known.classes if known else self.classes

    def contradictions(self, ablation: str) -> dict[str, str]:
        """Rows of an ablation table whose experiments are something else in this run: by name, what, in words."""
        found = {
            name: self.experiments[name].contradiction(row)
            for name, row in self.ablations[ablation].rows.items()
            if name in self.experiments
        }
        return {name: words for name, words in found.items() if words is not None}


def class_heading(class_name: str, context: TableContext) -> str:
    """A class's name as printed: as it was published, or as it is called."""
    printed = published_classes(context.published) if context.published is not None else {}
    return printed.get(class_name, class_name)


def table_context(config: Config) -> TableContext:
    """The context of a configuration's tables.

    Raises:
        InputError: two methods have an ablation table of one name.
    """
    resolved = {name: config.experiment(name) for name in config.experiments}
    views = len(config.dataset.cameras)
    headings = {name: resolved[name].heading for name in config.table_methods}
    count = Counter(headings.values())
    methods = {name: heading if count[heading] == 1 else f"{heading} ({name})" for name, heading in headings.items()}
    pictures = ("rendered",) if config.rendering is not None else config.dataset.protocol
    return TableContext(
        dataset=config.dataset.name,
        data_protocol=", ".join(
            [*pictures, f"{views} view{'s' if views != 1 else ''} per sample", "one model per class"]
        ),
        classes=tuple(config.dataset.classes),
        methods=methods,
        experiments={
            name: ExperimentContext(
                classes=tuple(config.classes_of(name)),
                seeds=tuple(config.seeds_of(name)),
                heading=experiment.heading,
                protocol=protocol_phrases(config, name),
                facts=experiment_facts(experiment, views),
                class_facts=facts_by_class(config, name),
                departures=departures(config, name) if config.dataset.published is not None else (),
                published_as=config.experiments[name].published_as or "",
            )
            for name, experiment in resolved.items()
        },
        ablations=ablations_of(config),
        published=config.dataset.published,
        references={heading: resolved[name].reference for name, heading in methods.items()},
    )


def ablations_of(config: Config) -> dict[str, Ablation]:
    """The ablation tables of the methods that a run's experiments use.

    Raises:
        InputError: two methods have a table of one name.
    """
    found: dict[str, Ablation] = {}
    for method in {id(own): own for own in (config.experiment(name).method for name in config.experiments)}.values():
        for name, ablation in getattr(method, "ablations", {}).items():
            if name in found:
                raise InputError(
                    f"methods: {method.heading} and another method of this run both have an ablation table {name}; "
                    "rename one of them"
                )
            found[name] = ablation
    return found


def context_values(config: Config) -> dict[str, Any]:
    """The context as plain values: Snakemake makes the tables again when they change, unlike an object."""
    return _adapter().dump_python(table_context(config), mode="json")


def context_from_values(values: Mapping[str, Any], runs: Iterable[str | Path] = ()) -> TableContext:
    """The context that :func:`context_values` wrote.

    Args:
        values: what it wrote.
        runs: the JSON files behind the table, which say what there is to doubt about their data.

    Raises:
        pydantic.ValidationError: the values are no context.
        InputError: a JSON is damaged.
    """
    return replace(_adapter().validate_python(values), doubts=load_doubts(runs))


@cache
def _adapter() -> TypeAdapter[TableContext]:
    return TypeAdapter(TableContext)
