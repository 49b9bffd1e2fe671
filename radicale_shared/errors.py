"""Every error of the product, as one tree; facts are fields, nobody below a surface knows HTTP.

    SharedBooksError
    ├── UserError                       somebody asked for something that can't be done: say so, no traceback
    │   ├── ConfigurationError          an option is missing, unknown or wrong
    │   ├── NotFoundError               no such user, group, book, card, revision or file
    │   ├── AlreadyExistsError          the name is taken
    │   ├── NotAllowedHereError         the wish is understood, and this thing can't have it
    │   │   └── WrongValueError         what was written can be no value of its kind, whoever asks
    │   ├── SchemaError                 the database is older or newer than this program, or was moved
    │   └── UnusableBackupError         a backup that has expired, is newer than this program or for another key
    │       └── DamagedBackupError      one that isn't what was written
    ├── NotAVCardError                  bytes that are no vCard, or not one that may be stored
    │   ├── UnsupportedVersionError     a vCard of another version than 3.0 and 4.0
    │   └── TooLargeError               a card above the size that is allowed
    ├── RefusedError                    a write that may not be; nothing was changed
    │   ├── NeedPrivilegeError          the rights don't reach
    │   │   └── GuardedError            the guard has stopped this device, as it destroyed too much
    │   ├── UidConflictError            another card of the book has this UID
    │   ├── PreconditionFailedError     If-Match or If-None-Match doesn't hold
    │   ├── OverQuotaError              the book or its owner would hold more than is allowed
    │   └── TooManyPropertiesError      more of what clients set beside the cards than is kept
    ├── UnknownSyncTokenError           the client must start over
    ├── BusyError                       others are before this one for too long; come back later
    ├── UnavailableError                the database can't be reached or can't write
    ├── DirectoryUnavailableError       a directory can't be asked, or its answer can't be believed
    │   └── AccountAtRiskError          it isn't asked, as another wrong password might lock the account there
    ├── NotSentError                    a notice didn't reach the mail server or the webhook
    ├── TooManyAttemptsError            too many wrong passwords; this one wasn't looked at
    └── TooManyLookupsError             a phone asks too often who is calling

Surfaces and adapters have one table each that turns these into their answers.
"""

from __future__ import annotations

from collections.abc import Sequence


class SharedBooksError(Exception):
    """Root of all errors of this product."""


class UserError(SharedBooksError):
    """Somebody asked for something that can't be done; the message says what and what to do now."""


class ConfigurationError(UserError):
    """An option is missing, unknown or has a value that can't be used."""


class NotFoundError(UserError):
    """There is no such thing.

    kind: what was looked for, e.g. ``"book"``
    name: the name as it was given
    """

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        super().__init__(f"There is no {kind} {name!r}.{' ' + hint if hint else ''}")
        self.kind = kind
        self.name = name


class AlreadyExistsError(UserError):
    """The name is taken.

    kind: what was to be made, e.g. ``"user"``
    name: the name as it was given
    """

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        super().__init__(f"There is a {kind} {name!r} already.{' ' + hint if hint else ''}")
        self.kind = kind
        self.name = name


class NotAllowedHereError(UserError):
    """The wish is understood and this thing can't have it; the message says why."""


class WrongValueError(NotAllowedHereError):
    """What was written can be no value of its kind (a slug, a field, an end), whoever asks; the message says why."""


class SchemaError(UserError):
    """The database isn't one for this program: another schema, or it was moved; the message says what to do."""


class UnusableBackupError(UserError):
    """A backup that can't be used, and of which nothing was: the message says which, and why."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"The backup {file!r} can't be used: {reason}")
        self.file = file
        self.reason = reason


class DamagedBackupError(UnusableBackupError):
    """A backup that was cut, or of which a bit is not as it was written, so that it may look like none at all."""

    def __init__(
        self, file: str, reason: str = "it is damaged or cut: it isn't what was written. Take another one."
    ) -> None:
        super().__init__(file, reason)


class NotAVCardError(SharedBooksError):
    """The bytes are no vCard that may be stored.

    reason: a sentence for people, without the card's content
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedVersionError(NotAVCardError):
    """A vCard of a version that isn't stored (2.1, or none at all)."""

    def __init__(self, version: str) -> None:
        super().__init__(f"vCard version {version!r} is not supported here; send 3.0 or 4.0.")
        self.version = version


