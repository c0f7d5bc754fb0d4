"""Data sets of one view: MVTec AD's layout, also as VisA's script writes it, and BTAD's; and what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from multiflow.base.errors import InputError
from multiflow.datasets import layout
from multiflow.datasets.settings import Dataset
from multiflow.datasets.table import read_samples


def save(path: Path, value: int = 90, colour: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3) if colour else (20, 30), value, np.uint8)).save(path)


def write_class(
    folder: Path, normal: str = "good", defect: str = "scratch", suffix: str = ".png", mask: str = "{}_mask.png"
) -> Path:
    """Three pictures to train, and to test two normal and two defective ones with their masks."""
    for number in range(3):
        save(folder / "train" / normal / f"{number:03d}{suffix}", number)
    for number in range(2):
        save(folder / "test" / normal / f"{number:03d}{suffix}", 10 + number)
        save(folder / "test" / defect / f"{number:03d}{suffix}", 20 + number)
        save(folder / "ground_truth" / defect / mask.format(f"{number:03d}"), 255, colour=False)
    return folder


def dataset(root: Path, **changes: Any) -> Dataset:
    values = {"layout": "mvtec", "root": str(root), "cameras": ["C1"], "classes": ["nut"], "flips": None}
    return Dataset(**values | changes)


def problems(root: Path, **changes: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_samples(dataset(root, **changes), root, "nut", processes=0)
    return caught.value.problems


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("mvtec", {}),
        ("mvtec", {"defect": "bad", "suffix": ".JPG", "mask": "{}.png"}),  # VisA's script
        ("btad", {"normal": "ok", "defect": "ko", "suffix": ".bmp", "mask": "{}.png"}),
        ("btad", {"normal": "ok", "defect": "ko", "suffix": ".png", "mask": "{}.png"}),
        ("btad", {"normal": "ok", "defect": "ko", "suffix": ".bmp", "mask": "{}.bmp"}),
    ],
)
def test_samples_are_pictures_of_one_view(tmp_path: Path, name: str, files: dict[str, str]) -> None:
    write_class(tmp_path / "nut", **files)
    (tmp_path / "nut/readme.txt").write_text("Licence")
    (tmp_path / "nut/train" / files.get("normal", "good") / "Thumbs.db").write_text("")
    settings = dataset(tmp_path, layout=name)
    frame = read_samples(settings, tmp_path, "nut", processes=0)
    normal, defect = files.get("normal", "good"), files.get("defect", "scratch")
    assert frame["split"].tolist() == ["train"] * 3 + ["test"] * 4
    rows = frame.set_index(["split", "sample"])
    assert rows.loc["test", "label"].to_dict() == {
        f"{normal}/000": 0, f"{normal}/001": 0, f"{defect}/000": 1, f"{defect}/001": 1
    }  # fmt: skip
    mask = f"nut/ground_truth/{defect}/{files.get('mask', '{}_mask.png').format('001')}"
    assert rows.loc[("test", f"{defect}/001"), "mask"] == mask
    assert rows.loc[("test", f"{defect}/001"), "anomaly_class"] == defect
    assert (rows.loc["train", "mask"] == "").all()
    assert rows.loc[("train", f"{normal}/002"), "image"] == f"nut/train/{normal}/002{files.get('suffix', '.png')}"
    assert set(frame["camera"]) == {"C1"}
    assert layout(name).count_images(settings, tmp_path, "nut") == (3, 4)
    assert layout(name).missing_data(settings) == []


def test_a_picture_that_is_added_changes_a_folder_that_decides_the_class(tmp_path: Path) -> None:
    write_class(tmp_path / "nut")
    found = layout("mvtec").annotation_files(dataset(tmp_path), tmp_path, "nut")
    assert [str(path.relative_to(tmp_path / "nut")) for path in found] == [
        "train", "train/good", "test", "test/good", "test/scratch", "ground_truth", "ground_truth/scratch"
    ]  # fmt: skip


def without(*paths: str) -> Callable[[Path], None]:
    def remove(root: Path) -> None:
        for path in paths:
            if (root / path).is_dir():
                (root / path).rename(root / "nut" / ("moved_" + path.replace("/", "_")))
            else:
                (root / path).unlink()

    return remove


@pytest.mark.parametrize(
    ("broken", "changes", "expected"),
    [
        (without("nut/test/scratch/001.png"), {},
         "{root}/nut: ground_truth/scratch/001_mask.png: expected its picture in test/scratch, found none; restore it"),
        (without("nut/test/scratch"), {}, "ground_truth/scratch/000_mask.png: expected its picture in test/scratch"),
        (without("nut/ground_truth/scratch/001_mask.png"), {},
         "{root}/nut: test/scratch/001.png: anomaly_class scratch without a mask; restore the mask"),
        (without("nut/train/good"), {},
         "{root}/nut: expected the folders train/good and test/<type of defect>, found ground_truth, "
         "moved_nut_train_good, test, train; restore them, or set dataset.layout to that of this data set"),
        (without(), {"layout": "btad"}, "{root}/nut: expected the folders train/ok"),
        (without("nut/train", "nut/test", "nut/ground_truth"), {}, "found moved_nut_ground_truth"),
        (without("nut/test", "nut/ground_truth"), {}, "class nut: expected pictures for test, found none"),
        (lambda root: (root / "nut/test/crack").mkdir(), {},
         "{root}/nut: test/crack: expected pictures (.avif, .bmp, .jfif, .jp2, .jpeg, .jpg, "
         ".pgm, .png, .ppm, .tif, .tiff, .webp), found none"),
        (lambda root: save(root / "nut/ground_truth/scratch/000_mask.bmp", 255), {},
         "{root}/nut: ground_truth/scratch/000_mask.png: expected one mask of this name, found 000_mask.bmp, too"),
        (lambda root: save(root / "nut/train/bad/000.png"), {},
         "{root}/nut: train: expected the folder good alone, found bad; move it away"),
        (lambda root: save(root / "nut/ground_truth/scratch/001_mask.png", 255), {}, ""),
        (lambda root: (root / "nut/test/good").rename(root / "nut/test/Good"), {},
         "{root}/nut: expected the folder test/good, found Good; rename it"),
        (lambda root: (root / "nut/test").rename(root / "nut/Test"), {},
         "{root}/nut: expected the folder test, found Test; rename it"),
        (lambda root: (root / "nut/train/good").rename(root / "nut/train/Good"), {},
         "{root}/nut: expected the folder train/good, found Good; rename it"),
        (lambda root: (root / "nut/ground_truth").rename(root / "nut/Ground_Truth"), {},
         "{root}/nut: expected the folder ground_truth, found Ground_Truth; rename it"),
        (lambda root: (root / "nut/ground_truth/scratch").rename(root / "nut/ground_truth/Scratch"), {},
         "{root}/nut: expected the folder ground_truth/scratch, found Scratch; rename it"),
        (lambda root: (root / "nut").rename(root / "bolt"), {},
         "{root}: no class nut; available: bolt; change dataset.classes or dataset.root"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_line(
    tmp_path: Path, broken: Callable[[Path], None], changes: dict[str, Any], expected: str
) -> None:
    write_class(tmp_path / "nut")
    broken(tmp_path)
    if not expected:  # a mask with colour channels is none of the mistakes
        assert len(read_samples(dataset(tmp_path, **changes), tmp_path, "nut", processes=0)) == 7
        return
    found = problems(tmp_path, **changes)
    assert expected.format(root=tmp_path) in found[0]
    assert all(line.startswith(f"{tmp_path}") for line in found)


def test_a_root_that_is_not_there_is_one_problem_for_all_classes(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    expected = f"{absent}: expected the folder of the data set, found none; set dataset.root"
    assert layout("mvtec").missing_data(dataset(absent, classes=["nut", "bolt"])) == [expected]
    assert problems(absent) == [expected]


def test_masks_of_normal_pictures_are_ignored_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_class(tmp_path / "nut", normal="ok", defect="ko", mask="{}.png")
    save(tmp_path / "nut/ground_truth/ok/000.png", 0, colour=False)
    frame = read_samples(dataset(tmp_path, layout="btad"), tmp_path, "nut", processes=0)
    assert (frame["mask"] != "").sum() == 2
    assert f"{tmp_path}/nut: ground_truth/ok: masks of normal pictures are ignored" in caplog.text


def test_a_grey_picture_among_coloured_ones_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_class(tmp_path / "nut")
    read_samples(dataset(tmp_path), tmp_path, "nut", processes=0)
    assert "coloured" not in caplog.text
    save(tmp_path / "nut/train/good/001.png", colour=False)
    frame = read_samples(dataset(tmp_path), tmp_path, "nut", processes=0)
    assert len(frame) == 7
    assert f"{tmp_path}/nut: 1 grey and 6 coloured ones, such as train/good/001.png: grey" in caplog.text
    assert frame.attrs["doubts"] == {"grey pictures among coloured ones are converted to RGB": 1}


def test_other_cameras_than_the_one_are_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"the layout mvtec has the views C1, found C2; set cameras: \[C1\]"):
        dataset(tmp_path, cameras=["C1", "C2"])


def test_what_a_layout_does_not_read_is_doubted(tmp_path: Path) -> None:
    write_class(tmp_path / "nut")
    whole = read_samples(dataset(tmp_path), tmp_path, "nut", processes=0)
    assert whole.attrs["doubts"] == {}
    save(tmp_path / "nut/test/scratch/more/000.png")
    save(tmp_path / "nut/test/loose.png")
    (tmp_path / "nut/train/good/001.heic").touch()
    for folder in ("test/__MACOSX", "train/__MACOSX"):
        save(tmp_path / f"nut/{folder}/000.png")
    frame = read_samples(dataset(tmp_path), tmp_path, "nut", processes=0)
    assert frame["image"].tolist() == whole["image"].tolist()
    assert frame.attrs["doubts"] == {
        "files that are no pictures are left out": 1,
        "files where the layout has none are left out": 2,
    }
