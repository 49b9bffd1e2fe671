"""Requests of every kind, as hypothesis strategies: legal ones by the grammars of the RFCs, and the same ones spoilt.

A *wish* is one request to be; a *story* is a few of them, by one or two people, mostly about one book. What only an
earlier answer can say stands in a wish as a mark ("@etag@"), in its path, headers and body alike; whoever sends it
puts the right text there (``filled``). So stories get deep: a PUT on the ETag of the answer before, a sync since it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.dav.fuzz_http import (
    BOOKS,
    CLIENTS,
    COLLECTIONS,
    FOR_ONE_BOOK,
    HEADERS,
    MERGED,
    NO_LOGINS,
    basic,
    books,
    cards,
    condition,
    destinations,
    good_destinations,
    headers,
    one_of,
    paths,
    stored_cards,
)
from tests.dav.fuzz_vcards import good_vcards, vcard, vcards
from tests.dav.fuzz_xml import BODIES, DECLARED

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
    """A few requests, one after another.

    book: slug or mount of the book it is about
    user_agent: of the requests that name no other
    """

    book: str
    wishes: tuple[Wish, ...]
    user_agent: str = CLIENTS[0]


def filled(text: bytes, marks: Mapping[str, bytes]) -> bytes:
    """``text`` with its marks replaced."""
    return _MARK.sub(lambda found: marks[found[1].decode()], text)


def _signed(wish: Wish, login: str, how: int) -> Wish:
    """The same request by ``login``: rightly for most numbers, spelt in another way for some, wrongly for a few."""
    wrong = how - 400 + len(NO_LOGINS)
    if wrong >= 0:
        return replace(wish, headers=(*wish.headers, ("Authorization", NO_LOGINS[wrong])), login=login, signs_in=False)
    spelt = {350: f"{login.upper()}:{login * 2}", 351: f"{login.capitalize()}:{login * 2}"}.get(how)
    added = (("Authorization", basic(spelt)),) if spelt else ()
    return replace(wish, headers=(*wish.headers, *added), login=login)


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
    books_of_them: Iterable[str] = (*BOOKS, MERGED), pairs: Iterable[tuple[str, str]] = PAIRS, *, most: int = 6
) -> SearchStrategy[Story]:
    """Stories of at most ``most`` wishes, each about one of the books, by one of the pairs of people."""
    nothing = st.just(b"")
    any_body = one_of((1, nothing), (2, st.one_of(*BODIES.values())), (1, vcards))
    new_books = st.sampled_from(["/@me@/team/", "/@me@/new"])

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
        (2, wish(["MKCOL"], books | new_books, one_of((5, BODIES["MKCOL"]), (1, nothing)))),
        (3, wish(["COPY", "MOVE"], stored_cards, nothing, good_destinations)),
        (2, wish(["COPY", "MOVE"], cards | books, nothing, destinations, depth | st.none())),
        (2, wish(["POST"], books, vcards)),
        (1, wish(["ACL", "LOCK", "UNLOCK", "POST", "OPTIONS"], cards | books, BODIES["ACL"])),
        (2, wish(METHODS, paths, any_body, destinations | st.none())),
    )
    by = st.tuples(wishes, st.integers(0, 1), st.integers(0, 399))

    def build(book: str, user_agent: str, pair: tuple[str, str], told: list[tuple[Wish, int, int]]) -> Story:
        user_agent = FOR_ONE_BOOK if book == MERGED else user_agent  # others have no merged book
        return Story(book, tuple(_signed(one, pair[who], how) for one, who, how in told), user_agent)

    return st.builds(
        build,
        st.sampled_from(list(books_of_them)),
        st.sampled_from(CLIENTS[:1] * 6 + CLIENTS),
        st.sampled_from(list(pairs)),
        st.lists(by, min_size=1, max_size=most),
    )


# -- the largest that a client can send --------------------------------------------------------------------------------

_CARD_BYTES = 9_900_000
_XML_BYTES = 16_000_000
_LINES = 190_000  # of the 200,000 that are read,
_PROPERTIES = 49_000  # and of 50,000
_ELEMENTS = 240_000  # half of what is read, to spend less time; "XML, elements" has nearly all
_HEADER_LENGTH = 1_000_000
# (what it is, start, what is repeated after it)
_LARGE_CARDS = [
    ("one endless line", "NOTE:", "x"),
    ("lines", "", "TEL:1\r\n"),
    ("one open quote", 'TEL;X="', ";a=b:"),
    ("broken base64", "PHOTO;ENCODING=b:", "A=?"),
    ("folds", "NOTE:", "\r\n x"),
    ("cut characters", "NOTE:", "\u00e9\r\n "),
    ("parts of a name", "N:", "a;"),
    ("escapes", "NOTE:", "\\n\\,"),
    ("groups", "", "a."),
    ("nested cards", "", "AGENT:BEGIN:VCARD\r\n"),
    ("numbers", "", "TEL;TYPE=home,work:+49 30 1234567\r\n"),
]
# (root, start, what is repeated after it, end)
_LARGE_XML = [
    ("D:sync-collection", "<D:sync-token>", "x", "</D:sync-token>"),
    ("D:sync-collection", "", "<!-- x -->", ""),
    ("D:sync-collection", "", "<?x y?>", ""),
    ("D:propfind", "<D:prop>", '<x xmlns="urn:x"/>', "</D:prop>"),
    ("D:propfind", "<D:prop>", "<D:x>", ""),
    ("D:propfind", "<D:prop><X:", "x", "/></D:prop>"),
    ("D:propertyupdate", "<D:set><D:prop><X:x>", "&lt;", "</X:x></D:prop></D:set>"),
    ("D:propertyupdate", "<D:set><D:prop><D:displayname>", "x", "</D:displayname></D:prop></D:set>"),
    ("C:addressbook-multiget", "<D:prop><C:address-data/></D:prop>", "<D:href>/ada/contacts/kept.vcf</D:href>", ""),
    ("C:addressbook-multiget", "<D:prop><D:getetag/></D:prop><D:href>", "/ada/contacts/%41", "</D:href>"),
    ("C:addressbook-query", "<C:filter>", '<C:prop-filter name="FN"/>', "</C:filter>"),
    ("C:addressbook-query", "<C:filter>", '<C:prop-filter name="FN">', ""),
    (
        *("C:addressbook-query", '<C:filter><C:prop-filter name="FN"><C:text-match>', "\u0130"),
        "</C:text-match></C:prop-filter></C:filter>",
    ),
    (
        *("D:principal-property-search", ""),
        *("<D:property-search><D:prop><D:displayname/></D:prop><D:match>a</D:match></D:property-search>", ""),
    ),
    ("D:expand-property", "", '<D:property name="owner"/>', ""),
    (
        *("D:mkcol", "<D:set><D:prop><D:resourcetype><D:collection/><C:addressbook/></D:resourcetype>"),
        *("<X:x>y</X:x>", "</D:prop></D:set>"),
    ),
]


def hostile() -> Iterator[tuple[str, Wish]]:
    """(what it is, request): cards and XML up to the largest that is read and above, headers of a million letters."""
    yield from _large_cards()
    yield from _large_xml()
    for name in (*HEADERS, "Destination", "Authorization", "Cookie"):
        for unit in ("x", '"a",', "(<a>)", "a=b;", "/a"):
            value = unit * (_HEADER_LENGTH // len(unit))
            for method, body in (("PUT", vcard("3.0", "y", "Y", [], "\r\n")), ("PROPFIND", b""), ("COPY", b"")):
                yield f"header, {name} {unit}", Wish(method, b"/ada/contacts/y.vcf", body, ((name, value),))
    for method in METHODS:
        yield f"path, {method}", Wish(method, b"/ada/contacts/" + b"x" * _HEADER_LENGTH)
        yield f"path, deep, {method}", Wish(method, b"/ada" * (_HEADER_LENGTH // 4))


def _large_cards() -> Iterator[tuple[str, Wish]]:
    path = b"/ada/contacts/x.vcf"
    for name, start, unit in _LARGE_CARDS:
        most = _CARD_BYTES // len(unit.encode())
        most = min(most, _PROPERTIES if unit.endswith("\r\n") else _LINES) if "\r\n" in unit else most
        yield f"card, {name}", Wish("PUT", path, vcard("3.0", "x", "X", [start + unit * most], "\r\n"))
    yield "card, too many lines", Wish("PUT", path, vcard("3.0", "x", "X", ["A:"] * (_CARD_BYTES // 4), "\r\n"))
    yield "card, UID", Wish("PUT", path, vcard("3.0", "x" * _CARD_BYTES, "X", [], "\r\n"))
    yield "card, NUL", Wish("PUT", path, bytes(_CARD_BYTES))
    yield "card, too large", Wish("PUT", path, b"BEGIN:VCARD\r\n" * 2_000_000)
    # The other version of a card that takes a while to convert, and a change of it, which is merged.
    members = "".join(f"X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:{number:09}\r\n" for number in range(1900))
    lines = ["CATEGORIES:" + "a,b\\,c," * (_CARD_BYTES // 9), members + "X-ADDRESSBOOKSERVER-KIND:group"]
    yield "card, values", Wish("PUT", path, vcard("3.0", "x", "X", lines, "\r\n"))
    yield "card, read as 4.0", Wish("GET", path, headers=(("Accept", "text/vcard; version=4.0"),))
    yield "card, written as 4.0", Wish("PUT", path, vcard("4.0", "x", "Y", ["CATEGORIES:" + "c," * 900_000], "\r\n"))


def _large_xml() -> Iterator[tuple[str, Wish]]:
    for root, start, unit, end in _LARGE_XML:
        method = {"D:propfind": "PROPFIND", "D:propertyupdate": "PROPPATCH", "D:mkcol": "MKCOL"}.get(root, "REPORT")
        path = {"D:mkcol": b"/ada/new/", "D:principal-property-search": b"/"}.get(root, b"/ada/contacts/")
        most = _XML_BYTES // len(unit.encode())
        elements = len(re.findall(r"<\w", unit))
        count = min(_ELEMENTS // elements, most) if elements else most
        text = f"<{root} {DECLARED}>{start}{unit * count}{end}</{root}>"
        depth = "0" if root in {"D:principal-property-search", "D:expand-property"} else "1"
        yield f"XML, {root} {start[:30]} {unit[:30]}", Wish(method, path, text.encode(), (("Depth", depth),))
    yield "XML, elements", Wish("PROPFIND", b"/ada/", b"<a>" + b"<b/>" * (2 * _ELEMENTS) + b"</a>")
    yield "XML, too many elements", Wish("PROPFIND", b"/ada/", b"<a>" + b"<b/>" * (_XML_BYTES // 4) + b"</a>")
    attributes = " ".join(f'a{number}="x"' for number in range(900_000))
    yield "XML, attributes", Wish("PROPFIND", b"/ada/", f'<propfind xmlns="DAV:" {attributes}/>'.encode())
    yield "XML, namespaces", Wish("PROPFIND", b"/ada/", f"<a {attributes.replace(' a', ' xmlns:a')}/>".encode())
    yield "XML, too large", Wish("REPORT", b"/ada/contacts/", b"<a>" * 20_000_000)
