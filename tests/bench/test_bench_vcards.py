"""The benchmark's contacts: the same bytes everywhere, and real vCards."""

import hashlib

import vobject
from cdbench import vcards


def test_contacts_are_the_same_bytes_on_every_machine():
    """Figures of different days are comparable only while this holds."""
    book = b"".join(vcards.contact(index) for index in range(100))

    assert hashlib.sha256(book).hexdigest() == "4e5e8814ed70bf3c3279781e94316c146bc52a20b5d4923034cd73e599fee983"


def test_contacts_are_folded_vcards_whose_uid_and_search_terms_are_known():
    for index in range(200):
        written = vcards.contact(index)
        card = vobject.readOne(written.decode())
        name, email = vcards.searchable(index)

        assert max(len(line) for line in written.split(b"\r\n")) <= 75
        assert card.version.value == "3.0"
        assert card.uid.value == vcards.uid(index)
        assert card.fn.value == name
        assert email in [each.value for each in card.email_list]


def test_another_revision_changes_the_card_but_nothing_that_is_searched_for():
    before, after = (vobject.readOne(vcards.contact(7, revision).decode()) for revision in (0, 1234))

    assert before.tel_list[0].value != after.tel_list[0].value
    assert before.note.value != after.note.value
    assert (before.fn.value, before.email.value) == (after.fn.value, after.email.value)


def test_only_names_the_benchmark_made_are_taken_for_its_own():
    assert [vcards.index_of(vcards.uid(index) + ".vcf") for index in (0, 1, 49_999)] == [0, 1, 49_999]
    assert vcards.index_of("ada.vcf") is None
    assert vcards.index_of("00000000-bench-4000-8000-000000000001.vcf") is None
    assert vcards.index_of("") is None
