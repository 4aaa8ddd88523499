"""What the name of a series says, in the languages and abbreviations of scanners and departments."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

#: Letters that Unicode does not take apart into a plain letter and an accent.
_PLAIN = str.maketrans({"ı": "i", "ø": "o", "æ": "ae", "ł": "l", "đ": "d", "œ": "oe", "ё": "е", "і": "и"})


def fold(text: str) -> str:
    """``text`` in small letters, without accents and signs, words and scripts a space apart: ``"T1-Späte"`` is ``"t1 spate"``."""
    text = re.sub(r"(?<=[a-z][a-z])(?=[A-Z])", " ", re.sub(r"(?i)(t[12])\*", r"\1 star", text))
    text = re.sub(r"[\W_]+", " ", _without_accents(text))
    return re.sub(r"(?<=[a-z0-9])(?=[^\x00-\x7f])|(?<=[^\x00-\x7f])(?=[a-z0-9])", " ", text).strip()


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(sign for sign in parts if unicodedata.category(sign) != "Mn").translate(_PLAIN)


def _kinds(words: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """``(what, its words)``, from lines that start with = and name it, each before the words."""
    kinds = (kind.split("\n", 1) for kind in words.strip().removeprefix("= ").split("\n    = "))
    return tuple((what, _any(lines)) for what, lines in kinds)


# What technicians write onto an abbreviation without a space.
_JOINED = (
    r"(?:\d+|sax?|shax|ka|lax|ce|db|bb|wb|jb|moco|mag|ps|psir|ir|fb|bh|nav|sh|ss|hr|d|min|ch|post|km|gd|t1|neu|rep|new|q|s|ir)*"
)
# What stands beside the abbreviations DE and LE.
_SEQUENCE = (
    r"tfl|tfi|tru?fi|true?fisp|psir|sax?|ka|short|hi?gh?|hr|[23]d|ir|gre|ssfp|fl[23]d|mag|seg|moco|bh|fb|nav|ps|single|ss|cv"
    r"|myo\w*|heart|card\w*|t1|lv|post|gd|gad|km"
)


def _any(words: str) -> re.Pattern[str]:
    """The alternatives of all lines, small and without accents; lines that start with # name the languages."""
    lines = (line.strip() for line in words.replace("JOINED", _JOINED).replace("SEQUENCE", _SEQUENCE).splitlines())
    return re.compile("|".join(_without_accents(line) for line in lines if line and not line.startswith("#")))


