"""MVTec AD's layout (Bergmann et al., CVPR 2019), in which MPDD and VisA's one-class split lie as well.

VisA is to be split by its own script first (``1cls``): the archive, with folders ``Data/Images``, is another layout.
A mask is ``<picture>_mask.png`` in MVTec AD; VisA's script names it like its picture.
"""

from __future__ import annotations

from multiflow.datasets.defect_folders import CAMERAS, DefectFolders

__all__ = ["CAMERAS", "annotation_files", "count_images", "missing_data", "read_views"]

_layout = DefectFolders(normal="good", mask_suffixes=("_mask", ""))
annotation_files = _layout.annotation_files
read_views = _layout.read_views
missing_data = _layout.missing_data
count_images = _layout.count_images
