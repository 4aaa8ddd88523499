"""Correcting by hand: the Segment Editor within the panel, or its own module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qt
import slicer

from MyoScarSegLib.scene.observers import Observers

if TYPE_CHECKING:
    from MyoScarSegLib.widgets.segment_tab import SegmentTab

_EFFECTS = ["Paint", "Erase", "Draw", "Islands", "Smoothing", "Scissors"]


class HandEditor:
    """The embedded editor, made when its box is first opened.

    Its own keys are not installed: some are the module's (Ctrl+Z), and of two equal shortcuts Qt triggers neither.
    """

    def __init__(self, tab: SegmentTab) -> None:
        self._tab = tab
        self._editor: Any = None
        self._observers = Observers()
        self._observers.add(tab.workflow.scene, slicer.vtkMRMLScene.StartCloseEvent, self._scene_closes)
        tab.ui.editorGroup.connect("toggled(bool)", self._toggled)

    @property
    def widget(self) -> Any:
        """The ``qMRMLSegmentEditorWidget``, None before it is needed."""
        return self._editor

    def refresh(self) -> None:
        """Give the editor the study's segmentation, if it is open."""
        self._tab.ui.editorGroup.enabled = self._tab.workflow.session is not None
        if self._editor is None:
            return
        session = self._tab.workflow.session
        if session is not None and self._tab.ui.editorGroup.checked:
            session.segmentation.ensure_node()  # made when something is written; to paint on an empty study, make it now
        node = self._tab.scar.node
        volume_node = None if session is None else session.volume_node
        if self._editor.segmentationNode() is not node:
            self._editor.setActiveEffect(None)
            self._editor.setSegmentationNode(node)
            self._editor.setSourceVolumeNode(volume_node)
            if node is not None and session is not None:
                self._editor.setCurrentSegmentID(session.segmentation.segment_id)

    @property
    def painting(self) -> bool:
        """Whether a brush is in hand."""
        return self._editor is not None and self._editor.activeEffect() is not None

    def rest(self) -> None:
        """Lay the brush down: another tool is taken up."""
        if self._editor is not None:
            self._editor.setActiveEffect(None)

    def enter(self) -> None:
        """The module is shown."""
        if self._editor is not None:
            self._editor.setupViewObservations()
            self._editor.updateWidgetFromMRML()

    def exit(self) -> None:
        """Another module is shown: no brush of ours stays in the views."""
        if self._editor is not None:
            self._editor.setActiveEffect(None)
            self._editor.removeViewObservations()

    def cleanup(self) -> None:
        """Let go of the scene."""
        self._observers.clear()
        if self._editor is not None:
            self.exit()
            self._editor.setSegmentationNode(None)

    def _scene_closes(self, _scene: Any) -> None:
        if self._editor is not None:
            self.exit()
            self._editor.setSegmentationNode(None)
            self._editor.setSourceVolumeNode(None)

    def open_module(self) -> None:
        """Go to the Segment Editor module with this study's segmentation and volume."""
        session, node = self._tab.workflow.session, self._tab.scar.node
        if session is None or node is None:
            return
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(session.volume_node)
        editor.setCurrentSegmentID(session.segmentation.segment_id)
        editor.mrmlSegmentEditorNode().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)

    def _toggled(self, opened: bool) -> None:
        if not opened:
            self.exit()
        elif self._editor is None:
            self._make()
        else:
            self.refresh()
            self.enter()

    def _make(self) -> None:
        scene = self._tab.workflow.scene
        node = scene.GetSingletonNode("MyoScarSeg", "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag("MyoScarSeg")
            node.SetHideFromEditors(True)
            node = scene.AddNode(node)
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)  # scar lies in the wall: both keep their pixels
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.segmentationNodeSelectorVisible = False
        editor.sourceVolumeNodeSelectorVisible = False
        editor.switchToSegmentationsButtonVisible = False
        editor.addRemoveSegmentButtonsVisible = False
        editor.specifyGeometryButtonVisible = False
        editor.show3DButtonVisible = False
        editor.setEffectNameOrder(_EFFECTS)
        editor.unorderedEffectsVisible = False
        editor.undoEnabled = False  # there is one undo, the panel's, and it goes back over the brush as well
        editor.setMRMLScene(scene)
        editor.setMRMLSegmentEditorNode(node)
        # It asks for 500 pixels once a brush is in hand; the panel keeps the width that the reader gave it.
        editor.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
        self._tab.ui.editorGroup.layout().addWidget(editor)
        self._editor = editor
        self.refresh()
        if self._tab.panel.entered:
            self.enter()
