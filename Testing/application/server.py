"""Runs inside Slicer (``--python-script``): answers the questions that :mod:`Testing.application.driver` asks.

A question is a file ``N.py`` in the folder ``$APPLICATION_DRIVER``; the answer is ``N.json`` with ``value`` or ``error``. A timer
of Qt's main loop looks for questions, so they are also answered while a dialog waits for the user.
"""

import json
import os
import traceback
from pathlib import Path

import qt
import slicer

_FOLDER = Path(os.environ["APPLICATION_DRIVER"])
_POLL_MS = 20
_drawn = {}


def panel():
    """The module's panel."""
    return slicer.util.getModuleWidget("MyoScarSeg").panel


def center(widget, dx=0, dy=0):
    """Where on the screen the middle of a widget is, ``[x, y]``; ``dx`` and ``dy`` move from there."""
    return _global(widget, widget.width // 2 + dx, widget.height // 2 + dy)


def cell(table, row, column=0):
    """Where on the screen the middle of a table's cell is; the table is scrolled to it."""
    item = table.item(row, column)
    table.scrollToItem(item)
    box = table.visualItemRect(item)
    return _global(table.viewport(), box.center().x(), box.center().y())


def row(tree, item):
    """Where on the screen the name of an item in the tree of data is."""
    box = tree.visualRect(tree.sortFilterProxyModel().indexFromSubjectHierarchyItem(item))
    return _global(tree.viewport(), box.x() + 40, box.center().y())


def tab(bar, index):
    """Where on the screen the heading of a tab is."""
    place = bar.tabRect(index).center()
    return _global(bar, place.x(), place.y())


def entry(menu, name):
    """Where on the screen the entry of this name is in an open menu."""
    place = menu.actionGeometry(next(action for action in menu.actions() if action.name == name)).center()
    return _global(menu, place.x(), place.y())


def child(widget, name):
    """The widget of this name within another one."""
    return next(found for found in widget.findChildren("QWidget") if found.name == name)


def study():
    """What the study in hand has come to, as far as it can be compared."""
    workflow = panel().workflow
    session, mask = workflow.session, workflow.session.mask()
    return {
        "boxes": {
            row.id: [row.box.slice, *(round(v, 2) for v in row.box.xyxy), row.box.state.value, row.box.source]
            for row in session.state.boxes
        },
        "points": [[p.slice, round(p.x, 1), round(p.y, 1), bool(p.positive)] for p in session.state.points],
        "threshold": round(session.state.threshold, 3),
        "pixels": int(mask.sum()),
        "by_slice": mask.sum(axis=(1, 2)).tolist(),
        "painted": [int(k) for k in session.state.edited],
        "slice": workflow.displayed_slice,
    }


def count_drawings():
    """Count from now on how often each slice view of the layout is drawn."""
    from collections import Counter

    _drawn.clear()
    manager = slicer.app.layoutManager()
    for name in manager.sliceViewNames():
        widget = manager.sliceWidget(name)
        if widget.mrmlSliceNode().IsMappedInLayout():
            window, counter = widget.sliceView().renderWindow(), _drawn.setdefault(name, Counter())
            window.AddObserver("EndEvent", lambda *_, counter=counter: counter.update(["drawn"]))


def drawings():
    """How often each slice view was drawn since."""
    return {name: counter["drawn"] for name, counter in _drawn.items()}


def handles_outside():
    """Boxes that a view across the slices shows, by the view's name."""
    workflow, manager = panel().workflow, slicer.app.layoutManager()
    nodes = [workflow.views.node(row.id).GetDisplayNode() for row in workflow.session.state.boxes]
    across = [manager.sliceWidget(name).mrmlSliceNode() for name in manager.sliceViewNames()]
    across = [node for node in across if not workflow.session.geometry.shows_slices(node)]
    return [
        view.GetName() for view in across for node in nodes if node.GetVisibility() and node.IsDisplayableInView(view.GetID())
    ]


def pixel_of(kind):
    """Column and row of a pixel of the displayed slice, in the ``"scar"`` or ``"beside"`` it, far from all handles."""
    import numpy as np
    from scipy import ndimage

    workflow = panel().workflow
    mask = workflow.session.mask()[workflow.displayed_slice].astype(bool)
    if kind == "beside":
        mask = ndimage.binary_dilation(mask, iterations=3) & ~ndimage.binary_dilation(mask, iterations=2)
    found = np.argwhere(mask)[:, ::-1]
    boxes = [row.box for row in workflow.session.state.boxes if row.box.slice == workflow.displayed_slice]
    handles = [(x, y) for b in boxes for x in (b.x0, (b.x0 + b.x1) / 2, b.x1) for y in (b.y0, (b.y0 + b.y1) / 2, b.y1)]
    handles += [(p.x, p.y) for p in workflow.session.state.points if p.slice == workflow.displayed_slice]
    far = np.linalg.norm(found[:, None] + 0.5 - np.array(handles or [(0, 0)]), axis=2).min(axis=1)
    return found[far.argmax()].tolist()


def reveal(widget):
    """Scroll the module's panel until the widget is seen, as the wheel does."""
    area = widget.parentWidget()
    while area is not None:
        if area.inherits("QScrollArea"):
            area.ensureWidgetVisible(widget, 4, 4)
        area = area.parentWidget()


def seen(widget):
    """Whether the whole widget can be seen: shown, not scrolled away, nothing over it."""
    region = widget.visibleRegion().boundingRect()
    if not widget.isVisible() or region.width() < widget.width or region.height() < widget.height:
        return False
    for x, y in ((2, 2), (widget.width - 3, widget.height - 3), (widget.width // 2, widget.height // 2)):
        found = qt.QApplication.widgetAt(widget.mapToGlobal(qt.QPoint(x, y)))
        while found is not None and found != widget:
            found = found.parentWidget()
        if found is None:
            return False
    return True


def cut_labels(form):
    """Texts of the shown labels of a form that are lower than their wrapped text needs."""
    labels = [label for label in form.findChildren("QLabel") if label.isVisible() and label.wordWrap and label.text]
    return [label.text for label in labels if label.heightForWidth(label.width) > label.height]


def overlaps(layout_widget):
    """Pairs of names of shown widgets with one parent that lie over each other."""
    found = []
    for parent in [layout_widget, *layout_widget.findChildren("QWidget")]:
        if parent.layout() is None:
            continue
        items = [parent.layout().itemAt(n) for n in range(parent.layout().count())]
        rects = [(item, item.geometry()) for item in items if not item.isEmpty()]
        for n, (one, a) in enumerate(rects):
            for other, b in rects[n + 1 :]:
                if a.intersects(b) and parent.isVisible():
                    found.append([_name(one), _name(other)])
    return found


def pixel(i, j, view="Red"):
    """Where on the screen column ``i`` and row ``j`` of the study's displayed slice are in a slice view."""
    import numpy as np
    import vtk

    workflow = panel().workflow
    node = slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode()
    ras = workflow.session.geometry.to_world(np.array([[i, j, workflow.displayed_slice]], float))[0]
    inverse = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
    x, y = inverse.MultiplyPoint((*ras, 1.0))[:2]
    widget = slicer.app.layoutManager().sliceWidget(view).sliceView()
    return _global(widget, round(x), round(widget.height - 1 - y))


def _global(widget, x, y):
    point = widget.mapToGlobal(qt.QPoint(x, y))
    return [point.x(), point.y()]


def _name(item):
    if item.widget() is not None:
        return item.widget().name
    return item.layout().name if item.layout() is not None else "spacer"


def _answer(question):
    try:
        try:
            code = compile(question, "<question>", "eval")
        except SyntaxError:
            exec(compile(question, "<question>", "exec"), globals())  # noqa: S102 (from this folder, which is the user's own)
            return {"value": None}
        return {"value": eval(code, globals())}  # noqa: S307
    except BaseException:
        return {"error": traceback.format_exc()}


def _poll():
    for path in sorted(_FOLDER.glob("*.py")):
        question = path.read_text(encoding="utf-8")
        path.unlink()
        part = path.with_suffix(".part")
        part.write_text(json.dumps(_answer(question), default=str), encoding="utf-8")
        part.rename(path.with_suffix(".json"))


_timer = qt.QTimer()
_timer.setInterval(_POLL_MS)
_timer.connect("timeout()", _poll)
_timer.start()
