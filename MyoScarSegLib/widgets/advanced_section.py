"""Models, device, cache, and the packages that the networks need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from MyoScarSegLib.engine_settings import EngineSettings
from MyoScarSegLib.installation.choices import Memory
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER
from MyoScarSegLib.scene.notices import Change
from MyoScarSegLib.utils.background_task import BackgroundTask
from MyoScarSegLib.utils.files import clear_embeddings, embeddings_bytes
from MyoScarSegLib.widgets.model_choice import ModelChoice
from MyoScarSegLib.widgets.panel_settings import ENGINE_WIDGETS, fill_form, on_edit, read_form
from MyoScarSegLib.widgets.section import SegmentSection, show_text
from MyoScarSegLib.widgets.text import _, devices


class AdvancedSection(SegmentSection):
    """The section *Advanced*."""

    watches = frozenset({Change.ENGINE})

    def bind(self) -> None:  # noqa: D102 (the base class describes it)
        ui = self.ui
        kept = self.settings.load(EngineSettings)
        self.detector = ModelChoice(ui.detectorCombo, ui.detectorInfo, "detect", DEFAULT_DETECTOR, kept.detector)
        self.segmenter = ModelChoice(ui.segmenterCombo, ui.segmenterInfo, "segment", DEFAULT_SEGMENTER, kept.segmenter)
        self._choices = self.detector, self.segmenter
        self._test: Any = None
        self._fetching: BackgroundTask | None = None
        for device, title in devices().items():
            ui.deviceCombo.addItem(title, device)
        fill_form(ui, ENGINE_WIDGETS, kept)
        on_edit(ui, ENGINE_WIDGETS, self._edited)
        self._kept = self.engine_settings()
        ui.importDetectorButton.connect("clicked()", lambda: self.ask_for_checkpoint(self.detector))
        ui.importSegmenterButton.connect("clicked()", lambda: self.ask_for_checkpoint(self.segmenter))
        ui.fetchModelButton.connect("clicked()", self.fetch)
        ui.deviceTestButton.connect("clicked()", self.test_device)
        ui.clearCacheButton.connect("clicked()", self.clear_cache)
        ui.dependenciesButton.connect("clicked()", self.tab.packages.show)
        ui.advancedSection.connect("contentsCollapsed(bool)", self._opened)
        ui.deviceInfo.visible = False
        self._show_models()
        self.workflow.set_automatic(waits=self.tab.packages.look())
        self.configure()

    def enter(self) -> None:
        """Say that a model is gone, or that an installation was broken off: by a crash, or by closing Slicer meanwhile."""
        self._say_gone()
        remembered = Memory().read()
        if remembered.unfinished and self.tab.packages.missing:
            actions = {"propose": self.tab.boxes.propose, "segment": self.tab.scar.segment_all}
            self.tab.packages.go_on_with(actions.get(remembered.action), remembered.action)
            self.tab.status.say_error(_("The installation of packages was not finished. Install goes on with it."))

    def cleanup(self) -> None:  # noqa: D102 (the base class describes it)
        fetching, self._fetching = self._fetching, None
        if fetching is not None:
            fetching.kill()
        self.tab.packages.close()

    def engine_settings(self) -> EngineSettings:
        """What the widgets say."""
        return read_form(self.ui, ENGINE_WIDGETS, EngineSettings(confidence=self.tab.boxes.confidence))

    def configure(self) -> None:
        """Give the workflow the settings, if they are new."""
        settings = self.engine_settings()
        self.settings.save(settings, self._kept)  # only what is another one: a model that is gone may come back, with its disk
        self._kept = settings
        if settings != self.workflow.settings:
            self.workflow.configure(settings)

    def follow_models(self) -> None:
        """Models were kept or removed, or another one was chosen, in the training tab or by a script."""
        self.detector.follow(self.workflow.settings.detector)
        self.segmenter.follow(self.workflow.settings.segmenter)
        self._say_gone()
        self._show_models()
        self.tab.boxes.show_confidence()
        self.configure()

    def _say_gone(self) -> None:
        """Say once that another model than the chosen one is used: removed, or on a disk that is not connected."""
        lines = []
        for choice in self._choices:
            if choice.gone:
                lines.append(
                    _("The model {gone} is not there any more; {instead} is used.").format(gone=choice.gone, instead=choice.name)
                )
                choice.gone = ""
        if lines:
            self.tab.status.say_error(" ".join(lines))

    def ready(self, then: Callable[[], object] | None = None, action: str = "") -> bool:
        """As :meth:`Packages.ready`."""
        ready = self.tab.packages.ready(then, action)
        self.workflow.set_automatic(waits=not ready)  # what nobody has asked for must not end in an error
        return ready

    def packages_changed(self) -> None:
        """Something was installed: look again, and start the worker that was stopped for it."""
        self.workflow.set_automatic(waits=self.tab.packages.look())
        self.tab.status.say_error("")
        self.workflow.forget_error()
        self.panel.engine.start()
        self.workflow.configure(self.engine_settings())  # which also prepares the slices that could not be until now
        self._show_packages()

    def ask_for_checkpoint(self, choice: ModelChoice) -> None:
        """Let the user choose a model file."""
        path = self.ask_for_file(_("Model file"), "checkpointFolder", choice.file_filter)
        if path is not None:
            choice.add_file(path)

    def fetch(self) -> None:
        """Download the chosen models that are not here, in a process of its own; press again to stop."""
        if self._fetching is not None:
            self._fetching.kill()  # what came so far stays, and is gone on with
            return
        names = [choice.name for choice in self._choices if choice.state == "missing"]
        if not names:
            return
        self.ui.fetchModelButton.text = _("Stop")
        self.tab.status.say_error("")
        slicer.util.showStatusMessage(_("Downloading {names} ...").format(names=", ".join(names)), 0)
        self._fetching = BackgroundTask("MyoScarSegLib.models", {"names": names}, "fetch")
        self._fetching.on_done(self._fetched)
        self._fetching.start(**self.panel.backend.processes)

    def _fetched(self, task: BackgroundTask) -> None:
        if self._fetching is None:  # the panel goes
            return
        self._fetching = None
        self.ui.fetchModelButton.text = _("Download")
        slicer.util.showStatusMessage("", 1)
        self.tab.status.say_error(task.error)
        self._ask_states()

    def _edited(self) -> None:
        """The user has changed a setting."""
        for choice in self._choices:
            choice.show()
        self._show_models()
        self.tab.boxes.show_confidence()
        self.configure()

    def _show_models(self) -> None:
        self.ui.fetchModelButton.visible = any(choice.state == "missing" for choice in self._choices)
        self.ui.trustCheckBox.visible = any(choice.is_file for choice in self._choices)

    def _opened(self, collapsed: bool) -> None:
        if not collapsed:
            self._ask_states()
            self._show_packages()
            self._show_cache()

    def _ask_states(self) -> None:
        """Which models are here: the worker knows, for it reads their checksums."""
        self.panel.engine.start()
        self.panel.engine.models().on_done(self._states_known)

    def _states_known(self, request: Any) -> None:
        if request.state == "done":
            for choice in self._choices:
                choice.show_states({model["name"]: model["state"] for model in request.result})
            self._show_models()

    def _show_packages(self) -> None:
        self.ui.dependenciesLabel.text = (
            _("Packages are missing.") if self.tab.packages.missing else _("All packages are installed.")
        )

    def test_device(self) -> None:
        """Run the scar model once on the chosen device."""
        if not self.ready():
            return
        self.configure()
        self.panel.engine.start()
        self.ui.deviceTestButton.enabled = False
        show_text(self.ui.deviceInfo, _("Testing ..."))
        self._test = self.panel.engine.device_test()
        self._test.on_done(self._tested)

    def _tested(self, request: Any) -> None:
        self.ui.deviceTestButton.enabled = True
        show_text(self.ui.deviceInfo, request.result["sentence"] if request.state == "done" else request.error or _("Cancelled."))

    def clear_cache(self) -> None:
        """Delete the embeddings on disk, those of trainings too; they are made anew when they are needed."""
        freed = clear_embeddings()
        self._show_cache()
        slicer.util.showStatusMessage(_("{size:.1f} GB of prepared slices were deleted.").format(size=freed / 1e9), 3000)

    def _show_cache(self) -> None:
        self.ui.clearCacheButton.text = _("Empty ({size:.1f} GB)").format(size=embeddings_bytes() / 1e9)
