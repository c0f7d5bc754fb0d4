"""The one place that opens picture files: photographs, masks, and what is inspected.

Pixels are taken as they are stored: no EXIF orientation is applied, whatever the format. What a file lets one doubt is
said in remarks, which its reader passes on.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from multiflow.base.errors import InputError
from multiflow.datasets.file_names import similar_name

__all__ = ["SIXTEEN_BIT", "Picture", "open_picture", "read_content"]

SIXTEEN_BIT = {"I;16", "I;16B", "I;16L", "I;16N"}
"""Pillow's modes of 16-bit grey values."""

_LARGEST = 2**28  # px; decoded as RGB 0.8 GB
# Pillow's own limits are for pictures that strangers send to a web site: colour profiles of printers and scans of lines
# are larger.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC = 0x0112, 258, 262  # tags of EXIF and TIFF
_PNG_BIT_DEPTH = 24  # byte of the header
_JPEG_SCAN, _JPEG_END = b"\xff\xda", b"\xff\xd9"  # marks before and behind the pixels

_RESTORE = "restore it"
# What the first bytes tell of a file that Pillow does not open.
_FOREIGN = (
    (4, (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"), "it is HEIC", "convert it to PNG or JPEG"),
    (0, (b"version https://git-lfs",), "it is a pointer of Git LFS", "get the file with git lfs pull"),
    (0, (b"\0\x05\x16\x07",), "it is what macOS notes beside a file", "take the file without ._ in its name"),
    (0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "it is a TIFF of another kind or damaged", "convert or restore it"),
)


@dataclass(frozen=True)
class Picture:
    """A decoded file.

    Attributes:
        image: in one of Pillow's modes, as stored.
        remarks: what there is to doubt about it, each of the form "its EXIF orientation is ignored".
        orientation: as its EXIF block says; 1 is upright.
        frames: pictures in the file, of which this is the first.
        known_bits: bits of the range of 16-bit grey values where the file tells it, as a 12-bit TIFF does; else None.
        coarse: whether the file has 16 bits a channel of which Pillow gave the upper eight.
    """

    image: Image.Image
    remarks: tuple[str, ...] = ()
    orientation: int = 1
    frames: int = 1
    known_bits: int | None = None
    coarse: bool = False

    @property
    def turned(self) -> bool:
        """Whether its EXIF orientation swaps width and height."""
        return self.orientation in (5, 6, 7, 8)

    @property
    def highest(self) -> int | None:
        """Highest value of a 16-bit file, 0 to 65535; None where the range of its values is known otherwise."""
        if self.known_bits is not None:
            return None
        if self.image.mode in SIXTEEN_BIT:
            return int(np.asarray(self.image).max())
        return int(_colours(self.image).max()) * 256 + 255 if self.coarse else None


def read_content(path: str | Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        InputError: it is missing or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        near = similar_name(Path(path))
        raise InputError(f"{path}: no such file; {f'there is {near}: rename one' if near else _RESTORE}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: expected a picture, found a folder; rename or move it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make it readable") from None
    except ValueError:  # no file has a zero byte in its name
        raise InputError(f"{path}: no such file; correct its name") from None


def open_picture(path: str | Path, content: bytes | None = None) -> Picture:
    """Decode a picture file completely.

    Args:
        path: the file; it is named in messages.
        content: the file's bytes, if they have been read already.

    Raises:
        InputError: the file is missing, damaged, or no picture; the advice fits the cause.
    """
    if content is None:
        content = read_content(path)
    try:
        # A damaged block of metadata makes Pillow warn; what matters of it is in the remarks.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(path, content)
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: expected a picture that fits into memory; reduce it") from None
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        reason, advice = _cause(content, error)
        raise InputError(
            f"{path}: expected a picture, cannot decode its {len(content)} bytes ({reason}); {advice}"
        ) from None


def _decode(path: str | Path, content: bytes) -> Picture:
    picture = Image.open(BytesIO(content))
    width, height = picture.size
    if width * height > _LARGEST:
        raise InputError(
            f"{path}: expected at most {_LARGEST / 1e6:.0f} megapixels, found {width * height / 1e6:.0f} "
            f"({width} x {height} px); reduce or crop it"
        )
    if picture.format == "PNG":
        # Its EXIF block may stand behind the pixels. Looked for first, damaged pixels would count as a damaged block,
        # and Pillow would take the rest of them without another word.
        picture.load()
    orientation, remarks = _orientation(picture)
    frames = _frames(picture)
    if frames > 1:
        remarks.append("it holds several pictures, of which the first is taken")
    depth, known = _depth(picture, content), None
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        # Pillow turns TIFFs, and no other pictures, as their EXIF orientation says, and reads all metadata for it.
        picture.load_end = lambda: None  # type: ignore[method-assign]
        picture.load()
        image = picture._new(picture.im)
        # Pillow inverts such values of eight bits alone.
        if image.mode in SIXTEEN_BIT | {"I", "F"} and picture.tag_v2.get(_PHOTOMETRIC) == 0:
            raise InputError(
                f"{path}: expected 0 as black, found a TIFF of more than 8 bits whose 0 is white; convert it"
            )
        if image.mode in SIXTEEN_BIT and depth < 16:
            known = depth
    else:
        picture.load()
        if picture.format in ("JPEG", "MPO") and content.find(_JPEG_END, _jpeg_scan(content)) < 0:
            raise OSError("its pixels have no end")
        image = picture
        if picture.format == "PPM" and image.mode == "I":  # Pillow spreads its values over 16 bits
            image, known = Image.fromarray(np.asarray(image).astype(np.uint16)), 16
    return Picture(image, tuple(remarks), orientation, frames, known, depth == 16 and image.mode not in SIXTEEN_BIT)


def _jpeg_scan(content: bytes) -> int:
    """Where a JPEG's pixels begin, behind blocks of metadata that may hold other JPEGs; 0 where that cannot be told.

    A file that was not written to its end often has zeros there, which are pixels as well.
    """
    place = 2
    while content.startswith(b"\xff", place) and not content.startswith(_JPEG_SCAN, place):
        filled = content.startswith(b"\xff\xff", place)
        place += 1 if filled else 2 + int.from_bytes(content[place + 2 : place + 4])
    return place if content.startswith(_JPEG_SCAN, place) else 0


def _orientation(picture: Image.Image) -> tuple[int, list[str]]:
    """The EXIF orientation, and a remark where it is not upright or cannot be read."""
    try:
        orientation = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow raises many kinds on a damaged block, whose pixels are fine
        return 1, ["its EXIF block is damaged, and ignored"]
    return (orientation, ["its EXIF orientation is ignored"]) if orientation in range(2, 9) else (1, [])


def _frames(picture: Image.Image) -> int:
    """Pictures in the file; 1 where what follows the first cannot be read."""
    try:
        return int(getattr(picture, "n_frames", 1))
    except Exception:  # as above
        picture.seek(0)
        return 1


def _depth(picture: Image.Image, content: bytes) -> int:
    """Bits of a channel in the file, where Pillow's mode does not say it; else 8."""
    if picture.format == "PNG":
        return content[_PNG_BIT_DEPTH]
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return int(max(picture.tag_v2.get(_BITS_PER_SAMPLE, (1,))))
    return 8


def _colours(image: Image.Image) -> NDArray[np.uint8]:
    """RGB without transparency."""
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _cause(content: bytes, error: Exception) -> tuple[str, str]:
    """Why a file cannot be decoded, and what to do."""
    if not content:
        return "it is empty", _RESTORE
    if isinstance(error, UnidentifiedImageError):
        for start, marks, reason, advice in _FOREIGN:
            if any(content[start:].startswith(mark) for mark in marks):
                return reason, advice
        return "not a picture", _RESTORE
    if "precision" in str(error):  # of JPEG
        return str(error), "convert it to PNG or TIFF"
    return " ".join(str(error).split()), _RESTORE
