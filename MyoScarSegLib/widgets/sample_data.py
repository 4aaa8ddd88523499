"""What Slicer's module *Sample Data* offers of ours: the phantom, and the way to EMIDEC, whose makers ask for a registration."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from MyoScarSegLib.utils.resources import resources_folder
from MyoScarSegLib.widgets.text import _

CATEGORY = "MyoScarSeg"
PHANTOM, EMIDEC = "LGEPhantom", "LGEEmidec"
EMIDEC_ADDRESS = "https://emidec.com/dataset"
EMIDEC_LICENSE = "CC BY-NC-SA 4.0"
PHANTOM_SEED = 11


def register() -> None:
    """Add both entries. Called once the application has started; nothing is made or opened before an entry is clicked."""
    import SampleData

    thumbnail = str(resources_folder() / "Icons" / "MyoScarSeg.png")
    for name, get in ((PHANTOM, add_phantom), (EMIDEC, show_emidec)):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris="",  # there is nothing to download; Slicer wants all three
            fileNames="",
            nodeNames=name,
            customDownloader=get,
            thumbnailFileName=thumbnail,
        )


def add_phantom(_source: Any = None) -> list[Any]:
    """Make the phantom with known scar, and add it to the scene. Returns its volume node, in a list. No network is used."""
    from MyoScarSegLib.phantom import make_phantom
    from MyoScarSegLib.scene.lge_volumes import add_study

    node = add_study(slicer.mrmlScene, make_phantom(PHANTOM_SEED).study, "LGE PSIR phantom")
    slicer.util.setSliceViewerLayers(background=node)
    slicer.util.resetSliceViews()
    return [node]


def show_emidec(_source: Any = None) -> list[Any]:
    """Say what EMIDEC is and under which license, and open its page if the user agrees. No node is added: an empty list."""
    text = _(
        "EMIDEC has LGE studies of 100 patients with the contours of experts, from the University Hospital of Dijon. Its makers "
        "hand them out after a registration at {address}, under {license}: for no commercial use, with their citation. Load the "
        "file Case_P001/Images/Case_P001.nii.gz of it by Add data. Open the page now?"
    ).format(address=EMIDEC_ADDRESS, license=EMIDEC_LICENSE)
    if slicer.util.confirmYesNoDisplay(text):
        qt.QDesktopServices.openUrl(qt.QUrl(EMIDEC_ADDRESS))
    return []
