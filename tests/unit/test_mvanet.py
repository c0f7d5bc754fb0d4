"""MVANet: batches, sizes, the passes at test time, and what a wrong checkpoint gets to read."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
import torch.nn.functional as F
from mvanet_formula import released_tensors
from torch import Tensor, nn

from multiflow.base.devices import MissingGpuError
from multiflow.base.errors import InputError
from multiflow.base.provenance import file_sha256
from multiflow.base.settings import Compute
from multiflow.foreground.mvanet import MVANet, MVANetSegmenter, create_mvanet, fetch_mvanet
from multiflow.foreground.mvanet.attention import sine_positions
from multiflow.foreground.mvanet.patches import join_quadrants, pooled_tokens, split_quadrants, to_map, to_tokens
from multiflow.foreground.segmenters import create_segmenter
from multiflow.foreground.settings import Segmentation

LEFT_OVER = {
    **{f"sideout{i}.0.weight": (1, 128, 3, 3) for i in range(1, 6)},
    **{f"sideout{i}.0.bias": (1,) for i in range(1, 6)},
    **{f"dec_blk{i}.linear1.weight": (256, 128) for i in range(1, 5)},
    **{f"dec_blk{i}.linear2.bias": (128,) for i in range(1, 5)},
    "multifieldcrossatt.attention.5.in_proj_weight": (384, 128),
    "multifieldcrossatt.attention.5.out_proj.bias": (128,),
}
WriteCheckpoint = Callable[..., Segmentation]


@pytest.fixture(scope="module")
def network() -> MVANet:
    torch.manual_seed(0)
    return MVANet().eval().requires_grad_(False)


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> WriteCheckpoint:
    """Write a checkpoint with the released names and shapes; every tensor is one repeated number, and one number long.

    ``changes`` gives the shapes of further tensors, None leaves a tensor out.
    """

    def write(changes: dict[str, tuple[int, ...] | None] | None = None) -> Segmentation:
        shapes = released_tensors() | (changes or {})
        state = {
            name: torch.zeros((), dtype=torch.int64 if "num_batches" in name else torch.float32).expand(shape)
            for name, shape in shapes.items()
            if shape is not None
        }
        path = tmp_path / "Model_80.pth"
        torch.save(state, path)
        return Segmentation(weights=str(path))

    return write


def _images(count: int, size: int) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_a_batch_is_its_images_one_by_one(network: MVANet) -> None:
    images = _images(2, 384)
    with torch.inference_mode():
        together = network(images)
        second = network(images[1:])
    assert together.shape == (2, 1, 384, 384)
    assert float((together[0] - together[1]).abs().max()) > 100 * float((together[1:] - second).abs().max())
    torch.testing.assert_close(together[1:], second, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="without AVX-512 a convolution in bfloat16 takes minutes on a CPU",
)
def test_bfloat16_is_close(network: MVANet) -> None:
    images = _images(1, 384)
    with torch.inference_mode():
        exact = network(images)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(images)
    assert found.dtype == torch.bfloat16
    assert 0 < float((found.float() - exact).norm() / (exact - exact.mean()).norm()) < 0.2


@pytest.mark.parametrize("shape", [(1, 3, 256, 256), (1, 3, 448, 448), (1, 3, 384, 512)])
def test_other_sizes_are_refused(network: MVANet, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiple of 128 px from 384 on"):
        network(torch.zeros(shape))


def test_configuration_names_sizes_that_do_not_work() -> None:
    with pytest.raises(ValueError, match="576, 768, 960 px; mvanet needs multiples of 128 from 384 on"):
        Segmentation(image_size=768).check("mvanet")
    with pytest.raises(ValueError, match="multiples of 128"):
        Segmentation(image_size=256, test_time_scales=[1.0]).check("mvanet")
    Segmentation(image_size=512).check("mvanet")
    Segmentation(image_size=300).check("threshold")


def test_settings_that_decide_are_those_of_the_method() -> None:
    assert set(Segmentation().deciding("threshold")) == {"image_size"}
    ours = {"image_size", "test_time_scales", "test_time_flip", "amp"}
    assert set(Segmentation().deciding("mvanet")) == ours
    assert set(Segmentation(channels_last=True).deciding("mvanet")) == ours | {"channels_last"}
    assert set(Segmentation(channels_last=True).deciding("threshold")) == {"image_size"}


def test_quadrants_and_tokens() -> None:
    maps = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    quadrants = split_quadrants(maps)
    expected = [maps[..., :2, :3], maps[..., :2, 3:], maps[..., 2:, :3], maps[..., 2:, 3:]]
    torch.testing.assert_close(quadrants, torch.stack(expected, dim=1))
    torch.testing.assert_close(join_quadrants(quadrants), maps)
    tokens = to_tokens(quadrants)
    assert tokens[1, 2, 4].tolist() == quadrants[1, 2, :, 1, 1].tolist()
    torch.testing.assert_close(to_map(tokens, 2), quadrants)
    pooled = pooled_tokens(maps[..., :4].float(), (4, 1))
    assert pooled.shape == (2, 17, 3)
    torch.testing.assert_close(pooled[:, 16], maps[..., :4].float().mean(dim=(2, 3)))


def test_positions_differ_and_have_y_before_x() -> None:
    positions = sine_positions(6, 128)
    assert positions.shape == (36, 128)
    assert len(torch.unique(positions, dim=0)) == 36
    grid = positions.reshape(6, 6, 128)
    torch.testing.assert_close(grid[2, 0, :64], grid[2, 5, :64])
    torch.testing.assert_close(grid[0, 2, 64:], grid[5, 2, 64:])
    torch.testing.assert_close(grid[2, 3, :64], grid[3, 2, 64:])


class _Brightness(nn.Module):
    """In MVANet's place: the logit of a pixel is the sum of its channels, plus its column's side of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[int, int]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.batches.append((images.shape[0], images.shape[-1]))
        side = torch.linspace(-0.3, 0.3, images.shape[-1])
        return images.sum(dim=1, keepdim=True) + side


