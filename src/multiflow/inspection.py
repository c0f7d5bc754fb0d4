"""New photographs of one part through a trained flow: an engineer's first question.

The path from pictures to scores is that of the stations, function by function: the score of a test sample's
pictures is the one that the evaluation gave them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from multiflow import config
from multiflow.backbone import create_backbone
from multiflow.devices import device_name, exact_float32, select_device
from multiflow.errors import InputError
from multiflow.features import FeatureNetwork, as_stored
from multiflow.flow.checkpoint import read_header
from multiflow.foreground import masks_on_grid, sample_masks
from multiflow.foreground.segmenters import create_segmenter
from multiflow.metrics import sample_labels, sample_scores
from multiflow.photographs import Assignment, Photograph, assign_cameras, check_count, load_photographs
from multiflow.provenance import file_sha256, git_revision, versions
from multiflow.recipe import Recipe
from multiflow.scores import ScoreFile
from multiflow.scoring import FlowScorer
from multiflow.store import atomic_path

__all__ = ["Inspection", "Reference", "compare", "inspect_part", "write_inspection"]


@dataclass(frozen=True)
class Reference:
    """Scores that the same flow gave the class's test parts: something to compare with, and no threshold.

    Args:
        path: the scores file.
        rule: ``max`` or ``mean``: how that run's evaluation makes a sample score.
        normal: sample scores of the normal test parts.
        anomalous: those of the anomalous ones.
        normal_views: image scores of the normal views of each camera.
    """

    path: Path
    rule: str
    normal: NDArray[np.float64]
    anomalous: NDArray[np.float64]
    normal_views: list[NDArray[np.float32]]

    @classmethod
    def beside(cls, flow: Path, checksum: str) -> Reference | None:
        """The scores of this very flow, where its run's folder holds them."""
        run = _run_folder(flow)
        if run is None:
            return None
        path = run / "scores" / flow.absolute().relative_to(run / "flows").with_suffix(".h5")
        if not path.is_file():
            return None
        with ScoreFile(path) as scores:
            provenance = json.loads(scores.attribute("provenance"))
            if provenance.get("flow_sha256") != checksum:
                return None
            rule = provenance["config"]["evaluation"]["sample_score"]
            labels, values = scores.labels, scores.sample_scores(rule)
            views = [scores.image_scores[labels[:, view] == 0, view] for view in range(labels.shape[1])]
            anomalous = sample_labels(labels)
            return cls(path, rule, values[~anomalous], values[anomalous], views)


@dataclass(frozen=True)
class Inspection:
    """What was found on one part.

    Args:
        recipe: how its pictures were prepared.
        photographs: its views, in the flow's order.
        rule: how the views were told apart, in words.
        maps: anomaly maps [V, h, w], in the orientation that the flow sees.
        inside: foreground [V, h, w].
        reference: scores of the class's test parts, where there are any.
        provenance: what the scores came from.
    """

    recipe: Recipe
    photographs: list[Photograph]
    rule: str
    maps: NDArray[np.float32]
    inside: NDArray[np.bool_]
    reference: Reference | None
    provenance: dict[str, Any]

    @property
    def image_scores(self) -> NDArray[np.float32]:
        """Image scores [V]: the maximum of each map."""
        scores: NDArray[np.float32] = self.maps.max(axis=(1, 2))
        return scores

    @property
    def sample_scores(self) -> dict[str, float]:
        """The part's score by either rule: ``max`` and ``mean`` of the image scores."""
        return {rule: float(values[0]) for rule, values in sample_scores(self.image_scores[None]).items()}

    @property
    def score_rule(self) -> str:
        """The rule of the run that the flow is from; the paper's where it is not known."""
        return "max" if self.reference is None else self.reference.rule

    def normal_below(self, view: int) -> str:
        """How many normal test views of the same camera have a lower score than this view, in words."""
        if self.reference is None:
            return "-"
        normal = self.reference.normal_views[view]
        return f"{int((normal < self.image_scores[view]).sum())} of {len(normal)}"

    def photographed(self, values: NDArray[Any]) -> NDArray[Any]:
        """Maps [V, h, w] in the orientation of the photographs."""
        views = [view[:, ::-1] if item.view.flip else view for item, view in zip(self.photographs, values, strict=True)]
        return np.stack(views)

    def describe(self) -> dict[str, Any]:
        """Everything but the maps, as values that JSON can hold."""
        reference = self.reference
        higher: dict[str, Any] | None = None
        if reference is not None:
            score = self.sample_scores[reference.rule]
            higher = {
                "source": str(reference.path),
                "rule": reference.rule,
                "normal": {"parts": len(reference.normal), "lower": int((reference.normal < score).sum())},
                "anomalous": {"parts": len(reference.anomalous), "lower": int((reference.anomalous < score).sum())},
            }
        return {
            "class": self.recipe.class_name,
            "sample_score": self.sample_scores,
            "views": [
                {
                    "camera": item.view.camera,
                    "score": float(score),
                    "picture": str(item.path),
                    "sha256": file_sha256(item.path),
                    "width": item.picture.width,
                    "height": item.picture.height,
                    "mode": item.picture.mode,
                    "flip": item.view.flip,
                }
                for item, score in zip(self.photographs, self.image_scores, strict=True)
            ],
            "test_set": higher,
            "provenance": self.provenance,
        }


