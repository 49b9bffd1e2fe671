"""Dead properties (RFC 4918, sections 4, 9.1 and 9.2): what clients set and the server only keeps."""

import threading
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import dead_properties, history
from tests.conftest import card, examples
from tests.dav.conftest import DAV, XMLNS, Client, etags_of, token_of

OWN, LEADS = "/ada/contacts/", "/ada/sales~leads/"
A = f"{OWN}a.vcf"
X, Y = "{urn:x}x", "{urn:x}y"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
ME_CARD = "{http://calendarserver.org/ns/}me-card"
SUBJECTS = ["/ada/", OWN, A]


@pytest.fixture(autouse=True)
def filled(organisation):
    organisation.put("ada", "contacts", "a.vcf", card("a"))
    return organisation


def patch(client, path, *actions, attributes=""):
    """actions: (set or remove, the properties as XML with the prefix x for ``urn:x``)"""
    body = "".join(f"<{action}><prop>{props}</prop></{action}>" for action, props in actions)
    return client.request(
        "PROPPATCH", path, f'<propertyupdate {XMLNS} xmlns:x="urn:x"{attributes}>{body}</propertyupdate>'
    )


def statuses(answer):
    """{name: status} of a PROPPATCH."""
    assert answer.status == 207, answer.body
    return {
        prop.tag: int(propstat.findtext(f"{DAV}status").split()[1])
        for propstat in answer.xml.iter(f"{DAV}propstat")
        for prop in propstat.find(f"{DAV}prop")
    }


def markup(element):
    """An element as XML; ElementTree's own writing loses it that an element has no namespace, within one that has."""

    def named(name, prefix):
        space, _, local = name[1:].rpartition("}") if name.startswith("{") else ("", "", name)
        declared = f" xmlns:{prefix}={quoteattr(space)}" if space else ""
        return f"{prefix}:{local}" if space else local, declared

    tag, declared = named(element.tag, "e")
    for number, (name, text) in enumerate(element.items()):
        attribute, declaration = named(name, f"a{number}")
        # Line ends and tabs are written as references: a parser makes spaces of them in an attribute.
        value = quoteattr(text, {one: f"&#{ord(one)};" for one in "\t\n\r"})
        declared += f"{declaration} {attribute}={value}"
    default = "" if ":" in tag else ' xmlns=""'
    inside = "".join(markup(child) + escape(child.tail or "") for child in element)
    return f"<{tag}{default}{declared}>{escape(element.text or '')}{inside}</{tag}>"


def found(client, path, *names, depth="0", asked=""):
    """{URL: {name: element}} of the 200 propstats."""
    props = "".join(markup(ET.Element(name)) for name in names)
    asked = asked or f"<d:prop>{props}</d:prop>"
    answer = client.request("PROPFIND", path, f'<d:propfind xmlns:d="DAV:">{asked}</d:propfind>', Depth=depth)
    assert answer.status == 207, answer.body
    return {
        url: {
            prop.tag: prop
            for propstat in response.findall(f"{DAV}propstat")
            if propstat.findtext(f"{DAV}status") == "HTTP/1.1 200 OK"
            for prop in propstat.find(f"{DAV}prop")
        }
        for url, response in answer.responses.items()
    }


def one(client, path, name=X):
    return found(client, path, name)[path].get(name)


# -- setting, reading, removing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SUBJECTS)
def test_what_is_set_comes_back_until_it_is_removed(ada, path):
    assert statuses(patch(ada, path, ("set", "<x:x>one</x:x><x:y/>"))) == {X: 200, Y: 200}
    assert (one(ada, path).text, one(ada, path, Y).text) == ("one", None)

    patch(ada, path, ("set", "<x:x>two</x:x>"))
    assert one(ada, path).text == "two"

    assert statuses(patch(ada, path, ("remove", "<x:x/>"))) == {X: 200}
    assert one(ada, path) is None
    assert one(ada, path, Y) is not None


@pytest.mark.parametrize("path", SUBJECTS)
def test_removing_what_is_not_there_is_no_error(ada, path):
    assert statuses(patch(ada, path, ("remove", "<x:x/><D:gone xmlns:D='DAV:'/>"))) == {X: 200, f"{DAV}gone": 200}


