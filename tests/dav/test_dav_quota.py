"""How much room there is, and what happens when it is used up (RFC 4331)."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import books, cards, people, settings
from radicale_shared.dav.application import Application
from radicale_shared.errors import NotFoundError, OverQuotaError
from tests.conftest import BY, card, examples
from tests.dav.conftest import CARDDAV, DAV, Client, write_configuration

BOOK = "/ada/contacts/"
LEADS = "/ada/sales~leads/"
MAC = "macOS/14.4 AddressBookCore/2498.4.1"
SMALL = card("a")
ROOM = 3 * len(SMALL)


@pytest.fixture
def limited(database_url, organisation, tmp_path):
    """Makes clients of a server with limits: login, and the limits by name."""

    def make(login="ada", user_agent="tests/1", **limits):
        configuration = settings.load_configuration(str(write_configuration(tmp_path, database_url)))
        configuration.update({"storage": {name: str(value) for name, value in limits.items()}}, "test")
        return Client(Application(configuration), login, user_agent=user_agent)

    return make


def quota(client, path, depth="0", of=None):
    """(used, available) of a resource; None for what isn't there."""
    found = client.propfind(path, "quota-used-bytes", "quota-available-bytes", depth=depth)
    props = [found.prop(of or path, f"{DAV}quota-{name}-bytes") for name in ("used", "available")]
    return tuple(None if one is None else int(one.text) for one in props)


# -- what is told ------------------------------------------------------------------------------------------------------


def test_what_is_used_follows_every_write(ada):
    assert quota(ada, BOOK) == (0, None)
    ada.put(f"{BOOK}a.vcf", SMALL)
    ada.put(f"{BOOK}b.vcf", card("b", "Bob", "NOTE:long"))
    assert quota(ada, BOOK) == (len(SMALL) + len(card("b", "Bob", "NOTE:long")), None)
    ada.put(f"{BOOK}b.vcf", card("b"))
    ada.put(f"{BOOK}b.vcf", card("b"))
    assert quota(ada, BOOK) == (len(SMALL) + len(card("b")), None)
    ada.delete(f"{BOOK}a.vcf")
    assert quota(ada, BOOK) == (len(card("b")), None)


def test_without_limits_nothing_is_said_to_be_left(limited):
    client = limited()
    client.put(f"{BOOK}a.vcf", SMALL)

    for path in ("/ada/", BOOK, LEADS):
        assert quota(client, path)[1] is None


def test_a_book_has_what_its_own_limit_leaves(limited):
    client = limited(max_book_bytes=ROOM)
    client.put(f"{BOOK}a.vcf", SMALL)

    assert quota(client, BOOK) == (len(SMALL), ROOM - len(SMALL))
    assert quota(client, LEADS) == (0, ROOM)
    assert quota(client, "/ada/") == (len(SMALL), None)


def test_the_narrower_of_both_limits_counts(limited):
    client = limited(max_book_bytes=ROOM, max_user_bytes=ROOM + 10)
    client.mkcol("/ada/more/")
    client.put(f"{BOOK}a.vcf", SMALL)

    assert quota(client, BOOK) == (len(SMALL), ROOM - len(SMALL))
    assert quota(client, "/ada/more/") == (0, ROOM + 10 - len(SMALL))
    assert quota(client, "/ada/") == (len(SMALL), ROOM + 10 - len(SMALL))


def test_a_shared_book_counts_for_its_owner_and_not_for_who_writes(limited):
    client = limited(max_user_bytes=ROOM)
    client.put(f"{LEADS}a.vcf", SMALL)

    assert quota(client, LEADS) == (len(SMALL), ROOM - len(SMALL))
    assert quota(client, BOOK) == (0, ROOM)
    assert quota(client, "/ada/") == (0, ROOM)
    assert quota(client, "/ada/", depth="1", of=LEADS) == (len(SMALL), ROOM - len(SMALL))


def test_who_may_only_read_is_not_told_how_much_the_owner_keeps_elsewhere(limited, organisation):
    organisation.grant("ada/contacts", "user:carla", "viewer")
    limited(max_user_bytes=ROOM).put(f"{BOOK}a.vcf", SMALL)

    assert quota(limited("carla", max_user_bytes=ROOM), "/carla/ada~contacts/") == (len(SMALL), None)


def test_a_limit_that_was_lowered_leaves_nothing_rather_than_less(limited, organisation):
    organisation.put("ada", "contacts", "a.vcf", SMALL)

    assert quota(limited(max_book_bytes=10), BOOK) == (len(SMALL), 0)
    assert quota(limited(max_user_bytes=10), "/ada/") == (len(SMALL), 0)


def test_the_merged_book_has_all_that_is_used_and_the_room_of_the_book_for_new_cards(limited):
    client = limited(user_agent=MAC, max_book_bytes=ROOM)
    limited().put(f"{BOOK}a.vcf", SMALL)
    limited().put(f"{LEADS}b.vcf", card("b"))

    assert quota(client, "/ada/all/") == (len(SMALL) + len(card("b")), ROOM - len(SMALL))


