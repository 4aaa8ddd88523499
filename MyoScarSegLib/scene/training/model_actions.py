"""Models: those of trainings are kept, used and exported, others come from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from MyoScarSegLib.errors import ModelError, MyoScarSegError
from MyoScarSegLib.models import DEFAULT_SEGMENTER, Entry, registry
from MyoScarSegLib.models.own import free_name
from MyoScarSegLib.scene.notices import TrainChange
from MyoScarSegLib.scene.text import _
from MyoScarSegLib.scene.training.training_state import TrainingState
from MyoScarSegLib.training.runs.run import Run
from MyoScarSegLib.training.start_models import start_names
from MyoScarSegLib.utils.files import read_json


class ModelActions:
    """What is done with models."""

    def __init__(self, state: TrainingState) -> None:
        self._state = state

    @property
    def entries(self) -> list[Entry]:
        """All models that can be started from or used."""
        return list(registry().entries())

    @property
    def in_use(self) -> str:
        """Name or file name of the segmenter in use."""
        chosen = self._state.workflow.settings.segmenter
        return DEFAULT_SEGMENTER if chosen is None else start_names("segmenter", str(chosen))

    def use(self, model: Run | str) -> bool:
        """Segment with a model from now on: one by name, or a training's, which is kept under its name if it was not yet."""
        if isinstance(model, Run):
            return self._keep(model, None, then_use=True)
        try:
            entry = registry().entry(model)
        except MyoScarSegError as error:
            return self._state.failed(error)
        self._use_parts({"detector" if entry.task == "detect" else "segmenter": entry.name})
        return True

    def keep(self, run: Run, name: str) -> bool:
        """Keep a training's models under a name of their own."""
        return self._keep(run, name, then_use=False)

    def export_model(self, model: Run | str, folder: Path) -> bool:
        """Write a model, or those of a training, with their cards into a folder."""

        def done(_result: Any) -> None:
            self._state.notices.say_only(note=_("Written to {folder}.").format(folder=folder))

        if isinstance(model, Run):
            return self._state.do("run_export", {"run": str(model.folder), "folder": str(folder)}, "export", done)
        return self._state.do("model_export", {"name": model, "folder": str(folder)}, "export", done)

    def import_model(self, file: Path, name: str = "") -> bool:
        """Take a model file from elsewhere among the user's own."""

        def done(result: Any) -> None:
            self._state.notices.say_only(note=_("The model is here as {name}.").format(name=result["name"]))
            self._state.notices.tell(TrainChange.MODELS)

        return self._state.do("model_import", {"file": str(file), "name": name}, "import", done)

    # ---- inside

    def _keep(self, run: Run, name: str | None, *, then_use: bool) -> bool:
        files = run.models()
        if not files:
            return self._state.failed(_("The training {name} has no model that could be kept.").format(name=run.name))
        kept: dict[str, str] = {}
        waiting: dict[str, dict[str, str]] = {}
        for part, file in files.items():
            known = self._known_as(file) if then_use else None
            if known is not None:
                kept[part] = known
                continue
            wish = f"{name or run.name}-{part}" if len(files) > 1 else name or run.name
            waiting[part] = {
                "model": str(file), "card": str(file.with_suffix(".json")), "name": wish if name is not None else free_name(wish),
            }  # fmt: skip

        def done_with(part: str) -> Callable[[Any], None]:
            def done(result: Any) -> None:
                kept[part] = str(result["name"])
                self._state.notices.say_only(note=_("Kept as {names}.").format(names=", ".join(kept.values())))
                self._state.notices.tell(TrainChange.MODELS)
                if then_use and len(kept) == len(files):
                    self._use_parts(kept)

            return done

        for part, arguments in waiting.items():
            self._state.do("model_keep", arguments, "keep", done_with(part))
        if then_use and not waiting:
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
        settings = self._state.workflow.settings
        for part, name in parts.items():
            settings = replace(settings, detector=name) if part == "detector" else replace(settings, segmenter=name)
        self._state.workflow.configure(settings)
        self._state.notices.say_only(note=_("In use from now on: {names}.").format(names=", ".join(parts.values())))
        self._state.notices.tell(TrainChange.MODELS)