def test_a_gpu_that_is_missing_is_no_reason_to_segment_for_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    network: Any = _Brightness()
    with pytest.raises(MissingGpuError, match=r"compute.device: CUDA finds no GPU"):
        MVANetSegmenter(network, Segmentation(), Compute())


def _segment(images: np.ndarray, **changes: Any) -> tuple[np.ndarray, list[tuple[int, int]]]:
    network: Any = _Brightness()
    settings = Segmentation(image_size=512, **changes)
    return MVANetSegmenter(network, settings, Compute()).segment(images), network.batches


def test_passes_are_brought_back_and_averaged() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 512, 512, 3), dtype=np.uint8)
    found, batches = _segment(images)
    assert batches == [(1, size) for size in (384, 512, 640)] * 6
    assert (found.shape, found.dtype) == ((3, 512, 512), bool)
    pixels = torch.from_numpy(images[1]).permute(2, 0, 1).double() / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    brightness = ((pixels - mean) / std).sum(dim=0)[None, None]
    expected = torch.zeros_like(brightness)
    for size in (384, 512, 640):  # the side cancels with the mirrored passes
        seen = F.interpolate(brightness, (size, size), mode="bilinear")
        expected += F.interpolate(seen, (512, 512), mode="bilinear") / 3
    clear = expected[0, 0].abs().numpy() > 1e-4
    np.testing.assert_array_equal(found[1][clear], expected[0, 0].numpy()[clear] > 0)
    assert 0.2 < found.mean() < 0.8


def test_batches_change_nothing_and_bound_what_runs_together() -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 512, 512, 3), dtype=np.uint8)
    alone, _ = _segment(images, test_time_scales=[1.0], test_time_flip=False)
    together, batches = _segment(images, test_time_scales=[1.0], test_time_flip=False, batch_size=2)
    assert batches == [(2, 512), (1, 512)]
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("wanted", [False, True])
def test_weights_lie_with_channels_last_where_that_is_wanted(wanted: bool) -> None:
    network: Any = nn.Conv2d(3, 8, 3)
    MVANetSegmenter(network, Segmentation(channels_last=wanted), Compute(device="cpu"))
    assert network.weight.is_contiguous(memory_format=torch.channels_last) == wanted


