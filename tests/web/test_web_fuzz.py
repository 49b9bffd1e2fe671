"""Whatever is asked: an answer for people, never a crash, and not a word of what the asker may not read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import books
from radicale_shared.web.application import ROUTES
from tests.conftest import BY, card, examples

CANARY = "canary-7f3a"
NAMES = st.sampled_from(["sales~leads", "contacts", "ada~contacts", "carla~contacts", "", "..", "x", "leads"])
PRINCIPALS = st.sampled_from(
    ["everyone", "user:ada", "user:carla", "user:nobody", "group:sales", "domain:example.org", "domain:", "user:", ":"]
)
odd = st.text(max_size=12)
words = st.one_of(
    odd, NAMES, PRINCIPALS, st.sampled_from(["viewer", "owner", "note", "tel:home", "2099-01-01T00:00:00Z"])
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)
KEYS = [
    *("acts", "device", "person", "since", "as_of", "card", "properties", "dry_run"),
    "role",
    "until",
    "hide",
    "owner",
    "slug",
    "name",
    "label",
    "books",
    "read_only",
    "phones_only",
    "merged",
]
objects = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
likely = st.fixed_dictionaries(
    {}, optional={"role": st.sampled_from(["viewer", "manager"]), "hide": st.lists(words, max_size=3), "until": words}
)
bodies = st.one_of(
    st.none(), st.binary(max_size=30), st.one_of(likely, objects, values).map(lambda value: json.dumps(value).encode())
)


@st.composite
def paths(draw):
    template = draw(st.sampled_from(sorted({path for _, path in ROUTES})))
    for part, names in (("<name>", NAMES), ("<rest:principal>", PRINCIPALS), ("<rest:label>", odd)):
        template = template.replace(part, draw(st.one_of(names, odd)))
    return b"/api/" + template.encode("utf-8", "surrogatepass") + draw(st.sampled_from([b"", b"/", b"/x", b"\xff"]))


@pytest.fixture
def hidden(organisation, db):
    """A book that Carla may not read, with a canary in all that can be told of it."""
    organisation.put("ada", "sales~leads", f"{CANARY}.vcf", card(CANARY, CANARY))
    with db.write() as session:
        books.set_properties(session, books.find(session, "sales/leads"), by=BY, name=CANARY, description=CANARY)


@examples(100)
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "get", "\u00fc"]),
    path=paths(),
    body=bodies,
    arguments=st.dictionaries(st.sampled_from(["user", "card", "act", "since", "limit", "x"]), words, max_size=2),
    is_json=st.booleans(),
)
def test_no_request_breaks_the_api_or_tells_what_may_not_be_known(
    hidden, carla, method, path, body, arguments, is_json
):
    kind = "application/json" if is_json else "text/plain"

    answer = carla.ask(method, path, body=body, arguments=arguments, Content_Type=kind)

    assert answer.status < 500
    assert CANARY.encode() not in answer.body
    assert b"radicale-shared " not in answer.body
    if answer.status >= 400 and method != "HEAD":
        assert answer.error
