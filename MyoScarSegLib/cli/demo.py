"""``myoscarseg demo``: the whole job on a made study whose scar is known, with the comparison."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from MyoScarSegLib.cli.console import add_options, folder, shown_and_cancellable, whole_number
from MyoScarSegLib.errors import Cancelled, MyoScarSegError
from MyoScarSegLib.utils.progress import of_part

_SEED = 11


def add_parser(subparsers: Any) -> None:
    """Add the command to ``subparsers``."""
    parser = subparsers.add_parser(
        "demo",
        help="segment a made study with known scar",
        description="Make a phantom study, write it as NRRD, segment it from that file with the default models, and compare.",
    )
    parser.add_argument(
        "-o", "--out", metavar="OUT", type=folder, default=Path("out/demo"), help="folder for all files (out/demo)"
    )
    parser.add_argument("--seed", type=whole_number, default=_SEED, help=f"another phantom ({_SEED})")
    add_options(parser, "device")
    scene = "instead write the phantom, its boxes and its scar as a scene for 3D Slicer"
    parser.add_argument("--scene", metavar="FILE.mrb", type=Path, help=scene)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make, write, read back, segment, compare. Returns the exit status."""
    if args.scene is not None:
        return _write_scene(args)
    import numpy as np

    from MyoScarSegLib.outputs.case_files import write_case, write_tables
    from MyoScarSegLib.outputs.case_folders import CaseFolders
    from MyoScarSegLib.phantom import make_phantom
    from MyoScarSegLib.pipeline import Pipeline
    from MyoScarSegLib.prompts import box_of_mask
    from MyoScarSegLib.quantification.burden import scar_burden
    from MyoScarSegLib.quantification.overlap import dice
    from MyoScarSegLib.study import read_study, write_volume
    from MyoScarSegLib.utils.files import write_json

    phantom = make_phantom(args.seed)
    source = args.out / "phantom.nrrd"
    write_volume(source, phantom.study.voxels.astype(np.float32), phantom.study)
    write_volume(args.out / "truth.nii.gz", phantom.labels, phantom.study)
    study = read_study(source)

    pipeline = Pipeline(device=args.device)
    with shown_and_cancellable() as (progress, cancel):
        start = time.perf_counter()
        result = pipeline.run(study, progress=progress, cancel=cancel)
        seconds = time.perf_counter() - start
        known_boxes = [b for k in range(study.slices) if (b := box_of_mask(phantom.scar[k], k, source="truth")) is not None]
        # The study is segmented twice, and the line of progress says which of both it is.
        guided = pipeline.segment(study, known_boxes, progress=of_part(progress, "With the true boxes"), cancel=cancel)
    if result.cancelled or guided.cancelled:
        raise Cancelled("The demo was cancelled.")

    with CaseFolders(args.out).locked():
        write_case(args.out / "phantom", result, truth=phantom.scar, seconds=round(seconds, 2))
        write_tables(args.out, {}, ["phantom"])
    comparison = {
        "true_mass_g": phantom.scar_mass_g,
        "true_mask_mass_g": scar_burden(phantom.scar, study.geometry).mass_g,
        "automatic": {"mass_g": result.burden.mass_g, "dice": dice(result.mask, phantom.scar), "boxes": len(result.boxes)},
        "with_true_boxes": {"mass_g": guided.burden.mass_g, "dice": dice(guided.mask, phantom.scar), "boxes": len(known_boxes)},
    }
    write_json(args.out / "comparison.json", comparison)
    sys.stdout.write(_text(comparison, args.out))
    return int(not result.complete)


def _write_scene(args: argparse.Namespace) -> int:
    """Write the phantom's scene, through the real MRML of slicer-core and the worker that the Slicer module uses."""
    try:
        import slicer  # noqa: F401 (asked for before anything is made)
        import vtk  # noqa: F401
    except ImportError as error:
        raise MyoScarSegError(
            "--scene writes through slicer-core, which is not installed: pip install slicer-core (Python 3.10 to 3.13), "
            f"or open the phantom in 3D Slicer itself. ({error})"
        ) from error
    from MyoScarSegLib.engine.client import EngineSettings
    from MyoScarSegLib.scene.demo_scene import write_demo_scene

    with shown_and_cancellable("this step") as (progress, cancel):
        write_demo_scene(args.scene, args.seed, EngineSettings(device=args.device), progress=progress, cancel=cancel)
    sys.stdout.write(f"Open in 3D Slicer: {args.scene}\n")
    return 0


def _text(comparison: dict[str, Any], out: Path) -> str:
    rows = [
        ("", "scar mass", "Dice", "boxes"),
        ("known truth", f"{comparison['true_mass_g']:.2f} g", "", ""),
        ("mask of the truth", f"{comparison['true_mask_mass_g']:.2f} g", "1.00", ""),
    ]
    for key, name in (("automatic", "automatic"), ("with_true_boxes", "with the true boxes")):
        entry = comparison[key]
        rows.append((name, f"{entry['mass_g']:.2f} g", f"{entry['dice']:.2f}", str(entry["boxes"])))
    table = "\n".join(f"  {a:<20}{b:>12}{c:>8}{d:>8}" for a, b, c, d in rows)
    files = "\n".join(f"  {out / name}" for name in ("phantom/overlay.png", "phantom/scar.seg.nrrd", "results.csv", "slices.csv"))
    return f"{table}\n\nLook at:\n{files}\n"
