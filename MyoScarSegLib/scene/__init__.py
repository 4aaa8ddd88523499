"""Studies in a Slicer scene: volumes, boxes, points, segmentations, tables. MRML without Qt; runs on ``slicer-core`` too."""
