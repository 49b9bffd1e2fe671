"""The If header (RFC 4918, section 10.4), with sync tokens as states (RFC 6578, section 5)."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.dav import if_header
from radicale_shared.dav.http import BadRequestError
from radicale_shared.dav.if_header import Condition
from tests.conftest import card
from tests.dav.conftest import XMLNS, Client, etags_of, token_of

OWN = "/ada/contacts/"
A, B = f"{OWN}a.vcf", f"{OWN}b.vcf"
LOCK = "<urn:uuid:181d4fae-7d8c-11d0-a765-00a0c91e6bf2>"


@pytest.fixture
def states(ada, organisation):
    """What stands in the tests' headers for: the ETags of two cards and the token of their book."""
    organisation.put("ada", "contacts", "a.vcf", card("a"))
    organisation.put("ada", "contacts", "b.vcf", card("b"))
    etags = etags_of(ada, OWN)
    return {"A": etags[A], "B": etags[B], "TOKEN": token_of(ada, OWN), "HOME": token_of(ada, "/ada/")}


def filled_in(header, states):
    for name, state in states.items():
        header = header.replace(f"@{name}", state)
    return header


TRUE = [
    "([@A])",
    "( [@A] )",
    '(["x"]) ([@A])',
    "([@A])(<x:y>)",
    '(Not ["x"])',
    "(Not <DAV:no-lock>)",
    "(not<DAV:no-lock>)",
    f"(Not {LOCK} [@A])",
    f"({LOCK}) (Not <DAV:no-lock>)",
    "(Not [@B] Not <@TOKEN> [@A])",
    "</ada/contacts/> (<@TOKEN>)",
    "</ada/contacts> (<@TOKEN>)",
    "<http://localhost/ada/contacts/> (<@TOKEN>)",
    "</ada/> (<@HOME>)",
    "</ada/contacts/a.vcf> ([@A])",
    "</ada/contacts/%61.vcf> ([@A])",
    "</ada/contacts/b.vcf> ([@A]) ([@B])",
    "</ada/contacts/b.vcf> ([@A]) </ada/contacts/a.vcf> ([@A])",
    "</ada/contacts/none.vcf> (Not [@A])",
    "</nobody/contacts/> (Not <@TOKEN>)",
    "<http://elsewhere.example.org/ada/contacts/> (Not <@TOKEN>)",
    "</ada/contacts/../x> (Not <@TOKEN>)",
]
FALSE = [
    "([@B])",
    '(["x"])',
    "([W/@A])",
    "(Not [@A])",
    "([@A] [@B])",
    "([@A] <DAV:no-lock>)",
    f"({LOCK})",
    "(<@TOKEN>)",
    "</ada/contacts/> ([@A])",
    "</ada/contacts/> (Not <@TOKEN>)",
    "</ada/contacts/> (<radicale-shared:/sync/0/0/0/0/0/0>)",
    "</ada/contacts/b.vcf> ([@A])",
    "</ada/contacts/none.vcf> ([@A])",
    "</ben/contacts/> (<@TOKEN>)",
    "<http://elsewhere.example.org/ada/contacts/a.vcf> ([@A])",
    "</> (<@TOKEN>)",
]
MALFORMED = [
    "",
    " ",
    "()",
    "(",
    ")",
    "([@A]",
    "[@A]",
    "@A",
    "(@A)",
    "([x])",
    "(Not)",
    "(Not Not [@A])",
    "([@A]) Not",
    "</ada/contacts/>",
    "</ada/contacts/> </ada/> ([@A])",
    "([@A]) </ada/contacts/a.vcf> ([@A])",
    "</ada/contacts/a.vcf> ([@A]) </ada/>",
    "(([@A]))",
    "(<no-uri>)",
    "(</ada/>)",
    "<a.vcf> ([@A])",
    "<//localhost/ada/> ([@A])",
    "(<DAV:no-lock)",
    "([@A]) x",
    "([@A]), ([@B])",
    "(<x:y> OR [@A])",
    "(" + '["x"]' * 1001 + ")",
    "</ada/> (<x:y>)" + "".join(f" </ada/{number}/> (<x:y>)" for number in range(20)),
]


