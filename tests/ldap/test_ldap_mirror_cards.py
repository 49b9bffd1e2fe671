"""What a card of the mirrored book says of an entry."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared import cards, vcard
from radicale_shared.directory_settings import MIRROR_FIELDS, DirectorySettings, MirrorSettings
from radicale_shared.ldap import mapping
from radicale_shared.ldap.entries import Entry
from tests.conftest import examples

ADA = {
    "displayName": "Ada Lovelace",
    "cn": "Lovelace",
    "sn": "Lovelace",
    "givenName": "Ada",
    "o": "Analytical Engines, Ltd.",
    "ou": "Programmes; Notes",
    "title": "Countess",
    "mail": "ada@example.org",
    "telephoneNumber": ["+44 20 1815", "+44 20 1852"],
    "facsimileTelephoneNumber": "+44 20 99",
    "street": "12 St James's Square\r\nMarylebone",
    "l": "London",
    "st": "Greater London",
    "postalCode": "SW1Y",
    "co": "United Kingdom",
    "labeledURI": "https://example.org/~ada?a,b Her page",
    "mobile": "+44 7700",
    "homePhone": "+44 1",
}
JPEG = b"\xff\xd8\xff\xe0" + b"x" * 100


def entry(attributes=ADA, **more):
    """An entry of attributes whose values are text or octets, one or a list of them."""
    values = {}
    for name, value in {**attributes, **more}.items():
        listed = value if isinstance(value, list) else [value]
        values[name.lower()] = tuple(one if isinstance(one, bytes) else one.encode() for one in listed)
    return Entry("uid=ada,dc=example,dc=org", values)


def card_map(kind="openldap", **mirror):
    return mapping.card_map(DirectorySettings(name="main", kind=kind, mirror=MirrorSettings(**mirror)))


def made(one, key="1", kind="individual", **mirror):
    return mapping.card(one, key, kind, card_map(**mirror))


def lines(one, **options):
    data = made(one, **options).data
    assert cards.check(data).data == data
    return vcard.unfold(data).decode().split("\r\n")


def test_a_card_has_the_work_data_of_an_entry_and_nothing_private():
    uid = mapping.uid_of("main", "1")
    assert lines(entry()) == [
        "BEGIN:VCARD",
        "VERSION:3.0",
        f"UID:{uid}",
        "FN:Ada Lovelace",
        "N:Lovelace;Ada;;;",
        r"ORG:Analytical Engines\, Ltd.;Programmes\; Notes",
        "TITLE:Countess",
        "EMAIL;TYPE=INTERNET,WORK:ada@example.org",
        "TEL;TYPE=WORK,VOICE:+44 20 1815",
        "TEL;TYPE=WORK,VOICE:+44 20 1852",
        "TEL;TYPE=WORK,FAX:+44 20 99",
        r"ADR;TYPE=WORK:;;12 St James's Square\nMarylebone;London;Greater London;SW1Y;United Kingdom",
        "URL:https://example.org/~ada?a,b",
        "END:VCARD",
    ]


def test_active_directory_has_other_names_for_it():
    attributes = {"name": "Ada", "company": "Engines", "department": "Notes", "o": "no", "c": "GB", "mobile": "1"}
    data = mapping.card(entry(attributes), "1", "individual", card_map("ad")).data
    assert data.split(b"\r\n")[3:-2] == [b"FN:Ada", b"N:Ada;;;;", b"ORG:Engines;Notes", b"ADR;TYPE=WORK:;;;;;;GB"]


def test_the_own_map_replaces_the_defaults_field_by_field():
    own = {"TEL-cell": ("mobile",), "TITLE": (), "FN": ("cn",)}
    said = lines(entry(), map=own)
    assert "TEL;TYPE=CELL,VOICE:+44 7700" in said
    assert "FN:Lovelace" in said
    assert not [one for one in said if one.startswith("TITLE")]
    assert "EMAIL;TYPE=INTERNET,WORK:ada@example.org" in said


@pytest.mark.parametrize("field", MIRROR_FIELDS)
def test_every_field_that_may_be_mapped_reaches_the_card(field):
    value = {"EMAIL": "x@example.org", "URL": "https://x.example.org", "PHOTO": JPEG}.get(field, "Something")
    told = made(entry(someAttribute=value), photos=True, map={field: ("someAttribute",)}).data
    if field == "PHOTO":
        value = base64.b64encode(value).decode()
    assert value in vcard.unfold(told).decode()


def test_a_room_and_a_mailbox_have_their_kind_in_both_versions():
    room = made(entry({"cn": "Room 1"}), kind="location").data
    box = made(entry({"cn": "Support", "mail": "help@example.org"}), kind="org").data
    assert vcard.convert(vcard.Card.parse(room), "4.0").text("KIND") == "location"
    assert vcard.convert(vcard.Card.parse(box), "4.0").text("KIND") == "org"
    assert b"X-ABShowAs:COMPANY\r\nORG:Support\r\n" in box


def test_an_entry_without_a_name_is_called_by_what_else_it_has_or_is_no_card():
    assert "FN:Ada Lovelace" in lines(entry({"sn": "Lovelace", "givenName": "Ada"}))
    assert "FN:ada@example.org" in lines(entry({"mail": "ada@example.org"}))
    assert made(entry({"telephoneNumber": "1"})) == mapping.Made(None, frozenset({mapping.NO_NAME}))


@pytest.mark.parametrize(
    ("attribute", "value", "because"),
    [
        ("title", b"\xff\xfe\x00", mapping.NO_TEXT),
        ("title", "x" * 1_000_000, mapping.TOO_LONG),
        ("mail", "nobody", mapping.NO_EMAIL),
        ("mail", "a b@example.org", mapping.NO_EMAIL),
        ("labeledURI", "javascript:alert(1)", mapping.NO_URL),
        ("telephoneNumber", [str(number) for number in range(1000)], mapping.TOO_MANY),
        ("jpegPhoto", b"GIF89a", mapping.NO_PHOTO),
        ("jpegPhoto", JPEG + b"x" * 8192, mapping.NO_PHOTO),
    ],
)
def test_a_value_that_is_none_is_left_out_and_told(attribute, value, because):
    without = {name: one for name, one in ADA.items() if name != attribute}
    got = made(entry(without, **{attribute: value}), photos=True)
    assert got.left_out == {because}
    if attribute != "telephoneNumber":
        assert got.data == made(entry(without), photos=True).data


def test_control_characters_and_line_breaks_can_not_make_lines():
    evil = "Ada\r\nNOTE:evil\x00\x07\u2028END:VCARD\ufffe"
    said = lines(entry(displayName=evil, street=evil))
    assert "FN:Ada NOTE:evil END:VCARD" in said
    assert [one.partition(":")[0] for one in said].count("END") == 1
    assert not [one for one in said if one.startswith("NOTE")]


def test_photos_are_mirrored_where_somebody_says_so():
    assert b"PHOTO" not in made(entry(jpegPhoto=JPEG)).data
    line = next(one for one in lines(entry(jpegPhoto=JPEG), photos=True) if one.startswith("PHOTO"))
    assert base64.b64decode(line.removeprefix("PHOTO;ENCODING=b;TYPE=JPEG:")) == JPEG


def test_uid_and_name_are_of_directory_and_key_alone():
    assert mapping.uid_of("main", "1") == mapping.uid_of("main", "1")
    assert len({mapping.uid_of(*pair) for pair in [("main", "1"), ("main", "2"), ("other", "1")]}) == 3
    assert re.fullmatch(r"[0-9a-f-]{36}\.vcf", mapping.href_of("main", "cn=x/y"))


_ATTRIBUTES = [*ADA, "jpegPhoto", "company", "unknown"]
_VALUES = st.one_of(
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=60)
)
_ENTRIES = st.dictionaries(st.sampled_from(_ATTRIBUTES), st.lists(_VALUES, max_size=3), max_size=len(_ATTRIBUTES))
_KINDS = st.sampled_from(["individual", "org", "location"])


@given(_ENTRIES, _KINDS)
@examples(200)
def test_whatever_an_entry_holds_its_card_may_be_stored_and_is_always_the_same(attributes, kind):
    one = entry(attributes)
    got = made(one, kind=kind, photos=True)
    assert got == made(entry(attributes), kind=kind, photos=True)
    if got.data is None:
        assert got.left_out >= {mapping.NO_NAME}
    else:
        checked = cards.check(got.data)
        assert checked.version == "3.0"
        assert vcard.convert(vcard.Card.parse(got.data), "4.0").text("FN") == vcard.Card.parse(got.data).text("FN")


_TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=100)


@given(st.fixed_dictionaries(dict.fromkeys(("displayName", "sn", "givenName", "o", "ou", "title", "l"), _TEXTS)))
@examples(200)
def test_a_card_says_what_the_entry_says(attributes):
    card = vcard.Card.parse(made(entry(attributes)).data)

    def parts(name):
        return [vcard.unescape(one) for one in vcard.components(card.first(name).value)]

    assert card.text("FN") == attributes["displayName"]
    assert parts("N") == [attributes["sn"], attributes["givenName"], "", "", ""]
    assert parts("ORG") == [attributes["o"], attributes["ou"]]
    assert card.text("TITLE") == attributes["title"]
    assert parts("ADR") == ["", "", "", attributes["l"], "", "", ""]


_FEW = st.dictionaries(st.sampled_from(["cn", "mail", "unknown"]), st.lists(st.sampled_from("abc"), max_size=2))


@given(_FEW, _FEW)
@examples(200)
def test_a_digest_changes_with_every_mapped_value_and_with_nothing_else(one, other):
    mapped = card_map()
    told = [
        {name: sorted(values) for name, values in each.items() if values and name != "unknown"} for each in (one, other)
    ]
    digests = [mapping.digest(entry(each), "individual", mapped) for each in (one, other)]
    assert (digests[0] == digests[1]) == (told[0] == told[1])
    assert re.fullmatch("[0-9a-f]{30}", digests[0])


def test_the_digest_tells_another_map_and_kind_and_no_other_order_of_values():
    one = entry(mail=["a@example.org", "b@example.org"])
    other = entry(mail=["b@example.org", "a@example.org"])
    plain = card_map()
    assert mapping.digest(one, "individual", plain) == mapping.digest(other, "individual", plain)
    different = {
        mapping.digest(one, kind, mapped)
        for kind in ("individual", "org")
        for mapped in (plain, card_map(map={"TITLE": ("description",)}), card_map(photos=True))
    }
    assert len(different) == 6
