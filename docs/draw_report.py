"""The pictures of the report in these pages, from a phantom: ``python docs/draw_report.py`` writes ``docs/images``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from MyoScarSegLib.outputs.burden_pictures import draw_bullseyes, picture
from MyoScarSegLib.outputs.figures import png
from MyoScarSegLib.outputs.report_content import Report, make_report
from MyoScarSegLib.outputs.report_page import page
from MyoScarSegLib.phantom import make_phantom
from MyoScarSegLib.quantification.anatomy import Anatomy
from MyoScarSegLib.quantification.ventricle import ventricle_of_labels
from MyoScarSegLib.result import Result
from MyoScarSegLib.utils.files import write_bytes

IMAGES = Path(__file__).resolve().parent / "images"


def example() -> Report:
    """The report of a phantom with an infarct, from its own labels."""
    phantom = make_phantom(7)
    scar = phantom.scar
    result = Result(phantom.study, scar.astype(np.float32), 0.5, drawn=scar)
    return make_report(result, Anatomy(ventricle_of_labels(phantom.labels)), mask_source="the phantom's own labels")


def main() -> None:
    """Write the pictures."""
    report = example()
    write_bytes(IMAGES / "report.png", png(page(report), 110))
    write_bytes(IMAGES / "bullseye.png", picture(draw_bullseyes, report, 5.4, 2.75, 130))


if __name__ == "__main__":
    main()
