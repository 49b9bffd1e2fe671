"""The one table from the core's errors to what Radicale makes of an exception.

PUT, MKCOL, MOVE and PROPPATCH answer a ValueError with 400, and look into its message: ``[Errno 13]`` makes it 403,
``[Errno 28]`` 507. Any other exception is 500, on every method; Radicale knows no 503, and a client tries again after
either.
"""

from __future__ import annotations

import errno

from radicale_shared.errors import (
    AlreadyExistsError,
    NeedPrivilegeError,
    NotAllowedHereError,
    NotAVCardError,
    NotFoundError,
    OverQuotaError,
    RefusedError,
    SharedBooksError,
    UnknownSyncTokenError,
)

_FORBIDDEN = (NeedPrivilegeError, NotAllowedHereError, AlreadyExistsError)
_BAD_REQUEST = (NotAVCardError, RefusedError, NotFoundError, UnknownSyncTokenError)


def answer(error: SharedBooksError) -> Exception:
    """What to raise towards Radicale: 507, 403, 400, or the error itself (BusyError, UnavailableError) for 500."""
    if isinstance(error, OverQuotaError):
        return ValueError(f"{error} [Errno {errno.ENOSPC}]")
    if isinstance(error, _FORBIDDEN):
        return ValueError(f"{error} [Errno {errno.EACCES}]")
    if isinstance(error, _BAD_REQUEST):
        return ValueError(str(error))
    return error
