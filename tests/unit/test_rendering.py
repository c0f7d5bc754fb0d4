"""A tiny data set, rendered: layout, labels, determinism, resuming, mirrored cameras, ground truth."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from multiflow.base.errors import InputError
from multiflow.datasets.rendered import render_class
from rendered_parts.cameras import CAMERAS
from rendered_parts.errors import RenderingError
from rendered_parts.layouts import mvtec
from rendered_parts.layouts.real_iad import sample_folder, sample_stems
from rendered_parts.parts import PARTS
from rendered_parts.samples import PlannedSample, plan_samples
from rendered_parts.settings import Rendering
from rendered_parts.specimen import make_specimen
from rendered_parts.worker import ENVIRONMENT

PART = "stud_brick"
SETTINGS = Rendering(image_size=96, train=1, test_ok=1, test_ng=3, samples_per_pixel=1)


def digests(root: Path) -> dict[str, str]:
    """Checksum of every file below a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def image_path(root: Path, sample: PlannedSample, camera: int) -> Path:
    return root / "realiad_96" / PART / sample_folder(sample) / f"{sample_stems(sample)[camera]}.jpg"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendered")
    render_class(PART, SETTINGS, folder, processes=2)
    return folder


def test_layout_is_that_of_real_iad(root: Path) -> None:
    index = json.loads((root / "realiad_jsons" / f"{PART}.json").read_text())
    assert index["meta"] == {"prefix": f"{PART}/", "normal_class": "OK", "pre_transform": None}
    assert [len(index[split]) for split in ("train", "test")] == [5, 20]
    named = set()
    for record in index["train"] + index["test"]:
        assert list(record) == ["category", "anomaly_class", "image_path", "mask_path"]
        assert record["category"] == PART
        image = root / "realiad_96" / PART / record["image_path"]
        named.add(image)
        assert Image.open(image).size == (96, 96)
        kind = record["image_path"].split("/")[-3]
        if record["mask_path"] is None:
            assert record["anomaly_class"] == "OK"
            continue
        assert kind == record["anomaly_class"]
        mask = np.asarray(Image.open(root / "realiad_96" / PART / record["mask_path"]))
        named.add(root / "realiad_96" / PART / record["mask_path"])
        assert record["mask_path"] == record["image_path"].replace(".jpg", ".png")
        assert mask.shape == (96, 96)
        assert set(np.unique(mask)) == {0, 255}
    assert named == {path for path in (root / "realiad_96").rglob("*") if path.is_file()}
    for sample in plan_samples(PARTS[PART], SETTINGS):
        masks = list((root / "realiad_96" / PART / sample_folder(sample)).glob("*.png"))
        assert bool(masks) == (sample.defect is not None)


def test_a_larger_set_in_one_process_holds_the_same_bytes_also_where_its_name_has_the_seed(
    root: Path, tmp_path: Path
) -> None:
    name = f"{PART}-{SETTINGS.seed}"
    render_class(name, SETTINGS.model_copy(update={"test_ng": 4, "seed": SETTINGS.seed + 1}), tmp_path, processes=1)
    first, larger = digests(root / "realiad_96" / PART), digests(tmp_path / "realiad_96" / name)
    assert first.items() < larger.items()
    index = json.loads((tmp_path / "realiad_jsons" / f"{name}.json").read_text())
    assert index["meta"]["prefix"] == f"{name}/"
    assert {record["category"] for record in index["train"] + index["test"]} == {name}


def test_a_killed_run_goes_on(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "import sys; from pathlib import Path; from rendered_parts.dataset import render_class;"
        "from rendered_parts.settings import Rendering;"
        f"render_class({PART!r}, Rendering.model_validate_json(sys.argv[1]), Path(sys.argv[2]))"
    )
    library = Path(__file__).parents[2] / "src"
    run = subprocess.Popen(
        [sys.executable, "-c", code, SETTINGS.model_dump_json(), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(library)},
    )
    hidden = tmp_path / "realiad_96" / f".{PART}.partial" / PART
    limit = time.monotonic() + 50
    while not list(hidden.glob("OK/S*")) and time.monotonic() < limit:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert not (tmp_path / "realiad_jsons").exists()
    assert not (tmp_path / "realiad_96" / PART).exists()
    with caplog.at_level(logging.INFO):
        render_class(PART, SETTINGS, tmp_path)
    assert "are there already" in caplog.text
    assert "s left" in caplog.text
    assert digests(tmp_path) == digests(root)
    # Killed after the images were moved to their place; then the workflow has removed them, or it has not.
    for removed in (False, True):
        hidden.parent.mkdir()
        (hidden.parent / "settings.json").write_text(SETTINGS.model_dump_json())
        shutil.rmtree(tmp_path / "realiad_jsons")
        if removed:
            shutil.rmtree(tmp_path / "realiad_96" / PART)
        render_class(PART, SETTINGS, tmp_path)
        assert digests(tmp_path) == digests(root)


