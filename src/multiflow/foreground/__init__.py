"""The foreground of every view: segmentation, post-processing, and the mask on a grid."""
