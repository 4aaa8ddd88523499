"""A simulated cohort: thousands of small phantoms among odd inputs, how fast they run, and what memory does meanwhile.

    python -m research.cohort.simulate make FOLDER [--studies 2000] [--odd CASES]    three slices of 64 x 64 each
    python -m research.cohort.simulate run FOLDER -o OUT [--workers N] [--first N]    one run of `batch`, and OUT/memory.csv
    python -m research.cohort.simulate draw OUT PICTURE                              memory and speed over the studies
    python -m research.cohort.simulate compare FOLDER OUT [--every 100]              against `segment` one by one

CASES is a folder of further inputs, each of which is copied into the cohort. Workers have one thread each.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from MyoScarSegLib.phantom import PhantomSettings, make_phantom
from MyoScarSegLib.study import write_volume

SETTINGS = PhantomSettings(slices=3, rows=64, columns=64, pixel_spacing_mm=(2.6, 2.6))
EVERY_S = 1.0
PER_FOLDER = 100


def make(folder: Path, studies: int, odd: Path | None) -> None:
    """Write the inputs."""
    for seed in range(studies):
        site = folder / f"site-{seed // PER_FOLDER:02}"
        site.mkdir(parents=True, exist_ok=True)
        study = make_phantom(seed, settings=SETTINGS).study
        write_volume(site / f"P{seed:04}.nrrd", study.voxels.astype(np.float32), study)
    for number, case in enumerate(sorted(p for p in odd.glob("*/*")) if odd else ()):
        place = folder / "odd" / f"{number:03}"
        place.mkdir(parents=True)
        if case.is_dir():
            shutil.copytree(case, place / case.name, symlinks=True)
        else:
            shutil.copy2(case, place)


def run(folder: Path, out: Path, workers: int, first: int | None) -> None:
    """Run `batch`, and note every second how many studies are done and what its processes hold."""
    inputs = sorted(folder.glob("site-*")) if first is None else sorted(folder.glob("site-*"))[: -(-first // PER_FOLDER)]
    inputs += [folder / "odd"] if first is None and (folder / "odd").is_dir() else []
    command = [sys.executable, "-m", "MyoScarSegLib", "batch", *map(str, inputs), "-o", str(out)]
    out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with (out / "log.txt").open("w") as log:
        process = subprocess.Popen([*command, "--workers", str(workers), "--threads", "1"], stdout=log, stderr=log)
        with (out / "memory.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("seconds", "done", "largest_worker_bytes"))
            while process.poll() is None:
                rows.writerow((round(time.monotonic() - begun, 1), _done(out), _largest(process.pid)))
                file.flush()
                time.sleep(EVERY_S)
    seconds = time.monotonic() - begun
    done = _done(out)
    rate = f"{done / seconds:.2f} a second, {workers} workers"
    print(f"{done} studies in {seconds:.0f} s: {rate}, exit status {process.returncode}")


def draw(out: Path, picture: Path) -> None:
    """The plot, and the growth of memory from the 200th study to the last."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with (out / "memory.csv").open() as file:
        seconds, done, held = np.array([[float(v) for v in row.values()] for row in csv.DictReader(file)]).T
    there = held > held.max() / 2  # before the workers start, and after they end, what is largest is the command itself
    seconds, done, held = seconds[there], done[there], held[there]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
    left.plot(done, held / 2**20)
    left.set(xlabel="studies done", ylabel="largest process (MiB)", ylim=(0, None))
    right.plot(seconds / 60, done)
    right.set(xlabel="minutes", ylabel="studies done")
    figure.savefig(picture, dpi=120)
    early, late = (np.median(held[(done >= a) & (done < b)]) for a, b in ((200, 300), (done.max() - 100, done.max() + 1)))
    print(f"memory {early / 2**20:.0f} MiB at 200 to 300 studies, {late / 2**20:.0f} MiB at the end: {late / early - 1:+.1%}")


def compare(folder: Path, out: Path, every: int) -> None:
    """Every so manieth study again by `segment`, as one alone."""
    with (out / "results.csv").open() as file:
        together = {row["case"]: row for row in csv.DictReader(file)}
    same = 0
    inputs = sorted(folder.glob("site-*/*.nrrd"))[::every]
    for path in inputs:
        with tempfile.TemporaryDirectory() as name:
            command = [sys.executable, "-m", "MyoScarSegLib", "segment", str(path), "-o", name]
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            with (Path(name) / "results.csv").open() as file:
                alone = next(csv.DictReader(file))
        same += alone["scar_mass_g"] == together[path.stem]["scar_mass_g"]
    print(f"{same} of {len(inputs)} have the same mass as by segment alone")


def _done(out: Path) -> int:
    return sum(1 for _ in out.glob("*/record.json"))


def _largest(pid: int) -> int:
    """Bytes of the largest process of a run that are its own."""
    held = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            held = max(held, process.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return held


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "run", "draw", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("picture", type=Path, nargs="?")
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--odd", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--first", type=int)
    parser.add_argument("--every", type=int, default=100)
    told = parser.parse_args()
    if told.what == "make":
        make(told.folder, told.studies, told.odd)
    elif told.what == "run":
        run(told.folder, told.out, told.workers, told.first)
    elif told.what == "draw":
        draw(told.folder, told.picture)
    else:
        compare(told.folder, told.picture, told.every)


if __name__ == "__main__":
    main()
