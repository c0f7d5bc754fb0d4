"""A small job in every place that a run uses: what its nodes see.

``python -m multiflow.cluster.probe <folder> [<data set>]`` is that job: it writes what it finds into the folder, where
the process that submitted it reads it, so that both ways of the shared file system are seen.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from multiflow.base.gpu_support import INSTALL_OTHER, describe_build, describe_cards
from multiflow.cluster.site import PROFILE, Finding, bad, good
from multiflow.cluster.slurm import Request, ask

__all__ = ["look_around", "probe_nodes"]

_MESSAGE, _ANSWER = "from-here", "from-there"
_SHARED = "this folder and the environment must be where all nodes see them: MULTIFLOW_ENVS=<shared folder> make env"


def probe_nodes(requests: Sequence[Request], results: Path, seconds: float, data: str | None = None) -> list[Finding]:
    """Submit a job to every place that the requests name and report what its node says.

    Jobs that have not ended after ``seconds`` are cancelled and reported as such.

    Args:
        requests: what the rules ask for.
        results: the folder that all jobs write below.
        seconds: how long to wait for all of them together.
        data: the folder of the data set; None where the run makes its own.
    """
    places = list(dict.fromkeys(request.small() for request in requests))
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=results, prefix=".site-check-", ignore_cleanup_errors=True) as name:
        probes = [_Probe(place, Path(name).resolve() / str(index), data) for index, place in enumerate(places)]
        for probe in probes:
            probe.submit()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not all(probe.has_ended() for probe in probes):
            time.sleep(1)
        return [finding for probe in probes for finding in probe.findings(seconds)]


class _Probe:
    """One job, its folder and what became of it."""

    def __init__(self, place: Request, folder: Path, data: str | None) -> None:
        self._place = place
        self._folder = folder
        self._data = data
        self._job = ""
        self._problem = ""
        gpu = "with GPU" if place.wants_gpu else "without GPU"
        self._name = f"node of {place.partition or 'the default partition'} {gpu}"

    def submit(self) -> None:
        """Submit the job, as the plugin does: a batch script that starts one step."""
        self._folder.mkdir()
        (self._folder / _MESSAGE).write_text(self._folder.parent.name)
        gpu = [f"--gpus={self._place.gpus}"] if self._place.gpus else []
        step = ["srun", "-n1", "--cpu-bind=q", "--cpus-per-task=1", *gpu, "--nodes=1"]
        python = [sys.executable, "-m", "multiflow.cluster.probe", str(self._folder), *filter(None, [self._data])]
        source = str(Path(__file__).parents[2])
        answer = ask(
            "sbatch",
            "--parsable",
            "--job-name=multiflow-site-check",
            f"--output={self._folder}/log",
            *self._place.options(),
            f"--wrap=export PYTHONPATH={shlex.quote(source)}; {shlex.join(step + python)}",
        )
        self._job = answer.output.split(";")[0].strip()
        if not answer.ok:
            self._problem = f"sbatch refused the job ({answer.reason})"

    def has_ended(self) -> bool:
        """Whether there is an answer, or none will come."""
        if self._problem or self._answer() is not None:
            return True
        state = self._state()
        if state and state[0] not in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "COMPLETED"):
            self._problem = f"the job ended as {state[0]} ({self._last_line()}); {_SHARED}"
        elif not state or state[0] == "COMPLETED":
            # Its last file may be on its way.
            os.listdir(self._folder)
        return bool(self._problem)

    def findings(self, seconds: float) -> list[Finding]:
        """What the job found; cancels one that has not ended."""
        answer = self._answer()
        if answer is not None:
            return _judge(self._name, answer, self._folder.parent.name, self._data, wants_gpu=self._place.wants_gpu)
        if self._problem:
            return [bad(f"{self._name}: {self._problem}")]
        state = self._state()
        ask("scancel", self._job)
        if state and state[0] == "PENDING":
            return [
                bad(
                    f"{self._name}: the job is still pending after {seconds:.0f} s ({state[1]}): nothing is known "
                    "about it yet; check again when the queue is shorter",
                )
            ]
        return [
            bad(
                f"{self._name}: the job is {state[0].lower() if state else 'gone'} after {seconds:.0f} s, no answer "
                f"in {self._folder.parents[1]} ({self._last_line()}); {_SHARED}",
            )
        ]

    def _answer(self) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = json.loads((self._folder / _ANSWER).read_text())
        except (OSError, ValueError):
            return None
        return answer

    def _state(self) -> list[str]:
        """The job's state and the reason for it; nothing where Slurm does not know."""
        answer = ask("squeue", "--noheader", "--states=all", "--format=%T|%r", f"--jobs={self._job}")
        return answer.output.strip().split("|") if answer.ok and answer.output.strip() else []

    def _last_line(self) -> str:
        try:
            lines = [line.strip() for line in (self._folder / "log").read_text().splitlines() if line.strip()]
        except OSError:
            return "no log"
        # srun adds how its task ended; what the task said stands above.
        said = [line for line in lines if not re.match(r"srun: |slurmstepd: ", line)]
        return said[-1] if said else lines[0] if lines else "empty log"


