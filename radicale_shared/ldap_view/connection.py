"""One client: what it asks for on its connection, and what it is answered (RFC 4511, section 4).

Everything here runs on the event loop and waits for nothing; what waits is done in threads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from . import controls, messages, root, schema
from .ber import BerError
from .messages import ANSWERS, START_TLS, WHO_AM_I, BindRequest, Message, Operation
from .operations import RunningSearch, SignedIn
from .requests import Scope, SearchRequest
from .results import Code, ResultError
from .stream import Stream

if TYPE_CHECKING:
    from .server import Server

# Operations of somebody who isn't signed in.
MOST_OF_STRANGERS = 50

_NO_ANSWER = frozenset({Operation.UNBIND, Operation.ABANDON})


class Connection(Stream):
    """tls: whether the client begins with TLS (LDAPS)."""

    def __init__(self, server: Server, *, tls: bool) -> None:
        super().__init__(server, tls=tls)
        self._signed_in: SignedIn | None = None
        self._searches: dict[int, RunningSearch] = {}
        self._strange = 0

    def _abandon_all(self) -> None:
        for search in self._searches.values():
            search.abandon()

    def _take(self, message: Message) -> None:
        """Do what a message asks for, or begin to; what is broken inside is answered (RFC 4511, section 4.1.1)."""
        self._strange = self._strange + 1 if self._signed_in is None else 0
        if self._strange > MOST_OF_STRANGERS:
            self._end(Code.BUSY, "Sign in.")
            return
        try:
            self._do(message)
        except BerError as error:
            self._refuse(message, ResultError(Code.PROTOCOL_ERROR, f"This can't be read: {error}."))
        except ResultError as error:
            self._refuse(message, error)

    def _do(self, message: Message) -> None:
        operation = message.operation
        if operation == Operation.UNBIND:
            self._close()
        elif operation == Operation.ABANDON:
            if search := self._searches.get(messages.abandoned(message.content)):
                search.abandon()
        elif message.id in self._searches:
            self._end(Code.PROTOCOL_ERROR, "Two operations have one number.")
        elif operation == Operation.SEARCH:
            self._search(message)
        elif operation == Operation.BIND:
            self._bind(message)
        elif operation == Operation.EXTENDED:
            self._extended(message)
        elif operation == Operation.COMPARE:
            self._compare(message)
        else:
            raise ResultError(Code.UNWILLING_TO_PERFORM, "This directory can be read only.")

    def _refuse(self, message: Message, error: ResultError) -> None:
        if message.operation in _NO_ANSWER:
            return
        tag = ANSWERS[message.operation]
        self._write(messages.result(message.id, tag, error.code, error.text, matched=error.matched))

    # -- operations ----------------------------------------------------------------------------------------------------

    def _bind(self, message: Message) -> None:
        """Sign in; nothing else is done meanwhile, and what was under way is abandoned (RFC 4511, section 4.2.1)."""
        self._abandon_all()
        self._set_signed_in(None)
        request = messages.bind(message.content)
        controls.refuse_critical(message.controls)
        if request.version not in {2, 3}:
            raise ResultError(Code.PROTOCOL_ERROR, "This server speaks version 3 of LDAP.")
        if request.password is None:
            raise ResultError(Code.AUTH_METHOD_NOT_SUPPORTED, "Sign in with a name and a password (simple).")
        if not request.password:
            if request.name:  # RFC 4513, section 5.1.2: programs take such a bind for a password that is right
                raise ResultError(Code.UNWILLING_TO_PERFORM, "A password is needed.")
            raise ResultError(Code.INAPPROPRIATE_AUTHENTICATION, "Nobody is let in without a name and a password.")
        if not self._is_secure and not self._server.may_bind_openly(self._address):
            raise ResultError(Code.CONFIDENTIALITY_REQUIRED, "Use TLS: a password would be readable on its way.")
        if self._server.sign_ins.is_full:
            raise ResultError(Code.BUSY, "Too many sign in at the moment.")
        self._is_busy = True
        self._start(self._sign_in(message, request))

    async def _sign_in(self, message: Message, request: BindRequest) -> None:
        service = self._server.service
        try:
            found = await self._server.sign_ins.run(lambda: service.bind(request, self._address), self._address)
        except ResultError as error:
            self._refuse(message, error)
        else:
            self._set_signed_in(found)
            self._write(messages.result(message.id, ANSWERS[Operation.BIND], Code.SUCCESS))
        finally:
            self._is_busy = False

    def _set_signed_in(self, found: SignedIn | None) -> None:
        if self._is_counted and (found is None) != (self._signed_in is None):
            self._server.signed_in(self._address, is_stranger=found is None)
        if found is None and self._signed_in is not None:
            self._begun_at = self._loop.time()
        self._signed_in = found
        self._is_stranger = found is None

    def _required(self) -> SignedIn:
        if self._signed_in is None:
            raise ResultError(Code.INAPPROPRIATE_AUTHENTICATION, "Sign in first.")
        return self._signed_in

    def _search(self, message: Message) -> None:
        request = messages.search(message.content)
        wanted = controls.of_search(message.controls)
        open_entry = root.entry_of(request, self._server.settings.base, has_tls=self._server.context is not None)
        if open_entry is not None:
            self._answer_open(message.id, request, *open_entry)
            return
        who = self._required()
        if not request.base.strip():
            if request.scope is not Scope.SUB:
                raise ResultError(Code.NO_SUCH_OBJECT)
            # Where a client wasn't told what to search below.
            request = dataclasses.replace(request, base=self._server.settings.base)
        if self._server.searchers.is_full:
            raise ResultError(Code.BUSY, "Too many searches at the moment.")
        search = RunningSearch(self._server.service, message.id, request, wanted, who, self._address)
        self._searches[message.id] = search
        self._start(self._run(message.id, search, who.slug))

    def _answer_open(
        self, message_id: int, request: SearchRequest, dn: str, attributes: Mapping[str, Sequence[str]]
    ) -> None:
        if root.matches(attributes, request.filter):
            chosen = schema.selection(request.attributes).of(attributes)
            self._write(messages.entry(message_id, dn, chosen, types_only=request.types_only))
        self._write(messages.result(message_id, ANSWERS[Operation.SEARCH], Code.SUCCESS))

    async def _run(self, message_id: int, search: RunningSearch, slug: str) -> None:
        """Send a search's answer, each piece when the one before has been read."""
        ended = False
        try:
            while not ended and not self._is_ending:
                piece, ended = await self._server.searchers.run(search.piece, slug)
                if piece and not search.is_abandoned:
                    self._write(piece)
                await self._writable.wait()
        finally:
            del self._searches[message_id]
        if search.is_refused:
            self._end(Code.UNAVAILABLE, "Sign in again.")

    def _compare(self, message: Message) -> None:
        request = messages.compare(message.content)
        controls.refuse_critical(message.controls)
        who = self._required()
        if self._server.searchers.is_full:
            raise ResultError(Code.BUSY, "Too many searches at the moment.")
        self._start(self._run_compare(message, request, who))

    async def _run_compare(self, message: Message, request: messages.CompareRequest, who: SignedIn) -> None:
        service = self._server.service
        self._write(await self._server.searchers.run(lambda: service.compare(message.id, request, who), who.slug))

    def _extended(self, message: Message) -> None:
        name = messages.extended(message.content)
        controls.refuse_critical(message.controls)
        if name == WHO_AM_I:
            who = f"u:{self._signed_in.slug}" if self._signed_in else ""
            self._write(messages.extended_result(message.id, Code.SUCCESS, value=who))
        elif name == START_TLS:
            self._start_tls(message)
        else:
            raise ResultError(Code.PROTOCOL_ERROR, "This is not known here.")

    def _start_tls(self, message: Message) -> None:
        """StartTLS (RFC 4511, section 4.14)."""
        if self._server.context is None:
            raise ResultError(Code.PROTOCOL_ERROR, "This server has no certificate for TLS.")
        if self._is_secure or self._tasks:
            raise ResultError(Code.OPERATIONS_ERROR, "TLS is there already, or something else is under way.")
        if self._received:
            # Whoever put this in between isn't who goes on encrypted.
            self._end(Code.PROTOCOL_ERROR, "Something was sent behind StartTLS.")
            return
        answer = messages.extended_result(message.id, Code.SUCCESS, name=START_TLS)
        self._is_upgrading = True
        self._pause_reading()
        self._write(answer)
        self._start(self._secure())
