"""A training set that is too small for a method is refused before anything is computed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_data import dataset, write_class

from multiflow.base.errors import InputError
from multiflow.config import Config, load_config
from multiflow.datasets.table import read_samples
from multiflow.methods.checks import check_samples

CONFIG = Path(__file__).parents[2] / "config"


def run_of(root: Path, experiments: dict[str, Any]) -> Config:
    values = yaml.safe_load((CONFIG / "config.yaml").read_text())
    values["dataset"] |= {
        "root": str(root),
        "classes": ["thing", "nut"],
        "cameras": ["C1", "C2", "C3"],
        "published": None,
    }
    return load_config(values | {"experiments": experiments, "tables": {}})


def test_each_experiment_that_gets_no_batch_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_class(tmp_path / "data", train=3)
    frame = read_samples(dataset(), tmp_path / "data", "thing", processes=0)
    run = run_of(
        tmp_path / "data",
        {
            "multiflow": {},
            "wide": {"network": {"hidden": 32}},
            "same_model": {"foreground": {"background": "ignored"}},
            "small": {"training": {"batch_size": 3}},
            "rest": {"training": {"drop_last": False}},
            "images": {"method": "cflow"},
            "few_images": {"method": "cflow", "training": {"image_batch": 9}},
            "padim": {"method": "anomalib", "model": "Padim", "training": {"batch_size": 10}},
            "elsewhere": {"classes": ["nut"], "training": {"epochs": 7}},
        },
    )
    with pytest.raises(InputError) as caught:
        check_samples(run.trained_on("thing"), "thing", frame)
    assert caught.value.problems == [
        "multiflow, wide on thing: train: expected at least training.batch_size = 8 samples, found 3; lower "
        "training.batch_size or set training.drop_last: false",
        "images on thing: train: expected at least training.image_batch = 32 images, found 9; lower "
        "training.image_batch or set training.drop_last: false",
        "padim on thing: train: expected at least training.batch_size = 10 images, found 9; lower it",
    ]
    for name in ("multiflow", "wide", "images", "padim"):
        for seed in run.seeds:
            model = tmp_path / f"results/{run.run}/imported/{name}/thing/seed{seed}.safetensors"
            model.parent.mkdir(parents=True, exist_ok=True)
            model.touch()
    check_samples(run.trained_on("thing"), "thing", frame)  # a model that is imported is not trained
