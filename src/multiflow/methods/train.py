"""One training of any method: resumable, its model and history whole or not there."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from multiflow.base.devices import device_name, select_device
from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.memory import give_back_memory
from multiflow.methods import METHODS
from multiflow.methods.checks import checked_model
from multiflow.methods.contract import Model
from multiflow.methods.data import ClassFiles
from multiflow.methods.finished import keep_finished, restore_finished
from multiflow.methods.model import read_metadata, write_model
from multiflow.methods.source import source_sha256
from multiflow.methods.stages import Stages
from multiflow.methods.work import Work

if TYPE_CHECKING:
    from multiflow.methods.experiment import Experiment

__all__ = ["adopt_model", "train_model"]

logger = logging.getLogger(__name__)


def train_model(
    experiment: Experiment,
    seed: int,
    files: ClassFiles,
    output: Path,
    history: Path,
    checkpoint: Path,
    keep: bool = True,
    shared: dict[str, Any] | None = None,
) -> None:
    """Train an experiment's method on a class's training samples and store the model.

    The model's metadata name the method, its settings, class, seed and threads, a fingerprint of all that decides it,
    and the recipe by which new pictures go the same way. ``history`` gets what the method recorded, a JSON line each,
    and as its last line what the training took. ``checkpoint`` lets a killed training go on and is removed at the end.
    On a CPU an interrupted training gives the same bytes as one that was not. Where the experiment asks for models of
    earlier stages, the file holds them, too.

    Args:
        experiment: method and settings, for this class.
        seed: of the training.
        files: the class's files.
        output: the model's file.
        history: the history's file.
        checkpoint: a file outside of the rule's outputs, which Snakemake would delete before a second attempt.
        keep: whether a finished training is kept beside its checkpoint, see :mod:`multiflow.methods.finished`.
        shared: what trainings of other seeds by this process have in common with it, empty for the first of them;
            None where there are no others.

    Raises:
        InputError: there is no such device, a file is damaged, or the method refuses its data or leaves no model.
    """
    compute = experiment.compute
    device = select_device(compute.device, "compute.device")
    if shared is not None:
        give_back_memory()
    torch.set_num_threads(compute.threads)
    fingerprint = _fingerprint(experiment, seed, files, device)
    if restore_finished(checkpoint, fingerprint, output, history):
        return
    samples = files.split("train")
    logger.info(
        "training %s on %s, seed %d: %d samples of %d views, on %s",
        experiment.name, files.class_name, seed, len(samples), len(samples.cameras), device_name(device),
    )  # fmt: skip
    place = f"{experiment.name} on {files.class_name}"
    stages = Stages(checkpoint, fingerprint) if experiment.stages else None
    work = Work(
        device, compute.threads, checkpoint, fingerprint, files.weights,
        place=place, stages=stages, workers=compute.workers, shared=shared,
    )  # fmt: skip
    found = experiment.method.train(samples, experiment.settings, seed, work)
    metadata = {
        "method": experiment.method_name,
        "settings": experiment.settings.model_dump(mode="json"),
        "class": files.class_name,
        "seed": seed,
        "fingerprint": fingerprint,
        "pictures_sha256": files.pictures_sha256(),
        "threads": compute.threads,
        "recipe": files.recipe(compute.threads).metadata(),
    }
    model = checked_model(found, place, [*metadata, "stages"])
    parameters = sum(tensor.numel() for tensor in model.tensors.values() if tensor.is_floating_point())
    usage = work.meter.record(compute.threads, len(samples)) | {"parameters": parameters}
    with atomic_path(history) as temporary:
        temporary.write_text(work.history_lines() + json.dumps({"usage": usage}) + "\n", encoding="utf-8")
    whole = Model(model.tensors, {**model.metadata, **metadata})
    if stages is None:
        write_model(output, whole)
    else:
        with stages.opened() as earlier:
            write_model(output, whole, earlier)
        stages.forget()
    checkpoint.unlink(missing_ok=True)
    if keep:
        keep_finished(checkpoint, output, history)


def adopt_model(
    experiment: Experiment, class_name: str, seed: int, imported: Path, output: Path, history: Path
) -> None:
    """Take a model that was imported in place of a training.

    Args:
        experiment: whose model it becomes.
        class_name: the class.
        seed: the seed.
        imported: the model's file; it stays where it is.
        output: the model's file in the run.
        history: the history's file; its one line says where the model came from.

    Raises:
        InputError: the file is no model, or says that it is one of another method, class or seed.
    """
    metadata = read_metadata(imported)
    wanted = {"method": experiment.method_name, "class": class_name, "seed": seed}
    others = {name: metadata[name] for name in wanted if metadata.get(name) is not None}
    if any(_same(found) != _same(wanted[name]) for name, found in others.items()):
        raise InputError(
            f"{imported}: expected a model of {_listed({name: wanted[name] for name in others})}, found one of "
            f"{_listed(others)}; put it where its own experiment, class and seed take it, or delete it"
        )
    with atomic_path(history) as temporary:
        temporary.write_text(json.dumps({"imported": metadata.get("imported", imported.name)}) + "\n", encoding="utf-8")
    with atomic_path(output) as temporary:
        shutil.copyfile(imported, temporary)


def _fingerprint(experiment: Experiment, seed: int, files: ClassFiles, device: torch.device) -> str:
    """Checksum of all that decides a training's result: no other training's checkpoint is used."""
    values: dict[str, Any] = {
        **experiment.training_values(),
        "seed": seed,
        "device": device.type,
        "threads": experiment.compute.threads,
        "data": files.fingerprint(),
    }
    source = source_sha256(experiment.method)
    if source is not None:
        values["source"] = source
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _same(value: Any) -> str:
    """A value of a model's metadata as it is compared: a method has a name and an import path, a seed may be a text."""
    return METHODS.get(str(value), str(value))


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
