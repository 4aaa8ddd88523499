"""How the answers of both networks become one, as a model's file says it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from MyoScarSegLib.errors import ModelError
from MyoScarSegLib.segmentation.answers import METADATA_KEY, Answers
from MyoScarSegLib.utils.json_fields import to_json


def test_they_come_back_from_a_files_metadata():
    answers = Answers(
        sam_share=0.25, mapped=(0.5, 0.25), alone=(0.8, 0.5), asked=(1.1, -0.25), first=0.125, asked_error=(2.0, 0.5, 1.0)
    )
    assert Answers.of({METADATA_KEY: json.dumps(to_json(answers))}) == answers
    assert Answers.of({}) == Answers()


@pytest.mark.parametrize("text", ["{", '{"sam_share": 2}', '{"alone": [1]}', '{"first": 0}', '{"unknown": 1}', "[]"])
def test_a_damaged_one_is_refused(text):
    with pytest.raises(ModelError, match="answers"):
        Answers.of({METADATA_KEY: text})


def test_what_is_seen_and_what_is_asked_for_are_calibrated_each_by_its_own_line():
    answers = Answers(sam_share=0.25, mapped=(3.0, -2.0), alone=(2.0, 1.0), asked=(0.5, -1.0))
    context, sam = torch.tensor([[2.0, -4.0]]), torch.tensor([[6.0, 0.0]])
    assert answers.on_map(np.array([3.0])).tolist() == [7.0]
    assert answers.seen(np.array([2.0])).tolist() == [5.0]
    assert answers.asked_for(context, None).tolist() == [[0.0, -3.0]]
    assert answers.asked_for(context, sam).tolist() == [[0.5, -2.5]]
