"""Layouts: a further one is a file and a line, and the configuration asks for one that is there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from recipes import recipe
from tiny_data import dataset, write_class

from multiflow.base.errors import InputError
from multiflow.datasets import LAYOUTS, annotations_sha256, layout
from multiflow.datasets.digests import digests
from multiflow.datasets.settings import Dataset
from multiflow.datasets.table import load_samples, read_samples, write_samples


def _save(path: Path, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30), value, np.uint8)).save(path)


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dataset:
    """A data set of folders: three training pictures, two good and two scratched ones to test."""
    (tmp_path / "folder_layout.py").write_text(recipe("folders.py"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "folder_layout", raising=False)
    monkeypatch.setitem(LAYOUTS, "folders", "folder_layout")
    for number in range(3):
        _save(tmp_path / f"nut/train/good/{number:03d}.png", number)
    for number in range(2):
        _save(tmp_path / f"nut/test/good/{number:03d}.png", 10 + number)
        _save(tmp_path / f"nut/test/scratch/{number:03d}.png", 20 + number)
        _save(tmp_path / f"nut/ground_truth/scratch/{number:03d}_mask.png", 255)
    return Dataset(layout="folders", root=str(tmp_path), cameras=["C1"], classes=["nut"], flips=None)


def test_a_layout_of_folders_is_one_file_and_one_line(folders: Dataset, tmp_path: Path) -> None:
    frame = read_samples(folders, tmp_path, "nut", processes=0)
    assert frame["split"].tolist() == ["train"] * 3 + ["test"] * 4
    assert frame["sample"].tolist()[-4:] == ["good/000", "good/001", "scratch/000", "scratch/001"]
    assert frame["label"].tolist() == [0] * 5 + [1] * 2
    assert frame["mask"].tolist()[-2:] == [f"nut/ground_truth/scratch/00{number}_mask.png" for number in (0, 1)]
    assert (frame["mask_sha256"] != "").tolist() == [False] * 5 + [True] * 2
    assert set(frame["camera"]) == {"C1"}
    assert (frame[["width", "height"]] == [30, 20]).all(axis=None)
    write_samples(frame, tmp_path / "nut.csv")
    assert digests(load_samples(tmp_path / "nut.csv")) == digests(frame)
    assert layout("folders").count_images(folders, tmp_path, "nut") == (3, 4)
    assert layout("folders").missing_data(folders) == []


def test_files_of_any_layout_are_checked(folders: Dataset, tmp_path: Path) -> None:
    (tmp_path / "nut/ground_truth/scratch/001_mask.png").unlink()
    (tmp_path / "nut/train/good/001.png").write_text("no picture")
    with pytest.raises(InputError) as caught:
        read_samples(folders, tmp_path, "nut", processes=0)
    first, second = caught.value.problems
    assert first.startswith(
        f"{tmp_path}/nut: train/good/001.png: {tmp_path}/nut/train/good/001.png: expected a picture"
    )
    assert second == (
        f"{tmp_path}/nut: test/scratch/001.png: {tmp_path}/nut/ground_truth/scratch/001_mask.png: "
        "no such file; restore it"
    )


def test_a_split_without_pictures_is_a_problem_in_any_layout(folders: Dataset, tmp_path: Path) -> None:
    for picture in (tmp_path / "nut/train/good").iterdir():
        picture.unlink()
    with pytest.raises(InputError, match="class nut: expected pictures for train, found none"):
        read_samples(folders, tmp_path, "nut", processes=0)


def test_a_layout_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ValidationError, match="there is no layout mvtech; there are real_iad, mvtec, btad"):
        Dataset(layout="mvtech", classes=["nut"])


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_registered_layout_has_all_functions(name: str) -> None:
    for function in ("annotation_files", "read_views", "missing_data", "count_images"):
        assert callable(getattr(layout(name), function))


def test_real_iads_images_are_counted_by_their_records(tmp_path: Path) -> None:
    path = write_class(tmp_path)
    assert layout("real_iad").annotation_files(dataset(), tmp_path, "thing") == [path]
    assert layout("real_iad").count_images(dataset(), tmp_path, "thing") == (9, 12)
    path.write_text('{"train": [1], "test": []}')
    with pytest.raises(InputError, match="test: expected a list of records, found none"):
        layout("real_iad").count_images(dataset(), tmp_path, "thing")
    path.write_text("{")
    with pytest.raises(InputError, match="malformed JSON"):
        layout("real_iad").count_images(dataset(), tmp_path, "thing")


@pytest.mark.parametrize("name", ["real_iad", "mvtec"])
def test_a_folder_that_may_not_be_entered_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", denied)
    (problem,) = layout(name).missing_data(dataset(root=str(tmp_path), layout=name, cameras=["C1"], classes=["a", "b"]))
    assert problem == f"{tmp_path}: cannot be read or written (Permission denied); give this user the right to"


def test_annotations_count_by_their_content(folders: Dataset, tmp_path: Path) -> None:
    (tmp_path / "real {iad}").mkdir()
    path, real_iad = write_class(tmp_path / "real {iad}"), dataset()
    before = annotations_sha256(real_iad, tmp_path / "real {iad}", "thing")
    assert before is not None
    os.utime(path, (time.time() + 100,) * 2)
    assert annotations_sha256(real_iad, tmp_path / "real {iad}", "thing") == before
    path.write_text(path.read_text().replace("OK", "KO", 1))
    assert annotations_sha256(real_iad, tmp_path / "real {iad}", "thing") != before
    path.unlink()
    assert annotations_sha256(real_iad, tmp_path / "real {iad}", "thing") is None
    # A layout of folders counts by the names in them.
    before = annotations_sha256(folders, tmp_path, "nut")
    for name in ("001.png", "Thumbs.db", ".DS_Store"):
        (tmp_path / "nut/train/good" / name).touch()
    assert annotations_sha256(folders, tmp_path, "nut") == before
    (tmp_path / "nut/train/good/more.png").touch()
    assert annotations_sha256(folders, tmp_path, "nut") != before


def test_what_every_start_reads_of_data_sets_loads_no_tables_and_arrays() -> None:
    code = (
        "import sys; import multiflow.datasets.settings; from multiflow.datasets import LAYOUTS, layout;"
        "[layout(name) for name in LAYOUTS]; print({'numpy', 'pandas', 'PIL', 'h5py'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