@pytest.mark.parametrize("path", ["/", "/sales/", f"{BOOK}a.vcf"])
def test_nothing_else_has_a_quota(limited, path):
    client = limited(max_book_bytes=ROOM, max_user_bytes=ROOM)
    client.put(f"{BOOK}a.vcf", SMALL)

    assert quota(client, path) == (None, None)


def test_it_is_not_part_of_allprop(limited):
    found = limited(max_book_bytes=ROOM).propfind(BOOK)

    assert found.prop(BOOK, f"{DAV}quota-used-bytes") is None


def test_it_costs_the_same_in_a_book_of_any_size_and_for_any_number_of_own_books(limited, organisation, statements):
    client = limited(max_book_bytes=10**6, max_user_bytes=10**6)
    quota(client, "/ada/", depth="1")
    counts = []
    for number in range(2):
        statements.clear()
        quota(client, "/ada/", depth="1")
        counts.append(len(statements))
        client.mkcol(f"/ada/more{number}/")
        for extra in range(30):
            organisation.put("ada", f"more{number}", f"{extra}.vcf", card(f"{extra}"))
    assert counts[0] == counts[1]


def test_one_connection_is_enough_for_a_listing_with_quotas(database_url, organisation, tmp_path):
    configuration = settings.load_configuration(str(write_configuration(tmp_path, database_url)))
    configuration.update({"storage": {"max_user_bytes": "1000"}}, "test")
    application = Application(configuration)
    most = []
    of_owner = books.bytes_of_owner

    def watched(session, owner_id):
        found = of_owner(session, owner_id)
        most.append(application._db.connections.lent)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(books, "bytes_of_owner", watched)
        quota(Client(application, "ada"), "/ada/", depth="1")

    assert most
    assert max(most) == 1


# -- what is refused (section 6) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["max_book_bytes", "max_user_bytes"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_card_beyond_a_limit_is_507_and_changes_nothing(limited, organisation, limit, method):
    client = limited(**{limit: ROOM})
    for name in "abc":
        assert client.put(f"{BOOK}{name}.vcf", card(name)).status == 201
    before = organisation.book("ada/contacts")

    answer = client.request(method, f"{BOOK}d.vcf" if method == "PUT" else BOOK, card("d"))

    assert (answer.status, answer.conditions) == (507, ["quota-not-exceeded"])
    assert client.get(f"{BOOK}d.vcf").status == 404
    after = organisation.book("ada/contacts")
    assert (after.revision, after.card_count, after.card_bytes) == (before.revision, 3, ROOM)


def test_a_card_that_grows_beyond_a_limit_is_507_and_stays_as_it_was(limited):
    client = limited(max_book_bytes=ROOM)
    for name in "abc":
        client.put(f"{BOOK}{name}.vcf", card(name))

    assert client.put(f"{BOOK}a.vcf", card("a", "A", "NOTE:x")).status == 507
    assert client.get(f"{BOOK}a.vcf").body == SMALL
    assert client.put(f"{BOOK}a.vcf", card("a", "A")).status == 204


def test_the_very_last_byte_may_be_used(limited):
    client = limited(max_book_bytes=len(SMALL))

    assert client.put(f"{BOOK}a.vcf", SMALL).status == 201
    assert quota(client, BOOK) == (len(SMALL), 0)


def test_in_a_book_that_is_too_full_already_cards_can_shrink_and_go(limited, organisation):
    for name in "abc":
        organisation.put("ada", "contacts", f"{name}.vcf", card(name, "A", "NOTE:long note"))
    client = limited(max_book_bytes=10, max_user_bytes=10)

    assert client.put(f"{BOOK}a.vcf", card("a", "A")).status == 204
    assert client.put(f"{BOOK}a.vcf", card("a", "A")).status == 204
    assert client.put(f"{BOOK}a.vcf", card("a", "B")).status == 204
    assert client.put(f"{BOOK}a.vcf", card("a", "AB")).status == 507
    assert client.delete(f"{BOOK}b.vcf").status == 204


def test_an_owners_limit_spans_their_books_and_a_deleted_one_gives_its_room_back(limited):
    client = limited(max_user_bytes=ROOM)
    client.mkcol("/ada/more/")
    for name in "abc":
        assert client.put(f"/ada/more/{name}.vcf", card(name)).status == 201

    assert client.put(f"{BOOK}d.vcf", card("d")).status == 507
    assert client.put(f"{LEADS}d.vcf", card("d")).status == 201
    assert client.delete("/ada/more/").status == 204
    assert client.put(f"{BOOK}d.vcf", card("d")).status == 201


