"""The numbers of scar burden as tables of the scene, and its pictures as plots."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.engine.client import Engine
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.scene.attributes import ROLE, node_of, nodes_by_class
from MyoScarSegLib.scene.burden_plots import BARS, INTENSITIES, PLOTS, WALL, BurdenChart
from MyoScarSegLib.scene.engine_requests import Automatic
from MyoScarSegLib.scene.mask_steps import apply_masks, set_threshold
from MyoScarSegLib.scene.prompt_steps import add_box
from MyoScarSegLib.scene.result_tables import ROLE_BURDEN, ROLE_METHODS, ROLE_SEGMENTS
from MyoScarSegLib.scene.study_session import StudySession, sessions
from MyoScarSegLib.scene.ventricle_steps import apply_ventricle, turn_septum
from Testing.scene.test_results import cells, items_of
from Testing.support.scene_ventricle_factory import ring_wall
from Testing.support.session_factory import fresh_scene, masks, paint, save_folder, save_mrb
from Testing.support.volume_factory import add_volume

SHAPE = (6, 40, 48)
OPTIONS = {"specks_px": 0, "fill_no_reflow": True}


@pytest.fixture
def volume(scene):
    return add_volume(scene, SHAPE)


@pytest.fixture
def walled(session):
    """A study with scar, wall and insertion points."""
    apply_masks(session, masks(1, 2, 3, x=34.0))
    apply_ventricle(session, ring_wall())
    turn_septum(session, 10.0)
    return session


def table(session: StudySession, role: str) -> list[list[str]]:
    return cells(node_of(session.volume_node, role))


def value(session: StudySession, quantity: str, unit: str) -> float:
    return float(next(row[1] for row in table(session, ROLE_BURDEN) if (row[0], row[2]) == (quantity, unit)))


def test_numbers_are_those_of_the_measurements_and_follow_edits_and_undo(walled):
    m, before = walled.measurements, table(walled, ROLE_BURDEN)
    assert value(walled, "Scar", "g") == pytest.approx(m.scar.mass_g, abs=0.005)
    assert value(walled, "Scar, share of LV", "%") == pytest.approx(m.percent_of_myocardium, abs=0.05)
    assert value(walled, "Transmurality, where scar is", "%") == pytest.approx(m.transmurality.mean_scar_percent, abs=0.05)
    assert value(walled, "LV blood pool", "mL") == pytest.approx(m.cavity.volume_ml, abs=0.005)
    assert {row[3] for row in before if row[0] == "Note"} >= set(m.notes)
    paint(walled, 4)
    assert value(walled, "Scar", "g") == pytest.approx(walled.measurements.scar.mass_g, abs=0.005) != m.scar.mass_g
    walled.undo()
    assert table(walled, ROLE_BURDEN) == before


def test_the_17_segments_have_a_row_each_while_there_is_a_wall(walled):
    rows, measured = table(walled, ROLE_SEGMENTS), walled.measurements.segments
    assert [row[0] for row in rows] == [str(n) for n in range(1, 18)]
    most = max(measured, key=lambda one: one.burden_percent or 0)
    assert most.burden_percent > 0
    assert float(rows[most.number - 1][5]) == pytest.approx(most.burden_percent, abs=0.05)
    assert "not imaged" in rows[16][1] and rows[16][3:] == [""] * 6, "which is not 0"
    turn_septum(walled, 130.0)
    assert table(walled, ROLE_SEGMENTS) != rows
    for _ in range(3):
        walled.undo()
    assert not walled.state.ventricle.has_wall and table(walled, ROLE_SEGMENTS) == []
    (note,) = [row[3] for row in table(walled, ROLE_BURDEN) if row[0] == "Note"][:1]
    assert "not segmented" in note
    walled.undo()
    assert table(walled, ROLE_BURDEN) == [], "nothing is segmented, and that is not 0 g"


def test_methods_have_a_table_while_they_are_followed_and_it_never_holds_old_numbers(walled):
    assert node_of(walled.volume_node, ROLE_METHODS) is None, "nobody has asked for them"
    walled.follow_methods(OPTIONS)

    def otsu() -> list[str]:
        return next(row for row in table(walled, ROLE_METHODS) if row[0] == "Otsu")

    before, (row,) = otsu(), [one for one in walled.numbers.followed_methods(walled.state) if one.method == "Otsu"]
    assert float(before[1]) == pytest.approx(row.mass_g, abs=0.005) and float(before[4]) == pytest.approx(row.dice, abs=0.0005)
    paint(walled, 2, rows=slice(15, 25))
    assert otsu()[1] == before[1] and otsu()[4] != before[4], "the same wall, and another scar to compare with"
    walled.follow_methods(None)
    assert otsu()[1] == before[1], "they still are of this state"
    walled.undo()
    (left,) = table(walled, ROLE_METHODS)
    assert left[:-1] == [""] * 8 and "open Reference methods" in left[-1]
    walled.follow_methods(OPTIONS)
    assert otsu() == before


@pytest.mark.parametrize("save", [save_mrb, save_folder])
def test_tables_lie_in_the_folder_of_their_study_and_are_used_again_when_the_scene_is_loaded(
    walled, scene, tmp_path, tmp_path_factory, save
):
    walled.follow_methods(OPTIONS)
    roles = (ROLE_BURDEN, ROLE_SEGMENTS, ROLE_METHODS)
    names = [node_of(walled.volume_node, role).GetName() for role in roles]
    assert [items_of(scene)[name] for name in names] == ["LGE scar"] * 3
    before = [table(walled, role) for role in roles]
    load, into = save(scene, tmp_path), fresh_scene(tmp_path_factory)
    load(into)
    (again,) = (StudySession.open(one.volume_node) for one in sessions(into))
    count = into.GetNumberOfNodesByClass("vtkMRMLTableNode")
    assert [table(again, role) for role in roles] == before
    paint(again, 4)
    assert value(again, "Scar", "g") == pytest.approx(again.measurements.scar.mass_g, abs=0.005)
    assert into.GetNumberOfNodesByClass("vtkMRMLTableNode") == count


def points(chart: BurdenChart, name: str) -> np.ndarray:
    """What a plot view draws of a series: the columns that it names, of its table."""
    series = next(
        node for node in nodes_by_class(chart._scene, "vtkMRMLPlotSeriesNode") if node.GetAttribute(ROLE) == chart._of(name)
    )
    assert chart.node.HasPlotSeriesNodeID(series.GetID())
    columns = series.GetTableNode().GetTable()
    found = [columns.GetColumnByName(title) for title in (series.GetXColumnName(), series.GetYColumnName())]
    return np.array([[column.GetValue(n) for column in found] for n in range(columns.GetNumberOfRows())])


def series_names(chart: BurdenChart) -> list[str]:
    return [chart.node.GetNthPlotSeriesNode(n).GetName() for n in range(chart.node.GetNumberOfPlotSeriesNodes())]


def test_bars_are_the_scar_of_each_slice(walled, scene):
    chart = BurdenChart(scene)
    chart.show(walled, BARS)
    slices = walled.measurements.slices
    assert np.allclose(points(chart, BARS), [[one.slice, one.scar.mass_g] for one in slices])
    assert chart.node.GetYAxisTitle() == "g"
    paint(walled, 4)
    chart.show(walled, BARS)
    edited = walled.measurements.slices[4].scar.mass_g
    assert edited > 0 and points(chart, BARS)[4, 1] == pytest.approx(edited)


def test_profile_has_the_mean_of_each_level_and_says_which_wall_lies_where(walled, scene):
    chart = BurdenChart(scene)
    chart.show(walled, WALL)
    chords, levels = walled.measurements.chords, walled.measurements.levels
    assert series_names(chart) == ["base", "mid", "apex"]
    found, of_mid = points(chart, "M"), [levels[k] == "mid" for k in chords.slices]
    assert sum(of_mid) > 1 and found[0, 0] == 1.5
    assert np.allclose(found[:, 1], 100 * chords.transmurality[of_mid].mean(axis=0)) and found[:, 1].max() > 0
    assert "inferior 90" in chart.node.GetXAxisTitle()


def test_histogram_counts_the_wall_and_has_a_line_for_each_threshold(walled, scene):
    chart = BurdenChart(scene)
    chart.show(walled, INTENSITIES)
    wall, scar = walled.state.ventricle.ventricle(SHAPE).myocardium, walled.mask()
    for name, of in (("wall", wall & ~scar), ("scar", wall & scar)):
        counted = points(chart, name)[1:-1:2, 1].sum()
        assert 0.98 * of.sum() <= counted <= of.sum(), "all but the few at the ends"
    thresholds = walled.numbers.histogram(walled.state).thresholds
    assert "Otsu" in thresholds and np.allclose(points(chart, "Otsu")[:, 0], thresholds["Otsu"])


def test_a_plot_says_that_the_wall_is_missing_and_the_next_one_leaves_nothing_of_it(session, scene):
    apply_masks(session, masks(1, 2))
    chart = BurdenChart(scene)
    chart.show(session, WALL)
    assert "wall is missing" in chart.node.GetTitle() and series_names(chart) == []
    chart.remove()
    apply_ventricle(session, ring_wall())
    before = scene.GetNumberOfNodes()
    for name in (*PLOTS, *PLOTS):
        chart.show(session, name)
    chart.show(session, BARS)
    assert series_names(chart) == ["Scar"]
    assert not chart.node.GetSaveWithScene()
    assert scene.GetNumberOfNodes() == before + 3
    chart.remove()
    assert chart.node is None and scene.GetNumberOfNodes() == before


@pytest.fixture
def in_hand(walled):
    """The study while a reader edits it; ``seconds[0]`` is the time."""
    seconds = [0.0]
    walled.attach(Engine(), Automatic(waits=True), clock=lambda: seconds[0])
    yield walled, seconds
    walled.detach("the test is over")


def test_the_mask_of_an_edit_does_not_wait_for_the_tables_of_burden_which_come_when_the_reader_rests(in_hand, monkeypatch):
    session, seconds = in_hand
    measured = []
    measure = session.numbers.measurements
    monkeypatch.setattr(session.numbers, "measurements", lambda state: measured.append(state) or measure(state))
    before = table(session, ROLE_BURDEN)
    for k in (1, 2, 3):
        seconds[0] += 0.2
        add_box(session, Box(k, 10, 8, 30, 30))
        apply_masks(session, masks(k, radius=3.0), with_latest=True)
        set_threshold(session, 0.4 + k / 100, dragging=True)
        assert session.pump(), "it is to be called again soon"
    assert measured == [] and table(session, ROLE_BURDEN) == before
    seconds[0] += 0.31
    assert not session.pump()
    assert measured == [session.state] and table(session, ROLE_BURDEN) != before


@pytest.mark.parametrize("end", ["another step", "let go", "closed"])
def test_tables_of_burden_are_not_behind_after_the_next_step_or_when_the_study_is_let_go(in_hand, end):
    session, _ = in_hand
    apply_masks(session, masks(4, radius=3.0), with_latest=True)
    before = table(session, ROLE_BURDEN)
    {"another step": lambda: apply_masks(session, masks(1)), "let go": lambda: session.detach("over"), "closed": session.close}[
        end
    ]()
    assert value(session, "Scar", "g") == pytest.approx(session.burden.mass_g, abs=0.005)
    assert table(session, ROLE_BURDEN) != before
