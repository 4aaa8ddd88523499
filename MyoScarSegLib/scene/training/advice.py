"""What can be done in the training tab, what cannot and why, and what is to be done next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from MyoScarSegLib.scene.text import _
from MyoScarSegLib.training.runs.run_status import RunState

_OF_LIBRARY = (
    "add_current", "import_cases", "remove", "export", "accept", "open_case", "draw_split", "move", "estimate", "preview",
    "train",
)  # fmt: skip
_OF_CASES = ("remove", "export", "accept", "open_case", "draw_split", "move", "estimate", "preview", "train")
_ONE_AT_A_TIME = ("estimate", "preview", "draw_split", "compare", "train", "open_case")
_OF_RUN = ("pause", "stop", "cancel_run", "resume", "compare", "use", "keep", "export_model", "discard", "repeat")
_FEW_PATIENTS = 5


@dataclass(frozen=True)
class Situation:
    """How things stand.

    Attributes:
        library: whether one is open; gone: whether its folder has vanished.
        cases, patients, problems: how many it has, and how many cases have a problem.
        split: whether it was drawn; left_out: how many patients are on neither side of it.
        study, segmented, working: of the first tab: whether there is a study, whether it has scar, whether it is at work.
        busy: what is being done for this tab.
        run, state: the training that is shown, and how it stands.
        running: whether it runs; other_running: name of another one that does, empty if none.
        compared: whether its model was compared.
    """

    library: bool = False
    gone: bool = False
    cases: int = 0
    patients: int = 0
    problems: int = 0
    split: bool = False
    left_out: int = 0
    study: bool = False
    segmented: bool = False
    working: bool = False
    busy: str = ""
    run: Any = None
    state: RunState | None = None
    running: bool = False
    other_running: str = ""
    compared: bool = False


def refusal(action: str, now: Situation) -> str:
    """Why an action makes no sense now; empty if it does."""
    if action in _OF_LIBRARY:
        if now.gone:
            return _("The folder of the training library is gone. Put it back, or choose another one.")
        if not now.library:
            return _("Choose the folder of the training library first.")
    if action == "add_current":
        if not now.study:
            return _("Choose a volume in the first tab.")
        if not now.segmented:
            return _("Segment the study in the first tab, and correct it, before it is added.")
        if now.working:
            return _("Wait until the first tab has done its work.")
    if action in _OF_CASES and not now.cases:
        return _("The library has no case yet. Add a study, or import some.")
    if action in ("draw_split", "move", "estimate", "train") and now.patients < 2:
        return _("A training needs two patients at least: one to learn from, one to be measured on.")
    if action in _ONE_AT_A_TIME and now.busy:
        return _("Wait for what is being done, or cancel it.")
    if action in ("train", "resume") and (now.running or now.other_running):
        return _("The training {name} is running. Stop or cancel it first, or wait for it.").format(
            name=now.run.name if now.running else now.other_running
        )
    if action in _OF_RUN:
        return _of_run(action, now)
    return ""


def _of_run(action: str, now: Situation) -> str:
    if now.run is None:
        return _("There is no training yet.")
    if action == "resume":
        return str(now.run.why_not("start"))
    if action == "repeat":
        return ""
    if action == "discard":
        return _("The training is running. Stop or cancel it first.") if now.running else ""
    if action == "compare" and now.running:
        return _("The model is compared by itself when the training is done.")
    if action in ("compare", "use", "keep", "export_model"):
        return "" if now.run.models() else _("This training has no model.")
    return str(now.run.why_not("cancel" if action == "cancel_run" else action))


def next_step(now: Situation) -> str:
    """What to do next, in a sentence."""
    if now.gone:
        return _("The folder of the training library is gone. Put it back, or choose another one.")
    if not now.library:
        return _("Choose a folder for the training library: an empty one, or one that you or a colleague has begun.")
    if now.busy:
        return _("Working. You can go on in Slicer meanwhile.")
    if now.running:
        return _("The model is learning. You can go on in Slicer, or close it: the training goes on.")
    if now.run is not None and now.state in (RunState.FINISHED, RunState.STOPPED) and now.compared:
        return _("Look at the comparison, and use the new model if it is better.")
    if now.run is not None and now.state is RunState.STOPPED:
        return _("The best model so far is kept. Compare it with the one in use, or resume the training.")
    if now.run is not None and now.state in (RunState.PAUSED, RunState.INTERRUPTED):
        return _("Resume the training to go on where it was.")
    if now.run is not None and now.state is RunState.FAILED:
        return _("The training failed; what it says is below. Put it right and resume, or start another one.")
    if not now.cases:
        return _("Add the study that you have corrected in the first tab, or import cases.")
    if now.patients < 2:
        return _("Add studies of more patients: one learns, another one shows how good the model has become.")
    if now.problems:
        return _("Some cases have a problem, see the table; they are left out of the training.")
    if now.left_out == 1:
        return _("A patient is on neither side of the split: choose one, or draw the split anew.")
    if now.left_out:
        return _("{n} patients are on neither side of the split: put them on one, or draw the split anew.").format(n=now.left_out)
    if now.patients < _FEW_PATIENTS:
        return _("You can train now, but so few patients do not show whether the new model is better: five or more are wanted.")
    return _("Press Train. The defaults suit most; the estimate says how long it takes.")
