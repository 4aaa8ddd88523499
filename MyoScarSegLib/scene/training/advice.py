"""What can be done in the training tab, what cannot and why, and what is to be done next."""

from __future__ import annotations

from MyoScarSegLib.scene.training.training_state import TrainingState
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.training.runs.run_status import RunState

_OF_LIBRARY = (
    "add_current", "import_cases", "remove", "export", "accept", "open_case", "draw_split", "move", "estimate", "preview",
    "train",
)  # fmt: skip
_OF_CASES = ("remove", "export", "accept", "open_case", "draw_split", "move", "estimate", "preview", "train")
_ONE_AT_A_TIME = ("estimate", "preview", "draw_split", "compare", "train", "open_case")
_OF_RUN = ("pause", "stop", "cancel_run", "resume", "compare", "use", "keep", "export_model", "discard", "repeat")
_FEW_PATIENTS = 5


def refusal(action: str, now: TrainingState) -> str:
    """Why an action makes no sense as things stand; empty if it does."""
    if action in _OF_LIBRARY:
        if now.gone:
            return _("The folder of the training library is gone. Put it back, or choose another one.")
        if now.folder is None:
            return _("Choose the folder of the training library first.")
    if action in _OF_CASES and not now.rows:
        return _("The library has no case yet. Add a study, or import some.")
    if action in ("draw_split", "move", "estimate", "train") and len(now.patients) < 2:
        return _("A training needs two patients at least: one to learn from, one to be measured on.")
    if action in _ONE_AT_A_TIME and now.busy:
        return _("Wait for what is being done, or cancel it.")
    if action in ("train", "resume") and now.name_of_running:
        return _("The training {name} is running. Stop or cancel it first, or wait for it.").format(name=now.name_of_running)
    return _of_run(action, now) if action in _OF_RUN else ""


def _of_run(action: str, now: TrainingState) -> str:
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


def next_step(now: TrainingState) -> str:
    """What to do next, in a sentence."""
    if now.gone:
        return _("The folder of the training library is gone. Put it back, or choose another one.")
    if now.folder is None:
        return _("Choose a folder for the training library: an empty one, or one that you or a colleague has begun.")
    if now.busy:
        return _("Working. You can go on in Slicer meanwhile.")
    if now.running:
        return _("The model is learning. You can go on in Slicer, or close it: the training goes on.")
    state = None if now.status is None else now.status.state
    if state in (RunState.FINISHED, RunState.STOPPED) and now.comparison is not None:
        return _("Look at the comparison, and use the new model if it is better.")
    if state is RunState.STOPPED:
        return _("The best model so far is kept. Compare it with the one in use, or resume the training.")
    if state in (RunState.PAUSED, RunState.INTERRUPTED):
        return _("Resume the training to go on where it was.")
    if state is RunState.FAILED:
        return _("The training failed; what it says is below. Put it right and resume, or start another one.")
    if not now.rows:
        return _("Add the study that you have corrected in the first tab, or import cases.")
    patients, left_out = len(now.patients), len(now.left_out)
    if patients < 2:
        return _("Add studies of more patients: one learns, another one shows how good the model has become.")
    if now.problems:
        return _("Some cases have a problem, see the table; they are left out of the training.")
    if left_out == 1:
        return _("A patient is on neither side of the split: choose one, or draw the split anew.")
    if left_out:
        return _("{n} patients are on neither side of the split: put them on one, or draw the split anew.").format(n=left_out)
    if patients < _FEW_PATIENTS:
        return _("You can train now, but so few patients do not show whether the new model is better: five or more are wanted.")
    return _("Press Train. The defaults suit most; the estimate says how long it takes.")
