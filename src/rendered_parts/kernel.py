"""The shading kernel: one fused Dr.Jit program from camera ray to radiance.

Direct light by multiple importance sampling (light and reflection), one bounce that ends in an ambient
estimate; OIDN does the rest. Much cheaper than Mitsuba's path tracer and just as good for these scenes.
Numbers that change between scenes are opaque to Dr.Jit: a literal would compile the kernel anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from rendered_parts.appearance import Appearance
from rendered_parts.backend import dr, mi
from rendered_parts.cameras import FIELD_OF_VIEW, Camera
from rendered_parts.geometry import Array
from rendered_parts.materials import reflect, sample_reflection
from rendered_parts.noise import tile

__all__ = ["Samples", "Stage", "Window", "depths", "shade"]

_TABLE = 1e-4
"""What is hit above this height is part, below it is table."""
_FAR = 1e4
_BRIGHTEST = 12.0


@dataclass(frozen=True)
class Stage:
    """A loaded scene and the numbers that the kernel takes beside it.

    Attributes:
        scene: Mitsuba's scene.
        appearance: the circumstances of the sample.
        ambient: mean radiance of the surroundings seen from below, ``[3]``.
        reach: radius of what stands on the table.
        height: of the point that the cameras look at.
    """

    scene: Any
    appearance: Appearance
    ambient: Array
    reach: float
    height: float


@dataclass(frozen=True)
class Window:
    """The pixels of a ``size`` x ``size`` image from (left, top) on."""

    size: int
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Samples:
    """What the kernel saw in a window of ``[h, w]`` pixels.

    Attributes:
        radiance, albedo, normals: means over a pixel, ``[h, w, 3]``.
        coverage: share of a pixel that the part covers, ``[h, w]``.
        depth: distance of each sample, ``[h, w, k * k]``.
        defect: ground truth field of each sample, ``[h, w, k * k]``.
    """

    radiance: Array
    albedo: Array
    normals: Array
    coverage: Array
    depth: Array
    defect: Array


class _Strata:
    """Random numbers for k x k strata of each pixel of a window, and the camera rays through them."""

    def __init__(self, window: Window, k: int, seed: int) -> None:
        self.count = window.width * window.height * k * k
        self.k = dr.opaque(mi.UInt32, k)
        self.k2 = dr.opaque(mi.UInt32, k * k)
        self.random = mi.PCG32(size=self.count, initstate=dr.opaque(mi.UInt64, seed), initseq=1)
        index = dr.arange(mi.UInt32, self.count)
        self.stratum, self.pixel = index % self.k2, index // self.k2
        # Light and reflection take the strata in another order in each pixel.
        self.permutation = (self.pixel * mi.UInt32(2654435761)) >> 27

    def number(self) -> Any:
        return self.random.next_float32()

    def point(self, stratum: Any) -> Any:
        """A point of the unit square, in the given stratum."""
        x = mi.Float(stratum % self.k) + self.number()
        y = mi.Float(stratum // self.k) + self.number()
        return mi.Point2f(x, y) / mi.Float(self.k)

    def rays(self, camera: Camera, height: float, window: Window) -> Any:
        inside = self.point(self.stratum)
        width = dr.opaque(mi.UInt32, window.width)
        left, top, scale = (
            dr.opaque(mi.Float, value) for value in (float(window.left), float(window.top), 2 / window.size)
        )
        tangent = float(np.tan(np.radians(FIELD_OF_VIEW / 2)))
        x = ((mi.Float(self.pixel % width) + left + inside.x) * scale - 1) * tangent
        y = ((mi.Float(self.pixel // width) + top + inside.y) * scale - 1) * tangent
        right, up, forward = (_opaque(mi.Vector3f, axis) for axis in camera.axes())
        return mi.Ray3f(_opaque(mi.Point3f, camera.position(height)), dr.normalize(forward + x * right - y * up))


def _opaque(kind: Any, values: Array) -> Any:
    return kind(*(dr.opaque(mi.Float, float(value)) for value in values))


@lru_cache(maxsize=1)
def _finish_textures() -> tuple[Any, Any]:
    """Tileable textures: (slope u, slope v, mottle) and dust specks."""
    rng = np.random.default_rng(5)
    relief = 0.6 * tile(rng, 256, 8, 60) + 0.4 * tile(rng, 256, 2, 10)
    slope_u = np.roll(relief, -1, 1) - np.roll(relief, 1, 1)
    slope_v = np.roll(relief, -1, 0) - np.roll(relief, 1, 0)
    fine = np.stack([slope_u / slope_u.std(), slope_v / slope_v.std(), tile(rng, 256, 2, 14)], -1)
    specks = np.clip((tile(rng, 512, 20, 90) - 2.6) * 1.5, 0, 1)[..., None]
    return _texture(fine), _texture(specks)


def _texture(values: Array) -> Any:
    return mi.Texture2f(mi.TensorXf(values.astype(np.float32)), wrap_mode=dr.WrapMode.Repeat)


def _weight(density: Any, other: Any) -> Any:
    """Power heuristic of multiple importance sampling (Veach 1997)."""
    return dr.select(density > 0, density * density / (density * density + other * other), 0.0)


def shade(stage: Stage, camera: Camera, window: Window, k: int, seed: int) -> Samples:
    """Render a window with k x k stratified samples a pixel."""
    strata = _Strata(window, k, seed)
    look = stage.appearance
    table_color = _opaque(mi.Color3f, look.backdrop)
    ray = strata.rays(camera, stage.height, window)
    hit = stage.scene.ray_intersect(ray)
    active = hit.is_valid()
    part = active & (hit.p.z > _TABLE)

    finish = hit.shape.eval_attribute_3("vertex_finish", hit, part)
    metal = dr.select(part, finish.y, 0.0)
    fine, specks = _finish_textures()
    # Metal is brushed along u.
    stretch = dr.select(metal > 0.5, mi.Vector2f(0.5, 6.0), mi.Vector2f(2.5, 2.5))
    slope_u, slope_v, mottle = fine.eval(mi.Point2f(hit.uv * stretch))
    dust = dr.select(part, specks.eval(mi.Point2f(hit.uv * 0.6))[0] * dr.opaque(mi.Float, look.dust), 0.0)
    color = hit.shape.eval_attribute_3("vertex_color", hit, part)
    color = color * (1 + dr.opaque(mi.Float, look.mottle) * mottle)
    color = dr.lerp(color, mi.Color3f(0.45), 0.6 * dust)
    albedo = dr.select(part, dr.clip(color, 0.0, 1.0), table_color)
    metal = metal * (1 - dust)
    roughness = dr.select(part, dr.lerp(finish.x, mi.Float(0.8), dust), 1.0)
    alpha = roughness * roughness

    smooth = hit.sh_frame.n
    flat = mi.Frame3f(smooth)
    grain = dr.select(part, dr.opaque(mi.Float, look.grain), 0.0)
    normal = dr.normalize(smooth + grain * (slope_u * flat.s + slope_v * flat.t))
    normal = dr.select(dr.dot(normal, -ray.d) > 0.02, normal, smooth)
    frame = mi.Frame3f(normal)
    view = frame.to_local(-ray.d)
    view.z = dr.maximum(view.z, 0.02)

    # Light sampling.
    environment = stage.scene.environment()
    light_point = strata.point((strata.stratum + strata.permutation) % strata.k2)
    light, incoming = stage.scene.sample_emitter_direction(hit, light_point, True, active)
    lit = active & (light.pdf > 0) & (dr.dot(light.d, hit.n) > 0)
    value, density = reflect(view, frame.to_local(light.d), albedo, alpha, metal)
    radiance = dr.select(lit, value * incoming * _weight(light.pdf, density), mi.Color3f(0.0))

    # Reflection sampling.
    bounce_point = strata.point((strata.stratum + (strata.permutation >> 2) + 1) % strata.k2)
    local = sample_reflection(view, alpha, metal, strata.number(), bounce_point)
    value, density = reflect(view, local, albedo, alpha, metal)
    direction = frame.to_world(local)
    bounced = active & (density > 1e-6) & (dr.dot(direction, hit.n) > 0)
    throughput = dr.select(bounced, value / dr.maximum(density, 1e-6), 0.0)
    second = stage.scene.ray_intersect(hit.spawn_ray(direction), mi.RayFlags.Minimal, True, bounced)
    escaped = bounced & ~second.is_valid()
    sky = dr.zeros(mi.DirectionSample3f, strata.count)
    sky.d = direction
    weight = _weight(density, environment.pdf_direction(hit, sky, escaped))
    radiance += dr.select(escaped, throughput * environment.eval(second, escaped) * weight, mi.Color3f(0.0))

    # The bounce ends here: what it hits counts as lit by the surroundings, the table darker near the part.
    met = bounced & second.is_valid()
    met_part = met & (second.p.z > _TABLE)
    reach = dr.opaque(mi.Float, stage.reach)
    distance = dr.sqrt(second.p.x * second.p.x + second.p.y * second.p.y)
    shadow = 1 - 0.75 * dr.exp(-dr.square(dr.maximum(distance - 0.75 * reach, 0.0) / (0.45 * reach)))
    met_color = second.shape.eval_attribute_3("vertex_color", second, met_part)
    indirect = dr.select(met_part, met_color * 0.55, table_color * shadow) * _opaque(mi.Color3f, stage.ambient)
    radiance += dr.select(met, throughput * indirect, mi.Color3f(0.0))
    radiance = dr.minimum(dr.select(dr.isfinite(radiance), radiance, 0.0), _BRIGHTEST)

    guide = mi.Color3f(dr.select(active, normal, mi.Normal3f(0, 0, 1)))
    covered = dr.select(part, mi.Float(1.0), 0.0)
    depth = dr.select(active, hit.t, _FAR)
    defect = dr.select(part, finish.z, 0.0)
    dr.eval(radiance, albedo, guide, covered, depth, defect)
    shape = (window.height, window.width, k * k)

    def per_sample(values: Any) -> Array:
        return np.array(values).reshape(shape)

    def mean(values: Any) -> Array:
        return np.stack([per_sample(values[channel]).mean(-1) for channel in range(3)], -1).astype(np.float32)

    return Samples(
        mean(radiance),
        mean(albedo),
        mean(guide),
        per_sample(covered).mean(-1),
        per_sample(depth),
        per_sample(defect),
    )


def depths(scene: Any, camera: Camera, height: float, window: Window, k: int, seed: int) -> Array:
    """Distances ``[h, w, k * k]`` along the very rays that ``shade`` sends with this seed."""
    hit = scene.ray_intersect_preliminary(_Strata(window, k, seed).rays(camera, height, window))
    distance = dr.select(hit.is_valid(), hit.t, _FAR)
    return np.array(distance).reshape(window.height, window.width, k * k)
