"""One server over real sockets: signing in, searching in pages, limits, and how connections end."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import ldap3
import pytest

from radicale_shared import devices, people, phone_profiles, settings_file
from radicale_shared.errors import ConfigurationError
from radicale_shared.ldap_view import ber, connection, controls, limits, messages, server, stream
from radicale_shared.phone_profiles import Choices
from tests.conftest import BY, card
from tests.ldap_view.conftest import (
    BUSY,
    INVALID_CREDENTIALS,
    PEOPLE,
    PROTOCOL_ERROR,
    SIZE_LIMIT,
    SUCCESS,
    SUFFIX,
    Raw,
    bind,
    free_port,
    many,
    message,
    search,
    until,
)

AUTH_METHOD, CRITICAL, CONFIDENTIALITY, NO_SUCH_OBJECT, INAPPROPRIATE, UNWILLING = 7, 12, 13, 32, 48, 53
EVERYBODY = "(objectClass=person)"


def control(oid: str, value: bytes | None = None, *, critical: bool = False) -> bytes:
    told = ber.written(ber.BOOLEAN, b"\xff") if critical else b""
    return ber.written(
        ber.SEQUENCE, ber.written_text(oid), told, b"" if value is None else ber.written(ber.OCTET_STRING, value)
    )


def names(found: ldap3.Connection) -> list[str]:
    return sorted(one["attributes"]["cn"][0] for one in found.response if one["type"] == "searchResEntry")


# -- signing in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["ada", "ADA", "uid=ada,ou=people,dc=contacts", "cn=ada", f"uid=ada,ou=people,{SUFFIX.upper()}"]
)
def test_people_sign_in_by_their_login_or_a_dn_with_it(view, name):
    with view.raw() as client:
        assert client.send(bind(1, name, "adaada")).answer() == (1, 0x61, SUCCESS, "")


def test_a_device_signs_in_by_its_own_password_and_sees_its_books_only(view, organisation, device_of):
    organisation.put("ada", "contacts", "ida.vcf", card("ida", "Ida Own"))
    client = view.connection("ada", device_of(only=["ada/contacts"]))

    client.search(SUFFIX, EVERYBODY, attributes=["cn"])

    assert names(client) == ["Ida Own"]


def test_a_wrong_password_an_unknown_login_and_a_disabled_person_are_told_by_the_same_answer(view, db, device_of):
    revoked = device_of("ben")
    with db.write() as session:
        people.set_enabled(session, "ben", enabled=False)
    with view.raw() as client:
        pairs = [("ada", "wrong"), ("nobody", "adaada"), ("ben", "benben"), ("ben", revoked), ("a:b", "x"), ("", "x")]
        answers = [client.send(bind(1, login, password)).answer() for login, password in pairs]
    assert answers == [(1, 0x61, INVALID_CREDENTIALS, "")] * len(pairs)


def test_nobody_signs_in_without_a_password(view):
    with view.raw() as client:
        assert client.send(bind(1, "", "")).answer()[2] == INAPPROPRIATE
        assert client.send(bind(2, "uid=ada", "")).answer()[2] == UNWILLING
        assert client.send(search(3)).answer()[2] == INAPPROPRIATE


def test_no_other_way_to_authenticate_and_no_other_version_is_spoken(view):
    external = ber.written(0xA3, ber.written_text("EXTERNAL"))
    sasl = ber.written(0x60, ber.written_number(3), ber.written_text(""), external)
    with view.raw() as client:
        client.send(ber.written(ber.SEQUENCE, ber.written_number(1), sasl))
        assert client.answer()[2] == AUTH_METHOD
        assert client.send(bind(2, "ada", "adaada", version=4)).answer()[2] == PROTOCOL_ERROR
        assert client.send(bind(3, "ada", "adaada", version=2)).answer()[2] == SUCCESS


def test_guessing_is_slowed_down_as_everywhere(serve, organisation):
    view = serve(auth={"attempts_per_account": "3"})
    with view.raw() as client:
        answers = {client.send(bind(number, "ada", f"guess {number}")).answer()[2] for number in range(1, 8)}
    assert answers == {INVALID_CREDENTIALS, BUSY}


def test_a_failed_sign_in_ends_the_one_before(view):
    with view.raw().sign_in() as client:
        assert client.send(bind(2, "ada", "wrong")).answer()[2] == INVALID_CREDENTIALS
        assert client.send(search(3)).answer()[2] == INAPPROPRIATE


def test_people_need_a_device_where_the_configuration_says_so(serve, organisation, device_of):
    view = serve(auth={"device_passwords_only": "True"})
    with view.raw() as client:
        assert client.send(bind(1, "ada", "adaada")).answer()[2] == INVALID_CREDENTIALS
        assert client.send(bind(1, "ada", device_of())).answer()[2] == SUCCESS


def disable(session):
    people.set_enabled(session, "ada", enabled=False)


def new_password(session):
    people.set_password(session, "ada", "another one")


@pytest.mark.parametrize("change", [disable, new_password])
def test_who_was_disabled_or_has_another_password_is_out_with_the_next_search(view, db, change):
    with view.raw().sign_in() as client:
        assert client.send(search(2)).result()[0] == SUCCESS
        with db.write() as session:
            change(session)
        assert client.send(search(3)).result() == (INVALID_CREDENTIALS, 0)
        assert client.is_closed()


def test_a_revoked_device_is_out_with_the_next_search(view, db, device_of):
    with view.raw().sign_in("ada", device_of()) as client:
        assert client.send(search(2)).result()[0] == SUCCESS
        with db.write() as session:
            devices.revoke(session, people.user(session, "ada"), "phone", by=BY)
        device_of()  # SQLite gives it the number of the first one
        assert client.send(search(3)).result() == (INVALID_CREDENTIALS, 0)


def test_a_phone_asks_from_its_networks_alone(view, organisation, caplog):
    def choices(*networks: str) -> Choices:
        return Choices(make="yealink", networks=networks)

    with organisation.db.write() as session:
        ada = people.user(session, "ada")
        secret = organisation.db.secret
        _, elsewhere = phone_profiles.add(session, ada, "elsewhere", choices("10.0.0.0/8"), secret=secret, by=BY)
        _, here = phone_profiles.add(session, ada, "here", choices("127.0.0.0/8"), secret=secret, by=BY)
    with view.raw() as client:
        assert client.send(bind(1, "ada", elsewhere)).answer()[2:] == (INVALID_CREDENTIALS, "")
        assert "The phone 'elsewhere' of 'ada' asks from 127.0.0.1" in caplog.text
        assert client.send(search(2)).result() == (INAPPROPRIATE, 0)
    with view.raw().sign_in("ada", here) as client:
        assert client.send(search(2, EVERYBODY)).result() == (SUCCESS, len(PEOPLE))
        with organisation.db.write() as session:
            phone_profiles.change(session, people.user(session, "ada"), "here", choices("10.0.0.0/8"), by=BY)
        assert client.send(search(3, EVERYBODY)).result() == (INVALID_CREDENTIALS, 0)


def test_a_right_that_ends_ends_on_open_connections_too(view, organisation, db):
    client = view.connection("ben")
    client.search(SUFFIX, EVERYBODY, attributes=["cn"])
    assert len(names(client)) == len(PEOPLE)
    with db.write() as session:
        people.remove_member(session, "sales", "ben")

    client.search(SUFFIX, EVERYBODY, attributes=["cn"])

    assert names(client) == []


def own_address() -> str:
    """An address of this machine that isn't the loopback's."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its loopback's")
        return str(probe.getsockname()[0])


