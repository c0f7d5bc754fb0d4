"""Whether a Slurm cluster takes the jobs of a run: one line a check, what is good or what to change.

These checks submit nothing and take a second; they run before every run on Slurm, since most of what they find would
let Snakemake's Slurm plugin wait without end. :mod:`multiflow.cluster.probe` looks at the nodes themselves.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from multiflow.cluster.slurm import Answer, Partition, Request, ask, partitions

__all__ = ["OLDEST", "PROFILE", "Finding", "Settings", "bad", "check_site", "good"]

OLDEST = (22, 5)  # The oldest Slurm that the workflow was tried with.
PROFILE = "slurm/config.yaml"
_COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
_LONGEST_STATUS_INTERVAL = 180  # s; the plugin looks for finished jobs at least this often.
_TEST_SECONDS = 30.0  # In a long queue `sbatch --test-only` takes long: it works out when the job would start.
_TRIAL = 2**20  # bytes that are written to see whether a folder takes them.


@dataclass(frozen=True)
class Finding:
    """One line of the check.

    Args:
        good: whether the run can go on.
        text: what is there; or what is wrong, and what to change.
    """

    good: bool
    text: str

    def __str__(self) -> str:
        word = "ok  " if self.good else "FIX "
        if sys.stdout.isatty():
            word = f"\033[{32 if self.good else 31}m{word}\033[0m"
        return f"{word} {self.text}"


def good(text: str) -> Finding:
    """What is as it should be."""
    return Finding(True, text)


def bad(text: str) -> Finding:
    """What is wrong, and what to change."""
    return Finding(False, text)


@dataclass(frozen=True)
class Settings:
    """How Snakemake runs.

    Args:
        status_command: ``squeue`` or ``sacct``, by which the plugin learns that a job has ended.
        first_status_check: seconds before the plugin first looks.
        results: the folder that all jobs write below.
        needed_bytes: what they will write.
        unknown_rules: rules that the profile sets resources of, and that do not exist.
        missing_data: what the data set lacks, a line each.
    """

    status_command: str
    first_status_check: int
    results: Path
    needed_bytes: float = 0
    unknown_rules: Sequence[str] = ()
    missing_data: Sequence[str] = ()


def check_site(requests: Sequence[Request], settings: Settings) -> list[Finding]:
    """Check everything that can be seen without submitting a job; each command has a time limit.

    Args:
        requests: what the rules ask for, on their first and last attempt.
        settings: how Snakemake runs.
    """
    missing = [command for command in _COMMANDS if shutil.which(command) is None]
    if missing:
        return [bad(f"commands: {', '.join(missing)} not on PATH; run Snakemake on a login node")]
    if settings.unknown_rules:
        # Such a rule's jobs lack what was meant for them; all else would be said of other jobs than those of the run.
        return [
            bad(
                f"set-resources: there is no rule {rule}, and Snakemake ignores it without a word; correct it in "
                f"{PROFILE}"
            )
            for rule in settings.unknown_rules
        ]
    findings = [bad(f"data set: {problem}") for problem in settings.missing_data]
    findings.append(_version(ask("sbatch", "--version")))
    configuration = ask("scontrol", "show", "config")
    if not configuration.ok:
        return [
            *findings,
            bad(f"controller: it does not answer ({configuration.reason}); try again when `sinfo` answers"),
        ]
    findings.append(_status(configuration.output, ask("sacct", "-X", "--noheader"), settings))
    listed = ask("scontrol", "show", "partition", "--oneliner")
    if not listed.ok:
        return [*findings, bad(f"partitions: Slurm does not list them ({listed.reason}); try again")]
    known = partitions(listed.output)
    refused, by_partition = set(), _by_partition(requests)
    for name, group in by_partition.items():
        finding = _partition(name, group, known)
        findings.append(finding)
        if not finding.good:
            refused.add(name)
    firsts = [request for request in requests if request.attempt == 1 and not refused & set(_names(request))]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(_try, firsts)
        findings += [_accepted(request, answer) for request, answer in zip(firsts, answers, strict=True)]
    return list(dict.fromkeys([*findings, _home(), _here(), _results(settings)]))


def _version(answer: Answer) -> Finding:
    found = re.search(r"(\d+)\.(\d+)\S*", answer.output)
    if found is None:
        return bad(f"version: sbatch --version says {answer.reason}; expected Slurm's version")
    if (int(found[1]), int(found[2])) < OLDEST:
        return bad(
            f"version: Slurm {found[0]} is older than {OLDEST[0]}.{OLDEST[1]:02d}, the oldest that was tried; "
            "`SKIP_SITE_CHECK=1 snakemake ...` runs without these checks",
        )
    return good(f"version: Slurm {found[0]}")


def _status(configuration: str, sacct: Answer, settings: Settings) -> Finding:
    """The plugin must be able to see that a job has ended; where it cannot, it waits without end."""
    found = re.search(r"^MinJobAge\s*=\s*(\d+)", configuration, re.MULTILINE)
    age = int(found[1]) if found else 0
    needed = max(_LONGEST_STATUS_INTERVAL, 3 * settings.first_status_check)
    if settings.status_command == "sacct":
        if sacct.ok:
            return good("status of jobs: sacct answers")
        return bad(
            f"status of jobs: sacct fails ({sacct.reason}), and Snakemake would wait without end; "
            f"set slurm-status-command: squeue in {PROFILE}",
        )
    if age >= needed:
        return good(f"status of jobs: squeue shows a finished job for {age} s")
    if age >= _LONGEST_STATUS_INTERVAL:
        advice = f"set slurm-init-seconds-before-status-checks: {age // 3} in {PROFILE}"
    else:
        advice = f"ask the administrators for MinJobAge={needed}"
        if sacct.ok:
            # The plugin does not understand what sacct says of a job that somebody cancelled.
            advice += f", or set slurm-status-command: sacct in {PROFILE} and cancel no job by hand"
    return bad(
        f"status of jobs: squeue shows a finished job for {age} s, less than the {needed} s within which Snakemake "
        f"looks, and it would wait without end; {advice}",
    )


def _names(request: Request) -> list[str]:
    return [name for name in request.partition.split(",") if name]


def _by_partition(requests: Sequence[Request]) -> dict[str, list[Request]]:
    groups: dict[str, list[Request]] = {}
    for request in requests:
        for name in _names(request):
            groups.setdefault(name, []).append(request)
    return groups


def _partition(name: str, requests: Sequence[Request], known: dict[str, Partition]) -> Finding:
    """A partition is there, up, open to the account, and long enough for every attempt.

    Slurm takes a job with a longer limit as well, and never starts it.
    """
    if name not in known:
        return bad(
            f"partition {name}: there is none; this cluster has {', '.join(known)}: change the name at the top of "
            f"{PROFILE}",
        )
    partition = known[name]
    if partition.state != "UP":
        return bad(f"partition {name}: its state is {partition.state}; wait, or name another in {PROFILE}")
    for account in sorted({request.account for request in requests} - {""}):
        known_as = account.lower()
        if known_as in partition.denied or (partition.allowed is not None and known_as not in partition.allowed):
            allowed = ", ".join(sorted(partition.allowed)) if partition.allowed else f"all but {account}"
            return bad(
                f"account {account}: partition {name} is open to {allowed}; change the account at the top of {PROFILE}",
            )
    longest = max(requests, key=lambda request: request.runtime)
    # Of several partitions one that is long enough will do.
    homeless = [request for request in requests if not any(_fits(request, known.get(n)) for n in _names(request))]
    if homeless and partition.minutes is not None:
        longest = max(homeless, key=lambda request: request.runtime)
        rules = " and ".join(sorted({request.rule for request in homeless}))
        advice = f"runtime: {partition.minutes:.0f} for {rules} in set-resources of {PROFILE}"
        if " + " in longest.rule:
            advice = f"group_seeds = False at the top of {PROFILE}"
        return bad(
            f"time limit: attempt {longest.attempt} of {longest.rule} asks for {longest.runtime} min, partition {name} "
            f"allows {partition.minutes:.0f}: the job would never start; set {advice}",
        )
    limit = "any time" if partition.minutes is None else f"{partition.minutes:.0f} min"
    return good(f"partition {name}: up, allows {limit}, at most {longest.runtime} min are asked for")


def _fits(request: Request, partition: Partition | None) -> bool:
    return partition is not None and (partition.minutes is None or request.runtime <= partition.minutes)


def _try(request: Request) -> Answer:
    return ask("sbatch", "--test-only", *request.options(), "--wrap=true", seconds=_TEST_SECONDS)


def _accepted(request: Request, answer: Answer) -> Finding:
    """Slurm's own opinion of a job, and where it refuses, what to do about it."""
    if answer.status == 124:
        # The controller has answered before: it thinks about when the job would start, which a submission needs not.
        return good(f"{request.rule}: {request} not checked, a long queue keeps Slurm from answering ({answer.reason})")
    if answer.ok:
        return good(f"{request.rule}: {request} accepted")
    reason, name = answer.reason, request.partition or "the default partition"
    if re.search(r"\baccount\b", reason, re.IGNORECASE):
        own = ask("sacctmgr", "--noheader", "--parsable2", "list", "user", os.environ.get("USER", ""), "withassoc",
                  "format=account")  # fmt: skip
        accounts = ", ".join(sorted(set(own.output.split()))) or "unknown here; `sacctmgr show associations` lists them"
        return bad(
            f"account {request.account or '(none)'}: refused for {name} ({reason}); yours: {accounts}; set the account "
            f"at the top of {PROFILE}",
        )
    nodes = ask(
        "sinfo", "--noheader", "--format=%c CPU, %m MB, %G", *([f"--partition={name}"] * bool(request.partition))
    )
    offered = "; ".join(dict.fromkeys(line.replace("(null)", "no GPU") for line in nodes.output.splitlines()))
    models = {found[1] for found in re.finditer(r"gpu:([A-Za-z][\w.-]*)", nodes.output)}
    if request.wants_gpu and "gpu" not in nodes.output:
        return bad(f"GPU: partition {name} has none; name the partition with GPUs at the top of {PROFILE}")
    if request.wants_gpu and not request.partition:
        return bad(
            f"{request.rule}: {request} refused ({reason}); name a partition with GPUs at the top of {PROFILE}, or a "
            "constraint in its set-resources"
        )
    if request.gpu_model and request.gpu_model not in models:
        return bad(
            f"GPU model {request.gpu_model}: partition {name} has {', '.join(sorted(models)) or 'none with a model'}; "
            f"change gpu_model at the top of {PROFILE}",
        )
    return bad(
        f"{request.rule}: {request} refused ({reason}); a node there has {offered}; lower what is too much in "
        f"set-resources of {PROFILE}",
    )