class TooLargeError(NotAVCardError):
    """The card is larger than a card may be; both sizes in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"The card has {size} bytes; at most {limit} are allowed.")
        self.size = size
        self.limit = limit


class RefusedError(SharedBooksError):
    """A write that may not be; nothing was changed."""


class NeedPrivilegeError(RefusedError):
    """The person's rights on the book don't reach for this.

    verb: what was missing, one of ``access.Verb``, e.g. ``"edit"``
    href: the card's name inside the book, empty where the book itself is meant
    """

    def __init__(self, verb: str, href: str = "") -> None:
        super().__init__(f"The right to {verb} is missing.")
        self.verb = verb
        self.href = href


class GuardedError(NeedPrivilegeError):
    """The guard stopped this device in this address book: it deletes and empties no more cards there for now.

    told: sentences for whoever uses the device
    trip: a ``guard.Trip`` where the device went too far by this very write, which is to be written down then
        (``blocks.record``); None where it was stopped before
    """

    def __init__(self, verb: str, href: str, told: str, trip: object = None) -> None:
        super().__init__(verb, href)
        self.args = (told,)
        self.told = told
        self.trip = trip


class UidConflictError(RefusedError):
    """Another live card of the book has this UID, or the card at this href has another one (RFC 6352, section 5.1).

    href: the card that is in the way
    """

    def __init__(self, uid: str, href: str) -> None:
        super().__init__(f"UID {uid!r} is in use by {href!r}, or that card has another one.")
        self.uid = uid
        self.href = href


class PreconditionFailedError(RefusedError):
    """If-Match or If-None-Match doesn't hold (RFC 9110, section 13.1); the card is as it was."""

    def __init__(self, href: str) -> None:
        super().__init__(f"{href!r} is not in the state the client named.")
        self.href = href


class OverQuotaError(RefusedError):
    """The cards of a book, or of all books of its owner, would have more bytes than are allowed (RFC 4331, section 6).

    what: ``"book"`` or ``"owner"``; limit: in bytes
    """

    def __init__(self, what: str, limit: int) -> None:
        whose = "This address book" if what == "book" else "The owner of this address book"
        super().__init__(f"{whose} may hold {limit} bytes of cards, and this one would go beyond.")
        self.what = what
        self.limit = limit


class TooManyPropertiesError(RefusedError):
    """Something would have more dead properties (RFC 4918, section 4), or larger ones, than are kept.

    names: those that would go beyond
    """

    def __init__(self, names: Sequence[str], limit: str) -> None:
        super().__init__(limit)
        self.names = tuple(names)


class UnknownSyncTokenError(SharedBooksError):
    """The client's sync token was not made by this book in its present epoch, or lies below the book's floor.

    Tokens never expire by age: this is another book's token, or one from before a restored backup.
    Surfaces answer DAV:valid-sync-token (RFC 6578, section 3.2); the client starts over.
    """

    def __init__(self, token: str, reason: str) -> None:
        super().__init__(f"sync token {token!r}: {reason}")
        self.token = token
        self.reason = reason


class BusyError(SharedBooksError):
    """Others kept this one waiting for too long; nothing was changed, trying again is safe.

    retry_after: seconds after which to come back
    reason: a sentence for people, without its end
    """

    def __init__(self, retry_after: int = 2, reason: str = "Other writes took too long") -> None:
        super().__init__(f"{reason}; try again in {retry_after} second{'' if retry_after == 1 else 's'}.")
        self.retry_after = retry_after


class UnavailableError(SharedBooksError):
    """The database can't be reached, or can't write (disk full, file not writable); nothing was changed."""


class DirectoryUnavailableError(SharedBooksError):
    """A directory can't be asked, or its answer isn't whole; nothing follows from it, least of all a loss.

    directory: its name in the settings
    reason: a sentence for administrators, without a password
    retry_after: seconds after which to come back
    """

    def __init__(self, directory: str, reason: str, retry_after: int = 30) -> None:
        super().__init__(f"The directory {directory!r} can't be asked: {reason}")
        self.directory = directory
        self.reason = reason
        self.retry_after = retry_after


class AccountAtRiskError(DirectoryUnavailableError):
    """The directory isn't asked for this person: one more wrong password might lock their account there, or has."""

    def __init__(self, directory: str, retry_after: int) -> None:
        super().__init__(directory, "too many wrong passwords were tried for this person", retry_after)


class NotSentError(SharedBooksError):
    """A notice could not be sent.

    reason: a sentence for administrators, without a password
    for_good: to try again is in vain
    """

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(f"The notice could not be sent: {reason}")
        self.reason = reason
        self.for_good = for_good


class TooManyAttemptsError(SharedBooksError):
    """Too many wrong passwords came from one address or for one account; this one wasn't looked at, right or not.

    retry_after: seconds after which to come back
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many wrong passwords; try again in {retry_after} seconds.")
        self.retry_after = retry_after


class TooManyLookupsError(SharedBooksError):
    """A phone, or the exchange that has its password, asks too often who is calling; this once it isn't told.

    retry_after: seconds after which to come back
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many callers were looked up; try again in {retry_after} seconds.")
        self.retry_after = retry_after
