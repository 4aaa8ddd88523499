"""The few CTK widgets of the panel."""

from __future__ import annotations

from PySide6.QtCore import Property, QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractButton,
    QDoubleSpinBox,
    QGroupBox,
    QHBoxLayout,
    QSlider,
    QStyle,
    QStyleOption,
    QStyleOptionButton,
    QWidget,
)

_HEADER = 24


class ctkCollapsibleButton(QAbstractButton):
    """A heading that hides what is under it."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsed = self._forcing = False
        self.setContentsMargins(0, _HEADER, 0, 0)
        self.clicked.connect(lambda: self._collapse(not self._collapsed))

    def _collapse(self, on: bool) -> None:
        if on != self._collapsed:
            self._collapsed = on
            self._show_children()
            self.contentsCollapsed.emit(on)

    def childEvent(self, event: object) -> None:
        """As CTK does: what is hidden on purpose stays hidden when the section is opened."""
        child = event.child()
        if event.type() == QEvent.Type.ChildAdded and isinstance(child, QWidget):
            child.installEventFilter(self)
        super().childEvent(event)

    def eventFilter(self, child: object, event: object) -> bool:
        kind = event.type()
        if not self._forcing and kind in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent):
            child.setProperty("visibilityToParent", kind == QEvent.Type.ShowToParent)
            if kind == QEvent.Type.ShowToParent and self._collapsed:
                self._show_child(child)
        return False

    def _show_child(self, child: QWidget) -> None:
        self._forcing = True
        child.setVisible(not self._collapsed and child.property("visibilityToParent") is not False)
        child.setAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)
        self._forcing = False

    def _show_children(self) -> None:
        for child in self.children():
            if isinstance(child, QWidget):
                self._show_child(child)
        self.setMaximumHeight(_HEADER if self._collapsed else 16777215)
        self.updateGeometry()

    def showEvent(self, event: object) -> None:
        if self._collapsed:
            self._show_children()

    collapsed = Property(bool, lambda self: self._collapsed, lambda self, on: self._collapse(on))

    def sizeHint(self) -> QSize:
        if self._collapsed or self.layout() is None:
            return QSize(120, _HEADER)
        return self.layout().totalSizeHint()

    def minimumSizeHint(self) -> QSize:
        if self._collapsed or self.layout() is None:
            return QSize(80, _HEADER)
        return self.layout().totalMinimumSize()

    def hasHeightForWidth(self) -> bool:
        return not self._collapsed and self.layout() is not None and self.layout().hasHeightForWidth()

    def heightForWidth(self, width: int) -> int:
        return self.layout().totalHeightForWidth(width) if self.hasHeightForWidth() else -1

    def hitButton(self, position: object) -> bool:
        return position.y() < _HEADER

    def paintEvent(self, event: object) -> None:
        painter = QPainter(self)
        header = QStyleOptionButton()
        header.initFrom(self)
        header.rect = QRect(0, 0, self.width(), _HEADER)
        header.state |= QStyle.StateFlag.State_Raised
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_PanelButtonCommand, header, painter, self)
        arrow = QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QRect(6, 6, 12, 12)
        kind = QStyle.PrimitiveElement
        self.style().drawPrimitive(
            kind.PE_IndicatorArrowRight if self._collapsed else kind.PE_IndicatorArrowDown, arrow, painter, self
        )
        painter.setPen(self.palette().color(QPalette.ColorRole.ButtonText))
        painter.drawText(QRect(24, 0, self.width() - 24, _HEADER), Qt.AlignmentFlag.AlignVCenter, self.text())


class ctkCollapsibleGroupBox(QGroupBox):
    """A group box with a check mark that hides its contents."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.setCheckable(True)
        self.toggled.connect(self._show_contents)

    def _show_contents(self, on: bool) -> None:
        for child in self.children():
            if isinstance(child, QWidget):
                child.setVisible(on)
        self.setMaximumHeight(16777215 if on else self.fontMetrics().height() + 8)

    collapsed = Property(bool, lambda self: not self.isChecked(), lambda self, on: self.setChecked(not on))


class ctkSliderWidget(QWidget):
    """A slider with a spin box."""

    valueChanged = Signal(float)
    _STEPS = 1000

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._slider, self._spin = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        self._slider.setRange(0, self._STEPS)
        row.addWidget(self._slider)
        row.addWidget(self._spin)
        self._slider.valueChanged.connect(self._from_slider)
        self._spin.valueChanged.connect(self._from_spin)

    def _from_slider(self, at: int) -> None:
        low, high, step = self._spin.minimum(), self._spin.maximum(), self._spin.singleStep()
        self._spin.setValue(low + round((high - low) * at / self._STEPS / step) * step)

    def _from_spin(self, value: float) -> None:
        low, high = self._spin.minimum(), self._spin.maximum()
        self._slider.blockSignals(True)
        self._slider.setValue(round((value - low) / (high - low) * self._STEPS) if high > low else 0)
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def _set_limit(self, which: str, value: float) -> None:
        getattr(self._spin, which)(value)
        self._from_spin(self._spin.value())

    value = Property(float, lambda self: self._spin.value(), lambda self, v: self._spin.setValue(v))
    minimum = Property(float, lambda self: self._spin.minimum(), lambda self, v: self._set_limit("setMinimum", v))
    maximum = Property(float, lambda self: self._spin.maximum(), lambda self, v: self._set_limit("setMaximum", v))
    singleStep = Property(float, lambda self: self._spin.singleStep(), lambda self, v: self._spin.setSingleStep(v))
    pageStep = Property(float, lambda self: self._slider.pageStep(), lambda self, v: None)
    decimals = Property(int, lambda self: self._spin.decimals(), lambda self, v: self._spin.setDecimals(v))
    suffix = Property(str, lambda self: self._spin.suffix(), lambda self, v: self._spin.setSuffix(v))
