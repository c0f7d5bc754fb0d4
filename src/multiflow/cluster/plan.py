"""What a run will cost before it is submitted: jobs, GPU-hours, CPU-hours and disk, station by station.

Jobs come from the configuration, images from the data set where it is there. Work is counted in floating-point
operations, which follow from the shapes of the networks; how many of them a second brings is measured on a CPU and
assumed for a GPU (``costs.csv`` beside this file says which is which). Where an earlier run left the times of its jobs,
they take the place of both.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from multiflow.annotations import find_annotations
from multiflow.config import Config, Features, Flow, Foreground, resolve_experiment
from multiflow.errors import InputError
from multiflow.views import camera_graph

__all__ = [
    "Cost",
    "Images",
    "Job",
    "count_images",
    "flow_parameters",
    "flow_tflop",
    "load_costs",
    "plan",
    "render_plan",
]

# Channels, stride and GFLOP of an image of 768 px at the node where the features are taken, counted by
# torch.utils.flop_counter.
_BACKBONES = {
    ("tf_efficientnet_b5.aa_in1k", "blocks.5"): (304, 32, 45.0),
    ("tf_efficientnet_lite0.in1k", "blocks.5"): (192, 32, 7.8),
}
# GFLOP of one pass of MVANet at 1024 px, counted likewise, and the power of the side by which it grows: counted are
# 1064 at 768 px and 3715 at 1280 px.
_MVANET_GFLOP, _MVANET_POWER = 2151, 2.45
_REAL_IAD = (7293 / 30, 22917 / 30)  # training and test samples of a class, on average
_MASK_BYTES = 2000  # of a compressed mask of 256 px


@dataclass(frozen=True)
class Cost:
    """One line of ``costs.csv``.

    Args:
        value: seconds, or TFLOP/s.
        kind: ``measured`` or ``assumed``.
        source: on what, and how.
    """

    value: float
    kind: str
    source: str


@dataclass(frozen=True)
class Images:
    """Samples of a class.

    Args:
        train: training samples.
        test: test samples.
        views: images of a sample.
    """

    train: float
    test: float
    views: int

    @property
    def count(self) -> float:
        """Images of the class."""
        return (self.train + self.test) * self.views


@dataclass(frozen=True)
class Job:
    """One job of the run.

    Args:
        rule: its rule.
        key: experiment and class, by which jobs are submitted together.
        seconds: of its script.
        gpu: whether it holds a GPU.
        threads: CPUs that it holds.
        bytes: that it writes.
        kept: whether they stay when the run has ended.
    """

    rule: str
    key: tuple[str, ...]
    seconds: float
    gpu: bool
    threads: int
    bytes: float
    kept: bool = True


def load_costs() -> dict[str, Cost]:
    """The costs that the package knows, by name."""
    with (files("multiflow.cluster") / "costs.csv").open(encoding="utf-8") as stream:
        return {row["name"]: Cost(float(row["value"]), row["kind"], row["source"]) for row in csv.DictReader(stream)}


def count_images(config: Config) -> tuple[dict[str, Images], str]:
    """Images of every class, and where the numbers come from.

    A data set that is not there is taken to be as large as Real-IAD's classes are on average.
    """
    views = len(config.dataset.cameras)
    if config.rendering is not None:
        settings = config.rendering
        images = Images(settings.train, settings.test_ok + settings.test_ng, views)
        return dict.fromkeys(config.dataset.classes, images), "the configuration's rendering"
    root = Path(config.dataset.root or "")
    folder = root / config.dataset.annotations
    found, missing = {}, 0
    for name in config.dataset.classes:
        try:
            path = find_annotations(config.dataset, root, name)
        except InputError:
            missing += 1
            found[name] = Images(*_REAL_IAD, views)
            continue
        records = json.loads(path.read_text(encoding="utf-8"))
        found[name] = Images(len(records["train"]) / views, len(records["test"]) / views, views)
    if missing:
        return found, f"Real-IAD's averages for {missing} of {len(found)} classes, which are not in {folder}"
    return found, f"the records in {folder}"


def flow_parameters(flow: Flow, channels: int, views: int) -> int:
    """Parameters of a flow, without building it."""
    messages = len(camera_graph(views, flow.connections).edges)
    hidden, condition = flow.hidden, 0 if flow.noise == "none" else 1 if flow.noise_shape == "map" else channels
    total = 0
    for kernel in flow.kernels:
        first = (channels // 2 + condition) * hidden * kernel**2 + hidden
        second = hidden * channels * kernel**2 + channels
        total += 2 * (views * (first + flow.gamma) + (views + messages) * second)
        if flow.fusion != "conv2d":
            # Query, key, value and output of the attention, and the layer norm.
            total += 2 * messages * (4 * (hidden**2 + hidden) + 2 * hidden)
    return total


def flow_tflop(flow: Flow, channels: int, views: int, side: int) -> float:
    """Operations of a sample's way through a flow, TFLOP: every weight once at every position, and the attention."""
    positions = side**2
    operations = 2.0 * positions * flow_parameters(flow, channels, views)
    if flow.fusion != "conv2d":
        messages = len(camera_graph(views, flow.connections).edges)
        operations += 2 * flow.blocks * messages * 4 * positions**2 * flow.hidden
    return operations / 1e12


