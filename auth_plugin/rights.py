"""Radicale's letters for what the core's ``access`` says; no rule of its own.

Radicale asks with a path alone, outside any lock, several times a request, and once for each child at Depth 1. What was
found out is kept for the request and never longer. The storage plugin asks ``access`` again inside its transaction: the
letters decide what Radicale tells a client, the storage what is written.

Another home, a mount that may not be read and one that doesn't exist all have no letters: Radicale answers 403 to each.
An unreadable book of the own home is treated as a name that is still free.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

from radicale import config, pathutils, rights
from radicale.log import logger

from radicale_shared import access, devices, refusals, sent_bytes, settings
from radicale_shared.access import WHOLE, Access, Verb
from radicale_shared.errors import SharedBooksError
from radicale_shared.sent_bytes import Request

# "o" and "d" deny: replacing a whole book by PUT, deleting a collection. "l" denies PROPPATCH.
_HOME = "RW"
_FREE = "rwo"
_WRITES = frozenset({Verb.ADD, Verb.EDIT, Verb.DELETE})


@dataclass(slots=True)
class _Answers:
    """What one request has asked so far.

    complete: all readable books are in ``found``
    of_card: a card's path was asked for, so that a book's is asked for as its parent
    """

    request: Request
    user: str
    of_card: bool = False
    found: dict[str, Access | None] = field(default_factory=dict)
    complete: bool = False


_answers: ContextVar[_Answers | None] = ContextVar("radicale_shared_rights", default=None)


class Rights(rights.BaseRights):
    """Letters from grants."""

    def __init__(self, configuration: config.Configuration) -> None:
        super().__init__(configuration)
        options = settings.from_configuration(configuration)
        self._database = options.connect()

    def authorization(self, user: str, user_groups: set[str], path: str) -> str:
        """The letters of ``user`` for ``path``; a card has none, Radicale asks for its book then.

        Nothing for anonymous requests, not even for "/": only so they are asked to sign in.
        """
        del user_groups  # grants to groups are the core's
        parts = pathutils.strip_path(path).split("/")
        if not user:
            return ""
        if parts == [""]:
            return "R"
        if parts[0] != user:
            return ""
        device = sent_bytes.device()
        if device is not None and device.phones_only:
            return ""
        known = _known(user)
        method = known.request.method if known else ""
        if len(parts) == 1:
            # Deleting the home would end in an error of the storage, for which Radicale's DELETE has no answer but 500.
            return "R" if method == "DELETE" else _HOME
        if len(parts) == 2:
            found = self._find(user, parts[1], known)
            if found is None:
                # Only who may use all of a person's books learns which names are free, and makes a book of one.
                return "" if "~" in parts[1] or sent_bytes.scope() != WHOLE else _FREE
            return _letters(found, method, of_card=known is not None and known.of_card)
        if len(parts) == 3 and known:
            known.of_card = True
            if method == "DELETE":
                self._remember_refused(parts[1], parts[2], known)
        return ""

    def _find(self, user: str, name: str, known: _Answers | None) -> Access | None:
        if known is None:
            with self._database.read() as session:
                return access.find(session, user, name, scope=sent_bytes.scope())
        if name not in known.found and not known.complete:
            with self._database.read() as session:
                if known.found:  # the second book: Radicale goes through the home, ask for all at once
                    readable = access.all_readable(session, user, scope=sent_bytes.scope())
                    known.found = {one.name: one for one in readable}
                    known.complete = True
                else:
                    known.found[name] = access.find(session, user, name, scope=sent_bytes.scope())
        return known.found.get(name)

    def _remember_refused(self, name: str, href: str, known: _Answers) -> None:
        """Note a DELETE that the letters are about to refuse, so that the client's next sync brings the card back.

        Every other refusal is the storage's and noted there; Radicale's DELETE can't pass one on.
        """
        found = self._find(known.user, name, known)
        if found is None or Verb.DELETE in found.verbs or found.principal_id is None:
            return
        try:
            with self._database.write(found.book.id) as session:
                client = devices.client_of(sent_bytes.device(), known.request.user_agent)
                refusals.remember(session, found.principal_id, client, found.book.id, href)
        except SharedBooksError as error:
            logger.warning("A refused DELETE of %r was not remembered: %s", known.user, error)


def _known(user: str) -> _Answers | None:
    """What this request asked so far for ``user``; None where nobody noted the request."""
    request = sent_bytes.current()
    if request is None:
        return None
    known = _answers.get()
    if known is None or known.request is not request or known.user != user:
        known = _Answers(request, user)
        _answers.set(known)
    return known


def _letters(found: Access, method: str, *, of_card: bool) -> str:
    """``of_card``: asked for one of the book's cards, not for the book itself."""
    is_export = method in {"GET", "HEAD"} and not of_card
    letters = "" if is_export and Verb.EXPORT not in found.verbs else "r"
    if method == "DELETE":
        may_write = Verb.DELETE in found.verbs
    elif method == "PUT":
        # The storage refuses by itself, and so gets to remember it.
        may_write = True
    else:
        may_write = bool(_WRITES & found.verbs)
    if may_write:
        letters += "w"
    letters += "o"
    if Verb.OWN not in found.verbs:
        letters += "l"
    if Verb.OWN not in found.verbs or not found.is_home:
        letters += "d"
    return letters
