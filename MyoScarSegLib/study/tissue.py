"""The tissues and regions that labels show: the one table of their numbers, names, codes and colors.

Slicer's segments are written with Slicer's codes and DICOM's objects with DICOM's, which differ for some; both are read. SNOMED
CT has no codes as narrow as ours, so a general one (blood, obstruction) stands together with a region, the left ventricle.
Sources: SNOMED CT as in DICOM's CID 7150, 7151, 12305 and 3717, and in the lists of terms that 3D Slicer ships.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from MyoScarSegLib.errors import StudyError

BACKGROUND, CAVITY, MYOCARDIUM, INFARCT, NO_REFLOW = range(5)

LEFT_VENTRICLE = "SCT^87878005^Left ventricle"
_REGION = f"Anatomic codes - DICOM master list~{LEFT_VENTRICLE}~^^"

#: Regions within which a segment may be ours: none, the left ventricle, the heart; in SNOMED's codes of before, too.
_REGIONS = frozenset({"", "SCT^87878005", "SRT^T-32600", "SCT^80891009", "SRT^T-32000"})

OWN_SCHEME = "99MYOSCARSEG"
"""Of codes for what no public scheme has a code for; DICOM keeps names that begin with 99 for such."""


@dataclass(frozen=True)
class Term:
    """What a segment shows, as 3D Slicer and DICOM code it.

    Attributes:
        name: of segments that we write, also their id.
        label: of the term in Slicer's list.
        meaning: how the term reads there.
        category, code: Slicer's, each scheme^value^meaning.
        color: red, green, blue in 0..1.
        dicom_category, dicom_code: DICOM's, where they are others than Slicer's; else empty.
    """

    name: str
    label: str
    meaning: str
    category: str
    code: str
    color: tuple[float, float, float]
    dicom_category: str = field(default="", kw_only=True)
    dicom_code: str = field(default="", kw_only=True)

    @property
    def terminology(self) -> str:
        """3D Slicer's entry: context ~ category ~ type ~ modifier ~ anatomic context ~ region ~ modifier."""
        return f"Segmentation category and type - DICOM master list~{self.category}~{self.code}~^^~{_REGION}"


@dataclass(frozen=True)
class Tissue(Term):
    """One tissue.

    Attributes:
        codes: ``scheme^value`` of all types that mean it.
        former_codes: those that mean it if the name says nothing: our own programs before wrote them.
        names: what people call it, in lower case, without accents, hyphens, underscores and what is in brackets.
        number: of its class, as EMIDEC has it.
    """

    codes: frozenset[str]
    former_codes: frozenset[str]
    names: frozenset[str]
    number: int


def _rgb(red: int, green: int, blue: int) -> tuple[float, float, float]:
    return red / 255, green / 255, blue / 255


_SLICERS_ALTERED = "SCT^49755003^Morphologically Altered Structure"
_DICOMS_ALTERED = "SCT^49755003^Morphologically Abnormal Structure"

SCAR = Tissue(
    "Scar", "Scar", "Scar tissue", "SCT^85756007^Tissue", "SCT^12402003^Scar tissue", _rgb(242, 107, 33),
    frozenset({"SCT^12402003", "SRT^M-78060"}),
    frozenset({"SCT^55641003"}),
    frozenset(
        {"scar", "scar tissue", "myocardial scar", "lv scar", "infarct", "infarction", "myocardial infarction", "mi", "lge",
         "enhancement", "fibrosis"}
    ),
    INFARCT,
)  # fmt: skip
MVO = Tissue(
    "No-reflow", "NoReflow", "No-reflow (microvascular obstruction)",
    _SLICERS_ALTERED, "SCT^26036001^Obstruction", _rgb(72, 118, 204),
    frozenset({"SCT^26036001", "SRT^M-34000"}),
    frozenset(),
    frozenset({"no reflow", "noreflow", "mvo", "microvascular obstruction", "nr"}),
    NO_REFLOW,
    dicom_category=_DICOMS_ALTERED,
)  # fmt: skip
WALL = Tissue(
    "LV myocardium", "Myocardium", "Left ventricular myocardium",
    "SCT^123037004^Anatomical Structure", "SCT^74281007^Myocardium", _rgb(192, 104, 88),
    frozenset({"SCT^74281007", "SCT^49848007", "SRT^T-32620"}),
    frozenset(),
    frozenset(
        {"myocardium", "lv myocardium", "left ventricular myocardium", "left ventricle myocardium", "normal myocardium",
         "healthy myocardium", "myo", "lv myo", "wall", "lv wall", "myokard", "herzmuskel", "myocarde", "miocardio",
         "миокард", "心肌", "心筋", "심근"}
    ),
    MYOCARDIUM,
    dicom_category="SCT^91723000^Anatomical Structure",
    dicom_code="SCT^49848007^Left Ventricle Myocardium",
)  # fmt: skip
BLOOD_POOL = Tissue(
    "LV blood pool", "BloodPool", "Blood pool", "SCT^85756007^Tissue", "SCT^87612001^Blood", _rgb(216, 101, 79),
    frozenset({"SCT^87612001", "SRT^T-C2000"}),
    frozenset({"SCT^87878005", "SRT^T-32600"}),
    frozenset(
        {"cavity", "lv cavity", "left ventricular cavity", "left ventricle cavity", "lv", "left ventricle", "blood pool",
         "lv blood pool", "blood", "lvc", "lvbp", "hohle", "lv hohle", "blutpool", "kavum", "cavite", "cavite vg", "cavidad",
         "полость лж", "血池", "左室腔", "내강"}
    ),
    CAVITY,
)  # fmt: skip

