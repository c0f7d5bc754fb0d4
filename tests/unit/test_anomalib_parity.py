"""Models of anomalib give here what the library's own engine gives, on the same pictures, seed and weights."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from anomalib_pictures import made_weights
from numpy.typing import NDArray
from pictured_samples import PicturedSamples
from PIL import Image

from multiflow.base.weights import read_weights
from multiflow.methods.anomalib import AnomalibMethod
from multiflow.methods.anomalib.settings import Settings
from multiflow.methods.work import Work
from rendered_parts.dataset import render_class
from rendered_parts.settings import Rendering

PART, SIZE, SEED = "coin_cell", 64, 3
RESNET = {"backbone": "resnet18.tv_in1k"}
MODELS: dict[str, dict[str, Any]] = {
    "Padim": {"settings": {"n_features": 30}},
    "Patchcore": {"settings": {"coreset_sampling_ratio": 0.1}},
    "ReverseDistillation": {"training": {"epochs": 2}},
    "Fastflow": {"settings": {"flow_steps": 2}, "training": {"epochs": 2}},
}


def settings_of(model: str) -> Settings:
    values = MODELS[model]
    training = {"batch_size": 3} | values.get("training", {})
    return Settings.model_validate(
        values | {"model": model, "network": RESNET, "image_size": SIZE, "training": training}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mvtec")
    settings = Rendering(layout="mvtec", image_size=SIZE, train=7, test_ok=2, test_ng=2, samples_per_pixel=1)
    render_class(PART, settings, path)
    return path


def parts(folder: Path, split: str) -> PicturedSamples:
    """Rendered parts, seen from above, by defect type and number."""
    pictures = [np.array(Image.open(path)) for path in sorted((folder / PART / split).glob("*/*.png"))]
    return PicturedSamples(np.stack(pictures)[:, None])


def by_engine(folder: Path, settings: Settings, weights: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Image scores [N] and maps [N, S, S] of anomalib's own engine and data module, not normalised."""
    import anomalib.models
    from anomalib.data import MVTecAD
    from anomalib.engine import Engine
    from lightning.pytorch import seed_everything

    for name in ("anomalib", "lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    found = getattr(anomalib.models, settings.model)
    seed_everything(SEED, verbose=False)
    model = found(
        **settings.arguments(),
        pre_trained=False,
        pre_processor=found.configure_pre_processor((SIZE, SIZE)),
        post_processor=False,
        evaluator=False,
        visualizer=False,
    )
    extractor = model.model.encoder if settings.model == "ReverseDistillation" else model.model.feature_extractor
    network = getattr(extractor, "feature_extractor", extractor)
    missing = network.load_state_dict(read_weights(weights)[0], strict=False).missing_keys
    assert not missing
    data = MVTecAD(folder, PART, train_batch_size=3, eval_batch_size=1, num_workers=0)
    # Its validation takes the test set, and would draw from the generator of the training.
    engine = Engine(
        accelerator="cpu",
        devices=1,
        max_epochs=settings.training.epochs,
        default_root_dir=folder / "engine",
        enable_progress_bar=False,
        limit_val_batches=0,
    )
    engine.fit(model, datamodule=data)
    predictions = engine.predict(model, datamodule=data)
    assert predictions is not None
    by_path = {
        path: (float(score), amap.squeeze().numpy())
        for batch in predictions
        for path, score, amap in zip(batch.image_path, batch.pred_score, batch.anomaly_map, strict=True)
    }
    ordered = [by_path[path] for path in sorted(by_path)]
    return np.array([score for score, _ in ordered]), np.stack([amap for _, amap in ordered])


def by_method(
    folder: Path, data: Path, settings: Settings, weights: dict[str, Path]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same of this program."""
    method, device = AnomalibMethod(), torch.device("cpu")
    work = Work(device, 1, folder / "checkpoint.pt", "fingerprint", weights)
    model = method.train(parts(data, "train"), settings, SEED, work)  # type: ignore[arg-type]
    scorer = method.scorer(replace(model, weights=weights), settings, device)
    scores = [scorer(sample) for sample in parts(data, "test")]  # type: ignore[arg-type]
    images = [score.image_score for score in scores if score.image_score is not None]
    return np.concatenate(images), np.concatenate([score.map for score in scores])


@pytest.mark.parametrize("model", MODELS)
def test_scores_and_maps_are_those_of_the_library(folder: Path, tmp_path: Path, model: str) -> None:
    torch.set_num_threads(1)
    settings = settings_of(model)
    weights = made_weights(folder, settings.networks)
    expected_scores, expected_maps = by_engine(folder, settings, weights["resnet18.tv_in1k"])
    scores, maps = by_method(tmp_path, folder, settings, weights)
    assert maps.shape == expected_maps.shape == (4, SIZE, SIZE)
    # Found equal to the last bit, but for PaDiM's, which differ by 2e-7 of their maximum.
    np.testing.assert_allclose(scores, expected_scores, rtol=1e-6)
    np.testing.assert_allclose(maps, expected_maps, rtol=0, atol=1e-6 * np.abs(expected_maps).max())
    assert np.ptp(maps) > 0
