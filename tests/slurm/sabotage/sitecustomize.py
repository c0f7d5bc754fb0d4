"""What the fault tests put into the processes of a run; Python imports it at start when its folder is on PYTHONPATH.

- Snakemake asks for the states of its jobs every second. The Slurm plugin waits ten seconds longer after each time
  that nothing has ended, up to three minutes: right for a cluster, too long for a test.
- The cluster's GPUs are pretended. A job that was given one computes on the CPU.
- A training or scoring does what a file of its name in the folder ``sabotage`` says, see the functions below.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path("sabotage")


def freeze(orders: Path) -> None:
    """Stop here, once, until a fault ends the process."""
    orders.unlink()
    os.kill(os.getpid(), signal.SIGSTOP)


def fill_memory(orders: Path) -> None:
    """Hold two gigabytes for the seconds that the order names, in which Slurm ends the job; two seconds later on."""
    seconds = int(orders.read_text().split()[1])
    orders.write_text("memory 2")  # Slurm looks every second
    ballast = bytearray(2 << 30)
    # A page is held once it is written; a copy of other bytes would for a moment hold twice as much.
    for page in range(0, len(ballast), 4096):
        ballast[page] = 1
    time.sleep(seconds)
    del ballast


def break_gpu(orders: Path) -> None:
    """Fail as CUDA does, on one node."""
    import torch

    if os.environ["SLURMD_NODENAME"] == orders.read_text().split()[1]:
        raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")


def do_nothing(_: Path) -> None:
    """What this order says has been done when the process started."""


ORDERS = {"freeze": freeze, "memory": fill_memory, "gpu": break_gpu, "no-cuda": do_nothing}


def obey(name: str) -> None:
    """Do what the file says that the test wrote for this job."""
    orders = FOLDER / name
    if orders.exists():
        ORDERS[orders.read_text().split()[0]](orders)


def sabotage_training() -> None:
    """Faults strike after the first checkpoint."""
    from multiflow.methods.work import Work

    save = Work.save

    def save_and_obey(work: Work, state: Mapping[str, Any]) -> None:
        save(work, state)
        obey("train_model")

    Work.save = save_and_obey


def sabotage_scoring() -> None:
    """Faults strike when the scores are written, before the job ends."""
    from multiflow.methods import score

    write = score.write_scores

    def write_and_obey(*arguments: object) -> None:
        write(*arguments)
        obey("score_samples")

    score.write_scores = write_and_obey


def forget_gpu() -> None:
    """Not to know of the GPU that Slurm gave, but where it is to be missed, on one node; which it was is noted."""
    orders = FOLDER / "train_model"
    words = orders.read_text().split() if orders.exists() else []
    if words == ["no-cuda", os.environ.get("SLURMD_NODENAME")]:
        (FOLDER / "given").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
    else:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)


def hurry() -> None:
    """Ask for the states of the jobs every second."""
    import asyncio

    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    async def sleep(_: RemoteExecutor) -> None:
        await asyncio.sleep(1)

    RemoteExecutor.sleep = sleep


program = sys.orig_argv[-1]
if "/.snakemake/scripts/" in program:
    forget_gpu()
if program.endswith(".train_model.py"):
    sabotage_training()
elif program.endswith(".score_samples.py"):
    sabotage_scoring()
elif "--profile" in sys.orig_argv:
    hurry()
