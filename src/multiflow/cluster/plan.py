"""What a run will cost before it is submitted: jobs, GPU-hours, CPU-hours and disk, station by station.

Jobs come from the configuration, pictures from the data set where it is there. Work is counted in floating-point
operations: of the networks that read pictures here, of a method by the method itself. How many of them a second brings
is measured on a CPU and assumed for a GPU (``costs.csv`` beside this file says which). Where an earlier run left
the times of its jobs, they take the place of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from multiflow.base.errors import InputError
from multiflow.cluster.costs import ON_GPU, UnitCost, gpu_speed, load_costs
from multiflow.cluster.measured import measured_seconds
from multiflow.config import Config
from multiflow.datasets import layout
from multiflow.features.cost import feature_cost
from multiflow.foreground.settings import Segmentation
from multiflow.methods.contract import Cost, Images
from multiflow.methods.experiment import Experiment
from multiflow.methods.hooks import ask

__all__ = ["Job", "Run", "count_images", "plan", "render_plan", "written_bytes"]

Run = tuple[str, str, int]
"""Experiment, class and seed."""

# GFLOP of one pass of MVANet at 1024 px, counted by torch.utils.flop_counter, and the power of the side by which it
# grows: counted are 1064 at 768 px and 3715 at 1280 px.
_MVANET_GFLOP, _MVANET_POWER = 2151, 2.45
# Training and test samples of a class where the data set isn't there: the averages of the largest one in the field.
_TYPICAL = (7293 / 30, 22917 / 30)
_MASK_BYTES = 4  # of a compressed segmentation, for each pixel of its side: it grows with the outline
_TABLE_BYTES = 300  # of an image's row in the samples table, and of its compressed ground truth
_METRICS_BYTES = 4000  # of a run's JSON
_TRAININGS = ("train_model", "train_seeds")  # of one seed, and of several


@dataclass(frozen=True)
class Job:
    """One job of the run.

    Args:
        rule: its rule.
        variant: its experiment, set of features or method of segmentation; empty where there is one for all.
        class_name: its class.
        seconds: of its script; None where they are not known.
        gpu: whether it holds a GPU.
        threads: CPUs that it holds.
        bytes: that it writes; None where they are not known.
        kept: whether they stay when the run has ended.
        models: in a file that it writes or reads: the last one, and those of earlier stages of the training.
        alternatives: seconds of one of its trainings under other settings, by what they are.
        floor: seconds that its work takes at a GPU's peak; 0 where it has none.
        seeds: that it trains or scores.
    """

    rule: str
    variant: str
    class_name: str
    seconds: float | None
    gpu: bool
    threads: int
    bytes: float | None
    kept: bool = True
    models: int = 1
    alternatives: Mapping[str, float] = field(default_factory=dict)
    floor: float = 0.0
    seeds: int = 1

    @property
    def stored(self) -> float:
        """Known bytes that stay on disk."""
        return (self.bytes or 0.0) * self.kept

    @property
    def measured_as(self) -> tuple[str, str]:
        """Rule and variant of the jobs whose measured times are those of one of its seeds."""
        return "train_model" if self.rule in _TRAININGS else self.rule, self.variant

    @property
    def submission(self) -> tuple[str, ...]:
        """What jobs have in common that are submitted together, as ``groups`` in the profile says."""
        rule = "methods" if self.rule in (*_TRAININGS, "score_samples") else self.rule
        return rule, self.variant, self.class_name


def count_images(config: Config) -> tuple[dict[str, Images], str]:
    """Samples and views of every class, and where the numbers come from.

    A class that is not there is taken to be as large as those of a typical data set.
    """
    views = len(config.dataset.cameras)
    if config.rendering is not None:
        settings = config.rendering
        images = Images(settings.train, settings.test_ok + settings.test_ng, views)
        return dict.fromkeys(config.dataset.classes, images), "the configuration's rendering"
    found, missing = {}, 0
    for name in config.dataset.classes:
        try:
            train, test = layout(config.dataset.layout).count_images(config.dataset, config.root, name)
        except InputError:
            missing += 1
            found[name] = Images(*_TYPICAL, views)
        else:
            found[name] = Images(train / views, test / views, views)
    if missing:
        return found, f"typical numbers for {missing} of {len(found)} classes, which are not in {config.root}"
    return found, f"counted in {config.root}"


def plan(
    config: Config,
    costs: Mapping[str, UnitCost] | None = None,
    measured: Path | None = None,
    runs: Iterable[Run] | None = None,
) -> list[Job]:
    """All jobs that take time.

    Args:
        config: the run.
        costs: by default those of the package.
        measured: ``benchmarks`` folder of an earlier run; the mean of a rule's jobs there (of an experiment, where the
            rule has them) replaces what is computed.
        runs: experiment, class and seed of those that are wanted; by default all.
    """
    unit = {name: cost.value for name, cost in (costs or load_costs()).items()}
    times = measured_seconds(measured) if measured is not None else {}
    return [
        replace(job, seconds=job.seeds * times[job.measured_as] if job.measured_as in times else job.seconds)
        for job in _jobs(config, unit, config.runs if runs is None else list(dict.fromkeys(runs)))
    ]


def written_bytes(config: Config, jobs: Mapping[str, int]) -> float:
    """What so many jobs of each rule leave on disk."""
    planned, total = plan(config), 0.0
    for rule, count in jobs.items():
        sizes = [job.stored for job in planned if job.rule == rule]
        if sizes:
            total += count * sum(sizes) / len(sizes)
    return total


def render_plan(
    config: Config,
    costs: Mapping[str, UnitCost] | None = None,
    measured: Path | None = None,
    runs: Iterable[Run] | None = None,
) -> str:
    """The plan as a table in Markdown, with what it rests on; for the arguments see :func:`plan`."""
    costs = costs or load_costs()
    jobs = plan(config, costs, measured, runs)
    columns = ("station", "jobs", "a job, s", "GPU-hours", "at the peak", "CPU-hours", "disk, GB")
    rows = [f"| {' | '.join(columns)} |", f"| --- |{' --: |' * (len(columns) - 1)}"]
    for rule in dict.fromkeys(job.rule for job in jobs):
        rows.append(_row(f"`{rule}`", [job for job in jobs if job.rule == rule], costs))
    rows.append(_row("all", jobs, costs))
    ways = [
        f"{name}: {_submissions(jobs, grouped):,} submissions, "
        f"{_starting_hours(jobs, costs, grouped):.1f} GPU-hours of starting"
        for name, grouped in (
            ("each job alone", False),
            ("the seeds of a class and experiment together (`group_seeds`)", True),
        )
    ]
    assumed = [f"{name} {cost.value:g} ({cost.source})" for name, cost in costs.items() if cost.kind == "assumed"]
    on_gpu = [f"{name} {cost.value:.3g} ({cost.source})" for name, cost in costs.items() if cost.kind == ON_GPU]
    peaks = {name.split("_")[1]: cost.value for name, cost in costs.items() if cost.kind == "stated"}
    notes = [
        *_unknown(config, jobs),
        f"Submitted {ways[0]}; {ways[1]}.",
        f"Images: {count_images(config)[1]}.",
        f"Times: {_times_source(jobs, measured)}"
        + (f" Measured on a GPU: {'; '.join(on_gpu)}." if on_gpu else "")
        + (f" Assumed: {'; '.join(assumed)}." if assumed else ""),
        "At the peak: hours of the counted work alone at the peak of an A100 by its data sheet, TFLOP/s: "
        f"{', '.join(f'{precision} {peak:g}' for precision, peak in peaks.items())}.",
        "Starting is counted, waiting in the queue is not; figures, tables and the report take minutes.",
        *_alternatives(jobs),
        *_checkpoints(jobs),
        *_deleted(jobs),
    ]
    return "\n".join([*rows, "", *(f"- {note}" for note in notes)]) + "\n"


def _starting_seconds(job: Job, costs: Mapping[str, UnitCost]) -> tuple[float, float]:
    """What a job takes beside its work: for its process, and for a submission of its own."""
    return costs["process_start"].value + job.gpu * costs["cuda_start"].value, costs["submission_start"].value


def _row(name: str, jobs: list[Job], costs: Mapping[str, UnitCost]) -> str:
    known = [(job, job.seconds + sum(_starting_seconds(job, costs))) for job in jobs if job.seconds is not None]
    mean = f"{sum(seconds for _, seconds in known) / len(known):,.0f}" if known else "?"
    gpu = sum(seconds for job, seconds in known if job.gpu) / 3600
    cpu = sum(seconds * job.threads for job, seconds in known) / 3600
    floor = sum(job.floor for job in jobs) / 3600
    size = sum(job.stored for job in jobs) / 1e9
    return f"| {name} | {len(jobs):,} | {mean} | {gpu:,.1f} | {floor:,.1f} | {cpu:,.1f} | {size:,.1f} |"


def _submissions(jobs: Sequence[Job], grouped: bool) -> int:
    """How often sbatch is called: once a job, or once for all seeds of a class and experiment."""
    return len({job.submission for job in jobs}) if grouped else len(jobs)


def _starting_hours(jobs: Iterable[Job], costs: Mapping[str, UnitCost], grouped: bool) -> float:
    """Hours in which a GPU is held and nothing is computed yet."""
    held = [job for job in jobs if job.gpu]
    processes = sum(_starting_seconds(job, costs)[0] for job in held)
    return (processes + _submissions(held, grouped) * costs["submission_start"].value) / 3600


def _unknown(config: Config, jobs: Sequence[Job]) -> list[str]:
    """What is left out of the sums, by name."""
    notes = []
    for name in dict.fromkeys(job.variant for job in jobs if job.bytes is None):
        of_method = [job for job in jobs if job.variant == name and job.rule in (*_TRAININGS, "score_samples")]
        counts = Counter(job.rule for job in of_method if job.seconds is None)
        listed = " and ".join(f"{count:,} `{rule}`" for rule, count in counts.items())
        notes.append(
            f"Not in the sums: {f'the time of {listed}, and ' if listed else ''}what the jobs of {name} write; its "
            f"method, {config.experiment(name).method_name}, has no `cost`."
            + (" Once jobs of it have run, their times are taken." if listed else "")
        )
    return notes


def _times_source(jobs: Iterable[Job], measured: Path | None) -> str:
    times = measured_seconds(measured) if measured is not None else {}
    variants: dict[str, list[str]] = {}
    for rule, variant in dict.fromkeys(job.measured_as for job in jobs):
        if (rule, variant) in times:
            variants.setdefault(rule, []).extend(filter(None, [variant]))
    if not variants:
        return "src/multiflow/cluster/costs.csv."
    listed = ", ".join(rule + (f" ({', '.join(names)})" if names else "") for rule, names in variants.items())
    return f"{listed} as measured in {measured}; the others from src/multiflow/cluster/costs.csv."


def _alternatives(jobs: Iterable[Job]) -> list[str]:
    """What trainings would take under settings that their methods think worth a word."""
    hours: dict[tuple[str, str], list[float]] = {}
    for job in jobs:
        for name, seconds in job.alternatives.items():
            hours.setdefault((job.variant, name), []).extend([seconds / 3600] * job.seeds)
    return [
        f"With {name}, the {len(values):,} trainings of {variant} would take {sum(values):,.0f} hours in all, "
        f"{sum(values) / len(values):,.1f} each."
        for (variant, name), values in hours.items()
    ]


def _checkpoints(jobs: Iterable[Job]) -> list[str]:
    trainings = [job for job in jobs if job.rule in _TRAININGS]
    largest = max(((2 + job.models) * (job.bytes or 0.0) / job.models / job.seeds for job in trainings), default=0.0)
    if not largest:
        return []
    stages = ", and the models of earlier stages" if any(job.models > 1 for job in trainings) else ""
    return [
        "Each training that runs keeps a checkpoint until it ends: with the optimizer's two moments three times its "
        f"model{stages}, up to {largest / 1e9:.2f} GB."
    ]


def _deleted(jobs: Iterable[Job]) -> list[str]:
    """What the run needs disk for, but for a while only."""
    sizes: dict[str, float] = {}
    for job in jobs:
        if not job.kept:
            sizes[job.rule] = sizes.get(job.rule, 0.0) + (job.bytes or 0.0)
    if not sizes:
        return []
    listed = ", ".join(f"`{rule}` {size / 1e9:,.1f} GB" for rule, size in sizes.items())
    return [f"Written and deleted while the run goes on (`keep`): {listed}, of which a part is there at a time."]


def _jobs(config: Config, unit: Mapping[str, float], runs: Sequence[Run]) -> Iterator[Job]:
    """The jobs of the runs, station by station."""
    images, _ = count_images(config)
    experiments = {run[:2]: config.experiment(*run[:2]) for run in runs}
    used = {class_name for _, class_name in experiments}
    classes = [name for name in config.dataset.classes if name in used]
    if config.rendering is not None:
        size, strata = config.rendering.image_size, config.rendering.samples_per_pixel
        for name in classes:
            pixels = images[name].count * size**2 / 1e6
            seconds = pixels * unit["render_megapixel"] * strata**2 / 4
            yield Job("render_class", "", name, seconds, False, 1, pixels * 1e5)
    for name in classes:
        count = images[name].count
        yield Job("flip_views", "", name, count * unit["check_image"], False, 1, count * _TABLE_BYTES)
    for features in config.features:
        for name in classes:
            if any(features in experiment.needs.features for experiment in _of_class(experiments, name)):
                yield _extraction(config, features, name, images[name].count, unit)
    for method in sorted({experiment.segmentation or "" for experiment in experiments.values()} - {""}):
        for name in classes:
            if any(experiment.segmentation == method for experiment in _of_class(experiments, name)):
                yield _segmentation(config, method, name, images[name].count, unit)
    yield from _method_jobs(config, unit, runs, images)
    for name, class_name, _ in runs:
        models = 1 + experiments[name, class_name].stages
        seconds = models * images[class_name].test * unit["metrics_sample"]
        yield Job("count_metrics", name, class_name, seconds, False, 1, _METRICS_BYTES)


def _of_class(experiments: Mapping[tuple[str, str], Experiment], class_name: str) -> Iterator[Experiment]:
    return (experiment for (_, name), experiment in experiments.items() if name == class_name)


def _extraction(config: Config, features: str, class_name: str, count: float, unit: Mapping[str, float]) -> Job:
    settings, compute = config.features[features], config.compute
    gpu = compute.device != "cpu"
    rate, peak = gpu_speed(unit, "features", settings.precision)
    speed = rate if gpu else unit["cpu_tflops"] * compute.threads
    shape, gflop = feature_cost(settings)
    floor = gpu * count * gflop / 1e3 / peak
    seconds = count * max(gflop / 1e3 / speed, unit["decode_image"] / max(1, compute.workers))
    stored = count * shape.channels * shape.height * shape.width * (4 if settings.dtype == "float32" else 2)
    threads = compute.threads + compute.workers
    kept = config.keep.features
    return Job("extract_features", features, class_name, seconds, gpu, threads, stored, kept, floor=floor)


def _segmentation(config: Config, method: str, class_name: str, count: float, unit: Mapping[str, float]) -> Job:
    settings, compute = config.segmentation, config.compute
    gpu = method == "mvanet" and compute.device != "cpu"
    floor = 0.0
    if method == "mvanet":
        rate, peak = gpu_speed(unit, "mvanet", "bfloat16" if settings.amp else "float32")
        work = count * _mvanet_tflop(settings)
        seconds = work / (rate if gpu else unit["cpu_tflops"] * compute.threads)
        floor = gpu * work / peak
    else:
        seconds = count * unit["threshold_image"] / compute.threads
    stored = count * _MASK_BYTES * settings.image_size
    return Job("segment_foreground", method, class_name, seconds, gpu, compute.threads, stored, floor=floor)


def _mvanet_tflop(settings: Segmentation) -> float:
    """Of an image."""
    passes = 2 if settings.test_time_flip else 1
    sides = [scale * settings.image_size / 1024 for scale in settings.test_time_scales]
    return passes * sum(side**_MVANET_POWER for side in sides) * _MVANET_GFLOP / 1e3


def _method_jobs(
    config: Config, unit: Mapping[str, float], runs: Sequence[Run], images: Mapping[str, Images]
) -> Iterator[Job]:
    """Trainings, each once where experiments share it, and scorings."""

    @cache
    def cost_of(name: str, class_name: str) -> Cost | None:
        experiment = config.experiment(name, class_name)
        shapes = {features: feature_cost(config.features[features])[0] for features in experiment.needs.features}
        return _cost(experiment, replace(images[class_name], features=shapes))

    def job(rule: str, name: str, class_name: str) -> Job:
        experiment, cost = config.experiment(name, class_name), cost_of(name, class_name)
        gpu, training = experiment.compute.device != "cpu", rule == "train_model"
        threads = experiment.compute.threads + (experiment.compute.workers if experiment.needs.images else 0)
        kept = config.keep.models if training else config.keep.scores
        if cost is None:
            return Job(rule, name, class_name, None, gpu, threads, None, kept)
        test = images[class_name].test
        rate, peak = gpu_speed(unit, *(("training", cost.precision) if training else ("scoring", "float32")))
        models = 1 + experiment.stages
        work, size = (
            (cost.training_tflop, models * cost.model_bytes)
            if training
            else (models * test * cost.scoring_tflop, models * test * cost.map_bytes)
        )
        speed = rate if gpu else unit["cpu_tflops"] * experiment.compute.threads
        others = {label: tflop / speed for label, tflop in cost.alternatives.items()} if training else {}
        return Job(rule, name, class_name, work / speed, gpu, threads, size, kept, models, others, gpu * work / peak)

    trained = dict.fromkeys((config.trained_as(*run), *run[1:]) for run in runs)
    shared = {name: config.trained_together(name) for name in dict.fromkeys(run[0] for run in trained)}
    yield from (job("train_model", *run[:2]) for run in trained if run[2] not in shared[run[0]])
    for name, class_name in dict.fromkeys(run[:2] for run in trained if run[2] in shared[run[0]]):
        yield _of_seeds(len(shared[name]), job("train_model", name, class_name))
    yield from (job("score_samples", name, class_name) for name, class_name, _ in runs)


def _of_seeds(count: int, one: Job) -> Job:
    """A job that makes the trainings of so many seeds; its process starts once."""
    seconds, size = (None if value is None else count * value for value in (one.seconds, one.bytes))
    return replace(one, rule="train_seeds", seconds=seconds, bytes=size, floor=count * one.floor, seeds=count)


def _cost(experiment: Experiment, images: Images) -> Cost | None:
    """What the method says that a class and seed cost; None where it says nothing."""
    return ask(experiment.method, "cost", Cost, experiment.settings, images)
