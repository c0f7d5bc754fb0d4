"""What synthetic defects are made of beside pictures of the class itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiflow.base.errors import InputError
from multiflow.datasets.file_names import PICTURES
from multiflow.datasets.images import image_array
from multiflow.methods.clscnf.settings import Synthesis

__all__ = ["Texture", "find_textures"]

Texture = NDArray[np.uint8] | Path
"""RGB [S, S, 3], or the file of a picture."""

_PACKAGE = ("brick", "grass", "gravel", "immunohistochemistry")


def find_textures(synthesis: Synthesis, size: int) -> list[Texture]:
    """The textures of the settings; none, where defects are made of the class's own pictures alone.

    Args:
        synthesis: the settings.
        size: S.

    Raises:
        InputError: there is no picture in their folder.
    """
    if synthesis.textures == "in_domain":
        return []
    if synthesis.textures == "package":
        from skimage import data  # takes a second to import

        return [image_array(Image.fromarray(getattr(data, name)()), size) for name in _PACKAGE]
    folder = Path(synthesis.texture_folder)
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    files = sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    if not files:
        raise InputError(
            f"synthesis.texture_folder: {folder}: expected a folder of pictures, found "
            f"{'none in it' if folder.is_dir() else 'no such folder'}; give that of DTD, or set synthesis.textures: "
            "in_domain or package"
        )
    return list(files)
