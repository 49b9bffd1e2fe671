"""Sending notices: mail by SMTP (RFC 5321), and a webhook, which is a POST of JSON.

Both are bounded in time, verify certificates (those of the system; ``SSL_CERT_FILE`` names others), follow no
redirection, and give nothing of a notice to a header but by what can't break out of it.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import smtplib
import ssl
import threading
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from http.client import HTTPException
from urllib.error import HTTPError

from . import notices
from .database import Database
from .errors import NotSentError
from .notices import MAIL, Notice
from .settings_file import NotifySettings

# Of one notice, whatever the other side does; less than it is claimed for (``notices.claim``).
_LONGEST = 120.0
_NO_HEADER = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\\\[\]\x00-\x20\x7f]+@[^\s@<>,;:\"()\\\[\]\x00-\x20\x7f]+")
_MOST_SUBJECT = 200
_PERMANENT = 500  # SMTP's replies from here on (RFC 5321, section 4.2.1)

_log = logging.getLogger(__name__)


def send_due(db: Database, settings: NotifySettings, *, goes_on: Callable[[], bool] = lambda: True) -> tuple[int, int]:
    """Send what is due; (how many were sent, how many were not). Holds no transaction while it sends.

    goes_on: asked before each; False ends it
    """
    done = failed = 0
    while goes_on():
        with db.read() as session:  # to ask costs nobody a turn to write
            if not notices.is_due(session):
                break
        with db.write() as session:
            notice = notices.claim(session)
        if notice is None:
            break
        try:
            send(notice, settings)
        except NotSentError as error:
            failed += 1
            with db.write() as session:
                again = notices.failed(session, notice, error.reason, for_good=error.for_good)
            whom = notice.recipient or "the webhook"
            if not again:
                _log.error("A notice to %s was given up: %s", whom, error.reason)
            elif notice.tries == 1:
                _log.warning("A notice to %s could not be sent, and is tried again: %s", whom, error.reason)
            continue
        with db.write() as session:
            notices.sent(session, notice)
        done += 1
    return done, failed


def send(notice: Notice, settings: NotifySettings) -> None:
    """Send one notice. Raises NotSentError."""
    told: list[NotSentError] = []

    def run() -> None:
        try:
            if notice.channel == MAIL:
                _mail(notice, settings)
            else:
                _post(notice, settings)
        except NotSentError as error:
            told.append(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the notice wasn't sent
            _log.exception("A notice could not be sent.")
            told.append(NotSentError(f"{type(error).__name__}: {error}"))

    # The time-outs of sockets bound one read: who sends a byte now and then would hold this up for ever.
    sending = threading.Thread(target=run, name=f"notice {notice.id}", daemon=True)
    sending.start()
    sending.join(min(_LONGEST, 4.0 * settings.timeout_seconds))
    if sending.is_alive():
        raise NotSentError("the other side took too long")
    if told:
        raise told[0]


def _mail(notice: Notice, settings: NotifySettings) -> None:
    if not settings.smtp_host:
        raise NotSentError("[notify] has no smtp_host")
    if not _ADDRESS.fullmatch(notice.recipient):
        raise NotSentError("this is no address that mail can be sent to", for_good=True)
    try:
        message = _message(notice, settings)
        with _connected(settings) as smtp:
            if settings.smtp_user:
                smtp.login(settings.smtp_user, settings.smtp_password)
            smtp.send_message(message, settings.mail_from, [notice.recipient])
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise NotSentError(f"refused: {code} {_text(text)}", for_good=code >= _PERMANENT) from error
    except smtplib.SMTPResponseException as error:
        raise NotSentError(f"the server says {error.smtp_code} {_text(error.smtp_error)}") from error
    except (smtplib.SMTPException, MessageError, OSError, ValueError) as error:
        raise NotSentError(_said(error)) from error


def _connected(settings: NotifySettings) -> smtplib.SMTP:
    timeout = float(settings.timeout_seconds)
    if settings.smtp_security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(settings.smtp_host, settings.smtp_port, timeout=timeout, context=context)
    smtp = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=timeout)
    if settings.smtp_security == "starttls":
        try:
            smtp.starttls(context=ssl.create_default_context())
        except BaseException:
            smtp.close()
            raise
    return smtp


def _message(notice: Notice, settings: NotifySettings) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = settings.mail_from
    message["To"] = notice.recipient
    message["Subject"] = _NO_HEADER.sub(" ", notice.subject)[:_MOST_SUBJECT]
    message["Date"] = format_datetime(datetime.now(UTC))
    # The same one at each try: whoever gets it twice after a crash can tell.
    message["Message-ID"] = f"<{_name(notice)}@{settings.mail_from.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    message.set_content(notice.text)
    return message


def _name(notice: Notice) -> str:
    """What names a notice wherever it is sent to, and however often."""
    return f"radicale-shared-{notice.id}-{int(notice.made_at.timestamp() * 1_000_000)}"


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A webhook that moved is configured anew: its facts go nowhere else."""

    def redirect_request(self, *args: object, **more: object) -> None:
        del args, more


def _post(notice: Notice, settings: NotifySettings) -> None:
    if not settings.webhook_url:
        raise NotSentError("[notify] has no webhook_url")
    told = {"id": _name(notice), "made_at": notice.made_at.isoformat(), "subject": notice.subject, "text": notice.text}
    body = json.dumps({**told, "facts": notice.facts}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "radicale-shared"}
    if settings.webhook_secret:
        signature = hmac.new(settings.webhook_secret.encode(), body, sha256).hexdigest()
        headers["X-Signature"] = f"sha256={signature}"
    # The settings let nothing but https:// and http:// through.
    request = urllib.request.Request(settings.webhook_url, body, headers, method="POST")  # noqa: S310
    context = ssl.create_default_context()
    opener = urllib.request.build_opener(_NoRedirection, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=float(settings.timeout_seconds)):
            pass  # any answer of 200 to 299; what it says is nothing to us
    except HTTPError as error:
        error.close()
        raise NotSentError(f"the webhook answered {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotSentError(_said(error)) from error


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return _NO_HEADER.sub(" ", text)


def _said(error: BaseException) -> str:
    return _NO_HEADER.sub(" ", str(error)) or type(error).__name__