#: Names for late enhancement that name nothing else.
_LGE = _any(
    r"""
    \bJOINED(?:lge|mde|dhe|lgd|lgad)(?:s|i|JOINED)\b|psir|psmde|\bpisr|fiddle|\bde ?(?:mri?|cmr)\b|\bmyo ?(?:de
    delay\w*)\b
    phase ?sensitiv\w*|\blg ?enh\w*|\bl g e\b|late ?(?:gad|gd|enh?[ah]|hyper|contrast)\w*
    \bdel(?:a\w*)? ?(?:hyper ?)?(?:enh?[ah]|gad|gd|contrast)\w*
    hyperenhanc\w*
    # German, Dutch, Scandinavian, Finnish
    \bspae?t\w* ?(?:aufn|km|kontr|enh|anreich|gad|bild|phase)\w*
    \b(?:late|laat\w*|vertraagde) ?(?:aankleur|contrast|opname)\w*
    \bsen\w* ?(?:bild|uppladd|oppt|oppladd|opladn|opptak|optag|ladning|kontrast|gad|enh|fas)\w*|myöhäis\w*|jälkitehostum\w*
    # French, Romanian, Spanish, Portuguese, Italian
    (?:re)?haussement tard\w*|retard\w* de contraste|prise de contraste tard\w*|pdc tard\w*|(?:captation|captare
    priza) tard\w*
    real[cz]e\w* (?:tard|retard)\w*|\brtg\b|hiperrealce|(?:enhancement|potenziamento|impregnazione|contrasto) (?:tard
    ritard)\w*
    # Slavic languages
    \b(?:po[zź]n|opóźn|pozd|opožd|neskor|neskoré|kasn|odgođ|odlož|zakasn)\w* (?:wzmoc|kontr|enh|syc|nasyc|zesíl|gad|nakup
    pojač|imbib|opacif|obarv|kopič)\w*
    \bpwk\b
    (?:поздн|касн|отсроч|отложен|пізн|відстроч|късн)\w* (?:контр|накоп|нак|усил|појач|имбиб|гадол|фаз|підсил|сканир|изображ)\w*
    # Turkish, Hungarian, Greek, Vietnamese
    \bgeç (?:tutul|kontr|gad|faz|enh|opak)\w*|\bkésői (?:kontraszt|halmoz|gad|enh|felv|dús|fázis)\w*
    (?:καθυστερημεν|οψιμ|υστερ)\w* (?:ενισχ|προσλ|σκιαγρ|εμπλουτ)\w*|ngấm thuốc muộn
    # Chinese, Japanese, Korean
    延[迟遲时時] ?(?:钆|釓|gd|gad)?\w* ?(?:强化|強化|增强|增強|扫描|掃描|显像|顯影|成像|造影|对比|對比|期)
    晚期 ?(?:钆|釓|gd)?\w* ?(?:强化|強化|增强|增強|造影)
    (?:钆|釓) ?(?:延|晚)|遅延 ?(?:造影|相|像|期|増強|濃染|gd)|後期 ?(?:造影|増強|相)
    지연 ?(?:기|기 )?(?:조영|영상|증강)|후기 ?(?:조영|증강)
    # Arabic, Persian, Hebrew
    التعزيز المتأخر|تعزيز متأخر|تأخیری|تاخیری|האדרה מאוחרת
    """
)
#: Words that mean late enhancement in an examination of the heart, and may mean something else elsewhere.
_LIKELY = _any(
    r"""
    \blate\b(?! (?:syst|diast|arter|ven|portal))
    (?<!trigger )(?<!trig )\bdela(?:y|i)\w*|\bviab\w*|\bscar\b|\binfar\w*|\bfibros\w*|\bir ?(?:gre|fgre|spgr|ssfp
    flash|turbo ?flash|true? ?fi\w*|tru?fi|fiesta|tfe|ffe|tfl|fl2d|fl3d|b ?tfe|fe)\b
    \b(?:gre|tfe|ffe|ssfp|flash|tfl|fl2d|fl3d|trufi) ir\b|\bce ?ir\b|(?<!tau )\binv\w* ?rec\w*
    \bspae?t\w*|\bnarbe\w*|\bvitalit\w*|\btardi\w*|\bretard\w*|\bcicatri\w*|\bn[eé][ck]ro\w*|\britardat\w*|\blitteken\w*|\bärr\b
    \bpozn\w*|\bpozdn\w*|\bopozn\w*|\bopozd\w*|\bblizn\w*|\bzawał\w*|\bżywotn\w*|\bjizv\w*|\bjazv\w*|\bneskor\w*|\bkasn\w*
    \božilj\w*
    \bforsink\w*|\bfördröj\w*|\bvėly\w*|\bvēlīn\w*|\bhilin\w*
    \bпоздн\w*|\bкасн\w*|\bотсроч\w*|\bруб[ец]\w*|\bинфаркт\w*|\bжизнеспос\w*|\bинфаркт\w*|\bпізн\w*|\bвідстроч\w*|\bкъсн\w*
    \bgeç\b|\bgecik\w*|\bskar\b|\benfarkt\w*|\bcanlılık|\bkés[őe]i\b|\bheg\b|\bοψιμ\w*|\bκαθυστερ\w*|\bουλη\w*|\bεμφραγ\w*|\bmuộn\b
    延[迟遲时時]|遅延|瘢痕|梗死|梗塞|存活|心肌活性|纤维化|線維化|バイアビリティ|지연|반흔|경색|생존|متأخر|מאוחר
    """
)
#: The abbreviations of delayed and late enhancement are common words too: only beside a sequence, or at an end of the name.
_PERHAPS = _any(
    r"""
    ^(?:de|le)\b(?! (?:ident\w*|la|los|las|les|l|c|v)\b)|\b(?:SEQUENCE) (?:de|le)\b(?! l)
    (?<!corto )(?<!curto )\b(?:de|le) (?:SEQUENCE)\b
    \b(?:de|le)\d?$|\brt (?:ec|eje|eixo)\b|\b(?:[6-9]|1\d|2\d) ?min\b|\bir\b|\bti ?[23]\d\d\b
    """
)

