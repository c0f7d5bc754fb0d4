"""Mitsuba 3 on the CPU: start-up, meshes, scenes, denoiser.

Importing this module loads Mitsuba. Pictures depend on the number of threads, hence it is always one; the
processes run in parallel instead (``rendered_parts.worker``).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from typing import Any

import numpy as np

from rendered_parts.errors import RenderingError
from rendered_parts.geometry import Array

__all__ = ["denoise", "dr", "float_buffer", "load_mesh", "load_scene", "mi"]


def _llvm_library() -> str:
    """Path of the libLLVM of karellen-llvm-core; a distribution's own LLVM 14 to 16 aborts the process."""
    for file in importlib.metadata.files("karellen-llvm-core") or []:
        path = file.locate()
        if file.name.startswith("libLLVM") and ".so" in file.name and os.path.exists(path):
            return os.path.realpath(path)
    raise RenderingError("karellen-llvm-core: no libLLVM*.so among its files; reinstall the package")


def _start() -> tuple[Any, Any, Any]:
    """Load Mitsuba with its LLVM back-end, on one thread: the modules mitsuba, drjit and mitsuba_oidn."""
    os.environ["DRJIT_LIBLLVM_PATH"] = _llvm_library()
    try:
        mitsuba = importlib.import_module("mitsuba")
    except (ImportError, NameError) as error:
        # Dr.Jit stumbles over a name while it handles the error that counts.
        raise RenderingError(
            f"mitsuba: cannot be loaded ({error.__context__ or error}); install what is missing, for libatomic.so.1 "
            "libatomic1 (Debian) or libatomic (Red Hat); only rendered parts need it"
        ) from None
    mitsuba.set_variant("llvm_ad_rgb")
    drjit = importlib.import_module("drjit")
    drjit.set_thread_count(1)
    return mitsuba, drjit, importlib.import_module("mitsuba_oidn")


mi, dr, _oidn = _start()


def float_buffer(values: Array) -> Any:
    """A flat Dr.Jit array of 32-bit floats."""
    return mi.Float(np.ascontiguousarray(np.asarray(values).reshape(-1), dtype=np.float32))


def load_mesh(name: str, positions: Array, normals: Array, texture: Array, color: Array, finish: Array) -> Any:
    """A mesh of ``n`` separate triangles.

    Args:
        positions, normals: ``[n, 3, 3]``; ``texture``: ``[n, 3, 2]``.
        color: ``[3 n, 3]``, the attribute ``vertex_color``.
        finish: ``[3 n, 3]``, the attribute ``vertex_finish``: roughness, metalness, ground truth.
    """
    count = len(positions)
    properties = mi.Properties()
    # The kernel shades by itself; Mitsuba wants a material nevertheless.
    properties["mesh_bsdf"] = mi.load_dict({"type": "diffuse"})
    mesh = mi.Mesh(name, 3 * count, count, has_vertex_normals=True, has_vertex_texcoords=True, props=properties)
    parameters = mi.traverse(mesh)
    parameters["vertex_positions"] = float_buffer(positions)
    parameters["vertex_normals"] = float_buffer(normals)
    parameters["vertex_texcoords"] = float_buffer(texture)
    parameters["faces"] = mi.UInt32(np.arange(3 * count, dtype=np.uint32))
    parameters.update()
    mesh.add_attribute("vertex_color", 3, float_buffer(color))
    mesh.add_attribute("vertex_finish", 3, float_buffer(finish))
    return mesh


def load_scene(meshes: list[Any], environment: Array) -> Any:
    """Meshes on an endless table under an environment map ``[H, W, 3]`` (see ``lighting``)."""
    return mi.load_dict(
        {
            "type": "scene",
            "table": {"type": "rectangle", "to_world": mi.ScalarTransform4f().scale([30, 30, 1])},
            "environment": {
                "type": "envmap",
                "bitmap": mi.Bitmap(environment),
                "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90),
            },
            **{f"mesh{index:02d}": mesh for index, mesh in enumerate(meshes)},
        }
    )


def denoise(radiance: Array, albedo: Array, normals: Array) -> Array:
    """Intel Open Image Denoise on ``[H, W, 3]`` pictures with noise-free albedo and normals as guides."""
    quality = _oidn.Quality.Fast
    return np.array(_oidn.denoise(radiance, albedo=albedo, normal=normals, hdr=True, quality=quality))
