"""Data sets of one view through the workflow: pictures of another kind, rendered parts, and the grid of MVTec AD."""

from __future__ import annotations

import csv
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from checkout import Checkout, without
from PIL import Image
from skimage import data

LITE0 = {"backbone": "tf_efficientnet_lite0.in1k", "weights": "package", "padding": "zeros", "levels": [-3, -2]}
CFLOW: dict[str, Any] = {
    "method": "cflow",
    "image_size": 128,
    "encoder": LITE0,
    "decoder": {"blocks": 4, "condition": 16},
    "training": {"meta_epochs": 4, "sub_epochs": 2, "image_batch": 8, "fibre_batch": 128, "learning_rate": 2.0e-3},
}


def write_textures(root: Path) -> None:
    """Photographs of a wall that scikit-image ships; in a defective one is a patch of gravel or grass."""
    random = np.random.default_rng(0)
    # The upper half of the photograph is for training, the lower one for test.
    for folder, count, top in (
        ("train/good", 16, 0),
        ("test/good", 8, 256),
        ("test/gravel", 4, 256),
        ("test/grass", 4, 256),
    ):
        defect = folder.removeprefix("test/") if folder in ("test/gravel", "test/grass") else None
        for number in range(count):
            y, x = top + random.integers(0, 128), random.integers(0, 384)
            picture = data.brick()[y : y + 128, x : x + 128]
            if defect is not None:
                mask = np.zeros((128, 128), np.uint8)
                row, column = random.integers(8, 88, 2)
                mask[row : row + 32, column : column + 32] = 255
                picture = np.where(mask, getattr(data, defect)()[x : x + 128, y : y + 128], picture)
                save(mask, root / "wall/ground_truth" / defect / f"{number:03d}_mask.png")
            save(picture, root / "wall" / folder / f"{number:03d}.png")


def save(picture: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def overlay(root: Path) -> dict[str, Any]:
    """CFLOW-AD alone, on the textures."""
    return {
        "run": "textures",
        "dataset": {"name": "Textures", "root": str(root), "classes": ["wall"]},
        "rendering": None,
        "experiments": {"cflow": CFLOW, **without("cflow")},
        "tables": {"methods": ["cflow"]},
    }


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_textures_of_another_kind_through_to_tables(checkout: Checkout) -> None:
    root = checkout.folder / "textures"
    write_textures(root)
    checkout.succeed(["config/demo_single_view.yaml", checkout.write_config(overlay(root))], "table1")
    results = checkout.folder / "results/textures"
    metrics = json.loads((results / "metrics/cflow/wall/seed0.json").read_text())["metrics"]
    assert metrics["image_auroc"] == metrics["sample_auroc"] > 0.9
    assert min(metrics["image_auroc:gravel"], metrics["image_auroc:grass"], metrics["pixel_auroc"]) > 0.9
    table = {row["metric"]: float(row["cflow"]) for row in read(results / "tables/table1.csv")}
    assert table["image_auroc"] == table["sample_auroc"] > 90
    assert "Textures (1 view per sample, one model per class), 1 class" in (results / "tables/table1.tex").read_text()


def test_rendered_parts_are_read_in_the_layout_of_one_view(checkout: Checkout) -> None:
    small = {"image_size": 64, "train": 1, "test_ok": 1, "test_ng": 1, "samples_per_pixel": 1}
    target = "results/demo_single_view/samples/coin_cell.csv"
    batches = {"multiflow": {"training": {"batch_size": 1}}, "cflow": {"training": {"image_batch": 1}}}
    overlay = checkout.write_config({"rendering": small, "methods": batches})
    checkout.succeed(["config/demo_single_view.yaml", overlay], target)
    rows = read(checkout.folder / target)
    assert [(row["split"], row["sample"], row["label"]) for row in rows] == [
        ("train", "good/001", "0"), ("test", "good/002", "0"), ("test", "pit/001", "1")
    ]  # fmt: skip
    assert all((checkout.folder / "results/demo_single_view/dataset" / row["image"]).is_file() for row in rows)
    assert "render_class" not in checkout.succeed(["config/demo_single_view.yaml", overlay], "-n", target)


def test_the_whole_grid_of_mvtec_ad_is_planned(checkout: Checkout) -> None:
    overlays = ["config/mvtec_ad.yaml"]
    classes = yaml.safe_load((checkout.folder / overlays[0]).read_text())["dataset"]["classes"]
    for name in classes:
        for folder, count in (
            ("train/good", 200),
            ("test/good", 40),
            ("test/scratch", 75),
            ("ground_truth/scratch", 75),
        ):
            path = checkout.folder / "mvtec" / name / folder
            path.mkdir(parents=True)
            for number in range(count):
                (path / f"{number:03d}.png").touch()
    overlays.append(checkout.write_config({"dataset": {"root": "mvtec"}}))
    started = time.monotonic()
    printed = checkout.succeed(overlays, "-n", "--quiet", "rules")
    plan = checkout.tool("plan", *overlays)
    assert time.monotonic() - started < 60, "seconds, also on a busy machine"
    assert re.search(r"train_model +75\n", printed)
    assert re.search(r"flip_views +15\n", printed)
    assert "| `train_model` | 75 |" in plan
    assert "Images: counted in mvtec." in plan