def writes(client, header):
    """A request by each method that writes, each with the header, about the card or what it is to be."""
    prop = f"<propertyupdate {XMLNS}><set><prop><x xmlns='urn:x'/></prop></set></propertyupdate>"
    vcard = {"Content_Type": "text/vcard"}
    return {
        "PUT": lambda: client.request("PUT", A, card("a", "New"), If=header, **vcard),
        "DELETE": lambda: client.request("DELETE", A, If=header),
        "COPY": lambda: client.request("COPY", A, If=header, Destination="/ada/sales~leads/a.vcf"),
        "MOVE": lambda: client.request("MOVE", A, If=header, Destination=f"{OWN}moved.vcf"),
        "PROPPATCH": lambda: client.request("PROPPATCH", A, prop, If=header),
    }


WRITES = ["PUT", "DELETE", "COPY", "MOVE", "PROPPATCH"]


@pytest.mark.parametrize("header", TRUE)
def test_a_header_that_holds_lets_the_write_pass(ada, states, header):
    assert ada.put(A, card("a", "New"), If=filled_in(header, states)).status == 204


@pytest.mark.parametrize("header", FALSE)
def test_one_that_does_not_is_412_and_changes_nothing(ada, states, header):
    assert ada.put(A, card("a", "New"), If=filled_in(header, states)).status == 412
    assert ada.get(A).body == card("a")


@pytest.mark.parametrize("header", MALFORMED)
def test_what_is_not_by_the_grammar_is_400_and_changes_nothing(ada, states, header):
    assert ada.put(A, card("a", "New"), If=filled_in(header, states)).status == 400
    assert ada.get(A).body == card("a")


@pytest.mark.parametrize("method", WRITES)
def test_every_method_that_writes_looks_at_it(ada, states, method):
    before = etags_of(ada, OWN)

    assert writes(ada, "([@A")[method]().status == 400
    assert writes(ada, filled_in("([@B])", states))[method]().status == 412
    assert etags_of(ada, OWN).keys() == before.keys()
    shown = etags_of(ada, OWN)[A]
    assert writes(ada, f"([{shown}])")[method]().status in {201, 204, 207}


def test_a_new_card_has_no_etag_yet(ada, states):
    new = f"{OWN}new.vcf"

    assert ada.put(new, card("new"), If=filled_in("([@A])", states)).status == 412
    assert ada.put(new, card("new"), If=filled_in("(Not [@A])", states)).status == 201


def test_a_card_is_written_only_if_its_book_is_as_the_client_saw_it(ada, states, organisation):
    header = filled_in(f"<{OWN}> (<@TOKEN>)", states)
    organisation.put("ada", "contacts", "c.vcf", card("c"))

    assert ada.put(A, card("a", "New"), If=header).status == 412
    now = f"<{OWN}> (<{token_of(ada, OWN)}>)"
    assert ada.put(A, card("a", "New"), If=now).status == 204
    assert ada.put(A, card("a", "Newer"), If=now).status == 412


def test_a_book_is_deleted_or_renamed_only_in_the_state_that_is_named(ada, states):
    rename = f"<propertyupdate {XMLNS}><set><prop><displayname>New</displayname></prop></set></propertyupdate>"
    wrong, right = "(<x:y>)", filled_in("(<@TOKEN>)", states)

    assert ada.request("PROPPATCH", OWN, rename, If=wrong).status == 412
    assert ada.request("PROPPATCH", OWN, rename, If=right).status == 207
    assert ada.request("DELETE", OWN, If=wrong).status == 412
    assert ada.request("DELETE", OWN, If=right).status == 204


def test_a_book_is_made_only_in_the_state_of_the_home_that_is_named(ada, states):
    def mkcol(header):
        kind = "<resourcetype><collection/><C:addressbook/></resourcetype>"
        body = f"<mkcol {XMLNS}><set><prop>{kind}</prop></set></mkcol>"
        return ada.request("MKCOL", "/ada/friends/", body, If=filled_in(header, states))

    assert mkcol("(<x:y>)").status == 412
    assert mkcol("</ada/> (<@HOME>)").status == 201


