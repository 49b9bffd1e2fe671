"""The words that phones show beside names and numbers, in the language of their profile."""

from __future__ import annotations

from dataclasses import dataclass

from ..entries import Kind


@dataclass(frozen=True, slots=True)
class Words:
    """One language. Short: most phones have 20 characters a line."""

    contacts: str
    search: str
    everyone: str
    name_or_number: str
    nothing_found: str
    next: str
    previous: str
    dial: str
    edit: str
    exit: str
    kinds: dict[Kind, str]


_WORDS = {
    "en": Words(
        contacts="Contacts",
        search="Search",
        everyone="All contacts",
        name_or_number="Name or number",
        nothing_found="Nothing found",
        next="Next",
        previous="Back",
        dial="Dial",
        edit="Edit",
        exit="Exit",
        kinds={
            Kind.WORK: "Work",
            Kind.MOBILE: "Mobile",
            Kind.HOME: "Home",
            Kind.FAX: "Fax",
            Kind.PAGER: "Pager",
            Kind.OTHER: "Other",
        },
    ),
    "de": Words(
        contacts="Kontakte",
        search="Suche",
        everyone="Alle Kontakte",
        name_or_number="Name oder Nummer",
        nothing_found="Nichts gefunden",
        next="Weiter",
        previous="Zurück",
        dial="Wählen",
        edit="Ändern",
        exit="Ende",
        kinds={
            Kind.WORK: "Büro",
            Kind.MOBILE: "Mobil",
            Kind.HOME: "Privat",
            Kind.FAX: "Fax",
            Kind.PAGER: "Pager",
            Kind.OTHER: "Andere",
        },
    ),
}


def words(language: str) -> Words:
    """The words of a language; English for one that isn't here."""
    return _WORDS.get(language, _WORDS["en"])
