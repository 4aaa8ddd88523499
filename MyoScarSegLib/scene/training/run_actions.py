"""Trainings: estimated, begun, watched, and compared with the model in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.compared_view import NEW, TRUTH, USED, ComparedView
from MyoScarSegLib.scene.training.curves import CurveChart
from MyoScarSegLib.scene.training.library_actions import LibraryActions
from MyoScarSegLib.scene.training.opened_case import ReadCase, add_volume, opened_volume
from MyoScarSegLib.scene.training.training_state import TrainingState
from MyoScarSegLib.training.runs.compared_masks import file_of, read_predictions
from MyoScarSegLib.training.runs.estimate import Estimate
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_start import start
from MyoScarSegLib.training.runs.run_status import RunState, RunStatus
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings

_SEED, _FOLDS = 0, 5
"""Of the split that is drawn if the user has not asked for another one."""


class RunActions:
    """What is done with trainings, and the two pictures of them in the scene.

    Attributes:
        estimate_result: of the last measurement; None before one.
        preview_picture: PNG of the last preview of the augmentation; None before one.
    """

    def __init__(self, state: TrainingState, library: LibraryActions) -> None:
        """
        Args:
            state: of the tab.
            library: reads the cases that a comparison shows.
        """
        self._state, self._library = state, library
        self.estimate_result: Estimate | None = None
        self.preview_picture: Path | None = None
        self._estimated: tuple[TrainSettings, Split] | None = None
        self._last_run: Run | None = None
        self._may_resume = False
        """Whether the training that was begun last is resumed by itself should its process die."""
        self._chart = CurveChart(state.scene)
        self._compared = ComparedView(state.scene)

    # ---- what is

    @property
    def run(self) -> Run | None:
        """The training that is shown."""
        return self._state.runs.run

    @property
    def status(self) -> RunStatus | None:
        """Where the shown training stands."""
        return self._state.runs.status

    @property
    def runs(self) -> list[Run]:
        """All trainings of the library, newest first."""
        return self._state.runs.runs

    @property
    def last_run(self) -> Run | None:
        """The training that was begun last from here, for scripts that wait for it."""
        return self._last_run

    @property
    def curve_values(self) -> dict[str, list[tuple[float, float]]]:
        """The shown training's curves: ``loss``, ``end_to_end`` and ``oracle`` to points ``(epoch, value)``."""
        return self._state.runs.curve_values

    @property
    def examples(self) -> list[Path]:
        """Pictures of validation slices with truth and answer."""
        return self._state.runs.examples

    @property
    def comparison(self) -> dict[str, Any] | None:
        """The shown training's model against the one in use, on validation patients; None if not compared."""
        return self._state.runs.comparison

    # ---- before

    def estimate(self, settings: TrainSettings) -> bool:
        """Measure on this computer how long a training with these settings would take: :attr:`estimate_result`."""
        if self._state.refuse("estimate"):
            return False
        if self._state.library.split is None:
            return self._with_split(lambda: self.estimate(settings))
        try:
            split, _left = self._usable_split()
        except MyoScarSegError as error:
            return self._state.failed(error)

        def done(result: Any) -> None:
            self.estimate_result = Estimate.from_json(result)
            self._estimated = (settings, split)

        told = {"training": list(split.training), "validation": list(split.validation)}
        return self._state.do("estimate", {"settings": settings.to_json(), "split": told}, "estimate", done)

    def preview(self, preset: str) -> bool:
        """Draw what an augmentation does to slices of the library: :attr:`preview_picture`."""
        if self._state.refuse("preview"):
            return False

        def done(result: Any) -> None:
            self.preview_picture = Path(result["picture"])

        return self._state.do(
            "augmentation_preview", {"preset": preset, "out": str(self._state.folder / "preview.png")}, "preview", done
        )

    # ---- a training

    def train(self, settings: TrainSettings, *, name: str | None = None) -> Run | None:
        """Begin a training in a process of its own; without a split one is drawn first.

        Patients of the split of whom the library has no readable case any more are left out, and a note says so.

        Returns:
            The run; None if it cannot be begun, or not before the split is drawn.
        """
        if self._state.refuse("train"):
            return None
        if self._state.library.split is None:
            self._with_split(lambda: self.train(settings, name=name))
            return None
        folder = self._state.library.folder
        try:
            if folder is None:
                raise StudyError(_("Choose the folder of the training library first."))
            split, left = self._usable_split()
            expected = self._expected(settings, split)
            run = Run.create(folder, settings, split, name=name, expected=expected, compare_with=self._in_use)
            run = self._state.runs.take_up(run)
            start(run, python=self._state.python, environment=self._state.environment)
        except MyoScarSegError as error:
            self._state.runs.list_anew()
            self._state.failed(error)
            return None
        self._last_run, self._may_resume = run, True
        self._state.runs.look(at_once=True)
        note = _("The training goes on also when Slicer is closed.")
        if left:
            note += " " + _("Left out, for the library has no readable case of them: {patients}.").format(
                patients=", ".join(left)
            )
        self._state.notices.say_only(note=note)
        return run

    def pause(self) -> bool:
        """Let the shown training rest; it can be resumed."""
        return self._wish("pause")

    def stop(self) -> bool:
        """End the shown training, and keep its best model."""
        return self._wish("stop")

    def cancel_run(self) -> bool:
        """End the shown training, and delete its models."""
        return self._wish("cancel")

    def resume(self) -> bool:
        """Go on with the shown training."""
        if self._state.refuse("resume") or self.run is None:
            return False
        try:
            start(self.run, python=self._state.python, environment=self._state.environment)
        except MyoScarSegError as error:
            return self._state.failed(error)
        self._last_run, self._may_resume = self.run, True
        self._state.notices.say_only()
        self._state.runs.look(at_once=True)
        return True

    def resume_interrupted(self) -> None:
        """Go on with the training that was begun from here if its process has died: once, as with all that is asked for here."""
        run = self._last_run
        if run is None or not self._may_resume or self._state.runs.state_of(run) is not RunState.INTERRUPTED:
            return
        self._may_resume = False
        try:
            start(run, python=self._state.python, environment=self._state.environment)
        except MyoScarSegError as error:
            self._state.failed(error)
            return
        self._state.notices.say_only(note=_("The training's process ended unexpectedly; it goes on from its last checkpoint."))
        self._state.runs.look(at_once=True)

    def show_run(self, name: str) -> bool:
        """Show another training."""
        run = next((run for run in self.runs if run.name == name), None)
        if run is None:
            return self._state.failed(_("The library has no training {name}.").format(name=name))
        self._state.runs.show(run)
        self.curves_changed()
        return True

    def discard(self, run: Run) -> bool:
        """Delete a training with its models. What was kept under a name of its own stays."""
        if run.status().state is RunState.RUNNING:
            return self._state.failed(_("The training is running. Stop or cancel it first."))
        return self._state.do("run_remove", {"run": str(run.folder)}, "discard", ended=self._state.runs.refresh)

    def show_curves(self) -> None:
        """Draw the shown training's curves in the scene's chart, and have plot views show it."""
        self._draw_chart()
        self._chart.choose()

    # ---- afterwards

    def compare(self, run: Run | None = None) -> bool:
        """Compare a training's model (the shown one's if None) with the models in use, on the validation patients."""
        run = run or self.run
        if self._state.refuse("compare") or run is None:
            return False
        arguments = {"run": str(run.folder), "used": self._in_use["segmenter"], "used_detector": self._in_use["detector"]}
        return self._state.do("compare", arguments, "compare", ended=self._state.runs.refresh)

    def show_worst(self, patient: str, k: int, case: str | None = None) -> bool:
        """Show a slice of a validation patient with the outlines of reader, new model and model in use.

        Args:
            patient: code of the patient.
            k: the slice.
            case: which of the patient's; None for the one whose worst slice is ``k``.

        Returns:
            Whether it was begun; it is shown when :attr:`busy` has ended.
        """
        comparison, run = self.comparison, self.run
        if comparison is None or run is None:
            return self._state.failed(_("Nothing was compared yet."))
        rows = [row for row in comparison["cases"] if row["patient"] == patient and case in (None, row["case"])]
        row = next((row for row in rows if row["worst"]["slice"] == k), rows[0] if rows else None)
        if row is None:
            return self._state.failed(_("Patient {patient} was not compared.").format(patient=patient))
        record = self._library.case(str(row["case"]))
        if record is None:
            return self._state.failed(_("The case of {patient} is not in the library any more.").format(patient=patient))
        try:
            predictions = read_predictions(run.folder / row.get("masks", file_of(record.case)))
            masks = {name: predictions.stack(name, record.slices) for name in (TRUTH, NEW, USED)}
        except MyoScarSegError as error:
            return self._state.failed(error)

        def show(volume: Any) -> None:
            self._compared.show(volume, masks, k)
            self._state.notices.say_only(
                note=_("Slice {k} of {case}: blue the reader, orange the new model, green the model in use.").format(
                    k=k, case=record.case
                )
            )

        def place(read: ReadCase) -> Iterator[None]:
            volume = opened_volume(self._state.scene, read.case) or add_volume(self._state.scene, read)
            yield
            if volume.GetScene() is not None:
                show(volume)

        volume = opened_volume(self._state.scene, record)
        if volume is None:
            return self._library.read(record, place)
        try:
            show(volume)
        except MyoScarSegError as error:
            return self._state.failed(error)
        return True

    def hide_compared(self) -> None:
        """Take the outlines of a comparison away, and show what was shown before."""
        self._compared.hide()

    def curves_changed(self) -> None:
        """Draw the curves anew where they are shown."""
        if self._chart.node is not None:
            self._draw_chart()

    def forget_estimate(self) -> None:
        """Another library was opened: what was measured and drawn was of the one before."""
        self.estimate_result = self.preview_picture = None

    def forget_scene(self) -> None:
        """The scene is being closed, with all nodes."""
        self._compared.forget()

    # ---- inside

    def _draw_chart(self) -> None:
        self._chart.show(self.curve_values, self.run.name if self.run is not None else _("Training"))

    @property
    def _in_use(self) -> dict[str, str]:
        """The models in use, by name or path."""
        settings = self._state.workflow.settings
        return {
            "segmenter": DEFAULT_SEGMENTER if settings.segmenter is None else str(settings.segmenter),
            "detector": DEFAULT_DETECTOR if settings.detector is None else str(settings.detector),
        }

    def _usable_split(self) -> tuple[Split, list[str]]:
        """The split without patients of whom there is no readable case, and these.

        Raises:
            StudyError: nobody is left on one side.
        """
        split = self._state.library.split
        if split is None:
            raise StudyError(_("Draw the split first."))
        there = set(self._state.library.patients)
        left = sorted({*split.training, *split.validation} - there)
        training, validation = (tuple(p for p in side if p in there) for side in (split.training, split.validation))
        if not training or not validation:
            raise StudyError(
                _("The library has no case any more of those who {do}. Draw the split anew.").format(
                    do=_("train") if not training else _("validate")
                )
            )
        return (replace(split, training=training, validation=validation) if left else split), left

    def _expected(self, settings: TrainSettings, split: Split) -> dict[str, float] | None:
        """What was estimated for just this training."""
        if self.estimate_result is None or self._estimated != (settings, split):
            return None
        return dict(self.estimate_result.parts)

    def _with_split(self, then: Callable[[], object]) -> bool:
        def done(_result: Any) -> None:
            self._state.library.look(at_once=True)
            if self._state.library.split is not None:
                then()

        return self._state.do("library_split", {"seed": _SEED, "folds": _FOLDS}, "split", done)

    def _wish(self, wish: str) -> bool:
        if self._state.refuse({"cancel": "cancel_run"}.get(wish, wish)) or self.run is None:
            return False
        run = self.run
        if run.status().state is not RunState.RUNNING:  # then it is done by whoever asks, with its large files
            ended = self._state.runs.refresh
            return self._state.do("run_wish", {"run": str(run.folder), "wish": wish}, wish, ended=ended)
        try:
            run.send(wish)
        except MyoScarSegError as error:
            return self._state.failed(error)
        self._state.notices.say_only(
            note="" if wish == "cancel" else _("The step in hand ends first, which may take some minutes.")
        )
        self._state.runs.look(at_once=True)
        return True
