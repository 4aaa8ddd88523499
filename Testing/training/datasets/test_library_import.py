"""Many cases at once: saved scenes read without Slicer, folders, what is bad about some, and what is hostile."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.writer import write_segmentation, write_volume
from MyoScarSegLib.training.datasets.case_record import Case
from MyoScarSegLib.training.datasets.import_export import export_cases, import_cases, next_code
from MyoScarSegLib.training.datasets.library_state import LibraryState, signature
from MyoScarSegLib.training.datasets.scenes import opened_scene
from MyoScarSegLib.training.datasets.training_library import Library
from MyoScarSegLib.training.splits import Split
from MyoScarSegLib.utils.progress import no_progress
from Testing.support.labeled_factory import labels, study, write_yolosam
from Testing.support.run_factory import add_case

NODE = '<{tag} id="{id}" name="{name}" references="{references}" fileName="{file}"/>'


def write_scene(
    folder: Path, seed: int = 0, *, name: str = "Jane Doe LGE", transforms: tuple[str, str] = ("", ""), more: str = ""
) -> Path:
    """A scene folder as Slicer writes it: a volume named after a person, its segmentation, and their storage."""
    data = folder / "Data"
    data.mkdir(parents=True)
    one = study(seed)
    write_volume(data / f"{name}.nrrd", one.voxels, one)
    write_segmentation(data / f"{name} scar.seg.nrrd", labels(seed) >= 3, one)

    def node(tag: str, key: str, references: str = "", file: str = "") -> str:
        return NODE.format(tag=tag, id=key, name=name, references=references, file=quote(file))

    def under(transform: str) -> str:
        return f"transform:{transform};" if transform else ""

    nodes = [
        node("Volume", "v", "storage:vs;" + under(transforms[0])),
        node("VolumeArchetypeStorage", "vs", file=f"Data/{name}.nrrd"),
        node("Segmentation", "s", "referenceImageGeometryRef:v;storage:ss;" + under(transforms[1])),
        node("SegmentationStorage", "ss", file=f"Data/{name} scar.seg.nrrd"),
        node("LinearTransform", "linear"),
    ]
    path = folder / "scene.mrml"
    path.write_text(f'<?xml version="1.0"?><MRML version="5">{"".join(nodes)}{more}</MRML>')
    return path


def write_mrb(path: Path, seed: int = 0, **more) -> Path:
    """The same as a bundle."""
    folder = path.with_suffix("")
    write_scene(folder, seed, **more)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, Path(folder.name) / file.relative_to(folder))
    shutil.rmtree(folder)
    return path


def statuses(report) -> list[str]:
    return [case.status for case in report.cases]


def test_saved_scenes_become_cases_without_a_persons_name(library, tmp_path):
    paths = [write_mrb(tmp_path / f"Jane Doe {n}.mrb", n) for n in range(2)] + [write_scene(tmp_path / "folder", 2)]
    report = import_cases(library, paths, reviewer="AB", tags=["old"])
    assert statuses(report) == ["added"] * 3
    assert [case.case for case in library.cases()] == ["P001", "P002", "P003"]
    assert {case.tags for case in library.cases()} == {("old",)}
    loaded = library.load(library.cases()[1])
    assert np.array_equal(loaded.labels >= 3, labels(1) >= 3)
    assert np.allclose(loaded.study.voxels, study(1).voxels)
    kept = [p.read_bytes() for p in library.folder.rglob("*") if p.is_file()]
    assert not any(b"Jane" in content for content in kept) and not list(library.folder.rglob("*Jane*"))
    assert statuses(import_cases(library, paths)) == ["same"] * 3


def test_patients_are_found_by_a_pattern(library, tmp_path):
    paths = [write_mrb(tmp_path / "study_K07_a.mrb", 0), write_mrb(tmp_path / "study_b.mrb", 1)]
    report = import_cases(library, paths, patient_pattern=r"K\d+")
    assert statuses(report) == ["added", "problem"] and library.cases()[0].patient == "K07"
    assert "does not fit the regular expression" in report.cases[1].message
    with pytest.raises(StudyError, match="is no regular expression"):
        import_cases(library, paths, patient_pattern="(")


@pytest.mark.parametrize(
    ("transforms", "problem"),
    [(("linear", "linear"), ""), (("linear", ""), "different transforms"), (("x", "x"), "not in the scene")],
)
def test_transforms_of_a_scene(tmp_path, transforms, problem):
    report = import_cases(Library.create(tmp_path / "library"), [write_mrb(tmp_path / "a.mrb", transforms=transforms)])
    assert statuses(report) == ["problem" if problem else "added"]
    assert problem in report.cases[0].message


def test_one_bad_case_never_stops_the_others(library, tmp_path):
    (tmp_path / "broken.mrb").write_bytes(b"no zip")
    (tmp_path / "empty.mrml").write_text("<MRML/>")
    torn = write_scene(tmp_path / "torn", 5)
    next(torn.parent.glob("Data/*scar*")).write_bytes(b"NRRD0004\n")
    gone = write_scene(tmp_path / "gone", 6)
    next(gone.parent.glob("Data/*LGE.nrrd")).unlink()
    paths = [tmp_path / "broken.mrb", tmp_path / "empty.mrml", torn, gone, tmp_path / "none", write_mrb(tmp_path / "good.mrb")]
    report = import_cases(library, paths)
    assert statuses(report) == ["problem"] * 5 + ["added"]
    assert all(case.message.endswith(".") for case in report.cases[:5])
    assert report.to_json()["problem"] == 5 and len(library.cases()) == 1


@pytest.mark.parametrize("name", ["../outside.nrrd", "/etc/outside", "a/../../outside", "C:/outside", "..\\outside"])
def test_scene_that_leads_out_of_itself_is_refused(tmp_path, name):
    path = write_mrb(tmp_path / "bad.mrb")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(StudyError, match="leads out of it"), opened_scene(path):
        pass
    assert not list(tmp_path.rglob("*outside*"))


def test_scene_with_entities_or_files_elsewhere_is_refused(tmp_path):
    scene = write_scene(tmp_path / "a")
    (tmp_path / "secret.nrrd").write_bytes(b"x")
    scene.write_text(scene.read_text().replace(quote("Data/Jane Doe LGE.nrrd"), "../secret.nrrd"))
    with opened_scene(scene) as cases:
        assert "outside the scene" in cases[0].problem
    bomb = '<?xml version="1.0"?><!DOCTYPE MRML [<!ENTITY a "aaaa">]><MRML>&a;</MRML>'
    for encoding, said in (("utf-8", "entities"), ("utf-16", "UTF-8")):
        scene.write_bytes(bomb.encode(encoding))
        with pytest.raises(StudyError, match=said), opened_scene(scene):
            pass


def test_folders_of_other_layouts(library, tmp_path):
    write_yolosam(tmp_path / "yolosam", {"train": ["A_1", "A_2", "B_1"], "val": ["C_1"]})
    report = import_cases(library, [tmp_path / "yolosam"])
    assert set(statuses(report)) == {"added"} and len(library.cases()) >= 3


def test_next_code_is_the_first_free_one(library):
    assert next_code(library) == "P001"
    add_case(library, "P001", 0)
    add_case(library, "P003", 1)
    assert next_code(library) == "P002"


def test_export_is_a_library_that_can_be_imported(library, tmp_path):
    for number, patient in enumerate(("P001", "N002")):
        add_case(library, patient, number, tags=["t"])
    export = export_cases(library, ["P001"], tmp_path / "out", no_progress, None)
    assert export == ["P001"]
    other = Library.create(tmp_path / "other")
    assert statuses(import_cases(other, [tmp_path / "out"])) == ["added"]
    assert other.cases()[0].content_sha256 == library.cases()[1].content_sha256
    with pytest.raises(StudyError, match="already"):
        export_cases(library, ["P001"], tmp_path / "out", no_progress, None)


def test_unreviewed_slices_are_kept_and_not_used(library):
    add_case(library, "P001", 0, slices=4, reviewed=[2, 1])
    case = library.cases()[0]
    assert case.reviewed == (1, 2) and case.unreviewed == (0, 3)
    assert [s.index for s in library.load(case).slices()] == [1, 2]
    (row,) = LibraryState(library).rows()
    assert row.state == "unreviewed" and "0, 3 not reviewed" in row.problem
    with pytest.raises(StudyError, match="no slice 4"):
        add_case(library, "P002", 1, slices=4, reviewed=[4])
    with pytest.raises(StudyError, match="No slice is reviewed"):
        add_case(library, "P002", 1, reviewed=[])


def test_record_of_another_version_is_named(library):
    add_case(library, "P001", 0)
    path = library.folder / "cases" / "P001" / "case.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 1}))
    with pytest.raises(StudyError, match=r"case.json is of version 1; this program reads version 2\. .*add it again"):
        Case.read(path)


def test_mass_and_thumbnail_of_a_case(library):
    add_case(library, "P001", 0, slices=2)
    case = library.cases()[0]
    assert case.mass_g == pytest.approx(case.scar_pixels * 1.4 * 1.4 * 8 / 1000 * 1.05)
    picture = np.asarray(Image.open(LibraryState(library).rows()[0].thumbnail))
    assert max(picture.shape[:2]) == 160
    assert (picture == (255, 176, 0)).all(axis=2).any(), "the scar is outlined"


def test_changed_file_is_noticed_summed_once_and_accepted(library, monkeypatch):
    for number, patient in enumerate(("P001", "P002")):
        add_case(library, patient, number)
    state = LibraryState(library)
    before = signature(library)
    assert [row.state for row in state.rows()] == ["complete", "complete"]
    summed = []
    from MyoScarSegLib.training.datasets import library_state

    real = library_state.sha256_of
    monkeypatch.setattr(library_state, "sha256_of", lambda path: summed.append(path) or real(path))
    shutil.copy(library.folder / "cases/P002/segmentation.seg.nrrd", library.folder / "cases/P001/segmentation.seg.nrrd")
    assert signature(library) != before
    assert [row.state for row in state.rows()] == ["problem", "complete"] and len(summed) == 1
    assert [row.state for row in state.rows(sums=False)] == ["problem", "complete"]
    renewed = library.accept("P001")
    assert [row.state for row in state.rows()] == ["complete", "complete"]
    assert library.load(renewed).labels.any()


def test_split_made_by_hand_is_checked(library):
    for number, patient in enumerate(("P001", "P002", "N003")):
        add_case(library, patient, number)
    assert library.write_split(Split(("P001",), ("P002",)))[0].startswith("1 patient of the data is on neither side")
    assert library.split_manifest() == Split(("P001",), ("P002",))
    with pytest.raises(StudyError, match="none of the split's 0 validation patients"):
        library.write_split(Split(("P001", "P002"), ()))
    assert library.split_manifest() == Split(("P001",), ("P002",))


def test_an_import_reads_each_record_a_few_times_however_many_cases_there_are(tmp_path, monkeypatch):
    library, scenes, reads = Library.create(tmp_path / "library"), tmp_path / "scenes", []
    for number in range(9):
        write_scene(scenes / f"{number}", number)
    read = Case.read.__func__
    monkeypatch.setattr(Case, "read", classmethod(lambda cls, path: reads.append(path) or read(cls, path)))
    report = import_cases(library, [scenes / f"{number}" for number in range(9)])
    assert [case.status for case in report.cases] == ["added"] * 9
    assert len(reads) == 8, "each that was there once; the last one is asked for by nobody"


def test_a_record_that_somebody_else_has_replaced_is_read_again(library):
    add_case(library, "P001", 1)
    (before,) = library.scan()[0]
    other = Library.open(library.folder)
    other.add(study(1), labels(1) >= 3, patient=before.patient, case=before.case, tags=["other"], replace=True)
    assert library.scan()[0] == other.scan()[0]
