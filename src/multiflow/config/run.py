"""A run: its blocks and its grid of experiments, classes and seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError, model_validator

from multiflow.base.errors import InputError
from multiflow.base.settings import Block, Compute, Name, Seed, Unique, deciding
from multiflow.config.blocks import ExperimentEntry, Keep, Tables
from multiflow.config.problems import problem_lines
from multiflow.datasets.settings import Dataset
from multiflow.features.settings import FeatureSet, Pretrained
from multiflow.foreground.settings import NETWORKS, Foreground, Segmentation
from multiflow.methods import load_method
from multiflow.methods.contract import Method
from multiflow.methods.experiment import Experiment, title_of
from multiflow.metrics.settings import Evaluation
from multiflow.results.published import published_classes, published_protocol
from rendered_parts.settings import Rendering

__all__ = ["Config", "merge"]

AnyBlock = TypeVar("AnyBlock", bound=Block)


class Config(Block):
    """A run: a data set, the stations' settings and a grid of experiments, classes and seeds."""

    run: Name = Field(description="Name of the run: everything is written below `results/<run>`.")
    dataset: Dataset = Field(description="The data set.")
    rendering: Rendering | None = Field(None, description="Render the data set instead of reading one (the demo).")
    features: dict[Name, FeatureSet] = Field(
        {}, description="Sets of features by name. An overlay drops one by setting it to null."
    )
    segmentation: Segmentation = Field(Segmentation(), description="How pictures are segmented.")
    foreground: Foreground = Field(Foreground(), description="What is made of a segmentation where it is read.")
    compute: Compute = Field(Compute(), description="Where and how fast it is computed.")
    evaluation: Evaluation = Field(Evaluation(), description="The evaluation.")
    keep: Keep = Field(Keep(), description="What stays on disk.")
    seeds: Unique[Seed] = Field([0, 1, 2, 3, 4], min_length=1, description="Seeds: one training each.")
    seeds_together: Unique[Seed] = Field(
        [],
        description="Seeds that one job trains on a class, one after another: it starts once, and reads the features "
        "once. Experiments that don't train all of them, and other seeds, have a job for each training.",
    )
    methods: dict[str, dict[str, Any]] = Field(
        {"multiflow": {}},
        min_length=1,
        description="Settings by method; an experiment changes a few of them. The first method is that of experiments "
        "that name none.",
    )
    experiments: dict[Name, ExperimentEntry] = Field(
        min_length=1, description="Experiments by name. An overlay drops one by setting it to null."
    )
    tables: Tables = Field(Tables(), description="What the tables show.")

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if (self.dataset.root is None) == (self.rendering is None):
            raise ValueError(
                "set exactly one of dataset.root (the folder of a data set) and rendering (parts to render); "
                f"found dataset.root: {self.dataset.root}, rendering: {'set' if self.rendering else 'empty'}"
            )
        if self.rendering is not None:
            self._check_rendering(self.rendering)
        if self.dataset.published is not None:
            self._check_published(self.dataset.published)
        for name, values in self.methods.items():
            _validated(_loaded(name, f"methods.{name}").Settings, values, f"methods.{name}.")
        for name in self.tables.methods or ():
            if name not in self.experiments:
                raise ValueError(
                    f"tables.methods: there is no experiment {name}; there are {', '.join(self.experiments)}"
                )
        for name in self.experiments:
            self._check_experiment(name)
        self._check_networks()
        if self.seeds_together and not any(map(self.trained_together, self.experiments)):
            raise ValueError(
                f"seeds_together: expected seeds that an experiment trains, found "
                f"{', '.join(map(str, self.seeds_together))}, and no experiment that trains all of them; take some of "
                "an experiment's seeds, or leave it empty"
            )
        return self

    def _check_rendering(self, rendering: Rendering) -> None:
        """What is rendered has a layout of its own."""
        if self.dataset.published is not None:
            raise ValueError("dataset.published: published numbers never stand beside rendered parts; leave it empty")
        expected: dict[str, str | None] = {"layout": "mvtec", "flips": None}
        if rendering.layout == "realiad":
            folders = {"image_folder": f"realiad_{rendering.image_size}", "annotations": "realiad_jsons"}
            expected = {"layout": "real_iad", **folders}
        for key, value in expected.items():
            if (found := getattr(self.dataset, key)) != value:
                raise ValueError(
                    f"dataset.{key}: expected {value or 'null'} with rendering.layout {rendering.layout} and "
                    f"rendering.image_size {rendering.image_size}, found {found}"
                )

    def _check_published(self, collection: str) -> None:
        """Published numbers stand beside the same data set and protocol only."""
        unknown = sorted(set(self.dataset.classes) - set(published_classes(collection)))
        known = f"those of {collection}"
        found_here = {
            "layout": self.dataset.layout,
            "annotations": self.dataset.annotations,
            "cameras": ", ".join(self.dataset.cameras),
            "classes": ", ".join(unknown) or known,
        }
        for key, expected in (*published_protocol(collection).items(), ("classes", known)):
            found = found_here[key]
            if found != expected:
                raise ValueError(
                    f"dataset.published: {collection} stands only beside the same data and protocol, with "
                    f"dataset.{key}: {expected}; found {found}; leave published empty"
                )

    def _check_networks(self) -> None:
        """A network's weights are one file, whatever the number of sets and experiments that read it."""
        first: dict[str, tuple[str, Pretrained]] = {}
        for place, network in self._pretrained():
            other_place, other = first.setdefault(network.backbone, (place, network))
            if network.weights != other.weights:
                raise ValueError(
                    f"{place}: found weights: {network.weights} for {network.backbone}, and {other.weights} for the "
                    f"same backbone in {other_place}; a run has one file of weights per backbone"
                )

    def _pretrained(self) -> Iterator[tuple[str, Pretrained]]:
        """Every pretrained network with the place in the configuration that names it."""
        for name, features in self.features.items():
            yield f"features.{name}", features
        for name in self.experiments:
            for class_name in self.classes_of(name):
                for network in self.experiment(name, class_name).needs.weights:
                    yield f"experiments.{name}", network

    def _check_experiment(self, name: str) -> None:
        place = f"experiments.{name}"
        entry = self.experiments[name]
        for key, classes in (("classes", self.classes_of(name)), ("by_class", entry.by_class)):
            unknown = sorted(set(classes) - set(self.dataset.classes))
            if unknown:
                hint = f"; to run some classes only, set {place}.classes" if key == "by_class" else ""
                raise ValueError(f"{place}.{key}: {', '.join(unknown)} not in dataset.classes{hint}")
        if "ground_truth_size" in entry.evaluation:
            raise ValueError(
                f"{place}.evaluation.ground_truth_size: the ground truth is read once per run; set it in the run's "
                "evaluation block"
            )
        for class_name in [None, *self.by_class_of(name)]:
            experiment = self.experiment(name, class_name)
            unknown = sorted(set(experiment.needs.features) - set(self.features))
            if unknown:
                raise ValueError(
                    f"{place}: its method needs the features {', '.join(unknown)}; the run's features block has "
                    f"{', '.join(self.features) or 'none'}"
                )
            if experiment.evaluation.select != "last" and experiment.stages == 0:
                raise ValueError(
                    f"{place}.evaluation.select: {experiment.evaluation.select}: expected a method whose training "
                    f"keeps models of earlier stages, found {experiment.method.heading} with its last one only; set it "
                    "to last"
                )
            if experiment.segmentation is not None:
                self.segmentation.check(experiment.segmentation)

    @cached_property
    def _experiments(self) -> dict[tuple[str, str | None], Experiment]:
        return {}

    @cached_property
    def _training_keys(self) -> dict[tuple[str, str | None], str]:
        return {}

    @cached_property
    def _by_class(self) -> dict[str, list[str]]:
        return {}

    @cached_property
    def _trained_as(self) -> dict[tuple[str, str, int], str]:
        """By training, class and seed, the first experiment with them."""
        owners: dict[tuple[str, str, int], str] = {}
        for name, class_name, seed in self.runs:
            owners.setdefault((self._training_key(name, class_name), class_name, seed), name)
        return owners

    def experiment(self, name: str, class_name: str | None = None) -> Experiment:
        """What an experiment runs with, on a class, or where it makes no difference between classes.

        Raises:
            ValueError: a change names an unknown key or has a wrong value, or the method cannot be loaded.
        """
        key = self._key(name, class_name)
        if key not in self._experiments:
            self._experiments[key] = self._resolve(*key)
        return self._experiments[key]

    def _resolve(self, name: str, class_name: str | None) -> Experiment:
        place = f"experiments.{name}"
        entries = self._with_bases(name)
        chosen = [entry.method for entry in entries if entry.method is not None]
        method_name = chosen[-1] if chosen else next(iter(self.methods))
        method = _loaded(method_name, place)
        settings = merge({}, self.methods.get(method_name, {}))
        for entry in entries:
            merge(settings, entry.model_extra or {})
            if class_name is not None:
                merge(settings, entry.by_class.get(class_name, {}))
        blocks: dict[str, Any] = {}
        for block in ("foreground", "evaluation", "compute"):
            values = getattr(self, block).model_dump()
            for entry in entries:
                merge(values, getattr(entry, block))
            blocks[block] = _validated(type(getattr(self, block)), values, f"{place}.{block}.")
        own = _validated(
            method.Settings, settings, f"{place}." if class_name is None else f"{place}.by_class.{class_name}."
        )
        return Experiment(
            name=name,
            method_name=method_name,
            method=method,
            heading=self.experiments[name].heading or title_of(method, own)[0],
            settings=own,
            **blocks,
        )

    def _with_bases(self, name: str) -> list[ExperimentEntry]:
        """An experiment's entry behind those that it is based on."""
        chain = [name]
        while (base := self.experiments[chain[-1]].base) is not None:
            if base not in self.experiments:
                raise ValueError(f"experiments.{chain[-1]}.base: there is no experiment {base}")
            if base in chain:
                raise ValueError(f"experiments.{name}.base: {' is based on '.join([*chain, base])}; break the circle")
            chain.append(base)
        return [self.experiments[entry] for entry in reversed(chain)]

    @property
    def folder(self) -> Path:
        """The folder of the run's results, relative to the checkout."""
        return Path("results", self.run)

    @property
    def root(self) -> Path:
        """The folder of the data set."""
        return Path(self.dataset.root) if self.dataset.root is not None else self.folder / "dataset"

    @property
    def networks(self) -> dict[str, Pretrained | Segmentation]:
        """What says where the weights of a network come from, by the network's name."""
        networks: dict[str, Pretrained | Segmentation] = {name: self.segmentation for name in NETWORKS.values() if name}
        return networks | {network.backbone: network for _, network in self._pretrained()}

    @property
    def table_methods(self) -> list[str]:
        """Experiments that are columns of the tables of methods: by default the first, and those that name a method."""
        named = (name for name, entry in self.experiments.items() if entry.method is not None)
        return list(self.tables.methods or dict.fromkeys([next(iter(self.experiments)), *named]))

    def seeds_of(self, experiment: str) -> list[int]:
        """Seeds of an experiment, in the order of the configuration."""
        own = self.experiments[experiment].seeds
        return list(self.seeds if own is None else own)

    def classes_of(self, experiment: str) -> list[str]:
        """Classes of an experiment, in the order of the configuration."""
        own = self.experiments[experiment].classes
        return list(self.dataset.classes if own is None else own)

    @property
    def runs(self) -> list[tuple[str, str, int]]:
        """Every experiment, class and seed of the run."""
        return [
            (name, class_name, seed)
            for name in self.experiments
            for class_name in self.classes_of(name)
            for seed in self.seeds_of(name)
        ]

    @property
    def method_runs(self) -> list[tuple[str, str, int]]:
        """Every experiment, class and seed of the methods of the tables."""
        methods = set(self.table_methods)
        return [run for run in self.runs if run[0] in methods]

    @property
    def trained_runs(self) -> list[tuple[str, str, int]]:
        """Every experiment, class and seed that is trained: experiments that share a model share its training."""
        return list(dict.fromkeys((self.trained_as(*run), *run[1:]) for run in self.runs))

    def trained_on(self, class_name: str) -> list[Experiment]:
        """The experiments that are trained on a class; those whose models are imported are not."""
        names = [
            name
            for name, trained, seed in self.trained_runs
            if trained == class_name
            and not (self.folder / "imported" / name / class_name / f"seed{seed}.safetensors").exists()
        ]
        return [self.experiment(name, class_name) for name in dict.fromkeys(names)]

    @property
    def networks_read(self) -> list[str]:
        """The networks that read pictures for an experiment of the run."""
        experiments = [
            self.experiment(name, class_name) for name in self.experiments for class_name in self.classes_of(name)
        ]
        names = [self.features[name].backbone for experiment in experiments for name in experiment.needs.features]
        names += filter(None, (NETWORKS[experiment.segmentation or "threshold"] for experiment in experiments))
        names += [network.backbone for experiment in experiments for network in experiment.needs.weights]
        return list(dict.fromkeys(names))

    def trained_as(self, experiment: str, class_name: str, seed: int) -> str:
        """The experiment whose model serves this one: the first with the same training on this class and seed."""
        return self._trained_as.get((self._training_key(experiment, class_name), class_name, seed), experiment)

    def trained_together(self, experiment: str) -> list[int]:
        """Seeds of an experiment that one job trains on a class; none where each has a job of its own."""
        seeds, own = self.seeds_together, self.seeds_of(experiment)
        trained = all(
            seed in own and self.trained_as(experiment, class_name, seed) == experiment
            for class_name in self.classes_of(experiment)
            for seed in seeds
        )
        return list(seeds) if trained else []

    def _training_key(self, name: str, class_name: str) -> str:
        key = self._key(name, class_name)
        if key not in self._training_keys:
            values = self.experiment(*key).training_values()
            self._training_keys[key] = json.dumps(values, sort_keys=True)
        return self._training_keys[key]

    def _key(self, name: str, class_name: str | None) -> tuple[str, str | None]:
        """Experiment and class; no class where the experiment makes no difference between it and others."""
        return name, class_name if class_name in self.by_class_of(name) else None

    def by_class_of(self, experiment: str) -> list[str]:
        """Classes for which an experiment, or one that it is based on, has settings of their own."""
        if experiment not in self._by_class:
            names = (name for entry in self._with_bases(experiment) for name in entry.by_class)
            self._by_class[experiment] = list(dict.fromkeys(names))
        return self._by_class[experiment]

    def decided_by(self, experiment: Experiment) -> dict[str, Any]:
        """All settings that decide an experiment's numbers, as plain values."""
        values = experiment.scoring_values() | {"evaluation": deciding(experiment.evaluation)}
        needs = experiment.needs
        if needs.features:
            values["features"] = {name: deciding(self.features[name]) for name in needs.features}
        if experiment.segmentation is not None:
            values["segmentation"] = self.segmentation.deciding(experiment.segmentation)
        return values


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay values over others, block by block, as Snakemake lays one configuration file over another.

    Args:
        below: changed in place, and returned.
        above: takes precedence.
    """
    for key, value in above.items():
        if isinstance(value, Mapping):
            own = below.get(key)
            below[key] = merge(dict(own) if isinstance(own, Mapping) else {}, value)
        else:
            below[key] = value
    return below


def _loaded(name: str, place: str) -> Method:
    try:
        return load_method(name)
    except InputError as error:
        raise ValueError(f"{place}.{error}") from error


def _validated(model: type[AnyBlock], values: Mapping[str, Any], place: str) -> AnyBlock:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError("; ".join(problem_lines(error, place))) from None
