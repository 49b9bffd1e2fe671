"""The settings file's tables beside the directories: what they say, and that mistakes are named with table and key."""

from __future__ import annotations

import pytest

from radicale_shared import guard, policies, settings_file
from radicale_shared.errors import ConfigurationError
from radicale_shared.settings_file import FileSettings, GuardRole


@pytest.fixture
def load(tmp_path):
    def load(text: str, mode: int = 0o600) -> FileSettings:
        path = tmp_path / "settings.toml"
        path.write_text(text, "utf-8")
        path.chmod(mode)
        return settings_file.load(str(path))

    return load


def test_an_empty_file_says_what_no_file_says(load):
    assert load("") == FileSettings()


def test_the_guard_of_who_is_told_no_policy_is_the_one_without_a_file():
    assert policies.guard(FileSettings()) == guard.DEFAULT


def test_what_is_told_replaces_the_defaults_and_nothing_else(load):
    found = load("[guard]\ncards = 20\n[guard.role.curator]\npercent = 50\n[history]\ntrash_days = 7\n")
    assert (found.guard.cards, found.guard.percent, found.guard.role) == (20, 5, {"curator": GuardRole(percent=50)})
    assert (found.history.keep_days, found.history.trash_days) == (730, 7)
    assert (found.notify, found.backup) == (FileSettings().notify, FileSettings().backup)


def test_secrets_are_read_from_their_files_and_never_shown(load, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush hush\n", "utf-8")
    secret.chmod(0o600)
    found = load(f'[notify]\nsmtp_password_file = "{secret}"\nwebhook_secret_file = "{secret}"\n', 0o644).notify
    assert (found.smtp_password, found.webhook_secret) == ("hush hush", "hush hush")
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("guard = 1", "guard is a table: [guard]"),
        ("[gard]", "no table or key 'gard'"),
        ("[guard]\ncard = 1", "[guard]: there is no key 'card'"),
        ("[guard]\ncards = 0", "[guard]: cards must be 1 or more"),
        ("[guard]\ncards = '5'", "[guard]: cards must be a whole number"),
        ("[guard]\nminutes = 1441", "[guard]: minutes must be 1440 or less"),
        ("[guard]\nrelease_hours = 8761", "[guard]: release_hours must be 8760 or less"),
        ("[guard]\npercent = 101", "[guard]: percent must be 100 or less"),
        ("[guard]\nrole = { boss = {} }", "a role is viewer, contributor, editor, curator, manager, owner"),
        ("[guard]\nrole = { owner = { percent = 101 } }", "percent must be 100 or less"),
        ("[guard]\nrole = { owner = { minutes = 1 } }", "role.owner: there is no key 'minutes'"),
        ("[notify]\nsmtp_security = 'ssl'", "smtp_security must be starttls, tls or none"),
        (
            "[notify]\nsmtp_host = 'mail.example.org'\nmail_from = 'a@b'\nsmtp_security = 'none'\nsmtp_user = 'ada'",
            "a password goes unencrypted to this machine only",
        ),
        ("[notify]\nwebhook_url = 'https:///x'", "webhook_url names no host"),
        ("[notify]\nwebhook_url = 'https://hooks.example.org/a secret'", "webhook_url has a character"),
        ("[notify]\nsmtp_host = 'mail.example.org'", "smtp_host needs mail_from"),
        ("[notify]\nmail_to = ['it@example.org']", "mail_to needs smtp_host"),
        ("[notify]\nmail_from = 'nobody'", "'nobody' is no mail address"),
        ('[notify]\nmail_from = "a@b.example\\r\\nBcc: x@y.example"', "is no mail address"),
        ("[notify]\nwebhook_url = 'ftp://example.org'", "webhook_url must begin with https:// or http://"),
        ("[notify]\nsmtp_password = 'a'\nsmtp_password_file = '/b'", "keep one of them"),
        ("[notify]\nsmtp_password_file = '/nowhere/at/all'", "can't be read"),
        ("[backup]\nage_recipients = ['ssh-rsa AAAA']", "no public key of age"),
        ("[backup]\nkeep_days = -1", "keep_days must be 1 or more"),
    ],
)
def test_a_mistake_is_refused_with_its_table_and_key(load, text, said):
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    assert said in str(caught.value)


def test_a_secret_in_a_file_that_everybody_may_read_is_refused(load):
    with pytest.raises(ConfigurationError, match="has a secret and is readable by everyone"):
        load("[notify]\nwebhook_secret = 'hush'\n", 0o644)
