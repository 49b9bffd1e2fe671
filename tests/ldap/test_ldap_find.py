"""People and groups of a real slapd: logins however they are typed, keys that outlive names, groups in every style."""

from __future__ import annotations

import pytest

from radicale_shared.errors import DirectoryUnavailableError
from radicale_shared.ldap import folded_dn
from tests.ldap import people
from tests.ldap.slapd import entry

SUFFIX = "dc=example,dc=org"
ODD = (
    "*",
    "(",
    ")",
    "\\",
    "\0",
    "ada*",
    "*)(uid=*",
    "a\0da",
    "ada)(objectClass=*",
    "\\2a",
    "ada\\",
    " ",
    "",
    "😀",
    "ß" * 99,
)


@pytest.fixture
def asked(company, directory):
    return directory(company.settings())


def logins(found):
    return [person.login for person in found]


def names_of(asked, keys):
    """The groups with these keys, by the first two parts of their DNs: equal names are told apart by the place."""
    return {folded_dn(group.dn).removesuffix(f",ou=groups,{SUFFIX}") for group in asked.groups(keys).values()}


# -- logins


@pytest.mark.parametrize("typed", ["ada", "ADA", "Ada", " ada "])
def test_a_login_is_found_in_any_case(asked, typed):
    (ada,) = asked.find(typed)
    assert (ada.login, ada.name, ada.email, ada.domain) == ("ada", "Ada Lovelace", "ada@example.org", "example.org")
    assert (ada.active, ada.inactive_because, ada.dn) == (True, "", f"uid=ada,ou=people,{SUFFIX}")


@pytest.mark.parametrize("typed", ["zoë", "ZOË", "zoe\u0308"])
def test_a_login_with_an_accent_is_found_however_it_is_composed(asked, typed):
    assert logins(asked.find(typed)) == ["zoë"]


def test_a_login_with_an_apostrophe_is_found(asked):
    assert logins(asked.find("o'brien")) == ["o'brien"]


@pytest.mark.parametrize("typed", ODD, ids=ascii)
def test_an_odd_login_finds_nobody(asked, typed):
    assert asked.find(typed) == []


def test_a_login_longer_than_any_is_not_even_asked_for(asked):
    asked.find("ada")
    before = asked.operations
    assert asked.find("a" * 10_000) == asked.find("a" * 321) == asked.find("\ud800") == []
    assert asked.operations == before


def test_characters_of_filters_in_a_login_mean_themselves(new_slapd, directory):
    odd = "(a*d\\a)"
    ldif = people.company() + people.person("adda", "No One", SUFFIX)
    ldif += entry(
        f"cn=odd,ou=people,{SUFFIX}",
        objectClass="inetOrgPerson",
        uid=odd,
        cn="odd",
        sn="odd",
        userPassword="odd-secret",
    )
    asked = directory(new_slapd(ldif).settings())
    assert logins(asked.find(odd)) == [odd]


def test_an_alias_may_be_typed_with_its_domain(company, directory):
    asked = directory(company.settings(login_aliases=("mail",)))
    assert logins(asked.find("ada@example.org")) == ["ada"]
    assert logins(asked.find("ada", "example.org")) == ["ada"]
    assert asked.find("ada@elsewhere.org") == []


def test_whose_login_it_is_goes_before_whose_alias_it_is(new_slapd, directory):
    ldif = people.company() + people.person("augusta", "Augusta", SUFFIX, mail=["ada", "augusta@example.org"])
    asked = directory(new_slapd(ldif).settings())
    assert logins(asked.find("ada")) == ["ada"]
    assert logins(asked.find("augusta", "example.org")) == ["augusta"]


def test_two_people_with_one_login_are_both_found(new_slapd, directory):
    twin = entry(
        f"cn=twin,ou=people,{SUFFIX}",
        objectClass="inetOrgPerson",
        uid="Ada",
        cn="Twin",
        sn="Twin",
        mail="t@example.org",
    )
    asked = directory(new_slapd(people.company() + twin).settings())
    assert sorted(person.name for person in asked.find("ada")) == ["Ada Lovelace", "Twin"]


@pytest.mark.parametrize("typed", ["strauß", "strauss", "STRAUSS"])
def test_logins_that_are_one_to_us_and_two_to_the_directory_are_both_found(new_slapd, directory, typed):
    ldif = people.company() + people.person("strauß", "Strauß", SUFFIX) + people.person("strauss", "Strauss", SUFFIX)
    asked = directory(new_slapd(ldif).settings())
    assert sorted(logins(asked.find(typed))) == ["strauss", "strauß"]


