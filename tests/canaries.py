"""Cards with a canary in every field that can be hidden, and where such a canary is found in an answer."""

from __future__ import annotations

import base64
import binascii
import re
from html import unescape
from urllib.parse import unquote_to_bytes

from radicale_shared.vcard import check
from radicale_shared.vcard.fields import OTHER, PROPERTIES

EVERY_FIELD = [*PROPERTIES, OTHER]
WORD = "Kanarie"
# Properties of fields, each of which has the canary of its number here.
NAMES = sorted({name for some in PROPERTIES.values() for name in some} - {"AGENT", "PHOTO", "KEY", "LOGO", "X-ABADR"})
_BREAKS = ["\u2028", "\u2029", "\x85"]


def canary(number: int) -> str:
    """A text that is nowhere else; WORD is its beginning."""
    return f"{WORD}{number}vogel"


def card(uid: str, version: str) -> tuple[bytes, int]:
    """(a card with a canary in every field, how many); its names and its UID have none."""
    lines = [f"{name};TYPE=home:{canary(at)}" for at, name in enumerate(NAMES)]
    count = len(lines)

    def more(*forms: str) -> None:
        nonlocal count
        for form in forms:
            lines.append(form.replace("*", canary(count)))
            count += 1

    more(
        *(
            "item1.TEL:*",
            "ITEM1.X-ABLabel:*",
            "item3.ADR:*",
            "item3.X-ABADR:*",
            "item2.X-Anything:*",
            "X-THING:*",
            "SOUND;VALUE=uri:http://*.example/",
        ),
        *("no colon *", "N\r\n OTE:*", "note;ENCODING=QUOTED-PRINTABLE:=41*=\r\n *", "TEL;TYPE=cell:a\\n*"),
        *("AGENT:BEGIN:VCARD\\nNOTE:*\\nEND:VCARD", "EMAIL;X-VCARD4-VALUE=*:a@b.example"),
        *(f"EMAIL:a{between}NOTE:*" for between in _BREAKS),
        *(f"SORT-STRING:Ada{between}NOTE:*" for between in _BREAKS),
        *("X-VCARD4-LANG:*", "X-VCARD3-CLASS:*", "ADR;X-GEO=*:;;Lake", "NOTE:one\rTEL:*", "URL:x\rNOTE:*\rEMAIL:y"),
    )
    if version == "4.0":
        more('ADR;LABEL="*":;;Mill', "GENDER:F;*", "RELATED;VALUE=text:*", "LANG:*", "XML:<a>*</a>")
    for name in ("PHOTO", "KEY", "LOGO"):
        encoded = base64.b64encode(f"image {canary(count)} data".encode()).decode()
        if version == "4.0":
            lines.append(f"{name}:data:image/png;base64,{encoded}")
        else:
            lines.append(f"{name};ENCODING=b;TYPE=PNG:{encoded}")
        count += 1
    content = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", "FN:Ada Lovelace", "N:Lovelace;Ada;;;", *lines]
    data = "\r\n".join([*content, "END:VCARD", ""]).encode()
    return check(data).serialise(), count


def found_in(*texts: bytes) -> set[int]:
    """The numbers of the canaries that are somewhere in ``texts``, in whatever dress."""
    seen: set[int] = set()
    for text in texts:
        for plain in _undressed(text):
            seen.update(map(int, re.findall(rf"{WORD}(\d+)vogel".lower().encode(), plain.lower())))
    return seen


def _undressed(data: bytes) -> list[bytes]:
    """``data`` with its encodings undone, one by one and all that lie in one another."""
    unfolded = re.sub(rb"(?:\r\n|\r|\n|&#13;\n|&#13;|&#xD;\n)[ \t]", b"", data)
    forms = [data, unfolded, unescape(unfolded.decode("utf-8", "replace")).encode()]
    forms += [unquote_to_bytes(form) for form in forms]
    forms += [binascii.a2b_qp(form) for form in forms]
    forms += [form.replace(b"\x00", b"") for form in (data, data[1:])]  # UTF-16 of ASCII
    for form in list(forms):
        for run in re.findall(rb"[A-Za-z0-9+/_-]{16,}", form):
            standard = run.replace(b"-", b"+").replace(b"_", b"/")
            for start in range(4):
                piece = standard[start:]
                forms.append(base64.b64decode(piece[: len(piece) // 4 * 4]))
    return forms
