"""MyoScarSeg in 3D Slicer: propose boxes around myocardial scar on LGE MRI, segment it, correct it, measure it.

This file only ties the module to its library: what it does is in ``MyoScarSegLib`` (``scene`` for the scene, ``widgets`` for the
panel, ``engine`` for the process with the networks).
"""

import importlib.util
import sys
import unittest
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
            "<p>Segments myocardial scar on late gadolinium enhancement (LGE) short-axis MRI. Choose the volume, press "
            "<i>Propose boxes</i>, look through them, press <i>Segment all</i>, and correct what is wrong with boxes, points or "
            "brush. Volume and mass are measured as you work. The second tab teaches the models with studies that you have "
            "corrected. The first use shows what has to be installed.</p>"
            "<p>Pages that come with the module: the button <b>?</b> has the keys, a quick start, and what helps when something "
            "is wrong. To try it: <i>Sample data</i>.</p>"
            "<p><b>For research, not for clinical decisions.</b></p>"
        )
        self.parent.acknowledgementText = _(
            "<p>Built on 3D Slicer, SAM (Apache-2.0) and ultralytics YOLO (AGPL-3.0); the method is that of YoloSAM (MICCAI "
            "2025). The models were trained on EMIDEC (Lalande et al., Data 2020, 5, 89; CC BY-NC-SA 4.0) and start from "
            "LiteMedSAM (Ma et al., Nature Communications 2024, 15, 654; Apache-2.0). CITATION.cff says how to cite.</p>"
        )
        slicer.app.connect("startupCompleted()", _join_other_modules)


def _join_other_modules():
    """Have the phantom in Sample Data, and our folders and menu in the tree of data, once all modules are there."""
    from MyoScarSegLib.widgets.sample_data import register

    register()
    plugin = Path(__file__).parent / "SubjectHierarchyPlugins" / "MyoScarSegSubjectHierarchyPlugin.py"
    slicer.qSlicerSubjectHierarchyScriptedPlugin(None).setPythonSource(str(plugin))


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

    The calls are those of :class:`MyoScarSegLib.scene.scene_console.Console` and
    :class:`MyoScarSegLib.scene.training.training_console.TrainingConsole`; ``help(logic.process)`` says more of one.

    The panel uses the same workflow: what a script does shows there, can be cancelled there, and is one step of its undo.
    """

    def __init__(self, parent=None):
        ScriptedLoadableModuleLogic.__init__(self, parent)

    def __getattr__(self, name):
        """A call of the consoles. Nothing of the library is loaded, and no worker prepared, before one is asked for."""
        if not name.startswith("_"):
            from MyoScarSegLib.widgets.backend import Backend, shared

            for console, of_class in Backend.CONSOLES.items():
                if hasattr(of_class, name):
                    return getattr(getattr(shared(), console), name)
        raise AttributeError(f"{type(self).__name__} has no call {name}")

    def __dir__(self):
        from MyoScarSegLib.widgets.backend import Backend

        calls = [name for of_class in Backend.CONSOLES.values() for name in dir(of_class) if not name.startswith("_")]
        return [*super().__dir__(), *calls]


class MyoScarSegTest(ScriptedLoadableModuleTest):
    """Starts the self-tests: phantom studies with known scar, every console call, and the panel's buttons."""

    def runTest(self, **_options):
        """All of them, as "Reload and Test" asks for."""
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(load_tests(unittest.defaultTestLoader, None, None))
        self.assertTrue(result.wasSuccessful(), f"{len(result.failures) + len(result.errors)} self-tests failed")


def load_tests(loader, _tests, _pattern):
    """What Python's test loader finds in this module: the self-tests one by one.

    They lie with all other tests: one folder up in the sources, beside this file in a build and when installed.
    """
    here = Path(__file__).resolve().parent
    path = next(folder / "Testing" / "self_test.py" for folder in (here, here.parent) if (folder / "Testing").is_dir())
    spec = importlib.util.spec_from_file_location("MyoScarSegSelfTest", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return loader.loadTestsFromTestCase(module.SelfTest)