@pytest.mark.parametrize("path", SUBJECTS)
def test_the_instructions_are_done_in_their_order(ada, path):
    patch(ada, path, ("set", "<x:x>1</x:x>"), ("remove", "<x:x/>"))
    assert one(ada, path) is None

    patch(ada, path, ("remove", "<x:x/>"), ("set", "<x:x>2</x:x><x:x>3</x:x>"))
    assert one(ada, path).text == "3"


@pytest.mark.parametrize("path", SUBJECTS)
def test_allprop_has_them_and_propname_their_names(ada, path):
    patch(ada, path, ("set", "<x:x>one</x:x>"))

    assert found(ada, path, asked="<d:allprop/>")[path][X].text == "one"
    assert found(ada, path, asked="<d:allprop/><d:include><d:owner/></d:include>")[path][X].text == "one"
    named = found(ada, path, asked="<d:propname/>")[path][X]
    assert (named.text, len(named)) == (None, 0)
    assert ada.request("PROPFIND", path, Depth="0").body.count(b"one") == 1


@pytest.mark.parametrize("path", SUBJECTS)
def test_they_are_listed_in_the_order_they_were_set_in(ada, path):
    patch(ada, path, ("set", "<x:c/><x:a/>"))
    patch(ada, path, ("set", "<x:b/>"))

    names = found(ada, path, asked="<d:propname/>")[path]
    assert [name for name in names if name.startswith("{urn:x}")] == ["{urn:x}c", "{urn:x}a", "{urn:x}b"]


def test_a_listing_has_each_member_s_own(ada, filled):
    filled.put("ada", "contacts", "b.vcf", card("b"))
    patch(ada, "/ada/", ("set", "<x:x>home</x:x>"))
    patch(ada, OWN, ("set", "<x:x>book</x:x>"))
    patch(ada, A, ("set", "<x:x>card</x:x>"))

    def texts(path):
        return {url: props[X].text for url, props in found(ada, path, X, depth="1").items() if X in props}

    assert texts("/") == {"/ada/": "home"}
    assert texts("/ada/") == {"/ada/": "home", OWN: "book"}
    assert texts(OWN) == {OWN: "book", A: "card"}


def test_reports_have_them_too(ada):
    patch(ada, OWN, ("set", "<x:x>book</x:x>"))
    patch(ada, A, ("set", "<x:x>card</x:x>"))
    prop = '<prop><x:x xmlns:x="urn:x"/></prop>'

    synced = ada.request("REPORT", OWN, f"<sync-collection {XMLNS}><sync-token/>{prop}</sync-collection>")
    fetched = ada.request(
        "REPORT", OWN, f"<C:addressbook-multiget {XMLNS}>{prop}<href>{A}</href></C:addressbook-multiget>"
    )
    at_home = ada.request("REPORT", "/ada/", f"<sync-collection {XMLNS}><sync-token/>{prop}</sync-collection>")

    assert synced.text(A, X) == fetched.text(A, X) == "card"
    assert at_home.text(OWN, X) == "book"


def test_the_merged_book_shows_those_of_its_cards_and_has_none_itself(application, ada):
    mac = Client(application, "ada", user_agent="macOS/14.4 AddressBookCore/2498.4.1")
    patch(ada, A, ("set", "<x:x>card</x:x>"))

    shown = found(mac, "/ada/all/", X, depth="1")
    (url,) = [one for one in shown if one != "/ada/all/"]
    assert (shown[url][X].text, one(mac, url).text) == ("card", "card")
    patch(mac, url, ("set", "<x:x>new</x:x>"))
    assert one(ada, A).text == "new"
    assert patch(mac, "/ada/all/", ("set", "<x:x/>")).conditions == ["cannot-modify-protected-property"]


def test_setting_one_is_no_change_of_the_card_or_its_book(ada):
    before = etags_of(ada, OWN), token_of(ada, OWN)

    patch(ada, A, ("set", "<x:x>one</x:x>"))
    patch(ada, OWN, ("set", "<x:x>one</x:x>"))

    assert (etags_of(ada, OWN), token_of(ada, OWN)) == before


