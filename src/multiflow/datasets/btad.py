"""BTAD's layout (Mishra et al., ISIE 2021): folders ``ok`` and ``ko``.

Pictures and masks are ``.bmp`` or ``.png``, by product; a mask is named like its picture.
"""

from __future__ import annotations

from multiflow.datasets.defect_folders import CAMERAS, DefectFolders

__all__ = ["CAMERAS", "annotation_files", "count_images", "missing_data", "read_views"]

_layout = DefectFolders(normal="ok", mask_suffixes=("", "_mask"))
annotation_files = _layout.annotation_files
read_views = _layout.read_views
missing_data = _layout.missing_data
count_images = _layout.count_images
