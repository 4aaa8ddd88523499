"""Which series of an examination is the short-axis LGE stack: names of many languages and vendors, among their neighbors."""

from __future__ import annotations

import re
from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from pydicom.charset import encode_string
from pydicom.uid import generate_uid

from MyoScarSegLib.study.dicom_choice import choose, describe_stacks
from MyoScarSegLib.study.dicom_groups import stacks_of
from MyoScarSegLib.study.dicom_headers import read_images
from MyoScarSegLib.study.series_words import words_of
from Testing.support.dicom_factory import new_dataset, write_dataset

SHORT = [0.778644, 0.627466, 0.0, -0.34121, 0.423419, -0.839221]
LONG = [-0.34121, 0.423419, -0.839221, 0.526583, -0.653454, -0.543791]
AXIAL = [1, 0, 0, 0, 1, 0]
IR = {"ScanningSequence": ["GR", "IR"], "InversionTime": 280.0, "EchoTime": 1.5}
SPIN = {"ScanningSequence": ["SE", "IR"], "InversionTime": 170.0, "EchoTime": 60.0}
GRADIENT = {"ScanningSequence": "GR", "EchoTime": 1.5}
MAG, PSIR, PHASE = (("ORIGINAL", "PRIMARY", kind) for kind in ("M", "R", "P"))
#: What tells the kind of a series beside its names.
TECHNICAL = ("ScanningSequence", "InversionTime", "EchoTime", "CardiacNumberOfImages")


def split(names):
    return [name.strip() for name in re.split(r"[|\n]", names)]


class Exam:
    """Collects series, of which only the headers are made."""

    def __init__(self, folder, **common):
        self.folder, self.common, self.images, self.number = folder, {"StudyInstanceUID": generate_uid(), **common}, [], 0
        self.always = {}  # wins over what a series is added with

    def add(self, description, slices=8, *, each=1, plane=SHORT, **attributes):
        """A series of ``slices`` positions with ``each`` images, phases of a cycle or inversion times. Returns its key."""
        self.number += 1
        given = {"SeriesDescription": description, "SeriesNumber": self.number, "SeriesInstanceUID": generate_uid()}
        given |= {"ImageType": list(attributes.pop("kind", MAG)), "ImageOrientationPatient": plane, "PixelSpacing": [1.4, 1.4]}
        given |= {
            "AcquisitionTime": f"10{self.number:02d}00",
            "ImagePositionPatient": [0, 0, 0],
            **self.common,
            **attributes,
            **self.always,
        }
        path = write_dataset(self.folder / f"{self.number}", new_dataset(np.zeros((2, 2), np.uint16), **given))
        (image,) = read_images(path)
        times = {"inversion_time_ms": 80.0} if attributes.get("scout") else {}
        for n in range(slices * each):
            place = {"position": image.normal * 10.0 * (n % slices), "instance_uid": f"{image.instance_uid}.{n}"}
            step = n // slices
            moment = {"inversion_time_ms": 80.0 + 40 * step} if times else {"trigger_time_ms": 40.0 * step} if each > 1 else {}
            self.images.append(replace(image, **place, **moment))
        return str(self.number)

    def chosen(self):
        """Key of the series that would be taken, or None, and all series."""
        series = describe_stacks(stacks_of(self.images))
        index, why = choose(series)
        return None if index is None else series[index].key, {entry.key: entry for entry in series}, why


def neighbors(exam, vendor):
    """What a scanner of ``vendor`` makes before the LGE short axis in the same examination."""
    names = {
        "siemens": """localizer_iPAT|trufi_retro_cine_sax|T1Map_LongT1_MOLLI_sax_T1|T2_Map_SAX|t2_tirm_db_sax
            TurboFLASH_perf_stress_sax|TI_scout_sax|PSIR_4ch|early_gad_sax|fl2d_flow_venc150""",
        "ge": """3-PLANE LOC|SAX FIESTA|T1 MAP SAX|T2 MAP|SAX T2 STIR|FGRE TIME COURSE PERF|CINE IR|4CH MDE|EGE SAX
        2D PC FLOW""",
        "philips": """SURVEY|BTFE_SA_cine|T1 map MOLLI SA|T2map GraSE|T2W_STIR_BB_SA|sDynPerf SA|Look-Locker|LGE_4CH|EGE SA
        QFlow""",
        "canon": """Locator|SSFP Cine SA|T1 Map SA|T2 Map SA|FASE STIR SA|Perfusion SA|TI Prep Look Locker
            LGE 2CH|Early Enhancement SA|PS Flow""",
    }
    loc, cine, t1, t2, stir, perfusion, scout, long_axis, early, flow = split(names[vendor])
    exam.add(loc, 3, **GRADIENT)
    exam.add(cine, each=4, **GRADIENT)
    exam.add(t1, 3, kind=("DERIVED", "PRIMARY", "M"), **GRADIENT)
    exam.add(t2, 3, **GRADIENT)
    exam.add(stir, **SPIN)
    exam.add(perfusion, 3, each=6, **GRADIENT)
    exam.add(scout, 1, each=6, **IR)
    exam.add(early, **{**IR, "InversionTime": 440.0})
    exam.add(long_axis, 3, plane=LONG, **IR)
    exam.add(flow, 2, each=5, **GRADIENT)


