"""Which stack of an examination is the short-axis LGE: own names, sequence, timing, orientation and number of slices, weighed."""

from __future__ import annotations

import re

import numpy as np

from MyoScarSegLib.study.dicom_stacks import MANY_PER_POSITION, DicomStack
from MyoScarSegLib.study.series import Series
from MyoScarSegLib.study.series_words import NameWords, fold, words_of

#: Direction from base to apex in most people (LPS): to the left, forwards and down.
_APEX = np.array([0.66, -0.59, -0.47]) / np.linalg.norm([0.66, -0.59, -0.47])
_ALONG_APEX, _ACROSS_APEX, _STRAIGHT = 0.75, 0.4, 0.996

#: Inversion times that null the myocardium after contrast, as a rule and at the extremes, in ms; a longer echo time means T2.
_USUAL_INVERSION_MS, _INVERSION_MS, _LONG_ECHO_MS = (200.0, 400.0), (120.0, 600.0), 20.0
_FEW_SLICES, _WHOLE_STACK = 3, 6
#: More slices are no short axis of 2D slices.
_MOST_SLICES = 24
#: Points of evidence for LGE that are enough where no name says so in so many words.
_ENOUGH = 2.0
#: Kinds of series that lend their words to LGE: with T2 preparation, dark blood, after a perfusion.
_LENT = ("flow", "an edema or T2-weighted series", "perfusion", "a spin-echo series")


def describe_stacks(stacks: list[DicomStack]) -> list[Series]:
    """What each stack of an examination is and how much it looks like short-axis LGE."""
    names = [_own_words(stack, stacks) for stack in stacks]
    exams = [words_of(stack.first.exam) for stack in stacks]
    heart = any(words.heart or words.short_axis for words in (*names, *exams))
    return [_describe(stack, name, exam, heart) for stack, name, exam in zip(stacks, names, exams, strict=True)]


def choose(series: list[Series]) -> tuple[int | None, str]:
    """The index of the short-axis LGE stack, and why that one; None, and why not, if none shows enough evidence.

    Of several, the one with the most points is taken; of equal ones the one with more slices, then the later one.
    """
    likely = [n for n, entry in enumerate(series) if entry.evidence and not entry.rejected and not entry.unreadable]
    if not likely:
        return None, "the headers of none say clearly enough that it is a short-axis LGE stack"
    best = max(likely, key=lambda n: (series[n].score, series[n].slices, n))
    return best, ", ".join(series[best].reasons)


def _own_words(stack: DicomStack, stacks: list[DicomStack]) -> NameWords:
    """What the names say that belong to this stack: a text that stands in stacks of different kinds names none of them."""
    first = stack.first
    alike = [other for other in stacks if fold(other.first.text) == fold(first.text)]
    own = first.sequence if _of_several_kinds(alike) else f"{first.text} {first.sequence}"
    words = words_of(own)
    if words.silent and first.protocol:
        sharing = [other for other in stacks if other.first.protocol == first.protocol]
        if not _of_several_kinds(sharing) and len({_without_kind(other.first.text) for other in sharing}) == 1:
            words = words_of(f"{own} {first.protocol}")
    return words


def _of_several_kinds(stacks: list[DicomStack]) -> bool:
    firsts = [stack.first for stack in stacks]
    inverting = {first.inversion_recovery or first.inversion_time_ms is not None for first in firsts}
    echoes = {first.echo for first in firsts if first.echo}
    return len(inverting) > 1 or len(echoes) > 1 or len({_is_cine(stack) for stack in stacks}) > 1


def _without_kind(text: str) -> str:
    return re.sub(r" *\b(mag\w*|psir|real|phase|pha|moco|\d+)\b", "", fold(text))


def _is_cine(stack: DicomStack) -> bool:
    times = {image.trigger_time_ms for image in stack.images}
    many = stack.per_position >= MANY_PER_POSITION and len(times) >= MANY_PER_POSITION
    return many or stack.first.phases >= MANY_PER_POSITION


def _describe(stack: DicomStack, name: NameWords, exam: NameWords, heart: bool) -> Series:
    first = stack.first
    oriented = _short_axis_orientation(stack)
    evidence = _evidence(stack, name)
    view = _view(stack, name, oriented)
    # Phase-sensitive recovery, delays and inversion times are used in the brain and elsewhere too.
    of_heart = bool(re.search("lge|mde|dhe|fiddle|myo", name.lge)) or bool(name.lge and (name.short_axis or name.heart))
    somewhere = of_heart or heart or oriented or first.gated or (name.lge and not re.match("ps|pisr|phase", name.lge))
    points = sum(value for value, _ in evidence)
    enough = bool(somewhere) and (bool(name.lge) or points >= _ENOUGH)
    rejected = _rejection(stack, name, exam, of_heart)
    if not rejected and not enough and name.asides:
        rejected = "its name says {} ({})".format(*name.asides[0])
    reasons = [f"{reason} ({value:+g})" for value, reason in (*evidence, *view)]
    if not enough and not rejected:
        reasons.append("too little in the headers says LGE" if points > 0 else "nothing in the headers says LGE")
    return Series(
        key=stack.key,
        description=first.description,
        modality=first.modality or "unknown modality",
        slices=len(stack.slices),
        images=len(stack.images),
        rows=first.rows,
        columns=first.columns,
        reconstruction=first.kind,
        short_axis=True if name.short_axis else oriented,
        evidence=enough,
        score=points + sum(value for value, _ in view),
        reasons=tuple(reasons),
        rejected=rejected,
        unreadable=_unreadable(stack),
    )


