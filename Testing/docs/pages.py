"""The pages of the repository, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from Testing.conftest import REPOSITORY

TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CODE_OF_CONDUCT.md")
PAGES = sorted(
    [
        *(REPOSITORY / name for name in TOP),
        *(REPOSITORY / "docs").glob("*.md"),
        *(REPOSITORY / "research").glob("*/README.md"),
        *(REPOSITORY / ".github").rglob("*.md"),
        *(REPOSITORY / "Resources" / "Models").glob("*.md"),
    ]
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: that it stands in.
        language: behind the fence, empty if nothing is.
        text: within.
        line: of the page, counted from 1, on which the text begins.
    """

    page: Path
    language: str
    text: str
    line: int


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        yield Block(page, found[1], found[2], text.count("\n", 0, found.start(2)) + 1)


def without_blocks(page: Path) -> str:
    """A page's text outside of fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Where a page's links and pictures lead, as they are written."""
    return _LINK.findall(without_blocks(page))


def anchors(page: Path) -> set[str]:
    """What may stand behind ``#`` in a link to a page: its headings, as GitHub and the site write them."""
    plain = (re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in _HEADING.findall(without_blocks(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}
