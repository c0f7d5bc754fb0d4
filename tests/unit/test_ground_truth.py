"""The ground truth of a class: labels and grey masks of its test samples, in the pictures' orientation."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_data import CAMERAS, dataset, write_class

from multiflow.base.errors import InputError
from multiflow.datasets.ground_truth import GroundTruthFile, write_ground_truth
from multiflow.datasets.masks import load_grey_mask, load_mask
from multiflow.datasets.table import read_samples


@pytest.mark.parametrize("processes", [0, 2])
def test_it_holds_labels_and_masks_of_the_test_samples(tmp_path: Path, processes: int) -> None:
    root = tmp_path / "data"
    write_class(root)
    table = tmp_path / "flips.csv"
    table.write_text("class,C1,C2,C3\nthing,0,1,0\n")
    frame = read_samples(dataset(flips=str(table)), root, "thing", processes=0)
    write_ground_truth(frame, root, 32, 127, tmp_path / "thing.h5", {"seed": 1}, processes)
    rows = frame[frame["split"] == "test"]
    truth = GroundTruthFile(tmp_path / "thing.h5")
    assert (len(truth), truth.size, truth.class_name, truth.cameras) == (4, 32, "thing", list(CAMERAS))
    assert truth.samples == rows["sample"].drop_duplicates().tolist()
    assert list(chain(*truth.images)) == rows["image"].tolist()
    assert list(chain(*truth.anomaly_classes)) == rows["anomaly_class"].tolist()
    assert truth.labels.dtype == np.uint8
    assert truth.labels.ravel().tolist() == rows["label"].tolist()
    for index, sample in enumerate(truth.samples):
        masks = truth.masks(index, 127)
        assert masks.shape == (3, 32, 32)
        for view, row in enumerate(rows[rows["sample"] == sample].itertuples()):
            expected = load_mask(root / row.mask, 32, bool(row.flip)) if row.mask else np.zeros((32, 32))
            np.testing.assert_array_equal(masks[view], expected)
    first, second = truth.masks(2, 127)[:2]
    assert first.any()
    np.testing.assert_array_equal(first, second[:, ::-1])


def test_what_is_anomalous_is_decided_where_it_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_class(tmp_path)
    for mask in tmp_path.rglob("*.png"):
        grey = np.zeros((80, 96), np.uint8)
        grey[20:60] = 100
        grey[60:] = 200
        Image.fromarray(grey).save(mask)
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    caplog.set_level("WARNING", "multiflow")
    write_ground_truth(frame, tmp_path, 16, 127, tmp_path / "thing.h5")
    assert not caplog.records
    truth = GroundTruthFile(tmp_path / "thing.h5")
    assert [int(truth.masks(2, threshold)[0].sum()) for threshold in (99, 100, 199, 200)] == [192, 64, 64, 0]
    write_ground_truth(frame, tmp_path, 16, 254, tmp_path / "thing.h5")
    assert caplog.text.count("_test2024.png: no anomalous pixel at the ground truth's size") == 4


def test_grey_values_are_the_strongest_channels(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[2:4, 2:4, 2] = 70
    pixels[2:4, 2:4, 0] = 30
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert load_grey_mask(tmp_path / "a.png").max() == 70
    assert load_grey_mask(tmp_path / "a.png", 4, flip=True).tolist()[1] == [0, 0, 70, 0]


def test_a_mask_that_is_lost_leaves_no_file(tmp_path: Path) -> None:
    write_class(tmp_path)
    frame = read_samples(dataset(), tmp_path, "thing", processes=0)
    mask = next(tmp_path.rglob("*.png"))
    mask.unlink()
    with pytest.raises(InputError, match=f"{mask.name}: no such file"):
        write_ground_truth(frame, tmp_path, 16, 127, tmp_path / "out" / "thing.h5")
    assert not list((tmp_path / "out").iterdir())
    with pytest.raises(InputError, match="no such file; run the rule that writes it"):
        len(GroundTruthFile(tmp_path / "out" / "thing.h5"))