def inspect_part(
    flow: Path,
    pictures: Path | Sequence[Path],
    backbone: Path | None = None,
    foreground: Path | None = None,
    threads: int | None = None,
) -> Inspection:
    """Score the photographs of one part.

    Args:
        flow: a trained flow; its metadata says how its pictures are prepared.
        pictures: the folder with the photographs, or the files in the order of the flow's cameras.
        backbone: the backbone's weights; by default those of the run's folder that the flow lies in.
        foreground: the weights of the foreground's network, if it has one; likewise.
        threads: CPU threads; by default as many as the run used, with which the evaluation's scores are met to the
            last digit.

    Raises:
        InputError: a file is missing or damaged, or does not fit the flow.
    """
    architecture, metadata = read_header(flow)
    recipe = Recipe.read(flow, metadata).with_threads(threads)
    if len(recipe.views) != architecture["views"]:
        raise InputError(
            f"{flow}: expected as many views as its recipe has, {len(recipe.views)}, found {architecture['views']}; "
            "train it again, or import its checkpoint with the features of its class"
        )
    if isinstance(pictures, Path):
        assignment = assign_cameras(pictures, recipe)
    else:
        check_count(pictures, recipe, "--views")
        assignment = Assignment(list(pictures), "assigned as given")
    photographs = load_photographs(assignment, recipe)
    device = select_device("auto", "device")
    weights = _weights(backbone, flow, "backbone", recipe.backbone_sha256)
    features = _features(photographs, recipe.features, weights, device)
    if recipe.foreground_sha256 is not None:
        foreground = _weights(foreground, flow, recipe.foreground.method, recipe.foreground_sha256)
    inside = _inside(photographs, recipe.foreground, foreground, (features.shape[2], features.shape[3]))

    flow_threads = threads or metadata.get("threads", 1)
    scorer = FlowScorer(flow, device, flow_threads)
    scorer.check(weights, features.shape[0], features.shape[1])
    maps = scorer(torch.from_numpy(features), torch.from_numpy(inside))
    if not np.isfinite(maps).all():
        raise InputError(f"{flow}: expected finite anomaly maps, found others; train it again: its training diverged")
    checksum = file_sha256(flow)
    provenance = {
        "flow": str(flow),
        "flow_sha256": checksum,
        "backbone_sha256": recipe.backbone_sha256,
        "recipe": recipe.metadata(),
        "threads": flow_threads,
        "device": device_name(device),
        "versions": versions(),
        "revision": git_revision(),
    }
    return Inspection(recipe, photographs, assignment.rule, maps, inside, Reference.beside(flow, checksum), provenance)


