"""One training step of the flow beside a plain reference: time, operator calls, peak memory, result.

The reference is written as the equations are read: every message has its own convolution and its own padding
(26 convolutions in an st-network of five views), and views are a list. Both have the same parameters and see
the same batch. Each runs in a process of its own, one after the other:

1. a first step, and further ones with AdamW; the best time of each part over all steps is reported;
2. a step under torch.profiler, whose operator calls and memory are counted.

Operator calls are the calls of ``aten`` operators in forward and backward that reach a kernel: an operator
that PyTorch composes of others counts as those, a kernel counts once whatever it calls inside, views and
allocations don't count.
Peak memory is that of all tensors that are alive at once: parameters, gradients and intermediates. The
growth of the process's resident memory stands beside it: it adds what libraries and the allocator keep.

    PYTHONPATH=src python benchmarks/training_step.py              # full size: minutes, 5 GB
    PYTHONPATH=src python benchmarks/training_step.py --batch 2 --map 12 --channels 32 --hidden 16
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from multiflow.flow import MultiFlow, add_noise, loss, sample_noise
from multiflow.flow.released import export_released
from multiflow.views import camera_graph

VIEWS = 5
ALLOCATIONS = {
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
    *("resize_", "set_", "_unsafe_view"),
}


class PlainFlow(torch.nn.Module):
    """The same flow with a convolution and a padding per message, and views as a list."""

    def __init__(self, flow: MultiFlow) -> None:
        super().__init__()
        self.flow = [flow.channels, flow.clamp, flow.clamp_slope]
        self.neighbors = flow.graph.neighbors
        self.permutations = flow.permutations
        self.kernels = flow.kernels
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


def resident() -> float:
    """Return the process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak() -> float:
    """Return the largest resident memory of the process so far in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def measure(options: argparse.Namespace) -> None:
    """Measure one implementation in this process; write its results to a file and its numbers to stdout."""
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    shape = (options.batch, VIEWS, options.channels, options.map, options.map)
    noise, condition = sample_noise("simplenet", (shape[0], *shape[3:]), generator=generator)
    features = add_noise(torch.randn(shape, generator=generator), noise)
    before = resident()
    flow = MultiFlow(options.channels, camera_graph(VIEWS), hidden=options.hidden, generator=generator)
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if name.endswith("gamma"):
                parameter.uniform_(0.1, 0.5, generator=generator)
    model: torch.nn.Module = PlainFlow(flow) if options.implementation == "reference" else flow
    del flow
    # Without a learning rate all steps see the same parameters.
    optimizer = torch.optim.AdamW(model.parameters(), lr=0)
    times: dict[str, list[float]] = {"forward": [], "backward": [], "optimizer": []}

    def step() -> tuple[Tensor, Tensor]:
        optimizer.zero_grad()
        start = time.perf_counter()
        latents, log_determinant = model(features, condition)
        total = loss(latents, log_determinant)
        forward = time.perf_counter()
        total.backward()
        times["forward"].append(forward - start)
        times["backward"].append(time.perf_counter() - forward)
        return latents.detach(), log_determinant.detach()

    step()
    for _ in range(options.repeat):
        start = time.perf_counter()
        optimizer.step()
        times["optimizer"].append(time.perf_counter() - start)
        step()
    report = {
        **{name: min(seconds) for name, seconds in times.items()},
        "resident": peak() - before,
    }
    # The step itself makes the gradients, so that the profile sees them.
    model.zero_grad()
    with torch.profiler.profile(profile_memory=True) as profiler:
        latents, log_determinant = step()
    parameters = sum(parameter.nbytes for parameter in model.parameters())
    state = sum(tensor.nbytes for tensors in optimizer.state.values() for tensor in tensors.values())
    report["memory"] = (parameters + largest_allocation(profiler)) / 2**20
    report["memory_with_optimizer"] = report["memory"] + state / 2**20
    report["calls"] = operator_calls(profiler)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.grad)
    gradients = model.released() if isinstance(model, PlainFlow) else export_released(model)
    torch.save({"latents": latents, "log-determinant": log_determinant, **gradients}, options.output)
    print(json.dumps(report))


def largest_difference(ours: dict[str, Tensor], reference: dict[str, Tensor]) -> float:
    """Return the largest difference of a tensor, relative to its largest value."""
    return max(
        float((ours[name] - value).detach().abs().max() / value.detach().abs().max())
        for name, value in reference.items()
    )


def main() -> None:
    """Measure both implementations and print them side by side."""
    parser = argparse.ArgumentParser(description="One training step of the flow beside a plain reference.")
    parser.add_argument("--batch", type=int, default=8, help="samples in a batch")
    parser.add_argument("--map", type=int, default=24, help="height and width of a feature map")
    parser.add_argument("--channels", type=int, default=304, help="channels of a feature map, even")
    parser.add_argument("--hidden", type=int, default=64, help="channels inside of the st-networks")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2, help="timed steps after the first; the best counts")
    parser.add_argument("--calls", action="store_true", help="list the operator calls by name")
    parser.add_argument("--implementation", choices=("ours", "reference"), help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.implementation:
        measure(options)
        return

    print(
        f"one training step: {options.batch} samples x {VIEWS} views, {options.channels} x {options.map} x "
        f"{options.map}, float32, {options.threads} threads, torch {torch.__version__}",
        flush=True,
    )
    reports, results = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("ours", "reference"):
            output = f"{folder}/{name}.pt"
            command = [sys.executable, __file__, *sys.argv[1:], "--implementation", name, "--output", output]
            # The profiler's library writes notes to stderr.
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stderr}")
            reports[name] = json.loads(done.stdout.splitlines()[-1])
            results[name] = torch.load(output, weights_only=True)
    ours, reference = reports["ours"], reports["reference"]
    for report in reports.values():
        report["step"] = report["forward"] + report["backward"]
        report["all_calls"] = sum(report["calls"].values())
    rows = [
        ("forward", "forward", "s"),
        ("backward", "backward", "s"),
        ("forward and backward", "step", "s"),
        ("optimizer (AdamW)", "optimizer", "s"),
        ("operator calls, forward and backward", "all_calls", ""),
        ("peak memory, forward and backward", "memory", "MiB"),
        ("peak memory, with AdamW's state", "memory_with_optimizer", "MiB"),
        ("growth of resident memory, with AdamW", "resident", "MiB"),
    ]
    print(f"{'':40}{'ours':>10}{'reference':>12}{'ratio':>9}")
    for title, key, unit in rows:
        number = ".2f" if unit == "s" else ".0f"
        ratio = ours[key] / reference[key]
        print(f"{title:40}{ours[key]:>10{number}}{reference[key]:>12{number}}{ratio:>9.0%} {unit}")
    difference = largest_difference(results["ours"], results["reference"])
    print(f"largest relative difference of latents, log-determinants and all gradients: {difference:.1e}")
    if options.calls:
        for name in sorted(ours["calls"].keys() | reference["calls"].keys()):
            print(f"  {name:36}{ours['calls'].get(name, 0):>10}{reference['calls'].get(name, 0):>12}")


if __name__ == "__main__":
    main()