def test_mirrored_cameras_deliver_mirrored_images(root: Path) -> None:
    sample = plan_samples(PARTS[PART], SETTINGS)[0]
    specimen = make_specimen(PARTS[PART], None, sample.generator())
    points = np.concatenate([layer.surface.positions.reshape(-1, 3) for layer in specimen.layers])
    lower = points[points[:, 2] < 0.75]
    for camera, mirrored in enumerate(PARTS[PART].mirrored):
        image = np.asarray(Image.open(image_path(root, sample, camera))).astype(int)
        seen = image[..., 0] - image[..., 2] > 50
        expected = hull_mask(CAMERAS[camera].project(lower, specimen.height, 96), 96)
        overlap = [np.mean(seen == side) for side in (expected, expected[:, ::-1])]
        assert (overlap[1] > overlap[0]) == mirrored, CAMERAS[camera].name
        assert max(overlap) > 0.93


def hull_mask(pixels: np.ndarray, size: int) -> np.ndarray:
    """The convex hull of points, filled, ``[size, size]``."""
    from scipy.spatial import ConvexHull

    corners = pixels[ConvexHull(pixels).vertices]
    image = Image.new("L", (size, size), 0)
    ImageDraw.Draw(image).polygon([tuple(corner - 0.5) for corner in corners], fill=1)
    return np.asarray(image) > 0


TWINS = """
import sys
import numpy as np
from rendered_parts.parts import PARTS
from rendered_parts.picture import render_views
from rendered_parts.specimen import make_specimen
views = []
for defect in (None, "ZW", "YW"):
    rng = np.random.default_rng(8)
    views.append(render_views(make_specimen(PARTS["screw_cap"], defect, rng), 128, 1, rng))
np.savez(sys.argv[1], images=[[v[0] for v in s] for s in views], masks=[[v[1] for v in s] for s in views])
"""


def test_masks_hold_the_pixels_that_a_defect_changes(tmp_path: Path) -> None:
    # In a process of its own: the test's process need not load Mitsuba.
    library = Path(__file__).parents[2] / "src"
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(library)}
    subprocess.run([sys.executable, "-c", TWINS, str(tmp_path / "twins.npz")], env=environment, check=True)
    with np.load(tmp_path / "twins.npz") as stored:
        images, masks = stored["images"].astype(int), stored["masks"]
    assert not masks[0].any()
    for defect in (1, 2):
        assert masks[defect].any()
        change = np.abs(images[defect] - images[0]).max(-1)
        assert np.median(change[masks[defect]]) > 10
        near = masks[defect] | np.roll(masks[defect], 2, 1) | np.roll(masks[defect], -2, 1)
        near |= np.roll(near, 2, 2) | np.roll(near, -2, 2)
        assert np.mean(change[~near] > 20) < 2e-3


def test_mvtec_ads_layout_has_a_mask_for_every_defect(tmp_path: Path) -> None:
    normal, defective = (plan_samples(PARTS[PART], SETTINGS)[index] for index in (0, -1))
    image, mask = np.full((96, 96, 3), 90, np.uint8), np.zeros((96, 96), bool)
    with pytest.raises(RenderingError, match=r"foreign_object/001.png: no attempt shows the defect from above"):
        mvtec.write_sample(defective, [(image, mask)], tmp_path)
    assert not list(tmp_path.rglob("*.png"))
    mask[:3, :4] = True
    for sample in (normal, defective):
        assert not mvtec.is_written(sample, tmp_path)
        mvtec.write_sample(sample, [(image, mask)], tmp_path)
        assert mvtec.is_written(sample, tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "ground_truth/foreign_object/001_mask.png", "test/foreign_object/001.png", "train/good/001.png"
    ]  # fmt: skip
    assert np.asarray(Image.open(tmp_path / "ground_truth/foreign_object/001_mask.png")).sum() == 12 * 255


@pytest.mark.parametrize("name", ["washer", f"{PART}-", f"{PART}-one", f"{PART}-1-2"])
def test_unknown_class_names_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^dataset.classes: '{name}'.*coin_cell.*as stud_brick-1$"):
        render_class(name, SETTINGS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failed_worker_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho first >&2\necho out of memory >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(InputError, match="out of memory") as error:
        render_class(PART, SETTINGS, tmp_path / "data", processes=2)
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "data" / "realiad_jsons").exists()
    assert not (tmp_path / "data" / "realiad_96" / PART).exists()


def test_a_renderer_that_cannot_be_loaded_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mitsuba.py").write_text(
        "try:\n    raise ImportError('libatomic.so.1: cannot open shared object file')\nexcept ImportError:\n    _ext\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InputError, match=r"failed: mitsuba: cannot be loaded \(libatomic.so.1: cannot open") as error:
        render_class(PART, SETTINGS, tmp_path / "data")
    assert len(str(error.value).splitlines()) == 1
