"""vCards of the fuzzed requests, as hypothesis strategies: good ones, odd ones, broken ones."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.dav.fuzz_http import one_of

VERSIONS = ["3.0", "3.0", "3.0", "4.0", "4.0", "2.1", "5.0", ""]
UIDS = ["a", "b", "c", "kept", "urn:uuid:03a0e51f-d1aa-4385-8a53-e29025acd8af", "", "<&>", "x" * 400, "x" * 3000]
GOOD_LINES = [
    *("TEL;TYPE=cell:+49 30 123", "item1.TEL:1", "item1.X-ABLabel:_$!<Other>!$_", "EMAIL;PREF=1:a@example.com"),
    *("ORG:A;B\\;C;", 'ADR;LABEL="x\\ny":;;1;2;3;4;5', "BDAY:--0412", "CATEGORIES:a,b\\,c,", "URL:http://x/?a,b;c"),
    *("PHOTO;ENCODING=b;TYPE=PNG:iVBORw0KGgo=", "PHOTO:data:image/png;base64,iVBORw0KGgo=", "KIND:group", "REV:2020"),
    *("X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:a", "MEMBER:urn:uuid:kept", "nickname:b"),
    *("NOTE:\U0001f600\u202e", "X-A;B=^n^'^^:c", "NICKNAME:\r\n folded", "TEL;TYPE=home,work:2", "NOTE:"),
    "EMAIL:\tb@example.com ",
]
ODD_LINES = [
    *(":", "X", "PHOTO;ENCODING=b:!!!=", "PHOTO:data:image/png;base64,iVB,", " folded", "\t", 'TEL;TYPE="home', ";x:y"),
    *("NOTE;CHARSET=latin-1;ENCODING=QUOTED-PRINTABLE:=C3=A9=", 'X-A;B="c:d', "X-A;;;:", "AGENT:", "FN:again", "UID:b"),
    *("AGENT:BEGIN:VCARD\\nFN:x\\nEND:VCARD", "BEGIN:VCARD", "END:VCARD", "VERSION:4.0", "N:two;;;;", "NOTE:\x00"),
    *("NOTE:\x1b", "NOTE:\ufffe", "A" * 300 + ":x", "item1.item2.TEL:1", "TEL;PREF=101;PREF=-1:x"),
    *("NOTE:" + "x" * 9000, "TEL" + ";TYPE=a" * 3000 + ":1"),
]
free_lines = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(lambda value: f"NOTE:{value}")
lines = st.lists(one_of((5, st.sampled_from([*GOOD_LINES, *ODD_LINES])), (1, free_lines)), max_size=4)


def vcard(version: str, uid: str, name: str, further: Iterable[str], end: str) -> bytes:
    head = ["BEGIN:VCARD", *([f"VERSION:{version}"] if version else []), f"UID:{uid}", f"FN:{name}", f"N:{name};;;;"]
    return end.join([*head, *further, "END:VCARD", ""]).encode()


names = st.sampled_from(["A", "B", "Zo\u00eb", "x" * 76, "\u0130\ufb01\u00df", ""])
good_lines = st.lists(one_of((9, st.sampled_from(GOOD_LINES)), (1, free_lines)), max_size=3)


def good_vcards(uids: SearchStrategy[str]) -> SearchStrategy[bytes]:
    return st.builds(vcard, st.sampled_from(VERSIONS[:5]), uids, names, good_lines, st.just("\r\n"))


ends = st.sampled_from(["\r\n", "\n", "\r", "\r\n "])
odd_vcards = st.builds(vcard, st.sampled_from(VERSIONS), st.sampled_from(UIDS), names, lines, ends)


def _spoilt(data: bytes, at: int, cut: int, put: bytes) -> bytes:
    at %= len(data) + 1
    return data[:at] + put + data[at + cut :]


SCARS = [b"", b"\xff", b"\x00", b"\xc3", b'"', b":", b"\r\n", b"\n ", b"\xef\xbb\xbf"]
scars = st.sampled_from(SCARS) | st.binary(max_size=4)
broken_vcards = st.builds(_spoilt, odd_vcards, st.integers(0, 400), st.integers(0, 40), scars)
STRANGE_BODIES = [
    *(b"", b" \r\n", b"hello", b"\x00" * 99, b"\xff\xfe", "BEGIN:VCARD".encode("utf-16"), b"BEGIN:VCARD\r\n" * 50),
    *(b"AGENT:" * 99, b"\r\n " * 999, b'TEL;X="' * 99, vcard("3.0", "a", "A", [], "\r\n") * 2, b"\x1f\x8b\x08rubbish"),
]
vcards = one_of(
    (6, good_vcards(st.sampled_from(UIDS[:4]))),
    (3, odd_vcards),
    (2, broken_vcards),
    (1, st.sampled_from(STRANGE_BODIES) | st.binary(max_size=50)),
)
