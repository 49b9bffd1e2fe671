"""One request of a phone that has signed in: the books that it shows, and what its make answers."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from fnmatch import fnmatchcase

from .. import phone_books
from ..access import Access
from ..database import Database
from ..errors import NotFoundError, TooManyLookupsError
from ..phone_profiles import Choices, Profile
from ..rates import Rates
from ..settings import Settings
from . import lookup
from .asking import Asked, Document, Format, LeftOut, LeftOuts
from .cache import Cache, Kept
from .contacts import Contact
from .directory import Directory
from .formats import FORMATS
from .paths import BY_BASIC, url_below
from .turns import Turns

PARAMETERS, HEADERS = "parameters", "headers"
# Where nobody has said how phones reach this server, and no request tells.
_NOWHERE = "http://contacts.invalid"
# Whole lists that are made at a time.
_LISTS = 3


def route_of(made: Format, path: str) -> str | None:
    """The name among a make's answers by which a path is answered; None for none."""
    if path in made.answers:
        return path
    for route in made.answers:
        if (route.endswith("/") and path.startswith(route)) or ("*" in route and _is_one_of(route, path)):
            return route
    return None


def _is_one_of(route: str, path: str) -> bool:
    """Whether a path is a route whose ``*`` stands for a part of a name, of which nothing else is special."""
    return path.count("/") == route.count("/") and fnmatchcase(path, route.replace("[", "[[]").replace("?", "[?]"))


class Answers:
    """What all phones of one database are answered."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._settings = settings
        self._lists = Turns(_LISTS)
        self._cache = Cache(settings.file.phones.cache_megabytes * 1024 * 1024)
        self._lookups = Rates(settings.file.phones.lookups_per_minute)

    @property
    def cache(self) -> Cache:
        """What is kept of the answers."""
        return self._cache

    def answer(
        self,
        profile: Profile,
        books: Sequence[Access],
        path: str,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        url: str,
    ) -> Kept:
        """The answer to a phone's request. Raises NotFoundError for a path that its make doesn't ask for.

        books: of ``phone_books.readable``
        url: what stands before ``path``

        Raises TooManyLookupsError where a phone asks for callers too often.
        """
        if path == lookup.PATH:
            _count(self._lookups, profile)
            directory = Directory(self._db, profile, books, LeftOuts())
            return Kept(lookup.answer(_asked(profile, directory, path, parameters, headers, url), directory))
        made, route = _route(profile, path)

        def make(sent: Mapping[str, Mapping[str, str]]) -> Kept:
            left_out = LeftOuts()
            # A star stands for what makes no difference.
            told = route if "*" in route else path
            with ExitStack() as turn:
                directory = Directory(
                    self._db, profile, books, left_out, before_many=lambda: turn.enter_context(self._lists.one())
                )
                asked = _asked(
                    profile,
                    directory,
                    told,
                    sent[PARAMETERS],
                    sent[HEADERS],
                    url,
                    left_out,
                    self._lookups,
                )
                return Kept(made.answers[route](asked), is_listed=directory.was_listed)

        state = (url, "" if "*" in route else path, _state(profile, books))
        return self._cache.get((profile.make, route), state, {PARAMETERS: parameters, HEADERS: headers}, make)


def preview(
    db: Database, settings: Settings, profile: Profile, path: str, parameters: Mapping[str, str]
) -> tuple[Document, tuple[LeftOut, ...]]:
    """What a phone would get for a path now, and who of its contacts isn't in it. Raises NotFoundError."""
    with db.read() as session:
        books = phone_books.readable(session, profile.device)
    left_out = LeftOuts()
    directory = Directory(db, profile, books, left_out, is_counted=True)
    url = url_below(settings.file.phones.url.rstrip("/") or _NOWHERE + settings.script_name, BY_BASIC)
    asked = _asked(profile, directory, path, parameters, {}, url, left_out)
    if path == lookup.PATH:
        return lookup.answer(asked, directory), ()
    made, route = _route(profile, path)
    document = made.answers[route](asked)
    return document, left_out.all


def _route(profile: Profile, path: str) -> tuple[Format, str]:
    made = FORMATS.get(profile.make)
    route = route_of(made, path) if made else None
    if made is None or route is None:
        raise NotFoundError("answer", path)
    return made, route


def _asked(
    profile: Profile,
    directory: Directory,
    path: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    url: str,
    left_out: LeftOuts | None = None,
    lookups: Rates | None = None,
) -> Asked:
    def called(number: str) -> Sequence[Contact]:
        if lookups is not None:
            _count(lookups, profile)
        return directory.called(number)

    return Asked(
        path=path,
        parameters=parameters,
        headers=headers,
        url=url,
        profile=profile,
        everyone=directory.everyone,
        search=directory.search,
        called=called,
        contact=directory.contact,
        left_out=left_out or LeftOuts(),
    )


def _count(lookups: Rates, profile: Profile) -> None:
    """Count a caller that is asked for. Raises TooManyLookupsError for one too many."""
    if wait := lookups.take(profile.device.id):
        raise TooManyLookupsError(math.ceil(wait))


def _state(profile: Profile, books: Iterable[Access]) -> Hashable:
    """All that a phone's answers depend on, but for what it sends."""
    choices = tuple(
        sorted(value) if isinstance(value, frozenset) else value
        for value in (getattr(profile, field.name) for field in fields(Choices))
    )
    of_books = tuple(
        (
            *(one.book.id, one.book.uuid, one.book.name, one.book.epoch, one.book.revision, one.view.id),
            *(one.book.region, one.book.entries_of, one.book.search_only),
        )
        for one in books
    )
    return profile.device.id, choices, of_books
