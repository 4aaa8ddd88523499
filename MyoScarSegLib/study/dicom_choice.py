"""Which stack of an examination is the short-axis LGE: words, orientation, timing, number of slices."""

from __future__ import annotations

import re

import numpy as np

from MyoScarSegLib.study.dicom_stacks import MANY_PER_POSITION, DicomStack
from MyoScarSegLib.study.series import Series

#: Names that scanners and sites give to LGE, in the languages met most often. Matched on words in lower case.
_LGE = re.compile(
    r"\b(lge|ce ?lge|late|delayed|delay|dhe|mde|ddhe|de ?mri|tardif|tardio|tardivo|spaet|viab\w*|narbe|scar)\b"
    r"|late ?gad|late ?enh|delayed ?enh|psir|phase ?sens|myo ?de\b"
)
#: Abbreviations of delayed and late enhancement that are also common words.
_PERHAPS_LGE = re.compile(r"\b(de|le)\b")
_SHORT_AXIS = re.compile(r"\b(sax|sa|shax|short|petit axe|kurze? achse|kurzachse|eje corto|asse corto)\b|short ?ax|_sax|sax\b")

#: (what it is, words that tell it). The first that matches counts.
_OTHER_KINDS = (
    ("an inversion-time scout", re.compile(r"\bti ?scout|look ?locker|\bcine ?ir\b|tiscout|\bti ?\d* ?cine")),
    ("a localiser", re.compile(r"\bloc\b|locali[sz]|scout|survey|rep.?rage|\bhaste\b|\bplan\w*\b")),
    ("a cine", re.compile(r"cine|\bretro\w*\b|\bfunction\b|\bfunktion\b")),
    ("a parameter map", re.compile(r"t[12](star)? ?\*? ?map|\bmap(s|ping)?\b|molli|sasha|\becv\b|t2 ?star|t2\*|t1 ?star")),
    ("perfusion", re.compile(r"perf|first ?pass|\bdynamic\b|\bstress\b")),
    ("flow", re.compile(r"\bflow\b|venc|phase ?contrast|\bpc\b|qflow|velocity|\b4d\b")),
    ("an oedema or T2-weighted series", re.compile(r"\bstir\b|o?edema|\bt2 ?w?\b|\btirm\b|\bspair\b")),
    ("early enhancement", re.compile(r"\bearly\b|\bege\b")),
    ("an angiogram", re.compile(r"angio|\bmra\b|\btwist\b|\bmip\b")),
    ("a subtraction or report", re.compile(r"\bsub(traction)?\b|screen|report|result|\bfused\b|overlay")),
)
_LONG_AXIS = re.compile(
    r"\b[234] ?(ch|cv|chv|chamber|kammer|cav)\w*\b|\b(two|three|four) ?ch|\blax\b|long ?ax|\b(hla|vla|lvot|rvot)\b|grand ?axe"
)

#: Direction from base to apex in most people (LPS): to the left, forwards and down.
_APEX = np.array([0.66, -0.59, -0.47]) / np.linalg.norm([0.66, -0.59, -0.47])
_ALONG_APEX, _STRAIGHT = 0.75, 0.996

_INVERSION_MS = (120.0, 600.0)
_FEW_SLICES, _WHOLE_STACK = 3, 6


