"""Links within the repository lead somewhere, and what pages say of files is held to the files."""

import inspect
import json
import re

import pytest

from MyoScarSegLib import errors
from MyoScarSegLib.models import DEFAULT_SEGMENTER, registry
from Testing.conftest import REPOSITORY
from Testing.docs.pages import PAGES, anchors, links, name_of, without_blocks


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_within_the_repository_lead_to_files_and_headings(page):
    wrong = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = page if not name else page.parent / name
        if "://" in link or link.startswith("mailto:"):
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_files_that_the_architecture_page_names_exist():
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_/]+(?:\.py|/))`", text)
    assert len(named) > 40
    assert [
        name for name in named if not any((root / name).exists() for root in (REPOSITORY, REPOSITORY / "MyoScarSegLib"))
    ] == []


def test_the_architecture_page_names_every_folder_and_every_file_at_the_top_of_the_library():
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    library = REPOSITORY / "MyoScarSegLib"
    files = {path.name for path in library.glob("*.py") if not path.name.startswith("__")}
    folders = {f"{path.parent.name}/" for path in library.glob("*/__init__.py")}
    assert [name for name in sorted(files | folders) if f"`{name}" not in text] == []


def test_every_picture_is_shown_on_a_page():
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page) if link.endswith((".png", ".svg"))}
    assert [path.name for path in (REPOSITORY / "docs" / "images").iterdir() if path.resolve() not in shown] == []


def test_troubleshooting_has_an_entry_for_every_class_of_error():
    classes = {name for name, one in vars(errors).items() if inspect.isclass(one) and issubclass(one, Exception)}
    assert len(classes) > 8
    page = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^## (\w+)$", page, re.MULTILINE))
    assert classes - headings == set(), "an error without an entry"
    assert headings - classes == set(), "an entry for an error that is no more"


def test_every_list_of_the_extensions_packages_is_complete():
    from MyoScarSegLib.installation.requirements import wanted

    table = (REPOSITORY / "docs" / "packages.md").read_text(encoding="utf-8")
    assert [one.name for one in wanted(training=True) if f"| {one.name} |" not in table] == []
    assert "| ? |" not in table, "a package without a license"
    copyleft = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|") and "GPL" in line]
    assert copyleft == ["ultralytics-opencv-headless", "ultralytics-platform", "ultralytics-thop"], (
        "the FAQ on licenses names these"
    )
    hashed = (REPOSITORY / "docs" / "packages.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^[A-Za-z0-9].*==.*\\\n +--hash=sha256:[0-9a-f]{64}", hashed, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[A-Za-z0-9]", hashed, re.MULTILINE))


def test_every_reference_method_has_its_row_with_its_source():
    from MyoScarSegLib.quantification.reference import SOURCES

    rows = (REPOSITORY / "docs" / "numbers.md").read_text(encoding="utf-8").splitlines()
    for name, source in SOURCES.items():
        named = (row for row in rows if row.startswith("|") and name in row.split("|")[1].strip().split(", "))
        row = next(named, "")
        assert source in row, name


@pytest.mark.parametrize(
    ("system", "has", "lacks"), [("windows", "colorama", "triton"), ("linux", "triton", "colorama"), ("macos", "torch", "triton")]
)
def test_wheels_are_those_of_the_system(system, has, lacks):
    from docs.list_packages import LIST, for_system, listed

    names = [one.name for one in listed(LIST.read_text(encoding="utf-8")) if for_system(one, system)]
    assert has in names
    assert lacks not in names
    assert len(names) == len(set(names)), "one version each"


def test_the_readme_is_short_and_has_what_a_visitor_looks_for():
    text = without_blocks(REPOSITORY / "README.md")
    assert len(text.splitlines()) < 120
    for word in ("Research use only", "## Install", "## Five steps", "## What it can and cannot do", "## License"):
        assert word in text, word


PROMPTS = {
    "tight box round all scar of the slice": "oracle",
    "box with edges off by up to 10%": "jittered",
    "the same and one correcting click a slice": "clicks_1",
    "the same and three": "clicks_3",
    "end to end, nobody helps": "end_to_end",
}


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_accuracy_on_the_pages_is_the_shipped_models(page):
    figures = shipped_card()["metrics"]["validation"]
    registered = registry().entry(DEFAULT_SEGMENTER).metrics["per_patient_dice"]
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    assert set(re.findall(r"`(myoscarseg-sam-\d+)`", text)) == {DEFAULT_SEGMENTER}
    lines = text.splitlines()
    for words, setting in PROMPTS.items():
        (row,) = [[cell.strip() for cell in line.split("|")] for line in lines if line.startswith(f"| {words} |")]
        low, high = registered[setting]["dice_interval_95"]
        assert f"{registered[setting]['dice_mean']:.2f} ({low:.2f} to {high:.2f})" in row
        low, high = figures[f"{setting} dice_interval_95"]
        assert f"{figures[f'{setting} dice_mean']:.2f} ({low:.2f} to {high:.2f})" in row
        low, high = figures[f"{setting} mass_bias_percent_interval_95"]
        assert f"{figures[f'{setting} mass_bias_percent']:.0f}% ({low:.0f} to {high:.0f})" in row


def test_the_limit_of_likely_wrong_on_the_page_is_the_shipped_models():
    *_, doubt = shipped_card()["settings"]["answers"]["alone_error"]
    assert f"the uncertain mass (as for the interval) is more than {doubt} times the mass" in (
        REPOSITORY / "docs" / "numbers.md"
    ).read_text(encoding="utf-8")


def shipped_card():
    return json.loads((REPOSITORY / "Resources" / "Models" / f"{DEFAULT_SEGMENTER}.json").read_text(encoding="utf-8"))