def test_the_home_is_changed_only_in_the_state_that_is_named(ada, states):
    body = f"<propertyupdate {XMLNS}><set><prop><x xmlns='urn:x'/></prop></set></propertyupdate>"

    assert ada.request("PROPPATCH", "/ada/", body, If="(<x:y>)").status == 412
    assert ada.request("PROPPATCH", "/ada/", body, If=filled_in("(<@HOME>)", states)).status == 207


def test_a_move_may_name_the_state_of_its_destination(ada, organisation, states):
    organisation.put("ada", "sales~leads", "a.vcf", card("a", "Old"))
    etag = etags_of(ada, "/ada/sales~leads/")["/ada/sales~leads/a.vcf"]
    to = "/ada/sales~leads/a.vcf"

    assert ada.request("MOVE", A, Destination=to, If=f'<{to}> (["x"])').status == 412
    assert ada.request("MOVE", A, Destination=to, If=f"<{to}> ([{etag}])").status == 204


def test_a_write_that_fails_by_it_is_taken_back_at_the_next_sync(ada, states):
    token = token_of(ada, OWN)

    assert ada.put(A, card("a", "Mine"), If='(["x"])').status == 412

    assert ada.sync(OWN, token).hrefs == [A]
    assert ada.put(A, card("a", "Mine"), If=f"([{etags_of(ada, OWN)[A]}])").status == 204


def test_a_state_of_what_one_may_not_read_never_holds(application, states):
    carla = Client(application, "carla")
    carla.put("/carla/contacts/c.vcf", card("c"))

    for tag in ("/ada/contacts/", "/ada/contacts/a.vcf", "/carla/ada~contacts/", "/sales/leads/"):
        for state in ("[@A]", "<@TOKEN>"):
            header = filled_in(f"<{tag}> ({state})", states)
            assert carla.put("/carla/contacts/c.vcf", card("c", "New"), If=header).status == 412


def test_of_writers_that_name_one_state_only_one_wins(application, states):
    header = filled_in("([@A])", states)
    found = []
    start = threading.Barrier(4)

    def write(number):
        client = Client(application, "ada")
        start.wait()
        found.append(client.put(A, card("a", f"Writer {number}"), If=header).status)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)

    assert sorted(found) == [204, 412, 412, 412]


# -- the grammar -------------------------------------------------------------------------------------------------------

_uris = st.sampled_from(["DAV:no-lock", "urn:uuid:1", "http://example.org/a?b", "radicale-shared:/sync/1"])
_etags = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'), max_size=6)
_conditions = st.builds(
    lambda named, negated: Condition(named[1], is_etag=named[0], negated=negated),
    st.tuples(st.just(True), _etags) | st.tuples(st.just(False), _uris),
    st.booleans(),
)
_lists = st.lists(_conditions, min_size=1, max_size=4)
_tags = st.sampled_from(["/", "/ada/", "http://localhost/ada/x"])
_headers = st.lists(st.tuples(st.none(), st.lists(_lists, min_size=1, max_size=3)), min_size=1, max_size=1) | st.lists(
    st.tuples(_tags, st.lists(_lists, min_size=1, max_size=3)), min_size=1, max_size=3
)


def written(parts, space):
    """The header of [(tag, lists of conditions)]."""
    words = []
    for tag, lists in parts:
        words += [f"<{tag}>"] if tag else []
        for conditions in lists:
            inside = [
                ("Not " if one.negated else "") + (f'["{one.named}"]' if one.is_etag else f"<{one.named}>")
                for one in conditions
            ]
            words.append(f"({space.join(inside)})")
    return space.join(words)


@given(parts=_headers, space=st.sampled_from(["", " ", "\t", "  "]))
def test_what_is_by_the_grammar_is_read_as_it_was_written(parts, space):
    read = [(one.tag, one.conditions) for one in if_header.parse(written(parts, space))]

    assert read == [(tag, conditions) for tag, lists in parts for conditions in lists]


@given(header=st.text(st.sampled_from('()<>[]" Notx:/W'), max_size=30) | st.text(max_size=20))
def test_anything_else_is_refused_in_one_way(header):
    try:
        lists = if_header.parse(header)
    except BadRequestError:
        return
    assert all(one.conditions for one in lists)