def test_a_refused_edit_comes_back_with_the_next_sync(limited):
    client = limited(max_book_bytes=len(SMALL))
    client.put(f"{BOOK}a.vcf", SMALL)
    synced = client.sync(BOOK)
    client.put(f"{BOOK}a.vcf", card("a", "A", "NOTE:too long"))

    again = client.sync(BOOK, synced.token)

    assert again.hrefs == [f"{BOOK}a.vcf"]
    url = f"{BOOK}a.vcf"
    assert again.text(url, f"{DAV}getetag") != synced.text(url, f"{DAV}getetag")


def test_what_the_administrator_writes_is_not_limited(limited, organisation):
    client = limited(max_book_bytes=10)

    assert client.put(f"{BOOK}a.vcf", SMALL).status == 507
    organisation.put("ada", "contacts", "a.vcf", SMALL)
    assert client.get(f"{BOOK}a.vcf").body == SMALL


def test_writes_at_the_same_moment_do_not_go_beyond_a_book_s_limit_together(limited, organisation):
    client = limited(max_book_bytes=ROOM)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda name: client.put(f"{BOOK}{name}.vcf", card(name)).status, "abcdefgh"))

    assert sorted(found) == [201] * 3 + [507] * 5
    assert organisation.book("ada/contacts").card_bytes == ROOM


_deeds = st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 40)), max_size=12)


@examples(12)
@given(deeds=_deeds, of_book=st.integers(0, 400), of_owner=st.integers(0, 500))
def test_what_a_book_counted_is_what_it_holds_whatever_was_written_and_refused(organisation, deeds, of_book, of_owner):
    db = organisation.db
    with db.write() as session:
        owner = people.add_user(session, f"p{uuid.uuid4().hex}")
        slugs = [books.add(session, owner, slug, by=BY).slug for slug in ("one", "two")]
    limits = cards.Limits(book=of_book, owner=of_owner)
    held = {slug: {} for slug in slugs}
    for number, (name, length) in enumerate(deeds):
        slug = slugs[number % 2]
        found = organisation.access(owner.slug, slug)
        is_there = name in held[slug]
        data = b"" if length is None else card(name, "x" * (length + 1))
        more = len(data) - len(held[slug].get(name, b""))
        sums = {one: sum(map(len, of.values())) for one, of in held.items()}
        is_over = more > 0 and (0 < of_book < sums[slug] + more or 0 < of_owner < sum(sums.values()) + more)
        with db.write(found.book.id) as session:
            if length is None:
                with nullcontext() if is_there else pytest.raises(NotFoundError):
                    cards.remove(session, found, name, by=BY)
                held[slug].pop(name, None)
            else:
                with pytest.raises(OverQuotaError) if is_over else nullcontext():
                    cards.put(session, found, name, cards.check(data), secret=db.secret, by=BY, limits=limits)
                    held[slug][name] = data
        for one, of in held.items():
            counted = organisation.access(owner.slug, one).book
            assert (counted.card_count, counted.card_bytes) == (len(of), sum(map(len, of.values())))


# -- sizes of a card ---------------------------------------------------------------------------------------------------


def test_an_image_of_the_largest_size_fits_into_the_largest_card(database_url, organisation, tmp_path):
    configuration = settings.load_configuration(str(write_configuration(tmp_path, database_url)))
    configuration.update({"server": {"max_resource_size": "100000"}}, "test")
    client = Client(Application(configuration), "ada")
    found = client.propfind(BOOK, "C:max-image-size", "C:max-resource-size")
    image = int(found.text(BOOK, f"{CARDDAV}max-image-size"))
    base64 = "A" * (image * 4 // 3)
    lines = "\r\n ".join(base64[at : at + 74] for at in range(0, len(base64), 74))

    assert found.text(BOOK, f"{CARDDAV}max-resource-size") == "100000"
    assert 65_000 < image < 75_000
    assert client.put(f"{BOOK}a.vcf", card("a", "A", "PHOTO;ENCODING=b;TYPE=JPEG:" + lines)).status == 201


@pytest.mark.parametrize("size", ["1", "4096"])
def test_where_cards_are_tiny_images_have_no_room(database_url, organisation, tmp_path, size):
    configuration = settings.load_configuration(str(write_configuration(tmp_path, database_url)))
    configuration.update({"server": {"max_resource_size": size}}, "test")
    client = Client(Application(configuration), "ada")

    assert client.propfind(BOOK, "C:max-image-size").text(BOOK, f"{CARDDAV}max-image-size") == "0"


def test_a_restored_card_is_not_limited(limited, organisation):
    first = organisation.put("ada", "contacts", "a.vcf", card("a", "A", "NOTE:long"))
    client = limited(max_book_bytes=len(SMALL))
    assert client.put(f"{BOOK}a.vcf", card("a", "A")).status == 204
    access = organisation.access("ada", "contacts")

    with organisation.db.write(access.book.id) as session:
        cards.restore(session, access, "a.vcf", first.revision, secret=organisation.db.secret, by=BY)

    assert client.get(f"{BOOK}a.vcf").body == card("a", "A", "NOTE:long")
