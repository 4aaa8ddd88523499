"""What is done with models: those of trainings are kept, used and exported, others come from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.errors import ModelError, MyoScarSegError
from MyoScarSegLib.models import DEFAULT_DETECTOR, DEFAULT_SEGMENTER, registry
from MyoScarSegLib.models.own import free_name
from MyoScarSegLib.scene.translation import _
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.utils.files import read_json

if TYPE_CHECKING:
    from MyoScarSegLib.scene.training.training_workflow import TrainingWorkflow


class TrainedModels:
    """The verbs of models."""

    def __init__(self, training: TrainingWorkflow) -> None:
        self._training = training

    @property
    def in_use(self) -> tuple[str, str]:
        """Names or paths of the segmenter and of the detector in use."""
        settings = self._training.workflow.settings
        return str(settings.segmenter or DEFAULT_SEGMENTER), str(settings.detector or DEFAULT_DETECTOR)

    def refresh(self) -> None:
        """Read which models there are, and which is in use."""
        self._training.update(models=tuple(registry().entries()), in_use=self.in_use)

    def use(self, model: Run | str) -> bool:
        """Segment with a model from now on: one by name, or a training's, which is kept under its name if it was not yet."""
        if isinstance(model, Run):
            return self._keep(model, None, then_use=True)
        try:
            entry = registry().entry(model)
        except MyoScarSegError as error:
            return self._training.failed(error)
        self._use_parts({"detector" if entry.task == "detect" else "segmenter": entry.name})
        return True

    def keep(self, run: Run, name: str) -> bool:
        """Keep a training's models under a name of their own."""
        return self._keep(run, name, then_use=False)

    def export_model(self, model: Run | str, folder: Path) -> bool:
        """Write a model, or those of a training, with their cards into a folder."""

        def done(_result: Any) -> None:
            self._training.say(note=_("Written to {folder}.").format(folder=folder))

        if isinstance(model, Run):
            return self._training.begin("run_export", {"run": str(model.folder), "folder": str(folder)}, "export", done)
        return self._training.begin("model_export", {"name": model, "folder": str(folder)}, "export", done)

    def import_model(self, file: Path, name: str = "") -> bool:
        """Take a model file from elsewhere among the user's own."""

        def done(result: Any) -> None:
            self._training.say(note=_("The model is here as {name}.").format(name=result["name"]))
            self.refresh()

        return self._training.begin("model_import", {"file": str(file), "name": name}, "import", done)

    def _keep(self, run: Run, name: str | None, *, then_use: bool) -> bool:
        files = run.models()
        if not files:
            return self._training.failed(_("The training {name} has no model that could be kept.").format(name=run.name))
        kept: dict[str, str] = {}
        pending: dict[str, dict[str, str]] = {}
        for part, file in files.items():
            known = self._known_as(file) if then_use else None
            if known is not None:
                kept[part] = known
                continue
            wanted = f"{name or run.name}-{part}" if len(files) > 1 else name or run.name
            pending[part] = {
                "model": str(file), "card": str(file.with_suffix(".json")),
                "name": wanted if name is not None else free_name(wanted),
            }  # fmt: skip

        def done_with(part: str) -> Callable[[Any], None]:
            def done(result: Any) -> None:
                kept[part] = str(result["name"])
                self._training.say(note=_("Kept as {names}.").format(names=", ".join(kept.values())))
                self.refresh()
                if then_use and len(kept) == len(files):
                    self._use_parts(kept)

            return done

        for part, arguments in pending.items():
            self._training.begin("model_keep", arguments, "keep", done_with(part))
        if then_use and not pending:
            self._use_parts(kept)
        return True

    @staticmethod
    def _known_as(file: Path) -> str | None:
        """Name under which this very file was kept already; its card says what it is, for to sum it takes a while."""
        try:
            card = read_json(file.with_suffix(".json"), ModelError)
        except ModelError:
            return None  # keeping it says what is wrong with it
        digest = card.get("sha256") if isinstance(card, dict) else None
        return next((entry.name for entry in registry().entries() if digest and entry.sha256 == digest), None)

    def _use_parts(self, parts: Mapping[str, str]) -> None:
        settings = self._training.workflow.settings
        for part, name in parts.items():
            settings = replace(settings, detector=name) if part == "detector" else replace(settings, segmenter=name)
        self._training.workflow.configure(settings)
        self._training.say(note=_("In use from now on: {names}.").format(names=", ".join(parts.values())))
        self.refresh()
