"""Decoding: every kind of picture becomes RGB of the right size and orientation, or one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multiflow.base.errors import InputError
from multiflow.datasets.images import load_image
from multiflow.datasets.masks import load_mask


def _save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@pytest.fixture
def ramp() -> np.ndarray:
    """Grey values 0 to 255 from left to right."""
    return np.tile(np.arange(256, dtype=np.uint8), (100, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_common_mode_becomes_rgb(tmp_path: Path, ramp: np.ndarray, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    image = load_image(_save(tmp_path / f"a.{suffix}", Image.fromarray(ramp).convert(mode)))
    assert image.shape == (100, 256, 3)
    assert image.dtype == np.uint8
    assert image[:, -9:].mean() > image[:, :9].mean() + 200


def test_sixteen_bit_grey_uses_the_full_range(tmp_path: Path, ramp: np.ndarray) -> None:
    values = ramp.astype(np.uint16) * 257
    image = load_image(_save(tmp_path / "a.png", Image.fromarray(values)))
    np.testing.assert_array_equal(image, np.repeat(ramp[..., None], 3, axis=2))


def test_floating_point_pictures_are_refused(tmp_path: Path, ramp: np.ndarray) -> None:
    path = _save(tmp_path / "a.tif", Image.fromarray(ramp.astype(np.float32)))
    with pytest.raises(InputError, match="expected 8 or 16 bits a channel, found Pillow mode F"):
        load_image(path)


def test_resize_is_pillows_antialiased_bilinear_and_squeezes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    picture = Image.fromarray(pixels)
    image = load_image(_save(tmp_path / "a.png", picture), 32)
    np.testing.assert_array_equal(image, np.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR)))
    assert image.std() < 0.6 * pixels.std()


def test_flip_equals_a_mirrored_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (61, 90, 3), np.uint8)
    path = _save(tmp_path / "a.png", Image.fromarray(pixels))
    mirrored = _save(tmp_path / "b.png", Image.fromarray(pixels[:, ::-1].copy()))
    np.testing.assert_array_equal(load_image(path, 24, flip=True), load_image(mirrored, 24))
    np.testing.assert_array_equal(load_mask(path, 24, flip=True), load_mask(mirrored, 24))
    assert (load_image(path, 24, flip=True) != load_image(path, 24)).any()


def test_exif_orientation_is_ignored(tmp_path: Path, ramp: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = _save(tmp_path / "a.jpg", Image.fromarray(ramp), exif=exif)
    assert load_image(path).shape == (100, 256, 3)


def test_mask_threshold(tmp_path: Path, ramp: np.ndarray) -> None:
    path = _save(tmp_path / "a.png", Image.fromarray(ramp))
    assert load_mask(path).sum(axis=1).tolist() == [128] * 100
    assert load_mask(path, threshold=254).sum(axis=1).tolist() == [1] * 100
    assert set(np.unique(load_mask(path, 16))) == {0, 1}


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_mask_of_every_mode(tmp_path: Path, mode: str) -> None:
    pixels = np.zeros((20, 20), np.uint8)
    pixels[5:9, 3:12] = 255
    path = _save(tmp_path / "a.png", Image.fromarray(pixels).convert(mode))
    np.testing.assert_array_equal(load_mask(path), pixels // 255)


def test_a_coloured_mask_counts_by_its_strongest_channel(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[2:4, 2:4, 2] = 255
    assert load_mask(_save(tmp_path / "a.png", Image.fromarray(pixels))).sum() == 4


def test_mask_is_resized_to_the_nearest_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8) * 255
    path = _save(tmp_path / "a.png", Image.fromarray(pixels))
    np.testing.assert_array_equal(load_mask(path, 16), pixels[2::4, 2::4] // 255)


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp", "tif"])
def test_truncated_pictures_are_one_line(tmp_path: Path, ramp: np.ndarray, kind: str) -> None:
    path = _save(tmp_path / f"a.{kind}", Image.fromarray(ramp))
    whole = path.read_bytes()
    for length in (0, 1, 20, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            load_image(path, 32)
        (line,) = caught.value.problems
        assert line.startswith(f"{path}: expected a picture, cannot decode its {length} bytes")
        assert "\n" not in line


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png: no such file"):
        load_image(tmp_path / "a.png", 32)
    with pytest.raises(InputError, match="expected a picture, found a folder; rename or move it"):
        load_image(tmp_path, 32)
