"""What a table has to say about the run beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from multiflow.views import Connections, camera_graph

if TYPE_CHECKING:
    from multiflow.config import Config, Flow, Foreground

__all__ = [
    "ExperimentContext",
    "Protocol",
    "TableContext",
    "context_from_values",
    "context_values",
    "table_context",
]


@dataclass(frozen=True)
class Protocol:
    """How an experiment's numbers came about; printed in the footnotes.

    Attributes:
        sample_score: from the views to the sample, in words.
        evaluation_size: side of the maps at which pixels are counted, px.
        ground_truth_threshold: grey value above which a pixel of the ground truth is anomalous.
        foreground: the rule of the foreground masks, in words.
        epochs: epochs of the training.
        noise: of the training, in words.
        flow: what the paper and its released code do differently in the network, in words.
    """

    sample_score: str
    evaluation_size: int
    ground_truth_threshold: int
    foreground: str
    epochs: int
    noise: str
    flow: str

    def sentences(self) -> dict[str, str]:
        """Each choice as a phrase, by attribute."""
        return {
            "sample_score": f"sample score: {self.sample_score}",
            "evaluation_size": f"pixel metrics at {self.evaluation_size} × {self.evaluation_size} px, "
            f"anomalous above grey value {self.ground_truth_threshold}",
            "foreground": f"foreground: {self.foreground}",
            "epochs": f"{self.epochs} epoch{'s' if self.epochs != 1 else ''}",
            "noise": self.noise,
            "flow": self.flow,
        }


@dataclass(frozen=True)
class ExperimentContext:
    """What an experiment runs on, its protocol, and the settings that the ablation tables compare.

    Attributes:
        classes, seeds: what it runs on.
        protocol: how its numbers came about.
        connections: those in effect, which depend on the number of views.
        fusion, noise: of the flow.
        foreground_method: what makes the foreground masks.
    """

    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    protocol: Protocol
    connections: Connections
    fusion: str
    noise: str
    foreground_method: str


@dataclass(frozen=True)
class TableContext:
    """The run behind the tables.

    Attributes:
        dataset: its name, as printed.
        data_protocol: which part of it, how many views, one model per class or for all; in words.
        classes: folder names in the order of the rows.
        experiments: by name; one that is missing here is taken to run on all classes.
        published: collection of published numbers to print beside, or None; only for the same data and
            protocol.
        methods: experiments that stand for a method in Tables 1, 5, 6 and 7, with their printed names.
        departures: where the first experiment's settings are not the paper's, in words; printed wherever published
            numbers are.
    """

    dataset: str
    data_protocol: str
    classes: tuple[str, ...]
    experiments: Mapping[str, ExperimentContext] = field(default_factory=dict)
    published: str | None = None
    methods: Mapping[str, str] = field(default_factory=lambda: {"multiflow": "Multi-Flow"})
    departures: tuple[str, ...] = ()

    def classes_of(self, experiment: str) -> tuple[str, ...]:
        """Classes whose mean is an experiment's average."""
        known = self.experiments.get(experiment)
        return known.classes if known else self.classes


def table_context(config: Config) -> TableContext:
    """The context of a configuration's tables."""
    from multiflow.config import resolve_experiment

    views = len(config.dataset.cameras)
    experiments = {}
    for name in config.experiments:
        resolved = resolve_experiment(config, name)
        experiments[name] = ExperimentContext(
            classes=tuple(config.classes_of(name)),
            seeds=tuple(config.seeds_of(name)),
            protocol=Protocol(
                sample_score=_SAMPLE_SCORES[resolved.evaluation.sample_score],
                evaluation_size=config.features.ground_truth_size,
                ground_truth_threshold=config.features.ground_truth_threshold,
                foreground=_foreground(resolved.foreground),
                epochs=resolved.training.epochs,
                noise=_noise(resolved.flow),
                flow=_flow(resolved.flow, _effective(resolved.flow.connections, views)),
            ),
            connections=_effective(resolved.flow.connections, views),
            fusion=resolved.flow.fusion,
            noise=resolved.flow.noise,
            foreground_method=resolved.foreground.method,
        )
    pictures = "rendered" if config.rendering is not None else config.dataset.annotations
    return TableContext(
        dataset=config.dataset.name,
        data_protocol=f"{pictures}, {views} view{'s' if views != 1 else ''} per sample, one model per class",
        classes=tuple(config.dataset.classes),
        experiments=experiments,
        published=config.dataset.published,
        departures=_departures(config),
    )


