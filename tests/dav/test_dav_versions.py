"""vCard 3.0 and 4.0 of one card: each client gets what it can read, and neither destroys what the other wrote."""

import pytest
from sqlalchemy import delete

from radicale_shared import bodies, history, integrity
from radicale_shared.models import Body, table
from tests.conftest import card
from tests.dav.conftest import CARDDAV, XMLNS, Client, token_of

BOOK = "/ada/contacts/"
URL = f"{BOOK}a.vcf"

FOUR = card(
    "a",
    "Anna Adler",
    "KIND:individual",
    "TEL;VALUE=uri;PREF=1;TYPE=\"voice,cell\":tel:+49-170-555",
    "BDAY:--0320",
    "item1.URL:https://example.com/a",
    "item1.X-ABLabel:Shop",
    "X-OF-THE-PHONE:kept",
    "RELATED;TYPE=spouse;VALUE=text:Otto",
    version="4.0",
)  # fmt: skip
THREE = card("a", "Anna Adler", "TEL;TYPE=CELL,pref:+49 170 555", "BDAY:1990-03-20", "NOTE:three", "X-OF-IOS:kept")


def asked(version=""):
    attribute = f' version="{version}" content-type="text/vcard"' if version else ""
    return (
        f"<C:addressbook-multiget {XMLNS}><prop><getetag/><C:address-data{attribute}/></prop>"
        f"<href>{URL}</href></C:addressbook-multiget>"
    )


def fetched(client, version="", path=BOOK):
    answer = client.request("REPORT", path, asked(version))
    assert answer.status == 207
    return answer.text(URL, f"{CARDDAV}address-data").encode()


def lines(data):
    return data.decode().replace("\r\n ", "").split("\r\n")


@pytest.fixture
def phone(application, organisation):
    return Client(application, "ada", user_agent="iOS/17.5 (21F79) dataaccessd/1.0")


@pytest.fixture
def android(application, organisation):
    return Client(application, "ada", user_agent="DAVx5/4.4.1-ose (dav4jvm; okhttp/4.12.0) Android/14")


def test_a_book_announces_both_versions(ada):
    found = ada.propfind(BOOK, "C:supported-address-data").prop(BOOK, f"{CARDDAV}supported-address-data")
    assert [one.get("version") for one in found] == ["3.0", "4.0"]


def test_a_report_gives_the_version_that_it_asks_for(android, phone):
    android.put(URL, FOUR)
    assert fetched(android, "4.0") == FOUR
    three = fetched(phone, "3.0")
    assert lines(three)[1] == "VERSION:3.0"
    assert "X-OF-THE-PHONE:kept" in lines(three)
    assert "item1.X-ABLabel:Shop" in lines(three)
    assert not [line for line in lines(three) if line.startswith("BDAY") and "--03" in line]


def test_a_client_that_asks_for_none_gets_what_it_wrote_last_and_else_3_0(android, phone):
    android.put(URL, FOUR)
    assert lines(fetched(phone))[1] == "VERSION:3.0"  # it never wrote
    assert fetched(android) == FOUR
    android.put(f"{BOOK}b.vcf", card("b"))
    assert lines(fetched(android))[1] == "VERSION:3.0"
    android.put(f"{BOOK}c.vcf", card("c", version="4.0"))
    assert fetched(android) == FOUR
    assert lines(fetched(phone))[1] == "VERSION:3.0"  # another's writing is none of its own


def test_a_client_that_invents_other_names_for_itself_ends_with_the_default_again(application, ada, organisation):
    for number in range(101):
        name = "".join(chr(ord("a") + int(digit)) for digit in f"{number:03}")
        Client(application, "ada", user_agent=f"client-{name}").put(f"{BOOK}{name}.vcf", card(name, version="4.0"))
    first = Client(application, "ada", user_agent="client-aaa")
    last = Client(application, "ada", user_agent="client-baa")
    last.put(URL, FOUR)
    assert lines(fetched(first))[1] == "VERSION:3.0"
    assert fetched(last) == FOUR


@pytest.mark.parametrize("version", ["2.1", "5.0", "x"])
def test_another_version_is_refused_by_name(ada, version):
    ada.put(URL, THREE)
    answer = ada.request("REPORT", BOOK, asked(version))
    assert (answer.status, answer.conditions) == (403, ["supported-address-data"])


def test_the_etag_is_the_same_whatever_version_is_asked_for(ada):
    etag = ada.put(URL, FOUR).etag
    for version in ("3.0", "4.0", ""):
        answer = ada.request("REPORT", BOOK, asked(version))
        assert answer.text(URL, "{DAV:}getetag") == etag
    assert ada.get(URL, Accept="text/vcard; version=3.0").etag == etag