def test_a_checkpoint_with_its_left_overs_is_accepted(write_checkpoint: WriteCheckpoint, tmp_path: Path) -> None:
    settings = write_checkpoint(LEFT_OVER)
    fetch_mvanet(settings, tmp_path / "mvanet.safetensors")
    with safetensors.safe_open(tmp_path / "mvanet.safetensors", "pt") as file:
        assert set(file.keys()) == set(released_tensors())
        provenance = json.loads(file.metadata()["provenance"])
    assert len(provenance.pop("tensors_sha256")) == 64
    assert provenance == {
        "network": "MVANet", "source": settings.weights, "sha256": file_sha256(Path(settings.weights)),
    }  # fmt: skip
    # Its indices are zeros here, not those of a window.
    with pytest.raises(InputError, match="relative_position_index is not that of a 12 x 12 window"):
        create_mvanet(tmp_path / "mvanet.safetensors")
    (tmp_path / "mvanet.safetensors").unlink()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output.0.bias": None}, "found 600: output.0.bias missing; give Model_80.pth of https"),
        ({"head.bias": (1,)}, "found 602: head.bias unknown; give"),
        ({"dec_blk5.linear3.bias": (256,), "dec_blk5.linear4.bias": (128,)},
         "found 603: dec_blk5.linear3.bias and 1 more unknown; give"),
        ({"shallow.0.weight": (64, 3, 3, 3)}, r"shallow.0.weight is \[64, 3, 3, 3\], not \[128, 3, 3, 3\]"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_differs_is_one_line(
    write_checkpoint: WriteCheckpoint, tmp_path: Path, changes: dict[str, tuple[int, ...] | None], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        fetch_mvanet(write_checkpoint(changes), tmp_path / "mvanet.safetensors")
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]
    assert not (tmp_path / "mvanet.safetensors").exists()


def test_another_architecture_and_a_truncated_file_are_one_line(
    write_checkpoint: WriteCheckpoint, tmp_path: Path
) -> None:
    settings = write_checkpoint()
    path = Path(settings.weights)
    whole = path.read_bytes()
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(InputError, match=r"expected the 601 tensors of MVANet, found 2: .* missing; weight and 1 more"):
        fetch_mvanet(settings, tmp_path / "mvanet.safetensors")
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="expected a PyTorch state dict, cannot read it") as caught:
        fetch_mvanet(settings, tmp_path / "mvanet.safetensors")
    assert "\n" not in caught.value.problems[0]
    path.unlink()
    with pytest.raises(InputError, match=r"no such file; download Model_80.pth from https://drive.google.com"):
        fetch_mvanet(settings, tmp_path / "mvanet.safetensors")


def test_the_checksum_of_a_checkpoint(write_checkpoint: WriteCheckpoint, tmp_path: Path) -> None:
    settings, output = write_checkpoint(), tmp_path / "mvanet.safetensors"
    found = file_sha256(settings.weights)
    with pytest.raises(InputError) as caught:
        fetch_mvanet(settings.model_copy(update={"weights_sha256": 64 * "0"}), output)
    assert caught.value.problems == [
        f"{settings.weights}: expected SHA-256 {64 * '0'} (segmentation.weights_sha256), found {found}; the file is "
        "damaged or another one: get it again, or correct the key"
    ]
    assert not output.exists()
    fetch_mvanet(settings.model_copy(update={"weights_sha256": found}), output)
    assert output.exists()


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    weights = tmp_path / "mvanet.safetensors"
    with pytest.raises(InputError, match="no such file; run the rule fetch_weights"):
        create_segmenter("mvanet", Segmentation(), Compute(), weights)
    weights.write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(InputError, match=r"expected weights, cannot read them .* delete it and rerun"):
        create_segmenter("mvanet", Segmentation(), Compute(), weights)
    with pytest.raises(InputError, match="mvanet needs weights"):
        create_segmenter("mvanet", Segmentation(), Compute())


def test_download_from_the_drive(
    write_checkpoint: WriteCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Path(write_checkpoint().weights)
    addresses = []

    def answer(address: str, timeout: float) -> io.BytesIO:
        addresses.append(address)
        return io.BytesIO(checkpoint.read_bytes())

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    fetch_mvanet(Segmentation(), tmp_path / "mvanet.safetensors")
    assert "id=1_gabQXOF03MfXnf3EWDK1d_8wKiOemOv" in addresses[0]
    with safetensors.safe_open(tmp_path / "mvanet.safetensors", "pt") as file:
        assert json.loads(file.metadata()["provenance"])["sha256"] == file_sha256(checkpoint)
    (tmp_path / "mvanet.safetensors").unlink()


@pytest.mark.parametrize("page", [True, False])
def test_without_a_download_one_line_says_what_to_do(
    page: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(address: str, timeout: float) -> io.BytesIO:
        if page:
            return io.BytesIO(b"<!DOCTYPE html><title>Quota exceeded</title>")
        raise OSError("Name or service\nnot known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    path = tmp_path / "mvanet.safetensors"
    with pytest.raises(InputError) as caught:
        fetch_mvanet(Segmentation(), path)
    (line,) = caught.value.problems
    assert ("answered with a page" if page else "(Name or service not known)") in line
    assert line.endswith(
        "download Model_80.pth from https://drive.google.com/file/d/1_gabQXOF03MfXnf3EWDK1d_8wKiOemOv (the README of "
        f"https://github.com/qianyu-dlut/MVANet links it) to {tmp_path / 'Model_80.pth'} and set segmentation.weights "
        "to that path"
    )
    assert not path.exists()
