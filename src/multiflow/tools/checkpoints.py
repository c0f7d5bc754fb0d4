"""Checkpoints of Multi-Flow's released code: in as models, and out again."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from multiflow.base.errors import InputError
from multiflow.tools.configurations import config_of_files

if TYPE_CHECKING:
    from multiflow.config import Config
    from multiflow.methods.data import ClassFiles
    from multiflow.methods.experiment import Experiment
    from multiflow.methods.multiflow.network import MultiFlow
    from multiflow.methods.multiflow.settings import Network, Settings

__all__ = ["add_parsers"]

# Settings of the network without a part in what a trained flow computes, or without attention none.
_OF_TRAINING = {"noise", "noise_std", "softflow_exponent", "condition_scale"}
_OF_ATTENTION = {"attention", "attention_heads"}


def add_parsers(tools: Any) -> None:
    """Add ``import-checkpoint`` and ``export-checkpoint``."""
    importer = tools.add_parser(
        "import-checkpoint",
        help="turn a checkpoint of the released code into a model of this pipeline",
        description="With --experiment, --class and --seed it is put where the run takes it in place of a training, at "
        "any time: results/<run>/imported/<experiment>/<class>/seed<n>.safetensors.",
    )
    importer.add_argument("released", type=Path, help="the state dict that the released code's save_weights wrote")
    importer.add_argument("model", type=Path, nargs="?", help="the file to write, .safetensors, if not that of a run")
    importer.add_argument(
        "--config",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="overlays of config/config.yaml, as after --configfile: they name the run",
    )
    importer.add_argument("--experiment", metavar="NAME", help="the experiment whose model it becomes")
    importer.add_argument("--class", dest="class_name", metavar="NAME", help="the class that it was trained on")
    importer.add_argument("--seed", type=int, metavar="N", help="the seed whose model it becomes")
    importer.add_argument(
        "--fusion",
        choices=["self_attention", "cross_view_attention"],
        help="needed for a checkpoint with attention: both kinds have the same parameters",
    )
    importer.add_argument(
        "--clamp",
        type=float,
        default=1.9,
        help="the clamp with which the checkpoint was trained, a setting of the released code that it does not store "
        "(default: 1.9)",
    )
    importer.set_defaults(run=partial(_import, importer))
    exporter = tools.add_parser("export-checkpoint", help="turn a model of Multi-Flow into one of the released code")
    exporter.add_argument("model", type=Path, help="a trained model, .safetensors")
    exporter.add_argument("released", type=Path, help="the state dict to write, .pt")
    exporter.set_defaults(run=_export)


def _import(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    place = (chosen.experiment, chosen.class_name, chosen.seed)
    if chosen.model is None and None in place:
        parser.error("give the file to write, or --experiment, --class and --seed of a run")
    if (chosen.experiment is None) != (chosen.class_name is None):
        parser.error("give both --experiment and --class, by which the run's files are found, or none of them")
    from multiflow.methods.contract import Model
    from multiflow.methods.model import write_model
    from multiflow.methods.multiflow.checkpoint import to_model
    from multiflow.methods.multiflow.inputs import Scaling
    from multiflow.methods.multiflow.released import import_released

    output, metadata = chosen.model, {}
    config = None if chosen.experiment is None else config_of_files(chosen.config)
    if config is not None:
        _check_run(config, *place)
        output = output or _imported(config, *place)
    _check_files(chosen.released, output)
    flow = import_released(chosen.released, fusion=chosen.fusion, clamp=chosen.clamp).float()
    if config is not None:
        metadata = _of_run(config, chosen.experiment, chosen.class_name, flow, chosen.released)
    # The released code feeds the features as they are.
    model = to_model(flow, Scaling.identity(flow.channels), metadata | {"imported": chosen.released.name})
    write_model(output, Model(model.tensors, _named(flow) | dict(model.metadata)))
    print(f"{output}: {flow.extra_repr()}")


def _check_files(source: Path, output: Path) -> None:
    """Check that a conversion does not overwrite what it converts.

    Raises:
        InputError: it does.
    """
    if output.resolve() == source.resolve():
        raise InputError(f"{output}: expected another file than the one that is read; name another file to write")


def _named(flow: MultiFlow) -> dict[str, Any]:
    """Method and settings of a flow that belongs to no run."""
    from multiflow.methods.multiflow.settings import Settings

    return {"method": "multiflow", "settings": Settings(network=flow.settings).model_dump(mode="json")}


def _imported(config: Config, experiment: str, class_name: str, seed: int) -> Path:
    return config.folder / "imported" / experiment / class_name / f"seed{seed}.safetensors"


def _check_run(config: Config, experiment: str, class_name: str, seed: int | None) -> None:
    """Check that a run has such a model, and that no other experiment's model serves instead.

    Raises:
        InputError: it has none.
    """
    if experiment not in config.experiments:
        raise InputError(
            f"--experiment: there is no {experiment} in the run {config.run}; there are {', '.join(config.experiments)}"
        )
    if class_name not in config.classes_of(experiment):
        raise InputError(
            f"--class: {experiment} has no class {class_name} in the run {config.run}; it has "
            f"{', '.join(config.classes_of(experiment))}"
        )
    from multiflow.methods.multiflow.settings import Settings

    resolved = config.experiment(experiment, class_name)
    if not isinstance(resolved.settings, Settings):
        raise InputError(
            f"--experiment: the method of {experiment} is {resolved.method_name}; checkpoints of the released code are "
            "those of multiflow"
        )
    if seed is None:
        return
    if seed not in config.seeds_of(experiment):
        raise InputError(
            f"--seed: {experiment} has no seed {seed} in the run {config.run}; it has "
            f"{', '.join(map(str, config.seeds_of(experiment)))}"
        )
    owner = config.trained_as(experiment, class_name, seed)
    if owner != experiment:
        raise InputError(
            f"--experiment: {experiment} has no model of its own on {class_name}, it shares that of {owner}; import "
            f"the checkpoint for {owner}"
        )


def _of_run(config: Config, name: str, class_name: str, flow: MultiFlow, source: Path) -> dict[str, Any]:
    """What the model's metadata take from a run: settings, and the recipe where the class's files are there."""
    experiment = config.experiment(name, class_name)
    said = cast("Settings", experiment.settings)  # _check_run has looked at its method
    settings = said.model_copy(update={"scaling": "none", "network": flow.settings})
    others = _differences(said.network, flow.settings)
    if said.scaling != "none":
        others.append(f"scaling {said.scaling}, not none")
    if others:
        print(
            f"warning: {source}: its settings count; experiments.{name}, which tables name, says {'; '.join(others)}",
            file=sys.stderr,
        )
    metadata = {"method": experiment.method_name, "settings": settings.model_dump(mode="json"), "class": class_name}
    files = _class_files(config, experiment, class_name)
    paths = [files.samples, *files.features.values(), *([files.segmentation] if files.segmentation else [])]
    if missing := [path for path in paths if not path.is_file()]:
        print(
            f"warning: {missing[0]}: not there yet, so the model does not say how its pictures are prepared; import it "
            "again later to inspect single parts with it",
            file=sys.stderr,
        )
        return metadata
    _check_features(files, experiment, flow, source)
    return metadata | {"recipe": files.recipe(experiment.compute.threads).metadata()}


def _differences(said: Network, found: Network) -> list[str]:
    """What an experiment says of its network and is not so in a checkpoint, in words."""
    unread = _OF_TRAINING | (_OF_ATTENTION if found.fusion == "conv2d" else set())
    return [
        f"network.{name} {getattr(said, name)}, not {getattr(found, name)}"
        for name in type(found).model_fields
        if name not in unread and getattr(said, name) != getattr(found, name)
    ]


def _class_files(config: Config, experiment: Experiment, class_name: str) -> ClassFiles:
    """The files of a class in a run, whether they are there or not."""
    from multiflow.methods.data import ClassFiles

    segmentation = experiment.segmentation
    return ClassFiles(
        samples=config.folder / "samples" / f"{class_name}.csv",
        digests=config.folder / "samples" / f"{class_name}.json",
        root=config.root,
        needs=experiment.needs,
        features={name: config.folder / "features" / name / f"{class_name}.h5" for name in experiment.needs.features},
        segmentation=config.folder / "foreground" / segmentation / f"{class_name}.h5" if segmentation else None,
        foreground=experiment.foreground,
    )


def _check_features(files: ClassFiles, experiment: Experiment, flow: MultiFlow, source: Path) -> None:
    """Check that a checkpoint takes the features of a class.

    Raises:
        InputError: it takes others.
    """
    from multiflow.features.file import FeatureFile

    for path in files.features.values():
        with FeatureFile(path) as file:
            views, channels = len(file.cameras), file.channels
        if (views, channels) != (flow.graph.views, flow.channels):
            raise InputError(
                f"{path}: expected {flow.graph.views} views with {flow.channels} channels as in {source}, found "
                f"{views} views with {channels}; import it in a run whose features are those of the checkpoint"
            )


def _export(chosen: argparse.Namespace) -> None:
    import torch

    from multiflow.base.files import atomic_path
    from multiflow.methods.model import read_model
    from multiflow.methods.multiflow.checkpoint import from_model
    from multiflow.methods.multiflow.released import export_released

    _check_files(chosen.model, chosen.released)
    flow, scaling = from_model(read_model(chosen.model), chosen.model)
    if not scaling.is_identity():
        raise InputError(
            f"{chosen.model}: expected a flow on unscaled features, found scaled ones; the released code has no "
            "scaling: train with methods.multiflow.scaling: none"
        )
    state = export_released(flow)
    with atomic_path(chosen.released) as temporary:
        torch.save(state, temporary)
