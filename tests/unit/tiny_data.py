"""A small data set in Real-IAD's layout, with pictures that are drawn, not photographed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from multiflow.datasets.settings import Dataset

CAMERAS = ("C1", "C2", "C3")


def write_class(
    root: Path,
    name: str = "thing",
    cameras: tuple[str, ...] = CAMERAS,
    train: int = 3,
    size: tuple[int, int] = (96, 80),
    mode: str = "RGB",
    annotations: str = "realiad_jsons",
) -> Path:
    """Write ``train`` normal samples and a test set of two normal and two scratched ones; return the JSON.

    The last of several cameras does not see the scratch. Test samples share numbers with training samples.
    """
    random = np.random.default_rng(0)
    records: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for split, code, numbers in (
        ("train", "OK", range(train)),
        ("test", "OK", (0, 7)),
        ("test", "HS", (0, 7)),
    ):
        for number in numbers:
            for camera in cameras:
                group = "OK" if code == "OK" else f"NG_{code}"
                folder = f"{group.replace('_', '/')}/S{number:04d}"
                stem = f"{folder}/{name}_{number:04d}_{group}_{camera}_{split}2024"
                visible = code != "OK" and (len(cameras) == 1 or camera != cameras[-1])
                path = root / "realiad_1024" / name / f"{stem}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(_picture(random, size)).convert(mode).save(path)
                if visible:
                    mask = np.zeros(size[::-1], np.uint8)
                    mask[size[1] // 2 : size[1] // 2 + 10, size[0] // 4 : size[0] // 2] = 255
                    Image.fromarray(mask).save(path.with_suffix(".png"))
                records[split].append(
                    {
                        "category": name,
                        "anomaly_class": code if visible else "OK",
                        "image_path": f"{stem}.jpg",
                        "mask_path": f"{stem}.png" if visible else None,
                    }
                )
    path = root / annotations / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = {"prefix": f"{name}/", "normal_class": "OK", "pre_transform": None}
    path.write_text(json.dumps({"meta": meta, **records}), encoding="utf-8")
    return path


def dataset(**changes: Any) -> Dataset:
    """The ``dataset`` block that fits :func:`write_class`."""
    return Dataset(**{"classes": ["thing"], "cameras": list(CAMERAS), "flips": None} | changes)


def _picture(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A dark, textured block off the centre of a light background."""
    width, height = size
    picture = np.full((height, width, 3), 210, np.uint8)
    block = picture[height // 4 : 3 * height // 4, width // 5 : 3 * width // 5]
    block[:] = random.integers(20, 90, block.shape)
    return picture
