"""The terms of LGE segments in Slicer's own terminology logic, and in the one table of tissues."""

from __future__ import annotations

import json

import slicer

from MyoScarSegLib.scene import terminology
from MyoScarSegLib.study.tissue import TISSUES, class_of_segment


def test_slicer_offers_each_tissue_with_its_codes_and_color(capfd):
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    capfd.readouterr()  # complains that the wheel has no lists
    for _time in range(2):
        terminology.register(logic)
    assert logic.IsTerminologyContextLoaded(terminology.CONTEXT)
    assert logic.GetNumberOfCategoriesInTerminology(terminology.CONTEXT) == 3
    for tissue in TISSUES:
        found, entry = slicer.vtkSlicerTerminologyEntry(), slicer.vtkSlicerTerminologyEntry()
        assert logic.FindTypeInTerminologyBy3dSlicerLabel(terminology.CONTEXT, tissue.label, found), tissue.label
        kind = found.GetTypeObject()
        scheme, value, _meaning = tissue.code.split("^")
        assert (kind.GetCodingSchemeDesignator(), kind.GetCodeValue(), kind.GetCodeMeaning()) == (scheme, value, tissue.meaning)
        assert [round(channel * 255) for channel in tissue.color] == list(kind.GetRecommendedDisplayRGBValue())
        assert logic.DeserializeTerminologyEntry(tissue.terminology, entry)
        assert entry.GetTypeObject().GetCodeValue() == value
        assert entry.GetRegionObject().GetCodeValue() == "87878005"
        assert class_of_segment("renamed by a user", tissue.terminology) == tissue.number


def test_the_list_holds_the_tissues_and_nothing_else():
    document = json.loads(terminology.terminology_file().read_text(encoding="utf-8"))
    listed = [kind["3dSlicerLabel"] for category in document["SegmentationCodes"]["Category"] for kind in category["Type"]]
    assert sorted(listed) == sorted(tissue.label for tissue in TISSUES)
    assert len({tissue.color for tissue in TISSUES}) == len(TISSUES)
