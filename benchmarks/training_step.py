"""One training step of the flow beside a plain reference: time, operator calls, peak memory, result.

The reference is written as the equations are read: every message has its own convolution and its own padding
(26 convolutions in an st-network of five views), and views are a list. Both have the same parameters and see
the same batch. They take turns, so that a busy machine disturbs both; the best time of each part is reported.

Operator calls are the calls of ``aten`` operators in forward and backward that reach a kernel: an operator
that PyTorch composes of others counts as those, a kernel counts once whatever it calls inside, views and
allocations don't count. Peak memory is that of all tensors that are alive at once: parameters, gradients and
intermediates, without the batch. Both are read from a step under torch.profiler.

    PYTHONPATH=src python benchmarks/training_step.py              # full size: minutes, 4 GB
    PYTHONPATH=src python benchmarks/training_step.py --map 8 --channels 192 --hidden 32 --threads 1  # the demo's
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from multiflow.methods.multiflow.camera_graph import camera_graph
from multiflow.methods.multiflow.network import MultiFlow, add_noise, loss, sample_noise
from multiflow.methods.multiflow.released import RELEASED, export_released

VIEWS = 5
RESULTS = ("latents", "log-determinants", "loss")
ALLOCATIONS = {
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
    *("resize_", "set_", "_unsafe_view"),
}


class PlainFlow(torch.nn.Module):
    """The same flow with a convolution and a padding per message, and views as a list."""

    def __init__(self, flow: MultiFlow) -> None:
        super().__init__()
        self.flow = [flow.channels, flow.settings.clamp, flow.settings.clamp_slope]
        self.neighbors = flow.graph.neighbors
        self.permutations = flow.permutations
        self.names: dict[str, str] = {}
        for name, value in export_released(flow).items():
            self.names[name] = name.replace(".", "_")
            self.register_parameter(self.names[name], torch.nn.Parameter(value))

    def released(self) -> dict[str, Tensor]:
        """Return the parameters under their released names."""
        return {name: getattr(self, own) for name, own in self.names.items()}

    def convolve(self, name: str, maps: Tensor) -> Tensor:
        weight = getattr(self, self.names[f"{name}.weight"])
        padded = functional.pad(maps, [weight.shape[-1] // 2] * 4, mode="replicate")
        return torch.conv2d(padded, weight, getattr(self, self.names[f"{name}.bias"]))

    def network(self, name: str, halves: list[Tensor], condition: Tensor) -> list[Tensor]:
        hidden = [
            self.convolve(f"{name}.conv_scale{view}_0", torch.cat([half, condition], dim=1)).relu()
            for view, half in enumerate(halves)
        ]
        outputs = []
        for view, senders in enumerate(self.neighbors):
            output = self.convolve(f"{name}.conv_scale{view}_1", hidden[view])
            messages = []
            for sender in senders:
                if view == 0:
                    message = f"topview_down{sender - 1}"
                else:
                    message = f"topview_up{view - 1}" if sender == 0 else f"cross_conv{sender}{view}"
                messages.append(self.convolve(f"{name}.{message}", hidden[sender]))
            output = output + sum(messages[1:], messages[0]) / len(messages)
            outputs.append(output * getattr(self, self.names[f"{name}.gamma{view}"]))
        return outputs

    def transform(self, output: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        _, clamp, slope = self.flow
        channels = half.shape[1]
        log_scale = clamp * slope * torch.atan(output[:, :channels] / clamp)
        return torch.exp(log_scale) * half + output[:, channels:], log_scale.sum(dim=1)

    def forward(self, features: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        views = list(features.unbind(1))
        half = int(self.flow[0]) // 2
        totals: list[Any] = [0] * len(views)
        for block, permutation in enumerate(self.permutations):
            node = f"module_list.{7 + 2 * block}"
            permuted = [view[:, order] for view, order in zip(views, permutation, strict=True)]
            first = [view[:, :half] for view in permuted]
            second = [view[:, half:] for view in permuted]
            outputs = self.network(f"{node}.s2", second, condition)
            first, terms = zip(*map(self.transform, outputs, first), strict=True)
            totals = [total + term for total, term in zip(totals, terms, strict=True)]
            outputs = self.network(f"{node}.s1", list(first), condition)
            second, terms = zip(*map(self.transform, outputs, second), strict=True)
            totals = [total + term for total, term in zip(totals, terms, strict=True)]
            views = [torch.clamp(torch.cat(pair, dim=1), -1e6, 1e6) for pair in zip(first, second, strict=True)]
        return torch.stack(views, dim=1), torch.stack(totals, dim=1)


@cache
def kind(name: str) -> str:
    """Return whether an operator does work, is composed of others, or touches no element of a tensor."""
    packet = getattr(torch.ops.aten, name, None)
    if packet is None:
        return "composite"
    dispatched = set(torch._C._dispatch_get_all_op_names())
    overloads = [getattr(packet, overload) for overload in packet.overloads()]
    overloads = [overload for overload in overloads if overload.name() in dispatched]
    if any(
        torch._C._dispatch_has_kernel_for_dispatch_key(overload.name(), "CompositeImplicitAutograd")
        for overload in overloads
    ):
        return "composite"
    return "idle" if name in ALLOCATIONS or any(overload.is_view for overload in overloads) else "working"


def operator_calls(profiler: Any) -> Counter[str]:
    """Count the operators that do work in a profile, without those that they call themselves."""
    calls: Counter[str] = Counter()
    events = [event for event in profiler.events() if event.cpu_parent is None]
    while events:
        event = events.pop()
        name = event.name.removeprefix("aten::")
        if event.name.startswith("aten::") and kind(name) == "working":
            calls[name] += 1
        else:
            events += event.cpu_children
    return calls


def largest_allocation(profiler: Any) -> int:
    """Return by how many bytes the memory of all tensors grew at most during a profile."""
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


class Measurement:
    """The steps of one implementation and what was measured on them."""

    def __init__(self, model: torch.nn.Module, features: Tensor, condition: Tensor) -> None:
        self.model = model
        self.inputs = (features, condition)
        # Without a learning rate all steps see the same parameters.
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=0)
        self.forward: list[float] = []
        self.backward: list[float] = []
        self.update: list[float] = []
        self.calls: Counter[str] = Counter()
        self.memory = 0.0

    def step(self) -> dict[str, Tensor]:
        """Run and time forward and backward, and return latents, log-determinants and loss."""
        self.model.zero_grad()
        start = time.perf_counter()
        latents, log_determinant = self.model(*self.inputs)
        total = loss(latents, log_determinant)
        forward = time.perf_counter()
        total.backward()
        self.forward.append(forward - start)
        self.backward.append(time.perf_counter() - forward)
        return {name: value.detach() for name, value in zip(RESULTS, (latents, log_determinant, total), strict=True)}

    def optimize(self) -> None:
        """Run and time the optimizer."""
        start = time.perf_counter()
        self.optimizer.step()
        self.update.append(time.perf_counter() - start)

    def profile(self) -> dict[str, Tensor]:
        """Run a step under the profiler and return its results with the gradients under their released names."""
        # The step makes the gradients itself, so that the profile sees their memory.
        self.model.zero_grad()
        with torch.profiler.profile(profile_memory=True) as profiler:
            results = self.step()
        self.calls = operator_calls(profiler)
        parameters = sum(parameter.nbytes for parameter in self.model.parameters())
        self.memory = (parameters + largest_allocation(profiler)) / 2**20
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(parameter.grad)
        is_plain = isinstance(self.model, PlainFlow)
        return results | (self.model.released() if is_plain else export_released(self.model))

    @property
    def state(self) -> float:
        """Memory of the optimizer's state in MiB."""
        return sum(value.nbytes for values in self.optimizer.state.values() for value in values.values()) / 2**20


