"""The foreground of every view: segmentation, post-processing, and the mask on the feature grid."""

from multiflow.foreground.grid import foreground_on_grid, masks_on_grid
from multiflow.foreground.postprocess import mask_on_grid
from multiflow.foreground.segmentation import sample_masks, segment_foreground

__all__ = ["foreground_on_grid", "mask_on_grid", "masks_on_grid", "sample_masks", "segment_foreground"]
