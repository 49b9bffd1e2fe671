"""The organisation's directories: LDAP servers and Active Directory, asked and never written to.

``directories`` gives those of the settings; a Directory finds people and groups, checks passwords and streams entries.
Whatever can't be asked, or answers less than whole, is a DirectoryUnavailableError: never a person or group that is
gone. What follows from an answer is the core's. Nothing else imports ldap3.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from ..directory_settings import DirectorySettings
from ..people import folded
from ..settings import Settings
from .entries import Entry, GroupEntry, PersonEntry, folded_dn
from .find import Directory
from .verdicts import Verdict

__all__ = ["Directory", "Entry", "GroupEntry", "PersonEntry", "Verdict", "directories", "folded_dn"]

_known: dict[tuple[DirectorySettings, ...], tuple[Directory, ...]] = {}
_lock = threading.Lock()


def directories(settings: Settings) -> tuple[Directory, ...]:
    """This process' Directory of each one in the settings, in their order; nothing is opened yet."""
    with _lock:
        if settings.file.directories not in _known:
            _known[settings.file.directories] = tuple(_made(settings.file.directories))
        return _known[settings.file.directories]


def _made(all_of_them: Sequence[DirectorySettings]) -> Iterator[Directory]:
    for one in all_of_them:
        others = (other for other in all_of_them if other is not one)
        elsewhere = frozenset(folded(domain) for other in others for domain in other.domains)
        yield Directory(one, is_first=one is all_of_them[0], elsewhere=elsewhere)
