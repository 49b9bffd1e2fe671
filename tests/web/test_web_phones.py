"""What desk phones don't show, through the API: managers hide and show; nobody else learns of anything."""

import pytest

from tests.conftest import card


@pytest.fixture
def eva(organisation):
    organisation.put("ada", "sales~leads", "eva.vcf", card("eva"))
    organisation.put("ada", "sales~leads", "zoë 1.vcf", card("zoe"))


def hide(client, hidden, href=None, book="sales~leads"):
    return client.ask("PUT", f"books/{book}/phones", {"hidden": hidden} | ({} if href is None else {"href": href}))


def test_a_manager_hides_a_book_and_its_cards_and_shows_them_again(eva, ben_manages):
    assert ben_manages.read("books/sales~leads/phones").value == {"hidden": False, "cards": []}
    assert hide(ben_manages, True, "zoë 1.vcf").value == {"hidden": False, "cards": ["zoë 1.vcf"]}
    assert hide(ben_manages, True).value == {"hidden": True, "cards": ["zoë 1.vcf"]}
    again = hide(ben_manages, True)
    assert (again.status, again.value) == (200, {"hidden": True, "cards": ["zoë 1.vcf"]})
    assert hide(ben_manages, False, "zoë 1.vcf")["cards"] == []
    assert hide(ben_manages, False).value == {"hidden": False, "cards": []}
    assert ben_manages.read("books/sales~leads/phones")["hidden"] is False


def test_people_see_what_phones_don_t(eva, ben_manages, ada):
    before = ada.request("GET", b"/ada/sales~leads/eva.vcf")
    hide(ben_manages, True)
    hide(ben_manages, True, "eva.vcf")
    after = ada.request("GET", b"/ada/sales~leads/eva.vcf")
    assert (after.status, after.body, after.headers["ETag"]) == (200, before.body, before.headers["ETag"])


def test_who_hid_something_stands_in_the_history(eva, ben_manages):
    hide(ben_manages, True, "eva.vcf")
    deed = ben_manages.read("books/sales~leads/history")["entries"][0]
    assert (deed["kind"], deed["person"], deed["reason"]) == ("hide-from-phones", "ben", "eva.vcf")


def test_only_managers_hide_and_look(eva, ada, carla, organisation):
    assert hide(ada, True).status == 403
    assert ada.read("books/sales~leads/phones").status == 403
    assert hide(carla, True).status == 404
    assert hide(carla, True).body == hide(carla, True, "eva.vcf").body
    assert not organisation.book("sales/leads").hidden_from_phones
    assert hide(ada, True, book="contacts").status == 200  # one's own


def test_a_device_hides_nothing(device_of, ada):
    device = device_of("ada")
    assert hide(device, True, book="contacts").status == 403
    assert ada.read("books/contacts/phones")["hidden"] is False


@pytest.mark.parametrize("href", ["nobody.vcf", "", "a/b", "\ud800", "x" * 5000])
def test_a_card_that_is_not_there_is_not_hidden(ada, href):
    assert hide(ada, True, href, "contacts").status in {400, 404}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"hidden": "yes"},
        {"hidden": None},
        {"hidden": 1},
        {"hidden": True, "href": 1},
        {"hidden": True, "card": "x"},
    ],
)
def test_what_can_t_be_understood_hides_nothing(ada, body):
    assert ada.ask("PUT", "books/contacts/phones", body).status == 400
    assert ada.read("books/contacts/phones")["hidden"] is False