def _judge(name: str, answer: dict[str, Any], message: str, data: str | None, wants_gpu: bool) -> list[Finding]:
    """Lines about one node."""
    place = f"{name} ({answer['host']})"
    findings = []
    if answer["message"] == message:
        findings.append(good(f"{place}: shared file system seen there and back"))
    else:
        findings.append(bad(f"{place}: does not see files written here; {_SHARED}"))
    if not answer["data"]:
        findings.append(
            bad(f"{place}: does not see the data set, {data}; set dataset.root to a folder that all nodes see")
        )
    here = {"python": platform.python_version(), "torch": version("torch")}
    there = {package: answer[package] for package in here}
    if there == here:
        findings.append(good(f"{place}: environment imported, Python {here['python']}, torch {here['torch']}"))
    else:
        findings.append(
            bad(
                f"{place}: environment: here Python {here['python']}, torch {here['torch']}; there {there['python']}, "
                f"{there['torch']}; {_SHARED}",
            )
        )
    if wants_gpu and answer["cuda"]:
        findings.append(good(f"{place}: CUDA sees {answer['cuda']}"))
    elif wants_gpu:
        findings.append(
            bad(
                f"{place}: CUDA does not compute on the GPU ({answer['cuda_problem']}; "
                f"CUDA_VISIBLE_DEVICES={answer['visible']}); the GPU: {answer['cards']}; {answer['build']}; where one "
                f"is too old for the other, {INSTALL_OTHER}, or name another gpu_model at the top of {PROFILE}",
            )
        )
    return findings


def look_around(folder: Path, data: str | None) -> dict[str, Any]:
    """What this machine sees: the submitter's file, the data set, Python, torch and the GPU."""
    found: dict[str, Any] = {"host": platform.node(), "python": platform.python_version(), "torch": None}
    try:
        found["message"] = (folder / _MESSAGE).read_text()
    except OSError:
        found["message"] = None
    found |= {
        "data": data is None or os.path.isdir(data),
        "cuda": None,
        "cards": describe_cards(),
        "build": "torch cannot be imported",
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "cuda_problem": "torch cannot be imported",
    }
    try:
        import torch

        found |= {"torch": version("torch"), "build": describe_build()}
        try:
            torch.cuda.init()
            torch.zeros(1, device="cuda").add(1).item()  # a computation, since memory alone needs no code for the card
            found |= {"cuda": torch.cuda.get_device_name(), "cuda_problem": None}
        except (RuntimeError, AssertionError) as error:
            found["cuda_problem"] = str(error).split(". ")[0].splitlines()[0]
    except (ImportError, OSError) as error:
        found["torch"] = f"torch that cannot be imported ({error})"
    return found


def main() -> None:
    """Answer into the folder, whole or not at all."""
    folder = Path(sys.argv[1])
    answer = json.dumps(look_around(folder, sys.argv[2] if len(sys.argv) > 2 else None))
    partial = folder / f"{_ANSWER}.partial"
    partial.write_text(answer)
    os.replace(partial, folder / _ANSWER)


if __name__ == "__main__":
    main()