def test_a_password_comes_openly_from_this_machine_or_a_network_that_may(serve, organisation):
    address = own_address()
    closed = serve(host="0.0.0.0")
    opened = serve(host="0.0.0.0", plaintext_networks=(f"{address}/32",))
    codes = []
    for view in (closed, opened):
        with closing(socket.create_connection((address, view.port), timeout=10)) as there:
            there.sendall(bind(1, "ada", "adaada"))
            codes.append(ber.children(ber.children(ber.only(there.recv(4096)).content)[1].content)[0].content[0])
    assert codes == [CONFIDENTIALITY, SUCCESS]


# -- what is there without signing in ----------------------------------------------------------------------------------


def test_the_root_and_the_schema_are_read_by_anybody(view):
    with view.raw() as client:
        for base in ("", "cn=subschema", "CN = Subschema"):
            assert client.send(search(1, base=base, scope="BASE", attributes=("*", "+"))).result() == (SUCCESS, 1)
        assert client.send(search(2, "(objectClass=subschema)", "", "BASE")).result() == (SUCCESS, 0)
        assert client.send(search(3, "(objectClass=subschema)", "cn=Subschema", "BASE")).result() == (SUCCESS, 1)


def test_ldap3_reads_all_of_the_schema(view):
    found = view.connection(get_info=ldap3.ALL).server
    assert found.info.naming_contexts == [SUFFIX]
    assert {one[0] for one in found.info.supported_controls} == set(controls.SUPPORTED)
    assert "inetOrgPerson" in found.schema.object_classes
    assert found.schema.attribute_types["telephoneNumber"].oid == "2.5.4.20"


