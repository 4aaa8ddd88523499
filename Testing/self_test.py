"""The module's self-tests, in a real Slicer or on stand-ins of it; ``MyoScarSeg.py`` starts them.

Phantom studies with known scar, every console call, and the panel's buttons. Nothing is downloaded. They need no package but what
Slicer has, for they are installed with the extension.
"""

import tempfile
import unittest
from pathlib import Path

import slicer


class SelfTest(unittest.TestCase):
    """Each test begins with an empty scene."""

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

    def test_sampleData(self):
        """The module Sample Data offers the phantom, and it is a study."""
        sources = {source.sampleName: source for source in slicer.modules.sampleDataSources["MyoScarSeg"]}
        self.assertEqual(sorted(sources), ["LGEEmidec", "LGEPhantom"])
        (node,) = sources["LGEPhantom"].customDownloader(sources["LGEPhantom"])
        panel = self._panel()
        self._until(lambda: panel.workflow.volume_node is node)

    def test_consoleCalls(self):
        """Every call of the logic, in the order of the work."""
        self._needNetworks()
        phantom, volume = self._phantom()
        logic = self._panelLogic()
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
        self._needNetworks()
        from MyoScarSegLib.phantom import PhantomSettings, make_phantom
        from MyoScarSegLib.study.writer import write_volume

        study = make_phantom(7, settings=PhantomSettings(slices=3)).study
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "in").mkdir()
            write_volume(Path(folder) / "in" / "study.nrrd", study.voxels, study)
            outcomes = self._panelLogic().processFolder(Path(folder) / "in", Path(folder) / "out")
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
        self.assertEqual(panel.workflow.session.state.box(accepted).state.value, "accepted")
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
        self._needNetworks()
        from MyoScarSegLib.phantom import PhantomSettings, make_phantom
        from MyoScarSegLib.scene.lge_volumes import add_study
        from MyoScarSegLib.scene.study_session import StudySession

        panel = self._panel()
        before = panel.workflow.settings
        logic = self._panelLogic()
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
        panel.workflow.session.requests.propose()
        slicer.mrmlScene.Clear(0)
        self._until(lambda: panel.workflow.session is None and panel.segment.ui.boxTable.rowCount == 0)
        self.assertEqual(panel.workflow.busy, "")

    def _panelLogic(self):
        return slicer.util.getModuleWidget("MyoScarSeg").logic

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
