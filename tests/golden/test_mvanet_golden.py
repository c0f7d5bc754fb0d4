"""MVANet with formula weights against the released network: logits and the maps on the way, at its three sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mvanet_formula import formula_state, released_tensors
from torch import Tensor

from multiflow.foreground.mvanet import MVANet, create_mvanet, fetch_mvanet
from multiflow.foreground.mvanet.test_time import mean_prediction
from multiflow.foreground.settings import Segmentation

GOLDEN = np.load(Path(__file__).parent / "mvanet.npz")
MASKS = np.load(Path(__file__).parent / "masks.npz")
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> MVANet:
    """The network, through the files that a user's checkpoint goes through."""
    folder = tmp_path_factory.mktemp("weights")
    state = formula_state(float(GOLDEN["meta_gain"]), float(GOLDEN["meta_qkv_gain"]))
    torch.save(state, folder / "Model_80.pth")
    fetch_mvanet(Segmentation(weights=str(folder / "Model_80.pth")), folder / "mvanet.safetensors")
    return create_mvanet(folder / "mvanet.safetensors")


def test_parameter_counts(network: MVANet) -> None:
    assert len(released_tensors()) == 601
    assert sum(parameter.numel() for parameter in network.parameters()) == 94_133_256
    assert sum(parameter.numel() for parameter in network.backbone.parameters()) == 86_880_376


@pytest.mark.parametrize("size", [768, 1024, 1280])
def test_logits_and_taps_equal_the_released_network(network: MVANet, size: int) -> None:
    taps: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor | list[Tensor]) -> None:
        for key, tensor in (
            [(f"{name}.{i}", map_) for i, map_ in enumerate(output)] if isinstance(output, list) else [(name, output)]
        ):
            flat = tensor.flatten()
            places = torch.from_numpy(np.linspace(0, flat.numel() - 1, 48).astype(np.int64))
            stats = torch.stack([flat.mean(), flat.std(correction=0), flat.abs().max()])
            taps[key] = torch.cat([torch.tensor(tensor.shape), stats, flat[places]])

    names = {key.split("/")[2] for key in GOLDEN if key.startswith(f"{size}/tap/")}
    handles = [
        network.get_submodule(name).register_forward_hook(lambda _m, _i, output, name=name: keep(name, output))
        for name in {name.split(".")[0] for name in names}
    ]
    try:
        with torch.inference_mode():
            logits = network(_input(size))
    finally:
        for handle in handles:
            handle.remove()
    assert names == set(taps)
    for name, found in taps.items():
        expected = [GOLDEN[f"{size}/tap/{name}/{key}"].astype(np.float64) for key in ("shape", "stats", "samples")]
        np.testing.assert_allclose(found.numpy(), np.concatenate(expected), rtol=0, atol=TOLERANCE, err_msg=name)

    assert logits.shape == (1, 1, size, size)
    values = logits[0, 0].numpy()
    stats = [values.mean(), values.std(), values.min(), values.max(), (values > 0).mean()]
    for found, key in (
        (values[::16, ::16], "logits_sub"),
        (values[500], "row500"),
        (values[: GOLDEN[f"{size}/corner"].shape[0], : GOLDEN[f"{size}/corner"].shape[1]], "corner"),
        (np.array(stats), "stats"),
    ):
        np.testing.assert_allclose(found, GOLDEN[f"{size}/{key}"], rtol=0, atol=TOLERANCE, err_msg=key)


def test_mean_of_the_passes_rounds_half_to_background() -> None:
    found = mean_prediction(torch.from_numpy(MASKS["tta_logits"]))
    np.testing.assert_array_equal(found.numpy(), MASKS["tta_pred"].astype(bool))


def _input(size: int) -> Tensor:
    channel = np.arange(3)[:, None, None]
    row, column = np.arange(size)[None, :, None], np.arange(size)[None, None, :]
    waves = np.sin(2 * np.pi * (channel + 2) * row / size + channel)
    waves = waves * np.cos(2 * np.pi * (channel + 1) * column / size - 0.5 * channel)
    images = (waves + 0.5 * np.random.RandomState(size).standard_normal((3, size, size))).astype(np.float32)
    np.testing.assert_allclose(images[:, :2, :3], GOLDEN[f"{size}/input_check"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(images.sum(dtype=np.float64), GOLDEN[f"{size}/input_sum"], rtol=1e-5)
    return torch.from_numpy(images)[None]
