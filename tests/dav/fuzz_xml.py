"""XML bodies of the fuzzed requests, as strategies: by the grammars of the RFCs, then damaged or misspelt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.dav.fuzz_http import hrefs, one_of

# -- the grammars ------------------------------------------------------------------------------------------------------


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
    *("P:topic", "P:transports", "D:x", "X:y", "C:addressbook", "xml:lang"),
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
    *("FN", "FN", "EMAIL", "N", "EMAIL", "tel", "ORG", "NOTE", "UID", "ITEM1.TEL", "X-ABLABEL", "item1.X-ABLabel"),
    *("VERSION", "", "<"),
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
OTHER_REPORTS = [
    *("D:principal-search-property-set", "D:version-tree", "D:x", "X:x", "D:acl-principal-prop-set", "D:prop"),
]
other_reports = st.sampled_from(OTHER_REPORTS).map(element)
reports = one_of((4, sync_collection), (3, multiget), (4, query), (3, principal_reports), (1, other_reports))

RESOURCE_TYPES = [
    *([element("D:collection"), element("C:addressbook")] for _ in range(3)),
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
NOT_SERVED = [
    element("D:lockinfo", element("D:lockscope", element("D:exclusive")), element("D:locktype", element("D:write"))),
    element("P:push-register", element("P:subscription", element("P:web-push-subscription", "x"))),
    element("CS:multiput", element("CS:resource", element("CS:set", "x"))),
]
administration = _built("D:acl", st.lists(ace, max_size=2)) | st.sampled_from(NOT_SERVED)

# Known elements in places where they mean nothing.
INNER = [
    *("D:prop", "D:allprop", "D:propname", "D:include", "D:sync-token", "D:sync-level", "D:href", "D:limit", "D:set"),
    *("D:nresults", "D:remove", "D:resourcetype", "C:filter", "C:prop-filter", "C:address-data", "D:property", "D:x"),
]
ROOTS = [
    *("D:propfind", "D:propertyupdate", "D:mkcol", "D:sync-collection", "C:addressbook-multiget", "D:expand-property"),
    *("C:addressbook-query", "D:principal-property-search", "D:principal-match"),
]
jumble = st.recursive(
    st.sampled_from(PROPERTY_NAMES).map(element) | texts | hrefs,
    lambda inner: st.builds(Element, st.sampled_from(INNER), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=6,
)
jumbled = st.builds(Element, st.sampled_from(ROOTS), st.lists(jumble, max_size=4).map(tuple))

# -- written, rightly and wrongly --------------------------------------------------------------------------------------


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
    *("<!--x-->", "<?x y?>", "<![CDATA[<&]]>", "&amp;", "&#13;&#10;", "text", "&#x10ffff;", "&x;", "&#0;"),
    *(
        "<x",
        "</D:x>",
        "<D:a>" * 39 + "</D:a>" * 39,
        "<D:a>" * 3000 + "</D:a>" * 3000,
        "<D:prop/>" * 500,
        "<D:href>/</D:href>" * 700,
    ),
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


DECLARED = " ".join(f'xmlns:{prefix}="{_escaped(name)}"' for prefix, name in NAMESPACES.items())
_ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))


def encoded(root: Element, fault: int) -> bytes:
    """A document as bytes; most numbers of ``fault`` mean none."""
    first, _, rest = written(root).partition(">")
    text = f"{first.removesuffix('/')} {DECLARED}>{rest}" if rest else f"{first} {DECLARED}>"
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
            return text.replace(DECLARED, "").encode()
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

    wounds, faults = one_of((4, st.just([])), (2, damages)), one_of((4, st.just(0)), (1, st.integers(0, 14)))
    return st.builds(build, one_of((19, roots), (1, jumbled)), wounds, faults)


BODIES: Mapping[str, SearchStrategy[bytes]] = {
    "PROPFIND": documents(propfind),
    "REPORT": documents(reports),
    "principals": documents(principal_reports),
    "PROPPATCH": documents(propertyupdate),
    "MKCOL": documents(mkcol),
    "ACL": documents(administration),
}
