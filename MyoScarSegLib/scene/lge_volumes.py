"""From a volume node to a study and back, and which volume of a scene is the LGE stack."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import slicer

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.scene.attributes import ROLE, nodes_by_class
from MyoScarSegLib.scene.dicom_origin import database, instance_uids
from MyoScarSegLib.scene.translation import _, slice_list
from MyoScarSegLib.scene.volume_geometry import VolumeGeometry, is_linear, place_slices
from MyoScarSegLib.study.checks import LIKE_LABELS
from MyoScarSegLib.study.series_words import words_of
from MyoScarSegLib.study.stack import FileStack, numbers, slice_axis, study_from
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study
from MyoScarSegLib.study.uneven import mean_grid

_FORMAT = "Slicer volume"
_UNEVEN = 0.01
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
# Volumes that programs made of an image.
_MADE = re.compile(r"label|mask|prob", re.IGNORECASE)
_MOST_SLICES, _THICK_MM, _FINE_MM = 40, 4.0, 2.6


def study_of(volume_node: Any) -> Study:
    """The study that a volume node holds. The node is only read.

    Its slice axis is the coarsest one. The geometry is that of the world, through all parent transforms; a non-linear one
    (as Slicer makes for stacks with gaps) gives every slice a position of its own. Where Slicer's DICOM import shows an uneven
    series evenly, as it does unless told to regularize, the positions are those of the DICOM headers.

    Raises:
        StudyError: it is no volume of one number per voxel with at least two slices; the message says what it is.
    """
    _check_kind(volume_node)
    array = slicer.util.arrayFromVolume(volume_node)
    name = _name(volume_node)
    axes, notes = slice_axis(FileStack(array, _geometry(volume_node, (0, 1, 2), array.shape), _FORMAT))
    turned = np.transpose(array, axes)
    geometry = _geometry(volume_node, axes, turned.shape)
    if _may_lack_spacing(geometry):
        notes = [*notes, "1 mm in every direction is also what Slicer takes where a file says no spacing."]
    reconstruction, reason = _said_by(name)
    stack = FileStack(
        turned,
        geometry,
        _FORMAT,
        slice_axis_is_k=True,
        reconstruction=reconstruction,
        reconstruction_reason=reason,
        notes=tuple(notes),
    )
    return replace(study_from(name, stack), file_axes=axes)


def add_study(scene: Any, study: Study, name: str, window: tuple[float, float] | None = None) -> Any:
    """Add a study's voxels to a scene as a scalar volume with window and level for LGE. Returns the node.

    A left-handed stack gets its slices in reverse order, as Slicer does when it reads one from a file. An uneven one is evenly
    spaced below a transform that puts every slice where it lies, as after Slicer's DICOM import with regularized geometry.

    Args:
        scene: the MRML scene.
        study: with its voxels.
        name: of the node.
        window: grey values that are black and white; None for what suits LGE, which takes a while to find in a large stack.
    """
    voxels, geometry = np.asarray(study.voxels, dtype=np.float32), mean_grid(study.geometry) or study.geometry
    origins = None if geometry is study.geometry else study.geometry.origins_mm(study.slices) * (-1, -1, 1)
    matrix = np.eye(4)
    matrix[:3, :3] = geometry.direction * np.asarray(geometry.spacing_mm or (1.0, 1.0, 1.0))
    matrix[:3, 3] = geometry.origin_mm
    matrix[:2] *= -1  # LPS, as files have it, to the scene's RAS
    if np.linalg.det(matrix[:3, :3]) < 0:
        matrix[:3, 3] += matrix[:3, 2] * (study.slices - 1)
        matrix[:3, 2] *= -1
        voxels = voxels[::-1]
        origins = None if origins is None else origins[::-1]
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(volume, np.ascontiguousarray(voxels))
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    if origins is not None:
        place_slices(volume, origins)
    volume.CreateDefaultDisplayNodes()
    low, high = np.percentile(voxels, (1.0, 99.5)) if window is None else window
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(float(low), float(high))
    return volume


def describe(study: Study) -> str:
    """One line on a study: slices, pixels, distance between slices, PSIR or magnitude."""
    rows, columns = study.slice_shape
    size = _("1 slice of {columns} x {rows} pixels") if study.slices == 1 else _("{slices} slices of {columns} x {rows} pixels")
    parts = [size.format(slices=study.slices, columns=columns, rows=rows)]
    if study.geometry.spacing_mm is None:
        parts.append(_("no spacing: areas in pixels only"))
    else:
        i, j, _k = study.geometry.spacing_mm
        parts.append(_("{i} x {j} mm").format(i=f"{i:.3g}", j=f"{j:.3g}"))
        positions = study.geometry.slice_positions_mm
        if positions is None:
            parts.append(_("{distance} mm between slices").format(distance=f"{study.geometry.slice_distance_mm or 0:.3g}"))
        else:
            gaps = np.abs(np.diff(positions))
            parts.append(_("{low} to {high} mm between slices").format(low=f"{gaps.min():.3g}", high=f"{gaps.max():.3g}"))
    parts.append("PSIR" if study.reconstruction is Reconstruction.PSIR else _("magnitude"))
    line = ", ".join(parts)
    if LIKE_LABELS in study.notes:
        line += ". " + _("It has only a few whole-number values, as a label map has: is this really the LGE image?")
    if study.bad_slices:
        reasons = "; ".join(dict.fromkeys(study.bad_slices.values()))
        unusable = _("Cannot be used, and counts as free of scar: {slices} ({reasons}).")
        line += ". " + unusable.format(slices=slice_list(study.bad_slices), reasons=reasons)
    if _may_lack_spacing(study.geometry):
        line += ". " + _("Check the spacing: Slicer takes 1 mm where a file says none, and then no mL and no g here is right.")
    return line


def _may_lack_spacing(geometry: Geometry) -> bool:
    """Whether the spacing is what Slicer fills in; a stack of 1 mm in truth has it, too, so it is only said."""
    return geometry.spacing_mm is not None and np.allclose(geometry.spacing_mm, 1.0, rtol=0, atol=1e-6)


def likely_lge(scene: Any) -> tuple[Any, str] | None:
    """The volume of a scene that looks most like an LGE short-axis stack, and why; None if none has the shape of one."""
    judged = [(node, found) for node in nodes_by_class(scene, "vtkMRMLScalarVolumeNode") if (found := _judge(node)) is not None]
    if not judged:
        return None
    node, (_score, why) = max(judged, key=lambda one: one[1][0])
    return node, why


def why_likely(volume_node: Any) -> str:
    """Why a volume looks like an LGE short-axis stack, with the name that it has now; empty if it does not."""
    found = _judge(volume_node)
    return "" if found is None else found[1]


def images_in(scene: Any) -> int:
    """How many images a scene has: label maps and volumes that we made ourselves are none."""
    nodes = nodes_by_class(scene, "vtkMRMLScalarVolumeNode")
    return sum(not node.IsA("vtkMRMLLabelMapVolumeNode") and node.GetAttribute(ROLE) is None for node in nodes)


def content_hash(volume_node: Any) -> str:
    """SHA-256 of a volume's voxels and of their place in the world, in hexadecimal."""
    digest = hashlib.sha256()
    image = volume_node.GetImageData()
    if image is not None and image.GetPointData().GetScalars() is not None:
        array = slicer.util.arrayFromVolume(volume_node)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
        corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
        digest.update(VolumeGeometry(volume_node).to_world(corners).round(4).tobytes())
    return digest.hexdigest()


