"""The LDAP view finds what a real slapd finds that was loaded with the same book's LDIF.

What differs on purpose is left out of the filters here: slapd knows no order of names, no equality of fax numbers, and
compares a number's plus; the view compares nothing but digits, and takes letters without their diacritics.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import ldap3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.utils.conv import escape_filter_chars

from radicale_shared import access, database, phone_books
from radicale_shared.database import Database
from radicale_shared.ldap_view import ldif
from radicale_shared.ldap_view.results import ResultError
from tests.conftest import (
    BY,
    KINDS,
    Organisation,
    card,
    drop_postgresql_database,
    examples,
    new_postgresql_database,
    organise,
)
from tests.ldap import slapd
from tests.ldap.slapd import READER_PASSWORD, Slapd
from tests.ldap_view import asked

pytestmark = pytest.mark.skipif(bool(slapd.missing()), reason=slapd.missing())

LEADS = "ou=sales~leads,dc=contacts"
GIVEN = ("Eva", "Jan", "Maria", "Ann-Sophie", "Karl Heinz", "Ava", "Jane", "Li")
FAMILY = ("Muster", "Schmidt", "Schmitz", "Meyer", "Meier-Schmidt", "van der Berg", "O'Brien", "Mu")
ORGS = ("Muster GmbH", "Schmied & Sons", "Acme, Inc.", "Berg AG")
TITLES = ("Head of Sales", "Sales", "Engineer", "Chief  Engineer")
CITIES = ("Berlin", "Bergheim", "Linz")


def people(count: int) -> Iterator[bytes]:
    """Cards of people of every kind, always the same."""
    chance = random.Random(7)

    def some(probability: float, line: str) -> list[str]:
        return [line] if chance.random() < probability else []

    def number(*others: str) -> str:
        place, line = chance.choice(("30", "201", "171", "89")), chance.randrange(1000000, 1999999)
        return chance.choice((f"+49 {place} {line}", f"0{place}/{line}", f"0049-{place}-{line}", *others))

    for uid in range(count):
        given, family = chance.choice(GIVEN), chance.choice(FAMILY)
        lines = [
            "BEGIN:VCARD",
            "VERSION:3.0",
            f"UID:{uid}",
            f"FN:{chance.choice((f'{given} {family}', f'Dr. {given} {family}', f'{family} {given}'))}",
            f"N:{family};{given};;;",
            *some(0.6, f"EMAIL:{given.split()[0].lower()}.{uid}@{chance.choice(('muster', 'acme'))}.example"),
            *some(0.2, f"EMAIL:{family.split()[0].lower()}@home.example"),
            *some(0.6, f"TEL;TYPE=work:{number(f'({chance.randrange(510, 590)})')}"),
            *some(0.5, f"TEL;TYPE=cell:{number()}"),
            *some(0.3, f"TEL;TYPE=home:{number()}"),
            *some(0.2, f"TEL;TYPE=work,fax:{number()}"),
            *some(0.6, f"ORG:{chance.choice(ORGS).replace(',', chr(92) + ',')};{chance.choice(TITLES)}"),
            *some(0.4, f"TITLE:{chance.choice(TITLES)}"),
            *some(
                0.4, f"ADR;TYPE=work:;;{chance.choice(FAMILY)}str. {uid};{chance.choice(CITIES)};;{10000 + uid};Austria"
            ),
            *some(0.2, f"NOTE:met {chance.choice(GIVEN)} in {chance.choice(CITIES)}"),
            *some(0.2, f"CATEGORIES:Customer,{chance.choice(CITIES)}"),
            "END:VCARD",
            "",
        ]
        yield "\r\n".join(lines).encode()


@pytest.fixture(scope="module", params=KINDS)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with a book of people, for all tests here."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('books')}/books.db"
    else:
        admin = request.getfixturevalue("postgresql_admin")
        url = new_postgresql_database(admin)
    db = database.connect(url)
    db.upgrade()
    organisation = Organisation(organise(db).db)
    with db.write() as session:
        phone_books.set_region(session, "DE", by=BY)
    for at, data in enumerate(people(80)):
        organisation.put("ada", "sales~leads", f"{at}.vcf", data)
    yield db
    db.close()
    database._databases.pop(url)
    if request.param == "postgresql":
        drop_postgresql_database(admin, url)


@pytest.fixture(scope="module")
def connection(filled: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ldap3.Connection]:
    """To a slapd with the LDIF of that book."""
    with filled.read() as session:
        leads = access.find(session, "ada", "sales~leads")
    assert leads is not None
    content = b"".join(ldif.written(filled.read, leads, "dc=contacts", secret=filled.secret)).decode()
    _suffix, *records = content.split("\n\n")
    indexed = "index cn,sn,givenName,telephoneNumber,mobile,homePhone pres,eq,sub"
    server = Slapd(tmp_path_factory.mktemp("slapd"), "\n\n".join(records), suffix="dc=contacts", more=[indexed])
    try:
        with ldap3.Connection(
            ldap3.Server("127.0.0.1", port=server.port, get_info=ldap3.NONE),
            server.reader,
            READER_PASSWORD,
            auto_bind=True,
            check_names=False,
        ) as connected:
            yield connected
    finally:
        server.stop()


def of_slapd(connection: ldap3.Connection, wanted: str) -> set[str]:
    connection.search(LEADS, wanted, ldap3.LEVEL, attributes=["1.1"])
    assert connection.result["result"] == 0, connection.result
    return {one["dn"] for one in connection.response if one["type"] == "searchResEntry"}


# -- filters -----------------------------------------------------------------------------------------------------------

TEXTS = (
    "cn",
    "sn",
    "givenName",
    "displayName",
    "mail",
    "o",
    "ou",
    "title",
    "l",
    "street",
    "description",
    "businessCategory",
)
PHONES = ("telephoneNumber", "mobile", "homePhone")
UNKNOWN = ("nonsense", "other", "roomNumber2")
ALIASES = {
    "cn": "commonName",
    "sn": "surname",
    "givenName": "gn",
    "mobile": "mobileTelephoneNumber",
    "o": "OrganizationName",
}


@pytest.fixture(scope="module")
def told(connection: ldap3.Connection) -> dict[str, list[str]]:
    """{attribute: values that somebody has}"""
    connection.search(LEADS, "(objectClass=person)", ldap3.LEVEL, attributes=[*TEXTS, *PHONES])
    found: dict[str, set[str]] = {name: set() for name in (*TEXTS, *PHONES)}
    for one in connection.response:
        for name, values in one["attributes"].items():
            found[name].update(map(str, values if isinstance(values, list) else [values]))
    return {name: sorted(values) for name, values in found.items()}


def filters(told: dict[str, list[str]]) -> st.SearchStrategy[str]:
    """Filters for what there is, for what there is nearly, and for what there is not."""

    @st.composite
    def compared(draw: st.DrawFn) -> str:
        name = draw(st.sampled_from([*TEXTS, *PHONES]))
        values = told[name] or ["nothing"]
        value = draw(st.sampled_from(values))
        shown = ALIASES.get(name, name) if draw(st.booleans()) else name
        if draw(st.integers(0, 5)) == 0:
            value = draw(st.sampled_from(told[draw(st.sampled_from([*TEXTS]))] or ["nothing"]))
            value = value if name not in PHONES else "+4930999"
        is_phone = name in PHONES

        def changed(text: str) -> str:
            if is_phone:
                return text
            return draw(st.sampled_from([text, text.upper(), text.lower(), text.swapcase()]))

        def piece(least: int = 0) -> str:
            start = draw(st.integers(least, max(least, len(value) - 1)))
            length = draw(st.integers(1, 8))
            found = value[start : start + length].strip().lstrip("+")
            return escape_filter_chars(changed(found)) if found.strip() else "a" if not is_phone else "1"

        beginning = escape_filter_chars(changed(value[: draw(st.integers(2, 9))].rstrip()))
        end = escape_filter_chars(changed(value[-draw(st.integers(1, 6)) :].lstrip()))
        form = draw(st.integers(0, 7))
        if form == 0:
            return f"({shown}={escape_filter_chars(changed(value))})"
        if form == 1:
            return f"({shown}=*)"
        if form == 2:
            return f"({shown}=*{end})"
        if form == 3:
            return f"({shown}=*{piece(1)}*)"
        if form == 4:
            return f"({shown}={beginning}*{piece(1)}*)"
        if form == 5:
            return f"({shown}=*{piece(1)}*{piece(1)}*)"
        return f"({shown}={beginning}*)"

    leaf = st.one_of(
        compared(),
        compared(),
        compared(),
        st.sampled_from(UNKNOWN).map(lambda name: f"({name}=Eva)"),
        st.sampled_from(["(objectClass=person)", "(objectClass=*)", "(objectClass=group)", "(objectClass=nonsense)"]),
    )
    return st.recursive(
        leaf,
        lambda some: st.one_of(
            some.map("(!{})".format),
            st.lists(some, min_size=1, max_size=4).map(lambda parts: f"(&{''.join(parts)})"),
            st.lists(some, min_size=1, max_size=4).map(lambda parts: f"(|{''.join(parts)})"),
        ),
        max_leaves=6,
    )


def test_the_view_finds_what_slapd_finds(
    filled: Database, connection: ldap3.Connection, told: dict[str, list[str]]
) -> None:
    found_some = 0

    @examples(500)  # for each of both databases
    @given(filters(told))
    def same(wanted: str) -> None:
        nonlocal found_some
        expected = of_slapd(connection, wanted)
        found = asked.names(filled, "ada", wanted, base=LEADS, scope=asked.Scope.ONE)
        assert len(found) == len(set(found))
        assert set(found) == expected
        found_some += bool(expected)

    same()
    assert found_some > 100, "most of these filters found nobody"


# What clients send, with what somebody typed, or who calls, in the places that their manuals give it.
OUTLOOK = "(&(mail=*)(|(mail={0}*)(|(cn={0}*)(|(sn={0}*)(givenName={0}*)))))"
THUNDERBIRD_OLD = "(|(cn={0}*{1}*-*)(mail={0}*{1}*-*)(sn={0}*{1}*-*))"
THUNDERBIRD_COMPOSING = "(|(cn=*{0}*{1}*)(mail=*{0}*)(givenName=*{0}*)(sn=*{0}*))"
_TWELVE = (
    "(|(cn=*{0}*)(givenName=*{0}*)(sn=*{0}*)(mail=*{0}*)(&(description=*{0}*))(o=*{0}*)(ou=*{0}*)(title=*{0}*)"
    "(mozillaNickname=*{0}*)(mozillaSecondEmail=*{0}*)(mozillaWorkUrl=*{0}*)(mozillaHomeUrl=*{0}*))"
)
CLIENTS = {
    "yealink, names": "(|(cn={0}*)(sn={0}*))",
    "yealink, contains": "(|(cn=*{0}*)(sn=*{0}*))",
    "yealink, family names": "(&(cn=*)(sn={0}*))",
    "yealink, all others": "(!(cn={0}*))",
    "yealink, numbers": "(|(telephoneNumber={2})(mobile={2})(ipPhone={2}))",
    "yealink, numbers that begin": "(|(telephoneNumber={2}*)(mobile={2}*)(ipPhone={2}*))",
    "fanvil, names": "(|(cn={0}*)(sn={0}*))",
    "fanvil, numbers": "(|(telephoneNumber={2})(mobile={2})(other={2}))",
    "grandstream, others": "(!(sn={0}*))",
    "grandstream, numbers": "(|(telephoneNumber={2})(Mobile={2}))",
    "grandstream, mail": "(mail={0}*)",
    "snom, names": "(&(telephoneNumber=*)(sn={0}*))",
    "snom, numbers": "(&(telephoneNumber={2})(sn=*))",
    "gigaset, names": "(|(cn={0}*)(sn={0}*))",
    "gigaset, numbers": "(|(telephoneNumber={2})(mobile={2})(homePhone={2}))",
    "poly": "(&(objectclass=person)(sn={0}*))",
    "cisco, family names": "(sn={0}*)",
    "cisco, names": "(cn=*{0}*)",
    "nethvoice, names": "(|(sn={0}*)(cn={0}*)(givenName={0}*)(o={0}*))",
    "nethvoice, numbers": "(|(telephoneNumber={2})(mobile={2})(homePhone={2}))",
    "outlook": OUTLOOK,
    "thunderbird, composing, once": THUNDERBIRD_OLD,
    "thunderbird, composing": THUNDERBIRD_COMPOSING,
    "thunderbird, address book": _TWELVE,
    "thunderbird, two words": "(&" + _TWELVE + _TWELVE.replace("{0}", "{1}") + ")",
}
TYPED = [
    ("mu", "sch"),
    ("Eva", "M"),
    ("SCHM", "muster"),
    ("ann-", "S"),
    ("o'b", "r"),
    ("zz", "y"),
    ("berg", "berg"),
    ("a", "e"),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_what_clients_send_finds_what_slapd_finds(
    filled: Database, connection: ldap3.Connection, told: dict[str, list[str]], client: str
) -> None:
    found_some = False
    numbers = [value for name in PHONES for value in told[name][::7]] + ["+4930999", "0999"]
    for at in range(max(len(TYPED), len(numbers) if "{2}" in CLIENTS[client] else 0)):
        wanted = CLIENTS[client].format(*TYPED[at % len(TYPED)], numbers[at % len(numbers)])
        expected = of_slapd(connection, wanted)
        assert set(asked.names(filled, "ada", wanted, base=LEADS, scope=asked.Scope.ONE)) == expected, wanted
        found_some = found_some or bool(expected)
    assert found_some or client == "thunderbird, composing, once"


@pytest.mark.parametrize("scope", asked.Scope)
@pytest.mark.parametrize(
    "base",
    [
        "dc=contacts",
        LEADS,
        "uid={0},ou=sales~leads,dc=contacts",
        "uid=999999," + LEADS,
        "ou=none,dc=contacts",
        "dc=nowhere",
    ],
)
def test_a_base_and_a_scope_mean_what_they_mean_to_slapd(
    filled: Database, connection: ldap3.Connection, base: str, scope: asked.Scope
) -> None:
    somebody = asked.names(filled, "ada", "(sn=Muster)")[0]
    base = base.format(somebody.partition(",")[0].removeprefix("uid="))
    wanted = "(&(objectClass=*)(!(cn=reader))(!(ou=contacts))(!(ou=ada~contacts)))"
    connection.search(base, wanted, (ldap3.BASE, ldap3.LEVEL, ldap3.SUBTREE)[scope], attributes=["1.1"])
    code = connection.result["result"]
    expected = {one["dn"] for one in connection.response or () if one["type"] == "searchResEntry"}
    if code:
        with pytest.raises(ResultError) as refused:
            asked.names(filled, "ada", wanted, base=base, scope=scope)
        assert int(refused.value.code) == code
    else:
        assert set(asked.names(filled, "ada", wanted, base=base, scope=scope)) == expected


def test_the_view_forgives_what_slapd_does_not(db: Database, organisation: Organisation) -> None:
    organisation.put("ada", "sales~leads", "1.vcf", card("1", "Jörg Weiß", "TEL;TYPE=work:+49 30 1234567"))
    for wanted in (
        *("(cn=jorg*)", "(cn=JÖRG WEISS)", "(sn=*weiss)", "(cn=*rg wei*)", "(telephoneNumber=49301234567)"),
        *(
            r"(telephoneNumber=+49 \2830\29 123*)",
            "(cn>=j)",
            "(!(cn<=j))",
            "(cn~=jorg weiss)",
            "(telephoneNumber=*567)",
        ),
    ):
        assert len(asked.names(db, "ada", wanted, base=LEADS, scope=asked.Scope.ONE)) == 1, wanted
    for wanted in (
        "(telephoneNumber=sch*)",
        "(telephoneNumber=*sch*)",
        "(telephoneNumber=sch)",
        "(nonsense=*)",
        "(!(nonsense=x))",
    ):
        assert asked.names(db, "ada", wanted) == [], wanted
