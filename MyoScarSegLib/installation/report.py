"""What the process beside Slicer found in its Python."""

from __future__ import annotations

import json
from dataclasses import dataclass

from MyoScarSegLib.errors import InstallationError
from MyoScarSegLib.installation.computer import Computer
from MyoScarSegLib.installation.installed import Found, normalise
from MyoScarSegLib.installation.requirements import SLICERS_MODULES, older


@dataclass(frozen=True)
class Report:
    """The Python that the worker runs on.

    Attributes:
        packages: what is installed, by normalised names.
        modules: those of ``SLICERS_MODULES`` that can be imported.
        computer: system and graphics card.
        index: the package index that pip is set to, "" for the public one.
        folder: where pip would install.
        writable: whether it may.
        free_bytes: how much that disk has left.
        python: version of Python, ``3.12.10``.
    """

    packages: dict[str, Found]
    modules: frozenset[str]
    computer: Computer
    index: str
    folder: str
    writable: bool
    free_bytes: int
    python: str

    @staticmethod
    def from_json(text: str) -> Report:
        """The report in the last line of ``text``.

        Raises:
            InstallationError: there is none.
        """
        try:
            found = json.loads(text.strip().splitlines()[-1])
            packages = [Found(**package) for package in found.pop("packages")]
            return Report(
                packages={normalise(package.name): package for package in packages},
                modules=frozenset(found.pop("modules")),
                computer=Computer(**found.pop("computer")),
                **found,
            )
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise InstallationError(f"Slicer's Python could not be asked what it has: {text.strip()[-300:] or error}.") from error

    def version(self, name: str) -> str:
        """The installed version of a package, "" if it is not there."""
        found = self.packages.get(normalise(name))
        return found.version if found else ""

    @property
    def reports_bytes(self) -> bool:
        """Whether its pip can say how many bytes of a file have come."""
        return not older(self.version("pip"), "24.1")

    @property
    def unrecorded(self) -> set[str]:
        """Packages whose modules are there, but not their records: pip would put its own beside them."""
        return {name for module, name in SLICERS_MODULES.items() if module in self.modules and name not in self.packages}
