"""What a single request may ask for."""

from __future__ import annotations

import io

import pytest

from radicale_shared.dav.application import Application
from radicale_shared.settings import load_configuration


def _propfind(names: list[str]) -> str:
    props = "".join(f'<X:{name} xmlns:X="urn:x"/>' for name in names)
    return f'<propfind xmlns="DAV:"><prop>{props}</prop></propfind>'


def test_more_properties_than_any_client_asks_for_are_refused(ada):
    assert ada.request("PROPFIND", "/ada/", _propfind([f"p{number}" for number in range(200)])).status == 207
    assert ada.request("PROPFIND", "/ada/", _propfind([f"p{number}" for number in range(201)])).status == 400


def test_a_property_with_an_endless_name_is_refused(ada):
    assert ada.request("PROPFIND", "/ada/", _propfind(["p" * 1000])).status == 400


@pytest.mark.parametrize(
    "content", ["", "<foo/>", "<set/>", "<set><prop/></set>", "<foo><prop><displayname/></prop></foo>"]
)
def test_a_proppatch_that_sets_and_removes_nothing_is_refused(ada, content):
    answer = ada.request("PROPPATCH", "/ada/contacts/", f'<propertyupdate xmlns="DAV:">{content}</propertyupdate>')
    assert answer.status == 400
    assert ada.propfind("/ada/contacts/", "displayname").text("/ada/contacts/", "{DAV:}displayname") == "Contacts"


def test_a_body_that_is_too_long_is_read_to_its_end_before_it_is_refused(ada):
    # Some proxies take an answer before the end for a broken connection.
    body = io.BytesIO(b"x" * 20_000_000)
    ada.environ = {"wsgi.input": body, "CONTENT_LENGTH": "20000000"}
    answer = ada.request("PUT", "/ada/contacts/big.vcf")
    assert (answer.status, answer.conditions) == (403, ["max-resource-size"])
    assert body.read() == b""


def test_well_known_lies_at_the_root_of_the_host_whatever_the_prefix_is(ada, database_url, tmp_path):
    path = tmp_path / "radicale-shared.ini"
    path.write_text(path.read_text() + "[server]\nscript_name = /contacts\n")
    ada.application = Application(load_configuration(str(path)))
    answer = ada.propfind("/.well-known/carddav", "current-user-principal")
    assert answer.hrefs == ["/.well-known/carddav"]
    principal = answer.prop("/.well-known/carddav", "{DAV:}current-user-principal")
    assert principal is not None
    assert principal[0].text == "/contacts/ada/"
