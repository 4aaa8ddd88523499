"""What is done with trainings: they are estimated, begun, watched, and compared with the model in use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import MyoScarSegError, StudyError
from MyoScarSegLib.scene.training.case_nodes import ReadCase, add_volume, opened_volume
from MyoScarSegLib.scene.training.compared_view import ComparedView
from MyoScarSegLib.scene.training.training_curves import CurveChart
from MyoScarSegLib.scene.training.training_state import Measured
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.training.runs.comparison_files import NEW, TRUTH, USED, file_of, read_predictions
from MyoScarSegLib.training.runs.estimate import Estimate
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.training.train_settings import TrainSettings

if TYPE_CHECKING:
    from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow


class Trainings:
    """The verbs of trainings, and the two pictures of them in the scene.

    Attributes:
        last_run: the training that was begun last from here, for scripts that wait for it.
    """

    def __init__(self, training: TrainingWorkflow) -> None:
        self._training = training
        self.last_run: Run | None = None
        self._may_resume = False
        """Whether the training that was begun last is resumed by itself should its process die."""
        self._chart = CurveChart(training.scene)
        self._compared = ComparedView(training.scene)
        training.changed.connect(self._on_changed)

    def estimate(self, settings: TrainSettings) -> bool:
        """Measure on this computer how long a training with these settings would take: ``measured`` of the state."""
        training = self._training
        if training.refuses("estimate"):
            return False
        if training.state.split is None:
            return training.cases.draw_split(then=lambda: self.estimate(settings))
        try:
            split, _left = self._usable_split()
        except MyoScarSegError as error:
            return training.failed(error)

        def done(result: Any) -> None:
            training.update(measured=Measured(settings, split, Estimate.from_json(result)))

        told = {"training": list(split.training), "validation": list(split.validation)}
        return training.begin("estimate", {"settings": settings.to_json(), "split": told}, "estimate", done)

    def preview(self, augmentation: str) -> bool:
        """Draw what an augmentation does to slices of the library: ``preview`` of the state."""
        training = self._training
        if training.refuses("preview"):
            return False
        picture = training.new_file("preview.png")  # another one each time, or a view would keep the one before

        def done(result: Any) -> None:
            before = training.state.preview
            training.update(preview=Path(result["picture"]))
            if before is not None:
                before.unlink(missing_ok=True)

        return training.begin("augmentation_preview", {"augmentation": augmentation, "out": str(picture)}, "preview", done)

    def train(self, settings: TrainSettings) -> Run | None:
        """Begin a training in a process of its own; without a split one is drawn first.

        Patients of the split of whom the library has no readable case any more are left out, and a note says so.

        Returns:
            The run; None if it cannot be begun, or not before the split is drawn.
        """
        training = self._training
        if training.refuses("train"):
            return None
        if training.state.split is None:
            training.cases.draw_split(then=lambda: self.train(settings))
            return None
        try:
            if training.state.folder is None:
                raise StudyError(_("Choose the folder of the training library first."))
            split, left = self._usable_split()
            measured = training.state.measured
            same = measured is not None and (measured.settings, measured.split) == (settings, split)
            expected = dict(measured.estimate.parts) if measured is not None and same else None
            run = Run.create(training.state.folder, settings, split, expected=expected, compare_with=self._in_use())
            run = training.run_files.take_up(run)
            self._start(run)
        except MyoScarSegError as error:
            training.run_files.list_anew()
            training.failed(error)
            return None
        note = _("The training goes on also when Slicer is closed.")
        if left:
            note += " " + _("Left out, for the library has no readable case of them: {patients}.").format(
                patients=", ".join(left)
            )
        training.say(note=note)
        return run

    def pause(self) -> bool:
        """Let the shown training rest; it can be resumed."""
        return self._ask("pause")

    def stop(self) -> bool:
        """End the shown training, and keep its best model."""
        return self._ask("stop")

    def cancel_run(self) -> bool:
        """End the shown training, and delete its models."""
        return self._ask("cancel")

    def resume(self) -> bool:
        """Go on with the shown training."""
        run = self._training.state.run
        if self._training.refuses("resume") or run is None:
            return False
        try:
            self._start(run)
        except MyoScarSegError as error:
            return self._training.failed(error)
        self._training.say()
        return True

    def resume_interrupted(self) -> None:
        """Go on with the training that was begun from here if its process has died: once, as with all that is asked for here."""
        run, statuses = self.last_run, self._training.state.statuses
        if run is None or not self._may_resume or run.name not in statuses:
            return
        if statuses[run.name].state is not RunState.INTERRUPTED:
            return
        try:
            self._start(run)
        except MyoScarSegError as error:
            self._training.failed(error)
        else:
            self._training.say(note=_("The training's process ended unexpectedly; it goes on from its last checkpoint."))
        self._may_resume = False

    def show_run(self, name: str) -> bool:
        """Show another training."""
        run = next((run for run in self._training.state.runs if run.name == name), None)
        if run is None:
            return self._training.failed(_("The library has no training {name}.").format(name=name))
        self._training.run_files.show(run)
        return True

    def discard(self, run: Run) -> bool:
        """Delete a training with its models. What was kept under a name of its own stays."""
        if run.status().state is RunState.RUNNING:
            return self._training.failed(_("The training is running. Stop or cancel it first."))
        return self._training.begin("run_remove", {"run": str(run.folder)}, "discard", ended=self._training.run_files.refresh)

    def show_curves(self) -> None:
        """Draw the shown training's curves in the scene's chart, and have plot views show it."""
        self._draw_chart()
        self._chart.choose()

    def compare(self, run: Run | None = None) -> bool:
        """Compare a training's model (the shown one's if None) with the models in use, on the validation patients."""
        run = run or self._training.state.run
        if self._training.refuses("compare") or run is None:
            return False
        used = self._in_use()
        arguments = {"run": str(run.folder), "used": used["segmenter"], "used_detector": used["detector"]}
        return self._training.begin("compare", arguments, "compare", ended=self._training.run_files.refresh)

    def show_worst(self, patient: str, k: int, case: str | None = None) -> bool:
        """Show a slice of a validation patient's case (the one whose worst slice it is if None) with the outlines of reader, new
        model and model in use. Returns whether it was begun; it is shown when the state's ``busy`` has ended.
        """
        training, comparison, run = self._training, self._training.state.comparison, self._training.state.run
        if comparison is None or run is None:
            return training.failed(_("Nothing was compared yet."))
        rows = [row for row in comparison["cases"] if row["patient"] == patient and case in (None, row["case"])]
        row = next((row for row in rows if row["worst"]["slice"] == k), rows[0] if rows else None)
        if row is None:
            return training.failed(_("Patient {patient} was not compared.").format(patient=patient))
        record = training.cases.case(str(row["case"]))
        if record is None:
            return training.failed(_("The case of {patient} is not in the library any more.").format(patient=patient))
        try:
            predictions = read_predictions(run.folder / row.get("masks", file_of(record.case)))
            masks = {name: predictions.stack(name, record.slices) for name in (TRUTH, NEW, USED)}
        except MyoScarSegError as error:
            return training.failed(error)

        def show(volume: Any) -> None:
            self._compared.show(volume, masks, k)
            training.say(
                note=_("Slice {k} of {case}: blue the reader, orange the new model, green the model in use.").format(
                    k=k, case=record.case
                )
            )

        def add_and_show(read: ReadCase) -> Iterator[None]:
            volume = opened_volume(training.scene, read.case) or add_volume(training.scene, read)
            yield
            if volume.GetScene() is not None:
                show(volume)

        volume = opened_volume(training.scene, record)
        if volume is None:
            return training.cases.read(record, add_and_show)
        try:
            show(volume)
        except MyoScarSegError as error:
            return training.failed(error)
        return True

    def hide_compared(self) -> None:
        """Take the outlines of a comparison away, and show what was shown before."""
        self._compared.hide()

    def forget_scene(self) -> None:
        """The scene is being closed, with all nodes."""
        self._compared.forget()

    def _on_changed(self, what: str) -> None:
        if what in ("run", "curves") and self._chart.node is not None:
            self._draw_chart()

    def _draw_chart(self) -> None:
        run = self._training.state.run
        self._chart.show(self._training.state.curves, run.name if run is not None else _("Training"))

    def _in_use(self) -> dict[str, str]:
        return dict(zip(("segmenter", "detector"), self._training.models.in_use, strict=True))

    def _usable_split(self) -> tuple[Split, list[str]]:
        """The split without patients of whom there is no readable case, and these.

        Raises:
            StudyError: nobody is left on one side.
        """
        split = self._training.state.split
        if split is None:
            raise StudyError(_("Draw the split first."))
        there = set(self._training.state.patients)
        left = sorted({*split.training, *split.validation} - there)
        training, validation = (tuple(p for p in side if p in there) for side in (split.training, split.validation))
        if not training or not validation:
            raise StudyError(
                _("The library has no case any more of those who {do}. Draw the split anew.").format(
                    do=_("train") if not training else _("validate")
                )
            )
        return (replace(split, training=training, validation=validation) if left else split), left

    def _start(self, run: Run) -> None:
        """Start or resume a training. Raises what :meth:`Run.start` does."""
        run.start(python=self._training.processes["python"], environment=self._training.processes["environment"])
        self.last_run, self._may_resume = run, True
        self._training.run_files.look()

    def _ask(self, command: str) -> bool:
        training, run = self._training, self._training.state.run
        if training.refuses("cancel_run" if command == "cancel" else command) or run is None:
            return False
        if run.status().state is not RunState.RUNNING:  # then it is done by whoever asks, with its large files
            arguments = {"run": str(run.folder), "command": command}
            return training.begin("run_command", arguments, command, ended=training.run_files.refresh)
        try:
            run.send(command)
        except MyoScarSegError as error:
            return training.failed(error)
        training.say(note="" if command == "cancel" else _("The step in hand ends first, which may take some minutes."))
        training.run_files.look()
        return True
