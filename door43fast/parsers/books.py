"""The books of the Bible: codes, names, and the numbers that put them into canonical order."""

from __future__ import annotations

import re
from difflib import get_close_matches

from door43fast.errors import PassageError

# Number, code, English name. The numbers are those of USFM file names: the New Testament starts at 41, and what is
# not a book of the canon has a letter, which sorts behind all digits. Front matter is read first, so it is 00.
_TABLE = """
00 FRT Front Matter
01 GEN Genesis
02 EXO Exodus
03 LEV Leviticus
04 NUM Numbers
05 DEU Deuteronomy
06 JOS Joshua
07 JDG Judges
08 RUT Ruth
09 1SA 1 Samuel
10 2SA 2 Samuel
11 1KI 1 Kings
12 2KI 2 Kings
13 1CH 1 Chronicles
14 2CH 2 Chronicles
15 EZR Ezra
16 NEH Nehemiah
17 EST Esther
18 JOB Job
19 PSA Psalms
20 PRO Proverbs
21 ECC Ecclesiastes
22 SNG Song of Songs
23 ISA Isaiah
24 JER Jeremiah
25 LAM Lamentations
26 EZK Ezekiel
27 DAN Daniel
28 HOS Hosea
29 JOL Joel
30 AMO Amos
31 OBA Obadiah
32 JON Jonah
33 MIC Micah
34 NAM Nahum
35 HAB Habakkuk
36 ZEP Zephaniah
37 HAG Haggai
38 ZEC Zechariah
39 MAL Malachi
41 MAT Matthew
42 MRK Mark
43 LUK Luke
44 JHN John
45 ACT Acts
46 ROM Romans
47 1CO 1 Corinthians
48 2CO 2 Corinthians
49 GAL Galatians
50 EPH Ephesians
51 PHP Philippians
52 COL Colossians
53 1TH 1 Thessalonians
54 2TH 2 Thessalonians
55 1TI 1 Timothy
56 2TI 2 Timothy
57 TIT Titus
58 PHM Philemon
59 HEB Hebrews
60 JAS James
61 1PE 1 Peter
62 2PE 2 Peter
63 1JN 1 John
64 2JN 2 John
65 3JN 3 John
66 JUD Jude
67 REV Revelation
68 TOB Tobit
69 JDT Judith
70 ESG Esther Greek
71 WIS Wisdom of Solomon
72 SIR Sirach
73 BAR Baruch
74 LJE Letter of Jeremiah
75 S3Y Song of the Three Young Men
76 SUS Susanna
77 BEL Bel and the Dragon
78 1MA 1 Maccabees
79 2MA 2 Maccabees
80 3MA 3 Maccabees
81 4MA 4 Maccabees
82 1ES 1 Esdras
83 2ES 2 Esdras
84 MAN Prayer of Manasseh
85 PS2 Psalm 151
A1 BAK Back Matter
A2 OTH Other Matter
A7 INT Introduction
A8 CNC Concordance
A9 GLO Glossary
B0 TDX Topical Index
B1 NDX Names Index
"""
_ALIASES = {
    "psalm": "PSA",
    "songofsolomon": "SNG",
    "canticles": "SNG",
    "actsoftheapostles": "ACT",
    "revelationofjohn": "REV",
    "apocalypse": "REV",
    "jn": "JHN",
    "mk": "MRK",
    "mt": "MAT",
    "lk": "LUK",
    "qoheleth": "ECC",
}

SECTIONS: dict[str, str] = {}
NAMES: dict[str, str] = {}
for _line in _TABLE.split("\n"):
    if _line:
        _number, _code, _name = _line.split(" ", 2)
        SECTIONS[_code] = f"{_number}-{_code}"
        NAMES[_code] = _name
_SPELLINGS = {code.lower(): code for code in NAMES}
_SPELLINGS |= {re.sub(r"\W", "", name).lower(): code for code, name in NAMES.items()} | _ALIASES


def is_book(code: str) -> bool:
    """Whether ``code`` is a book code, in capitals or not."""
    return code.upper() in SECTIONS


def find(name: str) -> str:
    """The code of a book by its code, its English name or an unmistakable beginning of it.

    Parameters
    ----------
    name : str
        Such as ``"TIT"``, ``"titus"``, ``"1 John"`` or ``"Philem"``.

    Raises
    ------
    PassageError
        If no book is called so; the message names the nearest.
    """
    spelling = re.sub(r"[\W_]", "", name).lower()
    if spelling in _SPELLINGS:
        return _SPELLINGS[spelling]
    begun = {code for known, code in _SPELLINGS.items() if known.startswith(spelling)} if len(spelling) > 2 else set()
    if len(begun) == 1:
        return begun.pop()
    near = sorted(begun) or [_SPELLINGS[match] for match in get_close_matches(spelling, _SPELLINGS, 1, 0.5)]
    hint = " or ".join(f"{code} ({NAMES[code]})" for code in near[:3]) or "a code such as TIT or a name such as Titus"
    raise PassageError(f"no book is called {name.strip()!r}: did you mean {hint}?")
