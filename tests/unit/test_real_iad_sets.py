"""Real-IAD's further sets by configuration alone: single-view, noisy training data, and Variety with fewer masks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score
from tiny_data import dataset, write_class

from multiflow.base.errors import InputError
from multiflow.datasets.ground_truth import GroundTruthFile, write_ground_truth
from multiflow.datasets.table import read_samples
from multiflow.methods.contract import Scores
from multiflow.metrics.counting import count_metrics
from multiflow.metrics.settings import Evaluation
from multiflow.scores import ScoreFile, write_scores

SIZE = 16


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_single_view_set_is_other_annotations_and_one_camera(tmp_path: Path) -> None:
    write_class(tmp_path)
    write_class(tmp_path, cameras=("C1",), annotations="realiad_jsons_sv")
    settings = dataset(annotations="realiad_jsons_sv", cameras=["C1"])
    frame = read_samples(settings, tmp_path, "thing", processes=0)
    assert frame["camera"].tolist() == ["C1"] * 7
    assert frame["label"].tolist() == [0] * 5 + [1] * 2
    assert settings.protocol == ("realiad_jsons_sv",)


def test_noisy_training_data_are_read_with_the_others(tmp_path: Path) -> None:
    path = write_class(tmp_path, annotations="realiad_jsons_fuiad_0.1/realiad_jsons_fuiad_0.1")

    def move(content: Any) -> None:
        content["train"] += content["test"][-3:]
        del content["test"][-3:]

    edit(path, move)
    frame = read_samples(dataset(annotations="realiad_jsons_fuiad_0.1"), tmp_path, "thing", processes=0)
    noisy = frame[(frame["split"] == "train") & (frame["label"] == 1)]
    assert noisy["sample"].tolist() == ["thing_0007_NG_HS"] * 2
    assert frame.attrs["doubts"] == {"an anomalous view is trained on": 2}
    assert len(frame[frame["split"] == "train"]) == 12
    assert len(frame[frame["split"] == "test"]) == 9


def write_variety(root: Path) -> None:
    """Real-IAD Variety's kind of names: a number of the part alone, in folders that say the rest; one hidden defect."""
    random = np.random.default_rng(0)
    records: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for split, defect, number in (
        ("train", "OK", 1), ("train", "OK", 2), ("test", "OK", 3), ("test", "Deformation", 3), ("test", "Scratch", 3)
    ):  # fmt: skip
        folder = f"OK/S{number:06d}" if defect == "OK" else f"NG/{defect}/S{number:06d}"
        for camera in ("C1", "C2"):
            stem = f"{folder}/S{number:06d}_{camera}_L05_W_2024"
            hidden = defect == "OK" or (defect, camera) == ("Scratch", "C2")
            image = root / "realiadvariety_1024/gear" / f"{stem}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (SIZE, SIZE, 3), np.uint8)).save(image)
            if not hidden:
                mask = np.zeros((SIZE, SIZE), np.uint8)
                mask[2:6, 3:9] = 255
                Image.fromarray(mask).save(image.with_name(f"{image.stem}_mask.png"))
            records[split].append(
                {
                    "category": "gear",
                    "anomaly_class": defect,
                    "image_path": f"{stem}.png",
                    "mask_path": None if hidden else f"{stem}_mask.png",
                }
            )
    path = root / "realiadvariety_jsons/Real-IAD_Variety_jsons/gear.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"meta": {"prefix": "gear/", "normal_class": "OK"}, **records}))


def variety(**changes: Any) -> Any:
    return dataset(
        image_folder="realiadvariety_1024",
        annotations="realiadvariety_jsons/Real-IAD_Variety_jsons",
        cameras=["C1", "C2"],
        classes=["gear"],
        **changes,
    )


def test_parts_of_one_number_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    write_variety(tmp_path)
    frame = read_samples(variety(unmasked_views="normal"), tmp_path, "gear", processes=0)
    assert frame["sample"].drop_duplicates().tolist() == [
        "OK/S000001/S000001", "OK/S000002/S000002", "OK/S000003/S000003",
        "NG/Deformation/S000003/S000003", "NG/Scratch/S000003/S000003",
    ]  # fmt: skip
    assert frame["mask"].tolist()[-4] == (
        "realiadvariety_1024/gear/NG/Deformation/S000003/S000003_C1_L05_W_2024_mask.png"
    )


def test_views_without_a_mask_are_refused_unless_the_configuration_says_what_they_are(tmp_path: Path) -> None:
    write_variety(tmp_path)
    with pytest.raises(InputError) as caught:
        read_samples(variety(), tmp_path, "gear", processes=0)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{tmp_path}/realiadvariety_jsons/Real-IAD_Variety_jsons/gear.json: test[5]: ")
    assert "anomaly_class Scratch without a mask" in problem
    assert "set dataset.unmasked_views" in problem


@pytest.mark.parametrize(("choice", "label", "located"), [("normal", 0, True), ("image_only", 1, False)])
def test_what_views_without_a_mask_are_decides_their_label_and_which_pixels_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, choice: str, label: int, located: bool
) -> None:
    write_variety(tmp_path)
    settings = variety(unmasked_views=choice)
    frame = read_samples(settings, tmp_path, "gear", processes=0)
    assert frame["label"].tolist() == [0] * 6 + [1, 1, 1, label]
    write_ground_truth(frame, tmp_path, SIZE, 127, tmp_path / "truth.h5")
    assert not caplog.records, "no mask has vanished"
    truth = GroundTruthFile(tmp_path / "truth.h5")
    assert truth.located.tolist() == [[True, True], [True, True], [True, located]]
    assert truth.labels.tolist() == [[0, 0], [1, 1], [1, label]]

    maps = np.random.default_rng(1).normal(size=(3, 2, SIZE, SIZE)).astype(np.float32)
    maps[2, 1] += 3  # what is counted of the view in question is seen in every metric
    write_scores(tmp_path / "scores.h5", truth.samples, 2, lambda index: Scores(maps[index]), {}, "test")
    for counter in ("strips", "adeval"):
        with ScoreFile(tmp_path / "scores.h5") as scores:
            metrics = count_metrics(scores, truth, Evaluation(counter=counter)).metrics
        masks = np.array([truth.masks(index, 127) for index in range(3)])[truth.located].ravel()
        pixels = maps[truth.located].ravel()
        assert metrics["pixel_auroc"] == pytest.approx(roc_auc_score(masks, pixels), abs=1e-3)
        assert metrics["pixel_ap"] == pytest.approx(average_precision_score(masks, pixels), rel=2e-2)
        labels, images = truth.labels.ravel(), maps.max(axis=(2, 3)).ravel()
        assert metrics["image_auroc"] == pytest.approx(roc_auc_score(labels, images))
        assert "image_auroc:Scratch" in metrics
    assert settings.protocol[0] == "realiadvariety_jsons/Real-IAD_Variety_jsons"
    assert "without a mask" in settings.protocol[1]
