"""Tests of MyoScarSeg."""