def test_start_tls_is_announced_only_where_there_is_a_certificate(view):
    found = view.connection(get_info=ldap3.DSA).server.info
    assert [one[0] for one in found.supported_extensions] == [messages.WHO_AM_I]


# -- searching ---------------------------------------------------------------------------------------------------------


def test_who_i_am_is_told(view):
    client = view.connection()
    assert client.extend.standard.who_am_i() == "u:ada"


def test_an_attribute_comes_by_the_name_that_was_asked_for_and_types_without_values(view):
    client = view.connection()
    client.search(SUFFIX, "(surname=meyer)", attributes=["surname", "gn"])
    assert dict(client.response[0]["attributes"]) == {"surname": ["Meyer"], "gn": ["Hanna"]}
    client.search(SUFFIX, "(surname=meyer)", attributes=["surname", "gn"], types_only=True)
    assert set(client.response[0]["raw_attributes"]) == {"surname", "gn"}
    assert not any(client.response[0]["raw_attributes"].values())
    client.search(SUFFIX, "(surname=meyer)", attributes=["1.1"])
    assert dict(client.response[0]["attributes"]) == {}


def test_more_than_the_limit_is_told_behind_as_many_as_it_is(serve, view):
    with view.raw().sign_in() as client:
        assert client.send(search(2, EVERYBODY, limit=2)).result() == (SIZE_LIMIT, 2)
        assert client.send(search(3, EVERYBODY, limit=3)).result() == (SUCCESS, 3)
    with serve(size_limit=1).raw().sign_in() as client:
        assert client.send(search(2, EVERYBODY, limit=2)).result() == (SIZE_LIMIT, 1)


def test_an_empty_base_means_everything(view):
    with view.raw().sign_in() as client:
        assert client.send(search(2, EVERYBODY, base="")).result() == (SUCCESS, 3)
        assert client.send(search(3, EVERYBODY, base="", scope="LEVEL")).result() == (NO_SUCH_OBJECT, 0)


def test_a_book_of_others_is_as_one_that_is_not_there(view):
    with view.raw().sign_in("carla") as client:
        for number, unit in enumerate(("sales~leads", "nothing~there"), 2):
            answer = client.send(search(number, base=f"ou={unit},{SUFFIX}")).answer()
            assert answer == (number, 0x65, NO_SUCH_OBJECT, "")


def test_values_are_compared(view):
    client = view.connection()
    client.search(SUFFIX, "(sn=meyer)", attributes=["1.1"])
    (dn,) = [one["dn"] for one in client.response]
    assert client.compare(dn, "sn", "MEYER")
    assert not client.compare(dn, "sn", "schmidt")
    assert client.result["description"] == "compareFalse"


def test_nothing_can_be_written(view):
    client = view.connection()
    codes = []
    for write in (
        lambda: client.add(f"uid=x,{SUFFIX}", "person", {"sn": "x", "cn": "x"}),
        lambda: client.delete(f"uid=x,{SUFFIX}"),
        lambda: client.modify(f"uid=x,{SUFFIX}", {"sn": [(ldap3.MODIFY_REPLACE, ["x"])]}),
        lambda: client.modify_dn(f"uid=x,{SUFFIX}", "uid=y"),
    ):
        write()
        codes.append(client.result["result"])
    assert codes == [UNWILLING] * 4