def describe_stack(stack: DicomStack) -> Series:
    """What a stack is and how much it looks like short-axis LGE."""
    first = stack.first
    text = " " + re.sub(r"[^a-z0-9*]+", " ", first.text.lower()) + " "
    score, reasons = 0.0, []

    def count(points: float, reason: str) -> None:
        nonlocal score
        score += points
        reasons.append(f"{reason} ({points:+g})")

    lge = _LGE.search(text)
    if lge:
        count(4, f"the name says {lge.group().strip().upper()}")
    elif perhaps := _PERHAPS_LGE.search(text):
        count(2, f"the name has {perhaps.group().upper()}, perhaps for enhancement")
    if first.kind == "PSIR":
        count(3 if not lge else 0.5, f"phase-sensitive reconstruction ({first.kind_reason})")
    if first.inversion_time_ms is not None and _INVERSION_MS[0] <= first.inversion_time_ms <= _INVERSION_MS[1]:
        count(1.5, f"inversion time {first.inversion_time_ms:.0f} ms")
    elif first.inversion_recovery:
        count(1, "inversion-recovery sequence")
    evidence = score > 0
    named_short = bool(_SHORT_AXIS.search(text))
    if named_short:
        count(2, "the name says short axis")
    oriented = _short_axis_orientation(stack)
    if oriented is not None:
        count(1 if oriented else -0.5, "oriented like a short axis" if oriented else "not oriented like a short axis")
    slices = len(stack.slices)
    if slices >= _WHOLE_STACK:
        count(2, f"{slices} slices")
    elif slices >= _FEW_SLICES:
        count(1, f"{slices} slices")
    elif slices == 2:
        count(-1, "only 2 slices")
    rejected = _rejection(stack, text, bool(lge), named_short)
    unreadable = _unreadable(stack)
    if not evidence and not rejected:
        reasons.append("nothing in the headers says LGE")
    return Series(
        key=stack.key,
        description=first.description,
        modality=first.modality or "unknown modality",
        slices=slices,
        images=len(stack.images),
        rows=first.rows,
        columns=first.columns,
        reconstruction=first.kind,
        short_axis=True if named_short else oriented,
        evidence=evidence,
        score=score,
        reasons=tuple(reasons),
        rejected=rejected,
        unreadable=unreadable,
    )


def choose(series: list[Series]) -> tuple[int | None, str]:
    """The index of the short-axis LGE stack, and why that one; None, and why not, if there is none."""
    possible = [index for index, entry in enumerate(series) if not entry.rejected and not entry.unreadable]
    likely = [index for index in possible if series[index].evidence]
    if not likely:
        if len(possible) == 1:
            return possible[0], "it is the only stack that could be LGE, though nothing in its headers says so"
        return None, "none looks like LGE" if not possible else "nothing in the headers says which is LGE"
    best = max(likely, key=lambda index: (series[index].score, series[index].slices, index))
    return best, ", ".join(series[best].reasons)


def _rejection(stack: DicomStack, text: str, lge: bool, short_axis: bool) -> str:
    """Why a stack cannot be short-axis LGE; empty if it can."""
    first = stack.first
    if first.modality != "MR":
        return f"its modality is {first.modality or 'not given'}, not MR"
    if first.kind in ("phase", "imaginary"):
        return f"it is a {first.kind} image ({first.kind_reason})"
    if stack.per_position >= MANY_PER_POSITION:
        times = {image.trigger_time_ms for image in stack.images}
        inversions = {image.inversion_time_ms for image in stack.images}
        if len(inversions) >= MANY_PER_POSITION:
            return f"it has {stack.per_position} inversion times at each position (a scout or a map)"
        return f"it has {stack.per_position} images at each position" + (" (a cine)" if len(times) >= MANY_PER_POSITION else "")
    if first.phases >= MANY_PER_POSITION:
        return f"it has {first.phases} cardiac phases (a cine)"
    for what, words in _OTHER_KINDS:
        match = words.search(text)
        # "PSIR 3D LGE, T2 prep" and the like are LGE all the same.
        if match and not (lge and what in ("flow", "an oedema or T2-weighted series", "perfusion")):
            return f"its name says {what} ({match.group().strip()})"
    match = _LONG_AXIS.search(text)
    if match and not short_axis:
        return f"its name says a long-axis view ({match.group().strip()})"
    return ""


def _unreadable(stack: DicomStack) -> str:
    first = stack.first
    if first.samples != 1:
        return f"it is in colour ({first.samples} values per pixel)"
    if len(stack.slices) < 2:
        return "it has only one slice"
    return ""


def _short_axis_orientation(stack: DicomStack) -> bool | None:
    """Whether the slices face the apex as it lies in most people; None if unknown, or if they are straight to the body."""
    normal = stack.first.normal
    if normal is None or np.abs(normal).max() > _STRAIGHT:
        return None
    return bool(abs(normal @ _APEX) > _ALONG_APEX)
