"""Render a class of a data set: whole or not at all, resumable, in parallel processes."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from rendered_parts.errors import RenderingError, UnknownPartError
from rendered_parts.files import write_whole
from rendered_parts.layouts import layout_of
from rendered_parts.layouts.real_iad import class_index
from rendered_parts.parts import PARTS, PartClass
from rendered_parts.paths import class_folder, index_files
from rendered_parts.samples import plan_samples
from rendered_parts.settings import Rendering
from rendered_parts.worker import ENVIRONMENT, Job

__all__ = ["render_class"]

_log = logging.getLogger(__name__)


def render_class(name: str, settings: Rendering, root: Path, processes: int = 1) -> None:
    """Render one class into ``root``, in the layout of the settings.

    A class is a part such as ``coin_cell``, or a part and a seed such as ``coin_cell-1``, which has the pictures of the
    part with ``settings.seed`` 1.

    Images and masks appear in the class's folder at once when all are there, and in Real-IAD's layout
    ``<root>/realiad_jsons/<class>.json`` last. Until then, finished samples wait in a hidden folder beside,
    from which a later call with the same settings goes on. The bytes depend neither on ``processes`` nor on
    interruptions.

    Raises:
        UnknownPartError: there is no such part, or what follows it is no seed.
        RenderingError: a worker process failed, or the disk is full.
    """
    part, settings = _part_and_seed(name, settings)
    layout = layout_of(settings)
    final = root / class_folder(settings, name)
    hidden = final.with_name(f".{name}.partial")
    partial, stamp = hidden / name, hidden / "settings.json"
    samples = plan_samples(part, settings)

    # Killed after the rename, and the workflow has removed the incomplete output: nothing is left to go on with.
    lost = not partial.exists() and not final.exists()
    if lost or not _same_job(stamp, settings):
        shutil.rmtree(hidden, ignore_errors=True)
        partial.mkdir(parents=True)
        write_whole(stamp, _job_key(settings))
    if partial.exists():
        missing = [i for i, sample in enumerate(samples) if not layout.is_written(sample, partial)]
        _render(part, settings, partial, missing, len(samples), processes)
        for leftover in partial.rglob(".*.partial"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()
        for index in index_files(settings, name):
            (root / index).unlink(missing_ok=True)
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
    for index in index_files(settings, name):
        write_whole(root / index, class_index(name, samples, final))
    shutil.rmtree(hidden)
    _log.info("%s: %d samples, %d views in %s", name, len(samples), len(layout.CAMERAS) * len(samples), final)


def _part_and_seed(name: str, settings: Rendering) -> tuple[PartClass, Rendering]:
    """The part that a class consists of, and the settings with its own seed where its name has one."""
    part, dash, seed = name.partition("-")
    if part not in PARTS or (dash and not re.fullmatch("[0-9]{1,9}", seed)):
        raise UnknownPartError(
            f"{name!r} is no part class that can be rendered; known are {', '.join(PARTS)}, each also with a seed, as "
            f"{next(iter(PARTS))}-1"
        )
    return PARTS[part], settings.model_copy(update={"seed": int(seed)}) if dash else settings


def _job_key(settings: Rendering) -> str:
    """What the samples of a class depend on."""
    return settings.model_dump_json()


def _same_job(stamp: Path, settings: Rendering) -> bool:
    return stamp.exists() and stamp.read_text(encoding="utf-8") == _job_key(settings)


def _render(
    part: PartClass, settings: Rendering, partial: Path, missing: list[int], total: int, processes: int
) -> None:
    """Render the missing samples and log how far it is."""
    done = total - len(missing)
    if done:
        _log.info("%s: %d of %d samples are there already", part.name, done, total)
    start = time.monotonic()
    for finished, _ in enumerate(_finished(part, settings, partial, missing, processes), start=1):
        left = (time.monotonic() - start) / finished * (len(missing) - finished)
        _log.info("%s: %d/%d samples rendered, %.0f s left", part.name, done + finished, total, left)


def _finished(part: PartClass, settings: Rendering, partial: Path, missing: list[int], processes: int) -> Iterator[int]:
    """Run the workers and yield the samples as they get finished."""
    count = max(1, min(processes, len(missing)))
    library = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [library, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}
    with ExitStack() as stack:
        read_end, write_end = os.pipe()
        lines = stack.enter_context(open(read_end, encoding="utf-8"))
        workers: list[subprocess.Popen[str]] = []
        stack.callback(_stop, workers)
        logs = []
        for number in range(count):
            job = Job(settings=settings, part=part.name, class_folder=partial, samples=missing[number::count])
            logs.append(partial.with_name(f"worker{number}.log"))
            with open(logs[-1], "w", encoding="utf-8") as errors:
                worker = subprocess.Popen(
                    [sys.executable, "-m", "rendered_parts.worker"],
                    stdin=subprocess.PIPE, stdout=write_end, stderr=errors, env=environment, text=True,
                )  # fmt: skip
            workers.append(worker)
            # A worker that dies at once leaves a broken pipe; its exit status is reported below.
            with suppress(BrokenPipeError), worker.stdin as stream:  # type: ignore[union-attr]
                stream.write(job.model_dump_json())
        os.close(write_end)
        for line in lines:
            yield int(line)
            _check(part, workers, logs)
        for worker in workers:
            worker.wait()
        _check(part, workers, logs)


def _check(part: PartClass, workers: list[subprocess.Popen[str]], logs: list[Path]) -> None:
    """Raise a RenderingError with the last line of the log of a worker that has failed."""
    for worker, log in zip(workers, logs, strict=True):
        if worker.poll() not in (None, 0):
            text = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = text[-1] if text else f"it ended with status {worker.returncode}"
            raise RenderingError(
                f"{part.name}: a rendering process failed: {reason} (log: {log}); run again to go on where "
                "it stopped, with fewer processes if memory was short"
            )


def _stop(workers: list[subprocess.Popen[str]]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()
