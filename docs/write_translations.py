"""The texts that a user sees in Slicer, for translators: ``python docs/write_translations.py`` writes ``Resources/Translations``.

Qt's ``lupdate`` does not come with Python; this takes what stands in ``_("...")`` and in
the forms. The contexts are those of ``slicer.i18n.getContext`` and of Qt's forms, so ``lrelease`` makes of a copy
with translations what Slicer loads.
"""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TEMPLATE = REPOSITORY / "Resources" / "Translations" / "MyoScarSeg_template.ts"
_SOURCES = ("MyoScarSeg", "MyoScarSegLib/scene", "MyoScarSegLib/widgets")


def texts() -> dict[str, list[str]]:
    """Context to its English texts, each once, both in order."""
    found: dict[str, list[str]] = {}
    for folder in _SOURCES:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            package = f"{path.parent.name}." if (path.parent / "__init__.py").is_file() else ""
            found.setdefault(package + path.stem, []).extend(_of_python(path))
    for path in sorted((REPOSITORY / "Resources" / "UI").glob("*.ui")):
        root = ElementTree.parse(path).getroot()  # noqa: S314 (our own form)
        context = str(root.findtext("class"))
        found.setdefault(context, []).extend(
            text.text for text in root.iter("string") if text.text and text.get("notr") != "true" and text.text.strip()
        )
    return {context: list(dict.fromkeys(lines)) for context, lines in sorted(found.items()) if lines}


def _of_python(path: Path) -> list[str]:
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_" and node.args
    ]
    values = [(node.lineno, node.col_offset, node.args[0]) for node in calls]
    return [value.value for *_place, value in sorted(values, key=lambda one: one[:2]) if isinstance(value, ast.Constant)]


def template() -> str:
    """The file's text."""
    root = ElementTree.Element("TS", version="2.1", language="", sourcelanguage="en_US")
    for name, lines in texts().items():
        context = ElementTree.SubElement(root, "context")
        ElementTree.SubElement(context, "name").text = name
        for line in lines:
            message = ElementTree.SubElement(context, "message")
            ElementTree.SubElement(message, "source").text = line
            ElementTree.SubElement(message, "translation", type="unfinished").text = ""
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def main() -> None:
    """Write it."""
    TEMPLATE.parent.mkdir(exist_ok=True)
    TEMPLATE.write_text(template(), encoding="utf-8")


if __name__ == "__main__":
    main()
