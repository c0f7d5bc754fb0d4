"""A contact sheet: one sample a row, one camera a column, flips applied, defects outlined.

With the right flips the embossed text reads properly in every view; a wrong one shows as mirror writing. The
last column enlarges the defect, without outline, where it covers the most pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy.ndimage import binary_dilation

from multiflow.rendering.geometry import Array
from multiflow.store import atomic_path

__all__ = ["contact_sheet"]

_OUTLINE = (0, 190, 255)
_INK, _FAINT, _PAPER, _FLIPPED = (30, 30, 30), (110, 110, 110), (255, 255, 255), (190, 60, 0)
_GAP, _HEAD, _SIDE = 4, 44, 92

Record = dict[str, str | None]


def contact_sheet(
    root: Path,
    image_folder: str,
    part: str,
    flips: Sequence[int],
    path: Path,
    normal: int = 2,
    tile: int = 224,
) -> None:
    """Draw some normal samples and the first one of each defect code of a class.

    Args:
        root: of the data set.
        image_folder: folder of the class folders, such as ``realiad_384``.
        part: class name.
        flips: per camera, whether its images are to be mirrored back.
        path: PNG or JPEG to write.
        normal: how many normal samples to show.
        tile: width of one view on the sheet, px.
    """
    index = json.loads((Path(root) / "realiad_jsons" / f"{part}.json").read_text(encoding="utf-8"))
    folder = Path(root) / image_folder / index["meta"]["prefix"]
    rows = _choose(index["train"] + index["test"], normal)
    cameras = len(next(iter(rows.values())))
    width, height = _SIDE + (cameras + 1) * (tile + _GAP), _HEAD + len(rows) * (tile + _GAP)
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((6, 5), part, fill=_INK, font=ImageFont.load_default(15))
    small = ImageFont.load_default(12)
    for column in range(cameras):
        x = _SIDE + column * (tile + _GAP)
        pen.text((x, 5), f"C{column + 1}", fill=_INK, font=ImageFont.load_default(15))
        note = "mirrored back" if flips[column] else "as delivered"
        pen.text((x, 24), note, fill=_FLIPPED if flips[column] else _FAINT, font=small)
    pen.text((_SIDE + cameras * (tile + _GAP), 5), "enlarged", fill=_INK, font=ImageFont.load_default(15))
    for row, (label, records) in enumerate(rows.items()):
        y = _HEAD + row * (tile + _GAP)
        pen.text((6, y + 4), label, fill=_INK, font=small)
        for column, record in enumerate(records):
            view = _view(folder, record, bool(flips[column]), tile)
            sheet.paste(Image.fromarray(view), (_SIDE + column * (tile + _GAP), y))
        close = _close_up(folder, records, flips, tile)
        if close is not None:
            sheet.paste(close, (_SIDE + cameras * (tile + _GAP), y))
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        sheet.save(stream, format="PNG" if Path(path).suffix == ".png" else "JPEG", quality=92)


def _choose(records: list[Record], normal: int) -> dict[str, list[Record]]:
    """By label, the records of the samples to show."""
    samples: dict[str, list[Record]] = {}
    for record in records:
        samples.setdefault(str(record["image_path"]).rsplit("/", 1)[0], []).append(record)
    rows: dict[str, list[Record]] = {}
    for name, views in samples.items():
        kind, number = name.rsplit("/", 1)
        shown = sum(label.startswith(kind) for label in rows)
        if shown < (normal if kind == "OK" else 1):
            rows[f"{kind} {number}"] = sorted(views, key=lambda record: str(record["image_path"]))
    return rows


def _view(folder: Path, record: Record, flip: bool, tile: int) -> Array:
    """One view as a tile ``[tile, tile, 3]``, its defect outlined."""
    image = Image.open(folder / str(record["image_path"])).convert("RGB").resize((tile, tile), Image.Resampling.LANCZOS)
    view = np.array(image)
    if record["mask_path"] is not None:
        mask = Image.open(folder / str(record["mask_path"])).resize((tile, tile), Image.Resampling.NEAREST)
        defect = binary_dilation(np.asarray(mask) > 127, iterations=2)
        view[binary_dilation(defect) & ~defect] = _OUTLINE
    return view[:, ::-1] if flip else view


def _close_up(folder: Path, records: list[Record], flips: Sequence[int], tile: int) -> Image.Image | None:
    """The surroundings of the largest mask of a sample, as a tile; None for a normal sample."""
    best = 0
    close = None
    for record, flip in zip(records, flips, strict=True):
        if record["mask_path"] is None:
            continue
        mask = np.asarray(Image.open(folder / str(record["mask_path"]))) > 127
        if mask.sum() <= best:
            continue
        best = int(mask.sum())
        rows, columns = np.nonzero(mask)
        half = 0.7 * max(int(np.ptp(rows)), int(np.ptp(columns)), len(mask) // 8)
        y, x = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
        image = Image.open(folder / str(record["image_path"])).convert("RGB")
        if flip:
            image, x = ImageOps.mirror(image), image.width - x
        half = min(half, image.width / 2)
        x, y = np.clip((x, y), half, image.width - half)
        crop = image.crop((int(x - half), int(y - half), int(x + half), int(y + half)))
        close = crop.resize((tile, tile), Image.Resampling.BICUBIC)
    return close
