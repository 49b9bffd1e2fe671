"""Making books (extended MKCOL, RFC 5689) and changing what people see of them (PROPPATCH)."""

import pytest

from tests.dav.conftest import CARDDAV, DAV, XMLNS, token_of

BOOK = "/ada/contacts/"
COLOR = "{http://inf-it.com/ns/ab/}addressbook-color"
ASK_COLOR = '<propfind xmlns="DAV:"><prop><c:addressbook-color xmlns:c="http://inf-it.com/ns/ab/"/></prop></propfind>'


def patch(client, path, *actions):
    body = "".join(f"<{action}><prop>{props}</prop></{action}>" for action, props in actions)
    xmlns = f'{XMLNS} xmlns:I="http://inf-it.com/ns/ab/"'
    return client.request("PROPPATCH", path, f"<propertyupdate {xmlns}>{body}</propertyupdate>")


def shown(client, path=BOOK):
    found = client.propfind(path, "displayname", "C:addressbook-description")
    return [
        found.text(path, f"{DAV}displayname"),
        getattr(found.prop(path, f"{CARDDAV}addressbook-description"), "text", None),
    ]


def statuses(answer, href=BOOK):
    """{name: status} of a PROPPATCH."""
    return {
        prop.tag.rpartition("}")[2]: propstat.findtext(f"{DAV}status").removeprefix("HTTP/1.1 ")
        for propstat in answer.responses[href].findall(f"{DAV}propstat")
        for prop in propstat.find(f"{DAV}prop")
    }


# -- MKCOL -------------------------------------------------------------------------------------------------------------


def test_a_new_book_in_the_own_home_is_there_at_once_and_empty(ada):
    assert ada.mkcol("/ada/friends/", "Friends &amp; Family").status == 201

    assert ada.propfind("/ada/", "resourcetype", depth="1").hrefs == [
        "/ada/",
        BOOK,
        "/ada/friends/",
        "/ada/sales~leads/",
    ]
    assert shown(ada, "/ada/friends/") == ["Friends & Family", None]
    assert ada.sync("/ada/friends/").hrefs == []


def test_a_book_without_a_name_has_its_slugs(ada):
    ada.mkcol("/ada/friends")

    assert shown(ada, "/ada/friends/")[0] == "friends"


def test_description_and_colour_are_kept_and_wishes_for_protected_properties_passed_over(ada):
    body = (
        f'<mkcol {XMLNS} xmlns:I="http://inf-it.com/ns/ab/"><set><prop>'
        "<resourcetype><collection/><C:addressbook/></resourcetype>"
        "<C:addressbook-description>Old friends</C:addressbook-description>"
        "<I:addressbook-color>#ff0000ff</I:addressbook-color>"
        "<C:supported-address-data/></prop></set></mkcol>"
    )

    assert ada.request("MKCOL", "/ada/friends/", body).status == 201
    assert shown(ada, "/ada/friends/")[1] == "Old friends"
    assert ada.request("PROPFIND", "/ada/friends/", ASK_COLOR).text("/ada/friends/", COLOR) == "#ff0000ff"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 405),
        ("/.well-known/carddav", 405),
        ("/ada/", 405),
        (BOOK, 405),
        ("/ada/sales~leads/", 405),
        ("/ben/friends/", 409),
        ("/nobody/friends/", 409),
        ("/sales/friends/", 409),
        ("/friends/", 409),
        ("/ada/friends/deeper/", 409),
        ("/ada/sales~new/", 403),
        ("/ada/Friends/", 403),
        ("/ada/a b/", 403),
        ("/ada/all/", 403),
        ("/ada/.hidden/", 403),
    ],
)
def test_books_are_made_in_the_own_home_only_under_a_legal_name(ada, path, status):
    before = ada.propfind("/ada/", "sync-token", depth="1").body

    answer = ada.mkcol(path)

    assert answer.status == status
    assert answer.conditions == []
    assert ada.propfind("/ada/", "sync-token", depth="1").body == before


CALENDAR = '<c:calendar xmlns:c="urn:ietf:params:xml:ns:caldav"/>'


