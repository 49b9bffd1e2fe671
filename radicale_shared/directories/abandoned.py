"""Directories that are not in the settings any more: nobody follows them, and nobody's password is checked there."""

from __future__ import annotations

from sqlalchemy.orm import Session

from .groups import group_gone, known_groups
from .persons import known_people, person_gone


def abandon(session: Session, directory: str) -> tuple[int, int]:
    """Take all people and groups of a directory for gone. Returns how many (people, groups) that is news of.

    Books, grants and slugs stay; should the directory be in the settings again, they come back.
    """
    people = sum(
        person_gone(session, directory, one.key)
        for one in known_people(session, directory)
        if one.state == "active" or one.directory_login
    )
    groups = sum(group_gone(session, directory, one.key) for one in known_groups(session, directory))
    return people, groups