def test_what_is_not_known_is_refused_where_it_must_be_done_and_else_passed_over(view):
    with view.raw().sign_in() as client:
        unknown = control("1.2.3.4")
        assert client.send(search(2, EVERYBODY, controls=unknown)).result() == (SUCCESS, 3)
        critical = control("1.2.3.4", critical=True)
        assert client.send(search(3, EVERYBODY, controls=critical)).result() == (CRITICAL, 0)
        extended = ber.written(0x77, ber.written(0x80, b"1.2.3.4"))
        client.send(ber.written(ber.SEQUENCE, ber.written_number(4), extended))
        assert client.answer()[2] == PROTOCOL_ERROR


def test_a_broken_request_is_answered_and_the_next_one_too(view):
    with view.raw().sign_in() as client:
        broken = ber.written(ber.SEQUENCE, ber.written_number(2), ber.written(0x63, b"\x04\x00"))
        assert client.send(broken).answer()[:3] == (2, 0x65, PROTOCOL_ERROR)
        assert client.send(search(3, EVERYBODY)).result() == (SUCCESS, 3)


def test_operations_sent_at_once_are_all_answered(view):
    count = 5 * stream.MOST_OUTSTANDING
    with view.raw().sign_in() as client:
        client.send(*(search(number, EVERYBODY) for number in range(2, 2 + count)))
        ended = set()
        while len(ended) < count:
            number, _, code, _ = client.answer()
            if code >= 0:
                assert code == SUCCESS
                ended.add(number)
    assert ended == set(range(2, 2 + count))


def test_two_operations_of_one_number_end_the_connection(view):
    with view.raw().sign_in() as client:
        client.send(search(2, EVERYBODY), search(2, EVERYBODY))
        assert client.is_closed()


def test_an_abandoned_search_is_not_answered_and_others_are(view, organisation):
    many(organisation, 30)
    with view.raw().sign_in() as client:
        abandon = ber.written(ber.SEQUENCE, ber.written_number(3), ber.written_number(2, 0x50))
        client.send(search(2, EVERYBODY), abandon, search(4, EVERYBODY, limit=1))
        ended = {}
        while 4 not in ended:
            number, _, code, _ = client.answer()
            ended.update({number: code} if code >= 0 else {})
        # It may have ended before it was abandoned.
        assert ended in ({4: SIZE_LIMIT}, {2: SUCCESS, 4: SIZE_LIMIT})
    until(lambda: view.connected() == 0)


# -- pages, and in order -----------------------------------------------------------------------------------------------


def test_pages_have_everybody_once(view, organisation):
    many(organisation, 23)
    client = view.connection()
    found = client.extend.standard.paged_search(SUFFIX, EVERYBODY, attributes=["cn"], paged_size=5, generator=False)
    assert sorted(one["attributes"]["cn"][0] for one in found) == sorted(
        [*(f"Person {number:04}" for number in range(23)), *(f"{given} {family}" for _, family, given, _ in PEOPLE)]
    )


def test_a_page_may_be_asked_for_at_another_process(view, serve):
    client = view.connection()
    client.search(SUFFIX, EVERYBODY, attributes=["cn"], paged_size=2)
    first = names(client)
    cookie = client.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
    other = serve().connection()
    other.search(SUFFIX, EVERYBODY, attributes=["cn"], paged_size=2, paged_cookie=cookie)
    assert len(first) == 2
    assert sorted(first + names(other)) == sorted(f"{given} {family}" for _, family, given, _ in PEOPLE)
    assert other.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"] == b""


def test_a_cookie_is_of_no_use_to_others(view):
    client = view.connection()
    client.search(SUFFIX, EVERYBODY, attributes=["cn"], paged_size=2)
    cookie = client.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
    other = view.connection("ben")
    other.search(SUFFIX, EVERYBODY, attributes=["cn"], paged_size=2, paged_cookie=cookie)
    assert other.result["result"] == UNWILLING


def test_a_client_s_limit_holds_over_all_pages(view):
    client = view.connection()
    client.search(SUFFIX, EVERYBODY, attributes=["cn"], paged_size=1, size_limit=2)
    cookie = client.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
    client.search(SUFFIX, EVERYBODY, attributes=["cn"], paged_size=1, size_limit=2, paged_cookie=cookie)
    assert (len(names(client)), client.result["result"]) == (1, SIZE_LIMIT)


