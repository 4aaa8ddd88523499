"""What the training tab does, without the tab: a library of corrected studies, trainings on it, and what came of them.

Nothing here blocks. Slow work is done by processes of their own: trainings by detached ones that outlive the application,
everything else by children. :meth:`TrainingWorkflow.pump` takes in what they have done. What cannot be done gives a sentence,
:attr:`TrainingWorkflow.error`, and leaves library and models as they were.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import MyoScarSegError, SceneError, StudyError
from MyoScarSegLib.files import atomic_path
from MyoScarSegLib.models import DEFAULT_SEGMENTER, registry
from MyoScarSegLib.models.own import free_name
from MyoScarSegLib.scene.session import StudySession
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.advice import Situation, next_step, refusal
from MyoScarSegLib.scene.training.chores import Chore, Chores
from MyoScarSegLib.scene.training.curves import CurveChart
from MyoScarSegLib.scene.training.library_case import SegmentChoice, classes_of, hand_over, reviewed_slices, segments
from MyoScarSegLib.scene.training.library_side import LibrarySide
from MyoScarSegLib.scene.training.notices import TrainChange, TrainNotices
from MyoScarSegLib.scene.training.opened_case import CASE, open_case, show_compared
from MyoScarSegLib.scene.training.run_side import RunSide
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.training.datasets.library_record import checked_code
from MyoScarSegLib.training.datasets.library_state import CaseRow
from MyoScarSegLib.training.runs.estimate import Estimate
from MyoScarSegLib.training.runs.launch import start
from MyoScarSegLib.training.runs.plans import TrainSettings
from MyoScarSegLib.training.runs.predictions import file_of, read_predictions
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.status import RunState, RunStatus
from MyoScarSegLib.training.splits import Split

__all__ = ["TrainChange", "TrainingWorkflow"]


class TrainingWorkflow:
    """A library, its trainings, and everything that can be done with them.

    Attributes:
        scene: the MRML scene.
        workflow: of the study in hand, and of the models in use.
        estimate_result: of the last measurement; None before one.
        preview_picture: PNG of the last preview of the augmentation; None before one.
    """

    def __init__(
        self,
        scene: Any,
        workflow: Workflow,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            scene: the MRML scene.
            workflow: of the first tab.
            python: interpreter with the networks; this process's own if None.
            environment: of that interpreter.
            clock: seconds.
        """
        self.scene = scene
        self.workflow = workflow
        self.estimate_result: Estimate | None = None
        self.preview_picture: Path | None = None
        self._python, self._environment = python, environment
        self._notices = TrainNotices()
        self._chores = Chores(python, environment, self._chore_failed, lambda: self._notices.tell(TrainChange.STATE))
        self._library = LibrarySide(self._chores, self._notices, clock)
        self._runs = RunSide(self._notices, clock)
        self._chart = CurveChart(scene)
        self._folder = Path(tempfile.mkdtemp(prefix="myoscarseg-training-"))
        self._passed_on = 0
        self._pumping = False

    def on_changed(self, callback: Callable[[TrainChange], None]) -> Callable[[], None]:
        """Call ``callback(what)`` after every change; it must be quick. Returns the function that ends this."""
        return self._notices.on_changed(callback)

    def pump(self) -> None:
        """Take in what processes have done. Call it every 10 to 50 ms; from within itself it does nothing."""
        if self._pumping:
            return
        self._pumping = True
        try:
            self._chores.pump()
            if self._library.look():
                self._runs.list_anew()
            self._runs.look()
            if self._runs.curves_changed and self._chart.node is not None:
                self._runs.curves_changed = False
                self._draw_chart()
        finally:
            self._pumping = False

    def refresh(self) -> None:
        """Look at library and training now, not at the next turn."""
        self._library.look(at_once=True)
        self._runs.look(at_once=True)

    def close(self) -> None:
        """End what was begun for the application; trainings go on."""
        self._chores.close()
        self._notices.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # ---- what is

    @property
    def library_folder(self) -> Path | None:
        """Of the open library; None without one."""
        return self._library.folder

    @property
    def rows(self) -> list[CaseRow]:
        """The library's cases."""
        return self._library.rows

    @property
    def split(self) -> Split | None:
        """Who trains and who validates; None if it was not drawn yet."""
        return self._library.split

    @property
    def next_patient(self) -> str:
        """A code for a new patient: that of the case if the study in hand was opened from the library, else a free one."""
        volume = self.workflow.volume_node
        opened = None if volume is None else volume.GetAttribute(CASE)
        known = next((row.case.patient for row in self.rows if row.case is not None and row.name == opened), None)
        return known or self._library.next_patient

    @property
    def run(self) -> Run | None:
        """The training that is shown."""
        return self._runs.run

    @property
    def status(self) -> RunStatus | None:
        """Where the shown training stands."""
        return self._runs.status

    @property
    def runs(self) -> list[Run]:
        """All trainings of the library, newest first."""
        return self._runs.runs

    @property
    def curve_values(self) -> dict[str, list[tuple[float, float]]]:
        """The shown training's curves: ``loss``, ``end_to_end`` and ``oracle`` to points ``(epoch, value)``."""
        return self._runs.curve_values

    @property
    def examples(self) -> list[Path]:
        """Pictures of validation slices with truth and answer."""
        return self._runs.examples

    @property
    def comparison(self) -> dict[str, Any] | None:
        """The shown training's model against the one in use, on validation patients; None if not compared."""
        return self._runs.comparison

    @property
    def models(self) -> list[Any]:
        """All models that can be started from or used."""
        return list(registry().entries())

    @property
    def model_in_use(self) -> str:
        """Name or file name of the segmenter in use."""
        chosen = self.workflow.settings.segmenter
        return DEFAULT_SEGMENTER if chosen is None else str(chosen)

    @property
    def busy(self) -> str:
        """What is being done for the application (``estimate``, ``add``, ...); empty if nothing is. A training is not that."""
        chore = self._chores.current
        return "" if chore is None else chore.what

    @property
    def progress(self) -> tuple[int, int, str, float | None]:
        """``(done, total, message, seconds left or None)`` of what :attr:`busy` names."""
        return self._chores.progress

    @property
    def error(self) -> str:
        """Sentence on what went wrong last; empty once something else was begun."""
        return self._notices.error

    @property
    def note(self) -> str:
        """Sentence on what the user should know of the last step."""
        return self._notices.note

    @property
    def advice(self) -> str:
        """What to do next."""
        return next_step(self._situation())

    def why_not(self, action: str) -> str:
        """Why ``action`` (a method's name) makes no sense now; empty if it does."""
        return refusal(action, self._situation())

    # ---- the library

    def open_library(self, folder: Path | str, *, create: bool = False) -> bool:
        """Take a library, and attach to its training that runs, or else to the newest. Returns whether there is one.

        Args:
            folder: of the library.
            create: make one if the folder is missing or empty.
        """
        try:
            self._library.open(Path(folder), create=create)
        except MyoScarSegError as error:
            return self._library.failed(error)
        self._runs.open(self._library.folder)
        self._notices.say()
        self._notices.tell(*TrainChange)
        return True

    def segments(self, segmentation_node: Any) -> list[SegmentChoice]:
        """The segments of a segmentation node, with what each seems to be."""
        return segments(segmentation_node)

    def reviewed_slices(self) -> list[int]:
        """Slices of the study in hand that the reader has settled; none if nothing was decided or painted yet."""
        session = self.workflow.session
        return [] if session is None else reviewed_slices(session)

    def add_current(
        self,
        patient: str,
        *,
        reviewer: str = "",
        reviewed: Iterable[int] | None = None,
        tags: Iterable[str] = (),
        segment_ids: Mapping[str, str] | None = None,
        case: str | None = None,
        replace: bool = False,
        volume_node: Any = None,
        segmentation_node: Any = None,
    ) -> bool:
        """Add a study with its labels to the library, as they are now.

        Args:
            patient: code of the patient, never the name.
            reviewer: code of the reader.
            reviewed: numbers of the slices that are right; None for all.
            tags: words to find it by.
            segment_ids: role (``scar``, ``myocardium``, ``blood_pool``, ``no_reflow``) to segment; None for what they are called.
            case: name of the case; the patient's code if None.
            replace: put it in the place of what the library has of it.
            volume_node, segmentation_node: of another study than the one in hand.

        Returns:
            Whether it was begun; :attr:`error` says why not.
        """
        if self._refuse("add_current" if volume_node is None else "import_cases"):
            return False
        opened: StudySession | None = None
        try:
            checked_code(patient, "patient code")
            session = self.workflow.session
            if volume_node is not None and volume_node is not self.workflow.volume_node:
                session = opened = StudySession(volume_node, watch=False)
            if session is None:
                raise SceneError(_("Choose a volume first."))
            classes, wall_known = classes_of(session, segmentation_node, segment_ids)
            self._passed_on += 1
            study = self._folder / f"study-{self._passed_on}.npz"
            hand_over(study, session, classes)
        except MyoScarSegError as error:
            return self._library.failed(error)
        finally:
            if opened is not None:
                opened.close()
        arguments = {
            "study": str(study), "patient": patient, "case": case, "reviewer": reviewer, "added_by": reviewer, "tags": list(tags),
            "reviewed": None if reviewed is None else sorted(int(k) for k in reviewed), "wall_known": wall_known,
            "source": "Slicer", "replace": replace,
        }  # fmt: skip

        def done(record: Any) -> None:
            self._library.look(at_once=True)
            self._notices.say(note=_("{case} is in the library.").format(case=record["case"]))
            self._library.take_in(str(record["patient"]))

        self._do("library_add", arguments, "add", done, lambda: study.unlink(missing_ok=True))
        return True

    def import_cases(
        self, paths: Sequence[Path], patient_pattern: str | None = None, *, labels: str | None = None, reviewer: str = ""
    ) -> bool:
        """Add the cases of folders and saved scenes; see :func:`~MyoScarSegLib.training.datasets.imports.import_cases`."""
        if self._refuse("import_cases"):
            return False

        def done(report: Any) -> None:
            self._library.look(at_once=True)
            text = _("{added} added, {same} were there already, {problem} not added.").format(**report)
            problems = [f"{case['source']}: {case['message']}" for case in report["cases"] if case["status"] == "problem"]
            more = _(" And {n} more.").format(n=len(problems) - 3) if len(problems) > 3 else ""
            self._notices.say(note=text, error=" ".join(problems[:3]) + more)
            if self.split is not None and (new := [p for p in self._library.patients if not self._library.side_of(p)]):
                self._library.write(self.split.extended(new))

        arguments = {
            "paths": [str(path) for path in paths], "patient_pattern": patient_pattern, "labels": labels, "reviewer": reviewer,
            "added_by": reviewer,
        }  # fmt: skip
        self._do("library_import", arguments, "import", done)
        return True

    def remove(self, names: Sequence[str]) -> bool:
        """Take cases out of the library, with their files."""
        if self._refuse("remove"):
            return False
        self._do("library_remove", {"cases": list(names)}, "remove", lambda _result: None)
        return True

    def export(self, names: Sequence[str], folder: Path) -> bool:
        """Copy cases into a folder as a library of their own."""
        if self._refuse("export"):
            return False

        def done(result: Any) -> None:
            self._notices.say(note=_("{n} cases are in {folder}.").format(n=len(result["exported"]), folder=folder))

        self._do("library_export", {"cases": list(names), "folder": str(folder)}, "export", done)
        return True

    def accept(self, name: str) -> bool:
        """Take a case as its files are now."""
        if self._refuse("accept"):
            return False
        self._do("library_accept", {"case": name}, "accept", lambda _result: None)
        return True

    def open_case(self, name: str) -> Any:
        """Put a case into the scene, to be corrected as the study in hand. Returns its volume node, None if it cannot be read."""
        if self._refuse("open_case") or self._library.library is None:
            return None
        try:
            volume, note = open_case(self.scene, self._library.library, name)
        except MyoScarSegError as error:
            self._library.failed(error)
            return None
        self.workflow.select(volume)
        self._notices.say(note=note, error=self.workflow.error)
        return volume

    # ---- the split

    def draw_split(self, seed: int = 0, folds: int = 5) -> bool:
        """Draw anew who trains and who validates."""
        if self._refuse("draw_split"):
            return False
        self._do("library_split", {"seed": seed, "folds": folds}, "split", lambda _result: None)
        return True

    def move(self, patient: str, side: str) -> bool:
        """Put a patient on a side (``training``, ``validation``, or none). Returns whether that is possible."""
        if self._refuse("move"):
            return False
        try:
            split = self._library.moved(patient, side)
        except MyoScarSegError as error:
            return self._library.failed(error)
        self._notices.say()
        self._library.write(split)
        return True

    # ---- training

    def estimate(self, settings: TrainSettings) -> bool:
        """Measure on this computer how long a training with these settings would take: :attr:`estimate_result`."""
        if self._refuse("estimate"):
            return False
        if self.split is None:
            return self._with_split(lambda: self.estimate(settings))
        told = {"training": list(self.split.training), "validation": list(self.split.validation)}

        def done(result: Any) -> None:
            self.estimate_result = Estimate.from_json(result)

        self._do("estimate", {"settings": settings.to_json(), "split": told}, "estimate", done)
        return True

    def preview(self, preset: str) -> bool:
        """Draw what an augmentation does to slices of the library: :attr:`preview_picture`."""
        if self._refuse("preview"):
            return False

        def done(result: Any) -> None:
            self.preview_picture = Path(result["picture"])

        self._do("augmentation_preview", {"preset": preset, "out": str(self._folder / "preview.png")}, "preview", done)
        return True

    def train(self, settings: TrainSettings, *, name: str | None = None) -> Run | None:
        """Begin a training in a process of its own; without a split one is drawn first. Returns the run, None if not yet."""
        if self._refuse("train"):
            return None
        if self.split is None:
            self._with_split(lambda: self.train(settings, name=name))
            return None
        folder = self._library.folder
        try:
            if folder is None:
                raise StudyError(_("Choose the folder of the training library first."))
            expected = dict(self.estimate_result.parts) if self.estimate_result is not None else None
            run = Run.create(folder, settings, self.split, name=name, expected=expected)
            start(run, python=self._python, environment=self._environment)
        except MyoScarSegError as error:
            self._runs.list_anew()
            self._library.failed(error)
            return None
        self._runs.list_anew()
        self._runs.show(run)
        self._notices.say(note=_("The training goes on also when Slicer is closed."))
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
        if self._refuse("resume") or self.run is None:
            return False
        try:
            start(self.run, python=self._python, environment=self._environment)
        except MyoScarSegError as error:
            return self._library.failed(error)
        self._notices.say()
        self._runs.look(at_once=True)
        return True

    def show_run(self, name: str) -> bool:
        """Show another training."""
        run = next((run for run in self.runs if run.name == name), None)
        if run is None:
            return self._library.failed(StudyError(_("The library has no training {name}.").format(name=name)))
        self._runs.show(run)
        return True

    def settings_of(self, run: Run) -> TrainSettings:
        """What was chosen for a training, to repeat it.

        Raises:
            ModelError: its settings are of another version.
        """
        return run.settings

    def show_curves(self) -> None:
        """Draw the shown training's curves in the scene's chart, and have plot views show it."""
        self._draw_chart()
        self._chart.choose()

    # ---- afterwards

    def compare(self, run: Run | None = None) -> bool:
        """Compare a training's model (the shown one's if None) with the models in use, on the validation patients."""
        run = run or self.run
        if self._refuse("compare") or run is None:
            return False
        settings = self.workflow.settings
        arguments = {
            "run": str(run.folder), "used": _text(settings.segmenter), "used_detector": _text(settings.detector),
            "library": str(self._library.folder),
        }  # fmt: skip
        self._do("compare", arguments, "compare", lambda _result: self._runs.look(at_once=True))
        return True

    def show_worst(self, patient: str, k: int, case: str | None = None) -> bool:
        """Show a slice of a validation patient with the outlines of reader, new model and model in use."""
        comparison, run, library = self.comparison, self.run, self._library.library
        try:
            if comparison is None or run is None or library is None:
                raise StudyError(_("Nothing was compared yet."))
            rows = [row for row in comparison["cases"] if row["patient"] == patient and case in (None, row["case"])]
            row = next((row for row in rows if row["worst"]["slice"] == k), rows[0] if rows else None)
            if row is None:
                raise StudyError(_("Patient {patient} was not compared.").format(patient=patient))
            predictions = read_predictions(run.folder / row.get("masks", file_of(str(row["case"]))))
            slices = next((r.case.slices for r in self.rows if r.case is not None and r.case.case == row["case"]), None)
            if slices is None:
                raise StudyError(_("The case of {patient} is not in the library any more.").format(patient=patient))
            masks = {name: predictions.stack(name, slices) for name in ("truth", "new", "used")}
            show_compared(self.scene, library, str(row["case"]), masks, k)
        except MyoScarSegError as error:
            return self._library.failed(error)
        self._notices.say(
            note=_("Slice {k} of {case}: green the reader, orange the new model, blue the model in use.").format(
                k=k, case=row["case"]
            )
        )
        return True

    def use(self, model: Run | str) -> bool:
        """Segment with a model from now on: one by name, or a training's, which is kept under its name if it was not yet."""
        if isinstance(model, str):
            return self._use_named(model)
        return self._keep(model, None, then_use=True)

    def keep(self, run: Run, name: str) -> bool:
        """Keep a training's models under a name of their own."""
        return self._keep(run, name, then_use=False)

    def discard(self, run: Run) -> bool:
        """Delete a training with its models. What was kept under a name of its own stays."""
        try:
            run.remove()
        except MyoScarSegError as error:
            return self._library.failed(error)
        self._notices.say()
        self._runs.list_anew()
        return True

    def export_model(self, model: Run | str, folder: Path) -> bool:
        """Write a model, or those of a training, with their cards into a folder."""
        if isinstance(model, str):
            self._do("model_export", {"name": model, "folder": str(folder)}, "export", self._exported(folder))
            return True
        try:
            files = list(model.models().values())
            if not files:
                raise StudyError(_("The training {name} has no model.").format(name=model.name))
            for file in files:
                target = Path(folder) / f"{model.name}-{file.name}"
                if target.exists():
                    raise StudyError(_("{file} exists already. Choose another folder.").format(file=target))
                for one in (file, file.with_suffix(".json"), file.with_suffix(".md")):
                    if one.is_file():
                        with atomic_path(target.with_suffix(one.suffix)) as temporary:
                            shutil.copyfile(one, temporary)
        except MyoScarSegError as error:
            return self._library.failed(error)
        except OSError as error:
            return self._library.failed(
                StudyError(_("Cannot write to {folder}: {why}.").format(folder=folder, why=error.strerror))
            )
        self._exported(folder)(None)
        return True

    def import_model(self, file: Path, name: str = "") -> bool:
        """Take a model file from elsewhere among the user's own."""

        def done(result: Any) -> None:
            self._notices.say(note=_("The model is here as {name}.").format(name=result["name"]))
            self._notices.tell(TrainChange.MODELS)

        self._do("model_import", {"file": str(file), "name": name}, "import", done)
        return True

    def cancel(self) -> None:
        """Cancel what :attr:`busy` names; a training is ended by :meth:`stop` or :meth:`cancel_run`."""
        self._chores.cancel()

    @property
    def last_chore(self) -> Chore | None:
        """What was begun last for the application, for scripts that wait for it."""
        return self._last

    _last: Chore | None = None

    # ---- inside

    def _do(
        self,
        name: str,
        arguments: Mapping[str, Any],
        what: str,
        done: Callable[[Any], None],
        ended: Callable[[], None] | None = None,
    ) -> None:
        self._notices.say()
        library = {} if self._library.folder is None or name.startswith("model_") else {"library": str(self._library.folder)}

        def after() -> None:
            if ended is not None:
                ended()
            self._library.look(at_once=True)

        self._last = self._chores.add(Chore(name, {**library, **arguments}, what, done, after))

    def _with_split(self, then: Callable[[], object]) -> bool:
        def done(_result: Any) -> None:
            self._library.look(at_once=True)
            if self.split is not None:
                then()

        self._do("library_split", {"seed": 0, "folds": 5}, "split", done)
        return True

    def _chore_failed(self, chore: Chore) -> None:
        if chore.state == "cancelled":
            self._notices.say(note=_("Cancelled."))
        else:
            self._notices.say(error=chore.error or _("It ended without saying why."))

    def _refuse(self, action: str) -> bool:
        """Whether an action makes no sense now; then the sentence is said."""
        why = self.why_not(action)
        if why:
            self._notices.say(error=why)
        return bool(why)

    def _wish(self, wish: str) -> bool:
        if self._refuse({"cancel": "cancel_run"}.get(wish, wish)) or self.run is None:
            return False
        try:
            self.run.wish(wish)
        except MyoScarSegError as error:
            return self._library.failed(error)
        self._notices.say()
        self._runs.look(at_once=True)
        return True

    def _keep(self, run: Run, name: str | None, *, then_use: bool) -> bool:
        files = run.models()
        if not files:
            return self._library.failed(
                StudyError(_("The training {name} has no model that could be kept.").format(name=run.name))
            )
        kept: dict[str, str] = {}
        waiting = dict(files)
        for part, file in files.items():
            known = self._known_as(file)
            wanted = f"{name or run.name}-{part}" if len(files) > 1 else name or run.name
            if known is not None and then_use:
                kept[part] = known
                del waiting[part]
                continue

            def done(result: Any, part: str = part) -> None:
                kept[part] = str(result["name"])
                self._notices.say(note=_("Kept as {name}.").format(name=result["name"]))
                self._notices.tell(TrainChange.MODELS)
                if then_use and len(kept) == len(files):
                    self._use_parts(kept)

            card = str(file.with_suffix(".json"))
            arguments = {"model": str(file), "card": card, "name": wanted if name is not None else free_name(wanted)}
            self._do("model_keep", arguments, "keep", done)
        if then_use and not waiting:
            self._use_parts(kept)
        return True

    def _known_as(self, file: Path) -> str | None:
        """Name under which this very file was kept already."""
        from MyoScarSegLib.files import sha256_of

        digest = sha256_of(file)
        return next((entry.name for entry in registry().entries() if entry.sha256 == digest), None)

    def _use_named(self, name: str) -> bool:
        try:
            entry = registry().entry(name)
        except MyoScarSegError as error:
            return self._library.failed(error)
        self._use_parts({"detector" if str(getattr(entry.task, "value", entry.task)) == "detect" else "segmenter": name})
        return True

    def _use_parts(self, parts: Mapping[str, str]) -> None:
        settings = self.workflow.settings
        for part, name in parts.items():
            settings = replace(settings, detector=name) if part == "detector" else replace(settings, segmenter=name)
        self.workflow.configure(settings)
        self._notices.say(note=_("In use from now on: {names}.").format(names=", ".join(parts.values())))
        self._notices.tell(TrainChange.MODELS)

    def _exported(self, folder: Path) -> Callable[[Any], None]:
        return lambda _result: self._notices.say(note=_("Written to {folder}.").format(folder=folder))

    def _draw_chart(self) -> None:
        self._chart.show(self.curve_values, self.run.name if self.run is not None else _("Training"))

    def _situation(self) -> Situation:
        session, status = self.workflow.session, self.status
        return Situation(
            library=self._library.library is not None,
            gone=self._library.folder is not None and self._library.library is None,
            cases=len(self.rows),
            patients=len(self._library.patients),
            problems=sum(row.state == "problem" for row in self.rows),
            split=self.split is not None,
            study=session is not None,
            segmented=session is not None and session.segmentation.existing_node is not None,
            working=bool(self.workflow.busy),
            busy=self.busy,
            run=self.run,
            state=None if status is None else status.state,
            running=any_running(self.runs, self.run, status),
            compared=self.comparison is not None,
        )


def any_running(runs: Sequence[Run], shown: Run | None, status: RunStatus | None) -> bool:
    """Whether the shown training runs; of the others only their own processes know, and they may run beside it."""
    return bool(runs) and shown is not None and status is not None and status.state is RunState.RUNNING


def _text(model: Any) -> str | None:
    return None if model is None else str(model)
