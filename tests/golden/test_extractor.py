"""EfficientNet-B5 up to ``blocks.5`` with formula weights, against the released extractor."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch

from multiflow.features.backbone import create_backbone
from multiflow.features.settings import FeatureSet

GOLDEN = np.load(Path(__file__).parent / "extractor_b5.npz")


def _formula(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights by name, as the golden data's description defines them."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return np.exp(0.2 * values)
    if name.endswith(("bias", "running_mean")):
        return 0.1 * values
    if len(shape) < 2:
        return 1 + 0.1 * values
    return values * float(GOLDEN["gain"]) / np.sqrt(np.prod(shape[1:]))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "b5.safetensors"
    state = {
        name: torch.zeros_like(value)
        if name.endswith("num_batches_tracked")
        else torch.from_numpy(_formula(name, tuple(value.shape)).astype(np.float32))
        for name, value in timm.create_model("tf_efficientnet_b5.aa_in1k").state_dict().items()
    }
    for name in state:
        if f"weight_check/{name}" in GOLDEN:
            np.testing.assert_array_equal(state[name].flatten()[:5].numpy(), GOLDEN[f"weight_check/{name}"])
    safetensors.torch.save_file(state, path)
    return path


def _features(size: int, padding: str, weights: Path) -> np.ndarray:
    images = np.random.RandomState(size).standard_normal((1, 3, size, size)).astype(np.float32)
    np.testing.assert_array_equal(images[0, :, :2, :3], GOLDEN[f"{size}/input_check"])
    with torch.inference_mode():
        return create_backbone(FeatureSet(padding=padding), weights)(torch.from_numpy(images))[0].numpy()


@pytest.mark.parametrize("size", [384, 768])
def test_fixed_padding_is_the_released_extractor(size: int, weights: Path) -> None:
    features = _features(size, "fixed", weights)
    assert features.shape == (304, size // 32, size // 32)
    step = int(GOLDEN[f"{size}/sub_stride"])
    for found, key in (
        (features[:, ::step, ::step], "sub"),
        (features.mean(axis=(1, 2)), "channel_mean"),
        (features.std(axis=(1, 2)), "channel_std"),
        (features[::8, 0], "border_row0"),
        (features[::8, -1], "border_rowlast"),
    ):
        np.testing.assert_allclose(found, GOLDEN[f"{size}/{key}"], rtol=0, atol=2e-5, err_msg=key)


def test_timms_own_padding_is_another_extractor(weights: Path) -> None:
    features = _features(384, "same", weights)
    step = int(GOLDEN["384/sub_stride"])
    found = features[::16, ::step, ::step]
    np.testing.assert_allclose(found, GOLDEN["384/timm_unpatched_sub"], rtol=0, atol=2e-5)
    assert np.abs(found - GOLDEN["384/sub"][::16]).max() > 0.1
