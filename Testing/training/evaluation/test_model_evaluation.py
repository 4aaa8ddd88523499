"""Models are evaluated through the pipeline; the boxes, clicks and settings are what they are called."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from MyoScarSegLib.errors import Cancelled, MyoScarSegError, StudyError
from MyoScarSegLib.phantom import Infarct, PhantomSettings, make_phantom
from MyoScarSegLib.pipeline import Pipeline
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.quantification.reference import METHODS
from MyoScarSegLib.result import Boxes, Result
from MyoScarSegLib.study.tissue import CAVITY, INFARCT, MYOCARDIUM
from MyoScarSegLib.training.datasets.labeled import LabeledSlice
from MyoScarSegLib.training.evaluation import model_evaluation
from MyoScarSegLib.training.evaluation.model_evaluation import evaluate_models, evaluate_thresholds, stacks_of
from MyoScarSegLib.training.evaluation.summary import Evaluation
from MyoScarSegLib.training.reader_prompts import correction
from MyoScarSegLib.utils.progress import CancelToken

SIDE = 64


def patient(name: str, lesions_at: list[tuple[int, int, int]], slices: int = 3, **fields) -> list[LabeledSlice]:
    """Slices of a ring with square lesions at (slice, row, column), 8 pixels wide."""
    generator = np.random.default_rng(len(name))
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    radius = np.hypot(y, x)
    found = []
    for k in range(slices):
        labels = np.where(radius < 14, CAVITY, np.where(radius < 26, MYOCARDIUM, 0)).astype(np.uint8)
        for _, row, column in (at for at in lesions_at if at[0] == k):
            labels[row : row + 8, column : column + 8] = INFARCT
        image = 100 + 200 * (labels >= INFARCT) + generator.normal(0, 10, labels.shape)
        found.append(LabeledSlice(name, k, image.astype(np.float32), labels, **fields))
    return found


@pytest.fixture(scope="module")
def slices() -> list[LabeledSlice]:
    return [*patient("P1", [(0, 10, 28), (1, 10, 28), (1, 45, 30)]), *patient("N1", [])]


class Painter(Pipeline):
    """A pipeline whose segmenter paints each box in full, and a 3 x 3 patch at each point; it remembers what it was asked.

    Its map of tissues, if it has one, tells them by the voxels.
    """

    def __init__(self, tissue=None) -> None:
        super().__init__()
        segmenter = SimpleNamespace(knows_tissue=tissue is not None, tissue=tissue)
        self.networks = SimpleNamespace(segmenter=segmenter, heart_center=lambda study, **_: (32.0, 32.0))
        self.boxes: list[list[Box]] = []
        self.points: list[list] = []
        self.proposed = Boxes()

    def propose(self, study, *, progress=None, cancel=None) -> Boxes:
        return self.proposed

    def segment(self, study, boxes, points=(), *, threshold=0.5, progress=None, cancel=None) -> Result:
        self.boxes.append(list(boxes))
        self.points.append(list(points))
        probability = np.zeros(study.voxels.shape, dtype=np.float32)
        for b in boxes:
            probability[b.slice, round(b.y0) : round(b.y1), round(b.x0) : round(b.x1)] = 0.9
        for p in points:
            probability[p.slice, int(p.y) - 1 : int(p.y) + 2, int(p.x) - 1 : int(p.x) + 2] = 0.9 if p.positive else 0.1
        return Result(study, probability, threshold, tuple(boxes), tuple(points), scores={0: 1.0})


def test_real_models_give_every_setting_and_every_slice(slices, tiny_segmenter, tiny_detector):
    pipeline = Pipeline(segmenter=tiny_segmenter, detector=tiny_detector, device="cpu")
    reports: list[tuple[int, int]] = []
    found = evaluate_models(pipeline, slices, clicks=2, progress=lambda done, total, _: reports.append((done, total)))
    assert list(found.settings) == ["oracle", "jittered", "clicks_1", "clicks_2", "end_to_end"]
    for cases in found.settings.values():
        assert [c.case for c in cases] == ["N1", "P1"]
        assert [len(c.by_slice) for c in cases] == [3, 3]
    assert reports == [(n, 10) for n in range(11)]
    assert found.provenance["segmenter"] == "tiny-sam.safetensors"
    assert found.provenance["detector"].startswith("tiny-yolo")
    assert not found.failures
    # One embedding a slice: neither the setting nor a click may make another.
    assert pipeline.networks.segmenter.cache.misses <= len(slices)
    end_to_end = found.settings["end_to_end"]
    assert sum(c.predicted_px for c in end_to_end) > 0
    again = evaluate_models(pipeline, slices, clicks=2)
    assert again.settings == found.settings
    assert evaluate_models(pipeline, slices, clicks=1, seed=5).settings["jittered"] != found.settings["jittered"]


def test_the_oracle_is_one_tight_box_round_all_scar_of_a_slice(slices):
    pipeline = Painter()
    found = evaluate_models(pipeline, slices, settings=["oracle"])
    assert list(found.settings) == ["oracle"]
    assert pipeline.boxes == [[], [Box(0, 28, 10, 36, 18), Box(1, 28, 10, 38, 53)]]
    assert all(box.by_reader for box in pipeline.boxes[1])


def test_jittered_boxes_are_off_by_up_to_a_tenth_of_their_side_and_only_where_there_is_scar():
    pipeline = Painter()
    many = [s for n in range(60) for s in patient(f"P{n}", [(0, 20, 20), (1, 40, 24), (1, 20, 20)], slices=3)]
    evaluate_models(pipeline, many, settings=["jittered"])
    boxes = [box for of in pipeline.boxes for box in of]
    assert [box.slice for box in boxes] == [0, 1] * 60
    assert all(box.by_reader for box in boxes)
    tight, side = {0: (20, 20, 28, 28), 1: (20, 20, 32, 48)}, {0: (8, 8, 8, 8), 1: (12, 28, 12, 28)}
    errors = np.array([np.subtract(b.xyxy, tight[b.slice]) / side[b.slice] for b in boxes])
    assert np.abs(errors).max() <= 0.1
    assert np.abs(errors.mean(axis=0)).max() < 0.02
    assert errors.std(axis=0) == pytest.approx([0.1 / np.sqrt(3)] * 4, rel=0.15)
    assert np.abs(np.corrcoef(errors.T) - np.eye(4)).max() < 0.3


def test_a_patients_boxes_are_the_same_whoever_else_is_evaluated(slices):
    alone, together = Painter(), Painter()
    evaluate_models(alone, [s for s in slices if s.patient == "P1"], settings=["jittered"])
    evaluate_models(together, slices, settings=["jittered"])
    assert alone.boxes[0] == together.boxes[1]


def test_each_click_is_deepest_in_the_last_masks_largest_error(slices):
    pipeline = Painter()
    found = evaluate_models(pipeline, slices, settings=["clicks"], clicks=4, seed=2)
    assert list(found.settings) == ["jittered", "clicks_1", "clicks_2", "clicks_3", "clicks_4"]
    assert not any(pipeline.points[:5]), "N1 has no scar to click on"
    rounds = pipeline.points[5:]
    assert rounds[0] == [] and {p.slice for p in rounds[-1]} <= {0, 1}
    # The box round both lesions of slice 1 was painted in full: the clicks go to what lies between them.
    masks = np.zeros((5, SIDE, SIDE), dtype=bool)
    truth = next(s.scar for s in slices if s.patient == "P1" and s.index == 1)
    box = next(b for b in pipeline.boxes[5] if b.slice == 1)
    masks[:, round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = True
    for number in range(1, 5):
        click = [p for p in rounds[number] if p.slice == 1][number - 1]
        ((x, y, positive),) = correction(None, masks[number - 1], truth)
        assert (click.x, click.y, click.positive) == (x, y, bool(positive)) and not click.positive
        masks[number:, int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = False
        assert all(before in rounds[number] for before in rounds[number - 1])
    dices = [found.settings[name][1].dice_3d for name in found.settings]
    assert dices == sorted(dices) and dices[-1] > dices[0]


def test_what_is_right_is_not_clicked(monkeypatch):
    monkeypatch.setattr(model_evaluation, "BOX_ERROR", 0.0)
    pipeline = Painter()
    evaluate_models(pipeline, patient("P1", [(0, 10, 28)]), settings=["clicks"], clicks=2)
    assert pipeline.points == [[], [], []]


def test_end_to_end_compares_the_map_of_tissues_where_the_wall_was_drawn():
    def tissue(image) -> np.ndarray:
        """The cavity 1 pixel narrower than it is, the wall so much wider, scar nowhere told from it."""
        y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
        radius = np.hypot(y, x)
        return np.stack([radius >= 26, radius < 13, (radius >= 13) & (radius < 26), radius < 0]).astype(np.float32)

    pipeline = Painter(tissue)
    pipeline.proposed.failed_slices = {2: "the detector tripped"}
    scar_only = [replace(s, labels=np.where(s.scar, s.labels, 0), wall_known=False) for s in patient("P2", [(0, 10, 28)])]
    known, unknown = evaluate_models(pipeline, [*patient("P1", [(0, 10, 28)]), *scar_only]).settings["end_to_end"]
    radius = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2))
    cavity, narrow, whole = (np.count_nonzero(radius < r) for r in (14, 13, 26))
    assert known.cavity_dice == pytest.approx(2 * 2 * narrow / (3 * cavity + 2 * narrow))
    assert known.myocardium_dice == pytest.approx(2 * 2 * (whole - cavity) / (3 * (whole - cavity) + 2 * (whole - narrow)))
    assert unknown.myocardium_dice is unknown.cavity_dice is None
    figures = Evaluation({"end_to_end": (known, unknown)}).figures()["end_to_end"]
    assert figures["myocardium_dice_mean"] == pytest.approx(known.myocardium_dice, rel=1e-4)


def test_end_to_end_counts_scar_found_where_there_is_none(slices):
    pipeline = Painter()
    pipeline.proposed = Boxes([Box(1, 10, 10, 20, 20)])
    pipeline.proposed.failed_slices = {2: "the detector tripped"}
    found = evaluate_models(pipeline, slices, settings=["end_to_end"])
    normal = found.settings["end_to_end"][0]
    assert (normal.case, normal.false_slices, normal.predicted_px) == ("N1", 1, 100)
    assert normal.predicted_mass_g == pytest.approx(100 * 1.4 * 1.4 * 10 / 1000 * 1.05)
    assert normal.spacing_assumed
    assert found.failures == {f"end_to_end, {p}, slice 2": "the detector tripped" for p in ("N1", "P1")}
    assert found.figures()["end_to_end"]["scar_free_patients_at_most_1_g"] == 0


def test_cancel_is_honored_in_every_setting(slices, tiny_segmenter, tiny_detector):
    for stop_at in range(0, 10, 3):
        token = CancelToken()

        def report(done: int, total: int, message: str, token=token, stop_at=stop_at) -> None:
            if done == stop_at:
                token.cancel()

        pipeline = Pipeline(segmenter=tiny_segmenter, detector=tiny_detector, device="cpu")
        with pytest.raises(Cancelled):
            evaluate_models(pipeline, slices, clicks=2, progress=report, cancel=token)


def test_spacing_comes_from_the_data_where_it_has_some():
    stack = stacks_of(patient("P1", [(0, 10, 28)], pixel_spacing_mm=(1.5, 1.2), slice_spacing_mm=8.0))[0]
    assert stack.study.geometry.spacing_mm == (1.2, 1.5, 8.0)
    assert not stack.grid.assumed
    assert stack.grid.volume_ml(np.array([64, 0, 0])) == pytest.approx(64 * 1.5 * 1.2 * 8 / 1000)
    assert stacks_of(patient("P1", [(0, 10, 28)]))[0].grid.assumed


def test_stacks_keep_their_slices_numbers_and_their_cases_apart():
    first = patient("P1", [(0, 10, 28)], case="before")
    second = patient("P1", [], slices=2, case="after")
    shuffled = [first[2], second[1], first[0], second[0]]
    stacks = stacks_of(shuffled)
    assert [(s.case, s.patient, s.numbers) for s in stacks] == [("after", "P1", (0, 1)), ("before", "P1", (0, 2))]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([], "no labeled slices"),
        ([*patient("P1", []), *patient("P1", [])], "same number, 0"),
        ([*patient("P1", [], slices=1), LabeledSlice("P1", 5, np.ones((8, 8)), np.zeros((8, 8), np.uint8))], "differ in size"),
    ],
)
def test_slices_that_make_no_stack_are_refused(broken, message):
    with pytest.raises(StudyError, match=message):
        evaluate_models(Painter(), broken)


def test_an_unknown_setting_is_refused(slices):
    with pytest.raises(MyoScarSegError, match="no setting orakel"):
        evaluate_models(Painter(), slices, settings=["orakel"])


# The field's thresholds, scored like a model.


@pytest.fixture(scope="module")
def phantom_slices() -> list[LabeledSlice]:
    infarct = Infarct("LAD", transmurality=0.8, half_width_deg=45)
    settings = PhantomSettings(slices=4, rows=160, columns=160, infarcts=(infarct,), noise=0.03, bias=0.0)
    phantom = make_phantom(3, settings=settings)
    return [
        LabeledSlice("P1", k, image, labels, (1.4, 1.4), 10.0)
        for k, (image, labels) in enumerate(zip(phantom.study.voxels, phantom.labels, strict=True))
    ]


def test_a_phantoms_scar_is_found_and_scored_with_the_method_as_the_setting(phantom_slices):
    found = evaluate_thresholds(phantom_slices)
    assert list(found.settings) == list(METHODS)
    for method in ("5 SD", "FWHM from remote", "Otsu"):
        (case,) = found.settings[method]
        assert case.dice_3d > 0.7, method
        assert case.wall_mass_g > case.truth_mass_g > 0
        assert not case.spacing_assumed
    assert "expert's myocardium" in found.notes[0]


def test_cases_without_a_drawn_wall_are_reported(phantom_slices):
    bare = [
        replace(s, patient="P2", wall_known=False, labels=np.where(s.labels > CAVITY + 1, s.labels, 0)) for s in phantom_slices
    ]
    found = evaluate_thresholds([*phantom_slices, *bare])
    assert [c.case for c in found.settings["Otsu"]] == ["P1"]
    assert found.failures.pop("FWHM, P1").startswith("FWHM has no answer: in a PSIR picture")
    assert found.failures == {"thresholds, P2": "its left-ventricular wall was not drawn"}


def test_a_method_without_an_answer_is_reported_and_not_scored(phantom_slices):
    even = [replace(s, image=np.where(s.labels > CAVITY, 100.0, s.image)) for s in phantom_slices]
    found = evaluate_thresholds(even)
    assert not found.settings["Otsu"] and not found.settings["5 SD"]
    assert "one value throughout" in found.failures["Otsu, P1"]
