"""Training, scoring and exporting the segmentation network; nothing here is needed to run it."""