def write_inspection(inspection: Inspection, folder: Path) -> list[Path]:
    """Write what was found; all of it is in the orientation of the photographs.

    ``anomaly_maps.npy`` holds the maps [V, h, w] float32, ``<camera>.png`` a view with its map over it,
    ``panel.png`` all views, ``score.json`` the scores and what they came from. The colours run from the lowest
    score in the foreground to the highest of this part or of the normal test views, if those are higher: a normal
    part then looks like one.

    Returns:
        The files.

    Raises:
        InputError: the folder is that of the photographs, or cannot be made.
    """
    from multiflow.figures.part_panel import PartView, draw_part, part_norm, write_overlay  # Matplotlib: seconds

    if any(item.path.resolve().parent == folder.resolve() for item in inspection.photographs):
        raise InputError(f"{folder}: expected another folder than that of the photographs; change --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder ({error.strerror}); change --output") from None
    files = [folder / name for name in ("panel.png", "score.json", "anomaly_maps.npy")]
    maps, inside = inspection.photographed(inspection.maps), inspection.photographed(inspection.inside)
    with atomic_path(files[2]) as temporary, open(temporary, "wb") as stream:
        np.save(stream, maps)
    views = [
        PartView(item.view.camera, item.picture, *of_view)
        for item, *of_view in zip(inspection.photographs, maps, inside, inspection.image_scores.tolist(), strict=True)
    ]
    reference = inspection.reference
    normal = [] if reference is None else [float(scores.max()) for scores in reference.normal_views if scores.size]
    norm = part_norm(views, normal)
    for view in views:
        files.append(folder / f"{view.camera}.png")
        write_overlay(view, norm, files[-1])
    rule = inspection.score_rule
    title = f"{inspection.recipe.class_name.replace('_', ' ')}: sample score {inspection.sample_scores[rule]:.3f}"
    draw_part(views, norm, title, compare(inspection), files[0])
    with atomic_path(files[1]) as temporary:
        temporary.write_text(json.dumps(inspection.describe(), indent=2) + "\n", encoding="utf-8")
    return files


def compare(inspection: Inspection) -> str:
    """Where the part's score lies among those of the test set, in words."""
    reference = inspection.reference
    if reference is None:
        return "no scores of a test set to compare with"
    score = inspection.sample_scores[reference.rule]
    counts = [
        f"{int((scores < score).sum())} of {len(scores)} {kind}"
        for kind, scores in (("normal", reference.normal), ("anomalous", reference.anomalous))
    ]
    return f"higher than {' and '.join(counts)} parts of the test set; a comparison, no threshold"


def _features(
    photographs: list[Photograph], settings: config.Features, weights: Path, device: torch.device
) -> NDArray[np.float32]:
    """Features [V, C, H, W] as the evaluation reads them from the features file."""
    images = np.stack([item.array(settings.image_size) for item in photographs])
    with exact_float32(settings.threads), torch.inference_mode():
        network = FeatureNetwork(create_backbone(settings, weights), device)
        output = network.submit(images).result()
    stored = as_stored(output, settings.dtype, str(photographs[0].path.parent))
    return stored.astype(np.float32, copy=False)


def _inside(
    photographs: list[Photograph],
    settings: config.Foreground,
    weights: Path | None,
    grid: tuple[int, int],
) -> NDArray[np.bool_]:
    """Foreground [V, H, W] on the feature grid, as the evaluation reads it from the foreground file."""
    if settings.method == "none":
        return np.ones((len(photographs), *grid), dtype=bool)
    names = [str(item.path) for item in photographs]
    images = np.stack([item.array(settings.image_size) for item in photographs])
    masks = sample_masks(images, names, create_segmenter(settings, weights), settings)
    return masks_on_grid(masks, names.__getitem__, grid, settings.to_grid, settings.empty).astype(bool)


def _weights(given: Path | None, flow: Path, name: str, checksum: str) -> Path:
    """The file with a network's weights: the given one, or that of the flow's run."""
    option = "--backbone" if name == "backbone" else "--foreground"
    run = _run_folder(flow)
    path = given or (None if run is None else run / "weights" / f"{name}.safetensors")
    if path is None or not path.is_file():
        raise InputError(
            f"{path or flow}: expected the weights of {name}, found none; give the file "
            f"results/<run>/weights/{name}.safetensors of the run that trained the flow with {option}"
        )
    found = file_sha256(path)
    if found != checksum:
        raise InputError(
            f"{path}: expected the weights that the flow was trained with, SHA-256 {checksum[:12]}..., found "
            f"{found[:12]}...; give those of its run with {option}"
        )
    return path


def _run_folder(flow: Path) -> Path | None:
    """The folder of the run, where the flow lies in one: ``<run>/flows/<experiment>/<class>/seed<n>.safetensors``."""
    parents = flow.absolute().parents
    return parents[3] if len(parents) > 3 and parents[2].name == "flows" else None