def _home() -> Finding:
    """Snakemake and others keep small files in the home directory; over its quota they fail one by one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    problem = _cannot_write(cache)
    if problem is None:
        return good(f"home directory: {cache} can be written")
    return bad(
        f"home directory: cannot write {_TRIAL // 2**20} MB to {cache} ({problem}); delete something there, or export "
        "XDG_CACHE_HOME=<a folder with space>",
    )


def _here() -> Finding:
    """Snakemake keeps its records and the logs of Slurm in the folder that it runs in."""
    problem = _cannot_write(Path.cwd())
    if problem is None:
        return good(f"this folder: {Path.cwd()} can be written")
    return bad(f"this folder: cannot write to {Path.cwd()} ({problem}); clone to a folder with space")


def _results(settings: Settings) -> Finding:
    """The results folder takes what the run writes."""
    problem = _cannot_write(settings.results)
    if problem is not None:
        return bad(
            f"results: cannot write to {settings.results} ({problem}); make it a link to a folder with space",
        )
    free, needed = shutil.disk_usage(settings.results).free / 1e9, settings.needed_bytes / 1e9
    if needed > free:
        return bad(
            f"results: the run writes about {needed:.1f} GB, {free:.1f} GB are free in {settings.results}; make room, "
            "make results a link to a scratch disk, or set keep.models or keep.features: false",
        )
    return good(f"results: {settings.results} can be written, {free:.0f} GB free, about {needed:.1f} GB needed")


def _cannot_write(folder: Path) -> str | None:
    """Why a file of a megabyte cannot be written there; None where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".multiflow-") as stream:
            stream.write(b"\0" * _TRIAL)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return None
