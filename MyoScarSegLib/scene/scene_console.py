"""The calls of a script or of Slicer's Python console: each returns when its work is done.

They use the same :class:`~MyoScarSegLib.scene.workflow.Workflow` as the panel, so what they do shows there, is one undo entry,
and can be cancelled there. While they wait, the workflow is pumped and the application's events are processed.
Names are in Slicer's style, because Slicer users call them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import MyoScarSegError, SceneError
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.result import check_threshold
from MyoScarSegLib.scene.export import export_scene
from MyoScarSegLib.scene.mask_steps import check_growth
from MyoScarSegLib.scene.study_session import StudySession
from MyoScarSegLib.scene.study_state import StudyState
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.scene.ventricle_steps import turn_septum
from MyoScarSegLib.scene.workflow import Workflow
from MyoScarSegLib.study.names import case_name
from MyoScarSegLib.utils.task import Task
from MyoScarSegLib.utils.transport import SubprocessTransport, TransportFactory

if TYPE_CHECKING:
    from MyoScarSegLib.quantification.measurements import Measurements

_PAUSE_S = 0.005


class Console:
    """Blocking calls over a workflow."""

    def __init__(
        self,
        workflow: Workflow,
        process_events: Callable[[], None] | None = None,
        *,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
        transport: TransportFactory = SubprocessTransport,
    ) -> None:
        """``process_events`` of the application is called while waiting; ``python`` (this process's own if None), its
        ``environment`` and ``transport`` are for the process of :meth:`processFolder`.
        """
        self.workflow = workflow
        self._process_events = process_events
        self._python = python
        self._environment = environment
        self._transport = transport
        self._folder_run: Any = None

    def proposeBoxes(self, volumeNode: Any, progress: Callable[[int, int, str], None] | None = None) -> list[Box]:
        """Propose boxes around scar on every slice of a volume, as *Propose boxes* in the panel does.

        Args:
            volumeNode: scalar volume of an LGE short-axis stack.
            progress: called as ``progress(done, total, message)``.

        Returns:
            All boxes of the study: the new proposals, and those that were accepted, rejected or drawn before.

        Raises:
            MyoScarSegError: a sentence on what is wrong; the scene is as before.
            Cancelled: :meth:`cancel` was called, or *Cancel* pressed.
        """
        session = self._select(volumeNode)
        self._wait(session.requests.propose(), progress)
        return [row.box for row in session.state.boxes]

    def segment(
        self,
        volumeNode: Any,
        segmentationNode: Any = None,
        slices: Iterable[int] | None = None,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> Any:
        """Segment scar with the boxes and points that the volume's study has.

        Args:
            volumeNode: scalar volume of an LGE short-axis stack.
            segmentationNode: where the segment "Scar" goes; its other segments stay. The study's own one if None.
            slices: slice indices, counted from 0; all if None.
            progress: called as ``progress(done, total, message)``.

        Returns:
            The segmentation node. Slices that the user painted in are kept as they are.

        Raises:
            MyoScarSegError: as of :meth:`proposeBoxes`.
            Cancelled: as of :meth:`proposeBoxes`.
        """
        session = self._select(volumeNode)
        if segmentationNode is not None:
            session.use_segmentation(segmentationNode)
        self._wait(session.requests.segment(slices), progress)
        return session.segmentation.ensure_node()

    def process(self, volumeNode: Any, progress: Callable[[int, int, str], None] | None = None) -> Any:
        """Propose boxes and segment scar in them: both clicks in one call. Returns the segmentation node; errors as above."""
        session = self._select(volumeNode)
        self._wait(session.requests.process(), progress)
        return session.segmentation.ensure_node()

    def proposeWalls(self, volumeNode: Any, progress: Callable[[int, int, str], None] | None = None) -> Any:
        """Propose the left ventricle's wall and blood pool and the insertion points; what the reader drew and set stays.

        Returns the segmentation node, with the segments *LV myocardium* and *LV blood pool*; arguments and errors as of
        :meth:`proposeBoxes`.
        """
        session = self._select(volumeNode)
        self._wait(session.requests.propose_wall(), progress)
        return session.segmentation.ensure_node()

    def rotateInsertionPoints(self, volumeNode: Any, degrees: float) -> None:
        """Set the right ventricle's insertion points by an angle, as ``myoscarseg report --rotation`` does. One step to undo.

        Args:
            volumeNode: scalar volume of an LGE short-axis stack whose study has a wall.
            degrees: from where the patient's axes have the septum; positive turns it towards the inferior wall.

        Raises:
            MyoScarSegError: there is no wall, none that is whole on a slice, or no spacing.
        """
        session = self._select(volumeNode)
        turn_septum(session, degrees)

    def measurements(self, volumeNode: Any) -> Measurements:
        """All numbers of scar burden of a volume's study, as it is: see
        :class:`~MyoScarSegLib.quantification.measurements.Measurements`. What needs a wall is None without one, and ``missing``
        says why.

        Raises:
            MyoScarSegError: a sentence on what is wrong.
        """
        session = self._select(volumeNode)
        session.refresh()
        return session.measurements

    def report(
        self,
        volumeNode: Any,
        folder: str | Path,
        withPatientName: bool = False,
        dicom: bool = False,
        pseudonym: str | bool = False,
    ) -> Path:
        """Write the report of a volume's study: ``report.html``, ``report.pdf`` and ``measurements.json`` in a folder of its own,
        and the tables over all reports of ``folder`` beside it.

        Args:
            volumeNode: scalar volume of an LGE short-axis stack, segmented.
            folder: made if it is not there.
            withPatientName: print name, ID and dates, as the scene says them; the case's name alone if not.
            dicom: write ``segmentation.dcm`` and ``report.dcm``, too, for a volume from Slicer's DICOM database. They carry the
                patient's name and ID of the source, so that they can be archived.
            pseudonym: names the report instead of the case, and replaces the patient in the DICOM files: letters, digits, ``_``,
                ``-`` and ``.``; True for the case's name.

        Returns:
            The study's folder.

        Raises:
            MyoScarSegError: there is nothing to report yet, or the pseudonym is none.
            OutputError: the folder cannot be written; or the DICOM files cannot, and the rest of the report is written.
        """
        if pseudonym and withPatientName:
            raise SceneError(_("A report has the patient's name or a pseudonym, not both."))
        if isinstance(pseudonym, str) and pseudonym and case_name(Path(pseudonym)) != pseudonym:
            sentence = _("The pseudonym {name} must be letters, digits, '_', '-' and '.'.")
            raise SceneError(sentence.format(name=repr(pseudonym)))
        session = self._select(volumeNode)
        task = session.requests.report(Path(folder), with_name=withPatientName, dicom=dicom, pseudonym=pseudonym)
        self._wait(task, None)
        return Path(str(task.result))

    def exportResults(self, folder: str | Path) -> list[Path]:
        """Write the results of all studies in the scene, as ``myoscarseg segment`` writes them.

        ``results.csv`` and ``slices.csv`` over all, and per study a folder with boxes, points, mask, probabilities and numbers.

        Args:
            folder: made if it is not there.

        Returns:
            The folders of the studies.

        Raises:
            MyoScarSegError: no study was segmented yet.
            OutputError: the folder cannot be written.
        """
        return export_scene(self.workflow.scene, Path(folder))

    def processFolder(
        self,
        inputDir: str | Path,
        outputDir: str | Path,
        progress: Callable[[int, int, str], None] | None = None,
        threshold: float | None = None,
        growthMm: float | None = None,
        workers: int = 1,
        resume: bool = False,
    ) -> list[dict[str, str]]:
        """Segment every study in a folder, in a process of its own; nothing comes into the scene.

        Args:
            inputDir: volume files, and folders of DICOM files or pictures.
            outputDir: as of ``myoscarseg segment``: a folder per study, ``results.csv`` and ``slices.csv``.
            progress: called as ``progress(done, total, message)``.
            threshold: probability from which on a pixel counts as scar; that of the study in the panel if None.
            growthMm: by which masks are grown, or below 0 shrunk, in the slice; that of the study in the panel if None.
            workers: processes on this computer; more than one need the package ``distributed`` in Slicer's Python.
            resume: keep a record of each study in ``outputDir``, so that *Review* can open it, and segment only what has none
                there or has changed since.

        Returns:
            ``{"case", "status", "message"}`` per study; a failure of one costs the others nothing. After a cancel the later ones
            have the status ``cancelled``.

        Raises:
            MyoScarSegError: there is nothing to read, or the process fails as a whole.
        """
        from MyoScarSegLib.engine.process_folder import folder_task, study_inputs

        if self._folder_run is not None:
            raise MyoScarSegError(_("Another folder is being processed. Wait for it, or cancel it."))
        if workers < 1:
            raise MyoScarSegError(_("workers must be 1 or more."))
        inputs = [Path(inputDir)] if resume else study_inputs(Path(inputDir))
        shown = StudyState() if self.workflow.session is None else self.workflow.session.state
        run = self._folder_run = folder_task(
            inputs,
            Path(outputDir),
            self.workflow.settings,
            threshold=check_threshold(shown.threshold if threshold is None else threshold),
            growth_mm=check_growth(shown.growth_mm if growthMm is None else growthMm),
            workers=workers,
            resume=resume,
        )
        try:
            run.start(python=self._python, environment=self._environment, transport=self._transport)
            told = None
            while not run.poll():
                self._give_time()
                if progress is not None and run.progress != told:
                    told = run.progress
                    progress(told.done, told.total, told.message)
        finally:
            run.kill()
            self._folder_run = None
        outcomes: list[dict[str, str]] = run.value()
        return outcomes

    def cancel(self) -> None:
        """Cancel the call that waits. To be called from what runs meanwhile: ``progress``, a timer, a button."""
        self.workflow.cancel()
        if self._folder_run is not None:
            self._folder_run.cancel()

    def _select(self, volume_node: Any) -> StudySession:
        if volume_node is None:
            raise MyoScarSegError(_("Give a volume node: there is none."))
        if not self.workflow.select(volume_node) or self.workflow.session is None:
            raise MyoScarSegError(self.workflow.error)
        return self.workflow.session

    def _wait(self, action: Task, progress: Callable[[int, int, str], None] | None) -> None:
        told: tuple[int, int, str] | None = None
        while not action.finished:
            self._give_time()
            done, total, message, _left = self.workflow.progress
            if progress is not None and message and (done, total, message) != told:
                told = (done, total, message)
                progress(*told)
        action.value()  # raises why it has failed or was cancelled

    def _give_time(self) -> None:
        self.workflow.pump()
        if self._process_events is not None:
            self._process_events()
        time.sleep(_PAUSE_S)
