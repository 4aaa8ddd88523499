"""The panel: both tabs, and what they share."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

import qt
import slicer

import MyoScarSegLib
from MyoScarSegLib.errors import MyoScarSegError, SceneError
from MyoScarSegLib.scene import terminology
from MyoScarSegLib.widgets.backend import Backend
from MyoScarSegLib.widgets.help_window import HelpWindow
from MyoScarSegLib.widgets.panel_settings import Settings
from MyoScarSegLib.widgets.segment_tab import SegmentTab
from MyoScarSegLib.widgets.text import _
from MyoScarSegLib.widgets.training.training_tab import TrainingTab
from MyoScarSegLib.widgets.views import Views

_log = logging.getLogger(__name__)
_OURS = tuple(MyoScarSegLib.__path__)
SEGMENT, TRAIN = 0, 1
"""The tabs."""


class Panel:
    """Holds the tabs, of which one is shown.

    Attributes:
        form: the widget to be put into the module's place: the tabs' headings, and under them the form of one tab.
        tabs: the headings; segment, training: the tabs.
        settings: what outlives the application.
        unexpected: what was raised and reached nobody.
        entered: whether the module is shown.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.workflow = backend.workflow
        self.engine = backend.engine
        self.settings = Settings()
        self.views = Views(self.workflow)
        self.help = HelpWindow(slicer.util.mainWindow())
        self.entered = False
        self.unexpected = Unexpected(self._say_unexpected)
        _register_terms()
        self.segment = SegmentTab(self)
        self._build_tabs()
        self._stop_fitting = backend.after_tick(self._fit_height)

    def enter(self) -> None:
        """The module is shown: keys and mouse are ours, and the likely volume is chosen if none is."""
        if self.entered:
            return
        self.entered = self.backend.attended = True
        self.backend.wake()
        self.show_tab(int(self.tabs.currentIndex))
        self.segment.enter()

    def exit(self) -> None:
        """Another module is shown."""
        if not self.entered:
            return
        self.entered = self.backend.attended = False
        self.training.show(False)
        self.segment.exit()

    def show_tab(self, index: int) -> None:
        """Show a tab, :data:`SEGMENT` or :data:`TRAIN`."""
        if self.tabs.currentIndex != index:
            self.tabs.setCurrentIndex(index)  # which calls this again
            return
        self.segment.show(index == SEGMENT)
        self.training.show(index == TRAIN)
        if index == SEGMENT:
            self.backend.training.trainings.hide_compared()

    def title_train_tab(self, title: str) -> None:
        """Have the training tab's heading say how far a training is."""
        if self.tabs.tabText(TRAIN) != title:
            self.tabs.setTabText(TRAIN, title)

    def cleanup(self) -> None:
        """Let go of application and workflow; the form goes with the module's place."""
        self.exit()
        self.unexpected.close()
        self.help.close()
        self._stop_fitting()
        self.segment.cleanup()
        self.training.cleanup()
        self.views.close()
        self.form.deleteLater()

    def _say_unexpected(self, why: str) -> None:
        sentence = _("Unexpected error: {why}. What you did last may not be complete. Copy log has what a report needs.")
        (self.training if self.training.shown else self.segment).status.say_error(str(MyoScarSegError(sentence.format(why=why))))

    def _build_tabs(self) -> None:
        """The headings, and under them both forms, of which one is shown: so the panel is as high as that one needs."""
        self.form = qt.QWidget()
        self.form.name = "MyoScarSegPanel"
        column = qt.QVBoxLayout(self.form)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.tabs = qt.QTabBar()
        self.tabs.name = "panelTabs"
        self.tabs.setExpanding(True)
        self.tabs.addTab(_("Segment"))
        self.tabs.addTab(_("Train"))
        self.tabs.setTabToolTip(SEGMENT, _("Find and draw scar in a study, correct it, measure it"))
        self.tabs.setTabToolTip(TRAIN, _("Teach the models with corrected studies, and choose the better one"))
        self.training = TrainingTab(self)
        for widget in (self.tabs, self.segment.form, self.training.form):
            column.addWidget(widget)
        self.training.show(False)
        self.tabs.connect("currentChanged(int)", self.show_tab)

    def _fit_height(self) -> None:
        """Ask for the height that wrapped texts need at this width.

        A minimum that Qt makes by itself counts one line of each, and a panel that is made as low as that cuts texts off and lays
        buttons over tables.
        """
        if self.form.visible:
            needed = self.form.heightForWidth(self.form.width)
            if needed > 0 and self.form.minimumHeight != needed:
                self.form.minimumHeight = needed


class Unexpected:
    """Exceptions that nobody expected: told to the user, not only to the log.

    What a slot, a timer or an observer of the scene raises, the application prints and forgets. All of it goes through
    ``sys.excepthook``, so this is the one place where it can be seen. It listens from its making to :meth:`close`.

    Attributes:
        log: the latest traceback, empty if there was none.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        """``tell("KeyError: 'k'")`` is called for each exception that came through this library."""
        self.log = ""
        self._tell: Callable[[str], None] | None = tell
        self._before: Any = sys.excepthook
        sys.excepthook = self._hook

    def close(self) -> None:
        """Listen no longer."""
        self._tell = None
        if sys.excepthook == self._hook:  # if not, somebody else's goes through ours, which does nothing any more
            sys.excepthook = self._before

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        self._before(kind, error, trace)
        places = [frame.f_code.co_filename for frame, _line in traceback.walk_tb(trace)]
        if self._tell is not None and issubclass(kind, Exception) and any(place.startswith(_OURS) for place in places):
            self.log = "".join(traceback.format_exception(kind, error, trace))
            self._tell(f"{kind.__name__}: {error}".splitlines()[0].rstrip(". "))


def _register_terms() -> None:
    """Have the terms for scar and its surroundings in the application's selector; the panel works without them."""
    logic = getattr(slicer.modules, "terminologies", None)
    if logic is not None:
        try:
            terminology.register(logic.logic())
        except SceneError as error:
            _log.warning("%s", error)
