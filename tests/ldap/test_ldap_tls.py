"""TLS with a private CA: whom a directory's connections trust, by StartTLS and from the first octet."""

from __future__ import annotations

import pytest

from radicale_shared.errors import DirectoryUnavailableError
from radicale_shared.ldap import Verdict
from tests.ldap.certificates import Authority

GOOD = ("IP:127.0.0.1", "DNS:ldap.example.org")


@pytest.fixture
def secured(new_slapd, authority, directory):
    """Makes a Directory of a slapd with a certificate: ``secured(certificate, by="StartTLS", ca_file=...)``."""

    def make(certificate, *, by, **changes):
        server = new_slapd(certificate=certificate)
        url = server.url if by == "StartTLS" else server.tls_url
        fitting = {"servers": (url,), "start_tls": True, "allow_plaintext": False, "ca_file": str(authority.file)}
        return directory(server.settings(**{**fitting, **changes}))

    return make


@pytest.fixture(params=["StartTLS", "ldaps"])
def by(request):
    return request.param


def test_a_certificate_of_the_private_ca_is_trusted(secured, authority, by):
    asked = secured(authority.issue("good", *GOOD), by=by)
    (ada,) = asked.find("ada")
    assert asked.check(ada, "ada-secret") is Verdict.RIGHT


@pytest.mark.parametrize(
    ("names", "days", "because"),
    [
        (("IP:127.0.0.1",), -1, "expired"),
        (("DNS:other.example.org",), 30, "not valid for '127.0.0.1'"),
        (("IP:127.0.0.2",), 30, "not valid for '127.0.0.1'"),
    ],
    ids=["expired", "other host", "other address"],
)
def test_a_bad_certificate_is_refused_with_the_reason(secured, authority, by, names, days, because):
    asked = secured(authority.issue("bad", *names, days=days), by=by)
    with pytest.raises(DirectoryUnavailableError, match=rf"certificate of .* is not accepted: .*{because}"):
        asked.find("ada")


def test_a_certificate_of_another_ca_is_refused(secured, tmp_path, by):
    stranger = Authority(tmp_path / "stranger", "Another CA")
    asked = secured(stranger.issue("good", *GOOD), by=by)
    with pytest.raises(DirectoryUnavailableError, match=r"certificate of .* is not accepted"):
        asked.find("ada")


def test_without_a_ca_file_a_private_ca_is_not_trusted(secured, authority, by):
    asked = secured(authority.issue("good", *GOOD), by=by, ca_file="")
    with pytest.raises(DirectoryUnavailableError, match=r"certificate of .* is not accepted"):
        asked.find("ada")


def test_the_name_in_the_certificate_may_be_another_one_if_it_is_configured(secured, authority, by):
    certificate = authority.issue("named", "DNS:ldap.example.org")
    assert secured(certificate, by=by, server_name="ldap.example.org").find("ada")
    with pytest.raises(DirectoryUnavailableError, match=r"not valid for 'ldap2\.example\.org'"):
        secured(certificate, by=by, server_name="ldap2.example.org").find("ada")


def test_a_server_without_tls_gets_no_password(new_slapd, relay, directory, authority):
    server = new_slapd()
    before = relay(server.port)
    asked = directory(server.settings(servers=(before.url,), start_tls=True, ca_file=str(authority.file)))
    with pytest.raises(DirectoryUnavailableError, match="refuses StartTLS"):
        asked.find("ada")
    assert before.requests == 1


def test_plain_text_behind_start_tls_is_refused(company, relay, directory, authority):
    before = relay(company.port)
    agreed = b"0\x0c\x02\x01\x01x\x07\n\x01\x00\x04\x00\x04\x00"
    before.say(agreed + b"0\x0c\x02\x01\x02a\x07\n\x01\x00\x04\x00\x04\x00")
    asked = directory(company.settings(servers=(before.url,), start_tls=True, ca_file=str(authority.file)))
    with pytest.raises(DirectoryUnavailableError, match="plain text after StartTLS"):
        asked.find("ada")


@pytest.mark.parametrize(("version", "is_spoken"), [("1.1", False), ("1.2", True), ("1.3", True)])
def test_tls_older_than_1_2_is_not_spoken(new_slapd, authority, directory, version, is_spoken):
    certificate = authority.issue("good", *GOOD)
    server = new_slapd(certificate=certificate, before=[f"TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS{version}"])
    asked = directory(server.settings(servers=(server.tls_url,), ca_file=str(authority.file)))
    if is_spoken:
        assert asked.find("ada")
    else:
        with pytest.raises(DirectoryUnavailableError, match=r"TLS with .* fails"):
            asked.find("ada")


def test_a_directory_that_wants_tls_for_passwords_says_so(new_slapd, directory):
    server = new_slapd(before=["security simple_bind=128"])
    with pytest.raises(DirectoryUnavailableError, match="over TLS only"):
        directory(server.settings()).find("ada")
