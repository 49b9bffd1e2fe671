"""Requests of every kind, as hypothesis strategies: legal ones by the grammars of the RFCs, and the same ones spoilt.

A *wish* is one request to be; a *story* is a few of them, by one or two people, mostly about one book. What only an
earlier answer can say stands in a wish as a mark ("@etag@"), in its path, headers and body alike; whoever sends it
puts the right text there (``filled``). So stories get deep: a PUT on the ETag of the answer before, a sync since it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# All marks: who asks, the story's book as that person calls it, its last part; then what earlier answers said.
MARKS = ("me", "book", "slug", "etag", "first-etag", "token", "first-token", "href")
_MARK = re.compile(b"@(" + "|".join(MARKS).encode() + b")@")


@dataclass(frozen=True, slots=True)
class Wish:
    """One request to be. ``headers`` are named as in WSGI; None leaves a header out.

    signs_in: whether its login and password are right
    """

    method: str
    path: bytes
    body: bytes = b""
    headers: tuple[tuple[str, str | None], ...] = ()
    login: str = "ada"
    signs_in: bool = True


@dataclass(frozen=True, slots=True)
class Story:
    """A few requests, one after another. ``book`` is the slug or mount of the book it is about."""

    book: str
    wishes: tuple[Wish, ...]


def filled(text: bytes, marks: Mapping[str, bytes]) -> bytes:
    """``text`` with its marks replaced."""
    return _MARK.sub(lambda found: marks[found[1].decode()], text)


def one_of(*choices: tuple[int, SearchStrategy[Any]]) -> SearchStrategy[Any]:
    """One of the strategies, each as often as its number says."""
    return st.sampled_from([strategy for often, strategy in choices for _ in range(often)]).flatmap(lambda one: one)


# -- paths -------------------------------------------------------------------------------------------------------------

# Own, a group's, others' to be read only and to be written; then made in a story, in the trash, hidden, not there.
BOOKS = ["contacts", "sales~leads", "ben~friends", "carla~club"]
STRANGE_BOOKS = [
    "team",
    "old",
    "ada~old",
    "carla~contacts",
    "none",
    "x~y",
    "~",
    "all",
    ".trash",
    "CONTACTS",
    "a b",
    "x" * 201,
]
CARDS = [
    *("a.vcf", "b.vcf", "kept.vcf", "more.vcf", "odd name <&>;,=.vcf", "\u00e9.vcf", "e\u0301.vcf", "\U0001f600"),
    "%41",
]
STRANGE_CARDS = [" ", "~", "a\\b", "a?b#c", "*", "x" * 1000, "x" * 1001, "\u0085", "\ufffe", "\u202e", "..."]

own_books = st.just("/@me@/@book@/")
books = one_of(
    (8, own_books),
    (1, st.sampled_from([f"/@me@/{one}/" for one in BOOKS])),
    (1, st.sampled_from([f"/@me@/{one}/" for one in STRANGE_BOOKS])),
)
cards = st.builds(
    "".join,
    st.tuples(
        books, one_of((6, st.sampled_from(CARDS[:4])), (3, st.sampled_from(CARDS)), (1, st.sampled_from(STRANGE_CARDS)))
    ),
) | st.just("@href@")
COLLECTIONS = [
    *("/", "/@me@/", "/ada/", "/ben/", "/carla/", "/sales/", "/nobody/", "/.well-known/carddav", "/.well-known/"),
    *("/@me@", "/@me@/@book@", "/carla/@slug@/", "/carla/@slug@/a.vcf", "/@me@/carla~@slug@/", "/.web/", "*", ""),
]
STRANGE_PATHS = [
    *(b"/@me@/@book@/../@book@/a.vcf", b"/@me@/..", b"/./", b"//@me@/", b"/@me@//@book@/", b"/@me@/@book@/a.vcf/"),
    *(b"/%", b"/%zz", b"/%2e%2e/", b"/@me@/@book@/%00", b"/@me@/@book@/\x00", b"/@me@/@book@/a\r\nX: y", b"/\xff\xfe"),
    *(b"/@me@/@book@/\xc0\xaf", b"/@me@/@book@/\xed\xa0\x80", b"/@me@/" + b"x" * 20_000, b"/x" * 5_000, b"a", b"/ "),
]
strange_paths = st.sampled_from(STRANGE_PATHS) | st.binary(max_size=10).map(lambda name: b"/@me@/@book@/" + name)
paths = one_of(
    (3, cards.map(str.encode)),
    (3, books.map(str.encode)),
    (3, st.sampled_from(COLLECTIONS).map(str.encode)),
    (2, strange_paths),
)
# As they stand in a DAV:href or a Destination: percent-encoded or not, whole or not, with rubbish.
hrefs = one_of(
    (6, cards),
    (2, books),
    (1, st.sampled_from(COLLECTIONS)),
    (
        1,
        st.sampled_from(
            [
                *("http://localhost/@me@/@book@/a.vcf", "https://elsewhere.example/@me@/@book@/a.vcf", "a.vcf", "../x"),
                *("//localhost/@me@/@book@/b.vcf", "/@me@/@book@/a.vcf?q", "/@me@/@book@/b.vcf#f", "http://[/", "%zz"),
                *("/@me@/@book@/%C3%A9.vcf", "/@me@/@book@/%2e%2e/x", "/@me@/@book@/%00", "mailto:a@example.com", ""),
                *("/@me@/@book@/%ff", "http://u:p@localhost:80/@me@/@book@/b.vcf", "http://localhost:x/", "\u00ff"),
            ]
        ),
    ),
)

# -- headers -----------------------------------------------------------------------------------------------------------

ETAGS = ["*", '"@etag@"', '"@first-etag@"', 'W/"@etag@"', '"x", "@etag@"', "@etag@", '"x"', "", '"', ",", '"' * 301]
CLIENTS = [
    *("tests/1", "iOS/17.5.1 (21F90) dataaccessd/1.0", "macOS/14.5 (23F79) AddressBookCore/2452.2", "DAVx5/4.4-ose"),
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


def _basic(pair: str | bytes) -> str:
    return "Basic " + base64.b64encode(pair.encode() if isinstance(pair, str) else pair).decode()


NO_LOGINS = [
    *(None, "", "Basic", "Basic ", "Basic !!!", "Bearer x", 'Digest username="ada"', "Negotiate", "\xff"),
    "Basic =" * 9,
    *(_basic("ada:wrong"), _basic("ada:"), _basic("ada"), _basic(":"), _basic("nobody:nobody"), _basic("sales:sales")),
    *(_basic(b"\xff\xfe:\x00"), _basic("a\x00da:adaada"), _basic("x" * 10_000 + ":x"), _basic("ada:" + "x" * 10_000)),
]


def _signed(wish: Wish, login: str, how: int) -> Wish:
    """The same request by ``login``: rightly for most numbers, spelt in another way for some, wrongly for a few."""
    wrong = how - 400 + len(NO_LOGINS)
    if wrong >= 0:
        return replace(wish, headers=(*wish.headers, ("Authorization", NO_LOGINS[wrong])), login=login, signs_in=False)
    spelt = {350: f"{login.upper()}:{login * 2}", 351: f"{login.capitalize()}:{login * 2}"}.get(how)
    added = (("Authorization", _basic(spelt)),) if spelt else ()
    return replace(wish, headers=(*wish.headers, *added), login=login)


# -- vCards ------------------------------------------------------------------------------------------------------------

VERSIONS = ["3.0", "3.0", "3.0", "4.0", "4.0", "2.1", "5.0", ""]
UIDS = ["a", "b", "c", "kept", "urn:uuid:03a0e51f-d1aa-4385-8a53-e29025acd8af", "", "<&>", "x" * 400, "x" * 3000]
GOOD_LINES = [
    *(
        "TEL;TYPE=cell:+49 30 123",
        "item1.TEL:1",
        "item1.X-ABLabel:_$!<Other>!$_",
        "EMAIL;PREF=1:a@example.com",
        "NOTE:",
    ),
    *("ORG:A;B\\;C;", 'ADR;LABEL="x\\ny":;;1;2;3;4;5', "BDAY:--0412", "CATEGORIES:a,b\\,c,", "URL:http://x/?a,b;c"),
    *("PHOTO;ENCODING=b;TYPE=PNG:iVBORw0KGgo=", "PHOTO:data:image/png;base64,iVBORw0KGgo=", "KIND:group", "REV:2020"),
    *("X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:a", "MEMBER:urn:uuid:kept", "nickname:b"),
    *(
        "NOTE:\U0001f600\u202e",
        "X-A;B=^n^'^^:c",
        "NICKNAME:\r\n folded",
        "TEL;TYPE=home,work:2",
        "EMAIL:\tb@example.com ",
    ),
]
ODD_LINES = [
    *(":", "X", "PHOTO;ENCODING=b:!!!=", "PHOTO:data:image/png;base64,iVB,", " folded", "\t", 'TEL;TYPE="home', ";x:y"),
    *("NOTE;CHARSET=latin-1;ENCODING=QUOTED-PRINTABLE:=C3=A9=", 'X-A;B="c:d', "X-A;;;:", "AGENT:", "FN:again", "UID:b"),
    *("AGENT:BEGIN:VCARD\\nFN:x\\nEND:VCARD", "BEGIN:VCARD", "END:VCARD", "VERSION:4.0", "N:two;;;;", "NOTE:\x00"),
    *(
        "NOTE:\x1b",
        "NOTE:\ufffe",
        "A" * 300 + ":x",
        "item1.item2.TEL:1",
        "TEL;PREF=101;PREF=-1:x",
        "NOTE:" + "x" * 9000,
    ),
    "TEL" + ";TYPE=a" * 3000 + ":1",
]
free_lines = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(lambda value: f"NOTE:{value}")
lines = st.lists(one_of((5, st.sampled_from([*GOOD_LINES, *ODD_LINES])), (1, free_lines)), max_size=4)


def _vcard(version: str, uid: str, name: str, further: Iterable[str], end: str) -> bytes:
    head = ["BEGIN:VCARD", *([f"VERSION:{version}"] if version else []), f"UID:{uid}", f"FN:{name}", f"N:{name};;;;"]
    return end.join([*head, *further, "END:VCARD", ""]).encode()


names = st.sampled_from(["A", "B", "Zo\u00eb", "x" * 76, "\u0130\ufb01\u00df", ""])
good_lines = st.lists(one_of((9, st.sampled_from(GOOD_LINES)), (1, free_lines)), max_size=3)


def good_vcards(uids: SearchStrategy[str]) -> SearchStrategy[bytes]:
    return st.builds(_vcard, st.sampled_from(VERSIONS[:5]), uids, names, good_lines, st.just("\r\n"))


odd_vcards = st.builds(
    _vcard,
    st.sampled_from(VERSIONS),
    st.sampled_from(UIDS),
    names,
    lines,
    st.sampled_from(["\r\n", "\n", "\r", "\r\n "]),
)


def _spoilt(data: bytes, at: int, cut: int, put: bytes) -> bytes:
    at %= len(data) + 1
    return data[:at] + put + data[at + cut :]


scars = st.sampled_from([b"", b"\xff", b"\x00", b"\xc3", b'"', b":", b"\r\n", b"\n ", b"\xef\xbb\xbf"]) | st.binary(
    max_size=4
)
broken_vcards = st.builds(_spoilt, odd_vcards, st.integers(0, 400), st.integers(0, 40), scars)
STRANGE_BODIES = [
    *(b"", b" \r\n", b"hello", b"\x00" * 99, b"\xff\xfe", "BEGIN:VCARD".encode("utf-16"), b"BEGIN:VCARD\r\n" * 50),
    *(b"AGENT:" * 99, b"\r\n " * 999, b'TEL;X="' * 99, _vcard("3.0", "a", "A", [], "\r\n") * 2, b"\x1f\x8b\x08rubbish"),
]
vcards = one_of(
    (6, good_vcards(st.sampled_from(UIDS[:4]))),
    (3, odd_vcards),
    (2, broken_vcards),
    (1, st.sampled_from(STRANGE_BODIES)),
)

# -- XML: the grammars -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Element:
    """An XML element to be written; text stands between its elements as strings."""

    name: str
    inner: tuple[Element | str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()


def element(name: str, /, *inner: Element | str, **attributes: str) -> Element:
    return Element(name, inner, tuple((one.replace("_", "-"), value) for one, value in attributes.items()))


NAMESPACES = {
    "D": "DAV:",
    "C": "urn:ietf:params:xml:ns:carddav",
    "CS": "http://calendarserver.org/ns/",
    "I": "http://inf-it.com/ns/ab/",
    "M": "http://me.com/_namespace/",
    "P": "https://bitfire.at/webdav-push",
    "X": 'urn:example:<&">',
}
_LIVE = (
    "displayname resourcetype getetag getcontenttype getcontentlength getlastmodified creationdate getcontentlanguage "
    "lockdiscovery supportedlock sync-token supported-report-set supported-method-set owner group acl acl-restrictions "
    "current-user-principal current-user-privilege-set supported-privilege-set inherited-acl-set principal-URL "
    "principal-collection-set alternate-URI-set group-member-set group-membership add-member resource-id "
    "quota-available-bytes quota-used-bytes source nonsense"
)
PROPERTY_NAMES = [
    *(f"D:{name}" for name in _LIVE.split()),
    *("C:addressbook-description", "C:supported-address-data", "C:max-resource-size", "C:max-image-size"),
    *("C:addressbook-home-set", "C:principal-address", "C:supported-collation-set", "C:directory-gateway"),
    *("CS:getctag", "CS:me-card", "CS:email-address-set", "I:addressbook-color", "M:bulk-requests", "X:note"),
    "P:topic",
    *("P:transports", "D:x", "X:y", "C:addressbook", "xml:lang"),
]
_PARTS = [element("C:prop", name=name) for name in ("FN", "UID", "item1.TEL", "tel", "", "X-<")]
ADDRESS_DATA = [
    element("C:address-data"),
    element("C:address-data", version="3.0", content_type="text/vcard"),
    element("C:address-data", version="4.0"),
    element("C:address-data", version="9", content_type="x"),
    element("C:address-data", element("C:allprop")),
    element("C:address-data", *_PARTS),
    element("C:address-data", element("C:prop", name="N", novalue="yes"), version="4.0"),
]
# The names of properties and parameters that a search looks at, and what it looks for.
FIELDS = [
    *(
        "FN",
        "FN",
        "EMAIL",
        "N",
        "EMAIL",
        "tel",
        "ORG",
        "NOTE",
        "UID",
        "ITEM1.TEL",
        "X-ABLABEL",
        "item1.X-ABLabel",
        "VERSION",
        "",
    ),
    "<",
]
NEEDLES = ["a", "A", "", "zo\u00eb", "%", "_", "\\", "x" * 2000, "\n", "\u0130", "\U0001f600", " ", "'", "30 1", "&#0;"]
COLLATIONS = [*("i;unicode-casemap", "i;ascii-casemap", "i;octet", "default") * 4, "i;x", ""]
TESTS = [*("anyof", "allof") * 5, "x"]

texts = st.sampled_from([*NEEDLES, "Leads", "#ff0000", "\r", "1", "0", "-1", "9" * 40]) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), max_size=6
)
prop = one_of(
    (4, st.lists(st.sampled_from([element(name) for name in PROPERTY_NAMES]), max_size=4)),
    (2, st.sampled_from(ADDRESS_DATA).map(lambda data: [element("D:getetag"), data])),
    (1, st.just([element(name) for name in PROPERTY_NAMES])),
).map(lambda found: element("D:prop", *found))
asked = one_of((6, prop), (1, st.sampled_from([element("D:allprop"), element("D:propname")])))


def _built(name: str, /, *parts: SearchStrategy[Any], **choices: Iterable[str]) -> SearchStrategy[Element]:
    """An element of what the parts give, an Element or a text or a list of them.

    choices: values of attributes, each of which may be missing but for ``name``
    """
    attributes = {name.replace("_", "-"): st.sampled_from(list(found)) for name, found in choices.items()}
    needed = {"name": attributes.pop("name")} if "name" in attributes else {}

    def build(given: tuple[Any, ...], attributes: dict[str, str]) -> Element:
        inner = [one for part in given for one in (part if isinstance(part, list) else [part])]
        return Element(name, tuple(inner), tuple(attributes.items()))

    return st.builds(build, st.tuples(*parts), st.fixed_dictionaries(needed, optional=attributes))


text_match = _built(
    "C:text-match",
    st.sampled_from(NEEDLES),
    collation=COLLATIONS,
    negate_condition=[*("yes", "no") * 5, "x"],
    match_type=[*("equals", "contains", "starts-with", "ends-with") * 3, "x"],
)
is_not_defined = st.just(element("C:is-not-defined"))
param_filter = _built("C:param-filter", st.just([]) | is_not_defined | text_match, name=["TYPE", "x", ""])
prop_filter = _built(
    "C:prop-filter",
    one_of((1, is_not_defined), (5, st.lists(one_of((2, text_match), (1, param_filter)), max_size=3))),
    name=FIELDS,
    test=TESTS,
)
search_filter = _built("C:filter", st.lists(prop_filter, max_size=3), test=TESTS)
NUMBERS = ["1", "2", "0", "-1", "9" * 40, "x", "", "1.5", "\u0661", " 1 "]


def _limit(prefix: str) -> SearchStrategy[list[Element]]:
    limits = [[element(f"{prefix}:limit", element(f"{prefix}:nresults", one))] for one in NUMBERS]
    return st.sampled_from([*([[]] * 14), *limits[:2] * 3, *limits])


TOKENS = [*("", "@token@", "@first-token@") * 4, "@token@0", "radicale-shared:/sync/a/b/1/0/0/c", "x", "1", "<&>"]
sync_collection = _built(
    "D:sync-collection",
    st.sampled_from(TOKENS).map(lambda text: element("D:sync-token", text)),
    st.sampled_from([*["1"] * 8, "infinite", "0", ""]).map(lambda text: element("D:sync-level", text)),
    _limit("D"),
    asked,
)
multiget = _built("C:addressbook-multiget", asked, st.lists(hrefs.map(lambda one: element("D:href", one)), max_size=4))
query = _built("C:addressbook-query", asked, search_filter, _limit("C"))
property_search = _built(
    "D:property-search", prop, st.sampled_from(["ada", "", "x"]).map(lambda text: element("D:match", text))
)
principal_property_search = _built(
    "D:principal-property-search",
    st.lists(property_search, max_size=2),
    asked,
    st.sampled_from([[], [element("D:apply-to-principal-collection-set")]]),
    test=["anyof", "allof"],
)
EXPANDED = [*("owner", "current-user-principal", "principal-collection-set") * 4, "x", "", "1", "a b", "x><y", "x:y"]
expanded = st.recursive(
    st.just([]),
    lambda inner: st.lists(
        _built(
            "D:property", inner, name=EXPANDED, namespace=["DAV:", "", "urn:x", "http://www.w3.org/2000/xmlns/", '"<&']
        ),
        max_size=3,
    ),
    max_leaves=6,
)
expand_property = _built("D:expand-property", expanded)
principal_match = _built(
    "D:principal-match",
    st.sampled_from([element("D:self"), element("D:principal-property", element("D:owner")), element("D:x")]),
    asked,
)
principal_reports = (
    principal_property_search | expand_property | principal_match | _built("D:acl-principal-prop-set", asked)
)
other_reports = st.sampled_from(
    [
        element("D:principal-search-property-set"),
        element("D:version-tree"),
        element("D:x"),
        element("X:x"),
        element("D:acl-principal-prop-set"),
        element("D:prop"),
    ]
)
reports = one_of(
    (4, sync_collection),
    (3, multiget),
    (4, query),
    (3, principal_reports),
    (1, other_reports),
)

RESOURCE_TYPES = [
    [element("D:collection"), element("C:addressbook")],
    [element("D:collection"), element("C:addressbook")],
    [element("D:collection"), element("C:addressbook")],
    [element("D:collection")],
    [element("C:addressbook"), element("D:collection"), element("X:calendar")],
    [],
]
values = st.lists(
    st.builds(
        element,
        st.sampled_from(
            [*("D:displayname", "C:addressbook-description", "I:addressbook-color", "CS:me-card", "X:note")] * 12
            + PROPERTY_NAMES
        ),
        texts,
    )
    | st.just(element("X:note", element("X:b", "1", element("D:href", "/"), **{"xml:lang": "de", "X:a": '"<'}))),
    min_size=1,
    max_size=3,
)
changed = _built("D:set", values.map(lambda found: element("D:prop", *found))) | _built(
    "D:remove", values.map(lambda found: element("D:prop", *found))
)
propertyupdate = _built("D:propertyupdate", st.lists(changed, min_size=1, max_size=3))
mkcol = _built(
    "D:mkcol",
    st.builds(
        lambda types, others: element("D:set", element("D:prop", element("D:resourcetype", *types), *others)),
        st.sampled_from(RESOURCE_TYPES),
        values,
    ),
)
propfind = one_of(
    (4, _built("D:propfind", prop)),
    (1, _built("D:propfind", st.just(element("D:propname")))),
    (1, _built("D:propfind", st.just(element("D:allprop")), prop.map(lambda one: element("D:include", *one.inner)))),
)
PRIVILEGES = [element("D:privilege", element(f"D:{name}")) for name in ("read", "write", "all", "unlock", "x")]
WHO = [element(f"D:{name}") for name in ("all", "authenticated", "self", "x")] + [element("D:href", "/ben/")]
ace = _built(
    "D:ace",
    st.sampled_from(WHO).map(lambda who: element("D:principal", who)),
    st.sampled_from(PRIVILEGES).map(lambda one: element("D:grant", one))
    | st.sampled_from(PRIVILEGES).map(lambda one: element("D:deny", one)),
)
administration = _built("D:acl", st.lists(ace, max_size=2)) | st.sampled_from(
    [
        element(
            "D:lockinfo", element("D:lockscope", element("D:exclusive")), element("D:locktype", element("D:write"))
        ),
        element("P:push-register", element("P:subscription", element("P:web-push-subscription", "x"))),
        element("CS:multiput", element("CS:resource", element("CS:set", "x"))),
    ]
)

# -- XML: written, rightly and wrongly ---------------------------------------------------------------------------------


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def written(root: Element) -> str:
    """An element as text; one without a name stands for markup as it is."""
    if not root.name:
        return "".join(one for one in root.inner if isinstance(one, str))
    inner = "".join(_escaped(one) if isinstance(one, str) else written(one) for one in root.inner)
    attributes = "".join(f' {name}="{_escaped(value)}"' for name, value in root.attributes)
    return f"<{root.name}{attributes}>{inner}</{root.name}>"


RAW = [
    *("<!--x-->", "<?x y?>", "<![CDATA[<&]]>", "&amp;", "&#13;&#10;", "text", "&#x10ffff;", "&x;", "&#0;", "<x"),
    "</D:x>",
    *("<D:a>" * 39 + "</D:a>" * 39, "<D:a>" * 3000 + "</D:a>" * 3000, "<D:prop/>" * 500, "<D:href>/</D:href>" * 700),
    "".join(f"<X:p{number}/>" for number in range(300)),
]
_OTHER_PREFIX = {"D": "C", "C": "D", "CS": "D", "X": "D"}


def _damage(one: Element, kind: int, which: int) -> list[Element | str]:
    """What comes in the place of an element."""
    prefix, _, local = one.name.partition(":")
    other = NUMBERS[which % len(NUMBERS)]
    match kind:
        case 0:
            return []
        case 1:
            return [one, one]
        case 2:
            return [Element(one.name, (one,), one.attributes)]
        case 3:
            return [Element(f"{_OTHER_PREFIX.get(prefix, 'X')}:{local}", one.inner, one.attributes)]
        case 4:
            return [Element(local, one.inner, one.attributes)]
        case 5:
            return [Element(one.name, (other,), one.attributes)]
        case 6:
            return [Element(one.name, (*one.inner, Element("", (RAW[which % len(RAW)],))), one.attributes)]
        case 7:
            return [Element(one.name, one.inner, tuple((name, other) for name, _ in one.attributes))]
        case 8:
            return [Element(one.name, one.inner, (*one.attributes, ("xmlns", ["", "DAV:", "urn:x", other][which % 4])))]
        case 9:
            return [Element(PROPERTY_NAMES[which % len(PROPERTY_NAMES)], one.inner, one.attributes)]
        case 10:
            return [Element(one.name, tuple(reversed(one.inner)), ())]
    return [Element(one.name, one.inner * 20, one.attributes)]


def damaged(root: Element, at: int, kind: int, which: int) -> Element:
    """``root`` with one of its elements dropped, doubled, renamed, filled with rubbish ..."""
    left = at % _size(root)

    def walk(one: Element) -> list[Element | str]:
        nonlocal left
        left -= 1
        if left == -1:
            return _damage(one, kind, which)
        inner = (found for part in one.inner for found in (walk(part) if isinstance(part, Element) else [part]))
        return [Element(one.name, tuple(inner), one.attributes)]

    return next((one for one in walk(root) if isinstance(one, Element)), Element(""))


def _size(one: Element) -> int:
    return 1 + sum(_size(part) for part in one.inner if isinstance(part, Element))


_DECLARED = " ".join(f'xmlns:{prefix}="{_escaped(name)}"' for prefix, name in NAMESPACES.items())
_ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))


def encoded(root: Element, fault: int) -> bytes:
    """A document as bytes; most numbers of ``fault`` mean none."""
    first, _, rest = written(root).partition(">")
    text = f"{first.removesuffix('/')} {_DECLARED}>{rest}" if rest else f"{first} {_DECLARED}>"
    match fault:
        case 1:
            return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
        case 2:
            return f'<?xml version="1.0" encoding="utf-16"?>{text}'.encode("utf-16")
        case 3:
            return f'<?xml version="1.0" encoding="iso-8859-1"?>{text}'.encode("latin-1", "xmlcharrefreplace")
        case 4:
            return b"\xef\xbb\xbf" + text.encode()
        case 5:
            return f'<?xml version="1.0" encoding="shift_jis"?>{text}'.encode()
        case 6:
            return f'<?xml version="1.1" encoding="x"?>{text}'.encode()
        case 7:
            return text[: len(text) // 2].encode()
        case 8:
            return f"<!DOCTYPE x [{_ENTITIES}]>{text}".replace("><", ">&l9;<").encode()
        case 9:
            return f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>{text}'.encode()
        case 10:
            return f"{text}{text}".encode()
        case 11:
            return f"{text}\x00".encode()
        case 12:
            return text.replace(_DECLARED, "").encode()
        case 13:
            return text.encode().replace(b"><", b">\xff<")
        case 14:
            return f"\n {text}\n<!-- x -->".encode()
    return text.encode()


damages = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 11), st.integers(0, 60)), max_size=3)


def documents(roots: SearchStrategy[Element]) -> SearchStrategy[bytes]:
    """Documents of these elements: as they are for the most part, else damaged once to three times, or misspelt."""

    def build(root: Element, wounds: list[tuple[int, int, int]], fault: int) -> bytes:
        for at, kind, which in wounds:
            root = damaged(root, at, kind, which)
        return encoded(root, fault)

    return st.builds(
        build, roots, one_of((4, st.just([])), (2, damages)), one_of((4, st.just(0)), (1, st.integers(0, 14)))
    )


BODIES: Mapping[str, SearchStrategy[bytes]] = {
    "PROPFIND": documents(propfind),
    "REPORT": documents(reports),
    "principals": documents(principal_reports),
    "PROPPATCH": documents(propertyupdate),
    "MKCOL": documents(mkcol),
    "ACL": documents(administration),
}

# -- what a story is made of -------------------------------------------------------------------------------------------


METHODS = [
    *("OPTIONS", "GET", "HEAD", "PUT", "DELETE", "PROPFIND", "PROPPATCH", "MKCOL", "REPORT", "COPY", "MOVE", "POST"),
    *("ACL", "LOCK", "UNLOCK", "PATCH", "TRACE", "SEARCH", "MKCALENDAR", "X", "put", "", "G\u00ebT"),
]


def wish(
    methods: Iterable[str],
    paths: SearchStrategy[str] | SearchStrategy[bytes],
    bodies: SearchStrategy[bytes],
    *first: SearchStrategy[Any],
    further: SearchStrategy[Any] = headers,
) -> SearchStrategy[Wish]:
    """A request with one of ``methods``; ``first``: headers it has by its kind, which no other replaces."""

    def build(method: str, path: str | bytes, body: bytes, own: tuple[Any, ...], others: Iterable[Any]) -> Wish:
        own = tuple(one for one in own if one)
        taken = {name for name, _ in own}
        together = (*own, *(one for one in others if one[0] not in taken))
        return Wish(method, path.encode() if isinstance(path, str) else path, body, together)

    return st.builds(build, st.sampled_from(list(methods)), paths, bodies, st.tuples(*first), further)


PAIRS = [("ada", "ada"), ("ada", "ben"), ("ben", "ada"), ("ada", "carla"), ("carla", "ben")]


def stories(
    books_of_them: Iterable[str] = BOOKS, pairs: Iterable[tuple[str, str]] = PAIRS, *, most: int = 6
) -> SearchStrategy[Story]:
    """Stories of at most ``most`` wishes, each about one of the books, by one of the pairs of people."""
    nothing = st.just(b"")

    def paths_of(name: str) -> SearchStrategy[str]:
        return st.just(f"/@me@/@book@/{name}.vcf")

    depth = st.sampled_from([None, ("Depth", "0"), ("Depth", "1"), ("Depth", "1"), ("Depth", "infinity")])
    wishes = one_of(
        *((2, wish(["PUT"], paths_of(name), good_vcards(st.just(name)), condition)) for name in ("a", "b", "kept")),
        (3, wish(["PUT"], cards, vcards, condition)),
        (2, wish(["GET", "HEAD"], cards, nothing)),
        (2, wish(["DELETE"], cards | books, nothing, condition)),
        (3, wish(["PROPFIND"], books | st.sampled_from(COLLECTIONS) | cards, BODIES["PROPFIND"] | nothing, depth)),
        (6, wish(["REPORT"], one_of((9, books), (1, paths)), BODIES["REPORT"], depth)),
        (1, wish(["REPORT"], st.sampled_from(COLLECTIONS), BODIES["principals"])),
        (2, wish(["PROPPATCH"], one_of((6, books), (1, st.just("/@me@/")), (1, cards)), BODIES["PROPPATCH"])),
        (
            2,
            wish(
                ["MKCOL"],
                books | st.sampled_from(["/@me@/team/", "/@me@/new"]),
                one_of((5, BODIES["MKCOL"]), (1, nothing)),
            ),
        ),
        (3, wish(["COPY", "MOVE"], stored_cards, nothing, good_destinations)),
        (2, wish(["COPY", "MOVE"], cards | books, nothing, destinations, depth | st.none())),
        (2, wish(["POST"], books, vcards)),
        (1, wish(["ACL", "LOCK", "UNLOCK", "POST", "OPTIONS"], cards | books, BODIES["ACL"])),
        (
            2,
            wish(
                METHODS,
                paths,
                one_of((1, nothing), (2, st.one_of(*BODIES.values())), (1, vcards)),
                destinations | st.none(),
            ),
        ),
    )
    by = st.tuples(wishes, st.integers(0, 1), st.integers(0, 399))

    def build(book: str, pair: tuple[str, str], told: list[tuple[Wish, int, int]]) -> Story:
        return Story(book, tuple(_signed(one, pair[who], how) for one, who, how in told))

    return st.builds(
        build,
        st.sampled_from(list(books_of_them)),
        st.sampled_from(list(pairs)),
        st.lists(by, min_size=1, max_size=most),
    )


# -- the largest that a client can send --------------------------------------------------------------------------------

_CARD_BYTES = 9_900_000
_XML_BYTES = 16_000_000
_HEADER_LENGTH = 1_000_000


def hostile() -> Iterator[tuple[str, Wish]]:
    """(what it is, request): cards and XML up to the largest that is read and above, headers of a million letters."""
    for name, start, unit in (
        ("one endless line", "NOTE:", "x"),
        ("lines", "", "TEL:1\r\n"),
        ("empty lines", "", "\r\n"),
        ("parameters", "TEL", ";A=B"),
        ("one open quote", 'TEL;X="', ";a=b:"),
        ("quotes", "TEL;X=", '"a"'),
        ("broken base64", "PHOTO;ENCODING=b:", "A=?"),
        ("folds", "NOTE:", "\r\n x"),
        ("cut characters", "NOTE:", "\u00e9\r\n "),
        ("values", "CATEGORIES:", "a,"),
        ("parts of a name", "N:", "a;"),
        ("escapes", "NOTE:", "\\n\\,"),
        ("groups", "", "a."),
        ("nested cards", "", "AGENT:BEGIN:VCARD\r\n"),
        ("numbers", "", "TEL;TYPE=home,work;PREF=1:+49 30 1234567\r\n"),
        ("categories", "", "CATEGORIES:\u0130\r\n"),
    ):
        line = start + unit * (_CARD_BYTES // len(unit.encode()))
        yield f"card, {name}", Wish("PUT", b"/ada/contacts/x.vcf", _vcard("3.0", "x", "X", [line], "\r\n"))
    yield "card, UID", Wish("PUT", b"/ada/contacts/x.vcf", _vcard("3.0", "x" * _CARD_BYTES, "X", [], "\r\n"))
    yield "card, NUL", Wish("PUT", b"/ada/contacts/x.vcf", bytes(_CARD_BYTES))
    yield "card, too large", Wish("PUT", b"/ada/contacts/x.vcf", b"BEGIN:VCARD\r\n" * 2_000_000)
    yield "what was stored", Wish("GET", b"/ada/contacts/x.vcf")

    for root, before, unit, after in (
        ("D:sync-collection", "<D:sync-token>", "x", "</D:sync-token>"),
        ("D:sync-collection", "", "<!-- x -->", ""),
        ("D:sync-collection", "", "<?x y?>", ""),
        ("D:propfind", "<D:prop>", "<X:x/>", "</D:prop>"),
        ("D:propfind", "<D:prop>", '<x xmlns="urn:x"/>', "</D:prop>"),
        ("D:propfind", "<D:prop>", "<D:x>", ""),
        ("D:propfind", "<D:prop><X:", "x", "/></D:prop>"),
        ("D:propertyupdate", "<D:set><D:prop>", "<D:displayname>x</D:displayname>", "</D:prop></D:set>"),
        ("D:propertyupdate", "<D:set><D:prop><X:x>", "&lt;", "</X:x></D:prop></D:set>"),
        ("D:propertyupdate", "<D:set><D:prop><D:displayname>", "x", "</D:displayname></D:prop></D:set>"),
        ("C:addressbook-multiget", "<D:prop><C:address-data/></D:prop>", "<D:href>/ada/contacts/kept.vcf</D:href>", ""),
        ("C:addressbook-multiget", "<D:prop><D:getetag/></D:prop><D:href>", "/ada/contacts/%41", "</D:href>"),
        ("C:addressbook-query", "<C:filter>", '<C:prop-filter name="FN"/>', "</C:filter>"),
        ("C:addressbook-query", "<C:filter>", '<C:prop-filter name="FN">', ""),
        (
            *("C:addressbook-query", '<C:filter><C:prop-filter name="FN">'),
            *("<C:text-match>x</C:text-match>", "</C:prop-filter></C:filter>"),
        ),
        (
            *("C:addressbook-query", '<C:filter><C:prop-filter name="FN"><C:text-match>', "\u0130"),
            "</C:text-match></C:prop-filter></C:filter>",
        ),
        ("D:principal-property-search", "", "<D:property-search><D:match>a</D:match></D:property-search>", ""),
        ("D:expand-property", "", '<D:property name="owner"/>', ""),
        ("D:mkcol", "<D:set><D:prop>", "<X:x>y</X:x>", "</D:prop></D:set>"),
    ):
        method = {"D:propfind": "PROPFIND", "D:propertyupdate": "PROPPATCH", "D:mkcol": "MKCOL"}.get(root, "REPORT")
        path = b"/ada/new/" if method == "MKCOL" else b"/ada/contacts/"
        text = f"<{root} {_DECLARED}>{before}{unit * (_XML_BYTES // len(unit.encode()))}{after}</{root}>"
        # Twice: as long as may be, which has too many elements for the most part, and with as many as may be.
        yield f"XML, {root} {before[:30]} {unit[:30]}", Wish(method, path, text.encode(), (("Depth", "1"),))
        text = f"<{root} {_DECLARED}>{before}{unit * min(240_000, _XML_BYTES // len(unit.encode()))}{after}</{root}>"
        yield f"XML, less of {root} {before[:30]} {unit[:30]}", Wish(method, path, text.encode(), (("Depth", "1"),))
    attributes = " ".join(f'a{number}="x"' for number in range(1_000_000))
    yield "XML, attributes", Wish("PROPFIND", b"/ada/", f'<propfind xmlns="DAV:" {attributes}/>'.encode())
    yield "XML, namespaces", Wish("PROPFIND", b"/ada/", f"<a {attributes.replace(' a', ' xmlns:a')[:-3]}/>".encode())
    yield "XML, too large", Wish("REPORT", b"/ada/contacts/", b"<a>" * 20_000_000)

    for name in (*HEADERS, "Destination", "Authorization", "Cookie"):
        for unit in ("x", '"a",', "(<a>)", "a=b;", "/a"):
            value = unit * (_HEADER_LENGTH // len(unit))
            for method in ("PUT", "PROPFIND", "COPY"):
                body = b"" if method == "PROPFIND" else _vcard("3.0", "y", "Y", [], "\r\n")
                yield f"header, {name} {unit}", Wish(method, b"/ada/contacts/y.vcf", body, ((name, value),))
    for method in METHODS:
        yield f"path, {method}", Wish(method, b"/ada/contacts/" + b"x" * _HEADER_LENGTH)
        yield f"path, deep, {method}", Wish(method, b"/ada" * (_HEADER_LENGTH // 4))
