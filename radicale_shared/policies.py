"""What the settings file says of the guard and of notices, as the core takes it."""

from __future__ import annotations

from .guard import Policy, Rule
from .notices import Channels
from .settings_file import FileSettings, NotifySettings


def guard(file: FileSettings) -> Policy:
    """When the guard steps in, and who is told of it."""
    found = file.guard
    whole = Rule(found.cards, found.percent)
    return Policy(
        whole if found.enabled else None,
        {
            # What a role doesn't say is as for all others.
            role: Rule(one.cards or whole.cards, one.percent or whole.percent) if one.enabled else None
            for role, one in found.role.items()
        },
        found.minutes,
        found.release_hours,
        channels(file.notify),
    )


def channels(notify: NotifySettings) -> Channels:
    """By which ways notices go, and to whom."""
    return Channels(bool(notify.smtp_host), notify.mail_to, notify.managers, bool(notify.webhook_url))