def test_the_history_tells_who_set_which(ada, filled):
    patch(ada, OWN, ("set", "<x:x>one</x:x>"))
    patch(ada, A, ("set", "<x:y>secret</x:y>"))

    with filled.db.snapshot() as session:
        told = [
            (one.kind, one.book, one.actor, one.reason)
            for one in history.entries(session)
            if one.kind == "set-properties"
        ]
    assert told == [
        ("set-properties", "ada/contacts", "ada", f"a.vcf: {Y}"),
        ("set-properties", "ada/contacts", "ada", X),
    ]


# -- what is kept of an element ----------------------------------------------------------------------------------------


def same(ours, theirs):
    """Whether two elements are equal as RFC 4918, section 4.3 has it, without what follows them."""
    return (
        (ours.tag, dict(ours.attrib), ours.text or "") == (theirs.tag, dict(theirs.attrib), theirs.text or "")
        and len(ours) == len(theirs)
        and all(same(a, b) and (a.tail or "") == (b.tail or "") for a, b in zip(ours, theirs, strict=True))
    )


ELEMENTS = [
    "<x:x/>",
    "<x:x>a &amp; b &lt; c ]]&gt; \" ' &#13;&#10;&#9; \u00e4\U0001f600</x:x>",
    '<x:x a="1" x:b="&quot;&lt;&amp;&#13;&#10;&#9;"/>',
    "<x:x><x:y>1</x:y> tail <x:y/><C:z/> end</x:x>",
    '<x:x><y xmlns="">none<z xmlns="urn:z"/></y></x:x>',
    '<x xmlns="">no namespace</x>',
    '<x xmlns=""><x:y/></x>',
    '<q:x xmlns:q="urn:q&amp;&lt;&quot;1"/>',
    '<x:x xml:lang="de">Wort</x:x>',
    '<x:x xml:space="preserve"> <x:y xml:lang="en"/> </x:x>',
    "<x:x><![CDATA[<b>&amp;</b>]]></x:x>",
    "<x:x>" + "<x:y>" * 30 + "</x:y>" * 30 + "</x:x>",
    "<x:\u00e4\u4e2d/>",
]


@pytest.mark.parametrize("element", ELEMENTS)
def test_an_element_comes_back_as_it_was_sent(ada, element):
    sent = ET.fromstring(f'<prop {XMLNS} xmlns:x="urn:x">{element}</prop>')[0]

    assert statuses(patch(ada, A, ("set", element))) == {sent.tag: 200}

    assert same(one(ada, A, sent.tag), sent)
    assert same(found(ada, A, asked="<d:allprop/>")[A][sent.tag], sent)


@pytest.mark.parametrize(
    ("body", "lang"),
    [
        ('<propertyupdate {0} xml:lang="a"><set><prop><x:x/></prop></set></propertyupdate>', "a"),
        ('<propertyupdate {0} xml:lang="a"><set xml:lang="b"><prop><x:x/></prop></set></propertyupdate>', "b"),
        ('<propertyupdate {0}><set><prop xml:lang="c"><x:x/></prop></set></propertyupdate>', "c"),
        ('<propertyupdate {0}><set><prop xml:lang="c"><x:x xml:lang="d"/></prop></set></propertyupdate>', "d"),
        ('<propertyupdate {0} xml:lang="a"><set><prop xml:lang=""><x:x/></prop></set></propertyupdate>', None),
        ("<propertyupdate {0}><set><prop><x:x/></prop></set></propertyupdate>", None),
    ],
)
def test_the_language_in_scope_is_kept(ada, body, lang):
    ada.request("PROPPATCH", A, body.format(f'{XMLNS} xmlns:x="urn:x"'))

    assert one(ada, A).get(LANG) == lang


_texts = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cn"]) | st.sampled_from("\t\n"), max_size=8
)
_locals = st.sampled_from(["x", "y", "z-1", "\u00e4", "displayname"])
_spaces = st.sampled_from(["urn:x", "http://example.org/a?b&c", "", "http://calendarserver.org/ns/"])


def _element(children):
    @st.composite
    def build(draw):
        space, local = draw(_spaces), draw(_locals)
        element = ET.Element(f"{{{space}}}{local}" if space else local)
        for space, name, text in draw(st.lists(st.tuples(_spaces, _locals, _texts), max_size=2)):
            element.set(f"{{{space}}}{name}" if space else name, text)
        element.text = draw(_texts)
        for child in draw(st.lists(children, max_size=3)) if children is not None else ():
            child.tail = draw(_texts)
            element.append(child)
        return element

    return build()


