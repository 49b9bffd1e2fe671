"""What the tests' directories hold: a small company, one of its branches, and a large one.

Everybody's password is the login and ``-secret``. Of the company, Ada is in groups of every style, and Carla is locked.
Groups: ``all`` has ``engineering``, which has ``backend``, which has ``all`` again.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.ldap.slapd import entry


def person(login: str, name: str, suffix: str, **more: str | bytes | Iterable[str]) -> str:
    """A person below ou=people as LDIF."""
    return entry(
        f"uid={login},ou=people,{suffix}",
        **{
            "objectClass": ["inetOrgPerson"],
            "uid": login,
            "cn": name,
            "sn": name.rpartition(" ")[2],
            "mail": f"{login}@example.org",
            "userPassword": f"{login}-secret",
            **more,
        },
    )


def unit(name: str, below: str) -> str:
    return entry(f"ou={name},{below}", objectClass="organizationalUnit", ou=name)


def group(name: str, below: str, *members: str) -> str:
    """A groupOfNames; ``below`` is a DN."""
    return entry(f"cn={name},{below}", objectClass="groupOfNames", cn=name, member=members)


def company(suffix: str = "dc=example,dc=org") -> str:
    """The company of the docstring above."""
    people, groups = f"ou=people,{suffix}", f"ou=groups,{suffix}"
    ada, ben, zoe = (f"uid={login},{people}" for login in ("ada", "ben", "zoë"))
    return "".join(
        [
            unit("people", suffix),
            unit("groups", suffix),
            unit("berlin", groups),
            unit("paris", groups),
            person("ada", "Ada Lovelace", suffix, memberOf=f"cn=elsewhere,{groups}"),
            person("ben", "Ben Bitdiddle", suffix),
            person("carla", "Carla Locked", suffix, pwdAccountLockedTime="000001010000Z"),
            person("zoë", "Zoë Ω", suffix),
            person("o'brien", "Flann O'Brien", suffix),
            group("staff", f"ou=berlin,{groups}", ada),
            group("staff", f"ou=paris,{groups}", ben),
            group("all", groups, f"cn=engineering,{groups}"),
            group("engineering", groups, f"cn=backend,{groups}", ben),
            group("backend", groups, f"cn=all,{groups}", ada.upper().replace(",", ", "), zoe),
            entry(f"cn=board,{groups}", objectClass="groupOfUniqueNames", cn="board", uniqueMember=[ada]),
            entry(f"cn=unix,{groups}", objectClass="posixGroup", cn="unix", gidNumber="1", memberUid=["ada", "ben"]),
            # Who is in it only the person's memberOf tells, as with groups that a server computes.
            group("elsewhere", groups, f"cn=reader,{suffix}"),
        ]
    )


def branch(suffix: str = "dc=branch,dc=example") -> str:
    """A directory with a login and a group that the company has too."""
    return "".join(
        [
            unit("people", suffix),
            unit("groups", suffix),
            person("ada", "Ada of the Branch", suffix, userPassword="branch-secret"),
            group("staff", f"ou=groups,{suffix}", f"uid=ada,ou=people,{suffix}"),
        ]
    )


def large(suffix: str = "dc=example,dc=org", *, people: int = 10_000, groups: int = 2_000) -> str:
    """Many people ``p0`` ... in many groups ``g0`` ..., each group with ten of them."""
    below = f"ou=groups,{suffix}"
    persons = (person(f"p{number}", f"Person {number}", suffix) for number in range(people))
    members = (
        [f"uid=p{(number * 10 + one) % people},ou=people,{suffix}" for one in range(10)] for number in range(groups)
    )
    made = (group(f"g{number}", below, *some) for number, some in enumerate(members))
    return "".join([unit("people", suffix), unit("groups", suffix), *persons, *made])