#: After one of these words comes what a series was made for, or before or after which; not what it is.
_GOVERNED = _any(
    r"""
    (?<![^ ])(?!\d|min\b|gd\b|gad\w*\b|km\b|contr\w*\b)[^ ]+ (?:for|post|after|before|pre|pour|après|avant|para|antes|antes de
    antes del|después|después de|después del|per|prima|prima di|dopo|für|fuer|vor|nach|voor|na|dla|po|przed|для|до|после|efter
    etter|før|före|till|til|için|sonra|öncesi) (?:the |le |la |el |il |der |die |das |het )?$
    """
)

#: (what the series is instead, words): these name it, whatever else the name says.
_OTHERS = _kinds(
    r"""
    = an inversion-time scout
    \bti ?(?:scout|finder|find|test|search|suche|best\w*|determ\w*|mapp?\w*|loc\w*|cine|serie\w*|prep|skaut|скаут)
    scout ?ti\b(?! ?\d)
    \bt1 ?scout|look ?lock\w*|\bll\b|\bir ?cine|cine ?ir\b|\bti \d* ?cine
    inversion ?time (?:scout|find\w*|test)|(?:recherche|busqueda|ricerca) (?:du |del |di )?ti\b|\bti ?(?:定位|ス|스)
    = a localizer
    \bloc\d*\b(?! \d)|\blocal?i[sz]\w*|\blokal[iy][sz]\w*|\bsurvey\b|\btopogr?\w*|\brepéra\w*|\blokator\w*|\btri ?plan\w*
    \b3 ?plane?\b|\bübersicht\w*|\buebersicht\w*|\bplan ?scan\b|\bplanning scan|\bprescan|\bplanungs?\b
    локал[аи]\w*|топогр\w*|\bkılavuz|定位|位置[決决]め|ロカライザ|로컬라이\w*|위치 ?(?:결정|확인)
    = a cine
    \bcin[eé]\w*|(?:sax?|ssfp|trufi|fiesta|ka|ch)cine\b|\bkine\b|\bfilm\w*|\bsine (?:sa|kısa|mr|ssfp)\w*|\bsine$
    \bкино\w*|\bкине\w*
    シネ|电影|電影|시네|κινη?ματ\w*|סינה|سينما?ئ?ي?
    = a parameter map
    \bt[12] ?(?:star|rho|s)? ?(?:w )?(?:sax |sa |short axis |3d |2d )?(?:map\w*|kart\w*|carto\w*|карт\w*|harita\w*|mapp?\w*)
    \bmap\w* (?:of |de |em |en )?t[12]|\bt[12] ?(?:star)? (?:マップ|マッピング|맵|매핑|图|圖)
    carto\w* t[12]|карт\w* t[12]|\bмаппинг|\w*molli\b|molli|\bsasha\b|sha?pres|\becv\w*|extra ?cellular|\bnative t1
    \bt1 native|\bt1 (?:nativ\w*|pre|post) map|\bt2 ?star\b|\bmyomaps?\b|cartograf\w*|mapeo|mapeamento|картир\w*|マッピング|매핑
    = early enhancement
    \bege\b|\bearly (?:gad|gd|enh|contrast|hyper)\w*|\bfrüh\w* ?(?:aufn|enh|kontr|anreich|km|phase)\w*|\bfrueh\w*
    \bvroege? \w+|(?:re)?haussement (?:précoce|immédiat)|real[cz]e (?:preco[cz]e?|temprano|inmediato)\b|(?:enhancement
    potenziamento) precoce
    \bwczesn\w*|\bčasn\w* \w+|\brann\w* (?:kontr|nakup)\w*|\bранн\w*|\bранє\w*|\bpřed\w* syc\w*|\berken \w+|\btidig\w* \w+
    \btidlig\w* \w+|\bkorai \w+|πρωιμ\w*|早期|조기|초기 ?조영
    = a series before contrast
    \b(?:pre|vor|before|sans|sin|sem|senza|without|bez|без|utan|uden|uten) ?(?:contra?st\w*|gad\w*|gd|km|injection|inj
    контраст\w*|kontrast\w*)\b|\bnativ\w*|平扫|平掃|単純|조영전
    = a plan for other series
    \bplanning\b|\bplanif\w*|\bplanej\w*|\bpianific\w*|\bpilot\w*
    """
)
#: (what the series may be instead, words): a series that is named late enhancement may bear them all the same.
_ASIDES = _kinds(
    r"""
    = a localizer
    \bscout\w*|\boverview\b|\bскаут\w*|スカウト|스카우트|\bhaste\b|\bplan\w*\b|\bplán\w*
    = a cine
    \bretro\w*|\bfun[ck][tc]i?on\w*|\bfunktion\w*|\bfonction\w*|\bfunzion\w*|\breal ?time\b|\bfunción|\bfunção|功能
    = a parameter map
    \bmaps?\b|\bmapping\b|\bmapa\b|マップ|\bqmap\b|\bcolou?r\b
    = perfusion
    perf\w*|first ?pass|\bdyn\w*|\bstress\w*|\bперфуз\w*|灌注|灌流|관류|パーフュージョン|\bgenomblöd\w*|αιματωσ\w*|αιματ\w*
    = flow
    \bflow|\bvenc\d*|phase ?contrast|\bpc\b|qflow|\bq flow|velocity|\b4d\b|\bflu(?:ss|jo|xo|x|sso)\b|\bfluß|\bпоток\w*
    \bкровот\w*|流速|血流|流量|혈류|\bakım\b|\bprzepływ|\bprůtok
    = an edema or T2-weighted series
    stir\b|\bstir|\bo?edem\w*|\böd[eé]m\w*|\bt2\w*|\btirm\b|\bspair\b|\bотек|\bоток\w*|\bобряк|水[肿腫]|浮腫|부종|\bobrz[eę]k
    \botok\b|\boteklin|\bödém|οιδημ\w*|\bturvotus
    = early enhancement
    \bearly\b|\bprecoc\w*|\bpréco\w*|\bfrüh\w*
    = an angiogram
    angio\w*|\bmra\b|\btwist\b|\bmip\b|\bангио\w*|血管|혈관
    = a spin-echo series
    \btse\b|\bfse\b|\bdir\b|\btir\b|\bblack ?blood\b|\bdouble ir\b|\btriple ir\b|\bspin ?echo|\bmorph\w*|黑血
    = diffusion
    \bdwi\b|\bdti\b|\bdiffusion\w*|\badc\b|\bspectr\w*|\bmrs\b|\bdixon\b
    = a subtraction, reformat or report
    \bsub\b|\bsubtr\w*|\bscreen\w*|\breport\w*|\bresults?\b|\bfused?\b|\boverlay\w*|\bmpr\b|\bbefund\w*|\bsecondary\b|剪影|減影|减影
    \bвычит\w*|\bsoustr\w*|\bsustr\w*
    = a phase image
    (?<!late )(?<!delayed )\bphases?\b(?! ?(?:sens|corr))|\bpha\b
    """
)
_SHORT_AXIS = _any(
    r"""
    \bsax|sax\b|\bsaxs\b|\bsa\d*\b|\bshax|\bshort ?ax\w*|\bshort$|\bshrt ?ax\w*|\bsh ?ax\w*|\bka\d?\b|\bkurze?n?r? ?achs\w*
    \bkurzachs\w*|\bpetit ?axe?s?\b|\bpa\b|\bejes? ?corto?s?\b|\beixos? ?curtos?|\bass[ei] ?cort\w
    \bkorte? ?as\w*|\boś krótk\w*|\bkrótk\w* o[sś]\w*|\bkratk\w* os\w*|\bos\w* krátk\w*
    коротк\w* ос\w*|кратк\w* ос\w*|\btrump\w* aš\w*|\bīs\w* as\w*|\blühike\w*
    \bпо коротк\w*
    коротк\w* віс\w*|\bкъса ос\w*|\bkısa (?:aks|eksen)\w*|\bkort ?a(?:x|ks)\w*
    \brövid ?teng\w*|βραχ\w* αξον\w*|\blyhyt ?akse\w*|\bax scurt|\btrục ngắn|短[轴軸]|단축|ציר קצר|المحور القصير
    محور قصير|محور کوتاه
    """
)
_LONG_AXIS = _any(
    r"""
    \b[234] ?(?:ch|cv|chv|chamber\w*|k(?:ammer|b|k|)\b|kammer|kamer|kamm|kam|cav|cam|cham|jam|komor|dutin|ureg|üreg|boşluk|odac
    odaların
    rum|rom|c|腔|室|방|камер|κοιλ|lokero|buồng|komora)\w*\b
    \b(?:two|three|four|zwei|drei|vier|twee|drie|deux|trois|quatre|dos|tres|cuatro|duas|quatro|due|tre|quattro|dwu|trój|cztero
    dvou|tří|čtyř|fyra|två|fire|to|iki|üç|dört|két|négy|három)[ -]?(?:ch\b|chamb|kammer|kamer|kamr|cav|cám|câm|camer|jam|dutin
    komor|üreg|ureg|boşluk|rum|rom)\w*
    (?:двух|трех|четырех|дво|три|чотири)[ -]?камер\w*|[二两兩三四] ?[腔室]|心尖
    \w[234]ch\b|\bla$|\blax\b|lax\d?\b|\blong ?ax\w*|\bhla\b|\bvla\b|\blvot\w*|\brvot\w*|\bgrand ?axe?s?\b|\bga\b|\bejes? ?largos?
    \beixos? ?longos?|\bass[ei] ?lung\w*|\blang\w* ?achs\w*|\blangachs\w*|\blange ?as\b|\boś długa|\bdług\w* oś
    \bdlouh\w* os\w*|\bdlh\w* os\w*|\bdug\w* os\w*
    длинн\w* ос\w*|довг\w* віс\w*|дълг\w* ос\w*|\buzun (?:aks|eksen)\w*|\blång ?ax\w*|\blang ?aks\w*|\bhosszú ?teng\w*
    (?:μακρ\w*|επιμηκ\w*) αξον\w*|\bpitkä ?akse\w*|\bax lung|\btrục d[àọ]\w*|[长長][轴軸]|장축|ציר ארוך|المحور الطويل|محور بلند
    """
)
_OTHER_PLANE = _any(
    r"""
    \b(?:axial\w*|ax|tra|trans|transv\w*|transax\w*|coronal\w*|cor|sag|sagit?t\w*|koronar\w*|axiaal|coupes? axiales?)\b
    аксиал\w*|корон\w*|сагит\w*|横断|橫斷|冠状|冠狀|矢状|矢狀|축상|관상면|시상
    """
)
_HEART = _any(
    r"""
    \bcard\w*|\bheart\w*|\bherz\w*|\bkardi\w*|\bcoeur\w*|\bcora[cz]\w*|\bcuore\w*|\bhart\b|\bserc\w*|\bsrd[ec]\w*|\bsrc[ae]\w*
    \bkalp\w*|\bhjärt\w*|\bhjert\w*|\bszív\w*|\bsydän\w*|\binim[aă]\b|\bmyo[ck]ard\w*|\bmiocard\w*|\bcmri?\b|\bventri\w*
    \blv\b|\bcmr\w*|\bchf\b|\btim\b
    сердц\w*|серц\w*|кардио\w*|миокард\w*|сърц\w*|καρδι\w*|心|심장|심근|القلب|קרדיו|\bלב\b|قلب
    """
)
_OTHER_ORGAN = _any(
    r"""
    \bbrain\w*|\bhead\b(?! ?first)|\bneuro\w*|\bskull\w*|\bknees?\b|\bliver\w*|\bspine\w*|\bspinal\w*|[ctl] ?spine\b
    \bprostat\w*|\babdom\w*|\bpelvi\w*|\bshoulder\w*|\bankle\w*|\bwrist\w*|\bhip\b|\belbow\w*|\bbreast\w*|\bkidney\w*
    \brenal\w*|\bneck\b|\borbit\w*|\bpituit\w*|\bfoot\b|\bhand\b|\bthigh\w*|\bcalf\b|\blegs?\b|\bextremity|\bmamma\w*
    \bpancre\w*|\bflair|\bmp2?rage|\baort\w*|\batri(?:um|al|o)\b
    \bschädel\w*|\bschaedel\w*|\bkopf\w*|\bhirn\w*|\bgehirn\w*|\bknie\w*|\bleber\w*|\bwirbels\w*|\blws\b|\bhws\b|\bbws\b
    \bcerv\w*|\bcerebr\w*|\bcérébr\w*|\bencéfal\w*|\bcabeza\w*|\bcráneo\w*|\bcrani\w*|\brodilla\w*|\bgenou\w*|\bjoelho\w*
    \bginocchi\w*|\bhígado\w*|\bfígado\w*|\bfegato\w*|\bfoie\w*|\bcolumna\w*|\brachis\w*|\blomb\w*|\blumb\w*|\bhersen\w*
    \bmózg\w*|\bgłow\w*|\bkolan\w*|\bwątrob\w*|\bmozek\w*|\bkolen\w*|мозг\w*|голов\w*|колен\w*|печен\w*|позвон\w*|\bbeyin\w*
    \bdiz\b|\bhjärn\w*|\bhjern\w*|εγκεφ\w*|脑|腦|脳|头部|頭部|膝|肝|脊|뇌|무릎
    """
)


