"""What an inspection leaves on disk."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.provenance import file_sha256
from multiflow.inspection.part import Inspection

__all__ = ["output_folder", "write_inspection"]

_RECORD = "score.json"


def output_folder(inspection: Inspection, results: Path) -> Path:
    """A folder below ``results`` that holds nothing, or an earlier inspection of these photographs by this model, as
    the same experiment.

    It bears the class and the name of the photographs' folder; where that holds another inspection, as after
    ``monday/part7`` for ``tuesday/part7``, the name of the folder above comes before it, and at last a number after it.
    """
    photographs = inspection.photographs[0].path.absolute().parent
    for name in _names(photographs):
        folder = results / inspection.recipe.class_name / name
        if not folder.exists() or _is_same(folder, inspection):
            return folder
    raise AssertionError("there are endless names")


def _names(photographs: Path) -> Iterator[str]:
    own, above = photographs.resolve().name or "photographs", photographs.resolve().parent.name
    yield own
    if above:
        yield f"{above}-{own}"
    for number in itertools.count(2):
        yield f"{own}-{number}"


def _is_same(folder: Path, inspection: Inspection) -> bool:
    """Whether a folder is empty, or holds these photographs by this model."""
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        record: Any = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        found = record["source"], record["provenance"]["model"], record["provenance"].get("experiment")
        seen = [view["sha256"] for view in record["views"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    # A camera numbers its folders from the beginning when its card is emptied.
    return seen == [file_sha256(item.path) for item in inspection.photographs] and found == (
        inspection.source,
        inspection.provenance["model"],
        inspection.provenance["experiment"],
    )


def write_inspection(inspection: Inspection, folder: Path) -> list[Path]:
    """Write what was found; all of it is in the orientation of the photographs.

    ``anomaly_maps.npy`` holds the maps [V, h, w] float32, NaN where there is no score, ``<camera>.png`` a view with its
    map over it, ``panel.png`` all views, ``score.json`` the scores and what they came from. The colours run from the
    lowest score in the foreground to the highest of this part or of the normal test views, if those are higher: a
    normal part then looks like one.

    Returns:
        The files.

    Raises:
        InputError: the folder is that of the photographs, holds other files of these names, such as those of another
            inspection, or cannot be made.
    """
    from multiflow.results.figures.part_panel import (  # Matplotlib: seconds
        PartView,
        draw_part,
        part_norm,
        write_overlay,
    )

    if any(item.path.resolve().parent == folder.resolve() for item in inspection.photographs):
        raise InputError(f"{folder}: expected another folder than that of the photographs; change --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder ({error.strerror}); change --output") from None
    files = _files(folder, inspection)
    if (taken := [path.name for path in files if path.exists()]) and not _is_same(folder, inspection):
        found = ", ".join(taken)
        raise InputError(
            f"{folder}: expected a folder without files of another inspection, found {found}; change --output"
        )
    # The record comes first: by it an inspection that was killed knows its own files.
    with atomic_path(files[1]) as temporary:
        temporary.write_text(json.dumps(inspection.describe(), indent=2) + "\n", encoding="utf-8")
    scored = inspection.scores.foreground
    maps = inspection.maps if scored is None else np.where(scored, inspection.maps, np.float32(np.nan))
    with atomic_path(files[2]) as temporary, open(temporary, "wb") as stream:
        np.save(stream, inspection.photographed(maps))
    views = [
        PartView(item.view.camera, item.picture, *of_view)
        for item, *of_view in zip(
            inspection.photographs,
            inspection.photographed(inspection.maps),
            inspection.photographed(inspection.inside),
            inspection.image_scores.tolist(),
            strict=True,
        )
    ]
    reference = inspection.reference
    normal = [] if reference is None else [float(scores.max()) for scores in reference.normal_views if scores.size]
    norm = part_norm(views, normal)
    for view, path in zip(views, files[3:], strict=True):
        write_overlay(view, norm, path)
    score = inspection.sample_scores[inspection.evaluation.sample_score]
    title = f"{inspection.recipe.class_name}: sample score {score:.3f}"
    draw_part(views, norm, title, inspection.comparison(), files[0])
    return files


def _files(folder: Path, inspection: Inspection) -> list[Path]:
    """What is written: the panel, the record, the maps, and a picture per view."""
    files = [folder / name for name in ("panel.png", _RECORD, "anomaly_maps.npy")]
    for item in inspection.photographs:
        own = folder / f"{item.view.camera}.png"
        files.append(own if own not in files else folder / f"{item.view.camera}-view.png")
    return files
