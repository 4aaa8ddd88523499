"""What a reader's own fine-tuning gives: seven patients teach the shipped segmenter, seven others tell before and after.

    python -m research.finetuning.measure EMIDEC -o OUT [--wider]

All fourteen are the shipped model's validation patients. ``--wider`` lets the reader outline scar a pixel wider, within the
wall, as a reader with another habit would: the new model is to follow him. The figures against the data's own outlines then say
how far it forgets. The training is the panel's with nothing changed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from scipy.ndimage import binary_dilation

from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.study.tissue import INFARCT, MYOCARDIUM
from MyoScarSegLib.training.datasets.dataset_reader import read_dataset
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.evaluation.model_evaluation import CLICKS, END_TO_END, JITTERED, evaluate_models
from MyoScarSegLib.training.finetune.fine_tuning import Patients, fine_tune
from MyoScarSegLib.training.finetune.segmenter_job import segmenter_settings
from MyoScarSegLib.training.train_job import SEGMENTER
from MyoScarSegLib.training.train_settings import TrainSettings

SHIPPED = "myoscarseg-sam-8"
CARD = Path(__file__).parents[2] / "Resources" / "Models" / f"{SHIPPED}.json"


def wider(one: LabeledSlice) -> LabeledSlice:
    """The slice with its scar a pixel wider, within the wall."""
    labels = one.labels.copy()
    labels[binary_dilation(one.scar) & (labels == MYOCARDIUM)] = INFARCT
    return replace(one, labels=labels)


def halves(slices: Iterable[LabeledSlice], patients: Iterable[str]) -> list[list[LabeledSlice]]:
    """Every second patient teaches, the others tell; the sorted codes begin with N for normal exams."""
    codes = sorted(patients)
    return [[s for s in slices if s.patient in codes[first::2]] for first in (0, 1)]


def tell(name: str, segmenter: str | Path, slices: list[LabeledSlice]) -> None:
    """One line of figures for each setting."""
    pipeline = Pipeline(segmenter=segmenter, device="cpu", precision="float32")
    figures = evaluate_models(pipeline, slices, settings=(END_TO_END, JITTERED, CLICKS)).figures()
    for setting in (END_TO_END, JITTERED, f"{CLICKS}_1", f"{CLICKS}_3"):
        of = figures[setting]
        false = f", false scar a normal patient {of['false_mass_g_per_scar_free_patient']:.1f} g" if setting == END_TO_END else ""
        print(f"{name:28} {setting:11} Dice {of['dice_mean']:.3f}, mass {of['mass_bias_percent']:+.0f}%{false}", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--wider", action="store_true")
    told = parser.parse_args()
    teaching, telling = halves(read_dataset(told.data).slices, json.loads(CARD.read_text())["split"]["validation"])
    taught = [wider(s) for s in teaching] if told.wider else teaching
    patients = len({s.patient for s in taught})
    job = TrainSettings(options={"evaluate_every": 0}).job(SEGMENTER, told.data, told.out, told.out, patients)
    begun = time.monotonic()
    model = fine_tune(SHIPPED, Patients(taught), segmenter_settings(job, further=True), told.out, device="cpu").model
    print(f"{patients} patients, {len(taught)} slices, {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
    for name, segmenter in (("before", SHIPPED), ("after", model)):
        if told.wider:
            tell(f"{name}, the reader's outlines", segmenter, [wider(s) for s in telling])
        tell(f"{name}, the data's outlines", segmenter, telling)


if __name__ == "__main__":
    main()
