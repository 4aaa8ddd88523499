"""MyoScarSeg in 3D Slicer: propose boxes around myocardial scar on LGE MRI, segment it, correct it, measure it.

This file only ties the module to its library: what it does is in ``MyoScarSegLib`` (``scene`` for the scene, ``widgets`` for the
panel, ``engine`` for the process with the networks).
"""

import sys
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

try:
    import MyoScarSegLib
except ImportError:  # in the source tree the library lies beside the module's folder
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    import MyoScarSegLib  # noqa: F401

from MyoScarSegLib.utils.resources import resources_folder


class MyoScarSeg(ScriptedLoadableModule):
    """What the application knows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "MyoScarSeg"
        # In the source tree Slicer itself looks in another folder.
        self.parent.icon = qt.QIcon(str(resources_folder() / "Icons" / "MyoScarSeg.svg"))
        self.parent.categories = ["Cardiac", "Segmentation"]
        self.parent.dependencies = []
        self.parent.contributors = ["The MyoScarSeg contributors"]
        self.parent.helpText = _(
            "Segments myocardial scar on late gadolinium enhancement (LGE) short-axis MRI. Choose the volume, press Propose "
            "boxes, look through them, press Segment all, and correct what is wrong with boxes, points or brush. Volume and mass "
            "are measured as you work. The second tab teaches the models with studies that you have corrected. The first use "
            "shows what has to be installed. For research, not for clinical decisions."
        )
        self.parent.acknowledgementText = _(
            "Built on 3D Slicer, SAM (Apache-2.0) and ultralytics YOLO (AGPL-3.0). The models were trained on EMIDEC."
        )


class MyoScarSegWidget(ScriptedLoadableModuleWidget):
    """Puts the panel into the module's place; the panel does the rest."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.panel = None
        self.logic = MyoScarSegLogic()  # where slicer.util.getModuleLogic looks for it

    def setup(self):
        """Build the panel, connected to everything: on a reload neither exit() nor enter() is called."""
        ScriptedLoadableModuleWidget.setup(self)
        from MyoScarSegLib.widgets.backend import shared
        from MyoScarSegLib.widgets.panel import Panel

        self.panel = Panel(shared())
        self.ui = self.panel.segment.ui
        self.layout.addWidget(self.panel.form)
        if self.parent.isEntered:
            self.panel.enter()

    def enter(self):
        """The user comes to the module."""
        if self.panel is not None:
            self.panel.enter()

    def exit(self):
        """The user leaves the module."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self):
        """The module is unloaded or reloaded: leave nothing of ours connected, and end the worker."""
        if self.panel is not None:
            self.panel.cleanup()
            self.panel = None
        from MyoScarSegLib.widgets.backend import close_shared

        close_shared()

    def onReload(self):
        """Take up changes of the library, too: what is forgotten here is imported anew, old and new classes unmixed."""
        self.cleanup()
        for name in [name for name in sys.modules if name.split(".")[0] == "MyoScarSegLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class MyoScarSegLogic(ScriptedLoadableModuleLogic):
    """What scripts and Slicer's Python console call. Each call returns when its work is done; Slicer stays live meanwhile.

    ::

        logic = MyoScarSegLogic()
        logic.process(volumeNode)             # or proposeBoxes(volumeNode), then segment(volumeNode)
        logic.exportResults("/some/folder")

        logic.addToLibrary(volumeNode, patient="P001", library="/some/library")   # once it is corrected
        run = logic.train({"mode": "decoder", "preset": "balanced"}, wait=True)
        logic.useModel(run)

    The panel uses the same workflow: what a script does shows there, can be cancelled there, and is one step of its undo.
    """

    def __init__(self, parent=None):
        ScriptedLoadableModuleLogic.__init__(self, parent)

    @property
    def _console(self):
        from MyoScarSegLib.widgets.backend import shared

        return shared().console

    @property
    def _training(self):
        from MyoScarSegLib.widgets.backend import shared

        return shared().training_console

    def proposeBoxes(self, volumeNode, progress=None):
        """Propose boxes around scar on every slice; see :meth:`MyoScarSegLib.scene.scene_console.Console.proposeBoxes`."""
        return self._console.proposeBoxes(volumeNode, progress)

    def segment(self, volumeNode, segmentationNode=None, slices=None, progress=None):
        """Segment scar with the boxes and points there are. Returns the segmentation node."""
        return self._console.segment(volumeNode, segmentationNode, slices, progress)

    def process(self, volumeNode, progress=None):
        """Propose boxes and segment scar in them. Returns the segmentation node."""
        return self._console.process(volumeNode, progress)

    def exportResults(self, folder):
        """Write the results of all studies in the scene. Returns the folders of the studies."""
        return self._console.exportResults(folder)

    def processFolder(self, inputDir, outputDir, progress=None, threshold=None, growthMm=None):
        """Segment every study in a folder, without the scene. Returns ``{"case", "status", "message"}`` per study.

        Threshold and growth are those that the panel shows, unless they are given.
        """
        return self._console.processFolder(inputDir, outputDir, progress, threshold, growthMm)

    def addToLibrary(
        self, volumeNode, segmentationNode=None, patient="", library=None, reviewer="", reviewed=None, tags=(), replace=False
    ):
        """Add a volume with its corrected segmentation to the training library. Returns the case's name.

        ``patient`` is a code, never the name; ``library`` a folder, made if it is missing; see
        :meth:`MyoScarSegLib.scene.training.console.TrainingConsole.addToLibrary`.
        """
        return self._training.addToLibrary(
            volumeNode, segmentationNode, patient, library, reviewer=reviewer, reviewed=reviewed, tags=tags, replace=replace
        )

    def importToLibrary(self, paths, library=None, patientPattern=None):
        """Add the cases of folders and saved scenes to the training library. Returns what became of each."""
        return self._training.importToLibrary(paths, library, patientPattern)

    def train(self, settings=None, wait=False, progress=None, library=None):
        """Train on the library in a process of its own, which outlives Slicer. Returns the run; with ``wait`` when it has ended.

        ``settings`` maps what :class:`MyoScarSegLib.training.train_settings.TrainSettings` has; the defaults if None.
        """
        return self._training.train(settings, wait, progress, library)

    def runs(self, library=None):
        """All trainings of the library, newest first."""
        return self._training.runs(library)

    def compareRun(self, run):
        """Compare a training's model with the one in use on its validation patients. Returns figures, cases and verdict."""
        return self._training.compare(run)

    def useModel(self, model):
        """Segment with a model from now on: one by name, or a run's. Returns its name."""
        return self._training.useModel(model)

    def cancel(self):
        """Cancel the call that waits, from a timer, a button or ``progress``."""
        self._console.cancel()


