"""``myoscarseg batch``: a cohort."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from MyoScarSegLib.cli.console import add_options, cancel_on_interrupt, folder, positive_number, taken
from MyoScarSegLib.cli.jobs import check_models
from MyoScarSegLib.errors import OutputError
from MyoScarSegLib.utils.progress import CancelToken, duration
from MyoScarSegLib.utils.words import counted, listed

if TYPE_CHECKING:
    from MyoScarSegLib.batch.job import Job, Outcome

_SHOWN = 5
_CACHE_MIB = 64
"""Embeddings serve within a study, and are dropped at its end."""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "batch",
        help="a cohort: all studies below some folders, resumed where it stopped",
        description="Find the studies below each INPUT_ROOT, segment those that are not done yet, and write OUT/<case>/ as "
        "`segment` does, with a record of each study; OUT/results.csv, OUT/slices.csv, and OUT/inputs.csv with what was taken or "
        "left and why. Without INPUT_ROOT nothing is segmented: --table and --report are made from what OUT holds.",
    )
    parser.add_argument("input", metavar="INPUT_ROOT", nargs="*", type=Path, help="folder to look through, or a file")
    parser.add_argument("-o", "--out", metavar="OUT", type=folder, required=True, help="folder for the results")
    parser.add_argument("--resume", action="store_true", help="go on with OUT: run what is missing or has changed since")
    parser.add_argument("--workers", type=positive_number, default=1, metavar="N", help="processes on this computer (1)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a running Dask cluster, instead of processes here")
    for what in ("ca", "cert", "key"):
        parser.add_argument(f"--tls-{what}", type=Path, metavar="FILE", help=f"PEM file for the scheduler: {what}")
    parser.add_argument("--threads", type=positive_number, metavar="N", help="of each worker (cores / workers)")
    parser.add_argument("--table", choices=("csv", "parquet", "sqlite"), help="write OUT/cohort.KIND, a row a study")
    parser.add_argument(
        "--report",
        action="store_true",
        help="a report of each study, as `segment --report` writes it, and OUT/cohort.html over all",
    )
    add_options(parser, "detector", "segmenter", "confidence", "threshold")
    parser.add_argument("--boxes", type=Path, metavar="DIR", help="folder with <case>/boxes.json; no detection")
    parser.add_argument("--points", type=Path, metavar="DIR", help="folder with <case>/points.json")
    add_options(parser, "format", "device", "precision", spacing="mm between columns, rows and slices, for all inputs")
    add_options(parser, "trust", overwrite="write also over boxes.json and points.json that were edited")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``batch``. Returns the exit status."""
    from MyoScarSegLib.batch.cohort import Cohort

    check_models(args.parser.error, args)
    if not args.input and not args.table and not args.report:
        args.parser.error("batch: give INPUT_ROOT, or --table or --report to make them from what OUT holds")
    cohort = Cohort(args.out)
    if not args.input and not cohort.begun:
        raise OutputError(f"{args.out} holds no study that was segmented. Give INPUT_ROOT, or the results folder of a cohort.")
    with cohort.alone():
        outcomes = _segmented(args, cohort) if args.input else []
        if args.table:
            from MyoScarSegLib.batch.table import write_cohort_table

            sys.stderr.write(f"Table: {write_cohort_table(cohort, args.table)}\n")
        if args.report:
            from MyoScarSegLib.batch.cohort_summary import write_summary
            from MyoScarSegLib.outputs.measurement_files import write_burden_tables

            write_burden_tables(cohort.out)
            sys.stderr.write(f"Summary: {write_summary(cohort)}\n")
    return int(any(outcome.status in ("failed", "incomplete", "cancelled") for outcome in outcomes))


def _segmented(args: argparse.Namespace, cohort: Any) -> Sequence[Outcome]:
    found = cohort.find(args.input, resume=args.resume)
    count = sum(one.taken for one in found)
    sys.stderr.write(
        f"{count} {'study' if count == 1 else 'studies'} found; {len(found) - count} other files and folders are left "
        f"(why: {args.out / 'inputs.csv'}).\n"
    )
    outcomes: list[Outcome] = []
    with cancel_on_interrupt("the study in hand") as cancel:
        work = _work(args, cancel)

        def kept(job: Job, ended: Callable[[Outcome], None]) -> list[Outcome]:
            outcomes.extend(work(job, ended))
            return outcomes

        try:
            cohort.run(found, _job(args), kept, CohortProgress(count))
        finally:  # also where the disk is too full for the list of inputs
            if outcomes:
                _report(outcomes, args.out)
    return outcomes


