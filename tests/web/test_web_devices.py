"""Device passwords by the API: people make and revoke their own, and no device makes another or changes a right."""

import pytest

from radicale_shared import history, people
from tests.conftest import card
from tests.web.conftest import Tool

LEADS = "sales~leads"


@pytest.fixture
def device(ada, application):
    """Makes a device of Ada's by the API; gives what was told and its program."""

    def make(label="phone", **more):
        told = ada.ask("POST", "devices", {"label": label, **more})
        assert told.status == 201, told.error
        return told.value, Tool(application, "ada", told["password"])

    return make


def test_a_password_is_told_once_and_lets_a_device_in(ada, device):
    told, phone = device("Ada's phone / work ☎")

    assert phone.put("/ada/contacts/a.vcf", card("a")).status == 201
    (listed,) = ada.read("devices")["devices"]
    assert "password" not in listed
    assert told["password"].encode() not in ada.read("devices").body
    assert (listed["label"], listed["books"], listed["read_only"]) == ("Ada's phone / work ☎", None, False)


def test_a_device_gets_what_was_asked_for(ada, device, organisation):
    told, phone = device("reader", books=[LEADS], read_only=True, merged=False)

    assert told["books"] == [LEADS]
    assert (told["read_only"], told["phones_only"], told["merged"]) == (True, False, False)
    assert phone.propfind("/ada/", "resourcetype", depth="1").hrefs == ["/ada/", f"/ada/{LEADS}/"]
    assert phone.put(f"/ada/{LEADS}/a.vcf", card("a")).status == 403
    assert ada.read("devices")["devices"][0]["books"] == [LEADS]


def test_a_book_that_is_readable_no_longer_is_not_told_with_the_device(ada, device, db):
    device("reader", books=[LEADS, "contacts"])
    with db.write() as session:
        people.remove_member(session, "sales", "ada")

    assert ada.read("devices")["devices"][0]["books"] == ["contacts"]


def test_a_device_is_revoked_by_its_label(ada, device):
    for label in ("phone", "PHONE", "Ada's phone / work ☎", "a/b/", "/", "..", "100%", "grants"):
        _told, phone = device(label)
        assert phone.read("books").status == 200

        answer = ada.ask("DELETE", f"devices/{label}")

        assert (answer.status, answer.body) == (204, b"")
        assert phone.read("books").status == 401
        assert ada.ask("DELETE", f"devices/{label}").error == f"There is no device {label!r}."


def test_a_device_that_cannot_be_is_refused_with_the_reason(ada, device):
    device("old")

    for value, status, told in (
        ({"label": "old"}, 409, "There is a device 'old' already."),
        ({"label": "OLD"}, 409, "There is a device 'OLD' already."),
        ({"label": " "}, 400, "A device needs a label, by which its owner knows it."),
        ({"label": "a\nb"}, 400, "The label has characters that can't be shown."),
        ({"label": "x" * 201}, 400, "The label has more than 200 characters."),
        ({"label": "a", "books": []}, 400, "A device that may use no book is of no use."),
        ({"label": "a", "books": ["ben~contacts"]}, 404, "There is no book 'ben~contacts'."),
        ({"label": "a", "books": ["contacts", "none"]}, 404, "There is no book 'none'."),
    ):
        answer = ada.ask("POST", "devices", value)
        assert (answer.status, answer.error) == (status, told)
    assert len(ada.read("devices")["devices"]) == 1


def test_nobody_sees_or_revokes_a_device_of_somebody_else(ada, ben, device):
    _told, phone = device("phone")

    assert ben.read("devices")["devices"] == []
    assert ben.ask("DELETE", "devices/phone").status == 404
    assert phone.read("books").status == 200


def test_a_device_changes_no_rights_and_no_devices(organisation, device):
    organisation.grant("sales/leads", "user:ada", "manager")
    _told, phone = device("phone")

    for answer in (
        phone.give(LEADS, "user:carla", "viewer"),
        phone.take(LEADS, "group:sales"),
        phone.ask("POST", "books", {"owner": "group:sales", "slug": "x"}),
        phone.read("groups"),
        phone.read("devices"),
        phone.ask("POST", "devices", {"label": "second"}),
        phone.ask("DELETE", "devices/phone"),
    ):
        assert (answer.status, answer.error) == (
            403,
            "A device password can't do this; sign in with your own password.",
        )
    assert phone.read("books").status == 200


def test_a_desk_phone_s_password_is_for_desk_phones(device):
    _told, phone = device("desk", phones_only=True)

    for path in ("", "books", "groups", "devices", "books/contacts/who"):
        answer = phone.read(path)
        assert (answer.status, answer.error) == (403, "This password is for desk phones only.")


def test_where_devices_need_their_own_passwords_people_still_use_theirs_here(organisation, serving):
    application = serving(auth={"device_passwords_only": "True"})
    ada = Tool(application, "ada")
    assert ada.propfind("/ada/", "resourcetype").status == 401

    told = ada.ask("POST", "devices", {"label": "phone"})

    assert told.status == 201
    phone = Tool(application, "ada", told["password"])
    assert phone.propfind("/ada/", "resourcetype").status == 207
    # Nothing that a program sends makes a tool of it.
    assert ada.request("PROPFIND", "/ada/", radicale_shared_person="1").status == 401
    assert ada.request("PROPFIND", "/ada/api/", X_Radicale_Shared_Person="1").status == 401


def test_each_deed_stands_in_the_history_with_who_and_whence(ada, db):
    ada.user_agent = "tool/1.0"
    ada.ask("POST", "devices", {"label": "phone"})
    ada.ask("DELETE", "devices/phone")

    with db.snapshot() as session:
        revoked, made = list(history.entries(session))[:2]
    assert [(one.kind, one.actor, one.device, one.address, one.reason) for one in (made, revoked)] == [
        ("add-device", "ada", "tool/.", "127.0.0.1", "ada: phone"),
        ("revoke-device", "ada", "tool/.", "127.0.0.1", "ada: phone"),
    ]
