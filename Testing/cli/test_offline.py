"""No command opens a socket but ``models fetch`` and ``batch`` with several workers; none writes outside its output and cache
folders, or tells a patient's name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from Testing.support.command import SPACING, in_subprocess, side_by_side, voxels, write_image
from Testing.support.dicom_factory import write_series

# Beneath Python's own functions, so that nothing that wraps or catches them escapes. Nor may a child that is Python, such as
# pip, do it; libraries ask ldconfig and fc-list where things are.
FORBIDDING = """
import sys

def forbid(event, arguments):
    if event.startswith("socket.") or (event == "subprocess.Popen" and "python" in str(arguments[0])):
        import os
        os.write(2, f"FORBIDDEN {event} {arguments}\\n".encode())
        os._exit(77)

sys.addaudithook(forbid)
import runpy
sys.argv = ["myoscarseg", *sys.argv[1:]]
runpy.run_module("MyoScarSegLib", run_name="__main__")
"""


@pytest.fixture
def places(tmp_path):
    for name in ("home", "cache", "temporary", "work", "inputs"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def alone(places):
    """Runs a command where sockets are forbidden, home and working folder are empty, and the cache is its own."""

    def run(*arguments: object):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "YOLO", "MPL", "TORCH"))}
        environment |= {
            "HOME": str(places / "home"),
            "MYOSCARSEG_CACHE": str(places / "cache"),
            "TMPDIR": str(places / "temporary"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return in_subprocess(arguments, program=[sys.executable, "-c", FORBIDDING], cwd=places / "work", env=environment)

    return run


@pytest.fixture
def dicom(places):
    return write_series(
        places / "inputs" / "exam", voxels(), spacing=SPACING, PatientName="Doe^Jane", PatientID="SECRET4711",
        PatientBirthDate="19500607", InstitutionName="Saint Elsewhere",
    )  # fmt: skip


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("name", ["sam-vit-b", pytest.param("litemedsam", marks=pytest.mark.slow)])
def test_the_guard_of_these_tests_notices_a_socket(alone, name):
    ran = alone("models", "fetch", name)
    assert ran.status == 77 and "FORBIDDEN" in ran.err


@pytest.mark.slow
def test_segment_and_detect_open_no_socket_and_write_nowhere_else(alone, places, tiny_segmenter, tiny_detector, dicom):
    nifti = write_image(places / "inputs" / "one.nii.gz")
    models = ["--segmenter", tiny_segmenter, "--detector", tiny_detector]
    before = files(places / "inputs")
    runs = side_by_side(
        alone,
        ("segment", nifti, dicom, "-o", places / "out", *models),
        ("detect", nifti, dicom, "-o", places / "out2", "--detector", tiny_detector, "--json"),
    )
    assert [ran.status for ran in runs] == [0, 0], [ran.err for ran in runs]
    assert files(places / "inputs") == before
    for place in ("home", "temporary", "work"):
        assert files(places / place) == [], place


@pytest.mark.slow
def test_a_cohort_of_one_worker_opens_no_socket_and_writes_nowhere_else(alone, places, tiny_segmenter, tiny_detector, dicom):
    write_image(places / "inputs" / "one.nii.gz")
    before = files(places / "inputs")
    ran = alone("batch", places / "inputs", "-o", places / "out", "--segmenter", tiny_segmenter, "--detector", tiny_detector)
    assert ran.status == 0 and "2 done" in ran.out, ran.err
    assert files(places / "inputs") == before
    for place in ("home", "temporary", "work"):
        assert files(places / place) == [], place


@pytest.mark.slow
def test_failing_commands_open_no_socket_either(alone, places, tmp_path):
    image = write_image(places / "inputs" / "one.nii.gz")
    runs = side_by_side(
        alone,
        ("segment", image, "-o", places / "out", "--segmenter", "sam-vit-b"),
        ("segment", image, "-o", places / "out2", "--detector", "yolosam-yolo"),
        ("segment", places / "nothing.nii", "-o", places / "out3"),
    )
    assert [ran.status for ran in runs] == [1, 1, 1], [ran.err for ran in runs]


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "list"),
        ("models", "import", "sam-vit-b", "nothing.pth"),
        ("info", "{exam}"),
        pytest.param(("models", "list", "--json"), marks=pytest.mark.slow),
        pytest.param(("models", "verify"), marks=pytest.mark.slow),
        pytest.param(("info", "{exam}", "--json"), marks=pytest.mark.slow),
        pytest.param(("--version",), marks=pytest.mark.slow),
        pytest.param(("segment", "--help"), marks=pytest.mark.slow),
        pytest.param(("demo", "-o", "{out}"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_other_commands_open_no_socket(alone, places, dicom, arguments):
    ran = alone(*(a.format(exam=dicom, out=places / "out") for a in arguments))
    assert ran.status == ("nothing.pth" in arguments) and "FORBIDDEN" not in ran.err, ran.err
    for place in ("home", "temporary", "work"):
        assert files(places / place) == [], place


@pytest.mark.slow
def test_no_patients_name_is_in_any_file_or_line(alone, places, tiny_segmenter, tiny_detector, dicom):
    models = ["--segmenter", tiny_segmenter, "--detector", tiny_detector]
    runs = side_by_side(
        alone,
        ("--verbose", "segment", dicom, "-o", places / "out", *models, "--json"),
        ("--verbose", "detect", dicom, "-o", places / "out2", "--detector", tiny_detector),
        ("info", dicom),
        ("info", dicom, "--json"),
    )
    assert [ran.status for ran in runs] == [0, 0, 0, 0]
    texts = {f"output {n}": (ran.out + ran.err).encode() for n, ran in enumerate(runs)}
    for folder in ("out", "out2", "cache"):
        for name in files(places / folder):
            data = (places / folder / name).read_bytes()
            texts[name] = _unpacked(name, data)
    for name, data in texts.items():
        for secret in (b"Doe", b"Jane", b"SECRET4711", b"19500607", b"Elsewhere"):
            assert secret not in data and secret not in name.encode(), name


def _unpacked(name: str, data: bytes) -> bytes:
    import gzip

    return gzip.decompress(data) if name.endswith(".gz") else data
