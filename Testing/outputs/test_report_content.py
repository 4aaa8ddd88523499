"""The report of one patient: what it says, what it does not say, and its files."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest

from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.outputs.measurement_files import document_of, write_burden_tables
from MyoScarSegLib.outputs.report_content import Report, make_report
from MyoScarSegLib.outputs.report_files import write_report
from MyoScarSegLib.outputs.report_html import html_page
from MyoScarSegLib.outputs.report_page import pdf_page
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.ventricle import Ventricle
from MyoScarSegLib.result import MASS_ERROR, Result
from MyoScarSegLib.study.patient import Patient
from MyoScarSegLib.study.study import Geometry, Reconstruction
from Testing.conftest import REPOSITORY
from Testing.support.command import table
from Testing.support.ventricle_factory import round_ventricle

PROVENANCE = {"segmenter": "some-model", "segmenter_sha256": "ab" * 32, "program": "MyoScarSeg 1.2", MASS_ERROR: "1 0.25 0.9"}


def made(*, scar: bool = True, wall: bool = True, **more) -> Report:
    study, ventricle, mask, insertions = round_ventricle()
    mask = mask if scar else np.zeros_like(mask)
    result = more.pop("result", None) or Result(study, mask * np.float32(0.9), 0.5, provenance=PROVENANCE)
    return make_report(result, Anatomy(ventricle, insertions=insertions) if wall else None, **more)


@pytest.fixture
def without_pictures(monkeypatch):
    """For tests of words: the pictures take most of the time."""
    monkeypatch.setattr("MyoScarSegLib.outputs.report_html.picture", lambda *_: b"png")


def tile(report: Report, name: str) -> str:
    found = next(tile for tile in report.tiles if tile.name.startswith(name))
    return f"{found.value} | {found.note}"


def words_of(page: str) -> str:
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(" ".join(parts).split())


def test_numbers_come_with_units_intervals_and_the_share_is_that_of_the_pixels():
    report = made()
    _, ventricle, scar, _ = round_ventricle()
    mass_g = scar.sum() * 1.5 * 1.5 * 10 / 1000 * 1.05
    assert tile(report, "Scar").startswith(f"{mass_g:.1f} g | ")
    assert re.search(r" mL; 90% interval [\d.]+ to [\d.]+ g$", tile(report, "Scar"))
    assert tile(report, "Scar, %").startswith(f"{100 * scar.sum() / ventricle.myocardium.sum():.1f}% | ")
    assert re.match("(9.|100)%", tile(report, "Transmurality")), "the scar goes through the whole wall"
    assert tile(report, "AHA segments").startswith("1 of 17")
    assert tile(report, "Lesions").startswith("1 | largest")


def test_a_scar_at_the_bottom_of_the_page_is_inferior():
    rows = {row[0]: row for row in made().segment_rows}
    assert [number for number, row in rows.items() if row[6] not in ("0%",)] == ["10"]
    assert rows["10"][1:3] == ("mid inferior", "RCA")


def test_html_stands_alone_and_says_everything():
    page = html_page(made(reader_minutes=3.5))
    assert not re.search(r'(?:src|href)="(?!data:)', page) and "<script" not in page
    words = words_of(page)
    for expected in ("Research use only", "some-model", "abababababababab", "MyoScarSeg 1.2", "probability from 0.5", "3.5 min",
                     "mid inferior", "Otsu", "Edited by hand: insertion points", "1.05 g/mL"):  # fmt: skip
        assert expected in words, expected
    assert page.count("data:image/png;base64,") == 5


def test_pdf_is_one_a4_page():
    page = pdf_page(made())
    assert page.startswith(b"%PDF") and page.count(b"/Type /Page ") + page.count(b"/Type /Page\n") == 1
    width, height = map(float, re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", page).groups())
    assert abs(width - 595.3) < 1 and abs(height - 841.9) < 1


@pytest.mark.slow
def test_the_same_report_is_the_same_file():
    assert pdf_page(made()) == pdf_page(made())


@pytest.mark.usefixtures("without_pictures")
def test_the_patient_is_named_only_on_demand_and_never_in_the_measurements():
    patient = Patient("Doe^Jane", "4711", "1950-01-02", "2024-05-06")
    report = made(patient=patient)
    page = html_page(report)
    assert all(part in words_of(page) for part in ("Doe^Jane", "4711", "1950-01-02", "2024-05-06"))
    assert "<title>Scar burden: round</title>" in page, "what a browser's history keeps"
    assert "Doe" not in json.dumps(document_of(report))
    assert (made().title, made(name="P-17").title) == ("round", "P-17")


@pytest.mark.usefixtures("without_pictures")
def test_names_from_files_are_text_and_no_markup():
    page = html_page(made(name='<img src=x onerror="alert(1)">'))
    assert "<img src=x" not in page


@pytest.mark.usefixtures("without_pictures")
def test_without_myocardium_there_is_no_percentage_and_a_reason():
    report = made(wall=False)
    assert tile(report, "Scar, %").startswith("–")
    assert "%" not in tile(report, "Scar, %")
    assert report.segment_rows == [] and report.method_rows == []
    assert "The left ventricular myocardium is not segmented" in words_of(html_page(report))


def test_an_empty_segmentation_has_a_report_of_zeros_that_were_measured():
    report = made(scar=False)
    assert tile(report, "Scar").startswith("0.0 g") and tile(report, "Lesions").startswith("none")
    assert tile(report, "Core").startswith("–")


def without_myocardium() -> Report:
    study, _, mask, _ = round_ventricle()
    nothing = Ventricle(np.zeros_like(mask), np.zeros_like(mask), "labels")
    return make_report(Result(study, mask.astype(np.float32), 0.5), Anatomy(nothing))


def of_one_slice() -> Report:
    study, ventricle, mask, _ = round_ventricle()
    alone = Ventricle(ventricle.myocardium[4:5], ventricle.cavity[4:5], "labels")
    return make_report(Result(replace(study, voxels=study.voxels[4:5]), mask[4:5].astype(np.float32), 0.5), Anatomy(alone))


def without_spacing() -> Report:
    study, ventricle, mask, _ = round_ventricle()
    return make_report(Result(replace(study, geometry=Geometry(None)), mask.astype(np.float32), 0.5), Anatomy(ventricle))


def test_an_empty_myocardium_is_none():
    report = without_myocardium()
    assert tile(report, "LV myocardium").startswith("–") and tile(report, "Scar, %").startswith("–")


def test_one_slice_is_reported():
    report = of_one_slice()
    assert tile(report, "Scar").startswith(f"{round_ventricle()[2][4].sum() * 2.25 * 10 / 1000 * 1.05:.1f} g")
    assert any(row[6] == "not imaged" for row in report.segment_rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    "odd",
    [partial(made, wall=False), partial(made, scar=False), without_myocardium, of_one_slice, without_spacing],
    ids=["no wall", "no scar", "empty wall", "one slice", "no spacing"],
)
def test_both_pages_are_made_whatever_is_missing(odd):
    assert pdf_page(odd()) and html_page(odd())


def test_missing_landmarks_are_proposed_and_that_is_said():
    study, ventricle, mask, _ = round_ventricle()
    report = make_report(Result(study, mask.astype(np.float32), 0.5), Anatomy(ventricle))
    assert report.measurements.segments is not None
    assert "proposed" in dict(report.method_lines)["Insertion points"]


def test_without_spacing_there_are_pixels_and_no_grams():
    report = without_spacing()
    assert tile(report, "Scar").startswith(f"{round_ventricle()[2].sum()} pixels")
    assert " g" not in tile(report, "LV myocardium") and "no spacing" in report.subtitle
    assert "Mass" in dict(made().method_lines) and "Mass" not in dict(report.method_lines)


@pytest.mark.usefixtures("without_pictures")
def test_what_needs_a_look_stands_above_the_numbers():
    study, ventricle, mask, insertions = round_ventricle()
    outside = mask.copy()
    outside[4, :4, :4] = True
    wall = ventricle.myocardium.copy()
    wall[0, :, 40:] = False
    faint = Box(3, 1, 1, 5, 5, source="map", confidence=0.1, state="rejected")
    result = Result(study, outside * np.float32(0.55), 0.5, boxes=(faint,), failed_slices={2: "too dark"}, provenance=PROVENANCE)
    report = make_report(result, Anatomy(Ventricle(wall, ventricle.cavity, "edited"), insertions=insertions))
    said = " ".join(report.warnings)
    assert "outside the myocardium" in said
    assert "likely to be wrong" in said
    assert "Slice 2: too dark" in said
    assert "go all round" in said
    words = words_of(html_page(report))
    assert words.index("likely to be wrong") < words.index("LV myocardium")


def test_half_of_the_maximum_is_no_method_for_psir():
    study, _, mask, _ = round_ventricle()
    for kind in Reconstruction:
        result = Result(replace(study, reconstruction=kind), mask.astype(np.float32), 0.5)
        row = next(row for row in made(result=result).method_rows if row[0] == "FWHM")
        assert ("PSIR" in row[2]) is (kind is Reconstruction.PSIR)


def test_hand_edits_are_listed():
    study, _, mask, _ = round_ventricle()
    boxes = (Box(3, 1, 1, 5, 5), Box(4, 1, 1, 5, 5, source="detector", confidence=0.9))
    result = Result(study, mask.astype(np.float32), 0.5, boxes=boxes, drawn=mask, painted=(3, 4))
    assert made(result=result).edits == "scar in slices 3, 4, 1 box, insertion points"
    assert "not known" in made(mask_source="read from mask.nii.gz").edits
    assert make_report(made().result, Anatomy(made().ventricle, remote=mask)).edits == "remote myocardium"


def test_a_wall_says_its_model_where_that_is_not_the_scars():
    """In an exam without scar no segmenter was asked, and the map of the wall is all that a model made."""
    study, ventricle, mask, _ = round_ventricle()
    wall = {"wall": "mapper", "wall_sha256": "cd" * 32}
    without = Result(study, np.zeros(mask.shape, np.float32), 0.5, provenance={"segmenter": "not used", **wall})
    same = Result(study, np.zeros(mask.shape, np.float32), 0.5, provenance={**PROVENANCE, "wall_sha256": "ab" * 32})

    def said(result: Result) -> str:
        return dict(make_report(result, Anatomy(replace(ventricle, source="model"))).method_lines)["Myocardium"]

    assert said(without).startswith("proposed by mapper, SHA-256 cdcdcdcdcdcdcdcd…;")
    assert said(same).startswith("proposed by the model;")


def test_measurements_keep_to_the_published_schema():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((REPOSITORY / "docs" / "measurements.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    for report in (made(), made(scar=False), made(wall=False), without_spacing()):
        document = json.loads(json.dumps(document_of(report), allow_nan=False))
        assert [error.message for error in validator.iter_errors(document)] == []
    document["scar"]["mass_kg"] = 1
    assert list(validator.iter_errors(document))


UNITS = ("_g", "_ml", "_mm", "_percent", "_pixels", "_intensity", "_minutes", "_probability")
NO_UNIT = ("case", "version", "number", "slice", "grade", "dice", "scar_percent_of_myocardium", "percent_of_scar", "pixels",
           "percent_of_myocardium", "scar_percent_of_myocardium_low", "scar_percent_of_myocardium_high")  # fmt: skip


def test_tables_have_a_row_per_case_units_in_their_names_and_the_same_columns_whatever_was_measured(tmp_path):
    write_report(tmp_path / "b", made(name="b"), ())
    write_burden_tables(tmp_path)
    columns = {file.name: list(table(file)[0]) for file in tmp_path.glob("burden*.csv")}
    assert len(columns) == 5
    write_report(tmp_path / "a", made(name="a", wall=False), ())
    write_burden_tables(tmp_path)
    rows = table(tmp_path / "burden.csv")
    assert [row["case"] for row in rows] == ["a", "b"]
    assert list(rows[0]) == columns["burden.csv"]
    assert rows[0]["scar_percent_of_myocardium"] == rows[0]["myocardium_mass_g"] == "", "not measured is not 0"
    assert float(rows[1]["scar_percent_of_myocardium"]) > 0
    assert len(table(tmp_path / "burden_segments.csv")) == 17
    for file in tmp_path.glob("burden*.csv"):
        for row in table(file):
            for name, value in row.items():
                if re.fullmatch(r"-?[\d.]+(e-?\d+)?", value) and not name.startswith("provenance_"):
                    assert name.endswith(UNITS) or name in NO_UNIT or name in ("slices", "segments", "slice"), (file.name, name)


@pytest.mark.usefixtures("without_pictures")
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    from pathlib import Path

    folder = tmp_path / "case"
    write_report(folder, made(), ("html",))
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    write = Path.write_bytes
    written = []

    def full(self, data):
        written.append(self)
        if len(written) == 2:
            write(self, data[:100])
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left on device.*free some space"):
        write_report(folder, made(scar=False), ("html",))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.usefixtures("without_pictures")
def test_a_format_that_is_not_written_again_does_not_stay(tmp_path):
    (tmp_path / "report.pdf").write_bytes(b"%PDF of before")
    assert [file.name for file in write_report(tmp_path, made(scar=False), ("html",))] == ["measurements.json", "report.html"]
    assert not (tmp_path / "report.pdf").exists()
