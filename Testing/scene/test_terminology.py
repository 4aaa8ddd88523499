"""The terms of LGE segments in Slicer's own terminology logic, and in the one table of tissues."""

from __future__ import annotations

import json

import slicer

from MyoScarSegLib.scene import terminology
from MyoScarSegLib.study.tissue import REGIONS, TISSUES, Tissue, class_of_segment


def test_slicer_offers_each_tissue_with_its_codes_and_color():
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    for _time in range(2):
        terminology.register(logic)
    assert logic.IsTerminologyContextLoaded(terminology.CONTEXT)
    assert logic.GetNumberOfCategoriesInTerminology(terminology.CONTEXT) == 4
    for tissue in (*TISSUES, *REGIONS):
        found, entry = slicer.vtkSlicerTerminologyEntry(), slicer.vtkSlicerTerminologyEntry()
        assert logic.FindTypeInTerminologyBy3dSlicerLabel(terminology.CONTEXT, tissue.label, found), tissue.label
        kind = found.GetTypeObject()
        scheme, value, _meaning = tissue.code.split("^")
        assert (kind.GetCodingSchemeDesignator(), kind.GetCodeValue(), kind.GetCodeMeaning()) == (scheme, value, tissue.meaning)
        assert [round(channel * 255) for channel in tissue.color] == list(kind.GetRecommendedDisplayRGBValue())
        assert logic.DeserializeTerminologyEntry(tissue.terminology, entry)
        assert entry.GetTypeObject().GetCodeValue() == value
        assert entry.GetRegionObject().GetCodeValue() == "87878005"
        number = tissue.number if isinstance(tissue, Tissue) else None
        assert class_of_segment("renamed by a user", tissue.terminology) == number


def test_the_list_holds_the_table_of_tissues_and_regions_and_nothing_else():
    document = json.loads(terminology.terminology_file().read_text(encoding="utf-8"))
    listed = {
        (_coded(category), kind["3dSlicerLabel"], _coded(kind), tuple(kind["recommendedDisplayRGBValue"]))
        for category in document["SegmentationCodes"]["Category"]
        for kind in category["Type"]
    }
    terms = (*TISSUES, *REGIONS)
    table = {
        (
            term.category,
            term.label,
            f"{term.code.rpartition('^')[0]}^{term.meaning}",
            tuple(round(255 * channel) for channel in term.color),
        )
        for term in terms
    }
    assert listed == table
    assert len({term.color for term in terms}) == len(terms) == len({term.name for term in terms})


def _coded(item):
    return f"{item['CodingSchemeDesignator']}^{item['CodeValue']}^{item['CodeMeaning']}"