elements = st.recursive(_element(None), _element, max_leaves=6)


@examples(60)
@given(element=elements)
def test_any_element_comes_back_as_it_was_sent(application, organisation, element):
    ada = Client(application, "ada")

    assert statuses(patch(ada, OWN, ("set", markup(element)))) == {element.tag: 200}

    assert same(one(ada, OWN, element.tag), element)


# -- a sequence against a dictionary -----------------------------------------------------------------------------------

_instruction = st.tuples(
    st.sampled_from(["set", "set", "remove"]), st.sampled_from(["x:a", "x:b", "x:c", "getetag"]), st.integers(0, 9)
)


@examples(25)
@given(
    path=st.sampled_from(SUBJECTS),
    updates=st.lists(st.lists(_instruction, min_size=1, max_size=5), min_size=1, max_size=6),
)
def test_any_sequence_of_updates_leaves_what_a_dictionary_would_have(application, organisation, path, updates):
    ada = Client(application, "ada")
    names = {"x:a": "{urn:x}a", "x:b": "{urn:x}b", "x:c": "{urn:x}c"}
    patch(ada, path, ("remove", "".join(f"<{name}/>" for name in names)))
    model = {}

    for update in updates:
        after = dict(model)
        for action, name, value in update:
            if action == "set":
                after[name] = str(value)
            else:
                after.pop(name, None)
        told = statuses(patch(ada, path, *((action, f"<{name}>{value}</{name}>") for action, name, value in update)))
        if any(name == "getetag" for _, name, _ in update):
            assert told.pop(f"{DAV}getetag") == 403
            assert set(told.values()) <= {424}, "one refusal fails all others"
        else:
            assert set(told.values()) == {200}
            model = after
        shown = found(ada, path, *names.values())[path]
        assert {name: shown[full].text for name, full in names.items() if full in shown} == model


# -- what can't be set -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SUBJECTS)
@pytest.mark.parametrize(
    "name", ["getetag", "resourcetype", "sync-token", "acl", "lockdiscovery", "unheard-of", "C:address-data", "C:new"]
)
def test_what_the_server_answers_itself_and_its_standards_namespaces_are_protected(ada, path, name):
    before = one(ada, path)

    answer = patch(ada, path, ("set", f"<x:x>1</x:x><{name}>2</{name}>"))

    told = statuses(answer)
    assert told.pop(X) == 424
    assert list(told.values()) == [403]
    assert answer.xml.find(f".//{DAV}error/{DAV}cannot-modify-protected-property") is not None
    assert one(ada, path) is before is None


@pytest.mark.parametrize("path", ["/ada/", A])
def test_the_name_of_a_home_and_a_card_is_protected(ada, path):
    assert statuses(patch(ada, path, ("set", "<displayname>x</displayname>"))) == {f"{DAV}displayname": 403}


def test_only_who_owns_a_book_sets_its_properties_and_who_edits_a_card_those_of_the_card(application, filled, ada):
    filled.put("ada", "sales~leads", "lead.vcf", card("lead"))
    filled.grant("sales/leads", "user:carla", "contributor")
    carla = Client(application, "carla")

    assert statuses(patch(ada, f"{LEADS}lead.vcf", ("set", "<x:x>seen</x:x>"))) == {X: 200}
    assert patch(ada, LEADS, ("set", "<x:x/>")).conditions == ["need-privileges"]
    for path in ("/carla/sales~leads/", "/carla/sales~leads/lead.vcf"):
        assert patch(carla, path, ("set", "<x:x/>")).conditions == ["need-privileges"]
    assert one(carla, "/carla/sales~leads/lead.vcf").text == "seen"


@pytest.mark.parametrize(
    "path", [f"{OWN}none.vcf", "/ada/nowhere/", "/ben/contacts/", "/nobody/", "/ben/contacts/a.vcf"]
)
def test_what_is_not_there_has_no_properties(ada, path):
    assert patch(ada, path, ("set", "<x:x/>")).status == 404


@pytest.mark.parametrize("path", ["/", "/.well-known/carddav", "/sales/"])
def test_the_root_and_other_principals_keep_none(ada, path):
    answer = patch(ada, path, ("set", "<x:x/>"))

    assert (answer.status, answer.conditions) == (403, ["cannot-modify-protected-property"])


