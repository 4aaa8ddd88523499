"""The site is built without a warning: no broken link, no page that no menu leads to, no name that the API reference lacks."""

import os
import re
import subprocess
import sys

from Testing.conftest import REPOSITORY


def test_the_site_builds_strictly_and_needs_no_network(tmp_path):
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    ran = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    pages = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "site").glob("*.html")}
    assert 'id="MyoScarSegLib.pipeline.Pipeline.run"' in pages["api.html"]
    for name, text in pages.items():
        assert ":class:`" not in text, name
        assert "fonts.googleapis" not in text, name


def test_the_menu_names_each_page_once():
    named = re.findall(r"([\w-]+\.md)$", (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(path.name for path in (REPOSITORY / "docs").glob("*.md"))
