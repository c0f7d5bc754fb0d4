"""How fast a device computes what the pipeline computes, at the paper's sizes or smaller; `gpu.py` runs it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import timm
import torch
from gpu_parity import precision
from torch.profiler import ProfilerActivity, profile
from training_step import PlainFlow

from multiflow.features.backbone import Backbone
from multiflow.features.cost import feature_cost
from multiflow.features.settings import FeatureSet
from multiflow.foreground.mvanet.network import MVANet
from multiflow.methods.contract import FeatureShape
from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.cost import flow_tflop
from multiflow.methods.multiflow.network import MultiFlow, loss
from multiflow.methods.multiflow.released import RELEASED

__all__ = ["Sizes", "Speed", "cuda_start", "speeds"]

_VIEWS = 5
_PAPER = FeatureShape(304, 24, 24)
_PASSES = 3  # of which the fastest counts


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Args:
        picture: side of the extractor's input, px.
        mask: side of MVANet's input, px.
        features: of the flow.
        samples: of a training step.
        hidden: channels of the st-networks.
        batches: images that go through a network together.
    """

    picture: int = 768
    mask: int = 1024
    features: FeatureShape = _PAPER
    samples: int = 8
    hidden: int = 64
    batches: tuple[int, ...] = (1, 5, 20)


@dataclass(frozen=True)
class Speed:
    """One measured speed.

    Args:
        name: what was computed.
        precision: in which precision.
        unit: what a second brings.
        rate: how many of them.
        tflops: counted work a second, TFLOP/s; None where it was not counted.
        memory: largest memory of tensors on a GPU, MiB.
        launches: kernels that a step starts on a GPU.
        idle: share of the time in which a GPU computes nothing.
    """

    name: str
    precision: str
    unit: str
    rate: float
    tflops: float | None = None
    memory: float | None = None
    launches: int | None = None
    idle: float | None = None


def speeds(device: torch.device, sizes: Sizes, kinds: tuple[str, ...]) -> Iterator[Speed]:
    """Measure extractor, MVANet, training step (beside the plain reference) and scoring."""
    gflop = feature_cost(FeatureSet(image_size=sizes.picture))[1]
    backbone = Backbone(timm.create_model("tf_efficientnet_b5"), "blocks.5", (0.5,) * 3, (0.2,) * 3).to(device)
    yield from _networks("extractor", backbone, sizes.picture, gflop / 1e3, device, sizes, kinds)
    del backbone
    # The counted work of MVANet is known for its own size alone.
    tflop = 2.151 if sizes.mask == 1024 else None
    yield from _networks("MVANet", MVANet().eval().to(device), sizes.mask, tflop, device, sizes, kinds)
    yield from _trainings(device, sizes, kinds)


def cuda_start(device: torch.device) -> float:
    """Seconds from the start of a process, torch imported, until it has computed on a device."""
    code = (
        "import time, torch; started = time.perf_counter(); torch.ones(8, device='{device}').sum().item(); "
        "print(time.perf_counter() - started)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code.format(device=device.type)], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


def _networks(
    name: str,
    network: torch.nn.Module,
    side: int,
    tflop: float | None,
    device: torch.device,
    sizes: Sizes,
    kinds: tuple[str, ...],
) -> Iterator[Speed]:
    for batch in sizes.batches:
        images = torch.rand(batch, 3, side, side, device=device)
        for kind in kinds:
            with precision(kind, device), torch.inference_mode():
                seconds, memory = _fastest(lambda images=images: network(images), device)
            rate = batch / seconds
            yield Speed(f"{name}, batch {batch}", kind, "images", rate, tflop and rate * tflop, memory)


def _trainings(device: torch.device, sizes: Sizes, kinds: tuple[str, ...]) -> Iterator[Speed]:
    shape = sizes.features
    settings = RELEASED.model_copy(update={"hidden": sizes.hidden})
    flow = MultiFlow(shape.channels, camera_graph(_VIEWS), settings)
    work = sizes.samples * flow_tflop(settings, shape, _VIEWS)
    plain = PlainFlow(flow).to(device)
    plain.permutations = plain.permutations.to(device)
    features = torch.randn(sizes.samples, _VIEWS, shape.channels, shape.height, shape.width, device=device)
    condition = torch.zeros(sizes.samples, 1, shape.height, shape.width, device=device)
    for name, model in (("training step", flow.to(device)), ("training step, plain reference", plain)):
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)

        def step(model: torch.nn.Module = model, optimizer: torch.optim.Optimizer = optimizer) -> None:
            optimizer.zero_grad(set_to_none=True)
            mean = loss(*model(features, condition))
            with torch.autocast(device.type, enabled=False):  # as a training calls it
                mean.backward()
                optimizer.step()

        for kind in kinds:
            with precision(kind, device):
                seconds, memory = _fastest(step, device)
                launches, idle = _kernels(step, device)
            yield Speed(name, kind, "steps", 1 / seconds, 3 * work / seconds, memory, launches, idle)
    with precision("float32", device), torch.inference_mode():
        seconds, memory = _fastest(lambda: flow(features[:1], condition[:1]), device)
    yield Speed("scoring", "float32", "samples", 1 / seconds, work / sizes.samples / seconds, memory)


def _fastest(compute: Callable[[], object], device: torch.device) -> tuple[float, float | None]:
    """Seconds of the fastest of some passes after one that is not counted, and the peak memory on a GPU, MiB."""
    gpu = device.type == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    compute()
    seconds = []
    for _ in range(_PASSES):
        if gpu:
            torch.cuda.synchronize()
        started = time.perf_counter()
        compute()
        if gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds), torch.cuda.max_memory_allocated() / 2**20 if gpu else None


def _kernels(step: Callable[[], object], device: torch.device) -> tuple[int | None, float | None]:
    """Kernels of a step, and the share of its time in which none runs; a CPU has neither."""
    if device.type != "cuda":
        return None, None
    torch.cuda.synchronize()
    started = time.perf_counter()
    step()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        step()
        torch.cuda.synchronize()
    kernels = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    busy = sum(event.time_range.elapsed_us() for event in kernels) / 1e6
    return len(kernels), max(0.0, 1 - busy / seconds)