def test_if_match_guards_the_properties_of_a_card(ada):
    body = f"<propertyupdate {XMLNS}><set><prop><x xmlns='urn:x'/></prop></set></propertyupdate>"

    assert ada.request("PROPPATCH", A, body, If_Match='"x"').status == 412
    assert ada.request("PROPPATCH", A, body, If_Match=etags_of(ada, OWN)[A]).status == 207


@pytest.mark.parametrize("path", SUBJECTS)
def test_a_condition_that_fails_leaves_the_properties_of_anything_as_they_were(ada, path):
    body = f"<propertyupdate {XMLNS}><set><prop><x xmlns='urn:x'/></prop></set></propertyupdate>"
    condition = {"If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"} if path == A else {"If_Match": '"x"'}

    assert ada.request("PROPPATCH", path, body, **condition).status == 412
    assert one(ada, path) is None


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SUBJECTS)
def test_a_property_that_is_too_large_is_507_and_fails_the_others(ada, path):
    most = dead_properties.MOST_BYTES - len('<n0:x xmlns:n0="urn:x"></n0:x>')
    assert statuses(patch(ada, path, ("set", f"<x:x>{'x' * most}</x:x>"))) == {X: 200}

    answer = patch(ada, path, ("set", f"<x:y/><x:x>{'y' * (most + 1)}</x:x>"))

    assert statuses(answer) == {X: 507, Y: 424}
    assert answer.xml.find(f".//{DAV}error/{DAV}quota-not-exceeded") is not None
    assert (one(ada, path).text, one(ada, path, Y)) == ("x" * most, None)


@pytest.mark.parametrize("path", SUBJECTS)
def test_more_than_a_hundred_are_507_until_one_is_removed(ada, path):
    many = "".join(f"<x:p{number}/>" for number in range(100))
    assert set(statuses(patch(ada, path, ("set", many))).values()) == {200}

    assert statuses(patch(ada, path, ("set", "<x:x/>"))) == {X: 507}
    assert statuses(patch(ada, path, ("set", "<x:p7>again</x:p7>"))) == {"{urn:x}p7": 200}
    assert set(statuses(patch(ada, path, ("remove", "<x:p7/>"), ("set", "<x:x/>"))).values()) == {200}


def test_all_cards_of_a_book_together_have_a_limit(ada, filled, monkeypatch):
    monkeypatch.setattr(dead_properties, "MOST_OF_BOOK", 1000)
    filled.put("ada", "contacts", "b.vcf", card("b"))
    filled.put("ada", "sales~leads", "c.vcf", card("c"))
    assert statuses(patch(ada, A, ("set", f"<x:x>{'x' * 600}</x:x>"))) == {X: 200}

    for path in (OWN, f"{OWN}b.vcf"):
        assert statuses(patch(ada, path, ("set", f"<x:x>{'x' * 600}</x:x>"))) == {X: 507}
    assert statuses(patch(ada, f"{LEADS}c.vcf", ("set", f"<x:x>{'x' * 600}</x:x>"))) == {X: 200}
    answer = ada.request("COPY", A, Destination=f"{LEADS}a.vcf")
    assert (answer.status, answer.conditions) == (507, ["quota-not-exceeded"])
    assert ada.get(f"{LEADS}a.vcf").status == 404


def test_a_listing_reads_them_by_one_statement_and_only_if_it_is_asked_for_some(ada, filled, statements):
    for number in range(30):
        filled.put("ada", "contacts", f"{number}.vcf", card(f"uid{number}"))
    patch(ada, A, ("set", "<x:x>1</x:x>"))

    def cost(*names):
        statements.clear()
        shown = found(ada, OWN, *names, depth="1")
        assert len(shown) == 32
        return len(statements)

    assert cost(f"{DAV}getetag", X) == cost(f"{DAV}getetag", X, Y) == cost(f"{DAV}getetag") + 1
    assert not [one for one in statements.texts if "dead_properties" in one]


# -- where they go -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_they_go_along_with_a_card(ada, method):
    patch(ada, A, ("set", "<x:x>1</x:x>"))

    ada.request(method, A, Destination=f"{LEADS}there.vcf")

    assert one(ada, f"{LEADS}there.vcf").text == "1"


