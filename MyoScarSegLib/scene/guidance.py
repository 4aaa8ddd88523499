"""The sentence that says what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from MyoScarSegLib.scene.translation import _, slice_list


@dataclass(frozen=True)
class Situation:
    """What the sentence depends on.

    Attributes:
        volume: a usable volume is chosen.
        others: number of volumes in the scene, while none is chosen and none is likely to be one.
        slices: of the study.
        busy: the running action's name, empty if none.
        progress: its own sentence.
        engine: state of the engine.
        proposed: proposals were asked for, whatever they gave.
        boxes: number of boxes that count.
        box_slices: number of slices with such boxes.
        to_review: boxes that nobody has accepted, rejected or drawn.
        faint: slice of each box that the program rejected as too faint.
        masks: number of slices that were segmented.
        stale: slices whose prompts changed since they were segmented.
        volume_ml, mass_g: of the scar; None without spacing.
        within_g: ends of the mass's interval in words, None if it is not known.
        pixels: of the scar.
    """

    volume: bool = False
    others: int = 0
    slices: int = 0
    busy: str = ""
    progress: str = ""
    engine: str = "ready"
    proposed: bool = False
    boxes: int = 0
    box_slices: int = 0
    to_review: int = 0
    faint: tuple[int, ...] = ()
    masks: int = 0
    stale: tuple[int, ...] = ()
    volume_ml: float | None = None
    mass_g: float | None = None
    within_g: tuple[str, str] | None = None
    pixels: int = 0


def next_step(now: Situation) -> str:
    """One or two sentences: where the work stands, and what to do next."""
    if now.engine == "failed":
        return _("The segmentation process does not start. See the message above; Retry starts it again.")
    if not now.volume:
        if now.others:
            return _("Choose an LGE volume: no volume of the scene ({n}) looks like one by its name and shape.").format(
                n=now.others
            )
        return _("Choose an LGE volume, or load the sample data.")
    if now.busy:
        return now.progress or _("Working ...")
    if now.stale:
        return _("Boxes or points changed on slices {slices}: press Segment all to bring their masks up to date.").format(
            slices=slice_list(now.stale)
        )
    if now.masks:
        advice = _("Look through the slices and correct what is wrong; then save the scene or export the numbers.")
        return " ".join(part for part in (_found(now), _faint(now), advice) if part)
    if now.boxes:
        sentence = _boxes(now)
        if now.to_review:
            return sentence + " " + _("Look through them, then press Segment all.")
        return sentence + " " + _("Press Segment all.")
    if now.faint:
        return _faint(now) + " " + _("Look at them, and accept those that you take for scar.")
    if now.proposed:
        return _(
            "All {slices} slices were looked at, and no scar was proposed. If you see some, draw a box around it in a slice view."
        ).format(slices=now.slices)
    return _("Press Propose boxes, or draw a box around scar in a slice view.")


def _boxes(now: Situation) -> str:
    if now.boxes == 1:
        return _("1 box.")
    if now.box_slices == 1:
        return _("{boxes} boxes on 1 slice.").format(boxes=now.boxes)
    return _("{boxes} boxes on {slices} slices.").format(boxes=now.boxes, slices=now.box_slices)


def _faint(now: Situation) -> str:
    if not now.faint:
        return ""
    if len(now.faint) == 1:
        return _("1 faint place is not counted: slice {slice}.").format(slice=now.faint[0])
    return _("{n} faint places are not counted: slices {slices}.").format(n=len(now.faint), slices=slice_list(set(now.faint)))


def _found(now: Situation) -> str:
    if now.pixels == 0:
        if now.masks == 1:
            return _("No scar was found on the one slice that was segmented.")
        return _("No scar was found on the {n} slices that were segmented.").format(n=now.masks)
    if now.volume_ml is None or now.mass_g is None:
        return _("Scar: {pixels} pixels (the volume has no spacing).").format(pixels=now.pixels)
    if now.within_g is None:
        return _("Scar: {ml:.1f} mL, {g:.1f} g.").format(ml=now.volume_ml, g=now.mass_g)
    low, high = now.within_g
    return _("Scar: {ml:.1f} mL, {g:.1f} g ({low} to {high}).").format(ml=now.volume_ml, g=now.mass_g, low=low, high=high)
