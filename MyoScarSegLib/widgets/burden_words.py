"""Scar burden in words and cells, for the panel's tables."""

from __future__ import annotations

from MyoScarSegLib.quantification.aha import SEGMENTS
from MyoScarSegLib.quantification.burden import Extent
from MyoScarSegLib.quantification.mass_interval import MassInterval
from MyoScarSegLib.quantification.measurements import Measurements
from MyoScarSegLib.scene.study_state import StudyState
from MyoScarSegLib.scene.translation import slice_list
from MyoScarSegLib.widgets.text import UNKNOWN, _, number


def burden_rows(m: Measurements, within: MassInterval | None) -> list[tuple[str, str]]:
    """What was measured and how much it is, the most important first, with the interval of the scar's mass; what is not known is
    left out.
    """
    scar = amount(m.scar)
    if within is not None:
        low, high = within.ends
        scar = _("{scar} ({low} to {high} g)").format(scar=scar, low=low, high=high)
    rows = [(_("Scar"), scar)]
    if m.percent_of_myocardium is not None:
        share = f"{m.percent_of_myocardium:.1f}%"
        if m.percent_low is not None and m.percent_high is not None:
            share = _("{share} ({low} to {high}%)").format(share=share, low=f"{m.percent_low:.0f}", high=f"{m.percent_high:.0f}")
        rows.append((_("Share of LV"), share))
    if m.myocardium is not None:
        rows.append((_("LV myocardium"), amount(m.myocardium)))
    if m.scar_outside_wall is not None and m.scar_outside_wall.pixels:
        rows.append((_("Scar outside it"), _("{amount}, in no percentage").format(amount=amount(m.scar_outside_wall))))
    rows += _depth_rows(m)
    if m.lesions:
        largest = m.lesions[0]
        across = "" if largest.diameter_mm is None else _(", {mm} mm across").format(mm=f"{largest.diameter_mm:.0f}")
        words = _("{n}; largest {amount}{across}").format(n=len(m.lesions), amount=amount(largest.extent), across=across)
        rows.append((_("Lesions"), words))
    if m.no_reflow.pixels:
        rows.append((_("No-reflow"), _("{amount}, counted in scar").format(amount=amount(m.no_reflow))))
    if m.grey_zone is not None:
        core, grey = (grams(part) for part in (m.grey_zone.core, m.grey_zone.grey))
        rows.append((_("Core, grey"), _("{core} and {grey}").format(core=core, grey=grey)))
    return rows


def _depth_rows(m: Measurements) -> list[tuple[str, str]]:
    t = m.transmurality
    if t is None or t.mean_scar_percent is None:
        return []
    deep = _("{mean}% where scar is, most {most}%").format(mean=f"{t.mean_scar_percent:.0f}", most=f"{t.maximum_percent:.0f}")
    above = _("{half}% of the wall above 50%, {more}% above 75%").format(
        half=f"{t.above_50_percent:.0f}", more=f"{t.above_75_percent:.0f}"
    )
    extent = _("{percent}% of the endocardium").format(percent=f"{t.endocardial_extent_percent:.0f}")
    return [(_("Transmurality"), deep), ("", above), (_("Extent"), extent)]


def segment_rows(m: Measurements) -> list[tuple[str, ...]]:
    """A row for each of the 17 segments: number, name, scar, share of its wall, transmurality; none without segments."""
    rows: list[tuple[str, ...]] = []
    for one in m.segments or ():
        name = SEGMENTS[one.number - 1].name
        if not one.imaged:
            rows.append((str(one.number), _("{name}: not imaged").format(name=name), UNKNOWN, UNKNOWN, UNKNOWN))
            continue
        scar = "" if one.scar is None else f"{one.scar.pixels}" if one.scar.mass_g is None else f"{one.scar.mass_g:.1f}"
        rows.append((str(one.number), name, scar, percent(one.burden_percent), percent(one.transmurality_percent)))
    return rows


def wall_sentence(state: StudyState, m: Measurements | None) -> str:
    """Where wall and insertion points come from, and what was edited."""
    ventricle = state.ventricle
    if not ventricle.has_wall or m is None:
        return _("No wall yet: Segment all proposes one. Without it there is no share of the myocardium.")
    sources = {
        "model": _("Wall proposed by the model"),
        "labels": _("Wall taken from labels"),
        "contours": _("Wall made of curves"),
        "": _("Wall drawn by hand"),
    }
    whole = sum(one.wall == "closed" for one in m.slices)
    closed = _("{source}; closed on 1 slice") if whole == 1 else _("{source}; closed on {n} slices")
    parts = [closed.format(source=sources.get(ventricle.source, ventricle.source), n=whole)]
    if ventricle.source == "model" and ventricle.edited:
        parts.append(_("edited on {slices}").format(slices=slice_list(ventricle.edited)))
    points = {
        "reader": _("insertion points set by you"),
        "image": _("insertion points proposed: drag them if they are off"),
        "axes": _("insertion points guessed from the patient's axes: drag them"),
        "rotation": _("insertion points set by an angle"),
    }
    parts.append(_("no insertion points") if ventricle.landmarks is None else points[ventricle.landmarks.source])
    return ", ".join(parts) + "."


def amount(extent: Extent) -> str:
    """Grams and milliliters; pixels without spacing."""
    if extent.mass_g is None or extent.volume_ml is None:
        return _("{n} px").format(n=extent.pixels)
    return _("{g} g, {ml} mL").format(g=f"{extent.mass_g:.1f}", ml=f"{extent.volume_ml:.1f}")


def grams(extent: Extent) -> str:
    """Grams; pixels without spacing."""
    return _("{n} px").format(n=extent.pixels) if extent.mass_g is None else _("{g} g").format(g=f"{extent.mass_g:.1f}")


def percent(value: float | None) -> str:
    """Whole percent."""
    return number(value, 0)
