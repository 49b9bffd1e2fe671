"""Cards of 3.0 as 4.0 and back: every rule by example, and that nothing is lost by property."""

from __future__ import annotations

from collections import Counter

import pytest
import vobject
from hypothesis import given
from hypothesis import strategies as st

from radicale_shared.vcard import Card, build_line, check, convert, merge
from radicale_shared.vcard.meaning import UNSEEN, units
from tests.vcard.examples import OTHER, body, card, cards, stored_cards

PICTURE = "/9j/4AAQSkZJRgABAQ=="


def there(version: str, *lines: str) -> list[str]:
    return body(convert(card(version, *lines), OTHER[version]))


def round_trip(one: Card) -> Card:
    return convert(convert(one, OTHER[one.version]), one.version)


def says(one: Card) -> Counter:
    return Counter(unit.said for unit in units(one) if unit.name not in UNSEEN)


def parts(one: Card) -> Counter:
    """What the card's lines say, each by itself."""
    return Counter(part for unit in units(one) if unit.name not in UNSEEN for part in unit.said)


def in_order(one: Card) -> dict[str, list]:
    """What each property says, in the card's order. A LABEL stands behind its ADR, whatever the order was."""
    found: dict[str, list] = {}
    for unit in units(one):
        if unit.name not in {*UNSEEN, "LABEL"}:
            found.setdefault(unit.name, []).append(unit.said)
    return found


def faults(one: Card) -> list[str]:
    """What of the other version is left in a card."""
    found = []
    for line in one.lines:
        params = {key: values for key, values in line.params if not key.startswith("X-")}
        types = [value.lower() for value in line.param("TYPE")]
        if one.version == "4.0":
            if "pref" in types or params.keys() & {"ENCODING", "CHARSET", "CONTEXT"}:
                found.append(repr(line.raw))
            if (
                line.name in {"BDAY", "ANNIVERSARY"}
                and "text" not in params.get("VALUE", ())
                and "-" in line.value[4:8]
            ):
                found.append(repr(line.raw))
            if line.name in {"LABEL", "CLASS", "NAME", "MAILER", "AGENT", "SORT-STRING", "PROFILE"}:
                found.append(repr(line.raw))
        else:
            if params.keys() & {"PREF", "ALTID", "PID", "LABEL", "MEDIATYPE", "SORT-AS", "CALSCALE", "CHARSET"}:
                found.append(repr(line.raw))
            if line.name in {"PHOTO", "LOGO", "SOUND", "KEY"} and line.value.startswith("data:"):
                found.append(repr(line.raw))
            if line.name in {"GENDER", "LANG", "KIND", "MEMBER", "RELATED", "ANNIVERSARY", "XML", "CLIENTPIDMAP"}:
                found.append(repr(line.raw))
    names = Counter(line.name for line in one.lines)
    if one.version == "3.0" and (names["FN"], names["N"]) != (1, 1):
        found.append(f"FN, N: {names['FN']}, {names['N']}")
    if one.version == "4.0" and (not names["FN"] or any(names[name] > 1 for name in ("BDAY", "KIND", "ANNIVERSARY"))):
        found.append(repr(names))
    return found


