"""The calls of a script or of Slicer's Python console on training library, trainings and models; in Slicer's style of names.

They use the same workflow as the tab. While a call waits, the workflow is pumped and the application's events are processed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import Cancelled, MyoScarSegError
from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.runs.run_status import RunState
from MyoScarSegLib.training.train_settings import TrainSettings

_PAUSE_S = 0.01

ProgressCall = Callable[[int, int, str], None]


class TrainingConsole:
    """Blocking calls over the workflow of the training tab."""

    def __init__(self, training: TrainingWorkflow, process_events: Callable[[], None] | None = None) -> None:
        """
        Args:
            training: that does the work.
            process_events: of the application, called while waiting (``slicer.app.processEvents``).
        """
        self.training = training
        self._process_events = process_events

    def addToLibrary(
        self,
        volumeNode: Any,
        segmentationNode: Any = None,
        patient: str = "",
        library: Path | str | None = None,
        reviewer: str = "",
        reviewed: Iterable[int] | None = None,
        tags: Iterable[str] = (),
        replace: bool = False,
        segments: Mapping[str, str] | None = None,
    ) -> str:
        """Add a volume with its segmentation to the training library.

        Args:
            volumeNode: scalar volume of an LGE short-axis stack.
            segmentationNode: that holds its scar; the study's own one if None.
            patient: code of the patient, never the name; the next free one if empty.
            library: folder, made if it is missing; the one in use if None.
            reviewer: code of the reader.
            reviewed: numbers of the slices that are right, from 0; None for all.
            tags: words to find it by.
            segments: role (``scar``, ``myocardium``, ``blood_pool``, ``no_reflow``) to segment id; None for what they are called.
            replace: put it in the place of what the library has of it.

        Returns:
            Name of the case.

        Raises:
            MyoScarSegError: a sentence on what is wrong; the library is as before.
        """
        if volumeNode is None:
            raise MyoScarSegError(_("Give a volume node: there is none."))
        self._open(library, create=True)
        begun = self.training.cases.add_current(
            patient or self.training.cases.next_patient, reviewer=reviewer, reviewed=reviewed, tags=tags, segment_ids=segments,
            replace=replace, volume_node=volumeNode, segmentation_node=segmentationNode,
        )  # fmt: skip
        return str(self._result(begun)["case"])

    def importToLibrary(
        self,
        paths: Path | str | Sequence[Path | str],
        library: Path | str | None = None,
        patientPattern: str | None = None,
        labels: str | None = None,
    ) -> list[dict[str, Any]]:
        """Add the cases of a folder or saved scene, or of several.

        Returns:
            What became of each: ``source``, ``status``, ``case``, ``message``.

        Raises:
            MyoScarSegError: a sentence on what is wrong.
        """
        self._open(library, create=True)
        given = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
        return list(self._result(self.training.cases.import_cases(given, patientPattern, labels=labels))["cases"])

    def train(
        self,
        settings: TrainSettings | Mapping[str, Any] | None = None,
        wait: bool = False,
        progress: ProgressCall | None = None,
        library: Path | str | None = None,
    ) -> Run:
        """Train on the library, in a process of its own.

        Args:
            settings: what and how, as an object or a mapping of its fields; the defaults if None.
            wait: return when it has ended, the comparison with the model in use included.
            progress: called as ``progress(done, total, message)`` while waiting.
            library: folder; the one in use if None.

        Returns:
            The run: ``run.status()``, ``run.models()``.

        Raises:
            MyoScarSegError: a sentence on what is wrong; while waiting also if the training fails.
            Cancelled: it was cancelled while this waited.
        """
        self._open(library)
        chosen = settings if isinstance(settings, TrainSettings) else TrainSettings.from_json(dict(settings or {}))
        before = self.training.trainings.last_run
        run = self.training.trainings.train(chosen)
        if run is None:  # it cannot be begun, or the split is drawn first
            self._refuse()
            self._result(True)
            run = self.training.trainings.last_run
            if run is None or run is before:
                self._refuse()
                raise MyoScarSegError(_("The training was not begun."))
        if wait:
            self.wait(run, progress)
        return run

    def wait(self, run: Run, progress: ProgressCall | None = None) -> None:
        """Return when a training has ended.

        Raises:
            MyoScarSegError: it failed.
            Cancelled: it was cancelled.
        """
        told: Any = None
        while (status := run.status()).state is RunState.RUNNING:
            self._give_time()
            if progress is not None and (status.done, status.total, status.message) != told:
                told = (status.done, status.total, status.message)
                progress(*told)
            time.sleep(0.1)
        self.training.refresh()
        if status.state is RunState.CANCELLED:
            raise Cancelled(status.message)
        if status.state in (RunState.FAILED, RunState.INTERRUPTED):
            raise MyoScarSegError(status.error or status.message)

    def runs(self, library: Path | str | None = None) -> list[Run]:
        """All trainings of the library, newest first."""
        self._open(library)
        self.training.refresh()
        return list(self.training.state.runs)

    def compareRun(self, run: Run) -> dict[str, Any]:
        """Compare a training's model with the one in use, on its validation patients. Returns figures, cases and verdict.

        Raises:
            MyoScarSegError: a sentence on what is wrong.
        """
        return dict(self._result(self.training.trainings.compare(run)))

    def useModel(self, model: Run | str) -> str:
        """Segment with a model from now on: one by name, or a training's. Returns its name.

        Raises:
            MyoScarSegError: a sentence on what is wrong; the model in use stays.
        """
        if not self.training.models.use(model):
            self._refuse()
        while self.training.state.busy:
            self._give_time()
        self._refuse()
        return self.training.models.in_use[0]

    def _open(self, library: Path | str | None, *, create: bool = False) -> None:
        other = library is not None and Path(library) != self.training.state.folder
        if library is not None and other and not self.training.open_library(Path(library), create=create):
            self._refuse()
        kept = self.training.kept_folder
        if self.training.state.folder is None and (kept is None or not self.training.open_library(kept)):
            raise MyoScarSegError(_("Give the folder of the training library."))

    def _result(self, begun: bool) -> Any:
        task = self.training.last_task
        if not begun or task is None:
            self._refuse()
            raise MyoScarSegError(_("It was not begun."))
        while not task.finished:
            self._give_time()
        return task.value()

    def _refuse(self) -> None:
        if self.training.state.error:
            raise MyoScarSegError(self.training.state.error)

    def _give_time(self) -> None:
        self.training.pump()
        if self._process_events is not None:
            self._process_events()
        time.sleep(_PAUSE_S)
