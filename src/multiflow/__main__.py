"""Tools beside the workflow: ``python -m multiflow --help``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from multiflow.errors import InputError

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one tool; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m multiflow", description="Tools beside the workflow.")
    tools = parser.add_subparsers(dest="tool", required=True)
    importer = tools.add_parser(
        "import-checkpoint",
        help="turn a checkpoint of the released code into a flow of this pipeline",
        description="To evaluate the result, put it at results/<run>/flows/<experiment>/<class>/seed<seed>.safetensors "
        "when the features of the class exist: an older flow would be trained again.",
    )
    importer.add_argument("released", type=Path, help="the state dict that the released code's save_weights wrote")
    importer.add_argument("flow", type=Path, help="the flow to write, .safetensors")
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
    importer.add_argument(
        "--features", type=Path, help="results/<run>/features/<class>.h5, to inspect single parts with the flow"
    )
    importer.add_argument(
        "--foreground", type=Path, help="results/<run>/foreground/<method>/<class>.h5 (default: all is foreground)"
    )
    importer.add_argument(
        "--to-grid", choices=["nearest", "bilinear"], default="nearest", help="foreground.to_grid (default: nearest)"
    )
    exporter = tools.add_parser("export-checkpoint", help="turn a flow into a checkpoint of the released code")
    exporter.add_argument("flow", type=Path, help="a trained flow, .safetensors")
    exporter.add_argument("released", type=Path, help="the state dict to write, .pt")
    inspector = tools.add_parser(
        "inspect",
        help="score the photographs of one part with a trained flow",
        description="Prints the scores and writes panel.png, score.json, anomaly_maps.npy and a picture per view.",
    )
    inspector.add_argument("flow", type=Path, help="a trained flow, .safetensors")
    inspector.add_argument("folder", type=Path, nargs="?", help="the folder with the photographs, one per camera")
    inspector.add_argument(
        "--views", type=Path, nargs="+", metavar="FILE", help="the photographs, in the order of the flow's cameras"
    )
    inspector.add_argument(
        "--output", type=Path, help="the folder to write (default: results/inspection/<class>/<folder>)"
    )
    inspector.add_argument(
        "--backbone", type=Path, metavar="FILE", help="the backbone's weights (default: those of the flow's run)"
    )
    inspector.add_argument(
        "--foreground",
        type=Path,
        metavar="FILE",
        help="the weights of the foreground's network, if it has one (default: those of the flow's run)",
    )
    inspector.add_argument("--threads", type=int, help="CPU threads (default: as many as the flow's run used)")
    planner = tools.add_parser(
        "plan",
        help="what a run will cost: jobs, GPU-hours, CPU-hours, disk",
        description="Prints a table in Markdown. Where the run has finished jobs, their times are taken.",
    )
    planner.add_argument(
        "configs", type=Path, nargs="*", metavar="FILE", help="overlays of config/config.yaml, as after --configfile"
    )
    chosen = parser.parse_args(arguments)
    if chosen.tool == "inspect" and (chosen.folder is None) == (chosen.views is None):
        inspector.error("give a folder, or the photographs with --views")
    if chosen.tool == "inspect" and chosen.threads is not None and chosen.threads < 1:
        inspector.error(f"--threads: expected at least 1, found {chosen.threads}")
    try:
        if chosen.tool == "inspect":
            _inspect(chosen)
        elif chosen.tool == "import-checkpoint":
            _import(chosen)
        elif chosen.tool == "plan":
            _plan(chosen.configs)
        else:
            _export(chosen.flow, chosen.released)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _plan(overlays: list[Path]) -> None:
    from multiflow.cluster.plan import render_plan
    from multiflow.config import load_config, read_overlays

    paths = [Path("config/config.yaml"), *overlays]
    config = load_config(read_overlays(paths), str(paths[-1]))
    print(render_plan(config, measured=Path("results", config.run, "benchmarks")), end="")


def _inspect(chosen: argparse.Namespace) -> None:
    import logging

    from multiflow.inspection import compare, inspect_part, write_inspection

    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    pictures = chosen.views or chosen.folder
    found = inspect_part(chosen.flow, pictures, chosen.backbone, chosen.foreground, chosen.threads)
    folder = chosen.folder or found.photographs[0].path.absolute().parent
    output = chosen.output or Path("results/inspection", found.recipe.class_name, folder.absolute().name)
    files = write_inspection(found, output)
    rows = [("camera", "score", "normal views below", "picture")]
    for number, item in enumerate(found.photographs):
        name = item.path.name + (" (mirrored)" if item.view.flip else "")
        rows.append((item.view.camera, f"{found.image_scores[number]:.4f}", found.normal_below(number), name))
    print(f"{found.recipe.class_name}, {len(found.photographs)} views, {found.rule}")
    for row in rows:
        print("  {:<8}{:>9}   {:<20}{}".format(*row))
    scores = found.sample_scores
    print(f"sample score {scores[found.score_rule]:.4f} (maximum {scores['max']:.4f}, mean {scores['mean']:.4f})")
    if (found.image_scores == 0).any():
        print("0 is the score of the background: no pixel of such a view scores higher")
    print(compare(found))
    print(f"{output}: {', '.join(path.name for path in files)}")


def _import(chosen: argparse.Namespace) -> None:
    from multiflow.flow.checkpoint import save_flow
    from multiflow.flow.released import import_released
    from multiflow.flow_input import Scaling, open_input
    from multiflow.recipe import Recipe

    flow = import_released(chosen.released, fusion=chosen.fusion, clamp=chosen.clamp).float()
    metadata: dict[str, Any] = {"imported": chosen.released.name}
    if chosen.features is not None:
        data = open_input(chosen.features, chosen.foreground, chosen.to_grid)
        views, channels = len(data.features.cameras), data.features.channels
        if (views, channels) != (flow.graph.views, flow.channels):
            raise InputError(
                f"{chosen.features}: expected {flow.graph.views} views with {flow.channels} channels as in "
                f"{chosen.released}, found {views} views with {channels}; give the features of the checkpoint's class"
            )
        recipe = Recipe.of(data)
        if recipe is None:
            raise InputError(f"{chosen.features}: these features were made by an older version; delete them and rerun")
        metadata["recipe"] = recipe.metadata()
    # The released code feeds the features as they are.
    scaling = Scaling.identity(flow.channels)
    save_flow(chosen.flow, flow, metadata, {"scaling.mean": scaling.mean, "scaling.std": scaling.std})
    print(f"{chosen.flow}: {flow.extra_repr()}")


def _export(path: Path, output: Path) -> None:
    import torch

    from multiflow.flow.released import export_released
    from multiflow.store import atomic_path
    from multiflow.training import load_trained_flow

    flow, scaling = load_trained_flow(path)
    if not scaling.is_identity():
        raise InputError(
            f"{path}: expected a flow on unscaled features, found features.scaling; the released code has no scaling, "
            "train with features.scaling: none"
        )
    with atomic_path(output) as temporary:
        torch.save(export_released(flow), temporary)


if __name__ == "__main__":
    sys.exit(main())