# Each rule: a 3.0 line or lines, and what they are in 4.0; both ways, exactly.
BOTH_WAYS = {
    "preference": ("TEL;TYPE=CELL;TYPE=PREF:1", "TEL;TYPE=CELL;PREF=1:1"),
    "photo": (f"PHOTO;ENCODING=b;TYPE=JPEG:{PICTURE}", f"PHOTO:data:image/jpeg;base64,{PICTURE}"),
    "sound": ("SOUND;ENCODING=b;TYPE=OGG:AAAA", "SOUND:data:audio/ogg;base64,AAAA"),
    "key": ("KEY;ENCODING=b;TYPE=PGP:AAAA", "KEY:data:application/pgp-keys;base64,AAAA"),
    "logo's address": ("LOGO;VALUE=uri:https://x.example/a,b.png", "LOGO:https://x.example/a,b.png"),
    "birthday": ("BDAY:1996-04-15", "BDAY:19960415"),
    "birthday with time": ("BDAY;VALUE=date-time:1996-04-15T10:22:00-05:00", "BDAY:19960415T102200-0500"),
    "birthday without year": ("BDAY;X-APPLE-OMIT-YEAR=1604:1604-03-20", "BDAY:--0320"),
    "birthday in words": ("BDAY;VALUE=text:spring 1815", "BDAY;VALUE=text:spring 1815"),
    "revision": ("REV:2024-02-11T09:30:00Z", "REV:20240211T093000Z"),
    "anniversary": ("item1.X-ABDATE:2014-08-12\nitem1.X-ABLabel:_$!<Anniversary>!$_", "ANNIVERSARY:20140812"),
    "group": ("X-ADDRESSBOOKSERVER-KIND:group", "KIND:group"),
    "company": ("X-ABShowAs:COMPANY", "KIND:org"),
    "individual": ("X-VCARD4-KIND:individual", "KIND:individual"),
    "member": ("X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:A1", "MEMBER:urn:uuid:A1"),
    "spouse": (
        "item1.X-ABRELATEDNAMES:William\nitem1.X-ABLabel:_$!<Spouse>!$_",
        "RELATED;VALUE=text;TYPE=spouse:William",
    ),
    "brother": (
        "item1.X-ABRELATEDNAMES:Ralph\nitem1.X-ABLabel:_$!<Brother>!$_",
        "RELATED;VALUE=text;TYPE=x-brother:Ralph",
    ),
    "somebody with a label of their own": (
        "item1.X-ABRELATEDNAMES:Charles\nitem1.X-ABLabel:Machine builder",
        "item1.RELATED;VALUE=text:Charles\nitem1.X-ABLabel:Machine builder",
    ),
    "related card": ("X-VCARD4-RELATED;TYPE=friend:urn:uuid:B2", "RELATED;TYPE=friend:urn:uuid:B2"),
    "gender": ("X-VCARD4-GENDER:F;she", "GENDER:F;she"),
    "languages": ("X-VCARD4-LANG;X-VCARD4-PREF=2:en", "LANG;PREF=2:en"),
    "class": ("CLASS:PRIVATE", "X-VCARD3-CLASS:PRIVATE"),
    "name, mailer": ("NAME:x\nMAILER:y", "X-VCARD3-NAME:x\nX-VCARD3-MAILER:y"),
    "sort string": ("SORT-STRING:Lovelace", "X-VCARD3-SORT-STRING:Lovelace"),
    "address types": ("ADR;TYPE=home;X-A=1;TYPE=parcel:;;a;b;;;", "ADR;TYPE=home;X-A=1;X-VCARD3-TYPE=parcel:;;a;b;;;"),
    "address label": ("ADR;TYPE=home:;;a;b;;;\nLABEL;TYPE=home:a\\nb\\, c", 'ADR;TYPE=home;LABEL="a^nb, c":;;a;b;;;'),
    "label without address": ("LABEL;TYPE=work:a", "X-VCARD3-LABEL;TYPE=work:a"),
    "place": ("GEO:37.386013;-122.082932", "GEO:geo:37.386013,-122.082932"),
    "offset": ("TZ:-05:00", "TZ;VALUE=utc-offset:-0500"),
    "zone": ("TZ;VALUE=text:Europe/Berlin", "TZ:Europe/Berlin"),
    "agent": ("AGENT:BEGIN:VCARD\\nFN:x\\nEND:VCARD", "X-VCARD3-AGENT:BEGIN:VCARD\\nFN:x\\nEND:VCARD"),
    "4.0's parameters": ("NOTE;X-VCARD4-ALTID=1;X-VCARD4-PID=1.1;LANGUAGE=de:x", "NOTE;ALTID=1;PID=1.1;LANGUAGE=de:x"),
    "sort as": ('ORG;X-VCARD4-SORT-AS="a,b":x', 'ORG;SORT-AS="a,b":x'),
    "binary elsewhere": ("X-PIC;ENCODING=b:AAAA", "X-PIC;X-VCARD3-ENCODING=b:AAAA"),
    "chat": ("IMPP;TYPE=PREF:xmpp:a@x.example\nX-AIM:ada", "IMPP;PREF=1:xmpp:a@x.example\nX-AIM:ada"),
}


@pytest.mark.parametrize("rule", BOTH_WAYS)
def test_each_rule_holds_both_ways(rule):
    old, new = (lines.split("\n") for lines in BOTH_WAYS[rule])

    assert there("3.0", *old) == new
    assert there("4.0", *new) == old


