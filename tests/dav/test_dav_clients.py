"""Set-up, sync and edit as the known clients do it: nothing that they need is missing, and they end like the server.

Which properties each asks for is from their sources. What a client asks for and gets a 404 propstat on is listed here
as "optional": it lives without.
"""

import pytest

from radicale_shared import books
from tests.conftest import card
from tests.dav.conftest import CARDDAV, DAV, Client

CS = "{http://calendarserver.org/ns/}"
MORE = 'xmlns:ME="http://me.com/_namespace/" xmlns:CAL="urn:ietf:params:xml:ns:caldav" xmlns:P="https://bitfire.at/webdav-push"'
NS = {"D": DAV, "C": CARDDAV, "CS": CS}

BOOKS = ["/ada/contacts/", "/ada/sales~leads/"]
LEADS = BOOKS[1]


@pytest.fixture
def new_client(application, organisation):
    organisation.put("ben", "sales~leads", "first.vcf", card("first"))
    return lambda user_agent: Client(application, "ada", user_agent=user_agent)


def ask(client, path, needed, optional="", depth="0", **headers):
    """A PROPFIND; every needed property must be there on every resource. Returns the answer."""
    names = [*needed.split(), *optional.split()]
    props = "".join(f"<{name}/>" for name in names)
    body = (
        f'<?xml version="1.0"?><D:propfind xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav" '
        f'xmlns:CS="http://calendarserver.org/ns/" {MORE}><D:prop>{props}</D:prop></D:propfind>'
    )
    answer = client.request("PROPFIND", path, body, Depth=depth, Content_Type="application/xml", **headers)
    assert answer.status == 207
    for href in answer.hrefs:
        first = answer.responses[href].find(f"{DAV}propstat")
        assert first.findtext(f"{DAV}status") == "HTTP/1.1 200 OK"
    return answer


def has(answer, href, names):
    """Assert that a resource has properties, e.g. "D:owner CS:getctag"."""
    for name in names.split():
        prefix, _, local = name.partition(":")
        assert answer.prop(href, NS[prefix] + local) is not None, f"{href} has no {name}"


def link(answer, path, name):
    return answer.prop(path, name).findtext(f"{DAV}href")


def books_of(answer):
    return [
        href
        for href in answer.hrefs
        if answer.prop(href, f"{DAV}resourcetype").find(f"{CARDDAV}addressbook") is not None
    ]


def fetched(answer):
    return {href: answer.text(href, f"{CARDDAV}address-data").encode() for href in answer.hrefs}


# -- iOS ---------------------------------------------------------------------------------------------------------------


def test_ios_contacts(new_client, ben):
    phone = new_client("iOS/17.5 (21F79) dataaccessd/1.0")
    for path in ("/.well-known/carddav", "/"):
        found = ask(phone, path, "D:current-user-principal", "D:principal-URL D:resourcetype")
        principal = link(found, path, f"{DAV}current-user-principal")
    assert "addressbook" in phone.request("OPTIONS", principal).headers["DAV"]
    found = ask(
        phone,
        principal,
        "C:addressbook-home-set D:displayname D:principal-collection-set D:supported-report-set",
        "C:directory-gateway CS:email-address-set D:resource-id D:principal-URL",
    )
    has(found, principal, "C:addressbook-home-set D:displayname D:principal-collection-set D:supported-report-set")
    home = link(found, principal, f"{CARDDAV}addressbook-home-set")

    needed = "D:current-user-privilege-set D:displayname D:owner D:resourcetype D:supported-report-set D:sync-token"
    optional = (
        "D:add-member ME:bulk-requests C:max-image-size C:max-resource-size CS:me-card CS:push-transports CS:pushkey "
        "D:quota-available-bytes D:quota-used-bytes D:resource-id"
    )
    listed = ask(phone, home, needed, optional, depth="1")
    assert books_of(listed) == BOOKS
    for href in BOOKS:
        has(listed, href, needed)
    has(ask(phone, LEADS, "CS:getctag D:sync-token"), LEADS, "CS:getctag D:sync-token")

    cards = ask(phone, LEADS, "D:getetag", "D:resourcetype", depth="1").hrefs[1:]
    assert fetched(phone.multiget(LEADS, *cards)) == {f"{LEADS}first.vcf": card("first")}

    before = ask(phone, LEADS, "CS:getctag").text(LEADS, f"{CS}getctag")
    ben.put("/ben/sales~leads/two.vcf", card("two"))
    assert ask(phone, LEADS, "CS:getctag").text(LEADS, f"{CS}getctag") != before
    assert phone.put(f"{LEADS}three.vcf", card("three"), If_None_Match="*").status == 201


# -- DAVx5 -------------------------------------------------------------------------------------------------------------


