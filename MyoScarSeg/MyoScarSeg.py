"""MyoScarSeg in 3D Slicer: propose boxes around myocardial scar on LGE MRI, segment it, correct it, measure it.

This file only ties the module to its library: what it does is in ``MyoScarSegLib`` (``scene`` for the scene, ``widgets`` for the
panel, ``engine`` for the process with the networks).
"""

import sys
from pathlib import Path

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

try:
    import MyoScarSegLib
except ImportError:  # in the source tree the library lies beside the module's folder
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    import MyoScarSegLib  # noqa: F401


class MyoScarSeg(ScriptedLoadableModule):
    """What the application knows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "MyoScarSeg"
        self.parent.categories = ["Cardiac", "Segmentation"]
        self.parent.dependencies = []
        self.parent.contributors = ["The MyoScarSeg contributors"]
        self.parent.helpText = _(
            "Segments myocardial scar on late gadolinium enhancement (LGE) short-axis MRI. Choose the volume, press Propose "
            "boxes, look through them, press Segment all, and correct what is wrong with boxes, points or brush. Volume and mass are "
            "measured as you work. The first use shows what has to be installed. For research, not for clinical decisions."
        )
        self.parent.acknowledgementText = _(
            "Built on 3D Slicer, SAM (Apache-2.0) and ultralytics YOLO (AGPL-3.0). The models were trained on EMIDEC."
        )


class MyoScarSegWidget(ScriptedLoadableModuleWidget):
    """Puts the panel into the module's place; the panel does the rest."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.panel = None

    def setup(self):
        """Build the panel, connected to everything: on a reload neither exit() nor enter() is called."""
        ScriptedLoadableModuleWidget.setup(self)
        from MyoScarSegLib.widgets.backend import shared
        from MyoScarSegLib.widgets.panel import Panel

        self.panel = Panel(shared())
        self.ui = self.panel.ui
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

    def setEditedNode(self, node, role="", context=""):
        """Work on a volume that the user asked to edit elsewhere in the application."""
        return self.panel is not None and self.panel.workflow.select(node)

    def nodeEditable(self, node):
        """How well the module suits a node, from 0 to 1; above plain volumes' own modules only if it was worked on here."""
        return 0.4 if node is not None and node.IsA("vtkMRMLScalarVolumeNode") else 0.0


class MyoScarSegLogic(ScriptedLoadableModuleLogic):
    """What scripts and Slicer's Python console call. Each call returns when its work is done; Slicer stays live meanwhile.

    ::

        logic = MyoScarSegLogic()
        logic.process(volumeNode)             # or proposeBoxes(volumeNode), then segment(volumeNode)
        logic.exportResults("/some/folder")

    The panel uses the same workflow: what a script does shows there, can be cancelled there, and is one step of its undo.
    """

    def __init__(self, parent=None):
        ScriptedLoadableModuleLogic.__init__(self, parent)

    @property
    def _console(self):
        from MyoScarSegLib.widgets.backend import shared

        return shared().console

    def proposeBoxes(self, volumeNode, progress=None):
        """Propose boxes around scar on every slice; see :meth:`MyoScarSegLib.scene.console.Console.proposeBoxes`."""
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

    def processFolder(self, inputDir, outputDir, progress=None):
        """Segment every study in a folder, without the scene. Returns ``{"case", "status", "message"}`` per study."""
        return self._console.processFolder(inputDir, outputDir, progress)

    def cancel(self):
        """Cancel the call that waits, from a timer, a button or ``progress``."""
        self._console.cancel()
