"""Paths, hrefs and headers of the fuzzed requests, as hypothesis strategies: usual ones, odd ones, rubbish.

"@me@" and the like are marks: see ``tests.dav.fuzz``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy


def one_of(*choices: tuple[int, SearchStrategy[Any]]) -> SearchStrategy[Any]:
    """One of the strategies, each as often as its number says."""
    return st.sampled_from([strategy for often, strategy in choices for _ in range(often)]).flatmap(lambda one: one)


# -- paths -------------------------------------------------------------------------------------------------------------

# Own, a group's, others' to be read only and to be written; then made in a story, in the trash, hidden, not there.
BOOKS = ["contacts", "sales~leads", "ben~friends", "carla~club"]
MERGED = "all"
STRANGE_BOOKS = [
    *("team", "old", "ada~old", "carla~contacts", "none", "x~y", "~", MERGED, ".trash", "CONTACTS", "a b", "x" * 201),
]
CARDS = ["a.vcf", "b.vcf", "kept.vcf", "more.vcf", "odd name <&>;,=.vcf", "\u00e9.vcf", "e\u0301.vcf", "%41"]
STRANGE_CARDS = [
    " ",
    "~",
    "a\\b",
    "a?b#c",
    "*",
    "x" * 1000,
    "x" * 1001,
    "\u0085",
    "\ufffe",
    "\u202e",
    "...",
    "\U0001f600",
]

own_books = st.just("/@me@/@book@/")
books = one_of(
    (8, own_books),
    (1, st.sampled_from([f"/@me@/{one}/" for one in BOOKS])),
    (1, st.sampled_from([f"/@me@/{one}/" for one in STRANGE_BOOKS])),
)
card_names = one_of((6, st.sampled_from(CARDS[:4])), (3, st.sampled_from(CARDS)), (1, st.sampled_from(STRANGE_CARDS)))
cards = st.tuples(books, card_names).map("".join) | st.just("@href@")
COLLECTIONS = [
    *("/", "/@me@/", "/ada/", "/ben/", "/carla/", "/sales/", "/nobody/", "/.well-known/carddav", "/.well-known/"),
    *("/@me@", "/@me@/@book@", "/carla/@slug@/", "/carla/@slug@/a.vcf", "/@me@/carla~@slug@/", "/.web/", "*", ""),
]
STRANGE_PATHS = [
    *(b"/@me@/@book@/../@book@/a.vcf", b"/@me@/..", b"/./", b"//@me@/", b"/@me@//@book@/", b"/@me@/@book@/a.vcf/"),
    *(b"/%", b"/%zz", b"/%2e%2e/", b"/@me@/@book@/%00", b"/@me@/@book@/\x00", b"/@me@/@book@/a\r\nX: y", b"/\xff\xfe"),
    *(b"/@me@/@book@/\xc0\xaf", b"/@me@/@book@/\xed\xa0\x80", b"/@me@/" + b"x" * 20_000, b"/x" * 5_000, b"a", b"/ "),
]
segments = st.text(max_size=5) | st.sampled_from(["@me@", "@book@", "", "..", "x" * 300, "\x00", "%2e"])
strange_paths = one_of(
    (3, st.sampled_from(STRANGE_PATHS)),
    (1, st.binary(max_size=10)),
    (1, st.binary(max_size=10).map(lambda name: b"/@me@/@book@/" + name)),
    (1, st.lists(segments, max_size=4).map(lambda found: f"/{'/'.join(found)}".encode())),
)
paths = one_of(
    (3, cards.map(str.encode)),
    (3, books.map(str.encode)),
    (3, st.sampled_from(COLLECTIONS).map(str.encode)),
    (2, strange_paths),
)
# As they stand in a DAV:href or a Destination: percent-encoded or not, whole or not, with rubbish.
STRANGE_HREFS = [
    *("http://localhost/@me@/@book@/a.vcf", "https://elsewhere.example/@me@/@book@/a.vcf", "a.vcf", "../x"),
    *("//localhost/@me@/@book@/b.vcf", "/@me@/@book@/a.vcf?q", "/@me@/@book@/b.vcf#f", "http://[/", "%zz"),
    *("/@me@/@book@/%C3%A9.vcf", "/@me@/@book@/%2e%2e/x", "/@me@/@book@/%00", "mailto:a@example.com", ""),
    *("/@me@/@book@/%ff", "http://u:p@localhost:80/@me@/@book@/b.vcf", "http://localhost:x/", "\u00ff"),
]
hrefs = one_of((6, cards), (2, books), (1, st.sampled_from(COLLECTIONS)), (1, st.sampled_from(STRANGE_HREFS)))

# -- headers -----------------------------------------------------------------------------------------------------------

ETAGS = ["*", '"@etag@"', '"@first-etag@"', 'W/"@etag@"', '"x", "@etag@"', "@etag@", '"x"', "", '"', ",", '"' * 301]
FOR_ONE_BOOK = "macOS/14.5 (23F79) AddressBookCore/2452.2"
CLIENTS = [
    *("tests/1", "iOS/17.5.1 (21F90) dataaccessd/1.0", FOR_ONE_BOOK, "DAVx5/4.4-ose"),
    *("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.1.0", "Evolution/3.52.3", "KDE DAV"),
    *("vdirsyncer/0.20.0", "CalDavSynchronizer/4.5", "RCMCardDAV/5.1", "eM Client/9.2", "Yealink SIP-T54W 96.86", ""),
]
HEADERS: Mapping[str, list[str | None]] = {
    "Depth": ["0", "1", "infinity", "1,noroot", "", "2", "-1", " 1 ", "\xb2", None],
    "If_Match": [*ETAGS],
    "If_None_Match": [*ETAGS],
    "If": ["(<urn:uuid:x>)", '(["@etag@"])', "</x> (Not <DAV:no-lock>) (<a>)", '(["x"])', "(", "(" * 500, "<>", "()"],
    "Overwrite": ["T", "F", "t", "", "X", "TT"],
    "Prefer": [
        *("return=minimal", "return=representation", "depth-noroot", "handling=strict, return=minimal", "wait=9"),
        *('return="minimal"', "return", "=,;=", "return=minimal; x=y; , return=representation", '"'),
    ],
    "Accept": [
        *("text/vcard; version=4.0", "text/vcard;version=3.0, */*;q=0.1", "*/*", "text/x-vcard", "application/xml"),
        *("text/vcard;q=0", "text/vcard;q=x;version=9.9", "/,;=", ";", 'text/vcard; version="4.0"', "a/b" * 100),
    ],
    "Accept_Encoding": ["gzip", "gzip;q=0", "br, *", "identity;q=0", "gzip;q=x"],
    "Content_Type": [
        *("text/vcard; charset=utf-8", "application/xml", "text/vcard; version=4.0", "text/x-vcard", "text/directory"),
        *("text/vcard; charset=latin-1", "application/octet-stream", "x", "", ";;;=", "text/xml; charset=utf-16", None),
    ],
    "Content_Length": ["0", "1", "40", "999999", "-1", "x", "", "1" * 30, "\xb9", None],
    "Content_Encoding": ["gzip", "identity"],
    "Content_Range": ["bytes 0-1/2", ""],
    "Range": ["bytes=0-1", "bytes=-1", "bytes=5-1", "bytes=", "x"],
    "User_Agent": [*CLIENTS],
    "Host": ["localhost", "elsewhere.example", "[::1", "a:b:c", ""],
    "Slug": ["a.vcf", "../x", "%C3%A9", "\xff"],
    "X_Forwarded_For": ["10.0.0.1", "x, y", "::1", "," * 50],
    "X_Script_Name": ["/x", "/x\xff", ".."],
    "Lock_Token": ["<urn:uuid:x>"],
    "X_HTTP_Method_Override": ["DELETE"],
    "If_Modified_Since": ["Thu, 01 Jan 1970 00:00:00 GMT", "x"],
    "Expect": ["100-continue", "x"],
}
# What an HTTP server lets through in a header: visible characters, blanks and the upper half of Latin 1.
rubbish = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=20)
_known = [(name, value) for name, values in HEADERS.items() for value in values]
header = one_of(
    (9, st.sampled_from(_known)),
    (1, st.tuples(st.sampled_from([*HEADERS, "Destination"]), rubbish)),
    (1, st.tuples(st.sampled_from([*HEADERS, "Destination"]), st.just(100_000).map("x".__mul__))),
)
headers = one_of(
    (2, st.just(())), (2, st.lists(header, max_size=1)), (1, st.lists(header, max_size=4, unique_by=lambda one: one[0]))
)


def _latin_1(href: str) -> str:
    """A Destination's value: what is no visible Latin 1 is percent-encoded, as a server would not let it through."""
    return "".join(
        char if " " <= char <= "~" or char == "\u00ff" else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in href
    )


