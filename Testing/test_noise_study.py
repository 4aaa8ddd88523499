"""The label-noise study with a real SAM made tiny: fair trials, a study that goes on, figures and pictures of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from MyoScarSegLib.errors import Cancelled, ModelError, StudyError
from MyoScarSegLib.progress import CancelToken
from MyoScarSegLib.training.datasets.labelled import CAVITY, INFARCT, MYOCARDIUM, LabelledSlice
from MyoScarSegLib.training.finetune.samples import epoch_order, training_slices
from MyoScarSegLib.training.noise import __main__ as command_line
from MyoScarSegLib.training.noise import study, trial
from MyoScarSegLib.training.noise.corruptions import KINDS, MISSED, SIZE, Corruption, all_corruptions
from MyoScarSegLib.training.noise.picture import draw
from MyoScarSegLib.training.noise.study import Plan, run_study
from MyoScarSegLib.training.noise.summary import crossed_interval, figures_of, sentence, summarise, table
from MyoScarSegLib.training.noise.trial import LOSSES, SETTINGS, THRESHOLDS, WITH, WITHOUT, Judge, Trial
from MyoScarSegLib.training.splits import Split
from Testing.labelled_factory import write_grey
from Testing.tiny_models import SEGMENTER_SIDE

pytest.importorskip("accelerate")
pytest.importorskip("monai")

_SIDE = 64
TINY = replace(SETTINGS, side=SEGMENTER_SIDE, window_mm=float(_SIDE), epochs=1, batch=2, decoder_rate=1e-3)
SPLIT = Split(("P1", "P2", "N1"), ("N2", "P3", "P4"))


def labelled(patient: str, index: int) -> LabelledSlice:
    """A ring of wall with a lesion or two, brighter than the rest; none for patients N."""
    generator = np.random.default_rng([ord(patient[0]), int(patient[1:]), index])
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    radius = np.hypot(rows - 32, columns - 30)
    labels = np.where(radius < 10, CAVITY, np.where(radius < 20, MYOCARDIUM, 0)).astype(np.uint8)
    if patient[0] == "P":
        start = 10 + int(generator.integers(8))
        labels[start : start + 9, 22:38][labels[start : start + 9, 22:38] == MYOCARDIUM] = INFARCT
        if index:
            labels[40:46, 40:46][labels[40:46, 40:46] == MYOCARDIUM] = INFARCT
    image = generator.normal(100, 15, labels.shape) + np.array([0, 60, 10, 120, 40])[labels]
    return LabelledSlice(patient, index, image.clip(0, 255).astype(np.uint8), labels, (1.0, 1.0))


@pytest.fixture(scope="module")
def slices() -> list[LabelledSlice]:
    return [labelled(patient, index) for patient in (*SPLIT.training, *SPLIT.validation) for index in range(2)]


@pytest.fixture
def plan(tiny_segmenter) -> Plan:
    return Plan(tiny_segmenter, 0, 1, (Corruption(SIZE, 3.0),), TINY)


@pytest.fixture
def judge(slices, tiny_segmenter) -> Judge:
    return Judge([s for s in slices if s.patient in SPLIT.validation], tiny_segmenter, TINY)


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """The trials that are really run."""
    made: list[str] = []
    real = study.run_trial

    def run(one, *arguments, **options):
        made.append(one.key)
        return real(one, *arguments, **options)

    monkeypatch.setattr(study, "run_trial", run)
    return made


def figures(document: dict) -> dict:
    return {key: (entry["dice"], entry["masks"], entry["training_loss"]) for key, entry in document["trials"].items()}


def test_losses_differ_in_the_divergence_alone():
    with_, without = LOSSES[WITH], LOSSES[WITHOUT]
    for weights in (with_, without):
        assert weights.dice + weights.cross_entropy + weights.divergence == pytest.approx(1)
        assert weights.dice / weights.cross_entropy == pytest.approx(3)
    assert without.divergence == 0 < with_.divergence
    same = {"dice": 0, "cross_entropy": 0, "divergence": 0}
    assert replace(with_, **same, focal=1) == replace(without, **same, focal=1)


def test_the_study_is_the_one_asked_for():
    trials = Plan().trials()
    assert len({one.key for one in trials}) == len(trials) == 40
    strengths = {kind: {one.corruption.strength for one in trials if one.condition.startswith(kind)} for kind in KINDS}
    assert all(len(of) == 3 for of in strengths.values())
    for condition in {one.condition for one in trials}:
        assert {(one.loss, one.seed) for one in trials if one.condition == condition} == {
            (loss, seed) for loss in LOSSES for seed in range(2)
        }


def test_noise_costs_no_steps_and_moves_no_window():
    """Trials differ in masks and loss, not in how much is trained or where the network looks."""
    training = [labelled(f"P{n}", index) for n in range(10) for index in range(2)]
    true = training_slices(training)
    share = {"scar_free_share": SETTINGS.scar_free_share, "phantom_share": 0.0, "seed": (0, 0, 3)}
    for corruption in (*all_corruptions(), Corruption(MISSED, 0.9)):
        spoilt = training_slices(Trial(corruption, WITH, 0).masks(training))
        assert len(epoch_order(spoilt, 0, **share)) == len(epoch_order(true, 0, **share)) == len(training)
        assert [s.centre for s in spoilt] == [s.centre for s in true]
        masks = [s.labels for s in Trial(corruption, WITHOUT, 0).masks(training)]
        assert all(np.array_equal(a.targets[2], np.minimum(b, 3)) for a, b in zip(spoilt, masks, strict=True))


def test_a_stopped_study_goes_on_to_the_same_result(slices, plan, counted, tmp_path):
    whole = run_study(slices, SPLIT, tmp_path / "whole", plan)
    assert len(counted) == 4
    trials = whole["trials"]
    assert len({json.dumps(entry["dice"]) for entry in trials.values()}) == 4, "masks and loss make the difference"
    assert set(trials["clean.with.0"]["dice"]) == {"P3", "P4"}
    assert trials["clean.with.0"]["masks"]["dice_mean"] == 1
    assert trials["size-3.with.0"]["masks"] == trials["size-3.without.0"]["masks"]
    assert trials["size-3.with.0"]["masks"]["dice_mean"] < 0.95
    counted.clear()
    said: list[str] = []
    part = run_study(slices, SPLIT, tmp_path / "parts", plan, runs_limit=1)
    assert counted == ["clean.with.0"] == list(part["trials"])
    token = CancelToken()

    def stop(done: int, total: int, message: str) -> None:
        said.append(message)
        if message.startswith("size 3 mm, with KL") and "epoch" in message:
            token.cancel()

    with pytest.raises(Cancelled):
        run_study(slices, SPLIT, tmp_path / "parts", plan, progress=stop, cancel=token)
    assert counted == ["clean.with.0", "clean.without.0", "size-3.with.0"]
    assert list(json.loads((tmp_path / "parts" / study.RESULTS).read_text())["trials"]) == counted[:2]
    assert any("left" in message for message in said)
    said.clear()
    done = run_study(slices, SPLIT, tmp_path / "parts", plan, progress=lambda done, total, message: said.append(message))
    steps = [message for message in said if message.startswith("size 3 mm, with KL") and "epoch" in message]
    assert len(steps) == 1 and "(2/2)" in steps[0], "the training that was stopped after its first step goes on, too"
    assert counted[3:] == ["size-3.with.0", "size-3.without.0"]
    assert figures(done) == figures(whole)
    counted.clear()
    assert figures(run_study(slices, SPLIT, tmp_path / "parts", plan)) == figures(whole)
    assert counted == []
    names = {path.name for path in (tmp_path / "parts").iterdir()}
    assert names == {study.RESULTS, study.PICTURE, study.MASKS}, "checkpoints are not kept"


def test_another_study_is_not_gone_on_with(slices, plan, tmp_path):
    run_study(slices, SPLIT, tmp_path, plan, runs_limit=0)
    with pytest.raises(ModelError, match="differs in settings"):
        run_study(slices, SPLIT, tmp_path, replace(plan, settings=replace(TINY, epochs=2)), runs_limit=0)
    other = [replace(s, labels=np.where(s.labels == INFARCT, MYOCARDIUM, s.labels)) if s.index else s for s in slices]
    with pytest.raises(ModelError, match="training_sha256"):
        run_study(other, SPLIT, tmp_path, plan, runs_limit=0)
    (tmp_path / study.RESULTS).write_text('["no study"]')
    with pytest.raises(ModelError, match="no result of this study"):
        run_study(slices, SPLIT, tmp_path, plan, runs_limit=0)


def test_a_study_without_scar_is_refused(slices, plan, tmp_path):
    for patients, part in (("P12", "training"), ("P34", "validation")):
        bare = [
            replace(s, labels=np.where(s.labels == INFARCT, MYOCARDIUM, s.labels)) if s.patient[1] in patients[1:] else s
            for s in slices
        ]
        with pytest.raises(StudyError, match=f"No {part} patient has scar"):
            run_study(bare, SPLIT, tmp_path, plan)


def _answers(monkeypatch, judge: Judge, logits_of) -> None:
    """The network gives ``logits_of(truth of the window, box)``."""
    import torch

    masks = [(features, truth) for features, truth in zip(judge._features, judge._truth, strict=True)]

    def answer(network, features, box, points, hint=None):
        found = next(t for f, t in masks if torch.equal(f.float(), features[0]))
        return torch.from_numpy(logits_of(found, box))[None].float(), None

    monkeypatch.setattr(trial, "sam_answer", answer)


def test_the_judge_calls_a_perfect_answer_perfect(judge, monkeypatch):
    _answers(monkeypatch, judge, lambda truth, box: np.where(truth, 30.0, -30.0))
    found = figures_of(judge.of_start())
    assert found["dice"] == found["best_dice"] == 1
    assert found["mass_bias_percent"] == pytest.approx(0) and found["calibration_error"] == pytest.approx(0)


def test_the_judge_sees_bias_and_overconfidence(judge, monkeypatch):
    def boxed(truth, box):
        x0, y0, x1, y1 = (round(edge) for edge in box)
        logits = np.full(truth.shape, -30.0)
        logits[y0:y1, x0:x1] = 30.0
        return logits

    _answers(monkeypatch, judge, boxed)
    raw = judge.of_start()
    found = figures_of(raw)
    areas = np.array(list(raw["area_px"].values()))
    assert found["mass_bias_percent"] > 0
    assert found["mass_bias_percent"] == pytest.approx(100 * (areas[:, 0].sum() / areas[:, 1].sum() - 1), abs=0.01)
    pixels, _, scar = np.sum(raw["reliability"], axis=0)
    assert found["overconfidence"] == found["calibration_error"] == pytest.approx(1 - scar / pixels, abs=1e-3)
    assert areas[0, 1] == pytest.approx(sum(labelled("P3", index).scar.sum() for index in range(2)), rel=0.05)


def test_the_judge_asks_the_same_every_time(judge, slices, tiny_segmenter):
    again = Judge([s for s in slices[::-1] if s.patient in SPLIT.validation], tiny_segmenter, TINY)
    corners = {(judge._patients[b.window], b.corners) for b in judge._boxes}
    assert corners == {(again._patients[b.window], b.corners) for b in again._boxes}
    assert len(corners) > 4, "patients' slices have one lesion or two"
    assert judge.of_start()["dice"] == again.of_start()["dice"]


def made(gain: float, *, seeds: int = 2, noise: float = 0.01, cost: float = 0.2) -> list[dict]:
    """Entries of a whole study in which the divergence adds ``gain`` of Dice on spoilt masks, and nothing on true ones."""
    generator = np.random.default_rng(0)
    patients = generator.normal(0.6, 0.08, 8)
    masks_dice = dict.fromkeys(KINDS, (0.9, 0.75, 0.6))
    entries = []
    for one in Plan(seeds=seeds).trials():
        kind = None if one.corruption is None else one.corruption.kind
        at = 1.0 if kind is None else masks_dice[kind][KINDS[kind].strengths.index(one.corruption.strength)]
        mean = patients - cost * (1 - at) + (gain if kind and one.loss == WITH else 0.0)
        dice = mean + generator.normal(0, noise, 8)
        entries.append(
            {
                "kind": kind,
                "strength": 0.0 if one.corruption is None else one.corruption.strength,
                "loss": one.loss,
                "seed": one.seed,
                "dice": {f"P{n}": [float(d - 0.2 * (t - 0.5) ** 2) for t in THRESHOLDS] for n, d in enumerate(dice)},
                "area_px": {f"P{n}": [90 + n, 100] for n in range(8)},
                "reliability": [[10.0, n + 0.5, n + 0.2] for n in range(10)],
                "masks": {"dice_mean": at, "area_ratio": at, "lesions_found": 1.0},
                "seconds": 1.0,
            }
        )
    return entries


@pytest.mark.parametrize(("gain", "verdict"), [(0.03, "helps"), (-0.03, "harms"), (0.0, "makes no difference")])
def test_the_verdict_follows_from_the_interval(gain, verdict):
    summary = summarise(made(gain))
    found = summary["differences"]["all noise"]
    assert found["mean"] == pytest.approx(gain, abs=0.006)
    low, high = found["interval_95"]
    assert low < gain < high and (low > 0) == (gain > 0) and (high < 0) == (gain < 0)
    assert verdict in sentence(summary) and verdict in table(summary)
    assert summary["differences"]["all noise beyond clean"]["mean"] == pytest.approx(gain, abs=0.02)
    assert summary["costs"][WITHOUT]["mean"] == pytest.approx(0.05, abs=0.01)
    assert len(summary["conditions"]) == 10 and next(iter(summary["conditions"])) == "clean"
    assert summary["conditions"]["size-2"]["losses"][WITH]["mass_bias_percent"] == pytest.approx(-6.5)


def test_the_interval_widens_with_the_scatter_of_patients_and_of_seeds():
    generator = np.random.default_rng(1)
    calm = generator.normal(0, 0.01, (2, 9))

    def width(values: np.ndarray) -> float:
        low, high = crossed_interval(values)
        return high - low

    assert width(calm + generator.normal(0, 0.1, 9)) > 3 * width(calm)
    assert width(calm + np.array([[-0.1], [0.1]])) > 3 * width(calm)
    assert crossed_interval(calm[:, :1]) is None


def test_half_a_study_has_figures_and_a_picture(tmp_path):
    for count in (1, 3, 20):
        entries = made(0.0, seeds=2)[:count]
        summary = summarise(entries)
        assert "true masks" in table(summary)
        draw(tmp_path / "half.png", {"summary": summary, "how": {"validation_patients": ["P1"]}})
    assert summarise(made(0.0)[:1])["differences"]["clean"] is None
    assert sentence(summarise(made(0.0)[:2])) == ""


def test_the_picture_shows_what_the_loss_buys(tmp_path):
    """Drawn colours: both losses are there, and another result is another picture."""
    pixels = []
    for gain in (0.0, 0.05):
        path = tmp_path / f"{gain}.png"
        draw(path, {"summary": summarise(made(gain)), "how": {"validation_patients": [f"P{n}" for n in range(8)]}})
        pixels.append(np.asarray(Image.open(path).convert("RGB")).astype(int))
    for colour in ((0, 0x72, 0xB2), (0xD5, 0x5E, 0)):
        assert (np.abs(pixels[0] - colour).max(axis=2) < 8).sum() > 500
    assert pixels[0].shape == pixels[1].shape and (pixels[0] != pixels[1]).any()


def _run(capsys, *arguments) -> tuple[int, str, str]:
    try:
        status = command_line.main([str(a) for a in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    caught = capsys.readouterr()
    return status, caught.out, caught.err


def test_the_command_runs_a_study(slices, tiny_segmenter, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command_line, "SETTINGS", TINY)
    for one in slices:
        name = f"Case_{one.patient[0]}{int(one.patient[1:]):03d}_slice_{one.index:03d}.png"
        write_grey(tmp_path / "data" / "images" / name, one.image)
        write_grey(tmp_path / "data" / "labels" / name, one.labels)
    Split(("P001", "P002", "N001"), ("N002", "P003", "P004")).write(tmp_path / "split.json")
    given = (
        "--data",
        tmp_path / "data",
        "--split",
        tmp_path / "split.json",
        "--out",
        tmp_path / "out",
        "--start",
        tiny_segmenter,
    )
    status, out, err = _run(capsys, *given, "--runs-limit", 1, "--epochs", 1)
    assert status == 0, err
    assert "true masks" in out and "not trained at all" in out and "[1/40]" in err
    for name in (study.RESULTS, study.PICTURE, study.MASKS):
        assert (tmp_path / "out" / name).is_file() and name in out
    status, _, err = _run(capsys, *given, "--patients", 1, "--epochs", 1)
    assert status == 1 and "another study" in err


def test_the_command_refuses_bad_arguments(tmp_path, capsys):
    given = ("--data", tmp_path / "none", "--split", tmp_path / "split.json", "--out", tmp_path / "out")
    assert _run(capsys, *given, "--seeds", 0)[0] == 2
    assert _run(capsys, "--data", tmp_path)[0] == 2
    status, _, err = _run(capsys, *given)
    assert status == 1 and "There is no folder" in err
