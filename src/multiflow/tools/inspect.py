"""New photographs of one part through a trained model."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiflow.base.errors import printable
from multiflow.base.paths import expand_path

if TYPE_CHECKING:
    from multiflow.inspection.part import Inspection

__all__ = ["add_parsers"]

_RESULTS = Path("results/inspection")


def add_parsers(tools: Any) -> None:
    """Add ``inspect``."""
    parser = tools.add_parser(
        "inspect",
        help="score the photographs of one part with a trained model of any method",
        description="Prints the scores and writes panel.png, score.json, anomaly_maps.npy and a picture per view.",
    )
    parser.add_argument("model", type=_path, help="a trained model, .safetensors")
    parser.add_argument("folder", type=_path, nargs="?", help="the folder with the photographs, one per camera")
    parser.add_argument(
        "--views", type=_path, nargs="+", metavar="FILE", help="the photographs, in the order of the model's cameras"
    )
    parser.add_argument(
        "--output",
        type=_path,
        help=f"the folder to write (default: a folder of {_RESULTS}/<class> that holds no other inspection, named "
        "after that of the photographs)",
    )
    parser.add_argument(
        "--weights",
        type=_path,
        metavar="FOLDER",
        help="the folder with the weights of the networks that prepare the pictures (default: results/<run>/weights of "
        "the model's run)",
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: as many as the model's run used)")
    parser.add_argument(
        "--experiment",
        metavar="NAME",
        help="the experiment whose way of scoring counts, where several of the run share the model (default: that in "
        "the model's path)",
    )
    parser.set_defaults(run=partial(_run, parser))


def _path(text: str) -> Path:
    """A path as it is typed; Make hands it over with what a shell would have replaced."""
    try:
        return Path(expand_path(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    if (chosen.folder is None) == (chosen.views is None):
        parser.error("give a folder, or the photographs with --views")
    if chosen.threads is not None and chosen.threads < 1:
        parser.error(f"--threads: expected at least 1, found {chosen.threads}")
    import logging

    from multiflow.inspection.output import output_folder, write_inspection
    from multiflow.inspection.part import inspect_part

    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    found = inspect_part(chosen.model, chosen.views or chosen.folder, chosen.weights, chosen.threads, chosen.experiment)
    output = chosen.output or output_folder(found, _RESULTS)
    files = write_inspection(found, output)
    for line in [*_summary(found), f"{output}: {', '.join(path.name for path in files)}"]:
        print(printable(line))


def _summary(found: Inspection) -> list[str]:
    """The scores in words."""
    rows = [("camera", "score", "normal views below", "picture")]
    for number, item in enumerate(found.photographs):
        name = item.path.name + (" (mirrored)" if item.view.flip else "")
        rows.append((item.view.camera, f"{found.image_scores[number]:.4f}", found.normal_below(number), name))
    scores, count = found.sample_scores, len(found.photographs)
    rules = (("maximum", "max"), ("mean", "mean"), ("highest 1 %", "top1"))
    lines = [
        f"{found.recipe.class_name}, {count} view{'s' if count != 1 else ''}, {found.assignment.rule}",
        found.rule,
        *("  {:<8}{:>9}   {:<20}{}".format(*row) for row in rows),
        f"sample score {scores[found.evaluation.sample_score]:.4f} "
        f"({', '.join(f'{words} {scores[rule]:.4f}' for words, rule in rules)})",
    ]
    if found.scores.foreground is None and not found.inside.all() and (found.image_scores == 0).any():
        lines.append("0 is the score of the background: no pixel of such a view scores higher")
    return [*lines, found.comparison()]