@pytest.mark.parametrize("kind", [CALENDAR, f"<C:addressbook/>{CALENDAR}", "", "<x/>"])
def test_calendars_and_other_collections_are_refused(ada, kind):
    answer = ada.mkcol("/ada/friends/", kind=kind)

    assert (answer.status, answer.conditions) == (403, ["valid-resourcetype"])


def test_a_plain_mkcol_makes_nothing_as_it_asks_for_no_address_book(ada):
    assert ada.request("MKCOL", "/ada/friends/").conditions == ["valid-resourcetype"]
    assert ada.propfind("/ada/friends/", "displayname").status == 404


def test_the_address_of_a_book_in_the_trash_is_free(ada):
    ada.mkcol("/ada/friends/")
    ada.delete("/ada/friends/")

    assert ada.mkcol("/ada/friends/").status == 201


# -- PROPPATCH ---------------------------------------------------------------------------------------------------------


def test_name_description_and_colour_can_be_set_and_removed(ada):
    answer = patch(
        ada,
        BOOK,
        ("set", "<displayname>A &amp; B</displayname><C:addressbook-description>x</C:addressbook-description>"),
    )
    assert (answer.status, statuses(answer)) == (207, {"displayname": "200 OK", "addressbook-description": "200 OK"})
    assert shown(ada) == ["A & B", "x"]

    patch(ada, BOOK, ("remove", "<displayname/><C:addressbook-description/>"))
    assert shown(ada) == ["contacts", None]

    patch(ada, BOOK, ("set", "<I:addressbook-color>#00ff00</I:addressbook-color>"))
    assert ada.request("PROPFIND", BOOK, ASK_COLOR).text(BOOK, COLOR) == "#00ff00"


def test_one_property_that_can_not_be_set_fails_all_others(ada):
    before = shown(ada), token_of(ada, BOOK)

    answer = patch(
        ada,
        BOOK,
        ("set", "<displayname>New</displayname><getetag>x</getetag>"),
        ("set", "<unknown xmlns='x'>y</unknown>"),
    )

    assert statuses(answer) == {
        "displayname": "424 Failed Dependency",
        "getetag": "403 Forbidden",
        "unknown": "424 Failed Dependency",
    }
    assert (shown(ada), token_of(ada, BOOK)) == before
    assert answer.xml.find(f".//{DAV}error/{DAV}cannot-modify-protected-property") is not None


def test_the_last_of_several_wishes_counts(ada):
    patch(
        ada,
        BOOK,
        ("set", "<displayname>One</displayname>"),
        ("remove", "<displayname/>"),
        ("set", "<displayname>Two</displayname>"),
    )

    assert shown(ada)[0] == "Two"


def test_a_name_that_is_too_long_is_refused_and_changes_nothing(ada):
    answer = patch(ada, BOOK, ("set", f"<displayname>{'x' * 501}</displayname>"))

    assert answer.status == 403
    assert shown(ada)[0] == "Contacts"


@pytest.mark.parametrize("path", ["/", "/sales/"])
def test_the_root_and_other_principals_have_no_properties_to_set(ada, path):
    answer = patch(ada, path, ("set", "<displayname>x</displayname>"))

    assert (answer.status, answer.conditions) == (403, ["cannot-modify-protected-property"])


def test_who_does_not_own_a_book_may_not_rename_it(ada):
    answer = patch(ada, "/ada/sales~leads/", ("set", "<displayname>Mine</displayname>"))

    assert (answer.status, answer.conditions) == (403, ["need-privileges"])
    assert shown(ada, "/ada/sales~leads/")[0] == "Leads"


def test_a_new_name_is_seen_by_everyone_and_leaves_addresses_and_tokens(ada, ben, organisation):
    organisation.grant("ada/contacts", "user:ben", "viewer")
    before = token_of(ben, "/ben/ada~contacts/")

    patch(ada, BOOK, ("set", "<displayname>Our friends</displayname>"))

    assert shown(ben, "/ben/ada~contacts/")[0] == "Our friends"
    assert token_of(ben, "/ben/ada~contacts/") == before
