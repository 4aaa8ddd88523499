"""The one table of codes, against the dictionaries of DICOM's own codes."""

from __future__ import annotations

import pytest
from pydicom.sr.codedict import codes

from MyoScarSegLib.study.tissue import (
    AHA_SITES,
    BLOOD_POOL,
    CAVITY,
    OWN_SCHEME,
    REGIONS,
    TISSUES,
    class_named,
    class_of_segment,
)


def group(number):
    """scheme^value of a context group."""
    members = getattr(codes, f"CID{number}")
    return {f"{code.scheme_designator}^{code.value}" for code in (getattr(members, name) for name in members.dir())}


def test_the_17_segments_are_the_finding_sites_of_context_group_3717_in_the_standards_order():
    sites = [site.rpartition("^")[0] for site in AHA_SITES]
    assert len(set(sites)) == 17 and set(sites) == group(3717)
    words = [site.rpartition("^")[2] for site in AHA_SITES]
    assert [sum(level in word for word in words) for level in ("basal", "mid", "apical", "Apex")] == [6, 6, 4, 1]
    around = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
    assert [word.split()[3] for word in words[:12]] == [*around, *around]
    assert [word.split()[3] for word in words[12:16]] == ["anterior", "septal", "inferior", "lateral"]


@pytest.mark.parametrize("term", (*TISSUES, *REGIONS), ids=lambda term: term.name)
def test_dicom_gets_dicoms_categories_and_both_spellings_are_read_as_one(term):
    category = term.dicom_category or term.category
    assert category.rpartition("^")[0] in group(7150)
    scheme, value, _meaning = (term.dicom_code or term.code).split("^")
    if scheme == OWN_SCHEME:
        assert value.isupper() and len(value) <= 16
    number = getattr(term, "number", None)
    for code in (term.code, term.dicom_code or term.code):
        assert class_of_segment("renamed by a user", f"~{category}~{code}~^^~~^^~^^") == number


def test_the_blood_pools_former_name_is_still_read():
    assert BLOOD_POOL.name == "LV blood pool"
    assert class_named("LV cavity") == class_named(BLOOD_POOL.name) == CAVITY
