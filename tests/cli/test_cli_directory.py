"""``directory``: what an administrator sees of a real slapd, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from radicale_shared import books, directories, grants, people
from radicale_shared.access import Role
from radicale_shared.database import Database
from tests.cli.conftest import CommandLine
from tests.conftest import BY
from tests.ldap import certificates, slapd
from tests.ldap.certificates import Authority
from tests.ldap.people import branch, company, group, person, unit
from tests.ldap.slapd import READER_PASSWORD, Slapd

PEOPLE = "ou=people,dc=example,dc=org"
GROUPS = "ou=groups,dc=example,dc=org"


@pytest.fixture
def new_slapd(tmp_path: Path) -> Iterator[Callable[..., Slapd]]:
    """Makes a slapd for one test."""
    if reason := slapd.missing():
        pytest.skip(reason)
    made: list[Slapd] = []

    def make(ldif: str, **options: Any) -> Slapd:
        made.append(Slapd(tmp_path / f"slapd{len(made)}", ldif, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def directory_cli(db: Database, tmp_path: Path) -> Callable[..., CommandLine]:
    """The command line over ``db`` and directories: ``directory_cli(main={"url": ..., "suffix": ...})``."""

    def make(**tables: dict[str, Any]) -> CommandLine:
        file, config = tmp_path / "settings.toml", tmp_path / "directories.ini"
        file.write_text("\n".join(_table(name, **more) for name, more in tables.items()))
        file.chmod(0o600)
        config.write_text(
            f"[storage]\ntype = radicale_shared.storage_plugin\ndatabase_url = {db.url}\nsettings_file = {file}\n"
            "[auth]\ntype = radicale_shared.auth_plugin\n[rights]\ntype = radicale_shared.auth_plugin\n"
        )
        return CommandLine(config)

    return make


def _table(name: str, **more: Any) -> str:
    suffix = more.pop("suffix", "dc=example,dc=org")
    values: dict[str, Any] = {
        "name": name,
        "kind": "openldap",
        "start_tls": False,
        "allow_plaintext": True,
        "bind_dn": f"cn=reader,{suffix}",
        "bind_password": READER_PASSWORD,
        "domains": [f"{name}.example"],
        "people_base": [f"ou=people,{suffix}"],
        "group_base": [f"ou=groups,{suffix}"],
        "connect_timeout_seconds": 2,
        "answer_timeout_seconds": 2,
        **more,
    }
    mirror = values.pop("mirror", {})
    tables = {"[[directory]]": values, "[directory.mirror]": mirror}
    return "".join(
        f"{heading}\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for heading, table in tables.items()
    )


@pytest.fixture
def main_slapd(new_slapd: Callable[..., Slapd]) -> Slapd:
    return new_slapd(company())


@pytest.fixture
def cli(directory_cli: Callable[..., CommandLine], main_slapd: Slapd) -> CommandLine:
    """The command line with the company as the directory "main"."""
    return directory_cli(main={"servers": [main_slapd.url]})


def grant(db: Database, group_slug: str) -> None:
    with db.write() as session:
        made = books.add(session, people.add_group(session, "Owner"), "shared", by=BY)
        grants.give(session, made, f"group:{group_slug}", Role.EDITOR, by=BY)


# -- check -------------------------------------------------------------------------------------------------------------


def test_a_check_shows_each_step_the_groups_as_a_tree_and_the_books(cli, db, main_slapd):
    cli.done("directory", "sync")
    grant(db, "all-2")
    said = cli.run("directory", "check", "ada", "--password-stdin", stdin="ada-secret")
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert lines[0] == "Directory main"
    assert f"  ok      server {main_slapd.url}: connected in plain text; bound as {main_slapd.reader}" in lines
    assert any(line.startswith(f"  ok      person: uid=ada,{PEOPLE}, login ada, name Ada Lovelace,") for line in lines)
    assert "  ok      active: yes" in lines
    assert "  ok      password: right" in lines
    assert "  ok      sign-in: as ada, with the address /ada/" in lines
    at = lines.index(f"    backend  [group:backend]  cn=backend,{GROUPS}")
    assert lines[at + 1 : at + 4] == [
        f"      engineering  [group:engineering]  cn=engineering,{GROUPS}",
        f"        all  [group:all-2]  cn=all,{GROUPS}",
        f"          backend  [group:backend]  cn=backend,{GROUPS}  (a circle: it is above already)",
    ]
    assert f"    board  [group:board]  cn=board,{GROUPS}  (no right hangs on it)" in lines
    assert lines[-2:] == ["  Books:", "    owner/shared (editor)"]


@pytest.mark.parametrize(
    ("server", "advice"),
    [
        ("ldap://certificate.invalid", "Look at the host name in servers, and at the DNS."),
        ("ldap://127.0.0.1:1", "Look at host and port in servers, and at the firewall."),
    ],
)
def test_what_to_do_is_told_by_what_is_wrong_and_not_by_the_server_s_name(directory_cli, server, advice):
    said = directory_cli(main={"servers": [server]}).run("directory", "check", "ada", "--json")

    ((step,),) = [one["steps"] for one in json.loads(said.stdout)]
    assert (step["ok"], step["advice"]) == (False, advice)


def test_a_check_changes_nothing(cli, db):
    cli.done("directory", "sync")
    cli.run("directory", "check", "ada", "--password-stdin", stdin="ada-secret")
    with db.read() as session:
        assert people.users(session) == []
        assert directories.known(session, "main", "ada") is None


def test_a_check_tells_programs_the_same(cli, db):
    cli.done("directory", "sync")
    grant(db, "all-2")
    (found,) = cli.json("directory", "check", "ADA@main.example")
    assert (found["directory"], found["login"], found["slug"]) == ("main", "ada", "ada")
    assert all(step["ok"] for step in found["steps"])
    assert {"level": 3, "name": "all", "dn": f"cn=all,{GROUPS}", "slug": "all-2", "remark": ""} in found["groups"]
    assert found["books"] == [{"book": "owner/shared", "role": "editor", "url": "/ada/owner~shared/"}]


def failed(cli: CommandLine, *arguments: str, stdin: str | None = None) -> list[dict[str, Any]]:
    """The steps of a check that failed."""
    result = cli.run("directory", "check", *arguments, "--json", stdin=stdin)
    assert result.exit_code == 1, result.output
    steps = [step for one in json.loads(result.stdout) for step in one["steps"] if not step["ok"]]
    assert steps
    assert all(step["advice"] for step in steps)
    return steps


def test_groups_that_are_not_known_here_yet_are_told_with_the_command(cli):
    (step,) = failed(cli, "ben")
    assert step["step"] == "known groups"
    assert "engineering, staff, unix" in step["said"]
    assert "radicale-shared directory sync --directory main" in step["advice"]


@pytest.mark.parametrize(
    ("login", "step", "said"),
    [
        ("nobody", "person", "nobody has the login 'nobody'"),
        ("carla", "active", "no: locked by an administrator"),
        ("*", "person", "nobody has the login '*'"),
    ],
)
def test_somebody_who_can_not_sign_in_is_told_with_the_reason(cli, login, step, said):
    cli.done("directory", "sync")
    found = failed(cli, login)
    assert (found[0]["step"], said in found[0]["said"]) == (step, True)


def test_a_wrong_password_is_told(cli):
    cli.done("directory", "sync")
    (step,) = failed(cli, "ada", "--password-stdin", stdin="wrong")
    assert (step["step"], step["said"]) == ("password", "wrong")


def test_two_entries_with_one_login_are_told(cli, main_slapd):
    main_slapd.add(f"ou=twins,{PEOPLE}", objectClass="organizationalUnit", ou="twins")
    main_slapd.add(f"uid=ada,ou=twins,{PEOPLE}", objectClass="inetOrgPerson", uid="ada", cn="Twin", sn="Twin")
    (step,) = failed(cli, "ada")
    assert step["step"] == "person"
    assert f"uid=ada,ou=twins,{PEOPLE}" in step["said"]


def test_a_local_user_with_the_login_is_told(cli, db):
    cli.done("directory", "sync")
    with db.write() as session:
        people.add_user(session, "ada")
    (step,) = failed(cli, "ada")
    assert step["step"] == "login"
    assert cli.run("directory", "check", "ada@main.example").exit_code == 0


def test_whom_an_administrator_disabled_is_told(cli, db):
    cli.done("directory", "sync")
    facts = directories.PersonFacts(key_of(cli, "ada"), f"uid=ada,{PEOPLE}", "ada", "Ada", "", "", active=True)
    with db.write() as session:
        directories.take_person(session, "main", facts)
        people.set_enabled(session, "ada", enabled=False)
    (step,) = failed(cli, "ada")
    assert (step["step"], step["said"]) == ("sign-in", "disabled here by an administrator")


def key_of(cli: CommandLine, login: str) -> str:
    (found,) = cli.json("directory", "check", login)
    (said,) = [step["said"] for step in found["steps"] if step["step"] == "person"]
    return str(said.rpartition("key ")[2])


@pytest.mark.parametrize(
    ("more", "advice"),
    [
        ({"people_base": ["ou=peopel,dc=example,dc=org"]}, "Look at people_base and group_base,"),
        ({"group_base": ["ou=grops,dc=example,dc=org"]}, "Look at people_base and group_base,"),
        ({"key_attribute": "objectGUID"}, "Look at key_attribute and group_key_attribute,"),
    ],
)
def test_a_key_of_the_settings_that_finds_nothing_is_named(directory_cli, main_slapd, more, advice):
    (step,) = failed(directory_cli(main={"servers": [main_slapd.url], **more}), "ada")
    assert step["step"] == "answers"
    assert step["advice"] == f"{advice} and at what the reader may see."


def test_each_server_is_tried_by_itself(directory_cli, main_slapd):
    cli = directory_cli(main={"servers": ["ldap://127.0.0.1:1", main_slapd.url]})
    result = cli.run("directory", "check", "ada")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1].startswith("  FAILED  server ldap://127.0.0.1:1: ldap://127.0.0.1:1 can't be reached")
    assert lines[2] == "          Look at host and port in servers, and at the firewall."
    assert lines[3].startswith(f"  ok      server {main_slapd.url}")
    assert any(line.startswith("  ok      person") for line in lines)


def test_a_wrong_reader_is_told(directory_cli, main_slapd):
    cli = directory_cli(main={"servers": [main_slapd.url], "bind_password": "wrong"})
    (step,) = failed(cli, "ada")
    assert step["step"] == f"server {main_slapd.url}"
    assert (main_slapd.reader in step["said"], step["advice"]) == (True, "Look at bind_dn and bind_password.")
    assert "wrong" not in json.dumps(step)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    if reason := certificates.missing():
        pytest.skip(reason)
    return Authority(tmp_path / "authority")


def test_a_check_shows_protocol_and_certificate(directory_cli, new_slapd, authority):
    secured = new_slapd(company(), certificate=authority.issue("valid", "IP:127.0.0.1"))
    tls = {"ca_file": str(authority.file), "allow_plaintext": False}
    cli = directory_cli(main={"servers": [secured.tls_url, secured.url], "start_tls": True, **tls})
    cli.run("directory", "sync")
    (found,) = cli.json("directory", "check", "ada")
    for step in found["steps"][:2]:
        assert step["said"].startswith("TLSv1.3; certificate of ")
        assert " by " in step["said"]
        assert ", until " in step["said"]


def test_a_certificate_of_an_unknown_ca_is_told_with_what_to_do(directory_cli, new_slapd, authority):
    secured = new_slapd(company(), certificate=authority.issue("valid", "IP:127.0.0.1"))
    cli = directory_cli(main={"servers": [secured.tls_url], "allow_plaintext": False})
    (step,) = failed(cli, "ada")
    assert "certificate" in step["said"]
    assert "ca_file" in step["advice"]


def test_a_check_asks_the_directories_that_a_login_may_belong_to(directory_cli, main_slapd, new_slapd):
    other = new_slapd(branch(), suffix="dc=branch,dc=example")
    cli = directory_cli(
        main={"servers": [main_slapd.url]}, branch={"servers": [other.url], "suffix": "dc=branch,dc=example"}
    )
    cli.done("directory", "sync")
    assert [one["directory"] for one in cli.json("directory", "check", "ada")] == ["main"]
    assert [one["directory"] for one in cli.json("directory", "check", "ada@branch.example")] == ["branch"]
    assert [one["slug"] for one in cli.json("directory", "check", "ada", "--directory", "branch")] == ["ada"]
    assert "These are in the settings: main, branch." in cli.refused("directory", "check", "ada", "--directory", "x")


def test_a_check_asks_the_directory_whose_person_has_the_bare_login_here(directory_cli, main_slapd, new_slapd, db):
    other = new_slapd(branch(), suffix="dc=branch,dc=example")
    cli = directory_cli(
        main={"servers": [main_slapd.url]}, branch={"servers": [other.url], "suffix": "dc=branch,dc=example"}
    )
    cli.done("directory", "sync")
    dn = "uid=ada,ou=people,dc=branch,dc=example"
    (found,) = cli.json("directory", "check", "ada@branch.example")
    key = next(step["said"] for step in found["steps"] if step["step"] == "person").rpartition("key ")[2]
    facts = directories.PersonFacts(key, dn, "ada", "Ada", "", "branch.example", active=True)
    with db.write() as session:
        directories.take_person(session, "branch", facts)  # signed in first
    assert [one["directory"] for one in cli.json("directory", "check", "ada")] == ["branch"]
    assert [one["directory"] for one in cli.json("directory", "check", "ada@main.example")] == ["main"]
    (main,) = cli.json("directory", "check", "ada", "--directory", "main")
    assert (main["directory"], main["login"]) == ("main", "ada@main.example")


def test_without_directories_the_commands_say_so(db, configuration):
    cli = CommandLine(configuration(db.url))
    assert "settings_file" in cli.refused("directory", "check", "ada")
    assert "There is no directory." in cli.done("directory", "list")
    assert cli.json("directory", "list") == []


# -- sync and list -----------------------------------------------------------------------------------------------------


def test_a_sync_tells_what_it_did_and_then_that_nothing_is_new(cli):
    (first,) = cli.json("directory", "sync")
    assert (first["groups"], first["new_groups"], first["joined"], first["guard"]) == (8, 8, 3, "")
    (again,) = cli.json("directory", "sync")
    assert (again["new_groups"], again["changed"], again["joined"], again["left"]) == (0, 0, 0, 0)
    assert "Directory main was read: 8 groups, and 0 people who signed in here before." in cli.done("directory", "sync")


def test_a_mirror_that_fails_does_not_hide_what_was_taken_in(directory_cli, main_slapd, db):
    with db.write() as session:
        books.add(session, people.add_group(session, "Press"), "leads", by=BY)
    cli = directory_cli(main={"servers": [main_slapd.url], "mirror": {"book": "press/leads"}})
    said = cli.run("directory", "sync").stdout
    assert "Directory main was read: 8 groups" in said
    assert "  The address book FAILED: 'press/leads' is no book of the directory 'main'." in said
    assert "nothing was changed" not in said


def test_a_dry_run_changes_nothing(cli):
    said = cli.done("directory", "sync", "--dry-run")
    assert "8 would be new" in said
    assert cli.json("group", "list") == []
    assert cli.json("directory", "list")[0]["followed_at"] is None


def test_a_directory_that_can_not_be_read_ends_with_1_and_is_listed(directory_cli):
    cli = directory_cli(main={"servers": ["ldap://127.0.0.1:1"]})
    result = cli.run("directory", "sync")
    assert (result.exit_code, "could not be read, and nothing was changed" in result.stdout) == (1, True)
    (row,) = cli.json("directory", "list")
    assert row["failing_since"] is not None
    assert "can't be reached" in row["failure"]
    assert "failing since" in cli.done("directory", "list")


def test_a_loss_that_is_not_believed_is_refused_until_it_is_accepted(directory_cli, new_slapd, db):
    logins = [f"p{number}" for number in range(8)]
    suffix = "dc=example,dc=org"
    ldif = unit("people", suffix) + unit("groups", suffix) + "".join(person(one, one, suffix) for one in logins)
    made = new_slapd(ldif + group("team", GROUPS, *(f"uid={login},{PEOPLE}" for login in logins)))
    cli = directory_cli(main={"servers": [made.url]})
    cli.done("directory", "sync")
    grant(db, "team")
    for login in logins:
        facts = directories.PersonFacts(key_of(cli, login), f"uid={login},{PEOPLE}", login, login, "", "", active=True)
        with db.write() as session:
            directories.take_person(session, "main", facts)
    assert cli.json("directory", "sync")[0]["joined"] == 8
    made.set(f"cn=team,{GROUPS}", member=[f"uid=p0,{PEOPLE}"])
    result = cli.run("directory", "sync")
    assert result.exit_code == 1
    assert "NOT BELIEVED" in result.stdout
    assert "7 of 8 members of 'team' would be gone at once." in result.stdout
    assert "radicale-shared directory sync --directory main --accept" in result.stdout
    assert "7 of 8" in cli.json("directory", "list")[0]["guard"]
    assert "not believed" in cli.done("directory", "list")
    assert len(cli.json("group", "show", "team")["members"]) == 8
    assert cli.json("directory", "sync", "--accept")[0]["left"] == 7
    assert cli.json("directory", "list")[0]["guard"] == ""
    assert cli.json("group", "show", "team")["members"] == ["p0"]


def test_users_and_groups_are_listed_with_their_directory(cli, db):
    cli.done("directory", "sync")
    with db.write() as session:
        facts = directories.PersonFacts("k", f"uid=ada,{PEOPLE}", "ada", "Ada", "", "", active=True)
        directories.take_person(session, "main", facts)
        people.add_user(session, "emil")
    assert {one["login"]: one["directory"] for one in cli.json("user", "list")} == {"ada": "main", "emil": ""}
    assert "Directory" in cli.done("user", "list")
    assert {one["directory"] for one in cli.json("group", "list")} == {"main"}
    with db.write() as session:
        (unix,) = [one for one in directories.known_groups(session, "main") if one.slug == "unix"]
        directories.group_gone(session, "main", unix.key)
    assert cli.done("group", "list").count("main (gone)") == 1
    assert "comes from the directory 'main'" in cli.refused("user", "rename", "ada", "x")
    assert "change it there" in cli.refused("user", "password", "ada", "--password-stdin", stdin="x")
    assert "comes from the directory 'main'" in cli.refused("group", "member", "add", "unix", "emil")


def test_a_directory_that_left_the_settings_is_listed_and_its_people_are_disabled_on_demand(cli, configuration, db):
    cli.done("directory", "sync")
    with db.write() as session:
        facts = directories.PersonFacts("k", f"uid=ada,{PEOPLE}", "ada", "Ada", "", "", active=True)
        directories.take_person(session, "main", facts)
    without = CommandLine(configuration(db.url))
    (row,) = without.json("directory", "list")
    assert (row["directory"], row["kind"], row["people"], row["groups"]) == ("main", None, 1, 8)
    assert "not in the settings" in without.done("directory", "list")
    assert "--accept" in without.refused("directory", "sync", "--directory", "main")
    assert without.json("directory", "sync", "--directory", "main", "--dry-run")[0]["disabled"] == 1
    assert without.json("user", "show", "ada")["state"] == "active"
    (done,) = without.json("directory", "sync", "--directory", "main", "--accept")
    assert (done["disabled"], done["gone_groups"]) == (1, 8)
    assert without.json("user", "show", "ada")["state"] == "disabled"
    assert "no directory 'nowhere'" in without.refused("directory", "sync", "--directory", "nowhere", "--accept")
