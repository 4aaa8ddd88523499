"""The patients whose masks are worst without a human, as a picture: up to three slices each, the expert's outline beside ours.

python -m research.folds.worst EMIDEC research/folds -o PICTURE.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from MyoScarSegLib.outputs.figures import canvas, png
from MyoScarSegLib.outputs.montage import SCAR_COLOR, outline
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.evaluation.model_evaluation import END_TO_END, stacks_of
from MyoScarSegLib.utils.files import write_bytes
from research.folds.folds import CROP, masses

PATIENTS, SLICES = 5, 3
_EXPERT = "#58d68d"
_DARK = "#15181c"


def corner_of(crop: np.ndarray, whole: np.ndarray) -> tuple[int, int]:
    """Row and column of the slice at which a crop begins, from the same labels in both."""
    of_crop, of_whole = (np.argwhere(labels.any(axis=0)).min(axis=0) for labels in (crop, whole))
    return int(of_whole[0] - of_crop[0]), int(of_whole[1] - of_crop[1])


def draw(data: Path, folder: Path) -> bytes:
    """The picture, PNG."""
    found = []
    for path in sorted(folder.glob("fold-*.npz")):
        masks = np.load(path)
        found += [(dice, case, mass, true, masks) for case, dice, mass, true in masses(masks, END_TO_END) if true > 0]
    found.sort(key=lambda one: one[:2])
    stacks = {stack.case: stack for stack in stacks_of(read_dataset(data).slices)}
    figure = canvas(2.2 * SLICES, 2.35 * PATIENTS, _DARK)
    for row, (dice, case, mass, true, masks) in enumerate(found[:PATIENTS]):
        ours, truth = masks[f"{case}/{END_TO_END}"] > 127, masks[f"{case}/truth"].astype(bool)
        top, left = corner_of(truth, stacks[case].scar)
        errors = (ours ^ truth).sum(axis=(1, 2))
        worst = [k for k in np.argsort(-errors, kind="stable")[:SLICES].tolist() if errors[k]]
        for column, k in enumerate(sorted(worst)):
            axis = figure.add_axes((column / SLICES, 1 - (row + 1) / PATIENTS, 0.98 / SLICES, 0.89 / PATIENTS))
            axis.set_axis_off()
            image = stacks[case].study.voxels[k].astype(np.float32)
            image = np.pad(image, CROP, mode="edge")[top + CROP : top + 2 * CROP, left + CROP : left + 2 * CROP]
            shown = image[CROP // 4 : -CROP // 4, CROP // 4 : -CROP // 4]
            low, high = np.percentile(shown, (1, 99.5))
            axis.imshow(image, cmap="gray", vmin=low, vmax=high, extent=(0, CROP, CROP, 0))
            for mask, color in ((truth[k], _EXPERT), (ours[k], SCAR_COLOR)):
                for line in outline(mask):
                    axis.plot(line[:, 0], line[:, 1], color=color, linewidth=1.2)
            axis.set_xlim(CROP * 0.15, CROP * 0.85)
            axis.set_ylim(CROP * 0.85, CROP * 0.15)
            said = f"{case.removeprefix('Case_')}: Dice {dice:.2f}, {mass:.1f} of {true:.1f} g" if column == 0 else ""
            axis.set_title(f"{said}   slice {k + 1}".strip(), color="#e8e6e1", fontsize=7, loc="left", pad=2)
    return png(figure)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    told = parser.parse_args()
    write_bytes(told.out, draw(told.data, told.folder))


if __name__ == "__main__":
    main()