ONE_WAY = {
    "address label with a line break of RFC 6350, 6.3.1": (
        "4.0",
        'ADR;LABEL="Hauptstr. 1\\n12345 Berlin":;;a;;;;',
        "ADR:;;a;;;;\nLABEL:Hauptstr. 1\\n12345 Berlin",
    ),
    "quoted types": ("4.0", 'TEL;TYPE="voice,home":1', "TEL;TYPE=voice,home:1"),
    "INTERNET": ("3.0", "EMAIL;TYPE=INTERNET;TYPE=HOME:a@x.example", "EMAIL;TYPE=HOME:a@x.example"),
    "parameters without names": ("3.0", "TEL;CELL;PREF:1", "TEL;TYPE=CELL;PREF=1:1"),
    "charset": ("3.0", "NOTE;CHARSET=UTF-8:ä", "NOTE:ä"),
    "quoted-printable": ("3.0", "NOTE;ENCODING=QUOTED-PRINTABLE:=C3=A4=0D=0Ab=0Cc", "NOTE:ä\\nbc"),
    "escaped address of a page": ("3.0", "URL:http\\://x.example/a\\,b", "URL:http://x.example/a,b"),
    "Apple's bare BASE64": (
        "3.0",
        f"PHOTO;BASE64:{PICTURE}",
        f'PHOTO;X-VCARD3-WAS="PHOTO;TYPE=BASE64":data:image/jpeg;base64,{PICTURE}',
    ),
    "unknown media type": (
        "4.0",
        "PHOTO:data:image/svg+xml;charset=utf-8;base64,AAAA",
        'PHOTO;ENCODING=b;TYPE=SVG+XML;X-VCARD4-DATA="data:image/svg+xml;charset=utf-8;base64":AAAA',
    ),
    "number with extension": (
        "4.0",
        "TEL;VALUE=uri;TYPE=work:tel:+1-418-656-9254;ext=102",
        'TEL;TYPE=work;X-VCARD4-WAS="TEL;VALUE=uri;TYPE=work";X-VCARD4-VALUE="tel:+1-418-656-9254;ext=102"'
        ":+1-418-656-9254 ext. 102",
    ),
    "year and month": ("4.0", "BDAY:1985-04", "BDAY;VALUE=text;X-VCARD4-WAS=BDAY:1985-04"),
    "day in words without saying so": ("3.0", "BDAY:15. April", "BDAY;VALUE=text;X-VCARD3-WAS=BDAY:15. April"),
    "hour and minute": (
        "4.0",
        "BDAY:20090808T1430-0500",
        "BDAY;VALUE=date-time;X-VCARD4-VALUE=20090808T1430-0500:2009-08-08T14:30:00-05:00",
    ),
    "X-ANNIVERSARY": (
        "3.0",
        "X-ANNIVERSARY:2014-08-12",
        "ANNIVERSARY;X-VCARD3-WAS=X-ANNIVERSARY:20140812",
    ),
    "another X-ABDATE": (
        "3.0",
        "item1.X-ABDATE:2014-08-12\nitem1.X-ABLabel:Moved",
        "item1.X-ABDATE:2014-08-12\nitem1.X-ABLabel:Moved",
    ),
    "a second ANNIVERSARY": (
        "3.0",
        "X-ANNIVERSARY:2014-08-12\nitem1.X-ABDATE:2015-01-01\nitem1.X-ABLabel:_$!<Anniversary>!$_",
        "ANNIVERSARY;X-VCARD3-WAS=X-ANNIVERSARY:20140812\n"
        "item1.X-VCARD3-X-ABDATE:2015-01-01\nitem1.X-ABLabel:_$!<Anniversary>!$_",
    ),
    "a group shown as a company": (
        "3.0",
        "X-ABShowAs:COMPANY\nX-ADDRESSBOOKSERVER-KIND:group",
        "X-VCARD3-X-ABSHOWAS:COMPANY\nKIND:group",
    ),
    "the preferred of two alternatives": (
        "4.0",
        "TITLE;ALTID=1;LANGUAGE=fr:Patron\nTITLE;ALTID=1;PREF=1;LANGUAGE=en:Boss",
        "X-VCARD4-TITLE;X-VCARD4-ALTID=1;LANGUAGE=fr:Patron\nTITLE;X-VCARD4-ALTID=1;TYPE=PREF;LANGUAGE=en:Boss",
    ),
    "equal addresses": (
        "4.0",
        "ADR;LABEL=a:;;1;;;;\nADR;LABEL=b:;;2;;;;",
        "ADR;X-VCARD4-LABEL=a:;;1;;;;\nADR;X-VCARD4-LABEL=b:;;2;;;;",
    ),
    "phonetic names": ("3.0", "X-PHONETIC-FIRST-NAME:Aida", "X-PHONETIC-FIRST-NAME:Aida"),
    "a relation among other lines of a group": (
        "4.0",
        "a.RELATED;VALUE=text;TYPE=friend:x\na.NOTE:y\na.TITLE:z",
        "a.X-VCARD4-RELATED;VALUE=text;TYPE=friend:x\na.NOTE:y\na.TITLE:z",
    ),
}


