"""Training prompts: boxes that err like real ones, and clicks where readers make them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.training import prompting, reader_prompts
from MyoScarSegLib.training.prompting import Prompting, TrainingPrompt, draw_prompt
from MyoScarSegLib.training.reader_prompts import answer_to, as_reader, jittered

SHAPE = (64, 64)
NOTHING = np.zeros(SHAPE, dtype=np.int32)
NO_WALL = np.zeros(SHAPE, dtype=bool)
LESIONS = Prompting(ventricle=0, empty=0)
EXACT = {"JITTER": 0.0, "_JITTER_PX": 0.0, "_GROWN": 0.0, "_SHRUNK": 0.0, "_SHIFTED": 0.0}


@pytest.fixture
def set_to(monkeypatch):
    """Sets constants of how prompts are drawn, by name."""

    def change(**constants: float) -> None:
        for name, value in constants.items():
            monkeypatch.setattr(prompting if hasattr(prompting, name) else reader_prompts, name, value)

    return change


@pytest.fixture(scope="module")
def numbered() -> np.ndarray:
    """Two lesions of 40 and 60 pixels."""
    slice_ = np.zeros(SHAPE, dtype=np.int32)
    slice_[10:20, 30:34] = 1
    slice_[40:46, 20:30] = 2
    return slice_


@pytest.fixture(scope="module")
def wall() -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    return (x - 30) ** 2 + (y - 30) ** 2 < 28**2


@pytest.fixture(scope="module")
def usual(numbered, wall) -> list[TrainingPrompt]:
    """Many prompts as they are drawn by default."""
    return draw(3000, numbered, wall)


def draw_some(count: int, numbered: np.ndarray, wall: np.ndarray, how: Prompting | None = None, seed=0):
    """As many prompts as ``count`` draws give."""
    generator = np.random.default_rng(seed)
    prompts = [draw_prompt(generator, numbered, wall, how or Prompting()) for _ in range(count)]
    return [p for p in prompts if p is not None]


def draw(count: int, *where, **how):
    """One prompt per draw, as windows with scar give."""
    prompts = draw_some(count, *where, **how)
    assert len(prompts) == count
    return prompts


def of_kind(prompts: list[TrainingPrompt], *kinds: str) -> list[TrainingPrompt]:
    return [p for p in prompts if p.kind in kinds]


def side_errors(box, aim) -> np.ndarray:
    """How far left, top, right and bottom lie outside, as shares of the sides."""
    width, height = aim[2] - aim[0], aim[3] - aim[1]
    return (np.array(box) - aim) * (-1, -1, 1, 1) / (width, height, width, height)


# ---- boxes


def test_jittered_box_errs_by_the_share_of_its_side_asked_for():
    generator = np.random.default_rng(0)
    boxes = np.array([jittered(generator, (20, 20, 40, 30), SHAPE, 0.1) for _ in range(4000)])
    assert boxes.mean(0) == pytest.approx([20, 20, 40, 30], abs=0.15)
    assert boxes.std(0) == pytest.approx([2, 1, 2, 1], rel=0.08)


def test_boxes_stay_in_the_image_and_keep_an_area():
    generator = np.random.default_rng(1)
    for _ in range(300):
        for x0, y0, x1, y1 in (
            jittered(generator, (0, 60, 3, 64), SHAPE, 1.0, 5),
            as_reader(generator, (0, 60, 3, 64), SHAPE),
        ):
            assert 0 <= x0 < x1 <= 64
            assert 0 <= y0 < y1 <= 64
            assert min(x1 - x0, y1 - y0) >= 2 - 1e-9


@pytest.mark.parametrize(
    ("habit", "signs"), [("grown", {(1, 1, 1, 1)}), ("shrunk", {(-1, -1, -1, -1)}), ("shifted", {(1, -1), (-1, 1)})]
)
def test_readers_boxes_are_grown_shrunk_and_shifted_as_a_whole(habit, signs, set_to):
    generator = np.random.default_rng(2)
    set_to(**EXACT | {f"_{habit.upper()}": 1.0})
    drawn = [side_errors(as_reader(generator, (20, 20, 40, 30), SHAPE), (20, 20, 40, 30)) for _ in range(200)]
    assert 0.2 < np.abs(drawn).max() <= 0.25
    if habit == "shifted":
        assert np.allclose([d[:2] for d in drawn], [-d[2:] for d in drawn])
        assert {tuple(np.sign(d[[0, 2]])) for d in drawn} == signs
    else:
        assert {tuple(np.sign(d)) for d in drawn} == signs


def test_readers_boxes_are_mostly_as_careful_as_told():
    generator = np.random.default_rng(3)
    drawn = np.array([side_errors(as_reader(generator, (20, 20, 40, 40), SHAPE), (20, 20, 40, 40)) for _ in range(2000)])
    assert 0.0 < drawn.mean() < 0.05, "readers draw rather too wide"
    assert 0.12 < drawn.std() < 0.25


# ---- what a box asks for


def test_box_asks_for_lesions_it_mostly_holds_and_for_its_part_of_others(numbered):
    assert np.array_equal(answer_to((29, 9, 35, 21), numbered), numbered == 1)
    assert np.array_equal(answer_to((30, 12, 34, 20), numbered), numbered == 1), "a cut corner does not cut the lesion"
    assert np.array_equal(answer_to((0, 0, 64, 64), numbered), numbered > 0)
    part = np.zeros(SHAPE, dtype=bool)
    part[40:46, 20:24] = True
    assert np.array_equal(answer_to((15, 35, 24, 50), numbered), part)
    assert np.array_equal(answer_to((15, 9, 35, 43), numbered), numbered > 0)
    assert not answer_to((0, 0, 9, 9), numbered).any()


def test_answers_to_two_boxes_on_one_lesion_are_the_lesion(numbered):
    for cut in range(21, 30):
        union = answer_to((20, 40, cut, 46), numbered) | answer_to((cut, 40, 30, 46), numbered)
        assert np.array_equal(union, numbered == 2)


# ---- drawn prompts


def test_every_answer_follows_from_picture_and_box_and_points_are_of_their_kind(usual, numbered):
    prompts = usual
    for prompt in prompts:
        assert prompt.points.shape[1:] == (3,)
        for x, y, positive in prompt.points:
            pixel = int(y), int(x)
            assert prompt.target[pixel] if positive else not numbered[pixel]
        for kind in (0, 1):
            assert np.count_nonzero(prompt.points[:, 2] == kind) <= 5
        if prompt.box is not None:
            assert np.array_equal(prompt.target, answer_to(prompt.box, numbered))
        assert prompt.target.any() == (prompt.kind != "empty")
    assert {p.kind for p in prompts} == {"lesion", "merged", "split", "ventricle", "empty", "clicks"}


def test_kinds_come_in_the_shares_asked_for(usual):
    count = len(usual)
    kinds = Counter(p.kind for p in usual)
    how = Prompting()
    rest = 1 - how.ventricle - how.empty
    boxes = rest * (1 - prompting.NO_BOX)
    expected = {
        "ventricle": how.ventricle,
        "empty": how.empty,
        "clicks": rest * prompting.NO_BOX,
        "merged": boxes * prompting.MERGED,
        "split": boxes * (1 - prompting.MERGED) * prompting.SPLIT,
    }
    for kind, share in expected.items():
        assert kinds[kind] / count == pytest.approx(share, abs=0.025), kind
    assert kinds["lesion"] > 0.4 * count, "one box for one lesion is the rule"


def test_clicks_come_0_to_5_of_each_kind_and_mostly_not(usual, numbered, wall, set_to):
    boxed = [p for p in usual if p.box is not None and p.kind != "empty"]
    counts = [Counter(np.count_nonzero(p.points[:, 2] == kind) for p in boxed) for kind in (0, 1)]
    for of_kind_ in counts:
        assert set(of_kind_) == set(range(6))
        assert of_kind_[1] > of_kind_[2] > of_kind_[3] > of_kind_[5] > 0
    assert np.mean([len(p.points) == 0 for p in boxed]) == pytest.approx(1 - prompting.POINTED, abs=0.03)
    both = [p for p in boxed if {0.0, 1.0} == set(p.points[:, 2])]
    assert both
    set_to(POINTED=0, NO_BOX=0)
    assert all(len(p.points) == 0 for p in draw(100, numbered, wall))


def test_negative_clicks_are_beside_the_scar_and_never_on_any(numbered, wall, set_to):
    set_to(POINTED=1, NEAR_PX=3)
    prompts = draw(400, numbered, wall, Prompting(empty=0))
    away = ndimage.distance_transform_edt(numbered == 0)
    distances = []
    for prompt in prompts:
        for x, y, positive in prompt.points:
            if not positive:
                distances.append(away[int(y), int(x)])
                inside = prompt.box is not None and prompt.box[0] < x < prompt.box[2] and prompt.box[1] < y < prompt.box[3]
                near = ndimage.distance_transform_edt(~prompt.target)[int(y), int(x)] <= 3
                assert wall[int(y), int(x)] or inside or near
    assert min(distances) >= 1
    near_share = np.mean(np.array(distances) <= 3)
    by_chance = np.mean(away[wall & (numbered == 0)] <= 3)
    assert near_share > 0.65 > 2 * by_chance


def test_ventricle_prompts_ask_for_all_scar_and_leave_some_room(usual, numbered):
    prompts = of_kind(usual, "ventricle")
    aim = (3.0, 3.0, 58.0, 58.0)
    rooms = np.array([side_errors(p.box, aim) for p in prompts])
    assert rooms.min() >= 0
    assert rooms[:, :2].max() <= 3 / 55 + 1e-9, "the window ends there"
    assert 0.08 < rooms[:, 2:].max() <= 6 / 55 + 1e-9
    assert all(np.array_equal(p.target, numbered > 0) for p in prompts)


def test_ventricle_margin_is_that_asked_for(numbered):
    wall = np.zeros(SHAPE, dtype=bool)
    wall[8:50, 16:48] = True
    rooms = np.array([side_errors(p.box, (16, 8, 48, 50)) for p in draw(600, numbered, wall, Prompting(ventricle=1, empty=0))])
    assert rooms.min() == pytest.approx(0, abs=0.005)
    assert rooms.max() == pytest.approx(0.15, abs=0.005)
    assert rooms.mean() == pytest.approx(0.075, abs=0.005)


def test_scar_free_slices_have_empty_answers_in_the_shares_of_all_slices_and_mostly_no_prompt(wall):
    how = Prompting()
    prompts = draw_some(3000, NOTHING, wall)
    kinds = Counter(p.kind for p in prompts)
    assert not any(p.target.any() or p.box is None for p in prompts)
    assert not any(p.points[:, 2].any() for p in prompts), "nobody clicks on scar where none is"
    assert set(kinds) == {"ventricle", "empty"}
    assert kinds["ventricle"] / 3000 == pytest.approx(how.ventricle, abs=0.015)
    assert kinds["empty"] / 3000 == pytest.approx(how.empty, abs=0.02)


def test_most_answers_are_not_empty_though_half_the_slices_are_scar_free(usual, wall):
    drawn = [*usual, *draw_some(3000, NOTHING, wall)]
    assert np.mean([p.target.any() for p in drawn]) > 0.75


def test_slice_without_scar_and_ventricle_has_no_prompt():
    assert draw_prompt(np.random.default_rng(0), NOTHING, NO_WALL, Prompting()) is None


def test_wall_that_is_not_labeled_still_gives_boxes_and_clicks_for_lesions(numbered):
    prompts = draw(400, numbered, NO_WALL)
    assert {p.kind for p in prompts} >= {"lesion", "merged", "clicks"}
    assert not of_kind(prompts, "ventricle", "empty")
    assert any((p.points[:, 2] == 0).any() for p in prompts)


def test_empty_boxes_hold_no_scar_touch_the_ventricle_and_vary_in_size(usual, wall):
    prompts = of_kind(usual, "empty")
    for prompt in prompts:
        x0, y0, x1, y1 = prompt.box
        rows, columns = slice(round(y0), round(y1)), slice(round(x0), round(x1))
        assert wall[rows, columns].any()
    widths = [p.box[2] - p.box[0] for p in prompts]
    assert np.percentile(widths, 5) < 8
    assert np.percentile(widths, 95) > 22
    assert any(len(p.points) for p in prompts)


def test_wall_scarred_all_around_has_no_room_for_an_empty_box_and_gets_others(wall):
    prompts = draw(200, wall.astype(np.int32), wall)
    assert not of_kind(prompts, "empty")
    assert of_kind(prompts, "lesion")


def test_clicks_alone_are_on_each_lesion_that_they_ask_for(numbered, wall, set_to):
    set_to(NO_BOX=1, MERGED=0.5)
    prompts = of_kind(draw(500, numbered, wall, LESIONS), "clicks")
    asked = Counter()
    for prompt in prompts:
        clicked = {int(numbered[int(y), int(x)]) for x, y, positive in prompt.points if positive}
        assert clicked == set(np.unique(numbered[prompt.target]))
        asked[len(clicked)] += 1
    assert asked[2] == pytest.approx(250, abs=40)
    assert len({len(p.points) for p in prompts}) > 5


def test_slice_with_more_lesions_than_clicks_asks_only_for_the_clicked(set_to):
    numbered = np.zeros(SHAPE, dtype=np.int32)
    for n in range(8):
        numbered[8 * n : 8 * n + 4, 10:14] = n + 1
    set_to(NO_BOX=1, MERGED=1, MOST_POINTS=3)
    prompts = draw(200, numbered, NO_WALL)
    for prompt in prompts:
        positive = prompt.points[prompt.points[:, 2] == 1]
        assert len(positive) <= 3
        assert set(np.unique(numbered[prompt.target])) == {int(numbered[int(y), int(x)]) for x, y, _ in positive}


def test_split_boxes_hold_a_quarter_to_a_half_of_a_long_lesion(wall, set_to):
    numbered = NOTHING.copy()
    numbered[20:24, 10:40] = 1
    set_to(**EXACT, NO_BOX=0, MERGED=0, SPLIT=1)
    prompts = draw(300, numbered, wall, LESIONS)
    assert all(p.kind == "split" for p in prompts)
    shares = [p.target.sum() / 120 for p in prompts if p.target.sum() != 120]
    assert len(shares) > 280
    assert 0.2 < min(shares) < 0.3 < 0.4 < max(shares) < 0.5
    assert {p.target[22, 10] for p in prompts} == {True, False}, "either end"
    short = NOTHING.copy()
    short[20:24, 10:16] = 1
    assert {p.kind for p in draw(50, short, wall, LESIONS)} == {"lesion"}


def test_merged_boxes_hold_all_lesions_they_mean(wall, set_to):
    numbered = NOTHING.copy()
    for n, column in enumerate((10, 28, 46)):
        numbered[28:34, column : column + 6] = n + 1
    set_to(**EXACT, NO_BOX=0, MERGED=1, SPLIT=0)
    asked = Counter(tuple(np.unique(numbered[p.target])) for p in draw(300, numbered, wall, LESIONS))
    assert set(asked) == {(1, 2, 3), (1, 2), (2, 3)}, "who boxes the outer two holds the one between them"
    assert asked[1, 2, 3] > 150


def test_poor_merged_box_still_holds_some_of_each_lesion_it_means(numbered, wall, set_to):
    set_to(NO_BOX=0, MERGED=1, JITTER=0.3)
    for prompt in draw(200, numbered, wall, LESIONS):
        assert prompt.kind == "merged"
        assert set(np.unique(numbered[prompt.target])) == {1, 2}


def test_box_for_a_lesion_always_holds_some_of_it(wall, set_to):
    """A crescent's box can be moved so that it holds none of it; that would ask for nothing."""
    y, x = np.mgrid[:64, :64]
    radius = np.hypot(x - 30, y - 30)
    crescent = ((radius > 20) & (radius < 22) & (x > 30) & (y > 30)).astype(np.int32)
    set_to(NO_BOX=0, JITTER=0.6, SPLIT=0)
    assert all(p.target.any() for p in draw(500, crescent, wall, LESIONS))