def test_davx5(new_client, ben):
    phone = new_client("DAVx5/4.4.1-ose (dav4jvm; okhttp/4.12.0) Android/14")
    found = ask(
        phone,
        "/",
        "D:resourcetype D:current-user-principal",
        "D:displayname C:addressbook-home-set C:addressbook-description",
    )
    principal = link(found, "/", f"{DAV}current-user-principal")
    assert "addressbook" in phone.request("OPTIONS", principal).headers["DAV"]
    found = ask(phone, principal, "D:displayname D:resourcetype C:addressbook-home-set", "D:group-membership")
    has(found, principal, "D:displayname D:resourcetype C:addressbook-home-set")
    home = link(found, principal, f"{CARDDAV}addressbook-home-set")
    needed = "D:current-user-privilege-set D:displayname D:owner D:resourcetype"
    listed = ask(phone, home, needed, "C:addressbook-description P:transports P:topic", depth="1")
    assert books_of(listed) == BOOKS
    has(listed, home, "D:current-user-privilege-set")
    for href in BOOKS:
        has(listed, href, needed)
    needed = "CS:getctag D:sync-token D:supported-report-set C:max-resource-size C:supported-address-data"
    has(ask(phone, LEADS, needed, "CAL:max-resource-size"), LEADS, needed)

    first = phone.sync(LEADS)
    assert fetched(phone.multiget(LEADS, *first.hrefs)) == {f"{LEADS}first.vcf": card("first")}
    etag = first.text(first.hrefs[0], f"{DAV}getetag")
    assert phone.put(first.hrefs[0], card("first", "Mine"), If_Match=etag).status == 204
    ben.put("/ben/sales~leads/two.vcf", card("two"))
    second = phone.sync(LEADS, first.token)
    assert sorted(second.hrefs) == [f"{LEADS}first.vcf", f"{LEADS}two.vcf"]

    refused = phone.delete(f"{LEADS}two.vcf", If_Match=second.text(f"{LEADS}two.vcf", f"{DAV}getetag"))
    assert refused.conditions == ["need-privileges"]  # any other 403 would stop its sync for good
    third = phone.sync(LEADS, second.token)
    assert third.hrefs == [f"{LEADS}two.vcf"]  # the phone has dropped it: it comes back
    assert phone.sync(LEADS, third.token).hrefs == []


# -- Thunderbird -------------------------------------------------------------------------------------------------------


def test_thunderbird(new_client, ben, organisation):
    mail = new_client("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0")
    found = ask(mail, "/.well-known/carddav", "D:current-user-principal", "D:resourcetype D:displayname")
    principal = link(found, "/.well-known/carddav", f"{DAV}current-user-principal")
    home = link(ask(mail, principal, "C:addressbook-home-set"), principal, f"{CARDDAV}addressbook-home-set")
    needed = "D:resourcetype D:displayname D:current-user-privilege-set"
    listed = ask(mail, home, needed, depth="1")
    assert books_of(listed) == BOOKS
    privileges = {
        one[0].tag.removeprefix(DAV) for one in listed.prop("/ada/contacts/", f"{DAV}current-user-privilege-set")
    }
    assert "write" in privileges

    cards = ask(mail, LEADS, "D:getetag", "D:resourcetype", depth="1").hrefs[1:]
    assert fetched(mail.multiget(LEADS, *cards)) == {f"{LEADS}first.vcf": card("first")}
    token = ask(mail, LEADS, "D:sync-token").text(LEADS, f"{DAV}sync-token")
    ben.put("/ben/sales~leads/two.vcf", card("two"))
    told = mail.sync(LEADS, token, data=True)
    assert fetched(told) == {f"{LEADS}two.vcf": card("two")}

    assert mail.put(f"{LEADS}two.vcf", card("two", "Blind")).status == 204  # no If-Match at all
    assert fetched(mail.multiget(LEADS, f"{LEADS}two.vcf")) == {f"{LEADS}two.vcf": card("two", "Blind")}
    with organisation.db.write() as session:
        books.new_epoch(session)
    assert mail.sync(LEADS, told.token).status == 400  # after a 403 it would never sync this book again
    assert len(mail.sync(LEADS, data=True).hrefs) == 2


# -- Evolution ---------------------------------------------------------------------------------------------------------


def test_evolution(new_client, ben):
    desktop = new_client("Evolution/3.52.3")
    allowed = desktop.request("OPTIONS", LEADS)
    assert "addressbook" in allowed.headers["DAV"]
    assert "PUT" in allowed.headers["Allow"]
    needed = "CS:getctag C:supported-address-data D:supported-report-set D:current-user-privilege-set"
    has(ask(desktop, LEADS, needed, Prefer="return=minimal"), LEADS, needed)

    token = ask(desktop, LEADS, "D:sync-token").text(LEADS, f"{DAV}sync-token")
    assert ":" in token  # without these two it would take the token for a ctag
    assert "/" in token
    etags = ask(desktop, LEADS, "D:getetag", depth="1")
    assert fetched(desktop.multiget(LEADS, *etags.hrefs[1:])) == {f"{LEADS}first.vcf": card("first")}

    created = desktop.put(f"{LEADS}new.vcf", card("new"), If_None_Match="*")
    assert created.status == 201
    assert desktop.put(f"{LEADS}new.vcf", card("new", "Two"), If_Match=created.etag).status == 204
    ben.put("/ben/sales~leads/new.vcf", card("new", "Ben's"))
    assert desktop.put(f"{LEADS}new.vcf", card("new", "Three"), If_Match=created.etag).status == 412
    assert desktop.sync(LEADS, token).hrefs == [f"{LEADS}new.vcf"]
    assert desktop.sync(LEADS, "a-token-of-old").conditions == ["valid-sync-token"]