@pytest.mark.parametrize("rule", ONE_WAY)
def test_each_rule_of_one_direction_says_the_same_after_the_way_back(rule):
    version, lines, expected = ONE_WAY[rule]
    one = card(version, *lines.split("\n"))

    assert body(convert(one, OTHER[version])) == expected.split("\n")
    if rule not in {"quoted-printable"}:  # which hid a control character
        assert says(round_trip(one)) == says(one)


def test_a_card_of_the_version_is_given_back_as_it_is():
    for version in OTHER:
        one = card(version)
        assert convert(one, version) is one


@pytest.mark.parametrize("version", ["2.1", "", "5.0"])
def test_other_versions_are_refused(version):
    with pytest.raises(ValueError, match="conversion"):
        convert(card("3.0"), version)


@pytest.mark.parametrize("version", OTHER)
@pytest.mark.parametrize("eol", [b"\r\n", b"\n", b"\r"])
def test_lines_that_need_no_change_keep_their_bytes_and_new_ones_the_line_ends(version, eol):
    same = [b"fn:Ada Lovelace", b"N:Lovelace;Ada", b"NOTE:x" + eol + b"\ty", b"not a line", b"", b"X-a/B:c\\d"]
    data = [b"BEGIN:VCARD", b"VERSION:" + version.encode(), *same, b"TEL;TYPE=a;PREF=1;TYPE=PREF:1", b"UID:u"]

    converted = convert(check(eol.join([*data, b"END:VCARD", b""])), OTHER[version]).serialise()

    for line in same:
        assert eol + line + eol in converted
    assert Card.parse(converted).eol == eol
    assert b"\n" not in converted.replace(eol, b"")


def test_a_missing_name_is_made_and_goes_again_unless_somebody_changed_it():
    stored = card("4.0", "FN:Night shift", name=False)

    shown = convert(stored, "3.0")

    assert shown.text("N") == "Night shift;;;;"
    assert convert(shown, "4.0").serialise() == stored.serialise()
    renamed = shown.replace_value(shown.first("FN"), "Day shift")
    assert convert(renamed, "4.0").first("N") is None
    named = shown.replace_value(shown.first("N"), "Shift;Night;;;")
    assert convert(named, "4.0").first("N").raw == b"N:Shift;Night;;;\r\n"


def test_a_card_of_3_without_names_gets_an_fn_in_4_and_loses_it_again():
    stored = card("3.0", "EMAIL:ada@x.example", name=False)

    shown = convert(stored, "4.0")

    assert shown.text("FN") == "ada@x.example"
    assert shown.first("N") is None
    assert convert(shown, "3.0").serialise() == stored.serialise()


def test_an_edited_line_is_converted_as_it_stands():
    shown = convert(card("4.0", "TEL;VALUE=uri;TYPE=work;PREF=3:tel:+1-418-656-9254;ext=102"), "3.0")

    sent = shown.replace_value(shown.first("TEL"), "+49 30 1")

    assert body(convert(sent, "4.0")) == ["TEL;TYPE=work;PREF=3:+49 30 1"]


ESCAPED_IN_4 = {
    f"PHOTO:data:image/jpeg;base64\\,{PICTURE}": f"PHOTO;ENCODING=b;TYPE=JPEG:{PICTURE}",
    f"PHOTO:data:image/jpeg\\;base64\\,{PICTURE}": f"PHOTO;ENCODING=b;TYPE=JPEG:{PICTURE}",
    "LOGO:https\\://x.example/a\\,b.png": "LOGO;VALUE=uri:https://x.example/a,b.png",
    "URL:https\\://x.example/a\\,b\\;c": "URL:https://x.example/a,b;c",
    "GEO:geo:37.386013\\,-122.082932": "GEO:37.386013;-122.082932",
    "MEMBER:urn\\:uuid:A1": "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:A1",
    "IMPP:xmpp:a@x.example\\;b": "IMPP:xmpp:a@x.example;b",
}