TISSUES = (BLOOD_POOL, WALL, SCAR, MVO)

REMOTE = Term(
    "Remote myocardium", "RemoteMyocardium", "Remote myocardium (reference region)",
    "SCT^309825002^Spatial and Relational Concept", "NCIt^C94970^Reference Region", _rgb(128, 174, 128),
)  # fmt: skip
CORE = Term(
    "Scar core", "ScarCore", "Core of the scar", _SLICERS_ALTERED, f"{OWN_SCHEME}^CORE^Scar core", _rgb(178, 24, 43),
    dicom_category=_DICOMS_ALTERED,
)  # fmt: skip
GREY_ZONE = Term(
    "Grey zone", "GreyZone", "Grey zone of the scar", _SLICERS_ALTERED, f"{OWN_SCHEME}^GREYZONE^Grey zone", _rgb(146, 146, 146),
    dicom_category=_DICOMS_ALTERED,
)  # fmt: skip

REGIONS = (REMOTE, CORE, GREY_ZONE)
"""Parts of the wall that are no class of labels."""

AHA_SITES = tuple(
    f"SCT^{value}^{meaning}"
    for value, meaning in (
        (264850008, "left ventricle basal anterior segment"), (396482007, "left ventricle basal anteroseptal segment"),
        (396646008, "left ventricle basal inferoseptal segment"), (264846001, "left ventricle basal inferior segment"),
        (396652009, "left ventricle basal inferolateral segment"), (396654005, "left ventricle basal anterolateral segment"),
        (264848000, "left ventricle mid anterior segment"), (396647004, "left ventricle mid anteroseptal segment"),
        (396649001, "left ventricle mid inferoseptal segment"), (264847005, "left ventricle mid inferior segment"),
        (396655006, "left ventricle mid inferolateral segment"), (396656007, "left ventricle mid anterolateral segment"),
        (264844003, "left ventricle apical anterior segment"), (264845002, "left ventricle apical septal segment"),
        (264849008, "left ventricle apical inferior segment"), (264853005, "left ventricle apical lateral segment"),
        (128564006, "Apex of left ventricle"),
    )
)  # fmt: skip
"""Code of each of the American Heart Association's 17 segments, segment 1 first: DICOM's CID 3717."""

#: Words that make a longer name one of scar, if no other says that it is something else.
_SCAR_WORDS = frozenset(
    """
    scar scars infarct infarcts infarction infarcted infarkt infarkte infarto infarctus narbe narben narbengewebe cicatrice
    cicatriz cicatrize litteken blizna рубец рубцы инфаркт 瘢痕 傷跡 梗塞 梗死 흉터 skar
    """.split()  # noqa: SIM905 (a list of strings is not read more easily)
)
_OTHER_WORDS = frozenset(
    """
    no non not without ohne kein keine remote normal healthy viable border peri periinfarct zone grey gray risk edema oedema
    atrium atrial rv right aorta fat background ring roi
    """.split()  # noqa: SIM905
)
_WALL_WORDS = frozenset(
    """
    myo myocardium myokard wall cavity blood pool ventricle endo epi endocardium epicardium lv mvo reflow obstruction
    """.split()  # noqa: SIM905
)
_IMAGE_WORD = "lge"