def test_slivers_at_the_windows_edge_are_not_prompted(wall):
    numbered = NOTHING.copy()
    numbered[30, 0:2] = 1
    assert draw_prompt(np.random.default_rng(0), numbered, NO_WALL, Prompting()) is None
    assert {p.kind for p in draw_some(300, numbered, wall)} == {"ventricle", "empty"}


def test_same_seed_draws_the_same_prompts(numbered, wall):
    first, second, other = (draw(60, numbered, wall, seed=seed) for seed in (7, 7, 8))
    for a, b in zip(first, second, strict=True):
        assert (a.box, a.kind) == (b.box, b.kind)
        assert np.array_equal(a.points, b.points)
        assert np.array_equal(a.target, b.target)
    assert [p.box for p in first] != [p.box for p in other]


def test_drawing_leaves_its_inputs_alone(numbered, wall):
    before = numbered.copy(), wall.copy()
    for prompt in draw(200, numbered, wall):
        prompt.target[:] = True
    assert all(np.array_equal(a, b) for a, b in zip(before, (numbered, wall), strict=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"empty": -0.1}, "empty"),
        ({"ventricle": float("nan")}, "ventricle"),
        ({"empty": 0.6, "ventricle": 0.5}, "ventricle plus empty"),
    ],
)
def test_senseless_settings_are_refused_by_name(settings, message):
    with pytest.raises(ModelError, match=message):
        Prompting(**settings)
