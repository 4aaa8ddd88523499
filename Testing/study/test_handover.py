"""A study goes from one process to another as it is."""

from __future__ import annotations

import numpy as np
import pytest

from MyoScarSegLib.errors import StudyError
from MyoScarSegLib.study.handover import read_handover, write_handover
from Testing.support.labeled_factory import labels, study


def test_handover_keeps_all_that_matters(tmp_path):
    one = study(4)
    write_handover(tmp_path / "a.npz", one, labels=labels(4))
    found, drawn = read_handover(tmp_path / "a.npz", "P007", "labels")
    assert np.array_equal(found.voxels, one.voxels) and np.array_equal(drawn, labels(4)) and found.case == "P007"
    assert found.geometry.spacing_mm == one.geometry.spacing_mm and found.reconstruction == one.reconstruction
    (tmp_path / "a.npz").write_bytes(b"PK")
    with pytest.raises(StudyError, match="Try it again"):
        read_handover(tmp_path / "a.npz", "P007", "labels")
