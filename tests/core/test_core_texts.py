"""What people type has a length that is looked at before anything else is."""

from __future__ import annotations

import unicodedata

import pytest

from radicale_shared import texts
from radicale_shared.errors import NotAllowedHereError

# Composed, each of these is one character; and a run of marks takes time that grows with its square.
MARKS = "a" + "\u0323\u0307" * 50_000


def test_a_text_of_a_hundred_thousand_marks_is_refused_before_they_are_put_in_order(monkeypatch):
    seen = []
    monkeypatch.setattr(texts.unicodedata, "normalize", lambda form, text: seen.append(len(text)) or text)

    with pytest.raises(NotAllowedHereError, match="more than 500 characters"):
        texts.checked(MARKS, 500, what="name")
    assert len(texts.cleaned(MARKS, 500)) == 500
    assert max(seen) <= 2000


def test_a_name_that_is_written_apart_is_as_long_as_it_is_put_together():
    name = "ệ" * 500

    assert texts.checked(unicodedata.normalize("NFD", name), 500) == name
    assert texts.cleaned(unicodedata.normalize("NFD", name), 500) == name
