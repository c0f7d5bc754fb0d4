"""Features of patches, as methods see them that compare or judge each place of a picture by itself."""
