"""MyoScarSeg in Slicer's tree of data: a study's folder has its icon, and *Segment scar* is in the menu of volumes."""

import qt
import slicer
from slicer.i18n import tr as _
from SubjectHierarchyPlugins import AbstractScriptedSubjectHierarchyPlugin

from MyoScarSegLib.scene.study_folder import is_study_folder
from MyoScarSegLib.utils.resources import resources_folder


class MyoScarSegSubjectHierarchyPlugin(AbstractScriptedSubjectHierarchyPlugin):
    """Owns the folders of studies; Slicer asks it by these names, and makes it from this file's path."""

    filePath = __file__

    def __init__(self, scriptedPlugin):
        scriptedPlugin.name = "MyoScarSeg"
        AbstractScriptedSubjectHierarchyPlugin.__init__(self, scriptedPlugin)
        self._icon = qt.QIcon(str(resources_folder() / "Icons" / "MyoScarSeg.svg"))
        self.segment_action = qt.QAction(self._icon, _("Segment scar..."), scriptedPlugin)
        self.segment_action.name = "segmentScarAction"
        self.segment_action.connect("triggered()", self.open_volume)

    def canOwnSubjectHierarchyItem(self, itemID):
        """How sure it is that the item is ours: surer than Slicer's owner of folders (1), or Slicer would ask the user."""
        return 1.1 if is_study_folder(slicer.mrmlScene.GetSubjectHierarchyNode(), itemID) else 0.0

    def roleForPlugin(self):
        """What its items are."""
        return "MyoScarSeg study"

    def helpText(self):
        """For the help of the module Data."""
        return _("<p><b>MyoScarSeg</b>: a study's boxes, points, walls, scar and tables lie together in a folder.</p>")

    def icon(self, itemID):
        """Of one of its items; an empty one for others."""
        return self._icon if self.canOwnSubjectHierarchyItem(itemID) else qt.QIcon()

    def tooltip(self, itemID):
        """Of one of its items."""
        return _("What MyoScarSeg made for this volume") if self.canOwnSubjectHierarchyItem(itemID) else ""

    def getDisplayVisibility(self, itemID):
        """As of any folder: 0, 1, or 2 where its items differ."""
        return _folders().getDisplayVisibility(itemID)

    def setDisplayVisibility(self, itemID, visible):
        """As of any folder."""
        _folders().setDisplayVisibility(itemID, visible)

    def itemContextMenuActions(self):
        """What it adds to the menus of items."""
        return [self.segment_action]

    def showContextMenuActionsForItem(self, itemID):
        """Show *Segment scar* for gray-value volumes alone."""
        if _volume(itemID) is not None:
            self.segment_action.visible = True

    def open_volume(self):
        """Go to the module with the volume whose menu it was."""
        volume = _volume(slicer.qSlicerSubjectHierarchyPluginHandler.instance().currentItem())
        if volume is not None:
            slicer.util.selectModule("MyoScarSeg")
            slicer.util.getModuleWidget("MyoScarSeg").ui.volumeSelector.setCurrentNode(volume)


def _folders():
    return slicer.qSlicerSubjectHierarchyPluginHandler.instance().pluginByName("Folder")


def _volume(item):
    """The gray-value volume of an item, or None."""
    node = slicer.mrmlScene.GetSubjectHierarchyNode().GetItemDataNode(item) if item else None
    return node if node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode" else None
