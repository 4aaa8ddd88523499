"""Labeled images: what training and evaluation read."""
