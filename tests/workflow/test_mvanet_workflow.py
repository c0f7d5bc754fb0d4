"""MVANet through the workflow: checkpoint, weights, masks. Weights by formula, so the masks mean nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mvanet_formula import formula_state
from PIL import Image
from skimage import data

from multiflow.base.provenance import file_sha256
from multiflow.base.tensors import read_provenance
from multiflow.foreground.file import ForegroundFile

if TYPE_CHECKING:
    from checkout import Checkout


def write_coins(root: Path) -> None:
    """Crops of a photograph of coins that scikit-image ships: one camera; 1 training and 2 test samples."""
    photograph = data.coins()
    records: dict[str, list[dict[str, str | None]]] = {"train": [], "test": []}
    for split, code, number in (("train", "OK", 1), ("test", "OK", 2), ("test", "HS", 1)):
        group = "OK" if code == "OK" else f"NG_{code}"
        stem = f"{group.replace('_', '/')}/S{number:04d}/coin_{number:04d}_{group}_C1_20240101000000"
        path = root / "realiad_1024/coin" / f"{stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph[40 * number :][:200, 60 * number :][:, :200]).save(path)
        if code != "OK":
            Image.fromarray(np.eye(200, dtype=np.uint8) * 255).save(path.with_suffix(".png"))
        records[split].append(
            {
                "category": "coin",
                "anomaly_class": code,
                "image_path": f"{stem}.jpg",
                "mask_path": None if code == "OK" else f"{stem}.png",
            }
        )
    annotations = root / "realiad_jsons/coin.json"
    annotations.parent.mkdir(parents=True)
    meta = {"prefix": "coin/", "normal_class": "OK", "pre_transform": None}
    annotations.write_text(json.dumps({"meta": meta, **records}))


def overlay(weights: str) -> dict[str, Any]:
    return {
        "run": "coins",
        "dataset": {"root": "coins", "cameras": ["C1"], "classes": ["coin"], "flips": None, "published": None},
        "segmentation": {"image_size": 384, "test_time_scales": [1.0], "weights": weights},
        "foreground": {"method": "mvanet"},
        "methods": {"multiflow": {"training": {"batch_size": 1}}},
    }


def test_masks_from_a_checkpoint(checkout: Checkout) -> None:
    write_coins(checkout.folder / "coins")
    torch.save(formula_state(), checkout.folder / "Model_80.pth")
    config = checkout.write_config(overlay("Model_80.pth"))
    target = "results/coins/foreground/mvanet/coin.h5"
    checkout.succeed([config], target)

    weights = checkout.folder / "results/coins/weights/mvanet.safetensors"
    with ForegroundFile(checkout.folder / target) as foreground:
        masks = [split.segmentation(i) for split in map(foreground.split, ("train", "test")) for i in range(len(split))]
        assert foreground.attribute("weights_sha256") == read_provenance(weights)["tensors_sha256"]
    assert [mask.shape for mask in masks] == [(1, 384, 384)] * 3
    assert all(0 < mask.mean() < 1 for mask in masks)
    assert "Nothing to be done" in checkout.succeed([config], "-n", target)
    for file in (weights, checkout.folder / "Model_80.pth"):
        file.unlink()  # 376 MB each; pytest keeps the folders of three runs


def test_a_damaged_checkpoint_is_one_line(checkout: Checkout) -> None:
    write_coins(checkout.folder / "coins")
    damaged = checkout.folder / "Model_80.pth"
    damaged.write_bytes(b"PK\x03\x04 the rest did not arrive")
    config = checkout.write_config(overlay("Model_80.pth"))
    result = checkout.run([config], "results/coins/foreground/mvanet/coin.h5")
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if line.startswith("Model_80.pth")]
    assert len(lines) == 1
    assert "expected a PyTorch state dict, cannot read it" in lines[0]
    assert "Traceback" not in result.stderr

    values = overlay("Model_80.pth")
    config = checkout.write_config(values | {"segmentation": values["segmentation"] | {"weights_sha256": 32 * "5e"}})
    result = checkout.run([config], "results/coins/weights/mvanet.safetensors")
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if line.startswith("Model_80.pth")]
    assert len(lines) == 1
    assert f"expected SHA-256 {32 * '5e'} (segmentation.weights_sha256), found {file_sha256(damaged)};" in lines[0]
    assert "Traceback" not in result.stderr
