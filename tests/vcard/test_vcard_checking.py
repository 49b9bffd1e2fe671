"""What a card must be to be stored, and above all what it need not be."""

import pytest

from radicale_shared.errors import NotAVCardError, TooLargeError, UnsupportedVersionError
from radicale_shared.vcard import Card, check, split_cards


def card(*lines: str, version: str | None = "VERSION:3.0", uid: str | None = "UID:1") -> bytes:
    written = ["BEGIN:VCARD", version, uid, *lines, "END:VCARD", ""]
    return "\r\n".join(line for line in written if line is not None).encode()


@pytest.mark.parametrize(
    "data",
    [
        card(),
        card(version="VERSION:4.0"),
        card(version="version: 4.0 "),
        card("FN", "", "no content line"),
        card("N:a;b", "N:c;d", "FN:x", "FN:y", "X-ODD/NAME:z"),
        card("NOTE:tab\tDEL\x7f C1\x85 nonchar \U0001ffff"),
        card("AGENT:", "BEGIN:VCARD", "UID:2", "VERSION:3.0", "END:VCARD"),
        b"\xef\xbb\xbf\r\n" + card() + b"\r\n\r\n",
        card().replace(b"\r\n", b"\r"),
        card(uid="UID:" + "x" * 1000),
        card(*["TEL;X=1;TYPE=a:1,2;3"] * 49_998),
        card("NOTE:" + "a,b;" * 100_000, "PHOTO;X=1:" + "\r\n x" * 150_000),
    ],
)
def test_a_card_with_version_and_uid_may_be_stored_as_it_is(data):
    assert check(data).serialise() == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (card() + card(), "more than one vCard"),
        (b"junk\r\n" + card(), "doesn't begin"),
        (card() + b"junk", "after the vCard's END"),
        (card()[:-13], "no END"),
        (card("BEGIN:VEVENT"), "belongs to nothing"),
        (card("END:VEVENT"), "belongs to nothing"),
        (card("item1.BEGIN:X", "item1.END:X"), "belongs to nothing"),
        (card("BEGIN:VCARD"), "before the first one has ended"),
        (card("AGENT:", "BEGIN:VCARD"), "no END"),
        (card(uid=None), "no UID"),
        (card(uid="UID:  "), "no UID"),
        (card("UID:1"), "more than one UID"),
        (card("item1.uid:2"), "more than one UID"),
        (card(uid="UID:" + "x" * 1001), "longer than 1000"),
        (card("VERSION:3.0"), "more than one VERSION"),
        (card(*["X:1"] * 49_999), "more than 50000 properties"),
        (card(*["TEL;TYPE=a,b;X=1:1"] * 30_000 + ["NOTE" + ";A=b" * 10_001 + ":x"]), "more than 100000 parameters"),
        (card('X;A="' + ";:," * 50_000 + '":x'), "more than 100000 parameters"),
        (card(*["TEL:1", " 2"] * 200_001), "more than 200000 lines"),
        (card("NOTE:a\x00b"), "control characters"),
        (card("NOTE:a\x0bb"), "control characters"),
        (card("NOTE:a\x1bb"), "control characters"),
        (card("NOTE:a\ufffeb"), "control characters"),
        (card("NOTE:a\uffffb"), "control characters"),
        (card("NOTE:ä").replace(b"\xc3", b""), "not valid UTF-8"),
        (card("NOTE:x").replace(b"x", b"\xed\xa0\x80"), "not valid UTF-8"),
    ],
)
def test_what_cannot_be_kept_or_handed_out_is_refused_with_a_reason(data, reason):
    with pytest.raises(NotAVCardError, match=reason) as refused:
        check(data)
    assert refused.value.reason.endswith(".")


@pytest.mark.parametrize(
    ("version", "found"), [("VERSION:2.1", "2.1"), (None, ""), ("VERSION:", ""), ("VERSION:" + "9" * 99, "9" * 20)]
)
def test_another_version_than_3_and_4_is_refused_by_name(version, found):
    with pytest.raises(UnsupportedVersionError) as refused:
        check(card(version=version))
    assert refused.value.version == found


def test_a_card_may_be_as_large_as_allowed_and_no_larger():
    data = card("FN:Ada")

    assert check(data, max_size=len(data)).text("FN") == "Ada"
    with pytest.raises(TooLargeError) as refused:
        check(data, max_size=len(data) - 1)
    assert (refused.value.size, refused.value.limit) == (len(data), len(data) - 1)


def test_every_card_of_the_corpus_in_a_known_version_may_be_stored(corpus_file):
    for data in split_cards(corpus_file):
        mended = Card.parse(data).with_whole_characters()
        if mended.version in ("3.0", "4.0"):
            assert check(mended.serialise()) == mended
        else:
            with pytest.raises(NotAVCardError):
                check(data)


def test_folds_that_cut_characters_are_refused_until_mended(corpus):
    data = corpus("japanese-cut-folds")

    with pytest.raises(NotAVCardError, match="not valid UTF-8"):
        check(data)
    check(Card.parse(data).with_whole_characters().serialise())