# -- KDE ---------------------------------------------------------------------------------------------------------------


def test_kde_kontact(new_client, ben):
    desktop = new_client("Mozilla/5.0 (X11; Linux x86_64) KHTML/5.246 (like Gecko) Konqueror/5 KIO/5.115")
    needed = "D:displayname D:resourcetype CS:getctag D:current-user-privilege-set"
    listed = ask(desktop, "/ada/", needed, depth="1")
    assert books_of(listed) == BOOKS
    for href in BOOKS:
        has(listed, href, needed)
    before = listed.text(LEADS, f"{CS}getctag")
    assert ask(desktop, "/ada/", needed, depth="1").text(LEADS, f"{CS}getctag") == before
    ben.put("/ben/sales~leads/two.vcf", card("two"))
    assert ask(desktop, "/ada/", needed, depth="1").text(LEADS, f"{CS}getctag") != before

    items = ask(desktop, LEADS, "D:resourcetype D:getetag", "D:displayname", depth="1")
    assert [href for href in items.hrefs if href not in books_of(items)] == [f"{LEADS}first.vcf", f"{LEADS}two.vcf"]
    body = (
        '<addressbook-multiget xmlns="urn:ietf:params:xml:ns:carddav"><prop xmlns="DAV:"><getetag/>'
        '<address-data xmlns="urn:ietf:params:xml:ns:carddav"><allprop/></address-data></prop>'
        f'<href xmlns="DAV:">{LEADS}two.vcf</href></addressbook-multiget>'
    )
    assert fetched(desktop.request("REPORT", LEADS, body, Depth="1")) == {f"{LEADS}two.vcf": card("two")}
    refused = desktop.delete(f"{LEADS}two.vcf")
    assert refused.status == 403
    after = ask(desktop, LEADS, "D:getetag", "D:resourcetype", depth="1")
    assert after.text(f"{LEADS}two.vcf", f"{DAV}getetag") != items.text(f"{LEADS}two.vcf", f"{DAV}getetag")


# -- vdirsyncer --------------------------------------------------------------------------------------------------------


def test_vdirsyncer(new_client, ben):
    tool = new_client("vdirsyncer/0.20.0")
    found = ask(tool, "/.well-known/carddav", "D:current-user-principal")
    principal = link(found, "/.well-known/carddav", f"{DAV}current-user-principal")
    home = link(ask(tool, principal, "C:addressbook-home-set"), principal, f"{CARDDAV}addressbook-home-set")
    assert books_of(ask(tool, home, "D:resourcetype", depth="1")) == BOOKS

    listed = ask(tool, LEADS, "D:getcontenttype D:getetag", "D:resourcetype", depth="1")
    kept = [href for href in listed.hrefs if listed.prop(href, f"{DAV}getetag") is not None]
    assert kept == [f"{LEADS}first.vcf"]
    assert "text/vcard" in listed.text(kept[0], f"{DAV}getcontenttype")
    assert fetched(tool.multiget(LEADS, *kept)) == {f"{LEADS}first.vcf": card("first")}

    created = tool.put(f"{LEADS}a%2520b.vcf".replace("%25", "%"), card("new"), If_None_Match="*")
    assert (created.status, created.body) == (201, b"")
    assert tool.put(f"{LEADS}first.vcf", card("first", "Two"), If_Match=listed.text(kept[0], f"{DAV}getetag")).etag
    assert tool.put(f"{LEADS}first.vcf", card("first", "Three"), If_Match='"stale"').status == 412
    assert tool.put("/ada/contacts/mine.vcf", card("mine"), If_None_Match="*").etag
    mine = tool.get("/ada/contacts/mine.vcf").etag
    assert tool.delete("/ada/contacts/mine.vcf", If_Match=mine).status == 204


def test_outlooks_caldav_synchronizer(new_client):
    outlook = new_client("CalDavSynchronizer/4.4.1")
    listed = ask(outlook, "/ada/", "D:resourcetype D:displayname", "D:current-user-privilege-set", depth="1")
    assert books_of(listed) == BOOKS
    told = {one[0].tag.removeprefix(DAV) for one in listed.prop(LEADS, f"{DAV}current-user-privilege-set")}
    assert {"write-content", "bind"} <= told
    assert not {"write", "unbind"} & told
    has(
        ask(outlook, f"{LEADS}first.vcf", "D:getetag D:getcontenttype"),
        f"{LEADS}first.vcf",
        "D:getetag D:getcontenttype",
    )
    assert outlook.mkcol("/ada/from-outlook/", "From Outlook").status == 201