def test_at_most_three_of_many_people_with_one_login_are_told(new_slapd, directory):
    ldif = people.company() + "".join(
        entry(f"cn={number},ou=people,{SUFFIX}", objectClass="inetOrgPerson", uid="many", cn=str(number), sn="x")
        for number in range(20)
    )
    asked = directory(new_slapd(ldif).settings())
    assert logins(asked.find("many")) == ["many"] * 3


def test_who_has_an_alias_and_no_login_is_not_found(new_slapd, directory):
    nameless = entry(f"cn=x,ou=people,{SUFFIX}", objectClass="inetOrgPerson", cn="x", sn="x", mail="x@example.org")
    asked = directory(new_slapd(people.company() + nameless).settings())
    assert asked.find("x@example.org") == []


def test_people_of_several_bases_are_found_each_once(company, directory):
    asked = directory(company.settings(people_base=(f"ou=people,{SUFFIX}", SUFFIX)))
    assert logins(asked.find("ada")) == ["ada"]
    assert sorted(logins(asked.people([one.key for one in asked.find("ben")]).values())) == ["ben"]


def test_who_the_filter_leaves_out_is_not_found(company, directory):
    asked = directory(company.settings(people_filter="(&(objectClass=inetOrgPerson)(!(uid=ada)))"))
    assert (asked.find("ada"), logins(asked.find("ben"))) == ([], ["ben"])


def test_equal_logins_of_two_directories_are_two_people(company, branch, directory):
    main = directory(company.settings())
    other = directory(branch.settings(name="branch", domains=("branch.example",)))
    (ours,), (theirs,) = main.find("ada"), other.find("ada")
    assert ours.key != theirs.key
    assert (ours.domain, theirs.domain) == ("example.org", "branch.example")
    assert main.check(ours, "branch-secret") != other.check(theirs, "branch-secret")


# -- keys


def test_a_person_keeps_the_key_when_renamed_and_moved(new_slapd, directory):
    server = new_slapd()
    asked = directory(server.settings())
    (ada,) = asked.find("ada")
    server.add(f"ou=north,ou=people,{SUFFIX}", objectClass="organizationalUnit", ou="north")
    server.rename(ada.dn, "uid=ada.king", below=f"ou=north,ou=people,{SUFFIX}")
    renamed = asked.person(ada.key)
    assert (renamed.key, renamed.login) == (ada.key, "ada.king")
    assert renamed.dn == f"uid=ada.king,ou=north,ou=people,{SUFFIX}"
    assert asked.find("ada") == []


def test_who_gets_a_login_that_is_free_again_is_somebody_else(new_slapd, directory):
    server = new_slapd()
    asked = directory(server.settings())
    (ada,) = asked.find("ada")
    server.remove(ada.dn)
    assert asked.person(ada.key) is None
    server.add(ada.dn, objectClass="inetOrgPerson", uid="ada", cn="Another Ada", sn="Ada")
    (other,) = asked.find("ada")
    assert other.key != ada.key


def test_without_a_key_attribute_the_dn_is_the_key(company, directory):
    asked = directory(company.settings(key_attribute="", group_key_attribute=""))
    (ada,) = asked.find("ada")
    assert ada.key == f"uid=ada,ou=people,{SUFFIX}"
    assert asked.people([ada.key, f"uid=nobody,ou=people,{SUFFIX}", "uid=ada,dc=elsewhere"]) == {ada.key: ada}
    assert f"cn=staff,ou=berlin,ou=groups,{SUFFIX}" in asked.groups_of(ada)


@pytest.mark.parametrize("key", ["", "*", "no such key", "(uid=*)", "\0", "é"])
def test_an_odd_key_finds_nobody(asked, key):
    assert asked.person(key) is None
    assert asked.groups([key]) == {}


def test_keys_are_asked_for_in_batches(large, directory):
    asked = directory(large.settings())
    keys = [group.key for group in asked.all_groups()]
    before = asked.operations
    assert set(asked.groups(keys)) == set(keys)
    assert (len(keys), asked.operations - before) == (2000, 11)  # and the bind


# -- groups


def test_a_person_s_groups_are_found_whatever_way_they_are_written_by_one_search(asked):
    (ada,) = asked.find("ada")
    before = asked.operations
    keys = asked.groups_of(ada)
    assert asked.operations == before + 1
    assert names_of(asked, keys) == {"cn=staff,ou=berlin", "cn=backend", "cn=board", "cn=unix", "cn=elsewhere"}


