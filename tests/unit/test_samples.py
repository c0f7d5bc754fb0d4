"""The samples table: what is read, what is refused, and that a data set is never written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_data import dataset, write_class

from multiflow.base.errors import InputError
from multiflow.datasets import layout
from multiflow.datasets.digests import digests, read_digests, read_doubts, write_digests
from multiflow.datasets.file_names import visible
from multiflow.datasets.flips import read_flips
from multiflow.datasets.ground_truth import GroundTruthFile, write_ground_truth
from multiflow.datasets.settings import Dataset
from multiflow.datasets.table import load_samples, read_samples, write_samples


def _problems(root: Path, **changes: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_samples(dataset(**changes), root, "thing", processes=0)
    assert all("\n" not in line for line in caught.value.problems)
    return caught.value.problems


def _edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _tree(root: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_rows_are_views_in_order(tmp_path: Path) -> None:
    _edit(write_class(tmp_path), lambda content: content["test"].reverse())
    frame = read_samples(dataset(cameras=["C2", "C1", "C3"]), tmp_path, "thing", processes=2)
    assert frame["camera"].tolist() == ["C2", "C1", "C3"] * 7
    assert frame["split"].tolist() == ["train"] * 9 + ["test"] * 12
    assert frame["sample"].drop_duplicates().tolist() == [
        "thing_0000_OK", "thing_0001_OK", "thing_0002_OK",
        "thing_0007_NG_HS", "thing_0000_NG_HS", "thing_0007_OK",
    ]  # fmt: skip
    assert (frame[["width", "height"]] == [96, 80]).all(axis=None)
    assert all((tmp_path / path).is_file() for path in [*frame["image"], *filter(None, frame["mask"])])
    assert frame["sha256"].nunique() == len(frame)


def test_images_and_masks_have_checksums_of_their_own(tmp_path: Path) -> None:
    write_class(tmp_path)
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    assert (frame["mask_sha256"] != "").tolist() == (frame["mask"] != "").tolist()
    row = frame[frame["mask"] != ""].iloc[0]
    for path, checksum in ((row["image"], row["sha256"]), (row["mask"], row["mask_sha256"])):
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == checksum


def test_digests_tell_changed_pictures_from_changed_ground_truth(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_class(root)

    def found() -> dict[str, str]:
        return digests(read_samples(dataset(), root, "thing", processes=0))

    def changed(path: Path, value: int) -> set[str]:
        before = found()
        with Image.open(path) as picture:
            Image.fromarray(np.full(picture.size[::-1], value, np.uint8)).save(path)
        return {name for name, digest in found().items() if digest != before[name]}

    assert changed(next(root.rglob("*_test2024.png")), 255) == {"ground_truth"}
    assert changed(next(root.rglob("*_train2024.jpg")), 90) == {"pictures"}
    assert changed(next(root.rglob("*_test2024.jpg")), 90) == {"pictures"}
    frame = read_samples(dataset(), root, "thing", processes=0)
    assert digests(frame.assign(flip=1))["pictures"] != digests(frame)["pictures"]
    assert digests(frame.assign(anomaly_class="AK")) == digests(frame) | {
        "ground_truth": digests(frame.assign(anomaly_class="AK"))["ground_truth"]
    }
    assert digests(frame.assign(image="moved/" + frame["image"], width=1)) == digests(frame)


def test_digests_survive_the_files_of_their_station(tmp_path: Path) -> None:
    write_class(tmp_path / "data")
    frame = read_samples(dataset(), tmp_path / "data", "thing", processes=0)
    write_samples(frame, tmp_path / "thing.csv")
    write_digests(frame, tmp_path / "thing.json")
    assert read_digests(tmp_path / "thing.json") == digests(load_samples(tmp_path / "thing.csv"))
    for content in ("{", "[]", '{"pictures": "0"}'):
        (tmp_path / "thing.json").write_text(content)
        with pytest.raises(InputError, match="delete it and rerun"):
            read_digests(tmp_path / "thing.json")
    with pytest.raises(FileNotFoundError):  # Snakemake marks the parameter as not yet known
        read_digests(tmp_path / "absent.json")


def test_samples_of_one_key_in_train_and_test_stay_apart(tmp_path: Path) -> None:
    write_class(tmp_path)
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    views = frame[frame["sample"] == "thing_0000_OK"]
    assert views["split"].tolist() == ["train"] * 3 + ["test"] * 3
    assert all(f"_{split}2024" in image for split, image in zip(views["split"], views["image"], strict=True))


def test_label_is_the_views_own_not_the_folders(tmp_path: Path) -> None:
    write_class(tmp_path)
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    hidden = frame[(frame["camera"] == "C3") & frame["image"].str.contains("/NG/")]
    assert len(hidden) == 2
    assert hidden["label"].tolist() == [0, 0]
    assert hidden["mask"].tolist() == ["", ""]
    assert frame["label"].sum() == 4
    assert set(frame[frame["label"] == 1]["anomaly_class"]) == {"HS"}


def test_key_holds_defect_code_and_double_underscore(tmp_path: Path) -> None:
    write_class(tmp_path, name="audio_C4_jack_")
    frame = read_samples(dataset(), tmp_path, "audio_C4_jack_", processes=0)
    assert {"audio_C4_jack__0000_OK", "audio_C4_jack__0000_NG_HS"} <= set(frame["sample"])


def test_one_camera_and_another_annotation_set(tmp_path: Path) -> None:
    write_class(tmp_path, cameras=("C1",), annotations="realiad_jsons_sv", mode="L")
    frame = read_samples(dataset(cameras=["C1"], annotations="realiad_jsons_sv"), tmp_path, "thing", processes=0)
    assert frame["camera"].tolist() == ["C1"] * 7
    assert frame["label"].sum() == 2


def test_annotations_nested_in_themselves(tmp_path: Path) -> None:
    write_class(tmp_path, annotations="realiad_jsons/realiad_jsons")
    assert len(read_samples(dataset(), tmp_path, "thing", processes=0)) == 21


def test_camera_names_of_another_kind(tmp_path: Path) -> None:
    write_class(tmp_path, cameras=("top", "left"))
    frame = read_samples(dataset(cameras=["top", "left"]), tmp_path, "thing", processes=0)
    assert frame["sample"].iloc[0] == "thing_0000_OK"


@pytest.mark.parametrize(
    "cameras", [("left", "top_left", "left_low"), ("top_left", "left_low", "left"), ("C1_top", "C2")]
)
def test_a_cameras_name_may_hold_another_ones(tmp_path: Path, cameras: tuple[str, ...]) -> None:
    write_class(tmp_path, cameras=cameras)
    frame = read_samples(dataset(cameras=list(cameras)), tmp_path, "thing", processes=0)
    assert frame["camera"].tolist() == list(cameras) * 7
    assert all(camera in image for camera, image in zip(frame["camera"], frame["image"], strict=True))
    assert set(frame["sample"]) == {f"thing_{number:04d}_OK" for number in (0, 1, 2, 7)} | {
        f"thing_{number:04d}_NG_HS" for number in (0, 7)
    }


def test_flips_come_from_the_table(tmp_path: Path) -> None:
    write_class(tmp_path / "data")
    table = tmp_path / "flips.csv"
    table.write_text("class,C1,C2,C3,C4\nother,1,1,1,1\nthing,0,1,0,1\n")
    frame = read_samples(dataset(flips=str(table)), tmp_path / "data", "thing", processes=0)
    assert frame.groupby("camera")["flip"].unique().map(list).to_dict() == {"C1": [0], "C2": [1], "C3": [0]}


def test_a_part_in_other_pictures_has_the_flips_of_the_part_unless_it_has_its_own(tmp_path: Path) -> None:
    table = tmp_path / "flips.csv"
    table.write_text("class,C1\nthing,1\nthing-2,0\n")
    flips = [read_flips(table, name, ["C1"]) for name in ("thing", "thing-1", "thing-2")]
    assert flips == [{"C1": 1}, {"C1": 1}, {"C1": 0}]
    with pytest.raises(InputError, match="class other-1 is missing; add a row such as other-1,0"):
        read_flips(table, "other-1", ["C1"])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("class,C1,C2,C3\nother,0,0,0\n", "class thing is missing; add a row such as thing,0,0,0"),
        ("class,C1,C2\nthing,0,0\n", "camera C3 is missing; add a column C3"),
        ("class,C1,C2,C3\nthing,0,2,0\n", "column C2: expected 0 or 1, found '2'"),
        ("class,C1,C2,C3\nthing,0,0,0\nthing,0,0,1\n", "class thing has 2 rows"),
        ("name,C1\nthing,0\n", "expected the columns class, C1, C2, C3"),
        ("", "expected a table of flips, cannot read it (it is empty)"),
        ("class,C1,C2,C3\nthing,0,0,0,0\n", "cannot read it (a row has more than 4 values)"),
        ("class,C1,C2,C3\nthing,0,0\n", "column C3: expected 0 or 1, found ''"),
        ("class,C1,C2,C3, C1\nthing,0,0,0,1\n", "column C1 is there more than once; delete all but one"),
    ],
)
def test_wrong_flip_table(tmp_path: Path, table: str, expected: str) -> None:
    write_class(tmp_path / "data")
    path = tmp_path / "flips.csv"
    path.write_text(table)
    (problem,) = _problems(tmp_path / "data", flips=str(path))
    assert problem.startswith(str(path))
    assert expected in problem


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    annotations = write_class(tmp_path)
    images = tmp_path / "realiad_1024" / "thing"
    masks = sorted(images.rglob("*.png"))
    Image.new("L", (50, 40), 255).save(masks[0])
    masks[1].write_bytes(masks[1].read_bytes()[:30])
    pictures = sorted(images.rglob("S0001/*.jpg"))
    pictures[0].unlink()
    pictures[1].write_bytes(pictures[1].read_bytes()[:400])
    pictures[2].write_text("no picture")

    def change(content: dict[str, Any]) -> None:
        train, test = content["train"], content["test"]
        del train[0]["mask_path"]
        train[1]["image_path"] = 5
        train.append(train[6] | {"image_path": train[6]["image_path"].replace("train", "again")})
        train.append("nothing")
        test[0]["image_path"] = "../../../thing_0000_OK_C1_x.jpg"
        test[1]["image_path"] = "OK/no-camera.jpg"
        test[4]["category"] = "another"
        test[5]["anomaly_class"] = "AK"

    _edit(annotations, change)
    problems = _problems(tmp_path, flips=str(tmp_path / "absent.csv"))
    for expected in (
        "absent.csv: expected a table of flips",
        "train[0]: expected the keys category, anomaly_class, image_path, mask_path, mask_path missing",
        "train[1]: image_path: expected a text, found 5",
        "train[9]: sample thing_0002_OK: second record for camera C1, the first is train[6]",
        "train[10]: expected an object, found str",
        "test[0]: image_path: expected a path below the data set's root",
        "test[1]: image_path: expected a file name",
        "test[5]: anomaly_class AK without a mask",
        "train: sample thing_0000_OK: expected the cameras C1, C2, C3, C1, C2 missing",
        "test[4]: category: expected thing, found another; move the record to its class",
        f"train[3]: {pictures[0]}: no such file",
        f"train[4]: {pictures[1]}: expected a picture, cannot decode its 400 bytes",
        f"train[5]: {pictures[2]}: expected a picture",
        f"{masks[0]}: expected the size of the image, 96 x 80 px, found 50 x 40",
        f"{masks[1]}: expected a picture",
    ):
        assert sum(expected in problem for problem in problems) == 1, (expected, problems)


def test_cameras_that_are_not_asked_for_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_class(tmp_path)
    caplog.set_level("WARNING", "multiflow")
    frame = read_samples(Dataset(classes=["thing"], cameras=["C2"], flips=None), tmp_path, "thing")
    assert set(frame["camera"]) == {"C2"}
    assert "7 records of C1, 7 records of C3: cameras that are not in dataset.cameras are left out" in caplog.text


def test_many_problems_are_cut_short(tmp_path: Path) -> None:
    annotations = write_class(tmp_path, train=80)
    _edit(annotations, lambda content: [record.pop("category") for record in content["train"]] and None)
    problems = _problems(tmp_path)
    assert len(problems) == 201
    assert "... and 40 more problems" in problems[-1]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("records", [[], None])
def test_empty_split(tmp_path: Path, split: str, records: list[Any] | None) -> None:
    _edit(write_class(tmp_path), lambda content: content.update({split: records}))
    (problem,) = _problems(tmp_path)
    assert f"{split}: expected a list of records" in problem


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"meta": ', "line 1, column 10: malformed JSON"),
        ("[]", "expected an object with meta, train and test, found a list"),
        (
            '{"meta": {"prefix": "thing/"}, "train": [1], "test": [1]}',
            "meta: expected a text under normal_class",
        ),
    ],
)
def test_malformed_json(tmp_path: Path, content: str, expected: str) -> None:
    path = write_class(tmp_path)
    path.write_text(content)
    (problem,) = _problems(tmp_path)
    assert problem.startswith(str(path))
    assert expected in problem


def test_missing_folders_and_classes_say_what_there_is(tmp_path: Path) -> None:
    write_class(tmp_path, name="nut")
    assert "no class thing; available: nut" in _problems(tmp_path)[0]
    assert "set dataset.annotations" in _problems(tmp_path, annotations="elsewhere")[0]
    assert "set dataset.root" in _problems(tmp_path / "absent")[0]
    write_class(tmp_path)
    (problem,) = _problems(tmp_path, image_folder="realiad_512")
    assert "set dataset.image_folder" in problem


def test_a_folder_that_is_not_there_is_one_problem_for_all_its_pictures(tmp_path: Path) -> None:
    annotations, images = write_class(tmp_path), tmp_path / "realiad_1024"
    (images / "thing").rename(images / "Thing")
    wanted = f"{images}/thing: expected a folder with files of 21 views, such as {annotations}: train[0], found none; "
    assert _problems(tmp_path) == [f"{wanted}there is Thing: rename one"]
    (images / "Thing").rename(tmp_path / "elsewhere")
    assert _problems(tmp_path) == [f"{wanted}unpack it there, or mend the paths"]
    (tmp_path / "elsewhere").rename(images / "thing")
    shutil.rmtree(images / "thing/NG/HS/S0007")
    (images / "thing/OK/S0001/thing_0001_OK_C1_train2024.jpg").unlink()
    records = json.loads(annotations.read_text())
    records["test"][6]["mask_path"] = "masks/a.png"
    annotations.write_text(json.dumps(records))
    wanted = f"expected a folder with files of %d views, such as {annotations}: test[%d], found none"
    assert [problem.partition(";")[0] for problem in _problems(tmp_path)] == [
        f"{images}/thing/masks: {wanted % (1, 6)}",
        f"{images}/thing/NG/HS/S0007: {wanted % (3, 9)}",
        f"{annotations}: train[3]: {images}/thing/OK/S0001/thing_0001_OK_C1_train2024.jpg: no such file",
    ]


def test_a_normal_class_that_no_record_has_is_one_problem(tmp_path: Path) -> None:
    annotations = write_class(tmp_path)
    _edit(annotations, lambda content: content["meta"].update(normal_class="ok"))
    for unmasked in ("refuse", "image_only"):  # else all views would be anomalous
        assert _problems(tmp_path, unmasked_views=unmasked) == [
            f"{annotations}: meta: expected the anomaly_class of normal views under normal_class, found ok, where "
            "records have OK, HS; correct it"
        ]


@pytest.mark.parametrize("prefix", ["/data/thing", "../../thing", "D:\\data\\thing"])
def test_a_prefix_that_leads_out_of_the_data_set_is_one_problem(tmp_path: Path, prefix: str) -> None:
    annotations = write_class(tmp_path)
    _edit(annotations, lambda content: content["meta"].update(prefix=prefix))
    assert _problems(tmp_path) == [
        f"{annotations}: meta: prefix: expected a path below the data set's root, found {prefix}; mend it"
    ]


def test_a_name_that_is_too_long_is_one_problem(tmp_path: Path) -> None:
    annotations = write_class(tmp_path)
    _edit(annotations, lambda content: content["meta"].update(prefix="x" * 300))
    (problem,) = _problems(tmp_path)
    assert f"{'x' * 300}: expected a folder with files of 21 views" in problem


def test_warnings_for_masks_that_say_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    annotations = write_class(tmp_path)
    mask = sorted(tmp_path.rglob("*.png"))[0]
    Image.fromarray(np.ones((80, 96), np.uint8)).save(mask)
    inverted, framed = sorted(tmp_path.rglob("*.png"))[1:3]
    exchanged = 255 - np.asarray(Image.open(inverted))
    Image.fromarray(exchanged).save(inverted)
    exchanged[0, 0] = 0  # a corner is no defect: nothing is exchanged
    Image.fromarray(exchanged).save(framed)
    _edit(annotations, lambda content: content["train"][0].update(mask_path=content["test"][6]["mask_path"]))
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    assert "no pixel above grey value 127, its highest is 1; lower evaluation.ground_truth_threshold" in caplog.text
    words = "the mask of an anomalous view covers its whole border, as one with black and white exchanged does"
    assert [line.partition(".json: ")[2] for line in caplog.messages if words in line] == [
        f"test[7]: {inverted}: {words}"
    ]
    assert "train[0]: the mask of a normal view is ignored" in caplog.text
    assert frame["mask"].iloc[0] == ""


def _draw(mask: Path, picture: Image.Image, **options: Any) -> Path:
    picture.save(mask, **options)
    return mask


def test_doubts_about_files_are_counted_and_travel(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Masks in an alpha channel and of 0 and 1, pictures with an orientation: tables say how many there are."""
    root = tmp_path / "data"
    write_class(root)
    first, second, third, _ = sorted(root.rglob("*.png"))
    shape = np.zeros((80, 96), np.uint8)
    shape[40:50, 24:48] = 255
    white = np.full((80, 96, 3), 255, np.uint8)
    for mask in (first, second):
        _draw(mask, Image.fromarray(np.dstack([white, shape])))
    _draw(third, Image.fromarray(shape // 255))
    exif = Image.Exif()
    exif[0x0112] = 3
    _draw(first.with_suffix(".jpg"), Image.fromarray(white), exif=exif)
    frame = read_samples(dataset(), root, "thing", processes=2)
    expected = {
        "its EXIF orientation is ignored": 1,
        "the mask has one colour and is read from its transparency": 2,
        "the mask's values 0 and 1 are read as 0 and 255": 1,
    }
    assert frame.attrs["doubts"] == expected
    assert len(caplog.messages) == 4
    assert len({record.msg for record in caplog.records}) == 3
    assert f"{third}: the mask's values 0 and 1" in caplog.text
    write_digests(frame, tmp_path / "thing.json")
    assert read_doubts(tmp_path / "thing.json") == expected
    assert read_digests(tmp_path / "thing.json") == digests(frame)
    write_ground_truth(frame, root, 40, 127, tmp_path / "thing.h5")
    truth = GroundTruthFile(tmp_path / "thing.h5")
    # The fourth is drawn as the data set draws its own.
    masks = [truth.masks(index, 127)[view] for index in (2, 3) for view in (0, 1)]
    assert all(np.array_equal(mask, masks[3]) and mask.any() for mask in masks)


def test_a_test_picture_that_is_trained_on_is_doubted_under_whatever_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    annotations = write_class(tmp_path)
    images = tmp_path / "realiad_1024/thing/OK"
    trained, tested = (images / f"S0000/thing_0000_OK_C1_{split}2024.jpg" for split in ("train", "test"))
    shutil.copy(trained, tested)
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    assert frame.attrs["doubts"] == {"the picture is in both train and test": 1}
    places = ", ".join(str(path.relative_to(tmp_path)) for path in (tested, trained))
    assert caplog.messages == [f"{annotations}: {places}: the picture is in both train and test"]


def test_a_picture_that_is_tested_twice_is_doubted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    annotations = write_class(tmp_path)
    good, bad = (
        next((tmp_path / "realiad_1024/thing").rglob(f"thing_0007_{group}_C1_test2024.jpg"))
        for group in ("OK", "NG_HS")
    )
    shutil.copy(good, bad)
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    assert frame.attrs["doubts"] == {"a picture is in the test set more than once": 1}
    places = ", ".join(str(path.relative_to(tmp_path)) for path in (good, bad))
    assert caplog.messages == [f"{annotations}: {places}: a picture is in the test set more than once"]


def test_pictures_of_which_some_are_turned_are_doubted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    annotations = write_class(tmp_path)
    picture = next((tmp_path / "realiad_1024/thing/OK").rglob("*_C2_train2024.jpg"))
    _draw(picture, Image.open(picture).transpose(Image.Transpose.ROTATE_90))
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    what = "a camera's pictures are both wide and tall, as where some are turned; all become squares"
    assert frame.attrs["doubts"] == {what: 1}
    assert caplog.messages == [f"{annotations}: 6 wide and 1 tall pictures of C2: {what}"]


def test_a_mask_that_is_its_picture_is_a_problem(tmp_path: Path) -> None:
    annotations = write_class(tmp_path)
    _edit(annotations, lambda content: content["test"][6].update(mask_path=content["test"][6]["image_path"]))
    (problem,) = _problems(tmp_path)
    assert problem.startswith(f"{annotations}: test[6]: {tmp_path}/realiad_1024/thing/NG/HS/")
    assert problem.endswith("expected a mask, found the picture itself; correct the mask's path")


@pytest.mark.parametrize(("threshold", "said"), [(127, True), (69, False)])
def test_the_limit_of_a_mask_is_that_of_the_evaluation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, threshold: int, said: bool
) -> None:
    write_class(tmp_path)
    mask = min(tmp_path.rglob("*.png"))
    with Image.open(mask) as picture:
        faint = Image.fromarray(np.asarray(picture) // 255 * 70)
    faint.save(mask)
    frame = read_samples(dataset(), tmp_path, "thing", processes=0, threshold=threshold)
    assert (f"has no pixel above grey value {threshold}, its highest is 70" in caplog.text) == said
    assert frame.attrs["doubts"] == {}
    caplog.clear()
    Image.new("L", (96, 80), 255).save(mask)
    read_samples(dataset(), tmp_path, "thing", processes=0)
    assert "covers all of it" in caplog.text


def test_few_bits_are_doubted_by_camera_and_split_and_not_by_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    annotations = write_class(tmp_path)
    for path in tmp_path.rglob("*.jpg"):
        with Image.open(path) as picture:
            values = np.asarray(picture.convert("L")).astype(np.uint16)
        path.unlink()
        Image.fromarray(values * 16).save(path, "PNG")
    doubts = read_samples(dataset(), tmp_path, "thing", processes=0).attrs["doubts"]
    (doubt,) = doubts
    assert (doubts[doubt], len(caplog.messages)) == (1, 1)
    assert "its 16-bit values use 12 bits at most" in doubt
    assert doubt.endswith("multiply them by 16")

    def brighten(camera: str, split: str) -> None:
        path = next(tmp_path.rglob(f"*_{camera}_{split}2024.jpg"))
        Image.fromarray(np.asarray(Image.open(path)) // 16 * 257).save(path, "PNG")

    for place in (("C1", "train"), ("C1", "test"), ("C2", "train"), ("C2", "test"), ("C3", "train")):
        brighten(*place)  # one picture of several, of which others may be dark
    caplog.clear()
    assert read_samples(dataset(), tmp_path, "thing", processes=0).attrs["doubts"] == doubts
    assert f"{annotations}: C3 in test: its 16-bit values use 12 bits at most" in caplog.text
    brighten("C3", "test")
    assert not read_samples(dataset(), tmp_path, "thing", processes=0).attrs["doubts"]


@pytest.mark.parametrize("turned", ["image", "mask"])
def test_a_mask_that_is_turned_otherwise_than_its_picture(tmp_path: Path, turned: str) -> None:
    write_class(tmp_path)
    mask = min(tmp_path.rglob("*.png"))
    exif = Image.Exif()
    exif[0x0112] = 6
    image = mask.with_suffix(".jpg")
    Image.new("RGB", (96, 80)).save(image, "TIFF", **({"exif": exif} if turned == "image" else {}))
    Image.new("L", (80, 96), 255).save(mask, "TIFF", **({"exif": exif} if turned == "mask" else {}))
    (problem,) = _problems(tmp_path)
    assert problem.endswith("taken as they are stored, not as EXIF turns them; store both the same way")
    Image.new("L", (40, 96), 255).save(mask)
    assert _problems(tmp_path)[0].endswith("restore the mask")


def test_backslashes_are_those_of_windows(tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["meta"]["prefix"] = "thing\\"
        for record in [*content["train"], *content["test"]]:
            for key in ("image_path", "mask_path"):
                record[key] = record[key] and record[key].replace("/", "\\")

    annotations = write_class(tmp_path)
    before = read_samples(dataset(), tmp_path, "thing", processes=0)
    _edit(annotations, change)
    pd.testing.assert_frame_equal(read_samples(dataset(), tmp_path, "thing", processes=0), before)
    for value in ("C:\\data\\thing_0000_OK_C1_x.jpg", "..\\..\\..\\thing_0000_OK_C1_x.jpg"):
        _edit(annotations, lambda content, value=value: content["train"][0].update(image_path=value))
        assert any("expected a path below the data set's root" in problem for problem in _problems(tmp_path))


def test_names_that_are_not_utf_8_are_found_before_the_work_is_done(tmp_path: Path) -> None:
    annotations = write_class(tmp_path)
    image = next(tmp_path.rglob("*_train2024.jpg"))
    image.rename(image.with_name(image.name.replace("train2024", "caf\udce9")))
    _edit(
        annotations,
        lambda content: (
            [
                record.update(image_path=record["image_path"].replace("train2024", "caf\udce9"))
                for record in content["train"]
                if record["image_path"].endswith(image.name)
            ]
            and None
        ),
    )
    (problem,) = _problems(tmp_path)
    assert r"expected names in UTF-8, found realiad_1024/thing" in problem
    assert problem.endswith(r"caf\udce9.jpg; rename it")


def test_files_that_the_system_left_are_nobodys(tmp_path: Path) -> None:
    annotations = write_class(tmp_path)
    for name in ("._thing.json", ".DS_Store", "._nut.json", "Thumbs.db", "@eaDir"):
        (annotations.parent / name).write_bytes(b"\0\x05\x16\x07")
    assert [path.name for path in visible(annotations.parent)] == ["thing.json"]
    assert visible(tmp_path / "absent") == []
    assert len(read_samples(dataset(), tmp_path, "thing", processes=0)) == 21

    def add(content: dict[str, Any]) -> None:
        """What a layout finds that goes through all folders."""
        record = content["train"][0]
        folder, name = record["image_path"].rsplit("/", 1)
        others = (f"{folder}/._{name}", f"{folder}/.ipynb_checkpoints/{name}", f"{folder}/@eaDir/{name}")
        content["train"] += [record | {"image_path": path} for path in others]

    _edit(annotations, add)
    assert len(read_samples(dataset(), tmp_path, "thing", processes=0)) == 21
    annotations.rename(annotations.with_name("bolt.json"))
    assert "available: bolt; change" in _problems(tmp_path)[0]


def test_table_survives_a_round_trip_with_the_same_bytes(tmp_path: Path) -> None:
    write_class(tmp_path / "data", name="NA")
    frame = read_samples(dataset(), tmp_path / "data", "NA", processes=0)
    write_samples(frame, tmp_path / "a.csv")
    loaded = load_samples(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(frame, loaded, check_dtype=False)
    write_samples(loaded, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert str(tmp_path) not in (tmp_path / "a.csv").read_text()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("camera", "kamera"),
        lambda text: "\n".join(text.splitlines()[:-1]),
        lambda text: text.splitlines()[0] + "\n",
        lambda text: text.replace(",96,80", ",x,80", 1),
        lambda text: "",
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, damage: Callable[[str], str]) -> None:
    write_class(tmp_path / "data")
    path = tmp_path / "thing.csv"
    write_samples(read_samples(dataset(), tmp_path / "data", "thing", processes=0), path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match="delete it and rerun"):
        load_samples(path)


def test_a_read_only_data_set_is_only_read(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_class(root)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = _tree(root)
    write_samples(read_samples(dataset(), root, "thing", processes=2), tmp_path / "thing.csv")
    assert _tree(root) == before
    assert sorted(os.listdir(tmp_path)) == ["data", "thing.csv"]


def test_what_is_missing_is_known_before_anything_is_read(tmp_path: Path) -> None:
    def missing(**changes: Any) -> list[str]:
        return layout("real_iad").missing_data(
            dataset(**{"root": str(tmp_path), "classes": ["thing", "nut"], **changes})
        )

    for name in ("thing", "nut"):
        write_class(tmp_path, name=name)
    assert missing() == []
    assert missing(classes=["thing", "bolt"]) == [
        f"{tmp_path}/realiad_jsons: no class bolt; available: nut, thing; change dataset.classes"
    ]
    assert missing(root=str(tmp_path / "absent")) == [
        f"{tmp_path}/absent: expected the folder of the data set, found none; set dataset.root"
    ]
    assert missing(image_folder="realiad_512") == [
        f"{tmp_path}/realiad_512: expected the images, found no folder; set dataset.image_folder"
    ]
