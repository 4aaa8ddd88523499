"""The detector's data, augmentation, split, training loop, figures and commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from MyoScarSegLib.errors import Cancelled, ModelError, StudyError
from MyoScarSegLib.progress import CancelToken
from MyoScarSegLib.prompts import Box
from MyoScarSegLib.training import detector
from MyoScarSegLib.training.augment import Augmentation, random_window, vary_intensity, warp
from MyoScarSegLib.training.datasets.emidec import read_emidec, strata
from MyoScarSegLib.training.datasets.labelled import LabelledSlice
from MyoScarSegLib.training.detector_data import DetectorSample, phantom_samples, training_batch
from MyoScarSegLib.training.detector_evaluation import SliceFindings, choose_confidence, iou, matches, measure, table
from MyoScarSegLib.training.detector_loop import DetectorSettings, train_network
from MyoScarSegLib.lesions import boxes_of, lesions
from MyoScarSegLib.training.splits import Split, split_patients

STILL = Augmentation(
    rotation_degrees=0.0,
    scale=(1.0, 1.0),
    stretch=1.0,
    off_centre=0.0,
    anywhere=0.0,
    window_low=(0.0, 0.0),
    window_high=(1.0, 1.0),
    gamma=(1.0, 1.0),
    bias=0.0,
    noise=0.0,
    blur_px=0.1,
)


def ring(size=96, scar=True, centre=(48, 48)) -> LabelledSlice:
    """A round ventricle with a bright piece of wall."""
    y, x = np.mgrid[:size, :size] + 0.5
    radius = np.hypot(x - centre[0], y - centre[1])
    labels = np.where(radius < 12, 1, np.where(radius < 18, 2, 0)).astype(np.uint8)
    if scar:
        labels[(labels == 2) & (x > centre[0] + 6)] = 3
    image = np.choose(labels, [60, 180, 20, 240]) + np.random.default_rng(1).normal(0, 3, labels.shape)
    return LabelledSlice("P001" if scar else "N001", 0, image, labels)


# ---- split


def test_split_is_by_patient_stratified_and_reproducible():
    patients = {f"P{n}": "P" for n in range(47)} | {f"N{n}": "N" for n in range(23)}
    split = split_patients(patients, seed=3)
    assert set(split.training) | set(split.validation) == set(patients)
    assert len(split.validation) == 14
    assert sum(p.startswith("N") for p in split.validation) in (4, 5)
    assert split_patients(dict(reversed(patients.items())), seed=3) == split
    assert split_patients(patients, seed=4) != split
    held_out = [set(split_patients(patients, seed=3, held_out=fold).validation) for fold in range(5)]
    assert set.union(*held_out) == set(patients)
    assert sum(map(len, held_out)) == len(patients)


def test_split_manifest_survives_and_refuses_a_patient_on_both_sides(tmp_path):
    split = split_patients({f"P{n}": "P" for n in range(9)}, seed=1)
    split.write(tmp_path / "split.json")
    assert Split.read(tmp_path / "split.json") == split
    (tmp_path / "card.json").write_text(json.dumps({"split": split.to_json()}))
    assert Split.read(tmp_path / "card.json") == split
    with pytest.raises(StudyError, match="both sides: P1"):
        Split(("P1",), ("P1", "P2"), 0, 5, 0)
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(StudyError, match="manifest"):
        Split.read(tmp_path / "bad.json")
    with pytest.raises(StudyError, match="cannot be split"):
        split_patients({"P1": "P"})


# ---- lesions


def test_near_pieces_are_one_lesion_far_ones_are_two():
    scar = np.zeros((40, 40), dtype=bool)
    scar[5:10, 5:10] = scar[5:10, 12:16] = True
    scar[30:34, 30:33] = True
    scar[20, 20] = True
    assert boxes_of(lesions(scar)).tolist() == [[5, 5, 16, 10], [30, 30, 33, 34]]
    assert boxes_of(lesions(np.zeros((4, 4)))).shape == (0, 4)


def test_real_lesions_are_boxed_as_a_promptable_segmenter_wants_them(emidec_folder):
    slices = [s for s in read_emidec(emidec_folder) if s.scar.any()]
    counts = [len(boxes_of(lesions(s.scar))) for s in slices]
    assert len(slices) > 250
    assert 1.0 <= np.mean(counts) < 1.4
    covered = sum(np.count_nonzero(lesions(s.scar)) for s in slices) / sum(np.count_nonzero(s.scar) for s in slices)
    assert covered > 0.995


def test_no_patient_of_the_data_is_on_both_sides(emidec_folder):
    slices = read_emidec(emidec_folder)
    split = split_patients(strata(slices))
    assert (len(slices), len(strata(slices))) == (505, 70)
    assert (len(split.training), len(split.validation)) == (56, 14)


def test_folder_without_slices_or_labels_is_refused(tmp_path):
    with pytest.raises(StudyError, match="no EMIDEC slices"):
        read_emidec(tmp_path)
    (tmp_path / "images").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "images" / "Case_P001_slice_000.png")
    with pytest.raises(StudyError, match="no labels"):
        read_emidec(tmp_path)


# ---- augmentation


def test_still_window_shows_the_slice_as_it_is():
    sample = DetectorSample.of(ring())
    generator = np.random.default_rng(0)
    matrix = np.array([[1.0, 0.0, 16.0], [0.0, 1.0, 16.0]])[None]
    seen = warp(torch.from_numpy(sample.image)[None, None], matrix, 64, mode="bilinear")
    assert torch.allclose(seen[0, 0], torch.from_numpy(sample.image[16:80, 16:80]), atol=1e-5)
    same = vary_intensity(generator, seen, STILL)
    assert torch.allclose(same, seen, atol=1e-4)


def test_boxes_follow_the_picture_through_any_window():
    """After the warp the reference boxes are tight around what is bright or painted."""
    sample = DetectorSample.of(ring())
    generator = np.random.default_rng(5)
    how = Augmentation(window_low=(0, 0), window_high=(1, 1), gamma=(1, 1), bias=0.0, noise=0.0, blur_px=0.1, anywhere=0.0)
    for _ in range(20):
        batch = training_batch([sample], generator, size=96, how=how)
        for label, box in zip(batch["cls"][:, 0], batch["bboxes"] * 96, strict=True):
            x, y, w, h = box.tolist()
            painted = batch["tissue"][0] == 3 if label == 0 else batch["tissue"][0] > 0
            rows, columns = painted.nonzero(as_tuple=True)
            expected = [int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1]
            assert np.allclose([x - w / 2, y - h / 2, x + w / 2, y + h / 2], expected, atol=1e-3)
    assert float(batch["img"].min()) >= 0.0
    assert float(batch["img"].max()) <= 1.0


def test_windows_vary_stretch_and_place_but_keep_the_heart_in_view():
    generator = np.random.default_rng(0)
    how = Augmentation(anywhere=0.0)
    matrices = [random_window(generator, (256, 256), (120.0, 140.0), 160, how) for _ in range(300)]
    places = np.array([np.linalg.solve(m[:, :2], np.array([120.0, 140.0]) - m[:, 2]) for m in matrices])
    assert places.min() >= 0
    assert places.max() <= 160
    assert places.std(axis=0).min() > 15
    zooms = np.array([1 / np.sqrt(abs(np.linalg.det(m[:, :2]))) for m in matrices])
    assert how.scale[0] - 1e-6 <= zooms.min() < 0.85
    assert 1.25 < zooms.max() <= how.scale[1] + 1e-6
    assert {np.sign(np.linalg.det(m[:, :2])) for m in matrices} == {-1.0, 1.0}


def test_phantom_slices_have_both_classes():
    samples = phantom_samples(1, 12)
    assert len(samples) == 12
    assert all(len(boxes_of(s.targets[1])) == 1 for s in samples)
    assert sum(len(boxes_of(s.targets[0])) for s in samples) >= 4


# ---- the loop

TINY = DetectorSettings(size=96, window=96, epochs=2, batch=4, phantoms=0, phantom_share=0.0)


def test_training_is_reproducible_and_changes_with_the_seed():
    samples = [DetectorSample.of(ring(centre=(40 + n, 50))) for n in range(8)]
    torch.manual_seed(99)
    first = train_network(samples, [], TINY).state_dict()
    torch.manual_seed(1)
    second = train_network(samples, [], TINY).state_dict()
    other = train_network(samples, [], DetectorSettings(**{**vars(TINY), "seed": 1})).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_loss_falls_and_is_reported():
    samples = [DetectorSample.of(ring(centre=(40 + n, 50))) for n in range(16)]
    settings = DetectorSettings(**{**vars(TINY), "epochs": 8, "augmentation": STILL})
    told, losses = [], []
    train_network(
        samples,
        [],
        settings,
        each_epoch=lambda epoch, network, sums: losses.append(sums),
        progress=lambda done, total, message: told.append((done, total)),
    )
    assert told == [(n, 8) for n in range(1, 9)]
    assert losses[-1]["cls_loss"] < 0.7 * losses[0]["cls_loss"]
    assert losses[-1]["tissue_loss"] < 0.7 * losses[0]["tissue_loss"]


def test_training_stops_when_cancelled_and_refuses_nothing_to_train_on():
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        train_network([DetectorSample.of(ring())], [], TINY, cancel=token)
    with pytest.raises(ModelError, match="no slices"):
        train_network([], [], TINY)


# ---- figures


def found(labelled: LabelledSlice, *boxes: Box) -> SliceFindings:
    return SliceFindings(labelled, boxes_of(lesions(labelled.scar)), tuple(b for b in boxes if b.label == "scar"), ())


def test_each_lesion_is_matched_once():
    reference = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    on_first = Box(0, 0, 0, 10, 10, confidence=0.9)
    again = Box(0, 0, 0, 10, 9, confidence=0.8)
    assert matches(reference, [on_first, again], 0.3) == 1
    assert matches(reference, [on_first, again, Box(0, 21, 0, 31, 10)], 0.3) == 2
    assert matches(np.zeros((0, 4)), [on_first], 0.3) == 0
    assert iou(np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 0, 6, 4]]))[0, 0] == pytest.approx(1 / 3)


def test_figures_count_what_they_say():
    infarct, normal = ring(), ring(scar=False)
    (box,) = boxes_of(lesions(infarct.scar)).tolist()
    right = Box(0, *box, confidence=0.8)
    wrong = Box(0, 0.0, 0.0, 8.0, 8.0, confidence=0.4)
    figures = measure([found(infarct, right, wrong), found(normal, wrong), found(normal)], 0.3)
    assert figures["recall_iou_0.5"] == figures["recall_iou_0.3"] == figures["scar_area_covered"] == 1.0
    assert figures["false_boxes_per_slice_with_scar"] == 1.0
    assert figures["false_boxes_per_slice_of_normal_patients"] == 0.5
    assert (figures["infarct_patients_found"], figures["normal_patients_with_a_box"]) == ("1 of 1", "1 of 1")
    assert measure([found(infarct, right, wrong)], 0.5)["false_boxes_per_slice"] == 0.0
    assert measure([found(infarct, right)], 0.85)["recall_iou_0.3"] == 0.0
    assert "| recall iou 0.5 | 1.000 |" in table({"validation": figures})
    json.dumps(figures, allow_nan=False)


def test_threshold_is_set_between_right_and_false_boxes():
    infarct, normal = ring(), ring(scar=False)
    (box,) = boxes_of(lesions(infarct.scar)).tolist()
    findings = [found(infarct, Box(0, *box, confidence=0.42)), found(normal, Box(0, 0, 0, 9, 9, confidence=0.21))]
    assert 0.2 < choose_confidence(findings) < 0.42


# ---- the commands


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for patient in range(10):
        kind = "P" if patient % 2 else "N"
        for index in range(2):
            s = ring(scar=kind == "P", centre=(38 + patient, 44 + 5 * index))
            name = f"Case_{kind}{patient:03d}_slice_{index:03d}.png"
            Image.fromarray(np.clip(s.image, 0, 255).astype(np.uint8)).save(folder / "images" / name)
            Image.fromarray(s.labels).save(folder / "labels" / name)
    return folder


def test_one_command_trains_and_another_repeats_its_figures(data, tmp_path, capsys):
    out = tmp_path / "out"
    small = ["--epochs", "1", "--size", "96", "--window", "96", "--batch", "8", "--phantoms", "4"]
    assert detector.main(["--data", str(data), "--out", str(out), *small]) == 0
    assert "| recall iou 0.5 |" in capsys.readouterr().out
    card = json.loads((out / "detector.json").read_text())
    split = Split.read(out / "split.json")
    assert (len(split.training), len(split.validation)) == (8, 2)
    assert card["split"] == split.to_json()
    assert card["metrics"]["validation"]["slices"] == 4
    from MyoScarSegLib.detection import load_detector

    loaded = load_detector(out / "detector.safetensors")
    assert (loaded.checksum, loaded.confidence, loaded.labels) == (card["sha256"], card["confidence"], ("scar", "lv"))

    repeat = [
        "evaluate",
        "--data",
        str(data),
        "--split",
        str(out / "detector.json"),
        "--detector",
        str(out / "detector.safetensors"),
    ]
    assert detector.main([*repeat, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == card["metrics"]

    again = tmp_path / "again"
    go_on = ["--start", str(out / "detector.safetensors"), "--split", str(out / "split.json")]
    assert detector.main(["--data", str(data), "--out", str(again), *small, *go_on]) == 0


def test_command_says_what_is_wrong(tmp_path, capsys):
    assert detector.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no EMIDEC slices" in capsys.readouterr().err
