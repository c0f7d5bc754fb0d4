"""What a piece of work takes: time, memory, GPU memory."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from multiflow.base.devices import device_name

__all__ = ["Meter", "Usage", "peak_memory"]


@dataclass(frozen=True)
class Usage:
    """What a piece of work took.

    Attributes:
        seconds: by the clock.
        memory: the most that its process held at a time, bytes; processes that it started are not counted.
        gpu_memory: the most that torch held of the GPU, bytes; None on a CPU.
    """

    seconds: float
    memory: int
    gpu_memory: int | None = None


class Meter:
    """Measures from its making on.

    Args:
        device: where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._before = device, Usage(0.0, 0)
        self._started = time.monotonic()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def add(self, before: Usage) -> None:
        """Count what an earlier attempt at the same work took until the state from which this one goes on."""
        self._before = before

    def read(self) -> Usage:
        """What it took until now, all attempts together."""
        before = self._before
        held = torch.cuda.max_memory_reserved(self._device) if self._device.type == "cuda" else None
        return Usage(
            round(before.seconds + time.monotonic() - self._started, 3),
            max(before.memory, peak_memory()),
            max(held or 0, before.gpu_memory or 0) if held is not None or before.gpu_memory is not None else None,
        )

    def record(self, threads: int, samples: int) -> dict[str, Any]:
        """What it took and where, as values that JSON can hold.

        Args:
            threads: CPU threads that computed.
            samples: how many samples the work was done with.
        """
        return {**asdict(self.read()), "device": device_name(self._device), "threads": threads, "samples": samples}


def peak_memory() -> int:
    """The most that this process ever held in memory, bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts in `ru_maxrss` what the process that started this one held, too.
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
