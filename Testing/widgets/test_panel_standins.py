"""The stand-ins offer nothing that the application does not, and the form and the code that uses it pass the checker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from Testing.support.standins import application as standin_application
from Testing.support.standins import ctk_widgets, facts, slicer_widgets

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = [
    REPOSITORY / "MyoScarSeg" / "MyoScarSeg.py",
    *sorted((REPOSITORY / "MyoScarSegLib" / "widgets").rglob("*.py")),
    *sorted((REPOSITORY / "Resources" / "UI").glob("*.ui")),
]
OWN_CLASSES = [
    cls
    for module in (ctk_widgets, slicer_widgets, standin_application)
    for name, cls in vars(module).items()
    if name.startswith(("ctk", "qMRML", "qSlicer")) and isinstance(cls, type)
]
# What the facts say of Slicer's base classes of scripted modules.
BASE_CLASSES = {
    "ScriptedLoadableModule": {"parent", "moduleName"},
    "ScriptedLoadableModuleWidget": {"parent", "layout", "moduleName", "setup", "cleanup", "onReload"},
    "ScriptedLoadableModuleLogic": {"moduleName"},
}


def test_form_and_code_use_only_what_the_application_has():
    done = subprocess.run([sys.executable, facts.FACTS / "check_ui.py", *FILES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("cls", OWN_CLASSES, ids=lambda cls: cls.__name__)
def test_stand_in_class_offers_no_member_that_the_application_lacks(cls):
    assert facts.api().known(cls.__name__)
    allowed_of_qt = {name for base in cls.__mro__[1:] for name in vars(base)}
    # Qt calls these by itself, and a test sets up the application; the module sees a proxy that asks the facts.
    internal = {"staticMetaObject", "begin", "modules_shown"}
    for name in vars(cls):
        if not name.startswith("_") and name not in allowed_of_qt | internal:
            assert facts.find(cls.__name__, name) is not None, f"{cls.__name__}.{name}"


def test_every_name_of_ctk_and_slicer_is_one_of_the_application():
    for name in standin_application._CTK | standin_application._SLICER:
        entry = facts.api().classes[name]
        assert entry["constructible"]
        assert entry["designer_plugin"], "or the form could not hold it"


def test_helpers_that_are_replaced_exist_in_the_application(application):
    names = {"loadUI", "childWidgetVariables", "mainWindow", "selectModule", "resetSliceViews", "getModuleWidget"}
    assert names | {"reloadScriptedModule", "showStatusMessage"} <= facts.api().util


def test_base_classes_have_no_members_beyond_the_facts():
    for name, members in BASE_CLASSES.items():
        cls = getattr(standin_application, name)
        assert {member for member in vars(cls) if not member.startswith("_")} <= members


def test_facts_are_those_of_a_slicer_that_is_supported():
    described = json.loads((facts.FACTS / "qt-api.json").read_text(encoding="utf-8"))
    assert described["slicer"].startswith("5.12")