def sort_control(*keys: tuple[str, bool], critical: bool = False) -> bytes:
    told = [
        ber.written(ber.SEQUENCE, ber.written_text(name), ber.written(0x81, b"\xff") if reverse else b"")
        for name, reverse in keys
    ]
    return control("1.2.840.113556.1.4.473", ber.written(ber.SEQUENCE, *told), critical=critical)


def dns_in_order(client, request: bytes) -> list[str]:
    client.send(request)
    found = []
    while (answer := client.answer())[2] < 0:
        found.append(answer[3])
    assert answer[2] == SUCCESS
    return found


def test_results_are_sorted_by_what_the_client_wants(view):
    with view.raw().sign_in() as client:
        up = dns_in_order(client, search(2, EVERYBODY, controls=sort_control(("sn", False), ("givenname", False))))
        down = dns_in_order(client, search(3, EVERYBODY, controls=sort_control(("surname", True), ("givenName", True))))
    assert len(up) == 3
    assert down == up[::-1]


def test_what_can_t_be_sorted_is_not_or_is_refused_where_it_must_be(view):
    with view.raw().sign_in() as client:
        assert client.send(search(2, EVERYBODY, controls=sort_control(("nothing", False)))).result() == (SUCCESS, 3)
        must = sort_control(("nothing", False), critical=True)
        assert client.send(search(3, EVERYBODY, controls=must)).result() == (CRITICAL, 0)


# -- limits, and the end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: contacts.example.org\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS, where it isn't spoken from the beginning
        b"\x30\x84\x7f\xff\xff\xff" + bytes(4096),
        b"\x30\x80" + bytes(100),
        b"\x30\x03\x02\x01\x00",
    ],
)
def test_what_is_not_ldap_is_told_so_and_ends(view, data):
    with view.raw() as client:
        number, tag, code, _ = client.send(data).answer()
        assert (number, tag, code) == (0, 0x78, PROTOCOL_ERROR)
        assert client.is_closed()
    until(lambda: view.connected() == 0)


def test_an_unbind_ends_the_connection(view):
    with view.raw().sign_in() as client:
        client.send(ber.written(ber.SEQUENCE, ber.written_number(2), b"\x42\x00"))
        assert client.is_closed()
    until(lambda: view.connected() == 0)


@pytest.fixture
def impatient(monkeypatch):
    """A server that looks often, and waits for parts of a second where it usually does for many."""
    monkeypatch.setattr(server, "_LOOKS_EVERY", 0.05)
    for name in ("SIGN_IN_SECONDS", "MESSAGE_SECONDS", "READ_SECONDS"):
        monkeypatch.setattr(stream, name, 0.3)


def test_who_begins_a_message_and_doesn_t_end_it_is_cut_off(impatient, view):
    with view.raw().sign_in() as client:
        client.send(search(2)[:-1])
        assert client.is_closed()


def test_who_never_signs_in_is_cut_off(impatient, view):
    with view.raw() as client:
        assert client.is_closed()


def test_a_mistake_with_one_connection_leaves_none_without_a_time_limit(impatient, view, monkeypatch):
    ours, looks = stream.Stream.look, []

    def look(self, now):
        looks.append(now)
        if len(looks) == 1:
            raise RuntimeError("a mistake")
        ours(self, now)

    monkeypatch.setattr(stream.Stream, "look", look)
    with view.raw() as client:
        assert client.is_closed()


def test_who_asks_and_asks_and_never_signs_in_is_cut_off(view):
    most = connection.MOST_OF_STRANGERS
    with view.raw() as client:
        for _ in range(most):
            assert client.send(search(1, base="", scope="BASE")).result()[0] == SUCCESS
        assert client.send(search(1, base="", scope="BASE")).answer()[:3] == (0, 0x78, BUSY)
        assert client.is_closed()


def test_who_says_nothing_for_long_is_cut_off(impatient, serve, organisation):
    with serve(idle_seconds=1).raw().sign_in() as client:
        assert client.is_closed()


def test_a_client_that_doesn_t_read_is_cut_off_and_holds_little(impatient, view, organisation):
    many(organisation, 60)
    with view.raw() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sign_in()
        try:
            for number in range(2, 2000):
                client.send(search(number, EVERYBODY))
        except OSError:
            pass  # it isn't read from any more, or gone
        (made,) = view.server._connections or (None,)
        if made is not None:
            assert made._transport.get_write_buffer_size() < 1_000_000
        until(lambda: view.connected() == 0)