NAMES = {
    "siemens": """LGE_SAX|DE_overview_tfi_SAX_PSIR|de_tfl_seg_psir_sax|DE_high-res_tfl_SA|PSIR_single-shot_sax_MOCO_AVG
        t1_tfi_psir_sax|LGE_KA_10min
        IR_tfl sax|Late Enhancement KA|Spätaufnahme kurze Achse|Spaetaufnahme KA|Spät-KM SA|Narbe KA|Narbendarstellung kA
        Infarkt KA
        Vitalität SA|LE_SAX|SA_DE|CV_DE|DE_tfl_seg|LGESAX|SAXLGE|PSIRsax|lge-ka|JB-LGE sax|wideband LGE sax|MOCO PSIR|FIDDLE_SAX
        LGE_SAX_early|PSIR sub|LGE haste?|LGE plan 2|LGE SAX from scout TI 280|LGE report SA|LGE map SA|LGE_retro SA|DB-LGE
        rehaussement tardif petit axe|Délai 10 min petit axe|TARDIF PA|viabilité PA|PSIR PA 10min|Realce tardío eje corto|RTG EC
        tardío SA|viabilidad eje corto|Realce tardio eixo curto|viabilidade SA""",
    "ge": """SAX MDE|2D MDE SA|MDE_retro|SSh PSMDE SAX|2D PSMDE SAX|Myo DE SAX|myo delay|SA DELAY|FGRE-IR SA|MDE+ SAX 5
        delayed enhancment sax|Delayed Enh SA|enhancement tardivo asse corto|tardive asse corto|DE asse corto|LE asse corto
        Późne wzmocnienie oś krótka|wzmocnienie późne SA|opóźnione wzm. SA|blizna SA|pozdní sycení krátká osa|jizva SAX
        Позднее контрастирование короткая ось|отсроченное контрастирование по короткой оси|рубец SA|Інфаркт SA
        Пізнє контрастування коротка вісь|Късно усилване къса ос|касно појачање кратка оса|kasna imbibicija kratka os
        priză tardivă ax scurt""",
    "philips": """PSIR_TFE_BH_SA|IR_TFE_BH_SA|sLGE_SA|WIP LGE SA SENSE|LGE_3D SA|WIP DelEnh SA|LateEnh_SA|Viab_SA
        late aankleuring korte as|DE korte as|litteken KA|sen uppladdning kortaxel|sen opladning kortakse
        sen kontrast kortakse|Forsinket opptak SA
        myöhäistehostuma lyhytakseli|jälkitehostuma SA|geç tutulum kısa aks|GEÇ KONTRASTLANMA KISA AKS|gecikmiş tutulum SA
        késői kontraszthalmozás rövid tengely|Heg SA|Καθυστερημένη ενίσχυση βραχύς άξονας|όψιμη ενίσχυση SA
        ngấm thuốc muộn trục ngắn|التعزيز المتأخر المحور القصير|האדרה מאוחרת ציר קצר""",
    "canon": """FFE IR SA|Delay IR SA|LGE SA FFE|DHE SA|延迟强化 短轴|SAX延迟增强|心肌延迟强化SA|延遲強化 短軸|晚期钆增强 短轴
        瘢痕 SA|PSIR短轴|DE-短軸|遅延造影 短軸|遅延造影SA|心筋遅延造影|LGE短軸|지연조영증강 단축|지연 조영 SA|LGE 단축
        late phase SA
        Scar imaging SA|viability short axis|Late Gd SA|phase sensitive IR SA|CE-IR SA""",
}
EXAMS = [(vendor, name) for vendor, names in NAMES.items() for name in split(names)]


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """Gives a copy of an examination by ``vendor`` before its LGE short axis; its files are written and read once."""

    @cache
    def made(vendor, plain):
        protocol = {"Manufacturer": "GE MEDICAL SYSTEMS", "ProtocolName": "CARDIAC VIABILITY"} if vendor == "ge" else {}
        exam = Exam(tmp_path_factory.mktemp(vendor), SpecificCharacterSet="ISO_IR 192", **protocol)
        exam.always = dict.fromkeys(TECHNICAL) if plain else {}
        neighbors(exam, vendor)
        return exam

    def given(vendor, plain):
        exam = copy(made(vendor, plain))
        exam.images = list(exam.images)
        return exam

    return given


