"""Rounds that follow a real slapd: groups of all styles, renames, who is gone, and losses that aren't believed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, update

from radicale_shared import directories, people
from radicale_shared.directory_settings import PRESETS, DirectorySettings
from radicale_shared.errors import AlreadyExistsError, DirectoryUnavailableError
from radicale_shared.ldap import Directory, Entry, entries, nesting
from radicale_shared.ldap.follow import facts_of, follow, take
from radicale_shared.models import Principal, now
from tests.conftest import examples
from tests.ldap.door import Door
from tests.ldap.followed import Followed
from tests.ldap.people import group, person, unit

PEOPLE = "ou=people,dc=example,dc=org"
GROUPS = "ou=groups,dc=example,dc=org"


@pytest.fixture
def followed(db, directory):
    """Follows a slapd: ``followed(slapd, nested_depth=1)``."""

    def make(slapd, **changes):
        return Followed(db, directory(slapd.settings(**changes)))

    return make


def teams(number: int, suffix: str = "dc=example,dc=org") -> str:
    """``number`` people, all in the group ``team``, and Ada in the group ``few``."""
    logins = ["ada", *(f"p{at}" for at in range(number - 1))]
    return "".join(
        [
            unit("people", suffix),
            unit("groups", suffix),
            *(person(login, f"Person {login}", suffix) for login in logins),
            group("team", f"ou=groups,{suffix}", *(f"uid={login},ou=people,{suffix}" for login in logins)),
            group("few", f"ou=groups,{suffix}", f"uid=ada,ou=people,{suffix}"),
        ]
    )


def logins(number: int) -> Iterable[str]:
    return ["ada", *(f"p{at}" for at in range(number - 1))]


# -- groups ------------------------------------------------------------------------------------------------------------


def test_all_groups_are_mirrored_with_the_groups_in_them(followed, company):
    one = followed(company)
    report = one.everything()
    assert (report.new_groups, report.problems, report.guard) == (8, [], "")
    groups = one.groups()
    assert groups == {
        **{slug: [] for slug in ("staff", "staff-2", "board", "unix", "elsewhere")},
        "all-2": ["group:engineering"],  # "all" is reserved
        "engineering": ["group:backend"],
        "backend": ["group:all-2"],
    }


def test_people_are_in_groups_of_all_styles_and_in_the_groups_around_them(followed, company):
    one = followed(company)
    one.everything()
    one.sign_in("ada", "ben")
    first = one.groups_of("ada")
    assert {"backend", "board", "elsewhere", "unix"} < set(first)
    assert len(first) == 5  # one of the two groups "staff"
    assert one.everything().joined == 0
    assert one.groups_of("ada") == first
    for slug in ("all-2", "unix", "elsewhere"):
        one.grant(slug, slug)
    assert one.may_read("ada") == ["all-2", "elsewhere", "unix"]
    assert one.may_read("ben") == ["all-2", "unix"]
    report = one.round()
    assert (report.joined, report.left, report.people) == (0, 0, 2)


def test_groups_of_one_name_in_two_branches_are_two_groups(followed, company):
    one = followed(company)
    one.everything()
    one.sign_in("ada", "ben")
    (of_ada,), (of_ben,) = ({slug for slug in one.groups_of(who) if slug.startswith("staff")} for who in ("ada", "ben"))
    assert {of_ada, of_ben} == {"staff", "staff-2"}
    one.grant(of_ada)
    assert (one.may_read("ada"), one.may_read("ben")) == (["shared"], [])


def test_equal_logins_and_group_names_of_two_directories_never_mix(followed, company, branch):
    main, other = followed(company), followed(branch, name="branch", domains=("branch.example",))
    for one in (main, other):
        one.everything()
        one.sign_in("ada")
    with main.db.read() as session:
        ids = {one.name: directories.known(session, one.name, "ada").id for one in (main, other)}
    assert ids["main"] != ids["branch"]
    assert main.person("ada").name == "Ada Lovelace"
    assert other.person("ada@branch.example").name == "Ada of the Branch"
    (staff,) = other.groups()
    assert staff == "staff-3"
    other.grant(staff)
    assert (main.may_read("ada"), other.may_read("ada-2")) == ([], ["shared"])
    for one in (main, other):
        assert (one.everything().joined, one.everything().left) == (0, 0)


@pytest.mark.parametrize(("depth", "readers"), [(1, []), (2, ["ben"]), (3, ["ada", "ben"]), (10, ["ada", "ben"])])
def test_groups_nest_as_deep_as_the_settings_say(followed, new_slapd, depth, readers):
    ada, ben = (f"uid={login},{PEOPLE}" for login in ("ada", "ben"))
    slapd = new_slapd(
        unit("people", "dc=example,dc=org")
        + unit("groups", "dc=example,dc=org")
        + person("ada", "Ada", "dc=example,dc=org")
        + person("ben", "Ben", "dc=example,dc=org")
        + group("upper", GROUPS, f"cn=middle,{GROUPS}")
        + group("middle", GROUPS, f"cn=lower,{GROUPS}", ben)
        + group("lower", GROUPS, ada)
    )
    one = followed(slapd, nested_depth=depth)
    one.everything()
    one.sign_in("ada", "ben")
    one.grant("upper")
    one.round()
    assert [login for login in ("ada", "ben") if one.may_read(login)] == readers


@pytest.mark.parametrize(
    ("pairs", "depth", "kept"),
    [
        ([("a", "b"), ("b", "c"), ("c", "d")], 2, [("a", "b")]),
        ([("a", "b"), ("b", "c"), ("c", "d")], 3, [("a", "b"), ("b", "c")]),
        ([("a", "b"), ("b", "a")], 2, [("a", "b")]),
        ([("a", "b"), ("b", "a")], 3, [("a", "b"), ("b", "a")]),
        ([("a", "a")], 10, []),
        ([("a", "b"), ("x", "b"), ("b", "c"), ("a", "c")], 2, [("a", "b"), ("x", "b"), ("a", "c")]),
        ([("a", "b"), ("b", "c"), ("c", "b")], 3, [("a", "b"), ("b", "c")]),
        ([("a", "b")], 1, []),
    ],
)  # fmt: skip
def test_levels_of_groups_are_counted_from_the_uppermost(pairs, depth, kept):
    assert nesting.within_depth(pairs, depth) == frozenset(kept)


def test_who_is_put_into_a_group_or_taken_out_is_followed_in_the_next_round(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.everything()
    one.sign_in("ada", "ben")
    one.grant("all-2")
    slapd.set(f"cn=backend,{GROUPS}", member=[f"cn=all,{GROUPS}", f"uid=zoë,{PEOPLE}"])
    slapd.set(f"cn=engineering,{GROUPS}", member=[f"cn=backend,{GROUPS}"])
    report = one.round()
    assert (report.joined, report.left) == (0, 2)
    assert (one.may_read("ada"), one.may_read("ben")) == ([], [])
    slapd.set(f"cn=engineering,{GROUPS}", member=[f"uid=ben,{PEOPLE}"])
    assert (one.round().joined, one.may_read("ben")) == (1, ["shared"])


def test_a_group_without_any_right_is_followed_by_rounds_over_everything_only(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.everything()
    one.sign_in("ben")
    slapd.set(f"cn=board,{GROUPS}", uniqueMember=[f"uid=ben,{PEOPLE}"])
    assert one.round().groups == 0
    assert "board" not in one.groups_of("ben")
    assert one.everything().joined == 1
    assert "board" in one.groups_of("ben")


def test_a_new_group_that_names_others_before_they_are_read_has_them(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.everything()
    one.sign_in("ada")
    slapd.add(f"cn=aaa,{GROUPS}", objectClass="groupOfNames", cn="aaa", member=[f"cn=zzz,{GROUPS}"])
    slapd.add(f"cn=zzz,{GROUPS}", objectClass="groupOfNames", cn="zzz", member=[f"uid=ada,{PEOPLE}"])
    assert one.everything().new_groups == 2
    assert (one.groups()["aaa"], one.groups()["zzz"]) == (["group:zzz"], ["ada"])


def test_renamed_groups_and_branches_keep_slugs_grants_and_members(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.everything()
    one.sign_in("ada", "ben")
    one.grant("all-2")
    slapd.rename(f"cn=all,{GROUPS}", "cn=everybody")
    slapd.rename(f"cn=engineering,{GROUPS}", "cn=makers", below=f"ou=paris,{GROUPS}")
    # A server without referential integrity: the administrator has to put the new names in.
    slapd.set(f"cn=everybody,{GROUPS}", member=[f"cn=makers,ou=paris,{GROUPS}"])
    slapd.set(f"cn=backend,{GROUPS}", member=[f"cn=everybody,{GROUPS}", f"uid=ada,{PEOPLE}"])
    report = one.round()
    assert (report.changed, report.guard, report.gone_groups) == (2, "", 0)
    assert (one.may_read("ada"), one.may_read("ben")) == (["shared"], ["shared"])
    with one.db.read() as session:
        assert {people.group(session, slug).name for slug in ("all-2", "engineering")} == {"everybody", "makers"}


def test_a_group_that_is_gone_gives_nothing_and_comes_back(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.everything()
    one.sign_in("ada")
    one.grant("unix")
    one.grant("board", "board")
    slapd.remove(f"cn=unix,{GROUPS}")
    assert one.round().gone_groups == 1
    assert one.may_read("ada") == ["board"]
    with one.db.read() as session:
        assert people.group(session, "unix").state == "disabled"


# -- people ------------------------------------------------------------------------------------------------------------


def test_a_person_who_was_renamed_and_moved_keeps_slug_groups_and_books(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.everything()
    one.sign_in("ada", "ben")
    one.grant("unix")
    before = one.person("ada")
    slapd.add(f"ou=away,{PEOPLE}", objectClass="organizationalUnit", ou="away")
    slapd.rename(f"uid=ada,{PEOPLE}", "uid=ada.king", below=f"ou=away,{PEOPLE}")
    slapd.set(f"cn=unix,{GROUPS}", memberUid=["ada.king"])
    report = one.round()
    assert (report.changed, report.disabled) == (1, 0)
    after = one.person("ada.king")
    assert (after.id, after.slug) == (before.id, "ada")
    assert (one.may_read("ada"), one.may_read("ben")) == (["shared"], [])


def test_a_renamed_branch_of_people_loses_nobody(followed, new_slapd):
    slapd = new_slapd(teams(10))
    one = followed(slapd, people_base=("dc=example,dc=org",))
    one.everything()
    one.sign_in(*logins(10))
    one.grant("team")
    slapd.add("ou=staff,dc=example,dc=org", objectClass="organizationalUnit", ou="staff")
    for login in logins(10):
        slapd.rename(f"uid={login},{PEOPLE}", f"uid={login}", below="ou=staff,dc=example,dc=org")
    slapd.set(f"cn=team,{GROUPS}", member=[f"uid={login},ou=staff,dc=example,dc=org" for login in logins(10)])
    report = one.round()
    assert (report.changed, report.left, report.guard) == (10, 0, "")
    assert all(one.may_read(login) == ["shared"] for login in logins(10))


def test_people_who_are_disabled_or_gone_are_out_and_come_back(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.everything()
    one.sign_in("ada", "ben", "zoë")
    versions = {login: one.version(login) for login in ("ada", "ben")}
    slapd.set(f"uid=ada,{PEOPLE}", pwdAccountLockedTime="000001010000Z")
    slapd.remove(f"uid=ben,{PEOPLE}")
    assert one.round().disabled == 2
    for login in ("ada", "ben"):
        assert (one.person(login).state, one.person(login).disabled_by) == ("disabled", "directory")
        assert one.version(login) > versions[login]
        with one.db.read() as session:
            assert people.by_slug(session, login) is None
    assert one.person("zoë").state == "active"
    slapd.set(f"uid=ada,{PEOPLE}", pwdAccountLockedTime=[])
    assert one.round().enabled == 1
    assert one.person("ada").state == "active"


def test_whom_an_administrator_disabled_a_round_leaves_so(followed, company):
    one = followed(company)
    one.sign_in("ada")
    with one.db.write() as session:
        people.set_enabled(session, "ada", enabled=False)
    assert one.everything().enabled == 0
    assert one.person("ada").state == "disabled"


def test_people_who_were_not_here_lately_are_followed_by_rounds_over_everything(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.sign_in("ada", "ben")
    with one.db.write() as session:
        long_ago = now() - directories.RECENTLY - timedelta(days=1)
        session.execute(update(Principal).where(Principal.login == "ada").values(seen_at=long_ago))
    slapd.remove(f"uid=ada,{PEOPLE}")
    assert (one.round().people, one.person("ada").state) == (1, "active")
    assert (one.everything().people, one.person("ada").state) == (2, "disabled")


def test_a_login_that_went_to_somebody_else_is_theirs(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.sign_in("ada", "ben")
    ids = {login: one.person(login).id for login in ("ada", "ben")}
    for name, new in (("ada", "x"), ("ben", "ada"), ("x", "ben")):
        slapd.rename(f"uid={name},{PEOPLE}", f"uid={new}")
    one.round()
    assert {login: one.person(login).id for login in ("ada", "ben")} == {"ada": ids["ben"], "ben": ids["ada"]}
    assert (one.person("ada").slug, one.person("ben").slug) == ("ben", "ada")


def test_at_a_sign_in_a_login_goes_over_from_whoever_lost_it(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.sign_in("ada")
    slapd.rename(f"uid=ada,{PEOPLE}", "uid=ada.king")
    slapd.rename(f"uid=ben,{PEOPLE}", "uid=ada")
    one.sign_in("ada")
    assert (one.person("ada").slug, one.person("ada").name) == ("ada-2", "Ben Bitdiddle")
    one.round()
    assert (one.person("ada.king").slug, one.person("ada.king").name) == ("ada", "Ada Lovelace")


def test_two_entries_with_one_login_are_both_left_as_they_were(followed, new_slapd):
    slapd = new_slapd()
    one = followed(slapd)
    one.sign_in("ada", "ben")
    slapd.set(f"uid=ben,{PEOPLE}", uid=["ben"], cn="Ben the Second")
    slapd.add(f"ou=twins,{PEOPLE}", objectClass="organizationalUnit", ou="twins")
    slapd.rename(f"uid=ben,{PEOPLE}", "uid=ada", below=f"ou=twins,{PEOPLE}")
    report = one.round()
    assert len(report.problems) == 2
    assert "not the only one with the login 'ada'" in report.problems[0]
    assert (one.person("ada").name, one.person("ben").name) == ("Ada Lovelace", "Ben Bitdiddle")
    (twin,) = [entry for entry in one.directory.find("ada") if "twins" in entry.dn]
    with pytest.raises(AlreadyExistsError):
        take(one.db, one.directory, twin)
    slapd.set(f"uid=ada,ou=twins,{PEOPLE}", pwdAccountLockedTime="000001010000Z")
    assert (one.round().disabled, one.person("ben").state) == (1, "disabled")


def test_the_facts_of_an_entry_are_those_the_core_needs(followed, company):
    one = followed(company)
    (entry,) = one.directory.find("ada")
    facts = facts_of(one.directory, entry)
    assert (facts.login, facts.name, facts.domain, facts.active) == ("ada", "Ada Lovelace", "example.org", True)
    assert facts.key == entry.key


def test_whom_only_a_sign_in_showed_as_disabled_no_round_enables(followed, new_slapd):
    one = followed(new_slapd(), state_attributes=())
    one.everything()
    one.sign_in("ada")
    (entry,) = one.directory.find("ada")
    with one.db.write() as session:
        directories.person_disabled(session, "main", entry.key)
    for look in (one.round, one.everything):
        assert look().enabled == 0
        assert one.person("ada").state == "disabled"
    assert Door(one.db, one.directory).slug("ada", "ada-secret") == "ada"
    assert one.person("ada").state == "active"


def test_on_active_directory_nobody_is_enabled_whose_state_the_reader_may_not_see():
    settings = DirectorySettings(name="main", kind="ad", **{**PRESETS["ad"], "key_attribute": ""})

    def told(**values):
        attributes = {name.lower(): (value.encode(),) for name, value in {"sAMAccountName": "ada", **values}.items()}
        return facts_of(Directory(settings), entries.person(settings, Entry("cn=ada", attributes), now())).active

    assert [told(), told(userAccountControl="512"), told(userAccountControl="514")] == [None, True, False]
    assert told(accountExpires="1") is False


# -- whatever happens --------------------------------------------------------------------------------------------------

FEW_PEOPLE = ("p0", "p1", "p2")
FEW_GROUPS = ("g0", "g1", "g2", "g3")
_STEP = st.tuples(
    st.sampled_from(FEW_GROUPS), st.sets(st.sampled_from([*FEW_PEOPLE, *FEW_GROUPS]), max_size=5), st.booleans()
)


def readers(inside, group):
    """Who is in a group, by the slow and obvious way."""
    found, front = set(), {group}
    while front:
        found |= front
        front = {member for one in front for member in inside.get(one, ())} - found
    return sorted(found & set(FEW_PEOPLE))


@pytest.fixture
def few(followed, new_slapd):
    """Three people, and four groups that may each read a book of its own."""
    slapd = new_slapd(
        unit("people", "dc=example,dc=org")
        + unit("groups", "dc=example,dc=org")
        + "".join(person(login, login, "dc=example,dc=org") for login in FEW_PEOPLE)
        + "".join(group(name, GROUPS, "cn=reader,dc=example,dc=org") for name in FEW_GROUPS)
    )
    one = followed(slapd)
    one.everything()
    one.sign_in(*FEW_PEOPLE)
    for name in FEW_GROUPS:
        one.grant(name, name)
    return slapd, one


@given(steps=st.lists(_STEP, max_size=6))
@examples(8)
def test_after_each_round_people_may_read_what_the_groups_of_that_moment_give(few, steps):
    slapd, one = few
    inside: dict[str, set[str]] = {}
    for name in FEW_GROUPS:
        slapd.set(f"cn={name},{GROUPS}", member=["cn=reader,dc=example,dc=org"])
    one.round(accept=True)
    for changed, members, is_whole in steps:
        inside[changed] = members
        dns = [f"uid={who},{PEOPLE}" if who in FEW_PEOPLE else f"cn={who},{GROUPS}" for who in sorted(members)]
        slapd.set(f"cn={changed},{GROUPS}", member=dns or ["cn=reader,dc=example,dc=org"])
        assert one.round(everything=is_whole).guard == ""
        for name in FEW_GROUPS:
            assert [who for who in FEW_PEOPLE if name in one.may_read(who)] == readers(inside, name)


# -- what is not believed ----------------------------------------------------------------------------------------------


def test_a_directory_that_answers_empty_loses_nobody_until_it_is_accepted(followed, new_slapd):
    slapd = new_slapd(teams(10))
    one = followed(slapd)
    one.everything()
    one.sign_in(*logins(10))
    one.grant("team")
    for login in logins(10):
        slapd.remove(f"uid={login},{PEOPLE}")
    for name in ("team", "few"):
        slapd.remove(f"cn={name},{GROUPS}")
    for look in (one.round, one.everything, one.round):
        report = look()
        assert "10 of 10 people who are known would be gone at once." in report.guard
        assert (report.disabled, report.left, report.gone_groups) == (0, 0, 0)
    assert all(one.may_read(login) == ["shared"] for login in logins(10))
    assert one.state().guard(directories.PEOPLE) == report.guard
    assert one.everything(accept=True, dry_run=True).disabled == 10
    assert one.person("ada").state == "active"
    accepted = one.everything(accept=True)
    assert (accepted.guard, accepted.disabled, accepted.gone_groups) == ("", 10, 2)
    assert one.state().guard(directories.PEOPLE) == ""
    assert (one.person("ada").state, one.may_read("ada")) == ("disabled", [])


def test_half_of_a_group_gone_at_once_is_not_believed_and_the_rest_of_the_round_neither(followed, new_slapd):
    slapd = new_slapd(teams(20))
    one = followed(slapd)
    one.everything()
    one.sign_in(*logins(20))
    one.grant("team")
    one.grant("few", "few")
    slapd.set(f"cn=team,{GROUPS}", member=[f"uid={login},{PEOPLE}" for login in list(logins(20))[10:]])
    slapd.set(f"cn=few,{GROUPS}", member=[f"uid=p1,{PEOPLE}"])
    assert one.round().guard == "10 of 20 members of 'team' would be gone at once."
    assert (one.may_read("ada"), one.may_read("p1")) == (["few", "shared"], ["shared"])
    assert (one.everything(accept=True).left, one.may_read("ada"), one.may_read("p1")) == (11, [], ["few"])


def test_what_is_whole_again_is_believed_without_being_accepted(followed, new_slapd):
    slapd = new_slapd(teams(10))
    one = followed(slapd)
    one.everything()
    one.sign_in(*logins(10))
    one.grant("team")
    members = [f"uid={login},{PEOPLE}" for login in logins(10)]
    slapd.set(f"cn=team,{GROUPS}", member=members[:2])
    assert one.round().guard
    slapd.set(f"cn=team,{GROUPS}", member=members[:9])
    report = one.round()
    assert (report.guard, report.left, one.state().guard(directories.PEOPLE)) == ("", 1, "")


def test_whom_the_directory_disables_is_out_though_the_rest_is_not_believed(followed, new_slapd):
    slapd = new_slapd(teams(10))
    one = followed(slapd)
    one.everything()
    one.sign_in(*logins(10))
    one.grant("team")
    slapd.set(f"cn=team,{GROUPS}", member=[f"uid=ada,{PEOPLE}"])
    slapd.set(f"uid=p1,{PEOPLE}", pwdAccountLockedTime="000001010000Z")
    report = one.round()
    assert report.guard
    assert (report.disabled, one.person("p1").state, one.may_read("p2")) == (1, "disabled", ["shared"])


def test_the_loss_of_a_group_that_no_right_hangs_on_is_believed(followed, new_slapd):
    slapd = new_slapd(teams(10))
    one = followed(slapd)
    one.everything()
    one.sign_in(*logins(10))
    slapd.remove(f"cn=team,{GROUPS}")
    report = one.everything()
    assert (report.guard, report.gone_groups) == ("", 1)


def test_a_granted_group_with_many_members_that_is_gone_is_not_believed(followed, new_slapd):
    slapd = new_slapd(teams(10))
    one = followed(slapd)
    one.everything()
    one.sign_in(*logins(10))
    one.grant("team")
    one.grant("few", "few")
    slapd.remove(f"cn=team,{GROUPS}")
    assert one.round().guard == "10 of 10 members of 'team' would be gone at once."
    assert one.may_read("p1") == ["shared"]


def test_a_reader_who_may_not_see_logins_any_more_shuts_nobody_out(followed, new_slapd):
    slapd = new_slapd(teams(10))
    one = followed(slapd, state_attributes=("pwdAccountLockedTime",))
    one.everything()
    one.sign_in(*logins(10))
    one.grant("team")
    slapd.set(f"uid=p1,{PEOPLE}", pwdAccountLockedTime="000001010000Z")
    settings = dataclasses.replace(one.directory.settings, login_attribute="employeeNumber")
    with closing(Directory(settings)) as blind:  # as an access rule does, it hides the attribute
        for everything in (False, True):
            report = follow(blind, one.db, everything=everything, memory=one.memory)
            assert report.guard.startswith("10 of 10 people")
    assert [one.person(login).state for login in ("ada", "p2")] == ["active", "active"]
    assert one.may_read("ada") == ["shared"]
    assert (one.round().disabled, one.person("p1").state) == (1, "disabled")


@pytest.mark.parametrize("trouble", ["refuse", "hang", "cut", "say"])
def test_a_directory_in_trouble_changes_nothing(followed, new_slapd, relay, trouble):
    slapd = new_slapd(teams(10))
    between = relay(slapd.port)
    one = followed(slapd, servers=(between.url,), connect_timeout_seconds=1, answer_timeout_seconds=1)
    one.everything()
    one.sign_in(*logins(10))
    one.grant("team")
    slapd.remove(f"uid=p1,{PEOPLE}")
    getattr(between, trouble)(*{"cut": (2000,), "say": (b"\x30\x05rubbish",)}.get(trouble, ()))
    for everything in (False, True):
        with pytest.raises(DirectoryUnavailableError):
            one.round(everything=everything)
    assert (one.person("p1").state, one.may_read("p1")) == ("active", ["shared"])
    assert one.state().guard(directories.PEOPLE) == ""


def test_a_round_that_lost_its_lease_meanwhile_writes_nothing(followed, company):
    one = followed(company)
    assert one.everything(goes_on=lambda: False).new_groups == 8
    assert one.groups() == {}


# -- cost --------------------------------------------------------------------------------------------------------------


def test_ten_thousand_unchanged_people_and_two_thousand_groups_write_nothing(followed, large, statements):
    one = followed(large)
    entries = one.directory.search(
        one.directory.settings.people_base, one.directory.settings.people_filter, ["uid", "entryUUID"]
    )
    with one.db.write() as session:
        session.execute(insert(Principal), [known_person(one.name, entry) for entry in entries])
    assert one.everything().joined == 20_000
    for number in range(50):
        one.grant(f"g{number}", f"b{number}")
    statements.clear()
    ordinary, everything = one.round(), one.everything()
    assert (ordinary.people, ordinary.groups) == (10_000, 50)
    assert (everything.people, everything.groups) == (10_000, 2_000)
    assert (everything.changed, everything.joined, everything.left, everything.guard) == (0, 0, 0, "")
    assert [text for text in statements.texts if not text.lstrip().startswith(("SELECT", "WITH", "BEGIN"))] == []
    assert len(statements) <= 20


def known_person(directory, entry):
    """The row of somebody who signed in lately."""
    login = entry.text("uid")
    return {
        "kind": "user",
        "slug": login,
        "login": login,
        "login_folded": login,
        "name": f"Person {login[1:]}",
        "email": f"{login}@example.org",
        "state": "active",
        "auth_version": 1,
        "created_at": now(),
        "domain": "example.org",
        "directory": directory,
        "directory_key": entry.text("entryUUID"),
        "directory_login": login,
        "dn": entry.dn,
        "seen_at": now(),
        "groups_at": now(),
    }