#: How names of the left ventricle's borders begin, in Western languages, Russian, Polish, Chinese, Japanese and Korean.
_BORDERS = {
    "endocardium": re.compile(r"(?:sa|lv|vg|vi)?endo(?:$|[ck]ard|contour|kontur|lv|border)|эндокард|wsierdz|.*(?:心内膜|심내막)"),
    "epicardium": re.compile(r"(?:sa|lv|vg|vi)?epi(?:$|[ck]ard|contour|kontur|lv|border)|эпикард|nasierdz|.*(?:心外膜|심외막)"),
}
_NO_BORDER = frozenset(
    """
    rv vd right rechts rechter droit derecho destro la ra atrium atrial fat fett graisse grasa grasso
    """.split()  # noqa: SIM905
)

_OF_NUMBER = {tissue.number: tissue for tissue in TISSUES}
_NUMBER_OF_NAME = {name: tissue.number for tissue in TISSUES for name in tissue.names}
_NUMBER_OF_NAME |= dict.fromkeys(("background", "ignore", "other"), BACKGROUND)


def class_named(name: str) -> int | None:
    """The number of the class that people call ``name``; None if the name is not known."""
    plain = " ".join(re.sub(r"\(.*?\)", " ", _plain(name)).replace("_", " ").replace("-", " ").split())
    number = _NUMBER_OF_NAME.get(plain)
    if number is None and says_scar(name):
        return INFARCT
    return number


def border_named(name: str) -> str | None:
    """Which border of the left ventricle a contour's name says (``LV Endo``, ``saepicardialContour``, ``Epikard``).

    Returns:
        ``"endocardium"``, ``"epicardium"``, or None if it says neither, or means scar, fat or another chamber.
    """
    words = _words(name)
    if words & _NO_BORDER or words & _SCAR_WORDS:
        return None
    for border, pattern in _BORDERS.items():
        if any(pattern.match(word) for word in words):
            return border
    return None


def says_scar(name: str, *, image: bool = False) -> bool | None:
    """Whether words of a longer name say scar (``Infarkt 2``, ``lv_scar_final``); None if they speak of nothing.

    Args:
        name: of a segment, file or folder.
        image: whether ``LGE``, which says what image it is, counts, too, where no other tissue is named.
    """
    words = _words(name)
    if words & _OTHER_WORDS:
        return False
    if words & _SCAR_WORDS or any(word in name for word in _SCAR_WORDS if not word.isascii()):
        return True
    if words & _WALL_WORDS:
        return False
    return True if image and _IMAGE_WORD in words else None


def class_of_segment(name: str, terminology: str) -> int | None:
    """The class of a named and perhaps coded segment; None if neither name nor code says what it is.

    Args:
        name: as the user reads it.
        terminology: 3D Slicer's entry (context ~ category ~ type ~ modifier ~ anatomic context ~ region ~ modifier); empty if it
            has none. A code counts before the name, which users change.

    Raises:
        StudyError: the code says scar and the name another tissue, or the other way round.
    """
    parts = [_scheme_and_value(part) for part in terminology.split("~")]
    code = parts[2] if len(parts) > 2 else ""
    region = parts[5] if len(parts) > 5 else ""
    named = class_named(name)
    if region not in _REGIONS:
        code = ""
    if any(code == _scheme_and_value(term.code) for term in REGIONS):
        return None
    coded = next((tissue.number for tissue in TISSUES if code in tissue.codes), None)
    if coded is None:
        return next((tissue.number for tissue in TISSUES if code in tissue.former_codes), None) if named is None else named
    if named is not None and (coded in _LESION) != (named in _LESION):
        raise StudyError(
            f"The segment {name!r} is called {_called(named)}, but its terminology says {_called(coded)}. "
            "Correct the one that is wrong, in Slicer in its Segment Editor."
        )
    return coded


_LESION = (INFARCT, NO_REFLOW)


def _called(number: int) -> str:
    return _OF_NUMBER[number].meaning.lower() if number in _OF_NUMBER else "background"


def _scheme_and_value(part: str) -> str:
    return "^".join(part.split("^")[:2]).strip("^")


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", _plain(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))))


def _plain(name: str) -> str:
    """Lower case, without the accents of Latin letters."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", plain).casefold()  # puts the parts of Korean syllables together again
