"""What the site does beside mkdocs' own work: links from a page to a file outside ``docs/`` lead to the repository."""

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(\]\()(\.\./[^)\s]+|tutorial\.ipynb)(\))")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_more: Any) -> str:
    """The page with those links turned into addresses.

    Raises:
        FileNotFoundError: a link leads to no file, so a strict build ends.
    """
    docs = Path(config["docs_dir"])

    def address(match: re.Match[str]) -> str:
        name, _, anchor = match[2].partition("#")
        path = (docs / Path(page.file.src_uri).parent / name).resolve()
        if not path.exists():
            raise FileNotFoundError(f"{page.file.src_uri} links to {name}, which does not exist.")
        kind = "tree" if path.is_dir() else "blob"
        inside = path.relative_to(docs.parent).as_posix()
        return f"{match[1]}{config['repo_url']}/{kind}/main/{inside}{anchor and '#' + anchor}{match[3]}"

    return _LINK.sub(address, markdown)
