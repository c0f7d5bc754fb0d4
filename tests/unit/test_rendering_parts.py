"""Parts, solids and defects, without a renderer."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rendered_parts.cameras import CAMERAS
from rendered_parts.defects import DEFECT_NAMES, SURFACE_DEFECTS
from rendered_parts.defects.base import ball
from rendered_parts.geometry import circle, join, rounded_prism, rounded_rectangle, text_outline
from rendered_parts.layouts.real_iad import sample_folder
from rendered_parts.parts import PARTS
from rendered_parts.refinement import refine
from rendered_parts.samples import plan_samples
from rendered_parts.settings import Rendering
from rendered_parts.specimen import make_specimen
from rendered_parts.surface import Surface, unit

REAL_IAD = {
    "audiojack", "bottle_cap", "button_battery", "end_cap", "eraser",
    "fire_hood", "mint", "mounts", "pcb", "phone_battery",
    "plastic_nut", "plastic_plug", "porcelain_doll", "regulator", "rolled_strip_base",
    "sim_card_set", "switch", "tape", "terminalblock", "toothbrush",
    "toy", "toy_brick", "transistor1", "u_block", "usb",
    "usb_adaptor", "vcpill", "wooden_beads", "woodstick", "zipper",
}  # fmt: skip
FLIPS = Path(__file__).parents[2] / "config" / "view_flips.csv"


def face_normals(surface: Surface) -> np.ndarray:
    """Unit normals ``[n, 3]`` of the flat triangles."""
    edges = surface.positions[:, 1:] - surface.positions[:, :1]
    return unit(np.cross(edges[:, 0], edges[:, 1]))


def test_settings_load_no_renderer() -> None:
    code = "import sys, rendered_parts.settings; print({'mitsuba', 'drjit', 'numpy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_nothing_is_reported_as_leaked_when_a_process_ends() -> None:
    program = "from rendered_parts.geometry import text_outline; text_outline('3 V', 1.0)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout + result.stderr == ""


def test_the_renderer_stands_alone() -> None:
    code = (
        "import importlib, pkgutil, sys, rendered_parts;"
        "names = [found.name for found in pkgutil.walk_packages(rendered_parts.__path__, 'rendered_parts.')];"
        "[importlib.import_module(name) for name in names];"
        "print(len(names), [name for name in sys.modules if name.partition('.')[0] == 'multiflow'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, _, loaded = result.stdout.strip().partition(" ")
    assert int(count) > 20
    assert loaded == "[]"


def test_class_names_are_not_those_of_real_iad() -> None:
    assert len(PARTS) >= 3
    assert not set(PARTS) & REAL_IAD
    assert all(name == part.name for name, part in PARTS.items())


def test_flip_table_matches_the_registry() -> None:
    with open(FLIPS, newline="") as stream:
        table = {row["class"]: row for row in csv.DictReader(stream)}
    for name, part in PARTS.items():
        assert [int(table[name][camera.name]) for camera in CAMERAS] == [int(m) for m in part.mirrored], name


@pytest.mark.parametrize("name", PARTS)
def test_part_is_sound_and_varies(name: str) -> None:
    part_class = PARTS[name]
    parts = [part_class.build(np.random.default_rng(seed), None) for seed in (0, 1)]
    assert parts[0].height != parts[1].height
    for component in parts[0].components:
        assert component.body.volume() > 0
        surface = Surface.of(component.body, component.crease, component.mapping)
        assert np.isfinite(surface.normals).all()
        assert surface.positions[..., 2].min() > -1e-3
        # Shading normals lie on the outer side of their triangles.
        assert ((surface.normals * face_normals(surface)[:, None]).sum(-1) > 0).mean() > 0.999


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_feature_changes_nothing_else(name: str) -> None:
    part_class = PARTS[name]
    whole = join([c.body for c in part_class.build(np.random.default_rng(0), None).components])
    for feature in part_class.features:
        rest = join([c.body for c in part_class.build(np.random.default_rng(0), feature).components])
        change = (whole - rest).volume() + (rest - whole).volume()
        assert 1e-5 < change < 0.25 * whole.volume(), feature


@pytest.mark.parametrize("name", PARTS)
def test_every_defect_changes_the_part(name: str) -> None:
    part_class = PARTS[name]
    assert set(part_class.defects) <= set(DEFECT_NAMES)
    normal = make_specimen(part_class, None, np.random.default_rng([3, 4]))
    assert max(layer.defect.max() for layer in normal.layers) == 0
    for code in part_class.defects:
        specimen = make_specimen(part_class, code, np.random.default_rng([3, 4]))
        assert specimen.appearance.yaw == normal.appearance.yaw
        assert specimen.height == normal.height
        assert (specimen.intact is not None) == (code == "QS")
        if code in SURFACE_DEFECTS or code == "YW":
            assert max(layer.defect.max() for layer in specimen.layers) > 0.5


def test_prism_has_the_expected_volume() -> None:
    prism = rounded_prism(circle(1.0, 256), 0.0, 2.0)
    assert prism.volume() == pytest.approx(2 * np.pi, rel=1e-3)
    rounded = rounded_prism(rounded_rectangle(2.0, 1.0, 0.1), 0.0, 1.0, top_radius=0.1, bottom_radius=0.1)
    assert 0.93 * 2 < rounded.volume() < 2


def test_text_has_the_asked_height() -> None:
    _, low, _, high = text_outline("LR44", 0.3).bounds()
    assert high - low == pytest.approx(0.3, abs=1e-3)


def test_refinement_keeps_the_surface() -> None:
    body = rounded_prism(rounded_rectangle(2.0, 1.0, 0.1), 0.0, 0.5, top_radius=0.05)
    surface = Surface.of(body, 40.0)
    center = np.array([0.3, 0.1, 0.5])
    refined = refine(surface, ball(center, 0.2), 0.03)
    assert refined.areas.sum() == pytest.approx(surface.areas.sum(), rel=1e-9)
    inside = np.linalg.norm(refined.positions - center, axis=2).max(1) < 0.2
    edges = np.linalg.norm(refined.positions - np.roll(refined.positions, -1, 1), axis=2)
    assert inside.sum() > 100
    assert edges[inside].max() <= 0.03
    # No cracks: around the centre, each edge belongs to exactly two triangles.
    points, corner = refined.welded()
    corners = corner.reshape(-1, 3)[inside]
    pairs = np.sort(np.stack([corners, np.roll(corners, -1, 1)], -1), -1).reshape(-1, 2)
    interior = np.linalg.norm(points[pairs] - center, axis=2).max(1) < 0.15
    _, count = np.unique(pairs[interior], axis=0, return_counts=True)
    assert (count == 2).all()


def test_warp_turns_normals_with_the_surface() -> None:
    flat = Surface.of(rounded_prism(rounded_rectangle(2.0, 2.0, 0.1), 0.0, 0.5), 40.0)
    top = flat.select(flat.normals[:, 0, 2] > 0.99)
    warped = top.warped(lambda points: np.c_[np.zeros((len(points), 2)), 0.5 * points[:, 0]])
    np.testing.assert_allclose(
        warped.normals, np.broadcast_to([-0.4472136, 0, 0.8944272], warped.normals.shape), atol=1e-6
    )
    np.testing.assert_allclose(face_normals(warped), warped.normals[:, 0], atol=1e-6)


def test_growing_a_data_set_keeps_the_earlier_samples() -> None:
    small = Rendering(train=3, test_ok=2, test_ng=5)
    large = Rendering(train=3, test_ok=2, test_ng=50)
    part = PARTS["coin_cell"]
    assert plan_samples(part, large)[: 3 + 2 + 5] == plan_samples(part, small)
    keys = {(sample_folder(sample), sample.seed) for sample in plan_samples(part, large)}
    assert len(keys) == 55
    assert not keys & {(sample_folder(s), s.seed) for s in plan_samples(PARTS["stud_brick"], large)}


def test_cameras_agree_on_a_point() -> None:
    point = np.array([[0.3, -0.2, 0.0]])
    for camera in CAMERAS:
        ((x, y),) = camera.project(point, 0.25, 400)
        ground = camera.ground_points(0.25, 400)
        np.testing.assert_allclose(ground[int(y), int(x)], point[0, :2], atol=0.02)
