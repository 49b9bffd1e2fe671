"""The limits of books and owners hold under a plain Radicale too."""

import pytest
from radicale.app import Application

BOOK = "/ada/contacts/"
LEADS = "/ada/sales~leads/"


@pytest.fixture
def limited(tools, database_url, organisation):
    """Makes Ada's client of a plain Radicale with limits."""

    def make(**limits):
        storage = {"type": "radicale_shared.storage_plugin", "database_url": database_url}
        configuration = tools.configuration(
            database_url, storage={**storage, **{name: str(value) for name, value in limits.items()}}
        )
        return tools.client(Application(configuration), "ada")

    return make


@pytest.mark.parametrize("limit", ["max_book_bytes", "max_user_bytes"])
def test_a_card_beyond_a_limit_is_507_and_changes_nothing(limited, organisation, a_card, limit):
    client = limited(**{limit: 2 * len(a_card("a"))})
    for name in "ab":
        assert client.put(f"{BOOK}{name}.vcf", a_card(name)).status == 201
    before = organisation.book("ada/contacts")

    assert client.put(f"{BOOK}c.vcf", a_card("c")).status == 507
    assert client.put(f"{BOOK}a.vcf", a_card("a", "Longer name")).status == 507

    after = organisation.book("ada/contacts")
    assert (after.revision, after.card_count, after.card_bytes) == (before.revision, 2, before.card_bytes)
    assert client.get(f"{BOOK}a.vcf").body == a_card("a")
    assert client.get(f"{BOOK}c.vcf").status == 404


def test_a_card_can_shrink_and_go_in_a_book_that_is_too_full(limited, organisation, a_card):
    organisation.put("ada", "contacts", "a.vcf", a_card("a", "Long name"))
    client = limited(max_book_bytes=10, max_user_bytes=10)

    assert client.put(f"{BOOK}a.vcf", a_card("a")).status in {201, 204}
    assert client.delete(f"{BOOK}a.vcf").status == 200
    assert organisation.book("ada/contacts").card_bytes == 0


def test_a_card_moved_into_a_full_book_is_507_and_stays_where_it_was(limited, organisation, a_card):
    client = limited(max_book_bytes=len(a_card("a")))
    client.put(f"{BOOK}a.vcf", a_card("a"))
    client.put(f"{LEADS}b.vcf", a_card("b"))
    organisation.grant("sales/leads", "user:ada", "curator")

    assert client.move(f"{LEADS}b.vcf", f"{BOOK}b.vcf").status == 507

    assert client.get(f"{LEADS}b.vcf").body == a_card("b")
    assert client.get(f"{BOOK}b.vcf").status == 404


def test_a_refused_edit_comes_back_with_the_next_sync(limited, a_card):
    client = limited(max_book_bytes=len(a_card("a")))
    client.put(f"{BOOK}a.vcf", a_card("a"))
    token = client.sync(BOOK).token
    client.put(f"{BOOK}a.vcf", a_card("a", "Longer name"))

    assert client.sync(BOOK, token).hrefs == [f"{BOOK}a.vcf"]


def test_without_limits_there_are_none(limited, a_card):
    client = limited()

    assert client.put(f"{BOOK}a.vcf", a_card("a", "A", "NOTE:" + "x" * 100_000)).status == 201