def _evidence(stack: DicomStack, name: NameWords) -> list[tuple[float, str]]:
    """``(points, reason)`` for and against late enhancement."""
    first = stack.first
    found: list[tuple[float, str]] = []
    if name.lge:
        found.append((4, f"the name says {name.lge.upper()}"))
    elif name.likely:
        found.append((3, f"the name says {name.likely.upper()}"))
    elif name.perhaps:
        found.append((2, f"the name has {name.perhaps.upper()}, perhaps for enhancement"))
    if first.kind == "PSIR":
        found.append((0.5 if name.lge else 3, f"phase-sensitive reconstruction ({first.kind_reason})"))
    time, inverts = first.inversion_time_ms, first.inversion_recovery and first.echo != "spin"
    if time is not None and _INVERSION_MS[0] <= time <= _INVERSION_MS[1]:
        usual = _USUAL_INVERSION_MS[0] <= time <= _USUAL_INVERSION_MS[1]
        found.append(((2 if usual else 1) + inverts, f"inversion time {time:.0f} ms"))
    elif inverts:
        found.append((1, "inversion-recovery sequence"))
    if first.echo == "spin" or (first.echo_time_ms or 0) > _LONG_ECHO_MS:
        found.append((-1 if name.lge else -3, "spin-echo sequence" if first.echo == "spin" else "long echo time"))
    asides = [*name.asides, *(aside for aside in words_of(_image_words(stack)).asides if aside[0] != "a phase image")]
    for what, word in asides[:1]:
        found.append((-1 if name.lge and what in _LENT else -3, f"the name has {word.upper()}, which may mean {what}"))
    if name.dark_blood:
        found.append((-0.5, "dark blood"))
    return found


def _view(stack: DicomStack, name: NameWords, oriented: bool | None) -> list[tuple[float, str]]:
    """``(points, reason)`` for and against a whole stack of the short axis."""
    found: list[tuple[float, str]] = []
    if name.short_axis:
        found.append((2, "the name says short axis"))
    if oriented is not None:
        found.append((1, "oriented like a short axis") if oriented else (-0.5, "not oriented like a short axis"))
    slices = len(stack.slices)
    if slices >= _FEW_SLICES:
        found.append((2 if slices >= _WHOLE_STACK else 1, f"{slices} slices"))
    elif slices == 2:
        found.append((-1, "only 2 slices"))
    return found


def _image_words(stack: DicomStack) -> str:
    return " ".join(stack.first.image_type[2:])


def _rejection(stack: DicomStack, name: NameWords, exam: NameWords, of_heart: bool) -> str:
    """Why a stack cannot be short-axis LGE; empty if it can."""
    first = stack.first
    if first.modality != "MR":
        return f"its modality is {first.modality or 'not given'}, not MR"
    if first.kind in ("phase", "imaginary"):
        return f"it is a {first.kind} image ({first.kind_reason})"
    if stack.per_position >= MANY_PER_POSITION:
        inversions = {image.inversion_time_ms for image in stack.images}
        if len(inversions) >= MANY_PER_POSITION:
            return f"it has {stack.per_position} inversion times at each position (a scout or a map)"
        return f"it has {stack.per_position} images at each position" + (" (a cine)" if _is_cine(stack) else "")
    if first.phases >= MANY_PER_POSITION:
        return f"it has {first.phases} cardiac phases (a cine)"
    if name.other:
        return "its name says {} ({})".format(*name.other)
    if other := words_of(_image_words(stack)).other:
        return "its image type says {} ({})".format(*other)
    if name.other_organ and not (name.lge and name.short_axis):
        return f"its name says another part of the body ({name.other_organ})"
    if exam.other_organ and not exam.heart and not of_heart:
        return f"the examination is of another part of the body ({exam.other_organ})"
    if name.short_axis:
        return ""
    if name.long_axis:
        return f"its name says a long-axis view ({name.long_axis})"
    if name.other_plane:
        return f"its name says another plane ({name.other_plane})"
    if _straight(stack) and len(stack.slices) > _MOST_SLICES:
        return "its many slices lie straight across the body (a volume of the whole heart)"
    return "its slices lie along the heart's long axis" if _along_the_long_axis(stack) else ""


def _unreadable(stack: DicomStack) -> str:
    first = stack.first
    if first.samples != 1:
        return f"it is in color ({first.samples} values per pixel)"
    if first.photometric == "PALETTE COLOR":
        return "it is in color (a palette)"
    if len(stack.slices) < 2:
        return "it has only one slice"
    return ""


def _short_axis_orientation(stack: DicomStack) -> bool | None:
    """Whether the slices face the apex as it lies in most people; None if unknown, or if they are straight to the body."""
    cosine = _toward_apex(stack)
    return None if cosine is None else cosine > _ALONG_APEX


def _along_the_long_axis(stack: DicomStack) -> bool:
    cosine = _toward_apex(stack)
    return cosine is not None and cosine < _ACROSS_APEX


def _toward_apex(stack: DicomStack) -> float | None:
    normal = stack.first.normal
    return None if normal is None or _straight(stack) else float(abs(normal @ _APEX))


def _straight(stack: DicomStack) -> bool:
    """Whether the slices are axial, coronal or sagittal, as no short axis is (but in volumes whose orientation was lost)."""
    return stack.first.normal is not None and bool(np.abs(stack.first.normal).max() > _STRAIGHT)
