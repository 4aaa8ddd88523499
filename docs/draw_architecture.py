"""Draws `images/architecture.png` from the code: packages in their layers, and how many imports go from one to another.

The arrows to `utils` and `errors`, which all use, are left out. Needs Python 3.11 or later.

usage: python docs/draw_architecture.py [--count]        --count prints lines, files and imports instead
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

import tomllib
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

REPOSITORY = Path(__file__).resolve().parents[1]
LIBRARY = REPOSITORY / "MyoScarSegLib"
WIDTH, HEIGHT, GAP = 12.0, 0.62, 0.34
COLORS = {"widgets": "#dbeafe", "cli": "#dbeafe", "scene": "#dcfce7", "engine": "#fef3c7", "installation": "#fef3c7"}


def layers() -> list[list[str]]:
    """Packages and modules of the library from the top down, as the import linter's contract has them."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rows = next(c["layers"] for c in contracts if c["id"] == "layers")
    return [[name.strip(" ()") for name in row.replace("|", ":").split(":")] for row in rows]


def files_of(name: str) -> list[Path]:
    """The Python files of a package, or the one of a module."""
    package = LIBRARY / name
    return sorted(package.rglob("*.py")) if package.is_dir() else [package.with_suffix(".py")]


def purpose(name: str) -> str:
    """The first sentence of its docstring."""
    first = files_of(name)[0] if not (LIBRARY / name).is_dir() else LIBRARY / name / "__init__.py"
    text = ast.get_docstring(ast.parse(first.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0].rstrip(".")


def imports() -> Counter[tuple[str, str]]:
    """Import statements from one package or module of the library to another."""
    counts: Counter[tuple[str, str]] = Counter()
    for path in LIBRARY.rglob("*.py"):
        source = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                parts = name.split(".")
                if parts[0] == "MyoScarSegLib" and len(parts) > 1 and parts[1] != source:
                    counts[source, parts[1]] += 1
    return counts


def draw(target: Path) -> None:
    """Write the picture to ``target``."""
    rows, counts = layers(), imports()
    figure, axes = plt.subplots(figsize=(11, len(rows) * 0.98), layout="constrained")
    places = {}
    for r, row in enumerate(rows):
        y, width = -r * (HEIGHT + GAP), (WIDTH - GAP * (len(row) - 1)) / len(row)
        for c, name in enumerate(row):
            x = c * (width + GAP)
            places[name] = (x + width / 2, y)
            box = FancyBboxPatch((x, y), width, HEIGHT, boxstyle="round,pad=0.02", fc=COLORS.get(name, "#f3f4f6"), ec="#6b7280")
            axes.add_patch(box)
            lines = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in files_of(name))
            package = (LIBRARY / name).is_dir()
            label = f"{name}/" if package else f"{name}.py"
            size = f"{len(files_of(name))} files, {lines:,} lines" if package else f"{lines:,} lines"
            axes.text(x + width / 2, y + HEIGHT * 0.63, label, ha="center", va="center", weight="bold", size=10.5)
            axes.text(x + width / 2, y + HEIGHT * 0.25, size, ha="center", va="center", size=8, color="#4b5563")
    for (source, target_name), count in counts.items():
        if source in places and target_name in places and target_name not in ("utils", "errors"):
            (x0, y0), (x1, y1) = places[source], places[target_name]
            style = {
                "arrowstyle": "-|>",
                "lw": 0.4 + 0.09 * count**0.9,
                "color": "#2563eb",
                "alpha": 0.28,
                "shrinkA": 0,
                "shrinkB": 0,
            }
            style["connectionstyle"] = f"arc3,rad={0.12 if x0 <= x1 else -0.12}"
            axes.annotate("", (x1, y1 + HEIGHT), (x0, y0), arrowprops=style)
    axes.set_xlim(-0.1, WIDTH + 0.1)
    axes.set_ylim(-(len(rows) - 1) * (HEIGHT + GAP) - 0.1, HEIGHT + 0.1)
    axes.axis("off")
    figure.savefig(target, dpi=130)


def main() -> int:
    """Draw, or count."""
    if "--count" in sys.argv:
        files = list(LIBRARY.rglob("*.py"))
        total = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in files)
        print(f"{total} lines in {len(files)} files, {sum(imports().values())} imports from one package to another")  # noqa: T201
        return 0
    draw(REPOSITORY / "docs" / "images" / "architecture.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
