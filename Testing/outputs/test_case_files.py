"""The files of a case, and the tables made of them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from MyoScarSegLib.outputs.case_files import write_case, write_tables
from MyoScarSegLib.result import MASS_ERROR, Result
from MyoScarSegLib.study.study import Geometry, Reconstruction, Study


def test_interval_of_the_mass_is_in_the_case_and_in_the_table_where_it_is_known(tmp_path):
    voxels = np.random.default_rng(0).normal(100, 10, (3, 20, 24)).astype(np.float32)
    probability = np.zeros(voxels.shape, dtype=np.float32)
    probability[1, 4:14, 4:14] = 0.6
    provenances = {"known": {MASS_ERROR: "0.1 0.5 0.8"}, "unknown": {}}
    for case, provenance in provenances.items():
        study = Study(case, voxels, Geometry((1.4, 1.4, 10.0)), Reconstruction.MAGNITUDE)
        write_case(tmp_path / case, Result(study, probability, 0.5, provenance=provenance), "nii.gz", picture=False)
    write_tables(tmp_path, {}, list(provenances))
    with (tmp_path / "results.csv").open(newline="") as file:
        known, unknown = csv.DictReader(file)
    document = json.loads((tmp_path / "known" / "result.json").read_text())
    assert document["scar_mass_low_g"] < document["scar_mass_g"] < document["scar_mass_high_g"]
    assert float(known["scar_mass_low_g"]) == pytest.approx(document["scar_mass_low_g"], rel=1e-5)
    assert float(known["scar_mass_high_g"]) == pytest.approx(document["scar_mass_high_g"], rel=1e-5)
    assert known["likely_wrong"] == str(document["likely_wrong"]) == "True"
    assert [unknown[key] for key in ("scar_mass_low_g", "scar_mass_high_g", "likely_wrong")] == ["", "", ""]