def _job(args: argparse.Namespace) -> Job:
    from MyoScarSegLib.batch.job import Job

    told = taken(args, "boxes", "points", "threshold", "spacing_mm", "overwrite", "report", "resume")
    return Job((), args.out, formats=args.format, **told)


def _work(args: argparse.Namespace, cancel: CancelToken) -> Callable[[Job, Callable[[Outcome], None]], list[Outcome]]:
    """What does the studies: this process, or several."""
    from MyoScarSegLib.batch.cluster import ClusterChoice, segment_on_cluster
    from MyoScarSegLib.batch.runner import segment_all
    from MyoScarSegLib.engine_settings import EngineSettings
    from MyoScarSegLib.utils.memory import keep_freed_memory

    where = ClusterChoice(args.workers, args.scheduler, args.tls_ca, args.tls_cert, args.tls_key)
    where.check()
    if where.warning:
        sys.stderr.write(f"warning: {where.warning}\n")
    shared = None if args.scheduler else max(1, (os.cpu_count() or 1) // args.workers)
    told = taken(args, "detector", "segmenter", "device", "precision", "confidence", "trust")
    settings = EngineSettings(**told, threads=args.threads or shared, cache_mib=_CACHE_MIB)

    if args.workers == 1 and args.scheduler is None:
        keep_freed_memory()
        return lambda job, ended: segment_all(job, settings.pipeline(), cancel=cancel, ended=ended)
    return lambda job, ended: segment_on_cluster(job, settings, where, cancel=cancel, ended=ended)


class CohortProgress:
    """A line per study on standard error, and from the first on that was segmented the rate and the time left; of what was done
    before, or cancelled, none.
    """

    def __init__(self, total: int) -> None:
        self._total, self._done, self._run, self._segmented = total, 0, 0, False
        self._began = time.monotonic()

    def __call__(self, outcome: Outcome) -> None:
        """Write the line of a study that has ended."""
        self._done += 1
        if outcome.before or outcome.status == "cancelled":
            return
        self._run += 1
        self._segmented |= outcome.written
        seconds, left = time.monotonic() - self._began, self._total - self._done
        ends = f"{duration(left * seconds / self._run)} left" if left else f"done in {duration(seconds)}"
        rate = f"; {60 * self._run / seconds:.3g} studies/min, {ends}" if self._segmented else ""
        sys.stderr.write(f"[{self._done}/{self._total}] {outcome.case}: {outcome.status}{rate}\n")
        sys.stderr.flush()


def _report(outcomes: Sequence[Outcome], out: Path) -> None:
    """How the studies ended, and why some did not end well, by cause."""
    counts = Counter(outcome.status for outcome in outcomes)
    before = sum(outcome.before for outcome in outcomes)
    ended = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    sys.stdout.write(
        f"{counted(len(outcomes), 'study', 'studies')}: {ended}"
        + (f"; {before} of them {'was as it is' if before == 1 else 'were as they are'} before.\n" if before else ".\n")
    )
    for alike in _by_cause(outcomes):
        sys.stdout.write(f"  {len(alike)} {alike[0].status}: {alike[0].message}\n")
        sys.stdout.write(f"    {listed((outcome.case for outcome in alike), _SHOWN)}\n")
    sys.stdout.write(f"All of them: {out / 'inputs.csv'}; results: {out / 'results.csv'}\n")


def _by_cause(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """The studies that are not done, those alike together, so that forty of one kind are one line; failures first."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status != "done":
            # A message without what differs from study to study: paths, quoted words, numbers.
            message = re.sub(r"\S*[/\\]\S*|'[^']*'|\"[^\"]*\"|\([^)]*\)", "", outcome.message.split("\n", 1)[0])
            kind = " ".join(re.sub(r"\d+", "", message.replace(outcome.case, "")).split())
            groups.setdefault((outcome.status, kind), []).append(outcome)
    order = ("failed", "incomplete", "left", "cancelled")
    return sorted(groups.values(), key=lambda alike: (order.index(alike[0].status), -len(alike)))
