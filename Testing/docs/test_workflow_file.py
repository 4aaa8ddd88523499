"""The public workflow installs what the tests import, on the systems that have no make, too."""

import re

from Testing.conftest import REPOSITORY


def test_systems_without_make_get_the_packages_of_the_tests():
    workflow, makefile = ((REPOSITORY / name).read_text(encoding="utf-8") for name in (".github/workflows/ci.yml", "Makefile"))
    assert re.findall(r'python -m pip install .*"(\.\[.*\])"', workflow) == re.findall(r'pip install .*"(\.\[.*\])"', makefile)
