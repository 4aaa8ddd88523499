"""Failures grouped by their cause, so that forty of one kind are one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from MyoScarSegLib.batch.job import Outcome


@dataclass(frozen=True)
class Cause:
    """Studies that ended for one reason.

    Attributes:
        status: ``failed``, ``incomplete``, ``left`` or ``cancelled``.
        message: of the first of them.
        cases: their names.
    """

    status: str
    message: str
    cases: Sequence[str]


def causes(outcomes: Iterable[Outcome]) -> list[Cause]:
    """The reasons for which studies are not done, failures first and then the most frequent."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status != "done":
            groups.setdefault((outcome.status, _kind_of(outcome)), []).append(outcome)
    found = [Cause(status, group[0].message, [one.case for one in group]) for (status, _), group in groups.items()]
    order = ("failed", "incomplete", "left", "cancelled")
    return sorted(found, key=lambda cause: (order.index(cause.status), -len(cause.cases)))


def _kind_of(outcome: Outcome) -> str:
    """A message without what differs from study to study: paths, quoted words, numbers."""
    message = outcome.message.split("\n", 1)[0]
    message = re.sub(r"\S*[/\\]\S*|'[^']*'|\"[^\"]*\"|\([^)]*\)", "", message).replace(outcome.case, "")
    return " ".join(re.sub(r"\d+", "", message).split())
