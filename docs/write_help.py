"""The pages that *Help* in the panel opens, from those in ``docs/``: ``python docs/write_help.py`` writes ``Resources/Help``.

They ship with the extension, for there may be no internet. Slicer shows them in a window of Qt, which knows simple HTML.
"""

from __future__ import annotations

import re
from pathlib import Path

import markdown

HERE = Path(__file__).resolve().parent
HELP = HERE.parent / "Resources" / "Help"
PAGES = ("quick-start", "keys", "numbers", "troubleshooting", "it")
_LINK = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.DOTALL)
_TITLES = {
    "quick-start": "Quick start",
    "keys": "Keys",
    "numbers": "Numbers",
    "troubleshooting": "Troubleshooting",
    "it": "For IT departments",
}


def help_page(name: str) -> str:
    """A page as simple HTML. Links to other pages of the help stay links, the others and all pictures become words."""
    text = re.sub(r"!\[([^]]*)\]\([^)]*\)\n?", "", (HERE / f"{name}.md").read_text(encoding="utf-8"))
    body = _LINK.sub(_link, markdown.markdown(text, extensions=["tables", "toc", "fenced_code"], output_format="html"))
    body = re.sub(r"<h(\d) id=\"([^\"]*)\">", r'<h\1><a name="\2"></a>', body)  # the anchors that Qt knows
    others = " &middot; ".join(f'<a href="{other}.html">{_TITLES[other]}</a>' for other in PAGES)
    style = "<style>td, th {padding: 3px 10px 3px 0; text-align: left; vertical-align: top}</style>"
    head = f'<html><head><meta charset="utf-8"><title>{_TITLES[name]}</title>{style}</head>'
    return f"{head}\n<body>\n<p>{others}</p>\n{body}\n</body></html>\n"


def _link(match: re.Match[str]) -> str:
    page, _, anchor = match[1].partition("#")
    name = page.removesuffix(".md")
    if not page and anchor:
        return match[0]
    return f'<a href="{name}.html{anchor and "#" + anchor}">{match[2]}</a>' if name in PAGES else match[2]


def main() -> None:
    """Write all of them."""
    HELP.mkdir(exist_ok=True)
    for name in PAGES:
        (HELP / f"{name}.html").write_text(help_page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
