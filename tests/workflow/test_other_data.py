"""Another data set in the same layout, by configuration alone; and what a broken one gets to read."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from checkout import Checkout, without
from PIL import Image
from skimage import data

CLASSES = ["brick", "grass"]


def write_textures(root: Path) -> None:
    """Photographs of walls and lawns that scikit-image ships: one camera, grey-scale, 120 x 90 px.

    An anomalous sample has a patch of gravel in it. One mask is drawn in the alpha channel.
    """
    random = np.random.default_rng(0)
    gravel = data.gravel()
    for name in CLASSES:
        photograph = getattr(data, name)()
        records: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
        samples = [("train", "OK", number) for number in range(1, 9)]
        samples += [("test", "OK", number) for number in range(9, 13)] + [("test", "YW", n) for n in range(1, 5)]
        for split, code, number in samples:
            y, x = random.integers(0, 512 - 90), random.integers(0, 512 - 120)
            picture = photograph[y : y + 90, x : x + 120].copy()
            group, folder = ("OK", "OK") if code == "OK" else (f"NG_{code}", f"NG/{code}")
            stem = f"{folder}/S{number:04d}/{name}_{number:04d}_{group}_C1_20240101000000"
            path = root / "pictures" / name / f"{stem}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            mask = np.zeros((90, 120), np.uint8)
            if code != "OK":
                top, left = random.integers(0, 54), random.integers(0, 84)
                mask[top : top + 36, left : left + 36] = 255
                picture = np.where(mask, gravel[y : y + 90, x : x + 120], picture)
                drawn = Image.fromarray(mask)
                if (name, number) == ("grass", 1):
                    drawn = Image.merge("LA", [Image.new("L", drawn.size, 255), drawn])
                drawn.save(path.with_suffix(".png"))
            Image.fromarray(picture).save(path, quality=95)
            records[split].append(
                {
                    "category": name,
                    "anomaly_class": code,
                    "image_path": f"{stem}.jpg",
                    "mask_path": None if code == "OK" else f"{stem}.png",
                }
            )
        annotations = root / "annotations" / f"{name}.json"
        annotations.parent.mkdir(parents=True, exist_ok=True)
        meta = {"prefix": f"{name}/", "normal_class": "OK", "pre_transform": None}
        annotations.write_text(json.dumps({"meta": meta, **records}))


def overlay(root: Path) -> dict[str, Any]:
    """The demo's configuration for these textures."""
    return {
        "run": "textures",
        "dataset": {
            "name": "Walls, $5 to $9_", "root": str(root), "image_folder": "pictures", "annotations": "annotations",
            "cameras": ["C1"], "classes": CLASSES, "flips": None,
        },
        "rendering": None,
        "features": {"lite0": {"image_size": 160}},
        "foreground": {"method": "none"},
        "methods": {"multiflow": {"training": {"epochs": 40, "batch_size": 8, "learning_rate": 2e-3}}},
        "experiments": {"multiflow": {"seeds": [0]}, **without("multiflow")},
    }  # fmt: skip


def tree_checksum(root: Path) -> str:
    """Checksum of all names and contents below a folder."""
    checksum = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        checksum.update(str(path.relative_to(root)).encode())
        if path.is_file():
            checksum.update(path.read_bytes())
    return checksum.hexdigest()


def test_one_camera_grey_and_not_square_through_to_the_tables(checkout: Checkout) -> None:
    root = checkout.folder / "textures"
    write_textures(root)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = tree_checksum(root)
    printed = checkout.succeed(["config/demo.yaml", checkout.write_config(overlay(root))])
    doubt = "the mask has one colour and is read from its transparency"
    assert doubt in printed, "what a log says of a mask nobody reads"
    assert "1 warning in results/textures/logs/flip_views/grass.log" in printed
    tables = checkout.folder / "results/textures/tables"
    for name in ("table1", "table7", "ablation_tests"):
        page = (tables / f"{name}.html").read_text(encoding="utf-8")
        assert f"the logs of flip_views name: {doubt} (1 time, grass)." in page
        assert "Walls, $5 to $9_ (" in page
    assert f"{doubt} (1 time, grass)." in " ".join((tables.parent / "summary.txt").read_text().split())
    assert tree_checksum(root) == before, "the data set was written to"
    with open(checkout.folder / "results/textures/tables/table1.csv", newline="") as stream:
        table = {row["metric"]: float(row["multiflow"]) for row in csv.DictReader(stream)}
    assert set(table) == {"sample_auroc", "image_auroc"}
    assert table["sample_auroc"] == table["image_auroc"], "with one camera a sample is an image"
    assert table["sample_auroc"] > 75, "a patch of gravel in a wall is found"


def test_validate_reports_all_problems_of_a_class_at_once_and_stops(checkout: Checkout) -> None:
    root = checkout.folder / "textures"
    write_textures(root)
    images = sorted((root / "pictures/brick/OK").rglob("*.jpg"))
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes()[:200])
    mask = next((root / "pictures/brick/NG").rglob("*.png"))
    Image.new("L", (10, 10)).save(mask)
    result = checkout.run(["config/demo.yaml", checkout.write_config(overlay(root))], "validate", "--keep-going")
    assert result.returncode != 0
    printed = result.stdout + result.stderr
    assert "Traceback" not in printed
    for path in (images[0], images[1], mask):
        lines = [line for line in printed.splitlines() if path.name in line and "textures" in line]
        assert lines, f"{path.name} is not reported"
    assert not (checkout.folder / "results/textures/samples/brick.csv").exists()
    assert (checkout.folder / "results/textures/samples/grass.csv").exists()
    assert not (checkout.folder / "results/textures/features").exists()


def test_a_wrong_key_is_one_line(checkout: Checkout) -> None:
    result = checkout.run(
        [
            "config/demo.yaml",
            checkout.write_config({"methods": {"multiflow": {"training": {"epochs": -1, "rate": 1}}}}),
        ],
        "-n",
    )
    printed = result.stdout + result.stderr
    assert result.returncode != 0
    assert "methods.multiflow.training.epochs: input should be greater than or equal to 1, found -1" in printed
    assert "methods.multiflow.training.rate: unknown key" in printed
    assert "Traceback" not in printed
    (checkout.folder / "twice.yaml").write_text("seeds: [0]\nseeds: [1]\n")
    result = checkout.run(["config/demo.yaml", "twice.yaml"], "-n")
    printed = result.stdout + result.stderr
    assert result.returncode != 0
    assert "twice.yaml: line 2: expected the key seeds once, found it in line 1, too; keep one" in printed
    assert "Traceback" not in printed


def test_the_slurm_profile_is_found_in_a_fresh_clone(checkout: Checkout) -> None:
    result = checkout.run(["config/demo.yaml"], "--profile", "slurm", "-n")
    assert result.returncode == 0, result.stderr[-3000:]
    assert "train_model" in result.stdout + result.stderr