@pytest.mark.parametrize("line", ESCAPED_IN_4)
def test_a_uri_that_a_program_escaped_in_4_is_right_in_3_and_says_the_same_after_the_way_back(line):
    one = card("4.0", line)

    assert body(convert(one, "3.0")) == [ESCAPED_IN_4[line]]
    assert says(round_trip(one)) == says(one)
    assert b"\\" not in round_trip(one).serialise()


def test_a_number_that_a_program_escaped_in_4_is_right_in_3():
    one = card("4.0", "TEL;VALUE=uri:tel:+49-30-1\\;ext=5")

    assert convert(one, "3.0").text("TEL") == "+49-30-1 ext. 5"
    assert says(round_trip(one)) == says(one)


@pytest.mark.parametrize(
    "line", ["PHOTO;VALUE=uri:https\\://x/a\\,b", "URL:http\\://x/a\\,b\\;c", "TEL;VALUE=uri:tel:+49\\;ext=5"]
)
def test_no_uri_of_4_is_escaped(line):
    value = Card.parse(convert(card("3.0", line), "4.0").serialise()).lines[-1].value
    assert "\\" not in value


def test_the_picture_is_moved_as_it_is_written():
    picture = ("QUJD" * 20 + "\r\n ") * 50 + "QQ=="
    one = card("3.0", f"PHOTO;ENCODING=b;TYPE=PNG:{picture}")

    assert convert(one, "4.0").text("PHOTO") == "data:image/png;base64," + picture.replace("\r\n ", "")
    assert says(round_trip(one)) == says(one)


@pytest.mark.parametrize(
    "line",
    [
        "X-VCARD4-UID:second",
        "X-VCARD4-VERSION:9",
        "X-VCARD4-BEGIN:VCARD",
        "X-VCARD4-END:VCARD",
        "X-VCARD4-:x",
        "X-VCARD3-UID:second",
        "X-VCARD3-END:VCARD",
        "X-VCARD3-AGENT:BEGIN:VCARD",
        "X-VCARD4-AGENT:BEGIN:VCARD",
        'NOTE;X-VCARD4-WAS="UID":x',
        'X-A;X-VCARD4-WAS="END":VCARD',
        "X-VCARD3-AGENT;X-VCARD3-WAS=AGENT:BEGIN:VCARD",
        'NOTE;TYPE=pref;X-A=";QUOTED-PRINTABLE":x=',
        'N;X-VCARD4-MADE=";QUOTED-PRINTABLE;":x=',
        'TEL;TYPE=pref;"x:y":1',
        "AGENT;TYPE=pref:\r\nBEGIN:VCARD\r\nUID:inner\r\nEND:VCARD",
        "TEL;TYPE=\x7f,pref;\x7f=a:\x7f",
        "PHOTO:data:,%00%FF",
        "TEL;VALUE=uri:tel:%0A%00%FF;ext=%0D",
        "BDAY:\u0661\u0669\u0669\u0666-04-15",
        "GEO:geo:1,2,3",
        "KEY:",
        "FN;TYPE=pref:",
        "NOTE;ENCODING=QUOTED-PRINTABLE:=00=FF=EF=BF=BE=",
        "PHOTO;TYPE=a/b;ENCODING=b:AA",
        "LABEL;TYPE=:x",
        "ADR;LABEL=;PREF=x:",
        "RELATED;VALUE=text;TYPE=friend,spouse;PREF=1:x",
        "TZ;VALUE=utc-offset:x",
        "REV:20240101",
        "MEMBER:mailto:a@x.example",
        "N:a",
        "N;ALTID=1:a\r\nN;ALTID=1:b\r\nN;ALTID=2:c",
        "FN;PREF=999999:a",
        "XML:<a/>",
        "PHOTO;VALUE=uri:data:image/png",
    ],
)
@pytest.mark.parametrize("version", OTHER)
def test_whatever_a_card_holds_the_result_may_be_stored_and_has_the_same_uid(version, line):
    one = card(version, line)
    other = check(convert(one, OTHER[version]).serialise())

    assert other.version == OTHER[version]
    assert other.uid == one.uid
    back = check(convert(other, version).serialise())
    assert (back.version, back.uid) == (version, one.uid)