@pytest.mark.parametrize("headers", ["names and timing", "names"])
@pytest.mark.parametrize(("vendor", "name"), EXAMS)
def test_the_lge_short_axis_is_found_among_its_neighbors(examined, vendor, name, headers):
    exam = examined(vendor, headers == "names")
    wanted = exam.add(name, **IR)
    key, series, why = exam.chosen()
    assert key == wanted, (why, {k: (e.description, e.reasons, e.rejected) for k, e in series.items()})


@pytest.mark.parametrize("vendor", NAMES)
def test_an_exam_without_lge_short_axis_is_refused(tmp_path, vendor):
    exam = Exam(tmp_path)
    neighbors(exam, vendor)
    exam.add("SAX DIR T1", ScanningSequence=["SE", "IR"], InversionTime=500.0)
    exam.add("SAX FIESTA single phase", **GRADIENT)
    key, series, why = exam.chosen()
    assert key is None and "none say clearly enough" in why, series[key].reasons


MENTIONS = """cine post lge|scout for LGE|LGE planning localizer|TI scout LGE|T1 map post LGE|EGE SAX|haste nach LGE
    T2 SA before LGE|ciné petit axe avant rehaussement tardif|LGE Lokalizer|Look Locker LGE|Early gad enhancement SA
        realce precoz SA|早期造影 短軸
    Frühaufnahme KA|кино короткая ось|シネ短軸|电影短轴|T1マップ 短軸|карта Т1 SA|T2 map SA|PSIR pre contrast SA|LGE 4ch
    DE 3CV|PSIR LAX|LGE lange Achse|realce tardio 4 cámaras|rehaussement tardif 4 cavités|延迟强化四腔|遅延造影 長軸
        지연조영 장축|4-камерная LGE
    uzun aks LGE|langakse LGE|LGE axial|MDE coronal|LGE4ch|SAX DIR T1|perfusion late SA|T1 TSE SA delayed|LGE 2ch|PSIR_4CHAMBER
    LGE LAX|t1map_shmolli_sax|TI scout|stir_sax|rest perfusion sax|early enhancement sax|coupes de repérage|cine_trufi_sax
    venc150 flow"""


@pytest.mark.parametrize("name", split(MENTIONS))
def test_a_series_that_only_mentions_lge_or_shows_another_view_is_not_taken(tmp_path, name):
    exam = Exam(tmp_path, SpecificCharacterSet="ISO_IR 192")
    exam.add("cine SAX", each=4)
    exam.add(name)
    assert exam.chosen()[0] is None


@pytest.mark.parametrize(
    "protocol",
    ["CARDIAC VIABILITY", "CARDIAC FUNCTION AND DELAYED ENHANCEMENT", "STRESS MAPPING", "LGE", "MDE CINE T2", "CARDIAC ADULT"],
)
@pytest.mark.parametrize("vendor", ["GE MEDICAL SYSTEMS", "SIEMENS", None])
@pytest.mark.parametrize("name", ["SAX MDE", "SAX PSMDE", "SA DELAY"])
def test_a_name_of_the_whole_exam_neither_chooses_nor_refuses(tmp_path, protocol, vendor, name):
    exam = Exam(tmp_path, ProtocolName=protocol, StudyDescription=protocol, Manufacturer=vendor)
    exam.add("SAX FIESTA", each=4)
    exam.add("SAX T2 STIR", 9)
    exam.add("SAX DIR T1", 9)
    assert exam.chosen()[0] is None
    wanted = exam.add(name, 7)
    assert exam.chosen()[0] == wanted