def context_values(config: Config) -> dict[str, Any]:
    """The context as plain values: Snakemake makes the tables again when they change, unlike an object."""
    return _adapter().dump_python(table_context(config), mode="json")


def context_from_values(values: Mapping[str, Any]) -> TableContext:
    """The context that :func:`context_values` wrote.

    Raises:
        pydantic.ValidationError: the values are no context.
    """
    return _adapter().validate_python(values)


@cache
def _adapter() -> TypeAdapter[TableContext]:
    return TypeAdapter(TableContext)


_NEUTRAL = {
    "features": {"weights", "weights_sha256", "device", "workers", "threads"},
    "foreground": {"weights", "weights_sha256", "device", "threads", "batch_size"},
    "flow": set[str](),
    "training": {"checkpoint_every", "device", "threads", "compile", "tf32"},
    "evaluation": {"device", "strips"},
}
"""Settings that change where and how fast something is computed, or its last digits."""


def _departures(config: Config) -> tuple[str, ...]:
    """Settings of the first experiment that are not the configuration's defaults, which are the paper's."""
    from multiflow.config import resolve_experiment

    resolved = resolve_experiment(config, next(iter(config.experiments)))
    blocks = {"features": config.features}
    blocks |= {name: getattr(resolved, name) for name in _NEUTRAL if name != "features"}
    return tuple(
        f"{name}.{key} {_brief(getattr(block, key))} ({_brief(field.default)})"
        for name, block in blocks.items()
        for key, field in type(block).model_fields.items()
        if key not in _NEUTRAL[name] and getattr(block, key) != field.default
    )


def _brief(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _effective(connections: Connections, views: int) -> Connections:
    """The connections that there are: one view has none, and a ring of one side view has no edge."""
    graph = camera_graph(views, connections)
    names: tuple[Connections, ...] = ("none", "top", "neighbors", "both")
    return next(name for name in names if camera_graph(views, name) == graph)


_USUAL_LIMIT = 1e6  # of a block's outputs; named where it is another
_SAMPLE_SCORES = {"max": "maximum over the views", "mean": "mean over the views' maxima"}


def _foreground(foreground: Foreground) -> str:
    if foreground.method == "none":
        return "none, the whole image counts"
    steps: list[str] = [foreground.method]
    if foreground.fill_holes:
        steps.append("holes filled")
    if foreground.dilation:
        steps.append(f"dilated by {foreground.dilation} px at {foreground.image_size} px")
    steps.append(f"{foreground.to_grid} to the feature grid")
    if foreground.empty == "background":
        steps.append("a view without foreground is background")
    return ", ".join(steps)


def _noise(flow: Flow) -> str:
    if flow.noise == "none":
        return "no noise"
    parts = [f"noise: {flow.noise}"]
    if flow.noise == "simplenet":
        parts.append(f"std {flow.noise_std:.3g}")
    if flow.noise == "softflow":
        parts.append(f"std c to the power of {flow.softflow_exponent:g}")
    if flow.noise_shape == "features":
        parts.append("a value per feature")
    return ", ".join([*parts, f"condition {flow.condition_scale:g} × noise"])


def _flow(flow: Flow, connections: Connections) -> str:
    parts = [f"soft clamp {flow.clamp_slope:.3g}", f"{flow.transform_first} half first"]
    if flow.fusion != "conv2d" and connections != "none":
        source = {"paper": "the paper", "released": "the released code"}[flow.attention]
        parts.append(f"attention of {source}, {flow.attention_heads} head{'s' if flow.attention_heads != 1 else ''}")
    if not flow.gamma:
        parts.append("no gamma")
    if flow.output_limit != _USUAL_LIMIT:
        parts.append(f"outputs within {flow.output_limit:g}" if flow.output_limit else "outputs without limit")
    return f"flow: {', '.join(parts)}"