def plan(config: Config, costs: dict[str, Cost] | None = None, measured: Path | None = None) -> list[Job]:
    """All jobs of a run that take time.

    Args:
        config: the run.
        costs: by default those of the package.
        measured: ``benchmarks`` folder of an earlier run; the mean of a rule's jobs there replaces what is computed.
    """
    jobs = list(_jobs(config, {name: cost.value for name, cost in (costs or load_costs()).items()}))
    times = _measured_seconds(measured) if measured is not None else {}
    return [replace(job, seconds=times.get(job.rule, job.seconds)) for job in jobs]


def written_bytes(config: Config, jobs: Mapping[str, int]) -> float:
    """What so many jobs of each rule leave on disk."""
    planned, total = plan(config), 0.0
    for rule, count in jobs.items():
        sizes = [job.bytes * job.kept for job in planned if job.rule == rule]
        if sizes:
            total += count * sum(sizes) / len(sizes)
    return total


def starting_seconds(job: Job, costs: dict[str, Cost]) -> tuple[float, float]:
    """What a job takes beside its work: for its process, and for a submission of its own."""
    return costs["process_start"].value + job.gpu * costs["cuda_start"].value, costs["submission_start"].value


def render_plan(config: Config, costs: dict[str, Cost] | None = None, measured: Path | None = None) -> str:
    """The plan as a table in Markdown, with what it rests on."""
    costs = costs or load_costs()
    jobs = plan(config, costs, measured)
    rows = ["| station | jobs | a job, s | GPU-hours | CPU-hours | disk, GB |", "| --- | --: | --: | --: | --: | --: |"]
    for rule in dict.fromkeys(job.rule for job in jobs):
        rows.append(_row(f"`{rule}`", [job for job in jobs if job.rule == rule], costs))
    rows.append(_row("all", jobs, costs))
    separate, together = _submissions(jobs, grouped=False), _submissions(jobs, grouped=True)
    ways = [
        f"{name}: {count:,} submissions, {_starting_hours(jobs, costs, grouped=grouped):.1f} GPU-hours of starting"
        for name, grouped, count in (
            ("each job alone", False, separate),
            ("the seeds of a class and experiment together (`group_seeds`)", True, together),
        )
    ]
    assumed = "; ".join(
        f"{name} {cost.value:g} ({cost.source})" for name, cost in costs.items() if cost.kind == "assumed"
    )
    notes = [
        f"Submitted {ways[0]}; {ways[1]}.",
        f"Images: {count_images(config)[1]}.",
        f"Times: {_times_source(jobs, measured)} Assumed: {assumed}.",
        "Starting is counted, waiting in the queue is not; figures, tables and the report take minutes.",
        _checkpoints(jobs),
        *_deleted(jobs),
    ]
    return "\n".join([*rows, "", *(f"- {note}" for note in notes)]) + "\n"


def _row(name: str, jobs: list[Job], costs: dict[str, Cost]) -> str:
    seconds = [job.seconds + sum(starting_seconds(job, costs)) for job in jobs]
    gpu = sum(total for job, total in zip(jobs, seconds, strict=True) if job.gpu) / 3600
    cpu = sum(total * job.threads for job, total in zip(jobs, seconds, strict=True)) / 3600
    size = sum(job.bytes for job in jobs if job.kept) / 1e9
    return f"| {name} | {len(jobs):,} | {sum(seconds) / len(jobs):,.0f} | {gpu:,.1f} | {cpu:,.1f} | {size:,.1f} |"


def _submissions(jobs: Iterable[Job], grouped: bool) -> int:
    """How often sbatch is called: once a job, or once for all flows of a class and experiment."""
    if not grouped:
        return len(list(jobs))
    return len({(job.rule, job.key) if len(job.key) == 1 else job.key for job in jobs})


def _starting_hours(jobs: Iterable[Job], costs: dict[str, Cost], grouped: bool) -> float:
    """Hours in which a GPU is held and nothing is computed yet."""
    held = [job for job in jobs if job.gpu]
    processes = sum(starting_seconds(job, costs)[0] for job in held)
    return (processes + _submissions(held, grouped) * costs["submission_start"].value) / 3600


def _times_source(jobs: Iterable[Job], measured: Path | None) -> str:
    known = sorted(set(_measured_seconds(measured)) & {job.rule for job in jobs}) if measured is not None else []
    if known:
        return f"{', '.join(known)} as measured in {measured}; the others from src/multiflow/cluster/costs.csv."
    return "src/multiflow/cluster/costs.csv."


def _checkpoints(jobs: Iterable[Job]) -> str:
    largest = max((job.bytes for job in jobs if job.rule == "train_flow"), default=0.0)
    return f"Each training that runs keeps a checkpoint of up to {3 * largest / 1e9:.2f} GB until it ends."


