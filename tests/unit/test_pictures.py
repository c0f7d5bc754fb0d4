"""Picture files that are not what they seem: the right pixels, a remark, or one line whose advice fits the cause."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from multiflow.base.errors import InputError
from multiflow.datasets import pictures
from multiflow.datasets.images import few_bits, load_image, picture_remarks
from multiflow.datasets.pictures import open_picture

RAMP = np.tile(np.arange(256, dtype=np.uint8), (100, 1))
GARBAGE = b"Exif\0\0no block of EXIF"


def _save(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def _refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_image(path)
    (line,) = caught.value.problems
    assert line.startswith(f"{path}: ")
    return line


def _tiff(path: Path, values: np.ndarray, bits: int = 16, order: str = "<", sub_block: int | None = None) -> Path:
    """An uncompressed TIFF; ``sub_block`` is where its EXIF block is said to lie."""
    height, width = values.shape
    content = values.astype(f"{order}u2").tobytes()
    if bits == 12:
        pairs = values.reshape(-1, 2).astype(np.uint32)
        packed = pairs[:, 0] << 12 | pairs[:, 1]
        content = np.stack([packed >> 16, packed >> 8, packed], -1).astype(np.uint8).tobytes()
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 277: 1, 278: height, 279: len(content)}
    tags |= {} if sub_block is None else {34665: sub_block}
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = sorted({**tags, 273: start}.items())
    short = 1 if order == "<" else 1 << 16  # a short value lies in the first two bytes of four
    block = struct.pack(f"{order}H", len(entries))
    for tag, value in entries:
        kind, scale = (3, short) if tag in (258, 259, 262, 277) else (4, 1)
        block += struct.pack(f"{order}HHII", tag, kind, 1, value * scale)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    path.write_bytes(head + block + bytes(4) + content)
    return path


@pytest.mark.parametrize("kind", ["png", "webp", "jpg"])
def test_a_damaged_exif_block_costs_no_pixel(tmp_path: Path, kind: str) -> None:
    path = _save(tmp_path / f"a.{kind}", RAMP, exif=GARBAGE)
    whole = _save(tmp_path / f"b.{kind}", RAMP)
    np.testing.assert_array_equal(load_image(path), load_image(whole))
    if kind != "jpg":  # of JPEG, Pillow passes such a block by
        assert open_picture(path).remarks == ("its EXIF block is damaged, and ignored",)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_png_with_a_wrong_bit_among_its_pixels_is_damaged(tmp_path: Path, share: float) -> None:
    """Its checksum tells; the pixels alone would be taken with a remark on the EXIF block that is not there."""
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 96, 3), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected a picture, cannot decode its \d+ bytes \(.+\); restore it"):
        open_picture(path)


def test_a_jpeg_that_was_not_written_to_its_end_is_damaged(tmp_path: Path) -> None:
    """Zeros in place of its last part are pixels of their own to a decoder."""
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x010E] = "a thumbnail: \xff\xda \xff\xd9"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 96, 3), np.uint8)).save(path, exif=exif)
    content = path.read_bytes()
    table = content.index(b"\xff\xdb")
    filled, foreign = (content[:table] + between + content[table:] for between in (b"\xff\xff", b"?"))
    for whole in (content, filled, foreign, content + b"\0" * 9, content + b"\xff\xda more"):
        path.write_bytes(whole)
        assert open_picture(path).image.size == (96, 80)
    cut = len(content) * 6 // 10
    path.write_bytes(content[:cut] + b"\0" * (len(content) - cut))
    with pytest.raises(InputError, match=r"cannot decode its \d+ bytes \(its pixels have no end\); restore it"):
        open_picture(path)


def test_a_tiff_whose_exif_block_lies_nowhere_is_read(tmp_path: Path) -> None:
    path = _tiff(tmp_path / "a.tif", RAMP.astype(np.uint16) * 257, sub_block=10**6)
    np.testing.assert_array_equal(load_image(path)[..., 0], RAMP)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}], ids=["raw", "lzw"])
def test_a_tiff_is_not_turned_either(tmp_path: Path, orientation: int, options: dict[str, str]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("tif", "png"):
        path = _save(tmp_path / f"a.{kind}", RAMP, exif=exif, **(options if kind == "tif" else {}))
        picture = open_picture(path)
        assert picture.orientation == orientation
        assert picture.turned == (orientation >= 5)
        assert picture.remarks == ("its EXIF orientation is ignored",)
        np.testing.assert_array_equal(load_image(path)[..., 0], RAMP)


def test_an_orientation_in_xmp_turns_nothing(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    for kind in ("tif", "jpg"):
        options = {"tiffinfo": {700: xmp}} if kind == "tif" else {"xmp": xmp}
        path = _save(tmp_path / f"a.{kind}", RAMP, **options)
        assert open_picture(path).orientation == 6
        assert load_image(path).shape == (100, 256, 3)


def test_a_large_colour_profile_and_a_large_scan_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _save(tmp_path / "a.png", RAMP, icc_profile=bytes(2_000_000))
    np.testing.assert_array_equal(load_image(path)[..., 0], RAMP)
    assert Image.MAX_IMAGE_PIXELS is None
    assert pictures._LARGEST > 196e6
    monkeypatch.setattr(pictures, "_LARGEST", 1000)
    line = _refused(path)
    assert "megapixels" in line
    assert line.endswith("(256 x 100 px); reduce or crop it")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r"0 bytes (it is empty); restore it"),
        (b"\0\0\0\x18ftypheic" + bytes(90), "(it is HEIC); convert it to PNG or JPEG"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "(it is a pointer of Git LFS); get the file with git lfs pull",
        ),
        (b"\0\x05\x16\x07" + bytes(90), "(it is what macOS notes beside a file); take the file without ._"),
        (b"II*\0" + bytes(90), "(it is a TIFF of another kind or damaged); convert or restore it"),
        (b"hello", "(not a picture); restore it"),
    ],
    ids=["empty", "heic", "lfs", "macos", "tiff", "text"],
)
def test_the_advice_fits_the_cause(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert expected in _refused(path)


def test_a_missing_file_names_the_one_that_other_systems_take_for_it(tmp_path: Path) -> None:
    _save(tmp_path / "e\u0301.JPG", RAMP)
    assert _refused(tmp_path / "e.jpg").endswith("no such file; restore it")
    assert _refused(tmp_path / "\u00e9.jpg").endswith("no such file; there is e\u0301.JPG: rename one")
    with pytest.raises(InputError, match=r"zero\\x00byte\.png: no such file; correct its name"):
        load_image(tmp_path / "zero\0byte.png")


@pytest.mark.parametrize("order", ["<", ">"])
def test_either_order_of_bytes(tmp_path: Path, order: str) -> None:
    path = _tiff(tmp_path / "a.tif", RAMP.astype(np.uint16) * 257, order=order)
    np.testing.assert_array_equal(load_image(path)[..., 0], RAMP)


def test_bits_that_the_file_tells_are_scaled(tmp_path: Path) -> None:
    picture = open_picture(_tiff(tmp_path / "a.tif", RAMP.astype(np.uint16) * 16, 12))
    assert (picture.known_bits, picture.highest) == (12, None)
    np.testing.assert_allclose(load_image(tmp_path / "a.tif")[..., 0], RAMP * (4080 / 255) * (255 / 4095), atol=0.5)
    values = (RAMP.astype(np.uint16) * 16).astype(">u2").tobytes()
    (tmp_path / "a.pgm").write_bytes(b"P5 256 100 4095\n" + values)
    assert open_picture(tmp_path / "a.pgm").highest is None
    np.testing.assert_allclose(load_image(tmp_path / "a.pgm")[..., 0], RAMP * (4080 / 4095), atol=0.5)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_few_bits_in_sixteen_are_doubted(tmp_path: Path, bits: int, channels: int, kind: str) -> None:
    values = RAMP.astype(np.uint16) * ((2**bits - 1) // 255)
    path = tmp_path / f"a.{kind}"
    cv2.imwrite(str(path), np.stack([values] * channels, -1))
    highest = open_picture(path).highest
    assert highest is not None
    doubt = few_bits(highest)
    assert doubt == ("" if bits == 16 else doubt)
    assert (f"its 16-bit values use {bits} bits at most" in doubt) == (bits < 16)


def test_pages_and_transparency_are_remarked(tmp_path: Path) -> None:
    page = Image.fromarray(RAMP)
    for kind in ("tif", "gif", "webp"):
        page.save(tmp_path / f"a.{kind}", save_all=True, append_images=[Image.fromarray(RAMP[:, ::-1])])
        picture = open_picture(tmp_path / f"a.{kind}")
        assert picture.frames == 2
        assert "it holds several pictures, of which the first is taken" in picture.remarks
        np.testing.assert_allclose(load_image(tmp_path / f"a.{kind}")[..., 0], RAMP, atol=4)
    pixels = np.dstack([RAMP, RAMP, RAMP, RAMP])
    assert picture_remarks(open_picture(_save(tmp_path / "b.png", pixels))) == ["its transparency is ignored"]
    pixels[..., 3] = 255
    assert picture_remarks(open_picture(_save(tmp_path / "b.png", pixels))) == []


def test_nobody_else_opens_pictures() -> None:
    """Every call of the picture library goes through the one guarded place."""
    calls = ("Image.open(", "getexif(", "imread(", "imdecode(")
    files = Path(pictures.__file__).parents[1].rglob("*.py")
    found = [path.name for path in files if any(call in path.read_text(encoding="utf-8") for call in calls)]
    assert found == ["pictures.py"]


def test_sixteen_bits_whose_zero_is_white_are_refused(tmp_path: Path) -> None:
    """Pillow inverts eight bits of that kind, and leaves sixteen as they are."""
    path = _tiff(tmp_path / "a.tif", RAMP.astype(np.uint16) * 257)
    content = path.read_bytes()
    entry = struct.pack("<HHII", 262, 3, 1, 1)
    assert entry in content
    path.write_bytes(content.replace(entry, struct.pack("<HHII", 262, 3, 1, 0)))
    with pytest.raises(InputError, match=r"a\.tif: expected 0 as black, found a TIFF of more than 8 bits"):
        open_picture(path)