def test_a_deleted_card_loses_them_and_an_edited_one_keeps_them(ada):
    patch(ada, A, ("set", "<x:x>1</x:x>"))
    ada.put(A, card("a", "New"))
    assert one(ada, A).text == "1"

    ada.delete(A)
    ada.put(A, card("a"))

    assert one(ada, A) is None


def test_a_new_book_keeps_what_its_making_sets_and_passes_over_what_is_protected(ada):
    body = (
        f'<mkcol {XMLNS} xmlns:x="urn:x" xml:lang="de"><set><prop><resourcetype><collection/><C:addressbook/>'
        "</resourcetype><displayname>Freunde</displayname><getetag>1</getetag><C:supported-address-data/>"
        "<x:x>1</x:x></prop></set></mkcol>"
    )

    assert ada.request("MKCOL", "/ada/friends/", body).status == 201

    shown = found(ada, "/ada/friends/", asked="<d:allprop/>")["/ada/friends/"]
    assert (shown[f"{DAV}displayname"].text, shown[X].text, shown[X].get(LANG)) == ("Freunde", "1", "de")


def test_a_book_that_could_not_keep_its_properties_is_not_made(ada):
    many = "".join(f"<x:p{number}/>" for number in range(101))
    body = (
        f'<mkcol {XMLNS} xmlns:x="urn:x"><set><prop><resourcetype><collection/><C:addressbook/></resourcetype>'
        f"{many}</prop></set></mkcol>"
    )

    answer = ada.request("MKCOL", "/ada/friends/", body)

    assert (answer.status, answer.conditions) == (507, ["quota-not-exceeded"])
    assert ada.propfind("/ada/friends/", "resourcetype").status == 404


def test_of_two_updates_at_once_both_count(application):
    start = threading.Barrier(4)
    told = []

    def write(number):
        client = Client(application, "ada")
        start.wait()
        told.extend(statuses(patch(client, path, ("set", f"<x:p{number}>{number}</x:p{number}>"))) for path in SUBJECTS)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(told) == 12
    names = [f"{{urn:x}}p{number}" for number in range(4)]
    for path in SUBJECTS:
        assert sorted(found(Client(application, "ada"), path, *names)[path]) == names


# -- CalendarServer's me-card ------------------------------------------------------------------------------------------


def me(client, content):
    return statuses(patch(client, "/ada/", ("set", f"<CS:me-card>{content}</CS:me-card>")))


@pytest.mark.parametrize("href", [A, f"http://localhost{A}", "/ada/contacts/%61.vcf"])
def test_the_own_card_is_kept_on_the_home_and_told_in_its_listing(ada, href):
    assert me(ada, f"<href>{href}</href>") == {ME_CARD: 200}

    for depth in ("0", "1"):
        shown = found(ada, "/ada/", ME_CARD, f"{DAV}displayname", depth=depth)
        assert shown["/ada/"][ME_CARD].findtext(f"{DAV}href") == href
        assert [url for url, props in shown.items() if ME_CARD in props] == ["/ada/"]
    assert statuses(patch(ada, "/ada/", ("remove", "<CS:me-card/>"))) == {ME_CARD: 200}
    assert one(ada, "/ada/", ME_CARD) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        A,
        f"<href>{OWN}none.vcf</href>",
        f"<href>{OWN}</href>",
        "<href>/ben/contacts/b.vcf</href>",
        "<href>http://elsewhere.example.org/ada/contacts/a.vcf</href>",
        "<href/>",
        f"<href>{A}</href><href>{A}</href>",
        f"<x:href>{A}</x:href>",
    ],
)
def test_an_own_card_that_one_can_not_read_is_409(ada, filled, content):
    filled.put("ben", "contacts", "b.vcf", card("b"))

    assert me(ada, content) == {ME_CARD: 409}
    assert one(ada, "/ada/", ME_CARD) is None


def test_allow_tells_that_the_own_home_can_be_changed(ada):
    assert "PROPPATCH" in ada.request("OPTIONS", "/ada/").headers["Allow"].split(", ")
    assert "PROPPATCH" not in ada.request("OPTIONS", "/").headers["Allow"].split(", ")