def test_a_description_of_the_whole_exam_says_nothing_of_one_series(tmp_path):
    exam = Exam(tmp_path)
    exam.add("MR cardiac viability", each=4, **GRADIENT)
    exam.add("MR cardiac viability", 9, **SPIN)
    assert exam.chosen()[0] is None
    wanted = exam.add("MR cardiac viability", **IR)
    assert exam.chosen()[0] == wanted


def test_a_protocol_of_its_own_names_a_series_without_description(tmp_path):
    exam = Exam(tmp_path, Manufacturer="Philips")
    exam.add(None, each=4, ProtocolName="BTFE SA")
    exam.add(None, 9, ProtocolName="T2W STIR SA")
    wanted = exam.add(None, ProtocolName="PSIR_TFE_BH_SA")
    assert exam.chosen()[0] == wanted


@pytest.mark.parametrize(
    "name",
    [
        "nécrose PA", "necrosi SA", "laattijdige aankleuring KA", "SAX TI 320", "LGE SA loc 35", "LGE_SA_loc-35", "LGE_SAX",
        "DE_tfi2d1_psir_SA", "delayed enhancement short axis", "2D PSIR TFE SA", "MDE short axis", "3D LGE navigator",
        "rehaussement tardif petit axe",
    ],
)  # fmt: skip
def test_a_bare_name_that_says_lge_is_enough(tmp_path, name):
    exam = Exam(tmp_path)
    exam.add("cine SA", each=4)
    exam.add("T2 SA", 9)
    assert exam.add(name) == exam.chosen()[0]


@pytest.mark.parametrize("name", ["Eje corto de T1", "T1 late systole SA", "LGE aorta", "LGE left atrium", "LGE SA loc"])
def test_a_bare_name_that_says_something_else_is_not_enough(tmp_path, name):
    exam = Exam(tmp_path)
    exam.add("cine SA", each=4)
    exam.add(name)
    assert exam.chosen()[0] is None


@pytest.mark.parametrize("plane", [AXIAL, [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]])
def test_a_volume_straight_across_the_body_is_no_short_axis(tmp_path, plane):
    exam = Exam(tmp_path)
    exam.add("cine SA", each=4)
    exam.add("LGE 3D", 60, plane=plane, **IR)
    assert exam.chosen()[0] is None
    assert exam.add("LGE", 9, **IR) == exam.chosen()[0]


@pytest.mark.parametrize("names", [None, "", "SAX"])
def test_without_names_sequence_and_timing_decide(tmp_path, names):
    exam = Exam(tmp_path)
    exam.add(names, each=4, **GRADIENT)
    exam.add(names, **SPIN)
    exam.add(names, 1, each=8, **IR, scout=True)
    exam.add(names, 3, kind=("DERIVED", "PRIMARY", "T1 MAP"), **IR)
    exam.add(names, **{**IR, "InversionTime": 450.0})
    exam.add(names, 9, plane=LONG, **IR)
    assert exam.chosen()[0] == "5"
    exam.add(names, kind=MAG, **IR)
    wanted = exam.add(names, kind=PSIR, **IR)
    exam.add(names, kind=PHASE, **IR)
    assert exam.chosen()[0] == wanted


@pytest.mark.parametrize(
    ("name", "body", "plane"),
    [
        ("T1 IR axial", "BRAIN", AXIAL),
        ("PSIR", "BRAIN", SHORT),
        ("PSIR", None, AXIAL),
        ("IR SA", "HEAD", SHORT),
        ("T1 IR brain", None, SHORT),
        (None, None, AXIAL),
        ("delayed", "LIVER", AXIAL),
        ("late gad", "KNEE", SHORT),
        ("T1 VIBE late phase Leber", None, AXIAL),
        ("infarct", None, AXIAL),
        ("PSIR c-spine", "CSPINE", SHORT),
    ],
)
def test_inversion_recovery_of_another_part_of_the_body_is_not_taken(tmp_path, name, body, plane):
    exam = Exam(tmp_path)
    exam.add(name, 20, plane=plane, BodyPartExamined=body, **IR)
    assert exam.chosen()[0] is None


def test_a_wrong_body_part_does_not_beat_a_name_that_says_lge_and_short_axis(tmp_path):
    exam = Exam(tmp_path, BodyPartExamined="ABDOMEN")
    assert exam.add("LGE SA") == exam.chosen()[0]