def _check_kind(node: Any) -> None:
    if node is None:
        raise StudyError(_("There is no volume. Load an LGE study, or choose its volume."))
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        raise StudyError(
            _("{name} has several numbers per voxel ({kind}); an LGE image has one. Choose a scalar volume.").format(
                name=_name(node), kind=node.GetClassName().removeprefix("vtkMRML").removesuffix("Node")
            )
        )
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise StudyError(_("{name} is a label map, not an image. Choose the LGE volume.").format(name=_name(node)))
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise StudyError(_("{name} holds no image. Load it again, or choose another volume.").format(name=_name(node)))
    components = image.GetNumberOfScalarComponents()
    if components != 1:
        raise StudyError(
            _("{name} has {number} numbers per voxel (a color picture, or several time points); an LGE image has one.").format(
                name=_name(node), number=components
            )
        )
    dimensions = image.GetDimensions()
    if min(dimensions) < 2:
        raise StudyError(
            _("{name} has only one slice ({size} voxels); scar is measured on a stack. Load the whole stack.").format(
                name=_name(node), size=" x ".join(str(n) for n in dimensions)
            )
        )


def _geometry(node: Any, axes: tuple[int, int, int], shape: tuple[int, ...]) -> Geometry:
    """In LPS, from where the world has the study's axes in the middle of the stack."""
    place = VolumeGeometry(node, axes)
    slices, rows, columns = shape[0], shape[1], shape[2]
    middle = np.array([columns // 2 + 0.5, rows // 2 + 0.5, 0.0])
    steps = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=float)
    k = float((slices - 1) // 2)
    origin, right, down = place.to_world(middle + steps + [0, 0, k])
    ends = place.to_world(np.array([[*middle[:2], 0.0], [*middle[:2], slices - 1.0]]))
    through = (ends[1] - ends[0]) / max(slices - 1, 1)
    vectors = np.column_stack([right - origin, down - origin, through])
    lengths = np.linalg.norm(vectors, axis=0)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise StudyError(
            _("{name} has no valid spacing or directions. Correct them in the Volumes module.").format(name=_name(node))
        )
    origins = place.to_world(np.array([[0.5, 0.5, float(n)] for n in range(slices)]))
    direction = _RAS_TO_LPS @ (vectors / lengths)
    lps = _RAS_TO_LPS @ origins[0]
    even = Geometry(
        (float(lengths[0]), float(lengths[1]), float(lengths[2])), (float(lps[0]), float(lps[1]), float(lps[2])), direction
    )
    if is_linear(node.GetParentTransformNode()):
        return _as_acquired(node, even, slices) if axes[0] == 0 else even
    normal = np.cross(vectors[:, 0], vectors[:, 1])
    normal /= np.linalg.norm(normal)
    positions = place.to_world(np.array([[*middle[:2], float(n)] for n in range(slices)])) @ normal
    gaps = np.diff(positions)
    usual = float(np.median(np.abs(gaps)))
    if np.abs(np.abs(gaps) - usual).max() <= _UNEVEN * usual:
        return even
    return replace(
        even,
        spacing_mm=(float(lengths[0]), float(lengths[1]), usual),
        # The column of the slices becomes the normal, for the positions along it say all.
        direction=np.column_stack([direction[:, :2], _RAS_TO_LPS @ (normal * np.sign(gaps.mean()))]),
        slice_positions_mm=positions * np.sign(gaps.mean()),
        slice_origins_mm=origins @ _RAS_TO_LPS,
    )


def _as_acquired(node: Any, even: Geometry, slices: int) -> Geometry:
    """The geometry with the places that the DICOM headers give to the slices, where Slicer shows uneven ones evenly.

    Only for the volume as Slicer's DICOM import leaves it, whose files are in Slicer's database; else as it is.
    """
    known, uids = database(), instance_uids(node)
    if known is None or len(uids) != slices or slices < 3 or node.GetParentTransformNode() is not None:
        return even
    try:
        places = [[float(v) for v in known.instanceValue(uid, "0020,0032").split("\\")] for uid in uids]
    except (ValueError, AttributeError):
        return even
    if any(len(place) != 3 for place in places):
        return even
    origins = np.array(places)
    normal = even.normal * np.sign(even.normal @ even.direction[:, 2])
    origins = origins[np.argsort(origins @ normal)]
    gaps = np.diff(origins @ normal)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    whole = float(np.ptp(origins @ normal)) - (slices - 1) * (even.slice_distance_mm or 0.0)
    if usual <= 0 or abs(whole) > _UNEVEN * usual or np.abs(gaps - usual).max() <= _UNEVEN * usual:
        return even
    return replace(
        even,
        spacing_mm=((even.spacing_mm or (1.0, 1.0))[0], (even.spacing_mm or (1.0, 1.0))[1], usual),
        direction=np.column_stack([even.direction[:, :2], normal]),
        slice_positions_mm=origins @ normal,
        slice_origins_mm=origins,
    )


def _said_by(name: str) -> tuple[Reconstruction | None, str]:
    """PSIR or magnitude, where a volume's name says it."""
    psir, magnitude = re.search("psir", name, re.IGNORECASE), re.search(r"magn?(?![a-z])|magnitude", name, re.IGNORECASE)
    if bool(psir) == bool(magnitude):
        return None, ""
    return (Reconstruction.PSIR if psir else Reconstruction.MAGNITUDE), _("the volume's name says so")


def _name(node: Any) -> str:
    return (node.GetName() if node is not None else "") or _("The volume")


def _judge(node: Any) -> tuple[float, str] | None:
    """How much a volume looks like an LGE stack, and why; None if its shape rules it out."""
    image = node.GetImageData()
    if node.IsA("vtkMRMLLabelMapVolumeNode") or image is None or image.GetNumberOfScalarComponents() != 1:
        return None
    dimensions, spacing = image.GetDimensions(), node.GetSpacing()
    if min(dimensions) < 2 or not all(math.isfinite(s) and s > 0 for s in spacing):
        return None
    # Volumes that we made ourselves (probabilities) are none.
    if node.GetAttribute(ROLE) is not None or node.GetHideFromEditors():
        return None
    thick = max(range(3), key=lambda axis: (spacing[axis], axis == 2))
    slices = dimensions[thick]
    in_plane = [spacing[axis] for axis in range(3) if axis != thick]
    name = node.GetName() or ""
    score, why = 0.0, []
    if 4 <= slices <= _MOST_SLICES and spacing[thick] >= _THICK_MM and max(in_plane) <= _FINE_MM:
        score += 2
        why.append(_("{slices} thick slices").format(slices=slices))
    words = words_of(name)
    if words.lge or words.likely or words.perhaps:
        score += 3
        why.append(_("its name says LGE"))
    if re.search("psir", name, re.IGNORECASE):
        score += 0.5
    if words.short_axis:
        score += 1
        why.append(_("its name says short axis"))
    elif words.long_axis or words.other_plane:
        score -= 3
    if words.other or words.other_organ or _MADE.search(name):
        score -= 3
    elif words.asides:
        score -= 1 if words.lge else 3
    if score <= 0:
        return None
    return score, _("{name}: {why}").format(name=name, why=", ".join(why) or numbers(spacing))
