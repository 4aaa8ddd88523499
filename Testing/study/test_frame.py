"""The one geometry between native pixels and a network's input: exact for coordinates, shift-free for images."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from MyoScarSegLib.study.frame import Frame

sides = st.integers(8, 300)
shapes = st.tuples(sides, sides)
sizes = st.tuples(st.integers(32, 256), st.integers(32, 256))
spacings = st.tuples(st.floats(0.4, 3.0), st.floats(0.4, 3.0))
unit = st.floats(0, 1)


@st.composite
def frames(draw):
    """Any frame: whole slices and crops, also such as reach beyond the slice, both aspect rules, stretched."""
    shape = draw(shapes)
    region = None
    if draw(st.booleans()):
        x0, y0 = draw(st.integers(-40, shape[1] - 4)), draw(st.integers(-40, shape[0] - 4))
        region = (x0, y0, x0 + draw(st.integers(45, 200)), y0 + draw(st.integers(45, 200)))
    return Frame.fit(
        shape,
        draw(sizes),
        region=region,
        pixel_spacing_mm=draw(st.none() | spacings),
        stretch=draw(st.booleans()),
    )


def _blob(shape: tuple[int, int], center: tuple[float, float], sigma: tuple[float, float]) -> np.ndarray:
    """A Gaussian with its center (x, y) in pixel edges: pixel (0, 0) is sampled at (0.5, 0.5)."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.exp(-(((x - center[0]) / sigma[0]) ** 2 + ((y - center[1]) / sigma[1]) ** 2) / 2).astype(np.float32)


def _centroid(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(x * image).sum(), (y * image).sum()], dtype=np.float64) / image.sum(dtype=np.float64)


@settings(deadline=None, max_examples=100)
@given(frame=frames(), at=st.lists(st.tuples(unit, unit), min_size=1, max_size=5))
def test_points_come_back_to_where_they_were(frame, at):
    points = np.array(at) * (frame.shape[1], frame.shape[0])
    assert np.abs(frame.to_native(frame.to_input(points)) - points).max() < 1e-9


@settings(deadline=None, max_examples=50)
@given(frame=frames(), corners=st.tuples(unit, unit, unit, unit))
def test_boxes_come_back_to_where_they_were(frame, corners):
    rows, columns = frame.shape
    box = (corners[0] * columns, corners[1] * rows, corners[2] * columns, corners[3] * rows)
    assert np.abs(frame.box_to_native(tuple(frame.box_to_input(box))) - box).max() < 1e-9


@settings(deadline=None, max_examples=50)
@given(frame=frames())
def test_the_edges_of_the_region_are_the_edges_of_the_content(frame):
    x0, y0, x1, y1 = frame.region
    assert np.allclose(frame.to_input(np.array([(x0, y0), (x1, y1)])), [(0, 0), (frame.content[1], frame.content[0])])
    assert frame.content[0] <= frame.size[0]
    assert frame.content[1] <= frame.size[1]


@settings(deadline=None, max_examples=40)
@given(frame=frames(), at=st.tuples(unit, unit))
def test_a_blob_lands_in_the_input_where_its_center_is_mapped_to(frame, at):
    # The blob is wide enough to be sampled well in both grids, and keeps clear of every edge that would cut it.
    # Narrower ones measure the ripple of sampling, not the mapping: at 4 pixels it reaches a hundredth of a pixel.
    sigma = np.maximum(6.0, 6.0 / np.array(frame.scale))
    low = np.maximum((0, 0), frame.region[:2]) + 5 * sigma
    high = np.minimum((frame.shape[1], frame.shape[0]), frame.region[2:]) - 5 * sigma
    if (high <= low).any():
        return
    center = low + (high - low) * at
    there = frame.image_to_input(_blob(frame.shape, tuple(center), tuple(sigma))).numpy()
    assert there.shape == frame.size
    # In native pixels, in which the promise is made.
    assert np.abs(frame.to_native(_centroid(there)) - center).max() < 0.01


