"""The weights of the networks that prepare a model's pictures, and of those that its method runs itself."""

from __future__ import annotations

from pathlib import Path

from multiflow.base.errors import InputError
from multiflow.base.tensors import read_provenance
from multiflow.inspection.run_files import RunFiles
from multiflow.methods.recipe import Recipe

__all__ = ["find_weights"]


def find_weights(recipe: Recipe, model: Path, folder: Path | None = None) -> dict[str, Path]:
    """The file of each network that a recipe names, by the network's name.

    Args:
        recipe: the model's.
        model: its file, for messages.
        folder: holds ``<network>.safetensors``; by default the folder of the model's run.

    Raises:
        InputError: a file is missing, or is another one than the model was trained with.
    """
    if folder is None and (run := RunFiles.of_model(model)) is not None:
        folder = run.weights
    wanted = {features.settings.backbone: features.weights_sha256 for features in recipe.features.values()}
    wanted |= recipe.weights
    if recipe.foreground is not None and recipe.foreground.weights_sha256 is not None:
        wanted[recipe.foreground.settings.method] = recipe.foreground.weights_sha256
    files, problems = {}, []
    for network, checksum in wanted.items():
        path = None if folder is None else folder / f"{network}.safetensors"
        if path is None or not path.is_file():
            problems.append(
                f"{path or model}: expected the weights of {network}, found none; give the folder "
                "results/<run>/weights of the run that trained the model with --weights"
            )
        elif (found := read_provenance(path)["tensors_sha256"]) != checksum:
            problems.append(
                f"{path}: expected the weights that the model was trained with, SHA-256 {checksum[:12]}..., found "
                f"{found[:12]}...; give the folder with those of its run with --weights"
            )
        else:
            files[network] = path
    if problems:
        raise InputError(problems)
    return files
