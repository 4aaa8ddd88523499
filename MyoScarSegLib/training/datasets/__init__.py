"""Labelled images: what training and evaluation read."""