def test_groups_with_one_name_in_two_places_are_two(asked):
    staff = [group for group in asked.all_groups() if group.name == "staff"]
    (ada,), (ben,) = asked.find("ada"), asked.find("ben")
    assert len({group.key for group in staff}) == 2
    mine, theirs = (asked.groups_of(person) & {group.key for group in staff} for person in (ada, ben))
    assert len(mine) == len(theirs) == 1
    assert mine != theirs


def test_groups_in_groups_with_a_cycle_are_told_as_they_are(asked):
    by_name = {group.name: group for group in asked.all_groups()}
    below = f"ou=groups,{SUFFIX}"
    assert by_name["all"].members == {f"cn=engineering,{below}"}
    assert by_name["engineering"].members == {f"cn=backend,{below}", f"uid=ben,ou=people,{SUFFIX}"}
    assert by_name["backend"].members == {
        f"cn=all,{below}",
        *(f"uid={login},ou=people,{SUFFIX}" for login in ("ada", "zoë")),
    }


def test_members_by_login_and_by_unique_name_are_told(asked):
    by_name = {group.name: group for group in asked.all_groups()}
    assert by_name["unix"].member_logins == {"ada", "ben"}
    assert by_name["board"].members == {f"uid=ada,ou=people,{SUFFIX}"}


def test_a_group_keeps_its_key_when_renamed(new_slapd, directory):
    server = new_slapd()
    asked = directory(server.settings())
    board = next(group for group in asked.all_groups() if group.name == "board")
    server.rename(board.dn, "cn=council")
    assert asked.groups([board.key])[board.key].name == "council"


def test_without_a_base_for_groups_there_are_none(company, directory):
    asked = directory(company.settings(group_base=()))
    (ada,) = asked.find("ada")
    assert (list(asked.all_groups()), asked.groups_of(ada), asked.groups(["x"])) == ([], set(), {})


def test_a_person_whose_name_has_commas_and_brackets_is_found_in_their_groups(new_slapd, directory):
    dn = f"cn=Bitdiddle\\, Eva (Lu) \\+ \\C3\\A9,ou=people,{SUFFIX}"
    ldif = people.company()
    ldif += entry(dn, objectClass="inetOrgPerson", uid="eva", cn="Bitdiddle, Eva (Lu) + é", sn="Bitdiddle")
    ldif += people.group("odd", f"ou=groups,{SUFFIX}", dn)
    asked = directory(new_slapd(ldif).settings())
    (eva,) = asked.find("eva")
    (odd,) = asked.groups(asked.groups_of(eva)).values()
    assert odd.name == "odd"
    assert folded_dn(eva.dn) in odd.members


# -- many


def test_all_of_many_people_and_groups_are_told(large, directory):
    asked = directory(large.settings())
    found = asked.search(asked.settings.people_base, asked.settings.people_filter, ["uid"])
    assert len({entry.text("uid") for entry in found}) == 10_000
    assert len({group.key for group in asked.all_groups()}) == 2_000


def test_many_people_come_in_pages(large, directory):
    asked = directory(large.settings())
    list(asked.search(asked.settings.people_base, asked.settings.people_filter, ["uid"]))
    assert asked.operations == 21  # 20 pages of 500, and the bind
    list(asked.search(asked.settings.people_base, "(uid=p1*)", ["uid", "jpegPhoto"]))
    assert asked.operations == 45  # 23 pages of 50 for 1111 people: photos are large


def test_an_abandoned_stream_leaves_no_connection_open(large, relay, directory):
    before = relay(large.port)
    asked = directory(large.settings(servers=(before.url,)))
    streamed = asked.search(asked.settings.people_base, asked.settings.people_filter, ["uid"])
    next(streamed)
    streamed.close()
    assert len(asked.find("p1")) == 1
    assert before.opened == 2


def test_what_changed_since_is_told(new_slapd, directory):
    server = new_slapd()
    asked = directory(server.settings())
    assert not list(asked.search([SUFFIX], "(uid=*)", ["uid"], changed_since="20990101000000Z"))
    then = asked.now()
    server.set(f"uid=ben,ou=people,{SUFFIX}", description="new")
    found = asked.search([SUFFIX], "(objectClass=inetOrgPerson)", ["uid"], changed_since=then)
    assert "ben" in [entry.text("uid") for entry in found]


def test_a_search_that_the_directory_refuses_is_unavailable(company, directory):
    asked = directory(company.settings())
    with pytest.raises(DirectoryUnavailableError, match="failed"):
        list(asked.search(["no dn"], "(uid=*)", ["uid"]))
