"""A book as LDIF: what RFC 2849 asks of it, and that a real slapd loads all of it, whatever is on the cards."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.cli import main
from radicale_shared.ldap_view import dn, ldif
from tests.conftest import Organisation, card, examples
from tests.ldap import slapd
from tests.ldap.slapd import Slapd

NAMES = ("TEL", "EMAIL", "ORG", "TITLE", "NOTE", "ADR", "URL", "CATEGORIES", "NICKNAME")
NO_NAMES = ("x", "=a", "cn=a,", "cn=a,,cn=b", r"cn=\FF", 'cn="a', "cn=a<b", "cn=a\\", "cn=a" * 2000)
NO_SLAPD = pytest.mark.skipif(bool(slapd.missing()), reason=slapd.missing())


def exported(organisation: Organisation, suffix: str = "dc=contacts") -> bytes:
    found = organisation.access("ada", "sales~leads")
    assert found is not None
    return b"".join(ldif.written(organisation.db.read, found, suffix, secret=organisation.db.secret))


def records(content: bytes) -> Iterator[list[tuple[str, str]]]:
    """(attribute, value) of each entry: as RFC 2849 reads it."""
    unfolded = content.decode("ascii").replace("\n ", "")
    for record in unfolded.split("\n\n"):
        lines = [re.fullmatch(r"([A-Za-z0-9;.-]+):(:?) ?(.*)", line, re.DOTALL) for line in record.splitlines()]
        told = [(line[1], base64.b64decode(line[3]).decode() if line[2] else line[3]) for line in lines if line]
        assert len(told) == len(record.splitlines())
        if told:
            yield told


def test_an_entry_has_the_names_and_values_of_the_view(organisation: Organisation) -> None:
    organisation.put(
        "ada",
        "sales~leads",
        "1.vcf",
        card(
            "1",
            "Jörg Weiß",
            "TEL;TYPE=work:+49 30 1234567",
            "EMAIL:jw@muster.example",
            "NOTE: begins with a blank",
            "URL:http://x.example",
        ),
    )
    suffix, unit, entry = records(exported(organisation, "dc=example,dc=org"))
    assert suffix[0] == ("dn", "dc=example,dc=org")
    assert ("dc", "example") in suffix
    assert unit[0] == ("dn", "ou=sales~leads,dc=example,dc=org")
    assert entry[0][1].endswith(",ou=sales~leads,dc=example,dc=org")
    told = dict(entry)
    assert (told["cn"], told["mail"], told["labeledURI"]) == ("Jörg Weiß", "jw@muster.example", "http://x.example")
    assert ("telephoneNumber", "+49301234567") in entry
    assert ("telephoneNumber", "0049301234567") in entry


def test_lines_are_short_and_of_ascii(organisation: Organisation) -> None:
    organisation.put("ada", "sales~leads", "1.vcf", card("1", "Jörg " * 40, "NOTE:" + "long " * 190))
    lines = exported(organisation).split(b"\n")
    assert max(map(len, lines)) == 76
    assert b"".join(lines).isascii()


@NO_SLAPD
def test_slapd_loads_what_it_would_refuse_as_it_stands_on_cards(organisation: Organisation, tmp_path: Path) -> None:
    hard = [
        *("TEL;TYPE=work:*21", "TEL;TYPE=work:#31#", "TEL;TYPE=cell:**610", "TEL;TYPE=work,fax:+49 30 1234567;ext=12"),
        *(
            "TEL;TYPE=work:+49 30 12-34-567",
            "TEL;TYPE=work:+49 30 1234567",
            "TEL;TYPE=home:0049 (30) 1234567",
            "TEL:610",
        ),
        *("EMAIL:jörg@müster.example", "EMAIL:A@muster.example", "EMAIL:a@MUSTER.example", "CATEGORIES:a,A, a ,b"),
        *(
            "ORG:;;",
            "ORG:Muster\\; GmbH;x;X",
            "TITLE:  ",
            "NICKNAME:\\n",
            "ADR;TYPE=home:;;a$b\\\\c;;;;",
            "NOTE:\\n \\nx:",
        ),
        *("URL:http://ä.example", "ADR:;;;;;;DE", "NOTE::<"),
    ]
    organisation.put("ada", "sales~leads", "1.vcf", card("1", " :<jörg", *hard))
    organisation.put("ada", "sales~leads", "2.vcf", card("2", "+,;<>\\\\#"))
    server = Slapd(tmp_path / "slapd", "", suffix="dc=contacts")
    try:
        server.stop()
        _suffix, *rest = exported(organisation).decode().split("\n\n")
        server.load("\n\n".join(rest))
    finally:
        server.stop()


@NO_SLAPD
def test_slapd_loads_whatever_is_on_cards(organisation: Organisation, tmp_path: Path) -> None:
    server = Slapd(tmp_path / "slapd", "", suffix="dc=contacts")
    server.stop()
    program = shutil.which("slapd", path=str(server.folder))
    assert program is not None
    texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
    lines = st.lists(
        st.tuples(st.sampled_from(NAMES), texts),
        max_size=6,
    )

    @examples(25)
    @given(texts.filter(str.strip), lines)
    def loads(name: str, more: list[tuple[str, str]]) -> None:
        organisation.put("ada", "sales~leads", "1.vcf", card("1", name, *(f"{key}:{value}" for key, value in more)))
        content = exported(organisation)
        list(records(content))
        arguments = [program, "-T", "add", "-u", "-f", str(server.folder / "slapd.conf")]
        done = subprocess.run(arguments, input=content, capture_output=True, check=False)
        assert done.returncode == 0, [*done.stderr.decode().splitlines()[-2:], content.decode()]

    loads()


@pytest.mark.parametrize("suffix", ["", "nothing", "dc=a,,dc=b", "dc=a+ou=b,dc=c", "dc=#61"])
def test_what_is_no_dn_is_no_suffix(suffix: str) -> None:
    with pytest.raises(ValueError, match="no DN"):
        ldif.require_suffix(suffix)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("dc=contacts", (("dc", "contacts"),)),
        (" DC = Contacts , O = Muster  GmbH ", (("dc", "contacts"), ("o", "muster gmbh"))),
        (r"cn=a\,b\2Cc\C3\A4,domainComponent=x", (("cn", "a,b,cä"), ("dc", "x"))),
        ('cn="a,b";2.5.4.10=x', (("cn", "a,b"), ("o", "x"))),
        (r"cn=\ a\ ", (("cn", "a"),)),
        ("uid=1+cn=a,dc=b", (dn.ANOTHER, ("dc", "b"))),
        ("", ()),
    ],
)
def test_a_name_is_read(written: str, found: tuple[tuple[str, str], ...]) -> None:
    assert dn.parsed(written) == found


@pytest.mark.parametrize(
    "written", ["x", "=a", "cn=a,", "cn=a,,cn=b", r"cn=\FF", 'cn="a', "cn=a<b", "cn=a\\", "cn=a" * 2000]
)
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="DN"):
        dn.parsed(written)


@examples(200)
@given(st.text(max_size=50))
def test_reading_a_name_ends(written: str) -> None:
    with suppress(ValueError):
        dn.parsed(written)


@examples(200)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip))
def test_what_is_written_is_read_again(value: str) -> None:
    assert dn.parsed(dn.written(("cn", value), ("dc", "x"))) == (("cn", dn.folded(value)), ("dc", "x"))


def test_the_command_writes_it(organisation: Organisation, database_url: str, tmp_path: Path) -> None:
    organisation.put("ada", "sales~leads", "1.vcf", card("1", "Jörg Weiß"))
    config = tmp_path / "config.ini"
    plugins = "\n".join(f"[{name}]\ntype = radicale_shared.auth_plugin" for name in ("auth", "rights"))
    config.write_text(f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = {database_url}\n{plugins}\n")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["--config", str(config), "export", "sales/leads", *arguments])

    assert run("--format", "ldif").stdout_bytes == exported(organisation)
    assert run("--format", "ldif", "--base", "o=Muster").stdout_bytes == exported(organisation, "o=Muster")
    assert run("--format", "ldif", "--base", "nothing").exit_code == 1
    assert run("--base", "o=Muster").exit_code == 2
