"""Whatever is sent is answered or ends the connection; the server goes on, and keeps nothing of it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from radicale_shared.ldap_view import ber
from tests.conftest import PROFILE
from tests.ldap_view.conftest import PEOPLE, SUCCESS, SUFFIX, Raw, bind, many, resident, search

MUTATED = 100_000 if PROFILE == "nightly" else 2_000
# What a server keeps for itself after the first requests: threads, caches, pieces of memory that aren't given back.
MARGIN = 24 * 1024 * 1024
EVERYBODY = "(objectClass=person)"


@pytest.fixture
def database_url(new_database_url):
    """Which database it is makes no difference here."""
    return new_database_url("sqlite")


def requests() -> list[bytes]:
    """What programs send, by which to begin."""
    paged = ber.written(
        ber.SEQUENCE,
        ber.written_text("1.2.840.113556.1.4.319"),
        ber.written(
            ber.OCTET_STRING,
            ber.written(ber.SEQUENCE, ber.written_number(2), ber.written_text("")),
        ),
    )
    key = ber.written(ber.SEQUENCE, ber.written_text("sn"), ber.written(0x81, b"\xff"))
    ordered = ber.written(
        ber.SEQUENCE,
        ber.written_text("1.2.840.113556.1.4.473"),
        ber.written(ber.OCTET_STRING, ber.written(ber.SEQUENCE, key)),
    )
    return [
        search(2, "(|(cn=schm*)(sn=schm*))", attributes=("cn", "sn", "telephoneNumber")),
        search(3, "(&(mail=*)(|(mail=m*)(|(cn=m*)(|(sn=m*)(givenName=m*)))))", attributes=()),
        search(4, "(!(cn=*a*b*c))", f"ou=sales~leads,{SUFFIX}", "LEVEL", ("*", "+"), 2),
        search(5, EVERYBODY, controls=paged),
        search(6, EVERYBODY, controls=ordered),
        search(7, "(telephoneNumber=+49 30*)", controls=paged + ordered),
        search(8, base="", scope="BASE"),
        search(9, "(sn>=m)"),
        bind(10, "uid=ada,ou=people,dc=contacts", "adaada"),
        ber.written(
            ber.SEQUENCE, ber.written_number(11), ber.written(0x77, ber.written(0x80, b"1.3.6.1.4.1.4203.1.11.3"))
        ),
        ber.written(ber.SEQUENCE, ber.written_number(12), ber.written_number(3, 0x50)),
    ]


def mutated(chance: random.Random) -> Iterator[bytes]:
    """Requests in which octets are others, missing, or come twice; in most of them the message has a right length."""
    known = requests()
    for _ in range(MUTATED):
        data = chance.choice(known)
        if chance.randrange(4):
            number, operation, *rest = ber.children(ber.only(data).content)
            told = ber.written(operation.tag, changed(operation.content, chance))
            ends = [
                ber.written(one.tag, changed(one.content, chance) if chance.randrange(2) else one.content)
                for one in rest
            ]
            yield ber.written(ber.SEQUENCE, ber.written(*number), told, *ends)
        else:
            yield changed(data, chance)


def changed(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(made) + 1)
        match chance.randrange(5):
            case 0:
                made[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                made[place : place + 1] = bytes(one ^ 1 << chance.randrange(8) for one in made[place : place + 1])
            case 2:
                del made[place : place + chance.randint(1, 8)]
            case 3:
                made[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
            case _:
                made[place:place] = made[: chance.randint(1, 50)]
    return bytes(made)


def who_am_i(number: int) -> bytes:
    """A request as long as half of what a request may be."""
    told = ber.written(0x80, b"1.3.6.1.4.1.4203.1.11.3"), ber.written(0x81, bytes(33_000))
    return ber.written(ber.SEQUENCE, ber.written_number(number), ber.written(0x77, *told))


# Whatever is sent before, as the beginning of something longer, is whole with these; nothing may be longer.
END = who_am_i(101) + who_am_i(102)


def answered(client: Raw, number: int) -> bool:
    """Whether a search was answered until the server came to END, or ended the connection."""
    ended: set[tuple[int, int]] = set()
    while not ended >= {(number, 0x65), (102, 0x78)} and (data := client.octets()):
        parts = ber.children(ber.only(data).content)
        ended.add((ber.number(parts[0]), parts[1].tag))
    return (number, 0x65) in ended


def test_mutated_requests_are_answered_or_end_the_connection_and_the_server_goes_on(view, serve, organisation):
    view = serve(searches_per_minute=1_000_000)
    many(organisation, 20)
    chance = random.Random(7)
    with view.raw().sign_in() as steady:
        began, right = 0, 0
        for count, data in enumerate(mutated(chance)):
            with view.raw() as client:
                if chance.randrange(3):
                    client.sign_in()
                try:
                    client.send(data, search(99, EVERYBODY, limit=1), END)
                    right += answered(client, 99)
                except ConnectionError:
                    pass  # it had ended before all was sent
                except TimeoutError:  # a mutation made of it an Abandon, or a longer message that ended right with it
                    assert not any(one._tasks or one._received for one in view.server._connections), data
            if count == 500:
                began = resident()
            if count % 500 == 0:
                assert steady.send(search(2, "(sn=schmidt)")).result() == (SUCCESS, 2)
        assert steady.send(search(2, EVERYBODY)).result() == (SUCCESS, 20 + len(PEOPLE))
    assert MUTATED / 10 < right < MUTATED  # not all are broken beyond being answered, nor none
    assert resident() - began < MARGIN
    assert view.server.is_alive


def test_a_message_said_to_be_of_two_gigabytes_is_cut_off_at_once(view):
    before = resident()
    with view.raw() as client:
        sent = 0
        try:
            client.send(b"\x30\x84\x7f\xff\xff\xff")
            while sent < 60 * 1024 * 1024:
                client.send(bytes(65536))
                sent += 65536
        except ConnectionError:
            pass
    assert sent < 60 * 1024 * 1024
    assert resident() - before < MARGIN


@pytest.mark.parametrize("inner", [0xA0, 0xA1, 0xA2])
def test_a_filter_as_deep_as_a_message_allows_is_refused(view, inner):
    made = ber.written(0x87, b"cn")
    while len(made) < 60_000:
        made = ber.written(inner, made)
    told = (
        ber.written_text(SUFFIX) + ber.written_number(2, ber.ENUMERATED) + ber.written_number(0, ber.ENUMERATED),
        ber.written_number(0) + ber.written_number(0) + ber.written(ber.BOOLEAN, b"\0"),
        made,
        ber.written(ber.SEQUENCE),
    )
    with view.raw().sign_in() as client:
        client.send(ber.written(ber.SEQUENCE, ber.written_number(2), ber.written(0x63, *told)))
        assert client.result() == (11, 0)
        assert client.send(search(3, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))