@settings(deadline=None, max_examples=40)
@given(frame=frames(), at=st.tuples(unit, unit), coarser=st.sampled_from([1, 2, 4]))
def test_a_blob_in_the_output_lands_in_the_slice_where_its_center_is_mapped_to(frame, at, coarser):
    if frame.size[0] % coarser or frame.size[1] % coarser:
        return
    scale = np.array(frame.scale)
    sigma = np.maximum(6.0 * coarser, 6.0 * scale)
    low = np.maximum(frame.to_input(np.array([0, 0])), 0) + 5 * sigma
    high = (
        np.minimum(frame.to_input(np.array([frame.shape[1], frame.shape[0]])), (frame.content[1], frame.content[0])) - 5 * sigma
    )
    if (high <= low).any():
        return
    center = low + (high - low) * at
    output = _blob((frame.size[0] // coarser, frame.size[1] // coarser), tuple(center / coarser), tuple(sigma / coarser))
    native = frame.logits_to_native(torch.from_numpy(output), outside=0.0)
    assert native.shape == frame.shape
    assert np.abs(_centroid(native) - frame.to_native(center)).max() < 0.01


def test_without_resizing_the_image_is_copied_exactly():
    image = np.random.default_rng(0).normal(size=(20, 32)).astype(np.float32)
    frame = Frame.fit((20, 32), (32, 32))
    there = frame.image_to_input(image)
    assert np.array_equal(there[:20].numpy(), image)
    assert not there[20:].any()
    assert np.array_equal(frame.logits_to_native(there, outside=-20), image)


def test_a_crop_beyond_the_slice_is_padded_there_and_outside_elsewhere():
    image = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    frame = Frame.fit((3, 4), (4, 4), region=(2, -1, 6, 3))
    there = frame.image_to_input(image).numpy()
    assert there.tolist() == [[0, 0, 0, 0], [3, 4, 0, 0], [7, 8, 0, 0], [11, 12, 0, 0]]
    back = frame.logits_to_native(torch.from_numpy(there), outside=-20)
    assert back.tolist() == [[-20, -20, 3, 4], [-20, -20, 7, 8], [-20, -20, 11, 12]]


def test_the_longest_side_fills_the_input_and_the_aspect_ratio_is_kept():
    assert Frame.fit((100, 200), (64, 64)).content == (32, 64)
    assert Frame.fit((200, 100), (64, 64)).content == (64, 32)
    assert Frame.fit((100, 100), (64, 32)).content == (32, 32)


def test_the_aspect_ratio_is_that_of_millimeters_where_they_are_known():
    # 100 rows of 2 mm and 100 columns of 1 mm: twice as high as wide.
    frame = Frame.fit((100, 100), (64, 64), pixel_spacing_mm=(2.0, 1.0))
    assert frame.content == (64, 32)
    assert frame.scale == (0.32, 0.64)


def test_only_a_stretched_frame_fills_the_input():
    assert Frame.fit((100, 200), (64, 48), stretch=True).content == (64, 48)


@settings(deadline=None, max_examples=50)
@given(shape=shapes, size=sizes, spacing=spacings)
def test_the_physical_aspect_ratio_is_kept_to_half_a_pixel(shape, size, spacing):
    frame = Frame.fit(shape, size, pixel_spacing_mm=spacing)
    height, width = shape[0] * spacing[0], shape[1] * spacing[1]
    scale = min(size[0] / height, size[1] / width)
    assert abs(frame.content[0] - max(1, height * scale)) <= 0.5 + 1e-9
    assert abs(frame.content[1] - max(1, width * scale)) <= 0.5 + 1e-9


def test_shrinking_is_anti_aliased():
    checkerboard = np.indices((64, 64)).sum(axis=0) % 2
    there = Frame.fit((64, 64), (16, 16)).image_to_input(checkerboard.astype(np.float32))
    assert torch.allclose(there, torch.tensor(0.5), atol=0.1)


def test_a_read_only_or_reversed_image_is_taken():
    image = np.random.default_rng(0).normal(size=(20, 32))
    image.setflags(write=False)
    frame = Frame.fit((20, 32), (16, 16))
    assert torch.equal(frame.image_to_input(image[::-1, ::-1]), frame.image_to_input(image[::-1, ::-1].copy()))