def test_a_get_gives_the_stored_bytes_unless_accept_asks_for_the_other_version(ada):
    ada.put(URL, FOUR)
    assert ada.get(URL).body == FOUR
    for accept in ("*/*", "text/vcard", "text/vcard;version=4.0", "application/xml", "", "text/vcard;q=0.5, */*"):
        assert ada.get(URL, Accept=accept).body == FOUR, accept
    for accept in (
        "text/vcard;version=3.0",
        'text/vcard; version="3.0"',
        "text/vcard;version=2.1, text/vcard;version=3.0;q=0.1",
        "text/vcard;version=3.0, text/vcard;version=4.0;q=0.5",
        "text/x-vcard; version=3.0",
    ):
        assert lines(ada.get(URL, Accept=accept).body)[1] == "VERSION:3.0", accept
    refused = ada.get(URL, Accept="text/vcard;version=2.1")
    assert (refused.status, refused.conditions) == (406, ["supported-address-data-conversion"])


def test_what_a_3_0_client_changes_in_a_4_0_card_is_all_that_changes(phone, android):
    android.put(URL, FOUR)
    shown = fetched(phone)
    etag = phone.get(URL).etag
    sent = shown.replace(b"END:VCARD", b"NOTE:from the phone\r\nEND:VCARD")

    answer = phone.put(URL, sent, If_Match=etag)

    assert answer.status == 204
    assert "ETag" not in answer.headers  # the stored bytes aren't the sent ones: it has to fetch
    stored = android.get(URL).body
    assert [line for line in lines(stored) if line not in lines(FOUR)] == ["NOTE:from the phone"]
    assert [line for line in lines(FOUR) if line not in lines(stored)] == []
    assert stored.startswith(FOUR[: FOUR.index(b"END:")])


def test_what_a_4_0_client_changes_in_a_3_0_card_is_all_that_changes(phone, android):
    phone.put(URL, THREE)
    shown = fetched(android, "4.0")
    assert lines(shown)[1] == "VERSION:4.0"
    etag = android.get(URL).etag
    sent = shown.replace(b"NOTE:three", b"NOTE:four")

    assert android.put(URL, sent, If_Match=etag).status == 204
    assert android.get(URL).body == THREE.replace(b"NOTE:three", b"NOTE:four")


def test_a_converted_card_that_comes_back_unchanged_changes_nothing(phone, android):
    android.put(URL, FOUR)
    etag = phone.get(URL).etag
    token = token_of(phone, BOOK)
    assert phone.put(URL, fetched(phone), If_Match=etag).status == 204
    assert android.get(URL).body == FOUR
    assert phone.sync(BOOK, token).hrefs == []


def test_an_apple_group_is_a_4_0_group_for_android_and_back(phone, android):
    phone.put(f"{BOOK}a.vcf", card("a"))
    members = ("X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:a")
    phone.put(f"{BOOK}g.vcf", card("g", "Family", *members))
    body = asked("4.0").replace(URL, f"{BOOK}g.vcf")
    answer = android.request("REPORT", BOOK, body)
    group = answer.text(f"{BOOK}g.vcf", f"{CARDDAV}address-data")
    assert {"KIND:group", "MEMBER:urn:uuid:a"} <= set(lines(group.encode()))

    sent = group.replace("MEMBER:urn:uuid:a", "MEMBER:urn:uuid:a\r\nMEMBER:urn:uuid:b").encode()
    assert android.put(f"{BOOK}g.vcf", sent, If_Match=answer.text(f"{BOOK}g.vcf", "{DAV:}getetag")).status == 204
    stored = lines(phone.get(f"{BOOK}g.vcf").body)
    assert [line for line in stored if "MEMBER" in line] == [
        "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:a",
        "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:b",
    ]
    assert "X-ADDRESSBOOKSERVER-KIND:group" in stored


def test_sync_gives_the_version_that_it_asks_for_too(phone, android):
    android.put(URL, FOUR)
    body = (
        f"<sync-collection {XMLNS}><sync-token/><sync-level>1</sync-level>"
        '<prop><getetag/><C:address-data version="3.0"/></prop></sync-collection>'
    )
    answer = android.request("REPORT", BOOK, body)
    assert lines(answer.text(URL, f"{CARDDAV}address-data").encode())[1] == "VERSION:3.0"


def test_the_history_keeps_the_bytes_that_were_received(phone, android, organisation):
    android.put(URL, FOUR)
    sent = fetched(phone).replace(b"END:VCARD", b"NOTE:from the phone\r\nEND:VCARD")
    phone.put(URL, sent, If_Match=phone.get(URL).etag)
    with organisation.db.snapshot() as session:
        newest = next(iter(history.entries(session, limit=1)))
        assert newest.received_id is not None
        assert newest.overwritten == ()
        assert bodies.read(session, newest.received_id) == sent


def test_a_check_tells_that_received_bytes_are_missing(phone, android, organisation):
    android.put(URL, FOUR)
    phone.put(URL, fetched(phone).replace(b"END:VCARD", b"NOTE:from the phone\r\nEND:VCARD"))
    with organisation.db.snapshot() as session:
        newest = next(iter(history.entries(session, limit=1)))
    assert list(integrity.problems(organisation.db)) == []

    with organisation.db.write() as session:
        session.execute(delete(table(Body)).where(table(Body).c.id == newest.received_id))
    assert [one.what for one in integrity.problems(organisation.db)] == [
        f"history: the bytes received for revision {newest.revision} are missing"
    ]