@pytest.mark.parametrize(
    ("others", "wanted"),
    [
        ([("LGE SAX", 8, MAG)], ("LGE SAX", 8, MAG)),  # the later repeat
        ([("LGE SAX", 8, MAG)], ("LGE SAX repeat", 8, MAG)),
        ([("LGE SAX PSIR", 3, PSIR), ("LGE SAX", 5, MAG)], ("LGE SAX", 8, MAG)),  # the whole stack
        ([("LGE SAX MAG", 8, MAG)], ("LGE SAX PSIR", 8, PSIR)),
        ([("LGE", 8, MAG), ("LGE 3D", 40, MAG)], ("LGE SAX", 8, MAG)),
        ([("LGE SAX sub", 8, MAG), ("LGE SAX early", 8, MAG), ("LGE SAX MIP", 8, MAG)], ("LGE SAX", 8, MAG)),
        ([("LGE SAX plan", 9, MAG), ("LGE haste SAX", 9, MAG), ("DB-LGE SAX", 8, MAG)], ("LGE SAX", 8, MAG)),
        ([("viability SAX", 9, MAG), ("SAX IR", 9, MAG)], ("SAX MDE", 8, MAG)),
        ([("LGE 2ch", 9, MAG), ("LGE 4ch", 9, MAG), ("LGE", 9, PHASE)], ("LGE SAX", 2, MAG)),
    ],
)
def test_of_several_lge_stacks_the_best_is_taken(tmp_path, others, wanted):
    exam = Exam(tmp_path)
    for name, slices, kind in others:
        exam.add(name, slices, kind=kind, **IR)
    last = exam.add(wanted[0], wanted[1], kind=wanted[2], **IR)
    assert exam.chosen()[0] == last
    if wanted[0] not in (others[0][0], "LGE SAX repeat"):
        # A worse stack that comes later changes nothing.
        for name, slices, kind in others:
            exam.add(name, slices, kind=kind, **IR)
        assert exam.chosen()[0] == last


CHARACTER_SETS = [
    ("ISO_IR 100", "Realce tardío eje corto", "latin-1"),
    ("ISO_IR 192", "Spätaufnahme kurze Achse", "utf-8"),
    ("ISO_IR 144", "Позднее контрастирование SA", "iso8859-5"),
    ("GB18030", "延迟强化 短轴", "gb18030"),
    ("\\ISO 2022 IR 87", "遅延造影 短軸", "iso2022_jp"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "遅延造影 短軸", "iso2022_jp"),
    ("\\ISO 2022 IR 149", "지연조영 단축", None),
    ("ISO_IR 101", "Późne wzmocnienie SA", "iso8859-2"),
    ("ISO_IR 148", "geç tutulum kısa aks", "iso8859-9"),
    ("ISO_IR 126", "Όψιμη ενίσχυση SA", "iso8859-7"),
    (None, "Realce tardío EC", "latin-1"),
    (None, "Spätaufnahme KA", "utf-8"),
    (None, "延迟强化 短轴", "utf-8"),
    (None, "延迟强化 短轴", "gb18030"),
    (None, "Позднее контрастирование SA", "cp1251"),
    (None, "遅延造影 短軸", "shift_jis"),
    (None, "지연조영 단축", "euc_kr"),
    ("ISO_IR 192", "Délai 10 min petit axe", "latin-1"),
    ("ISO_IR 100", "Délai 10 min petit axe", "utf-8"),
]


@pytest.mark.parametrize(("declared", "name", "codec"), CHARACTER_SETS)
def test_names_are_read_in_their_character_set(tmp_path, declared, name, codec):
    raw = encode_string(name, ["ascii", "euc_kr"]) if codec is None else name.encode(codec)
    raw += b" " * (len(raw) % 2)
    written = new_dataset(np.zeros((2, 2), np.uint16), SeriesDescription="X" * len(raw))
    data = write_dataset(tmp_path / "a", written).read_bytes().replace(b"X" * len(raw), raw)
    if declared:
        value = declared.encode() + b" " * (len(declared) % 2)
        at = data.index(b"\x08\x00\x16\x00UI")
        data = data[:at] + b"\x08\x00\x05\x00CS" + len(value).to_bytes(2, "little") + value + data[at:]
    (tmp_path / "a").write_bytes(data)
    (image,) = read_images(tmp_path / "a")
    words = words_of(image.text)
    assert (words.lge or words.likely) and not (words.other or words.asides or words.long_axis or words.other_organ)
    assert not declared or declared == "ISO_IR 192" or codec == "utf-8" or name in image.text
