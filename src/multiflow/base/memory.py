"""How much memory is free, within the limits of the job, and how it becomes free."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

__all__ = ["free_bytes", "give_back_memory"]

_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device; on a CPU within the limit of the job, where it has one."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    own = psutil.Process().memory_info().rss
    return min([int(psutil.virtual_memory().available), *(limit - own for limit in _limits())])


def give_back_memory() -> None:
    """Give back what earlier work of this process held: torch keeps a GPU's memory, and models refer to themselves."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU was used


def _limits() -> Iterator[int]:
    """Limits of the memory of this process's control groups, as Slurm and systemd set them."""
    places = Path("/proc/self/cgroup")
    for line in places.read_text().splitlines() if places.is_file() else ():
        _, controllers, place = line.split(":", 2)
        # A system has the second version of them, whose one group has no controllers' names, or the first.
        kind = {"": ("", "memory.max"), "memory": ("memory", "memory.limit_in_bytes")}.get(controllers)
        if kind is None:
            continue
        folder = _CONTROL_GROUPS / kind[0] / place.lstrip("/")
        for group in (folder, *folder.parents):
            try:
                yield int((group / kind[1]).read_text())
            except (OSError, ValueError):  # none here, or "max"
                continue
