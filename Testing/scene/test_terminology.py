"""The terms of LGE segments, in Slicer's own terminology logic."""

from __future__ import annotations

import slicer

from MyoScarSegLib.scene import terminology
from MyoScarSegLib.scene.scar_segment import COLOUR
from MyoScarSegLib.study.tissue import TISSUES, class_of_segment


def _logic(capfd):
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    capfd.readouterr()  # complains that the wheel has no lists
    return logic


def test_slicer_offers_the_terms_with_their_codes_and_colours(capfd):
    logic = _logic(capfd)
    context = terminology.register(logic)
    assert terminology.register(logic) == context
    assert logic.IsTerminologyContextLoaded(context)
    assert logic.GetNumberOfCategoriesInTerminology(context) == 3
    for label, term in terminology.terms().items():
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logic.DeserializeTerminologyEntry(term.text, entry), label
        found = slicer.vtkSlicerTerminologyEntry()
        assert logic.FindTypeInTerminologyBy3dSlicerLabel(context, label, found)
        kind = found.GetTypeObject()
        assert kind.GetCodeMeaning() == entry.GetTypeObject().GetCodeMeaning() == term.name
        assert kind.GetCodeValue() == entry.GetTypeObject().GetCodeValue()
        assert [round(value * 255) for value in term.colour] == list(kind.GetRecommendedDisplayRGBValue())
        assert entry.GetRegionObject().GetCodeValue() == "87878005"


def test_all_four_terms_are_there_and_told_apart_by_colour():
    labels = {terminology.SCAR, terminology.MYOCARDIUM, terminology.BLOOD_POOL, terminology.NO_REFLOW}
    assert set(terminology.terms()) == labels
    assert len({term.colour for term in terminology.terms().values()}) == 4


def test_the_term_of_scar_has_the_colour_of_our_segment():
    assert [round(value, 2) for value in terminology.terms()[terminology.SCAR].colour] == [round(value, 2) for value in COLOUR]


def test_a_segment_keeps_its_term():
    segment = slicer.vtkSegment()
    term = terminology.terms()[terminology.NO_REFLOW]
    segment.SetTerminology(term.text)
    assert segment.GetTerminology() == term.text


def test_the_list_of_terms_is_the_one_table_of_codes():
    listed = terminology.terms()
    assert {tissue.label for tissue in TISSUES} == set(listed)
    for tissue in TISSUES:
        term = listed[tissue.label]
        category, code = (part.rpartition("^")[0] for part in term.text.split("~")[1:3])
        assert (category, code) == (tissue.category.rpartition("^")[0], tissue.code.rpartition("^")[0])
        assert code in tissue.codes
        assert (term.name, term.colour) == (tissue.meaning, tissue.color)
        assert class_of_segment("renamed by a user", term.text) == tissue.number
