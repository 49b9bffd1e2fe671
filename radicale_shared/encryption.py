"""Encrypting by age (age-encryption.org, version 1): whoever has one of the public keys' secret ones can read it again.

The library is an extra of this product (``radicale-shared[age]``), and imported when it is needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from .errors import ConfigurationError, DamagedBackupError, UnusableBackupError, UserError

# How a file that is encrypted begins.
MAGIC = b"age-encryption.org/"


class Readable(Protocol):
    """A file that is read from its beginning."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


class Writable(Protocol):
    """What takes bytes one after another."""

    def write(self, data: bytes, /) -> int:
        """Take all of them."""

    def flush(self) -> None:
        """age asks for it."""


def check_recipients(recipients: Sequence[str]) -> None:
    """Raise ConfigurationError unless all of them are public keys of age, before much work is done."""
    _public(recipients)


def encrypt(name: str, pieces: Iterator[bytes], out: Writable, recipients: Sequence[str]) -> None:
    """Encrypt what the pieces are together. name: of the backup. Raises ConfigurationError, UserError."""
    age = _age()
    try:
        age.encrypt_io(_Pieces(pieces), out, _public(recipients))
    except age.EncryptError as error:
        raise UserError(f"The backup {name!r} can't be encrypted: {error}") from error


def decrypt(name: str, source: Readable, into: Writable, identity: Path | None) -> None:
    """Write what is encrypted in ``source`` to ``into``, a piece at a time.

    name: of the backup
    identity: file with a secret key

    Raises UnusableBackupError, ConfigurationError.
    """
    if identity is None:
        raise UnusableBackupError(
            name, "it is encrypted. Name its key: --identity FILE, or [backup] age_identity_file."
        )
    age = _age()
    try:
        age.decrypt_io(source, into, _identities(identity))
    except age.DecryptError as error:
        if "matching keys" in str(error):
            reason = f"the key in {str(identity)!r} is none of those that it was encrypted for."
            raise UnusableBackupError(name, reason) from error
        raise DamagedBackupError(name) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DamagedBackupError(name) from error  # of age: without a number


def _identities(path: Path) -> list[Any]:
    """The secret keys in a file as ``age-keygen`` writes it."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The key {str(path)!r} can't be read: {error}") from error
    age = _age()
    try:
        found = [age.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except age.IdentityError as error:
        raise ConfigurationError(f"The key {str(path)!r} is no secret key of age (AGE-SECRET-KEY-1...).") from error
    if not found:
        raise ConfigurationError(f"In {str(path)!r} there is no secret key of age (AGE-SECRET-KEY-1...).")
    return found


def _public(recipients: Sequence[str]) -> list[Any]:
    found: list[Any] = []
    for one in recipients:
        age = _age()
        try:
            found.append(age.x25519.Recipient.from_str(one))
        except age.RecipientError as error:
            raise ConfigurationError(f"[backup] age_recipients has {one!r}, which is no public key of age.") from error
    return found


def _age() -> Any:
    try:
        return importlib.import_module("pyrage")
    except ImportError as error:
        raise ConfigurationError("Encrypted backups need: pip install 'radicale-shared[age]'") from error


class _Pieces:
    """What pieces there are, as a file to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def read(self, size: int) -> bytes:
        if not self._left:
            self._left = next(self._pieces, b"")
        taken, self._left = self._left[:size], self._left[size:]
        return taken
