"""What phones get of the demo organisation, byte for byte, by the way that they ask: see ``stored``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radicale_shared.phones.asking import Setup
from radicale_shared.phones.formats import FORMATS
from tests.phones import made
from tests.phones.conftest import Phone
from tests.phones.elements import DOCUMENTS, checked
from tests.phones.stored import assert_stored

# Beside each answer without parameters: what is asked for while somebody types, and the second page.
ASKED = {
    "yealink": [("yealink.xml", {"q": "bj"}), ("yealink.xml", {"q": "63"}), ("yealink.xml", {"q": "nobody"})],
    "cisco": [("cisco/list", {"q": "bj"}), ("cisco/list", {"q": "nobody"}), ("cisco/list", {"offset": "20"})],
    "snom": [("snom/list", {"term": "bj"}), ("snom/list", {"term": "nobody"}), ("snom/list", {"offset": "20"})],
    "grandstream": [],
    "fanvil": [("fanvil/list", {"q": "bj"}), ("fanvil/list", {"q": "nobody"}), ("fanvil/list", {"offset": "16"})],
    "gigaset": [
        ("gigaset", {"command": "get_list", "type": "pb", **sought})
        for sought in (
            {"first": "1", "count": "20"},
            {"first": "21", "count": "20", "reqid": "9B0E3"},
            {"set_first": "m*", "count": "5"},
            {"ln": "bj*", "fn": "*"},
            {"ln": "nobody*"},
            {"hm": "00493023125402", "reqsrc": "auto", "limit": "2048"},
            {"hm": "0305550199", "reqsrc": "auto", "limit": "2048"},
        )
    ],
    "mitel": [("mitel/list", {"q": "bj"}), ("mitel/list", {"q": "nobody"}), ("mitel/list", {"offset": "20"})],
    "panasonic": [("panasonic.xml", {"q": "bj"}), ("panasonic.xml", {"q": "nobody"}), ("panasonic.xml", {"page": "2"})],
    "htek": [("htek.xml", {"q": "bj"}), ("htek.xml", {"q": "nobody"})],
    "thomson": [("thomson.xml", {"q": "bj"}), ("thomson.xml", {"q": "nobody"}), ("thomson.xml", {"offset": "20"})],
}


def file_name(path: str, parameters: dict[str, str]) -> str:
    """The stored answer's: the path, and what is asked for."""
    stem = path.removesuffix(".xml").replace("/", "-").replace("*", "mac")
    return "-".join([stem, *(f"{name}-{value.rstrip('*')}" for name, value in parameters.items())]) + ".xml"


# One organisation for all makes: to make it takes longer than all of their answers.
def test_a_phone_gets_the_same_bytes_again(phone_of: Callable[..., Phone]) -> None:
    for make, format_ in FORMATS.items():
        phone = phone_of(make)
        stored = set()
        for path, parameters in [*((path, {}) for path in format_.answers), *ASKED.get(make, [])]:
            body = phone.golden(path.replace("*", "0004f2000001"), **parameters)

            checked(body, *DOCUMENTS[make][path])
            assert_stored(file_name(path, parameters), body)
            stored.add(file_name(path, parameters))
        assert len(stored) == len(format_.answers) + len(ASKED.get(make, [])), make


def test_a_german_phone_that_dials_at_home_gets_its_own(phone_of: Callable[..., Phone]) -> None:
    for make, format_ in FORMATS.items():
        path, parameters = format_.preview
        phone = phone_of(make, language="de", dial="national", region="DE", name_order="given", outside_prefix="0")

        assert_stored(file_name(path, dict(parameters)).replace(".xml", "-de.xml"), phone.golden(path, **parameters))


@pytest.mark.parametrize("make", FORMATS)
@pytest.mark.parametrize("by_basic", [False, True])
def test_the_lines_for_a_phone_are_the_same_again(make: str, by_basic: bool) -> None:
    told: Setup = made.for_setup(make=make, by_basic=by_basic)

    assert_stored(f"{make}-setup{'-basic' if by_basic else ''}.txt", FORMATS[make].setup(told).encode())


@pytest.mark.parametrize("make", FORMATS)
def test_the_documentation_has_each_answer_and_the_very_lines(make: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "phone-makes.md").read_text()
    url = "https://contacts.example.org/p/PASSWORD/"

    assert [path for path in FORMATS[make].answers if f"`{path}`" not in text] == []
    assert f"```\n{FORMATS[make].setup(Setup(url, '', '', made.profile(make)))}```\n" in text


def test_a_snom_phone_that_posts_gets_its_directory(phone_of: Callable[..., Phone]) -> None:
    phone = phone_of("snom")

    told = phone.request("POST", "snom.xml", body=b"", CONTENT_TYPE="application/x-www-form-urlencoded")
    assert told.status == 200
    assert told.body == phone.get("snom.xml").body