def test_so_many_may_be_connected_and_of_strangers_from_one_address_fewer(serve, organisation):
    view = serve(connections=16)
    opened = [view.raw() for _ in range(2)]
    for client in opened:
        assert client.send(search(1, base="", scope="BASE")).result()[0] == SUCCESS
    with view.raw() as third:
        assert third.answer()[:3] == (0, 0x78, BUSY)
        assert third.is_closed()
    known = [client.sign_in() for client in opened]
    while len(known) < 8:
        known.append(view.raw().sign_in())
    with view.raw() as one_more:
        assert one_more.answer()[2] == BUSY
    for client in known:
        client.socket.close()
    until(lambda: view.connected() == 0)
    with view.raw().sign_in():
        pass


def test_clients_that_are_too_many_don_t_fill_the_log(serve, organisation, caplog):
    view = serve(connections=1)
    with view.raw().sign_in():
        for _ in range(5):
            with view.raw() as refused:
                assert refused.answer()[2] == BUSY
    assert len([one for one in caplog.records if "too many connections" in one.getMessage()]) == 1


def test_all_addresses_that_one_customer_has_by_ipv6_are_one():
    doors = limits.Doors(16)
    assert [doors.enter(f"2001:db8:1:2::{at}") for at in range(3)] == [True, True, False]
    assert doors.enter("2001:db8:1:3::1")
    doors.known("2001:db8:1:2::0")
    assert doors.enter("2001:db8:1:2::9")
    for at in (0, 1, 9):
        doors.leave(f"2001:db8:1:2::{at}", is_stranger=at > 0)
    assert [doors.enter(f"2001:db8:1:2::{at}") for at in range(3)] == [True, True, False]


def test_searches_of_one_person_are_counted_over_all_connections(serve, organisation, device_of):
    view = serve(searches_per_minute=3)
    codes = []
    for _ in range(2):
        with view.raw().sign_in() as client:
            codes += [client.send(search(number)).result()[0] for number in (2, 3)]
    assert codes == [SUCCESS, SUCCESS, SUCCESS, BUSY]
    with view.raw().sign_in("ada", device_of()) as client:
        assert client.send(search(2)).result()[0] == SUCCESS


def test_at_its_end_the_server_says_so(view):
    with view.raw().sign_in() as client:
        view.server.stop(timeout=10)
        assert client.answer()[:3] == (0, 0x78, 52)
        assert client.is_closed()
    assert not view.server.is_alive


def test_a_search_is_one_line_in_the_log_without_what_was_searched_for(view, caplog):
    caplog.set_level(logging.INFO, "radicale_shared.ldap_view")
    with view.raw().sign_in() as client:
        client.send(search(2, "(|(sn=secret*)(mail=secret))", f"ou=x\nforged,{SUFFIX}")).result()
    (line,) = [one.getMessage() for one in caplog.records if "LDAP search" in one.getMessage()]
    assert "by ada from 127.0.0.1" in line
    assert "(|(sn=?*)(mail=?))" in line
    assert "secret" not in line
    assert "\n" not in line


# -- other clients -----------------------------------------------------------------------------------------------------