@dataclass(frozen=True)
class NameWords:
    """What a name says; each field holds the words that say it, folded, or is empty.

    Attributes:
        lge: late enhancement, in words that mean nothing else.
        likely: late enhancement, in words that mean it in the heart only.
        perhaps: an abbreviation of it that is a common word too.
        other: ``(what the series is instead, words)``; it beats any name for late enhancement.
        asides: the same, for words that a series of late enhancement may bear as well.
        short_axis, long_axis, other_plane, heart, other_organ: the view, and what is shown.
        dark_blood: late enhancement with dark blood.
    """

    lge: str = ""
    likely: str = ""
    perhaps: str = ""
    other: tuple[str, str] | None = None
    asides: tuple[tuple[str, str], ...] = ()
    short_axis: str = ""
    long_axis: str = ""
    other_plane: str = ""
    heart: str = ""
    other_organ: str = ""
    dark_blood: bool = False

    @property
    def silent(self) -> bool:
        """Whether the name tells nothing of the kind of series."""
        return not (self.lge or self.likely or self.perhaps or self.other or self.asides)


def words_of(name: str) -> NameWords:
    """The words that tell what a series is, in its ``name`` as the scanner wrote it."""
    text = fold(name)
    found = [(what, words.search(text)) for what, words in _OTHERS]
    asides = [(what, words.search(text)) for what, words in _ASIDES]
    return NameWords(
        lge=_said(_LGE, text),
        likely=_said(_LIKELY, text),
        perhaps=_said(_PERHAPS, text),
        other=next(((what, match.group().strip()) for what, match in found if match), None),
        asides=tuple((what, match.group().strip()) for what, match in asides if match),
        short_axis=_first(_SHORT_AXIS, text),
        long_axis=_first(_LONG_AXIS, text),
        other_plane=_first(_OTHER_PLANE, text),
        heart=_first(_HEART, text),
        other_organ=_first(_OTHER_ORGAN, text),
        dark_blood=bool(re.search(r"\b(?:db|bb|jb|dark ?blood|black ?blood)|fiddle", text)),
    )


def _first(words: re.Pattern[str], text: str) -> str:
    match = words.search(text)
    return match.group().strip() if match else ""


def _said(words: re.Pattern[str], text: str) -> str:
    """The first match that is what the series is, and not what it was made for, before or after."""
    for match in words.finditer(text):
        if not _GOVERNED.search(text[: match.start()]):
            return match.group().strip()
    return ""
