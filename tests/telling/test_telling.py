"""Notices reach people and programs, are tried again where they don't, and hold nobody up."""

from __future__ import annotations

import hmac
import json
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from time import sleep

import pytest
from sqlalchemy import create_engine, func, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from radicale_shared import notices, telling
from radicale_shared.errors import NotSentError
from radicale_shared.models import Notice as NoticeTable
from radicale_shared.models import now, table
from radicale_shared.notices import Channels, Notice
from radicale_shared.settings_file import NotifySettings
from tests.ldap import certificates
from tests.ldap.certificates import Authority
from tests.telling.receivers import MailServer, Webhook


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if reason := certificates.missing():
        pytest.skip(reason)
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("mail", "DNS:localhost", "IP:127.0.0.1")


@pytest.fixture
def trusted(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))


@pytest.fixture
def mail_server():
    """Makes mail servers, which end with the test."""
    made = []

    def make(**more):
        made.append(MailServer(**more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def webhook():
    made = Webhook()
    yield made
    made.close()


def by_mail(server, security="none", **more):
    return NotifySettings(
        smtp_host="localhost",
        smtp_port=server.port,
        smtp_security=security,
        mail_from="contacts@example.org",
        timeout_seconds=more.pop("timeout_seconds", 5),
        **more,
    )


def notice(**more):
    told = Notice(7, "mail", "it@example.org", "Stopped", "Text\n.\nümlaut", {"block": 1}, now(), 1)
    return replace(told, **more)


# -- mail --------------------------------------------------------------------------------------------------------------


def test_a_mail_arrives_with_its_text_and_says_that_no_person_wrote_it(mail_server):
    server = mail_server()
    telling.send(notice(), by_mail(server))

    (mail,) = server.mails
    assert server.recipients == ["it@example.org"]
    assert (mail["From"], mail["To"], mail["Subject"]) == ("contacts@example.org", "it@example.org", "Stopped")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail.get_content().splitlines() == ["Text", ".", "ümlaut"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_tls_with_a_password(mail_server, certificate, trusted, security):
    server = mail_server(certificate=certificate, from_start=security == "tls", user="rs", password="s3cret")
    telling.send(notice(), by_mail(server, security, smtp_user="rs", smtp_password="s3cret"))

    assert server.was_encrypted == [True]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_whose_certificate_nobody_vouches_for_gets_no_mail(mail_server, certificate, security):
    server = mail_server(certificate=certificate, from_start=security == "tls")
    with pytest.raises(NotSentError, match="certificate verify failed"):
        telling.send(notice(), by_mail(server, security))

    assert server.mails == []


def test_a_certificate_of_another_name_is_none(mail_server, authority, trusted):
    server = mail_server(certificate=authority.issue("other", "DNS:other.example"))
    with pytest.raises(NotSentError, match="certificate"):
        telling.send(notice(), by_mail(server, "starttls"))


def test_a_server_without_starttls_gets_neither_mail_nor_password(mail_server):
    server = mail_server(user="rs", password="s3cret")
    with pytest.raises(NotSentError, match="STARTTLS"):
        telling.send(notice(), by_mail(server, "starttls", smtp_user="rs", smtp_password="s3cret"))

    assert server.mails == []


@pytest.mark.parametrize(
    ("answers", "for_good"),
    [
        ({"RCPT": "550 nobody here"}, True),
        ({"RCPT": "450 later"}, False),
        ({"MAIL": "550 not you"}, False),
        ({"DATA": "451 full"}, False),
        ({"EHLO": "421 closing", "HELO": "421 closing"}, False),
    ],
)
def test_what_a_server_refuses_is_told_and_a_recipient_that_isn_t_there_is_given_up(mail_server, answers, for_good):
    server = mail_server(answers=answers)
    with pytest.raises(NotSentError) as refused:
        telling.send(notice(), by_mail(server))

    assert refused.value.for_good is for_good
    assert any(one.partition(" ")[2] in refused.value.reason for one in answers.values())


def test_a_wrong_password_is_told_without_the_password(mail_server, certificate, trusted):
    server = mail_server(certificate=certificate, user="rs", password="right")
    with pytest.raises(NotSentError, match="535") as refused:
        telling.send(notice(), by_mail(server, "starttls", smtp_user="rs", smtp_password="s3cret"))

    assert "s3cret" not in refused.value.reason


def test_a_server_that_is_not_there_hangs_or_drips_ends_the_try(mail_server):
    gone = mail_server()
    gone.close()
    for settings in (
        by_mail(gone),
        by_mail(mail_server(hangs=True), timeout_seconds=0.2),
        by_mail(mail_server(drips=True), timeout_seconds=0.2),
    ):
        with pytest.raises(NotSentError):
            telling.send(notice(), settings)


@pytest.mark.parametrize("subject", ["a\r\nBcc: x@example.org", "a\nSubject: b", "a\x00b", "ü" * 300, "a\u2028b"])
def test_a_subject_stays_in_its_header(mail_server, subject):
    server = mail_server()
    telling.send(notice(subject=subject), by_mail(server))

    (mail,) = server.mails
    assert server.recipients == ["it@example.org"]
    assert len(mail.get_all("Subject")) == 1
    assert mail["Bcc"] is None
    assert mail.get_content().startswith("Text")


@pytest.mark.parametrize(
    "recipient", ["", "nobody", "a@example.org\r\nBcc: b@example.org", "a@b@c", "a b@c", "<a@b>", "a@b,c@d"]
)
def test_what_is_no_address_is_given_up(mail_server, recipient):
    server = mail_server()
    with pytest.raises(NotSentError) as refused:
        telling.send(notice(recipient=recipient), by_mail(server))

    assert refused.value.for_good
    assert server.recipients == []


# -- webhook -----------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_signed_json(webhook):
    telling.send(notice(channel="webhook"), NotifySettings(webhook_url=webhook.url, webhook_secret="key"))

    ((headers, body),) = webhook.requests
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Signature"] == f"sha256={hmac.new(b'key', body, sha256).hexdigest()}"
    told = json.loads(body)
    assert (told["subject"], told["facts"]) == ("Stopped", {"block": 1})


def test_without_a_secret_there_is_no_signature(webhook):
    telling.send(notice(channel="webhook"), NotifySettings(webhook_url=webhook.url))

    assert "X-Signature" not in webhook.requests[0][0]


@pytest.mark.parametrize("status", [301, 307, 404, 500])
def test_a_webhook_that_answers_anything_but_success_was_not_told_and_a_redirection_is_not_followed(webhook, status):
    webhook.answers.append(status)
    with pytest.raises(NotSentError, match=str(status)):
        telling.send(notice(channel="webhook"), NotifySettings(webhook_url=webhook.url))

    assert webhook.paths == ["/"]


def test_a_webhook_that_hangs_ends_the_try(mail_server):
    url = f"http://127.0.0.1:{mail_server(hangs=True).port}/"
    with pytest.raises(NotSentError):
        telling.send(notice(channel="webhook"), NotifySettings(webhook_url=url, timeout_seconds=0.2))


# -- the queue ---------------------------------------------------------------------------------------------------------


def queued(db, **more):
    with db.write() as session:
        notices.add(session, Channels(**more), "Stopped", "Text", {"block": 1})


def left(db):
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(table(NoticeTable)))


def later(db, time):
    with db.write() as session:
        for row in session.execute(select(table(NoticeTable))).all():
            mine = update(table(NoticeTable)).where(table(NoticeTable).c.id == row.id)
            next_at = None if row.next_at is None else row.next_at - time
            session.execute(mine.values(made_at=row.made_at - time, next_at=next_at))


def test_what_is_due_is_sent_once_and_forgotten(db, mail_server, webhook):
    server = mail_server()
    settings = by_mail(server, webhook_url=webhook.url)
    queued(db, mail=True, mail_to=("a@example.org", "b@example.org"), webhook=True)

    assert telling.send_due(db, settings) == (3, 0)
    assert telling.send_due(db, settings) == (0, 0)
    assert sorted(server.recipients) == ["a@example.org", "b@example.org"]
    assert len(webhook.requests) == 1
    assert left(db) == 0


def test_two_that_send_at_once_tell_nobody_twice(db, webhook):
    for _ in range(6):
        queued(db, webhook=True)
    gate = threading.Barrier(2, timeout=1)

    def meet():
        with suppress(threading.BrokenBarrierError):
            gate.wait()

    webhook.before = meet
    settings = NotifySettings(webhook_url=webhook.url)
    threads = [threading.Thread(target=telling.send_due, args=(db, settings)) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    ids = [json.loads(body)["id"] for _, body in webhook.requests]
    assert len(ids) == len(set(ids)) == 6
    assert left(db) == 0


def test_a_notice_that_another_process_is_claiming_at_this_moment_is_theirs(db, database_url):
    if not database_url.startswith("postgresql"):
        pytest.skip("with SQLite nobody reads what they are going to write while another one writes")
    queued(db, webhook=True)
    claimed = []

    def claim():
        with db.write() as session:
            claimed.append(notices.claim(session))

    late = threading.Thread(target=claim)
    with Session(create_engine(database_url, poolclass=NullPool)) as session:  # none of this process' turns to write
        assert notices.claim(session) is not None
        late.start()
        waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        while late.is_alive() and not session.scalar(waits):
            sleep(0.02)
        session.commit()
    late.join()

    assert claimed == [None]


def test_a_failed_notice_is_tried_again_with_growing_pauses_and_given_up_after_three_days(db, webhook, caplog):
    webhook.answers += [500] * 200
    settings = NotifySettings(webhook_url=webhook.url)
    queued(db, webhook=True)
    pauses = []
    for _ in range(100):
        assert telling.send_due(db, settings) == (0, 1)
        assert telling.send_due(db, settings) == (0, 0)  # not at once
        with db.read() as session:
            (failing,) = notices.failing(session)
        if failing.next_at is None:
            break
        pauses.append(round((failing.next_at - now()).total_seconds() / 60))
        later(db, timedelta(minutes=pauses[-1], seconds=31))

    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert pauses == sorted(pauses)
    assert max(pauses) == 120
    assert timedelta(days=2.5) < timedelta(minutes=sum(pauses)) <= timedelta(days=3)
    assert "was given up: the webhook answered 500" in caplog.text
    assert failing.failure == "the webhook answered 500"
    with db.write() as session:
        notices.forget_given_up(session, now())
    assert left(db) == 0


def test_a_notice_that_fails_holds_up_no_other(db, mail_server):
    server = mail_server(answers={})
    queued(db, mail=True, mail_to=("not an address", "b@example.org"))

    assert telling.send_due(db, by_mail(server)) == (1, 1)
    assert server.recipients == ["b@example.org"]


def test_a_sender_that_died_is_followed_after_some_minutes(db, webhook):
    queued(db, webhook=True)
    with db.write() as session:
        assert notices.claim(session) is not None  # and dies
    settings = NotifySettings(webhook_url=webhook.url)
    assert telling.send_due(db, settings) == (0, 0)

    later(db, timedelta(minutes=6))

    assert telling.send_due(db, settings) == (1, 0)
