"""Cards for tests of both vCard versions: one by its lines, generated ones with all that differs, real ones."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest
from hypothesis import strategies as st

from radicale_shared.vcard import Card, check, escape, split_cards

REPOSITORY = Path(__file__).parent.parent.parent
FOLDER = Path(os.environ.get("RADICALE_SHARED_CARDS") or REPOSITORY / ".." / "shared" / "vcards").resolve()
OTHER = {"3.0": "4.0", "4.0": "3.0"}


def card(version: str, *lines: str, uid: str = "u1", name: bool = True) -> Card:
    names = ["FN:Ada Lovelace", "N:Lovelace;Ada;;;"] if name else []
    content = ["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", *names, *lines, "END:VCARD", ""]
    return check("\r\n".join(content).encode())


def body(converted: Card) -> list[str]:
    """The unfolded lines without VERSION, UID, FN and N."""
    text = re.sub(rb"\r\n[ \t]", b"", b"".join(line.raw for line in converted.lines)).decode()
    return [line for line in text.splitlines() if not re.match("(VERSION|UID|FN|N)[:;]", line)]


def stored_cards(*versions: str) -> list:
    """Our own cards of these versions, of 3.0 and 4.0 without any, and those of real clients where they are."""
    found = []
    for folder in (REPOSITORY / "tests" / "corpus", FOLDER):
        for path in sorted(folder.rglob("*.vcf")):
            for number, piece in enumerate(split_cards(path.read_bytes())):
                if piece.lstrip()[:5].upper() == b"BEGIN" and Card.parse(piece).version in (versions or OTHER):
                    found.append(pytest.param(piece, id=f"{path.relative_to(folder)}-{number}"))
    if not FOLDER.is_dir():
        reason = f"no *.vcf below {FOLDER}; name a folder of cards in RADICALE_SHARED_CARDS"
        found.append(pytest.param(b"", marks=pytest.mark.skip(reason=reason)))
    return found


_text = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff\u2028\u2029\x85"), max_size=12
)
_word = st.sampled_from(["home", "work", "cell", "fax", "dom", "postal", "x-mill", "voice", "VIDEO"])
_date = st.dates().map(lambda day: day.isoformat())
_basic = st.dates().map(lambda day: day.isoformat().replace("-", ""))
_base64 = st.binary(max_size=30).map(lambda data: base64.b64encode(data).decode())
_uri = st.sampled_from(["https://x.example/a,b;c", "urn:uuid:7d0e6c1a", "mailto:a@x.example", "xmpp:a@x.example"])


@st.composite
def _params(draw, version: str) -> str:
    written = (
        [f"TYPE={','.join(draw(st.lists(_word, min_size=1, max_size=3, unique=True)))}"] if draw(st.booleans()) else []
    )
    if draw(st.integers(0, 3)) == 0:
        written.append("TYPE=PREF" if version == "3.0" else f"PREF={draw(st.integers(1, 100))}")
    if draw(st.integers(0, 5)) == 0:
        written.append("LANGUAGE=de")
    if draw(st.integers(0, 5)) == 0:
        written.append("X-A=" + draw(st.sampled_from(["1", '"a;b:c,d"', "^n^^", '"a","b"'])))
    if version == "4.0" and draw(st.integers(0, 4)) == 0:
        written.append(draw(st.sampled_from(["ALTID=1", "PID=1.1", "ALTID=2", "CALSCALE=gregorian", "INDEX=1"])))
    return "".join(f";{one}" for one in draw(st.permutations(written)))


@st.composite
def _line(draw, version: str, number: int) -> list[str]:
    params, text, group = draw(_params(version)), escape(draw(_text)), f"item{number}"
    label = draw(
        st.sampled_from(
            ["_$!<Anniversary>!$_", "_$!<Spouse>!$_", "_$!<Mother>!$_", "colleague", "Friend", "_$!<friend>!$_"]
        )
        | _text.map(escape)
    )
    common = [
        [f"TEL{params}:{text}"],
        [f"EMAIL{params}:{text}"],
        [f"ADR{params}:;;{text};x;;;"],
        [f"NOTE{params}:{text}"],
        [f"{group}.TEL{params}:{text}", f"{group}.X-ABLabel:{label}"],
        [f"TITLE{params}:{text}"],
        [f"URL{params}:{draw(_uri)}"],
        [f"IMPP{params}:{draw(_uri)}"],
        [f"X-PHONETIC-FIRST-NAME:{text}"],
        [f"NICKNAME{params}:{text},b"],
        [f"CATEGORIES:a,{text}"],
        [f"{group}.X-FOO{params}:{text}"],
        ["not a line"],
        [f"BDAY;VALUE=text:{text}"],
        [f"ORG{params}:{text};b"],
    ]
    old = [
        [f"BDAY:{draw(_date)}"],
        ["BDAY;X-APPLE-OMIT-YEAR=1604:1604-02-29"],
        [f"BDAY;VALUE=date:{draw(_basic)}"],
        [f"BDAY:{draw(_date)}T10:20:30.5Z"],
        [f"BDAY:{text}"],
        [f"X-ANNIVERSARY:{draw(_date)}"],
        [f"ANNIVERSARY:{draw(_date)}"],
        [f"{group}.X-ABDATE{params}:{draw(_date)}", f"{group}.X-ABLabel:{label}"],
        [f"X-ABRELATEDNAMES{params}:{text}"],
        [f"{group}.X-ABRELATEDNAMES{params}:{text}", f"{group}.X-ABLabel:{label}"],
        ["X-ABShowAs:COMPANY"],
        [f"PHOTO;ENCODING=b;TYPE=JPEG:{draw(_base64)}"],
        [f"PHOTO;BASE64:{draw(_base64)}"],
        ["PHOTO;VALUE=uri:https://x.example/"],
        [f"KEY;ENCODING=BASE64;TYPE=X509:{draw(_base64)}"],
        [f"LOGO;ENCODING=b:{draw(_base64)}"],
        ["PHOTO:https://x.example/"],
        ["X-ADDRESSBOOKSERVER-KIND:group"],
        ["X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:a"],
        ["GEO:1.5;-2"],
        ["TZ:-05:00"],
        ["TZ;VALUE=text:CET"],
        [f"LABEL{params}:{text}"],
        ["CLASS:PRIVATE"],
        [f"MAILER:{text}"],
        [f"SORT-STRING:{text}"],
        [f"ADR;TYPE=home,intl:;;{text};;;;", f"LABEL;TYPE=INTL,home:{text}"],
        [f"AGENT:{text}"],
        ["GENDER:M"],
        ["URL:http\\://x"],
        [f"{group}.X-ABDATE:{draw(_date)}", f"{group}.X-ABLabel:{label}", f"{group}.NOTE:{text}"],
        [f"RELATED{params}:urn:uuid:b"],
    ]
    new = [
        [f"BDAY:{draw(_basic)}"],
        ["BDAY:--0229"],
        ["BDAY:1985-04"],
        ["BDAY:T1020"],
        [f"BDAY:{draw(_basic)}T1020Z"],
        ["BDAY:--02-03"],
        [f"ANNIVERSARY{params}:{draw(_basic)}"],
        [f"{group}.ANNIVERSARY:{draw(_basic)}", f"{group}.X-ABLabel:{label}"],
        [f"RELATED;VALUE=text;TYPE=spouse:{text}"],
        [f"RELATED{params}:{draw(_uri)}"],
        [f"RELATED;VALUE=text{params}:{text}"],
        [f"{group}.RELATED;VALUE=text:{text}", f"{group}.X-ABLabel:{label}"],
        ["KIND:group"],
        ["KIND:org"],
        ["KIND:location"],
        [f"PHOTO:data:image/png;base64,{draw(_base64)}"],
        [f"PHOTO{params}:data:text/plain;base64,{draw(_base64)}"],
        ["PHOTO:data:image/svg+xml,%3Csvg/%3E"],
        ["PHOTO;VALUE=uri:https://x.example/"],
        [f"LOGO{params}:https://x.example/"],
        ["KEY:data:application/pgp-keys;base64,AAAA"],
        [f"KEY;VALUE=text:{text}"],
        ["MEMBER:mailto:a@x.example"],
        ["LANG;PREF=2:de"],
        ['TEL;VALUE=uri;TYPE="voice,home":tel:+1-418;ext=102'],
        ["TEL;VALUE=uri:tel:7042;phone-context=x.example"],
        ["GEO:geo:1.5,-2"],
        ["GEO:geo:1.5,-2;u=35"],
        ["TZ:Europe/Berlin"],
        ["TZ;VALUE=utc-offset:-0500"],
        ["TZ:-0500"],
        ["X-GENDER:male"],
        [f'ADR;TYPE=home;LABEL="a^nb, c":;;{text};;;;'],
        ["GENDER:O;x"],
        ["XML:<a xmlns='b'/>"],
        ["CLIENTPIDMAP:1;urn:uuid:x"],
        ["TITLE;ALTID=1;LANGUAGE=en:a", "TITLE;ALTID=1;LANGUAGE=fr:b"],
        ['N;ALTID=1;SORT-AS="x,y":a;b;;;', "N;ALTID=1:c;d;;;"],
        [f"FN{params}:{text}"],
        ["X-ABShowAs:COMPANY"],
        ["X-ANNIVERSARY:2000-01-01"],
        ["TEL;TYPE=PREF:1"],
        ["CLASS:PUBLIC"],
        [f"{group}.X-ABDATE:2001-02-03", f"{group}.X-ABLabel:_$!<Anniversary>!$_"],
        [f"a.RELATED;VALUE=text;TYPE=child:{text}"],
    ]
    return draw(st.sampled_from(common + (old if version == "3.0" else new)))


# What a card has once, as both standards have it: a second one of these is no card that a program writes.
_ONCE = ("KIND:", "BDAY", "GENDER", "ANNIVERSARY", "item0.ANNIVERSARY", "X-ABSHOWAS", "X-ANNIVERSARY", "N;")


@st.composite
def cards(draw, version: str) -> Card:
    lines: list[str] = []
    seen: set[str] = set()
    for number in range(draw(st.integers(0, 8))):
        made = draw(_line(version, number))
        once = next((start for start in _ONCE if re.sub(r"^item\d+\.", "", made[0]).upper().startswith(start)), "")
        if once not in seen or not once:
            seen.add(once)
            lines += made
    names = [f"FN:{escape(draw(_text))}"]
    if not any(line.startswith("N;") for line in lines) and (version == "3.0" or draw(st.booleans())):
        names.append(f"N:{escape(draw(_text))};{escape(draw(_text))};;;")
    return card(version, *names, *lines, name=False)