class MyoScarSegTest(ScriptedLoadableModuleTest):
    """Self-tests on phantom studies with known scar: every console call, and the panel's buttons. Nothing is downloaded."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def test_panelWithoutVolume(self):
        """Nothing can be started without a volume, and the panel says what to do."""
        panel = self._panel()
        self.assertFalse(panel.segment.ui.proposeButton.enabled)
        self.assertIn("LGE", panel.segment.ui.statusLabel.text)

    def test_wrongVolumeIsASentence(self):
        """A volume of one slice gives a sentence, and the scene stays as it was."""
        import numpy as np

        panel = self._panel()
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "one slice")
        slicer.util.updateVolumeFromArray(volume, np.zeros((1, 16, 16)))
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        panel.segment.ui.volumeSelector.setCurrentNode(volume)
        self._until(lambda: panel.segment.ui.errorLabel.text)
        self.assertTrue(panel.segment.ui.errorLabel.text.endswith("."))
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)

    def test_consoleCalls(self):
        """Every call of the logic, in the order of the work."""
        import tempfile

        self._needNetworks()
        phantom, volume = self._phantom()
        logic = MyoScarSegLogic()
        told = []
        boxes = logic.proposeBoxes(volume, progress=lambda done, total, message: told.append((done, total, message)))
        self.assertGreater(len(boxes), 0)
        self.assertGreater(len(told), 0)
        best = int(phantom.scar.sum(axis=(1, 2)).argmax())
        segmentation = logic.segment(volume, slices=[best])
        self.assertTrue(segmentation.IsA("vtkMRMLSegmentationNode"))
        segmentation = logic.process(volume)
        found = self._volume_ml(segmentation, volume)
        self.assertGreater(found, 0.4 * phantom.scar_volume_ml)
        self.assertLess(found, 2.0 * phantom.scar_volume_ml)
        with tempfile.TemporaryDirectory() as folder:
            folders = logic.exportResults(folder)
            self.assertEqual(len(folders), 1)
            self.assertTrue((Path(folder) / "results.csv").is_file())

    def test_folderOfStudies(self):
        """A folder with one study, in a process of its own."""
        import tempfile

        self._needNetworks()
        from MyoScarSegLib.phantom import PhantomSettings, make_phantom
        from MyoScarSegLib.study.writer import write_volume

        study = make_phantom(7, settings=PhantomSettings(slices=3)).study
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "in").mkdir()
            write_volume(Path(folder) / "in" / "study.nrrd", study.voxels, study)
            outcomes = MyoScarSegLogic().processFolder(Path(folder) / "in", Path(folder) / "out")
            self.assertEqual([outcome["status"] for outcome in outcomes], ["done"])
            self.assertTrue((Path(folder) / "out" / "results.csv").is_file())
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)

    def test_buttons(self):
        """Propose, review, segment, threshold, undo and clear, as a user presses them."""
        self._needNetworks()
        panel = self._panel()
        _phantom, volume = self._phantom()
        panel.segment.ui.volumeSelector.setCurrentNode(volume)
        self._until(lambda: panel.workflow.session is not None)
        self._until(lambda: panel.segment.ui.proposeButton.enabled)
        panel.segment.ui.proposeButton.click()
        self._until(lambda: not panel.workflow.busy)
        self.assertEqual(panel.workflow.error, "")
        self._until(lambda: panel.segment.ui.boxTable.rowCount > 0)
        panel.segment.boxes.review(1)
        self._until(lambda: panel.segment.ui.acceptBoxButton.enabled)
        accepted = panel.segment.boxes.selected
        panel.segment.ui.acceptBoxButton.click()
        self.assertEqual(panel.workflow.session.box(accepted).state.value, "accepted")
        self._until(lambda: panel.segment.ui.segmentAllButton.enabled)
        panel.segment.ui.segmentAllButton.click()
        self._until(lambda: not panel.workflow.busy)
        self.assertEqual(panel.workflow.error, "")
        before = panel.workflow.session.mask().sum()
        self.assertGreater(before, 0)
        self._until(lambda: float(panel.segment.ui.volumeMlLabel.text) > 0)
        panel.segment.ui.thresholdSlider.value = 0.8
        self.assertLess(panel.workflow.session.mask().sum(), before)
        self._until(lambda: panel.segment.ui.undoButton.enabled)
        panel.segment.ui.undoButton.click()
        self.assertEqual(panel.workflow.session.mask().sum(), before)
        panel.segment.ui.clearButton.click()
        self.assertEqual(panel.workflow.session.mask().sum(), 0)

    def test_training(self):
        """Three phantoms into a library, a training of one epoch, and its model in use."""
        import tempfile

        self._needNetworks()
        from MyoScarSegLib.phantom import PhantomSettings, make_phantom
        from MyoScarSegLib.scene.lge_volumes import add_study
        from MyoScarSegLib.scene.study_session import StudySession

        panel = self._panel()
        before = panel.workflow.settings
        logic = MyoScarSegLogic()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for number in range(3):
                phantom = make_phantom(20 + number, settings=PhantomSettings(slices=3, slice_spacing_mm=20.0))
                volume = add_study(slicer.mrmlScene, phantom.study, f"phantom {number}")
                session = StudySession.open(volume)
                session.segmentation.write_slices({k: phantom.scar[k] for k in range(3)})
                session.refresh()
                case = logic.addToLibrary(volume, library=Path(folder) / "library", reviewer="test")
                self.assertEqual(case, f"P{number + 1:03d}")
            told = []
            settings = {"preset": "quick", "epochs": 1, "options": {"copies": 1, "evaluate_every": 1}}
            run = logic.train(settings, wait=True, progress=lambda done, total, message: told.append(message))
            self.assertEqual(run.status().state.value, "finished")
            self.assertGreater(len(told), 0)
            self.assertEqual([one.name for one in logic.runs()], [run.name])
            self.assertEqual(len(panel.backend.training.state.comparison["cases"]), 1)
            name = logic.useModel(run)
            try:
                self.assertEqual(panel.workflow.settings.segmenter, name)
            finally:
                from MyoScarSegLib.models.own import remove

                panel.workflow.configure(before)
                remove(name)

    def test_sceneClosedInMidWork(self):
        """Closing the scene while boxes are proposed leaves an empty panel and no error."""
        self._needNetworks()
        panel = self._panel()
        _phantom, volume = self._phantom()
        panel.workflow.select(volume)
        panel.workflow.propose()
        slicer.mrmlScene.Clear(0)
        self._until(lambda: panel.workflow.session is None and panel.segment.ui.boxTable.rowCount == 0)
        self.assertEqual(panel.workflow.busy, "")

    def _panel(self):
        widget = slicer.util.getModuleWidget("MyoScarSeg")
        widget.enter()
        self._until(lambda: True)
        return widget.panel

    def _phantom(self):
        from MyoScarSegLib.phantom import PhantomSettings, make_phantom
        from MyoScarSegLib.scene.lge_volumes import add_study

        phantom = make_phantom(11, settings=PhantomSettings(slices=4, slice_spacing_mm=20.0))
        return phantom, add_study(slicer.mrmlScene, phantom.study, "LGE PSIR phantom")

    def _volume_ml(self, segmentation, volume):
        import numpy as np

        segment = segmentation.GetSegmentation().GetSegmentIdBySegmentName("Scar")
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume).sum()
        return float(voxels * np.prod(volume.GetSpacing()) / 1000.0)

    def _needNetworks(self):
        from MyoScarSegLib.installation.requirements import missing_now

        missing = missing_now()
        if missing:
            self.skipTest("not installed: " + ", ".join(requirement.name for requirement in missing))

    def _until(self, condition, seconds=300):
        import time

        end = time.monotonic() + seconds
        while True:
            for _turn in range(3):  # what has changed is shown at the next turn of the panel's timer
                slicer.app.processEvents()
                time.sleep(0.02)
            if condition():
                return
            self.assertLess(time.monotonic(), end, "took too long")