def test_ldapsearch_finds_people(view):
    program = shutil.which("ldapsearch")
    if program is None:
        pytest.skip("ldapsearch is not installed (Debian: ldap-utils)")
    asked = ["-x", "-LLL", "-H", f"ldap://127.0.0.1:{view.port}", "-D", "uid=ada,ou=people,dc=contacts", "-w", "adaada"]
    done = subprocess.run(
        [program, *asked, "-b", SUFFIX, "-E", "pr=2/noprompt", "(|(cn=schm*)(sn=schm*))", "cn"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(line for line in done.stdout.splitlines() if line.startswith("cn:")) == [
        "cn: Frieda Schmidt",
        "cn: Gregor Schmidt",
    ]


def test_a_message_of_ldap3_is_what_the_tests_think_it_is():
    assert messages.read(message(5, ldap3.operation.unbind.unbind_operation(), "unbindRequest")).id == 5


# -- as processes of their own -----------------------------------------------------------------------------------------


@pytest.fixture
def configuration(database_url, organisation, tmp_path):
    """A configuration file, whose settings give a port to LDAP."""
    port = free_port()
    (tmp_path / "settings.toml").write_text(f'[ldap_server]\nport = {port}\nbase = "{SUFFIX}"\n', "utf-8")
    path = tmp_path / "served.ini"
    path.write_text(
        f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = {database_url}\n"
        f"settings_file = {tmp_path / 'settings.toml'}\n"
        "[auth]\ntype = radicale_shared.auth_plugin\n[rights]\ntype = radicale_shared.auth_plugin\n",
        "utf-8",
    )
    return path, port


@pytest.fixture
def started(configuration, tmp_path):
    """Starts the program with a command; what it says is in a file."""
    running = []

    def start(*arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        said = tmp_path / f"said{len(running)}"
        with said.open("wb") as out:
            command = [Path(sys.executable).with_name("radicale-shared"), "--config", configuration[0], *arguments]
            running.append(subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL))
        return running[-1], said

    yield start
    for one in running:
        one.kill()
        one.wait()


def answers(port: int) -> bool:
    try:
        with Raw(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
            return client.sign_in().send(search(2, "(description=Leads)")).result() == (SUCCESS, 1)
    except OSError:
        return False


def test_all_workers_of_serve_answer_on_one_port_and_end_in_good_order(configuration, started):
    _, port = configuration
    process, said = started("serve", "--port", str(free_port()), "--workers", "2")
    until(lambda: answers(port))
    with Raw(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
        client.sign_in()
        process.terminate()
        assert client.is_closed()
    assert process.wait(30) == 0
    assert f"ldap://127.0.0.1:{port}/{SUFFIX}" in said.read_text("utf-8")


def test_ldap_alone_answers_until_it_is_told_to_end(configuration, started):
    process, said = started("ldap")
    until(lambda: answers(configuration[1]))
    process.terminate()
    assert process.wait(30) == 0
    assert said.read_text("utf-8").startswith("radicale-shared ")


def test_ldap_alone_that_ends_by_itself_has_failed(configuration):
    broken = "from radicale_shared.ldap_view.server import Server; Server._serve = lambda *_: None"
    run = f"import sys; from radicale_shared.cli import main; {broken}; main(sys.argv[1:])"
    command = [sys.executable, "-P", "-c", run, "--config", configuration[0], "ldap"]  # the built one, wherever this is
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "ended by itself" in done.stderr


@pytest.mark.parametrize("command", [["ldap"], ["serve", "--workers", "1"]])
def test_a_port_that_is_taken_is_told_at_the_start(configuration, started, command):
    more = ["--port", str(free_port())] if command[0] == "serve" else []
    with socket.create_server(("127.0.0.1", configuration[1])):
        process, said = started(*command, *more)
        assert process.wait(60) == 1
    assert f"Can't listen for LDAP on 127.0.0.1 port {configuration[1]}" in said.read_text("utf-8")


def test_ldap_without_a_port_is_refused(configuration, started):
    process, said = started("ldap", "--port", "0")
    assert process.wait(60) == 1
    assert "[ldap_server]" in said.read_text("utf-8")


@pytest.mark.parametrize(
    "line",
    [
        'base = "contacts"',
        'base = ""',
        'base = "dc=a,,dc=b"',
        'base = "dc=a\\n"',
        'plaintext_networks = ["10.0.0.0/33"]',
        "port = 70000",
        "port = 400\ntls_port = 400\ncertificate = 'x'",
        "tls_port = 10636",
    ],
)
def test_settings_that_can_t_be_right_are_refused(tmp_path, line):
    path = tmp_path / "settings.toml"
    path.write_text(f"[ldap_server]\n{line}\n", "utf-8")
    with pytest.raises(ConfigurationError, match="ldap_server"):
        settings_file.load(str(path))


@pytest.mark.parametrize("base", ["dc=contacts", "ou=Adressbücher,o=Muster GmbH,c=de", "DC=firma,DC=example"])
def test_everything_may_be_below_any_plain_dn(tmp_path, base):
    path = tmp_path / "settings.toml"
    path.write_text(f'[ldap_server]\nbase = "{base}"\n', "utf-8")
    assert settings_file.load(str(path)).ldap_server.base == base