def differences(ours: dict[str, Tensor], reference: dict[str, Tensor]) -> dict[str, float]:
    """Return the largest difference of each result relative to its largest value, and that of all gradients.

    A single gradient can be a sum that nearly cancels; all are therefore compared by their common norm.
    Of the 18 million ReLUs of a full-size step one is sometimes so close to zero that rounding opens it in one
    implementation and closes it in the other: that alone changes the gradients by 1e-5 to 1e-4, as measured;
    without such a ReLU they differ by 2e-7, in float64 by 5e-16.
    """
    largest = {
        name: float((ours[name] - reference[name]).abs().max() / reference[name].abs().max()) for name in RESULTS
    }
    gradients = [name for name in reference if name not in RESULTS]
    error = torch.stack([(ours[name] - reference[name]).norm() for name in gradients]).norm()
    norm = torch.stack([reference[name].norm() for name in gradients]).norm()
    return {**largest, "gradients": float(error.detach() / norm.detach())}


def main() -> None:
    """Measure both implementations and print them side by side."""
    parser = argparse.ArgumentParser(description="One training step of the flow beside a plain reference.")
    parser.add_argument("--batch", type=int, default=8, help="samples in a batch")
    parser.add_argument("--map", type=int, default=24, help="height and width of a feature map")
    parser.add_argument("--channels", type=int, default=304, help="channels of a feature map, even")
    parser.add_argument("--hidden", type=int, default=64, help="channels inside of the st-networks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2, help="steps of each, before that under the profiler")
    parser.add_argument("--calls", action="store_true", help="list the operator calls by name")
    options = parser.parse_args()
    # The profiler would print a line whenever it starts, and one that there is no GPU.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    torch.set_num_threads(options.threads)
    print(
        f"one training step: {options.batch} samples x {VIEWS} views, {options.channels} x {options.map} x "
        f"{options.map}, float32, {options.threads} threads, torch {torch.__version__}",
        flush=True,
    )
    generator = torch.Generator().manual_seed(0)
    shape = (options.batch, VIEWS, options.channels, options.map, options.map)
    settings = RELEASED.model_copy(update={"hidden": options.hidden})
    noise, condition = sample_noise(settings, shape, generator)
    features = add_noise(torch.randn(shape, generator=generator), noise)
    flow = MultiFlow(options.channels, camera_graph(VIEWS), settings, generator=generator)
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if name.endswith("gamma"):
                parameter.uniform_(0.1, 0.5, generator=generator)
    ours, reference = measurements = [Measurement(model, features, condition) for model in (flow, PlainFlow(flow))]
    for _ in range(options.repeat):
        for measurement in measurements:
            measurement.step()
            measurement.optimize()
    results = [measurement.profile() for measurement in measurements]

    rows: list[tuple[str, str, Callable[[Measurement], float]]] = [
        ("forward", "s", lambda measured: min(measured.forward)),
        ("backward", "s", lambda measured: min(measured.backward)),
        (
            "forward and backward",
            "s",
            lambda measured: min(map(sum, zip(measured.forward, measured.backward, strict=True))),
        ),
        ("optimizer (AdamW)", "s", lambda measured: min(measured.update)),
        ("operator calls, forward and backward", "", lambda measured: sum(measured.calls.values())),
        ("peak memory, forward and backward", "MiB", lambda measured: measured.memory),
        ("peak memory, with AdamW's state", "MiB", lambda measured: measured.memory + measured.state),
    ]
    print(f"{'':40}{'ours':>10}{'reference':>12}{'ratio':>9}")
    for title, unit, value in rows:
        number = ".2f" if unit == "s" else ".0f"
        found, expected = value(ours), value(reference)
        print(f"{title:40}{found:>10{number}}{expected:>12{number}}{found / expected:>9.0%} {unit}")
    print("relative differences:", ", ".join(f"{name} {error:.1e}" for name, error in differences(*results).items()))
    if options.calls:
        for name in sorted(ours.calls.keys() | reference.calls.keys()):
            print(f"  {name:38}{ours.calls[name]:>10}{reference.calls[name]:>12}")


if __name__ == "__main__":
    main()
