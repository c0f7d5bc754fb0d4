"""Tools beside the workflow: ``python -m multiflow --help``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

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
    exporter = tools.add_parser("export-checkpoint", help="turn a flow into a checkpoint of the released code")
    exporter.add_argument("flow", type=Path, help="a trained flow, .safetensors")
    exporter.add_argument("released", type=Path, help="the state dict to write, .pt")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.tool == "import-checkpoint":
            _import(chosen.released, chosen.flow, chosen.fusion, chosen.clamp)
        else:
            _export(chosen.flow, chosen.released)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _import(released: Path, output: Path, fusion: str | None, clamp: float) -> None:
    from multiflow.flow.checkpoint import save_flow
    from multiflow.flow.released import import_released
    from multiflow.flow_input import Scaling

    # argparse checks the choice of fusion.
    flow = import_released(released, fusion=fusion, clamp=clamp).float()  # type: ignore[arg-type]
    # The released code feeds the features as they are.
    scaling = Scaling.identity(flow.channels)
    save_flow(output, flow, {"imported": released.name}, {"scaling.mean": scaling.mean, "scaling.std": scaling.std})
    print(f"{output}: {flow.extra_repr()}")


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
