"""Reflection at a surface, in Dr.Jit: a diffuse base under a GGX coat, and GGX metal.

Directions are in the local frame of the shading normal. ``alpha`` is the squared roughness.
"""

from __future__ import annotations

from typing import Any

from rendered_parts.backend import dr, mi

__all__ = ["reflect", "sample_reflection"]

_PI = 3.14159265358979
_DIELECTRIC_SHARE = 0.3
"""How often a direction is drawn from the coat of a non-metal."""


def _masking(cosine: Any, alpha2: Any) -> Any:
    return 2 * cosine / (cosine + dr.sqrt(alpha2 + (1 - alpha2) * cosine * cosine))


def _coat_share(metal: Any) -> Any:
    return dr.lerp(mi.Float(_DIELECTRIC_SHARE), mi.Float(1.0), metal)


def reflect(view: Any, light: Any, albedo: Any, alpha: Any, metal: Any) -> tuple[Any, Any]:
    """Reflectance times cosine, and the density with which ``sample_reflection`` draws ``light``.

    Source: Walter et al., Microfacet Models for Refraction through Rough Surfaces, 2007 (GGX), with Schlick's
    Fresnel term.
    """
    cos_view, cos_light = view.z, light.z
    above = (cos_view > 1e-4) & (cos_light > 1e-4)
    half = dr.normalize(view + light)
    cos_half = dr.maximum(dr.dot(view, half), 1e-4)
    alpha2 = alpha * alpha
    fresnel0 = dr.lerp(mi.Color3f(0.04), albedo, metal)
    fresnel = fresnel0 + (1 - fresnel0) * (1 - cos_half) ** 5
    spread = half.z * half.z * (alpha2 - 1) + 1
    normals = alpha2 / (_PI * spread * spread)
    masking_view = _masking(cos_view, alpha2)
    coat = fresnel * (normals * masking_view * _masking(cos_light, alpha2) / (4 * cos_view))
    base = albedo * ((1 - metal) * cos_light / _PI) * (1 - fresnel.y)
    share = _coat_share(metal)
    density = share * normals * masking_view / (4 * cos_view) + (1 - share) * cos_light / _PI
    return dr.select(above, coat + base, 0.0), dr.select(above, density, 0.0)


def sample_reflection(view: Any, alpha: Any, metal: Any, choice: Any, point: Any) -> Any:
    """Draw a direction: a visible GGX normal's reflection or, for the base, a cosine-weighted one.

    Source: Heitz, Sampling the GGX Distribution of Visible Normals, 2018.
    """
    stretched = dr.normalize(mi.Vector3f(alpha * view.x, alpha * view.y, view.z))
    length2 = stretched.x * stretched.x + stretched.y * stretched.y
    first = dr.select(
        length2 > 1e-7,
        mi.Vector3f(-stretched.y, stretched.x, 0) * dr.rsqrt(dr.maximum(length2, 1e-8)),
        mi.Vector3f(1, 0, 0),
    )
    second = dr.cross(stretched, first)
    radius = dr.sqrt(point.x)
    sine, cosine = dr.sincos(2 * _PI * point.y)
    x, y = radius * cosine, radius * sine
    lifted = dr.lerp(dr.sqrt(dr.maximum(1 - x * x, 0)), y, 0.5 * (1 + stretched.z))
    rest = dr.sqrt(dr.maximum(0, 1 - x * x - lifted * lifted))
    normal = x * first + lifted * second + rest * stretched
    half = dr.normalize(mi.Vector3f(alpha * normal.x, alpha * normal.y, dr.maximum(1e-6, normal.z)))
    mirrored = 2 * dr.dot(view, half) * half - view
    diffuse = mi.Vector3f(x, y, dr.sqrt(dr.maximum(0, 1 - point.x)))
    return dr.select(choice < _coat_share(metal), mirrored, diffuse)
