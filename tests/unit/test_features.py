"""The features station on drawn pictures, with the packaged weights."""

from __future__ import annotations

import hashlib
import logging
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_data import dataset, write_class

from multiflow.base.devices import exact_float32
from multiflow.base.errors import InputError
from multiflow.base.settings import Compute
from multiflow.base.tensors import read_provenance
from multiflow.datasets.digests import digests
from multiflow.datasets.images import load_image
from multiflow.datasets.table import load_samples, read_samples, write_samples
from multiflow.features.backbone import Backbone, create_backbone
from multiflow.features.extraction import extract_features
from multiflow.features.file import FeatureFile
from multiflow.features.pretrained import fetch_weights
from multiflow.features.settings import FeatureSet

Extract: TypeAlias = Callable[..., Path]
Change: TypeAlias = Callable[[pd.DataFrame], pd.DataFrame]
SETTINGS = FeatureSet(backbone="tf_efficientnet_lite0.in1k", weights="package", image_size=64)


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
        workers: int = 0,
        **changes: Any,
    ) -> Path:
        if not (tmp_path / "data").exists():
            write_class(tmp_path / "data")
        frame = change(read_samples(dataset(), tmp_path / "data", "thing", processes=0))
        write_samples(frame, tmp_path / "thing.csv")
        extract_features(
            tmp_path / "thing.csv",
            digests(frame),
            tmp_path / "data",
            weights,
            SETTINGS.model_copy(update=changes),
            Compute(workers=workers),
            tmp_path / name,
            {"revision": "abc"},
        )
        return tmp_path / name

    return run


def test_file_holds_what_the_backbone_gives(extract: Extract, weights: Path, tmp_path: Path) -> None:
    with FeatureFile(extract()) as features:
        train, test = features.split("train"), features.split("test")
        assert (len(train), len(test)) == (3, 4)
        assert (features.cameras, features.channels, features.grid) == (["C1", "C2", "C3"], 192, (2, 2))
        assert features.attribute("class") == "thing"
        assert features.attribute("provenance") == '{"revision": "abc"}'
        assert features.attribute("weights_sha256") == read_provenance(weights)["tensors_sha256"]
        assert features.attribute("pictures_sha256") == digests(load_samples(tmp_path / "thing.csv"))["pictures"]
        assert (features.attribute("threads"), features.attribute("device")) == (1, f"cpu {platform.machine()}")
        settings = SETTINGS.model_dump(exclude={"weights", "weights_sha256"})
        assert {name: features.attribute(name) for name in settings} == settings
        backbone = create_backbone(SETTINGS, weights)
        images = np.stack([load_image(tmp_path / "data" / path, 64) for path in test.images[2]])
        # On one thread, as the extraction: some processors differ by more than the bound on two.
        with torch.inference_mode(), exact_float32(1):
            expected = backbone(backbone.normalize(torch.from_numpy(images))).numpy()
        np.testing.assert_allclose(test.features(2), expected, rtol=0, atol=1e-5)
        assert set(features.file["test"]) == {"features", "sample", "image"}
        assert features.file["train/features"].chunks == (1, 3, 192, 2, 2)


def test_channel_statistics_are_those_of_the_training_set(extract: Extract) -> None:
    with FeatureFile(extract(dtype="float16")) as features:
        assert features.file["train/features"].dtype == np.float16
        values = features.array("train/features").astype(np.float64)
        mean, std = values.mean(axis=(0, 1, 3, 4)), values.std(axis=(0, 1, 3, 4))
        assert features.split("train").features(0).dtype == np.float32
        np.testing.assert_allclose(features.channel_mean, mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(features.channel_std, std, rtol=1e-12, atol=1e-12)


def test_worker_processes_change_nothing(extract: Extract) -> None:
    assert extract("a.h5").read_bytes() == extract("b.h5", workers=2).read_bytes()


def test_precision_and_memory_layout_change_last_digits_alone(extract: Extract) -> None:
    with FeatureFile(extract()) as exact, FeatureFile(extract("last.h5", channels_last=True)) as last:
        expected = exact.array("train/features")
        assert last.attribute("channels_last")
        np.testing.assert_allclose(last.array("train/features"), expected, rtol=1e-3, atol=1e-4 * expected.std())
    with FeatureFile(extract("bf16.h5", precision="bfloat16")) as features:
        found = features.array("train/features")
    assert found.dtype == np.float32
    assert 1e-4 < np.linalg.norm(found - expected) / np.linalg.norm(expected) < 0.05


def test_flips_mirror_the_image(extract: Extract) -> None:
    with (
        FeatureFile(extract("plain.h5")) as plain,
        FeatureFile(
            extract("flipped.h5", lambda frame: frame.assign(flip=(frame["camera"] == "C2").astype(int)))
        ) as flipped,
    ):
        before, after = plain.split("test"), flipped.split("test")
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
        extract()
    assert re.search(r"extracted 7 of 7 samples, network idle \d+\.\d % of the time, [\d.]+ images/s, ", caplog.text)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_checksum_is_that_of_the_stored_features(extract: Extract, dtype: str) -> None:
    with FeatureFile(extract(dtype=dtype)) as features:
        stored = [features.array(f"{split}/features") for split in ("train", "test")]
        expected = hashlib.sha256(b"".join(array.tobytes() for array in stored)).hexdigest()
        assert features.attribute("content_sha256") == expected
    changed = extract("flipped.h5", lambda frame: frame.assign(flip=(frame["camera"] == "C2").astype(int)), dtype=dtype)
    with FeatureFile(changed) as features:
        assert features.attribute("content_sha256") != expected


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