@pytest.mark.parametrize("version", OTHER)
def test_thousands_of_lines_that_ask_for_each_other_are_converted(version):
    lines = []
    for number in range(3000):
        lines += [f"g{number}.RELATED;VALUE=text;TYPE=friend:x", f"g.X-ABDATE:{number}", "ADR;TYPE=a;LABEL=x:;;a;;;;"]
        lines += ["N;ALTID=1:x", "LABEL;TYPE=a:x", "g.X-ABLabel:y", "BDAY:x", "KIND:group"]
    lines += ["TEL" + ";TYPE=a;X-VCARD4-PREF=1;PREF=2;TYPE=pref" * 5_000 + ":x"]
    lines += ["NOTE" + ";TYPE=a,b;X-A=1" * 5_000 + ":x", "X;A=" + '"' * 30_000 + ":", "URL:" + "\\" * 100_000]
    one = card(version, *lines)

    assert check(convert(one, OTHER[version]).serialise()).uid == "u1"


both = pytest.mark.parametrize("version", OTHER)


@both
@given(data=st.data())
def test_there_and_back_a_card_says_the_same_in_the_same_order(version, data):
    one = data.draw(cards(version))

    assert in_order(round_trip(one)) == in_order(one)
    assert says(round_trip(one)) == says(one)


@both
@given(data=st.data())
def test_the_result_is_of_the_other_version_alone_and_may_be_stored(version, data):
    other = convert(data.draw(cards(version)), OTHER[version])

    assert check(other.serialise()).version == OTHER[version]
    assert faults(other) == []
    assert convert(other, OTHER[version]) is other


@both
@given(data=st.data())
def test_a_second_round_changes_no_byte(version, data):
    once = round_trip(data.draw(cards(version)))

    assert round_trip(once).serialise() == once.serialise()


@given(data=st.data())
def test_vobject_reads_what_became_3(data):
    other = convert(data.draw(cards("4.0")), "3.0")
    # Lines without colon are more than vobject takes; we keep them.
    readable = [line for line in other.lines if line.name]
    text = b"".join((other.head, *(line.raw for line in readable), other.tail)).decode()

    second = vobject.readOne(text)

    assert second.version.value == "3.0"
    assert len(second.contents["fn"]) == len(second.contents["n"]) == 1


@both
@given(data=st.data())
def test_an_edit_in_the_other_version_changes_that_property_alone(version, data):
    stored = data.draw(cards(version))
    shown = convert(stored, OTHER[version])
    number = data.draw(st.integers(0, len(shown.lines)))
    edited = [line for line in shown.lines[:number] if line.name in {"TEL", "EMAIL", "TITLE", "NOTE", "ADR"}][-1:]
    sent = (
        shown.replace_value(edited[0], "changed;1") if edited else shown.append(build_line("TEL", "new", eol=shown.eol))
    )

    merged = merge(round_trip(stored).serialise(), stored.serialise(), convert(sent, version).serialise())

    assert merged.conflicts == ()
    before, after = parts(stored), parts(check(merged.data))
    gone, come = before - after, after - before
    assert [said.name for said in come.elements()] == [edited[0].name if edited else "TEL"]
    assert [said.name for said in gone.elements()] == [line.name for line in edited]


@pytest.mark.parametrize("data", stored_cards())
def test_a_card_of_a_client_says_the_same_after_both_ways_and_edits_change_one_property(data):
    one = Card.parse(data).with_whole_characters()
    one = check((one if one.uid else one.append(build_line("UID", "u1", eol=one.eol))).serialise())
    other = check(convert(one, OTHER[one.version]).serialise())

    back = check(convert(other, one.version).serialise())

    assert in_order(back) == in_order(one)
    assert says(back) == says(one)
    sent = other.append(build_line("TITLE", "Keeper of the mill", eol=other.eol))
    merged = merge(back.serialise(), one.serialise(), convert(sent, one.version).serialise())
    assert says(check(merged.data)) - says(one) == Counter(
        [units(Card.parse(b"BEGIN:VCARD\r\nTITLE:Keeper of the mill\r\nEND:VCARD"))[0].said]
    )
    assert not says(one) - says(check(merged.data))