# Of a card that is there for the most part, to a name that may be a card's.
stored_cards = st.sampled_from(["/@me@/@book@/a.vcf", "/@me@/@book@/kept.vcf", "@href@"])
good_destinations = st.builds(
    lambda start, book, name: ("Destination", f"{start}/@me@/{book}/{name}.vcf"),
    st.sampled_from(["", "", "http://localhost"]),
    st.sampled_from(["@book@", "@book@", "contacts", "carla~club", "sales~leads"]),
    st.sampled_from(["b", "new", "%C3%A9", "kept"]),
)
destinations = st.tuples(st.just("Destination"), hrefs.map(_latin_1))
condition = one_of(
    (3, st.none()), (2, st.sampled_from([*(("If_Match", one) for one in ETAGS[:6]), ("If_None_Match", "*")]))
)


def basic(pair: str | bytes) -> str:
    return "Basic " + base64.b64encode(pair.encode() if isinstance(pair, str) else pair).decode()


NO_LOGINS = [
    *(None, "", "Basic", "Basic ", "Basic !!!", "Bearer x", 'Digest username="ada"', "Negotiate", "\xff"),
    *(basic("ada:wrong"), basic("ada:"), basic("ada"), basic(":"), basic("nobody:nobody"), basic("sales:sales")),
    *(basic(b"\xff\xfe:\x00"), basic("a\x00da:adaada"), basic("x" * 10_000 + ":x"), basic("ada:" + "x" * 10_000)),
    "Basic =" * 9,
]