def _deleted(jobs: Sequence[Job]) -> list[str]:
    """What the run needs disk for, but for a while only."""
    sizes: dict[str, float] = {}
    for job in jobs:
        if not job.kept:
            sizes[job.rule] = sizes.get(job.rule, 0) + job.bytes
    if not sizes:
        return []
    listed = ", ".join(f"`{rule}` {size / 1e9:,.1f} GB" for rule, size in sizes.items())
    return [f"Written and deleted while the run goes on (`keep`): {listed}, of which a part is there at a time."]


def _jobs(config: Config, cost: dict[str, float]) -> Iterator[Job]:
    images, _ = count_images(config)
    features, foreground = config.features, config.foreground
    channels, side, gflop = _backbone(features)
    gpu = features.device != "cpu"
    speed = cost["gpu_float32_tflops"] if gpu else cost["cpu_tflops"] * features.threads
    resolved = {name: resolve_experiment(config, name) for name in config.experiments}
    methods = sorted({blocks.foreground.method for blocks in resolved.values()} - {"none"})
    for name, class_images in images.items():
        count = class_images.count
        if config.rendering is not None:
            size, strata = config.rendering.image_size, config.rendering.samples_per_pixel
            pixels = count * size**2 / 1e6
            yield Job(
                "render_class", (name,), pixels * cost["render_megapixel"] * strata**2 / 4, False, 1, pixels * 1e5
            )
        yield Job("flip_views", (name,), count * cost["check_image"], False, 1, count * 300)
        seconds = count * max(gflop / 1e3 / speed, cost["decode_image"] / max(1, features.workers))
        stored = count * channels * side**2 * (4 if features.dtype == "float32" else 2)
        threads = features.threads + features.workers
        yield Job("extract_features", (name,), seconds, gpu, threads, stored, config.keep.features)
        for method in methods:
            yield _segmentation(foreground, method, name, count, cost)
    for experiment, blocks in resolved.items():
        training = blocks.training
        gpu = training.device != "cpu"
        for name in config.classes_of(experiment):
            class_images = images[name]
            parameters = flow_parameters(blocks.flow, channels, class_images.views)
            forward = flow_tflop(blocks.flow, channels, class_images.views, side)
            batches = class_images.train / training.batch_size
            steps = training.epochs * (math.floor(batches) if training.drop_last else math.ceil(batches))
            on_cpu = cost["cpu_tflops"] * training.threads
            fast = cost["gpu_training_tflops" if training.tf32 or training.amp else "gpu_float32_tflops"]
            # Backward is twice forward.
            train = steps * training.batch_size * 3 * forward / (fast if gpu else on_cpu)
            scores = forward / (cost["gpu_float32_tflops"] if gpu else on_cpu)
            metrics = cost["metrics_sample" if blocks.evaluation.device == "cpu" else "gpu_metrics_sample"]
            evaluate = class_images.test * (scores + metrics)
            maps = class_images.test * class_images.views * side**2 * 4
            for _ in config.seeds_of(experiment):
                key = experiment, name
                yield Job("train_flow", key, train, gpu, training.threads, parameters * 4, config.keep.flows)
                yield Job("evaluate_flow", key, evaluate, gpu, training.threads, maps)


def _segmentation(foreground: Foreground, method: str, name: str, count: float, cost: dict[str, float]) -> Job:
    if method != "mvanet":
        seconds = count * cost["threshold_image"] / foreground.threads
        return Job("segment_foreground", (name,), seconds, False, foreground.threads, count * _MASK_BYTES)
    passes = 2 if foreground.test_time_flip else 1
    sides = [scale * foreground.image_size / 1024 for scale in foreground.test_time_scales]
    tflop = passes * sum(side**_MVANET_POWER for side in sides) * _MVANET_GFLOP / 1e3
    seconds = count * tflop / cost["gpu_float32_tflops"]
    return Job("segment_foreground", (name,), seconds, True, foreground.threads, count * _MASK_BYTES)


def _backbone(features: Features) -> tuple[int, int, float]:
    """Channels, side of the maps and GFLOP of an image."""
    known = _BACKBONES.get((features.backbone, features.node))
    channels, stride, gflop = known or _measure_backbone(features)
    side = math.ceil(features.image_size / stride)
    return channels, side, gflop * (features.image_size / 768) ** 2


def _measure_backbone(features: Features) -> tuple[int, int, float]:
    """The same for any backbone of timm, from its shapes alone: nothing is computed."""
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from multiflow.backbone import Backbone

    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        backbone = Backbone(timm.create_model(features.backbone), features.node, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        maps = backbone.to("meta")(torch.empty(1, 3, 768, 768))
    return maps.shape[1], 768 // maps.shape[2], counter.get_total_flops() / 1e9


def _measured_seconds(folder: Path) -> dict[str, float]:
    """Mean seconds of each rule's jobs, from the benchmark files of a run."""
    seconds = {}
    for rule in folder.iterdir() if folder.is_dir() else ():
        times = []
        for path in rule.rglob("*.tsv"):
            with open(path, newline="", encoding="utf-8") as stream:
                times += [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
        if times:
            seconds[rule.name] = sum(times) / len(times)
    return seconds
