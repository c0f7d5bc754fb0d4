"""The views of a specimen: images and ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from rendered_parts.backdrop import draw_backdrop, view_of_backdrop
from rendered_parts.backend import denoise, load_mesh, load_scene
from rendered_parts.cameras import CAMERAS, Camera
from rendered_parts.geometry import Array
from rendered_parts.kernel import Stage, Window, depths, shade
from rendered_parts.lighting import environment_map, irradiance
from rendered_parts.sensor import develop
from rendered_parts.specimen import Layer, Specimen
from rendered_parts.surface import Surface

__all__ = ["least_mask_pixels", "render_views"]

_COARSE = 64
_COARSE_STRATA = 4
_DEPTH_STEP = 0.008
"""A missing feature shows where the intact part would be nearer or farther than this."""


def least_mask_pixels(image_size: int) -> int:
    """With fewer defect pixels than this, a view counts as normal."""
    return max(4, round(5e-5 * image_size**2))


def render_views(
    specimen: Specimen, image_size: int, k: int, rng: np.random.Generator, cameras: Sequence[Camera] = CAMERAS
) -> list[tuple[Array, Array]]:
    """Image ``[size, size, 3]`` (uint8) and mask ``[size, size]`` (bool) of each camera, not mirrored."""
    environment = environment_map(specimen.appearance)
    scene = load_scene([_mesh(index, layer) for index, layer in enumerate(specimen.layers)], environment)
    intact = None
    surfaces = [layer.surface for layer in specimen.layers]
    if specimen.intact is not None:
        intact = load_scene([_plain_mesh(i, s) for i, s in enumerate(specimen.intact)], np.ones((4, 8, 3), np.float32))
        surfaces = surfaces + specimen.intact
    points = np.concatenate([surface.positions.reshape(-1, 3) for surface in surfaces])
    reach = float(np.hypot(points[:, 0], points[:, 1]).max())
    stage = Stage(scene, specimen.appearance, irradiance(environment) / np.pi, reach, specimen.height)
    backdrop = draw_backdrop(specimen.appearance, rng)
    views = []
    for camera in cameras:
        window = _window(camera.project(points, specimen.height, image_size), image_size)
        radiance, mask = _render(stage, intact, camera, window, k, backdrop, int(rng.integers(2**31)))
        views.append((develop(radiance, specimen.appearance, rng), mask))
    return views


def _mesh(index: int, layer: Layer) -> Any:
    surface = layer.surface
    finish = np.stack(
        [np.clip(layer.roughness, 0.05, 1), np.full(len(layer.roughness), float(layer.metal)), layer.defect],
        -1,
    )
    return load_mesh(
        f"layer{index}",
        surface.positions,
        surface.normals,
        surface.texture,
        np.clip(layer.color, 0, 1),
        finish,
    )


def _plain_mesh(index: int, surface: Surface) -> Any:
    blank = np.zeros((3 * len(surface.positions), 3))
    return load_mesh(f"intact{index}", surface.positions, surface.normals, surface.texture, blank, blank)


def _window(pixels: Array, size: int) -> Window:
    """The part's bounding box with a margin for its shadow, on a grid of 8 pixels."""
    margin = size // 18
    low = np.clip((np.floor(pixels.min(0)) - margin) // 8 * 8, 0, size - 8).astype(int)
    high = np.clip((np.ceil(pixels.max(0)) + margin + 7) // 8 * 8, low + 8, size).astype(int)
    return Window(size, int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def _render(
    stage: Stage, intact: Any, camera: Camera, window: Window, k: int, backdrop: Array, seed: int
) -> tuple[Array, Array]:
    size = window.size
    marks = view_of_backdrop(backdrop, camera, stage.height, size)[..., None]
    image = _table(stage, camera, size, 2 * seed + 1) * marks
    samples = shade(stage, camera, window, k, 2 * seed)
    radiance = denoise(samples.radiance, samples.albedo, samples.normals)
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    open_table = 1 - samples.coverage[..., None]
    radiance = radiance * (1 + open_table * (marks[rows, columns] - 1))
    fade = _fade(window)
    image[rows, columns] = image[rows, columns] * (1 - fade) + radiance * fade

    hit = samples.defect > 0.5
    if intact is not None:
        whole = depths(intact, camera, stage.height, window, k, 2 * seed)
        hit |= np.abs(samples.depth - whole) > _DEPTH_STEP
    mask = np.zeros((size, size), bool)
    mask[rows, columns] = hit.mean(-1) >= 0.5
    return image.astype(np.float32), mask


def _table(stage: Stage, camera: Camera, size: int, seed: int) -> Array:
    """The table around the part ``[size, size, 3]``: few samples, smoothed, as it is smooth there."""
    samples = shade(stage, camera, Window(_COARSE, 0, 0, _COARSE, _COARSE), _COARSE_STRATA, seed)
    table = (samples.coverage < 1e-3).astype(np.float32)

    def smoothed(sigma: float) -> tuple[Array, Array]:
        weight = gaussian_filter(table, sigma, mode="nearest")[..., None]
        total = gaussian_filter(samples.radiance * table[..., None], (sigma, sigma, 0), mode="nearest")
        return total / np.maximum(weight, 1e-4), weight

    (near, weight), (wide, _) = smoothed(2.6), smoothed(12.0)
    coarse = np.where(weight > 0.02, near, wide).astype(np.float32)
    channels = [
        np.asarray(Image.fromarray(np.ascontiguousarray(coarse[..., c])).resize((size, size), Image.Resampling.BICUBIC))
        for c in range(3)
    ]
    return np.stack(channels, -1)


def _fade(window: Window) -> Array:
    """Weight ``[h, w, 1]`` of the window, falling to 0 at its borders inside the image."""
    width = max(window.size / 42, 2.0)

    def ramp(start: int, length: int) -> Array:
        steps = np.arange(length)
        low = (steps + 1) / width if start > 0 else np.ones(length)
        high = (length - steps) / width if start + length < window.size else np.ones(length)
        return np.clip(np.minimum(low, high), 0, 1)

    return (ramp(window.top, window.height)[:, None] * ramp(window.left, window.width))[..., None].astype(np.float32)
