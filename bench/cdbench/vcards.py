"""Deterministic, realistic vCard 3.0 contacts: ``contact(i)`` is the same on every machine.

1.4 kB on average; one in twenty carries a photo of 10 to 20 kB, three in four have a name outside ASCII.
Results are comparable only while these bytes stay as they are: a test holds their hash.
"""

import base64
import random

SEED = 20240917
PHOTO_SHARE = 0.05

# (as written, as used in an e-mail address)
FIRST = [
    ("Anna", "anna"),
    ("Björn", "bjoern"),
    ("Łukasz", "lukasz"),
    ("Zoë", "zoe"),
    ("François", "francois"),
    ("Jürgen", "juergen"),
    ("Søren", "soren"),
    ("Ağça", "agca"),
    ("Žofie", "zofie"),
    ("Ángel", "angel"),
    ("Müzeyyen", "muzeyyen"),
    ("Nguyễn", "nguyen"),
    ("Ελένη", "eleni"),
    ("Сергей", "sergej"),
    ("Ольга", "olga"),
    ("伟", "wei"),
    ("さくら", "sakura"),
    ("지민", "jimin"),
    ("محمد", "mohammed"),
    ("שרה", "sara"),
    ("James", "james"),
    ("Mary", "mary"),
    ("Robert", "robert"),
    ("Patricia", "patricia"),
    ("Michael", "michael"),
    ("Jennifer", "jennifer"),
    ("Thomas", "thomas"),
    ("Linda", "linda"),
    ("Giulia", "giulia"),
    ("Matteo", "matteo"),
    ("Ingrid", "ingrid"),
    ("Eoin", "eoin"),
    ("Priya", "priya"),
    ("Rahul", "rahul"),
    ("Chiara", "chiara"),
    ("Pavel", "pavel"),
    ("Maëlle", "maelle"),
    ("Renée", "renee"),
    ("Ömer", "oemer"),
    ("Iñigo", "inigo"),
]
LAST = [
    ("Müller", "mueller"),
    ("Schmidt", "schmidt"),
    ("Kowalczyk", "kowalczyk"),
    ("Nováková", "novakova"),
    ("Dvořák", "dvorak"),
    ("O'Brien", "obrien"),
    ("García Márquez", "garcia"),
    ("Ødegård", "odegard"),
    ("Þórsson", "thorsson"),
    ("Öztürk", "ozturk"),
    ("Παπαδόπουλος", "papadopoulos"),
    ("Иванова", "ivanova"),
    ("Кузнецов", "kuznecov"),
    ("王", "wang"),
    ("田中", "tanaka"),
    ("김", "kim"),
    ("حسن", "hassan"),
    ("כהן", "cohen"),
    ("Smith", "smith"),
    ("Johnson", "johnson"),
    ("Williams", "williams"),
    ("Rossi", "rossi"),
    ("Ferrari", "ferrari"),
    ("Dubois", "dubois"),
    ("Lefèvre", "lefevre"),
    ("van den Berg", "vandenberg"),
    ("de Vries", "devries"),
    ("Sharma", "sharma"),
    ("Patel", "patel"),
    ("Nguyen", "nguyen"),
    ("Larsson", "larsson"),
    ("Virtanen", "virtanen"),
    ("Silva", "silva"),
    ("Horváth", "horvath"),
    ("Popescu", "popescu"),
    ("Weiß", "weiss"),
    ("Groß", "gross"),
    ("Bauer", "bauer"),
    ("Hansen", "hansen"),
    ("Fitzgerald", "fitzgerald"),
    ("Zimmermann", "zimmermann"),
    ("Łęcki", "lecki"),
    ("Šimić", "simic"),
    ("Ćosić", "cosic"),
    ("Birgisdóttir", "birgisdottir"),
    ("Yılmaz", "yilmaz"),
    ("Takahashi", "takahashi"),
    ("Okafor", "okafor"),
    ("Mbeki", "mbeki"),
    ("Bianchi", "bianchi"),
]
CITIES = [
    ("Berlin", "10115", "Germany"),
    ("Zürich", "8001", "Switzerland"),
    ("Kraków", "30-001", "Poland"),
    ("Île-de-France", "75001", "France"),
    ("Dublin", "D02", "Ireland"),
    ("São Paulo", "01000-000", "Brazil"),
    ("東京", "100-0001", "日本"),
    ("Αθήνα", "105 57", "Ελλάδα"),
    ("Oslo", "0150", "Norge"),
]
STREETS = ["Hauptstraße", "Rue de la Paix", "ul. Długa", "High Street", "Via Roma", "Nørregade"]
UNITS = ["Sales", "Engineering", "Finance", "Legal", "Support", "Logistics", "HR", "Facilities"]
TITLES = ["Manager", "Engineer", "Consultant", "Buyer", "Analyst", "Head of Department"]
NOTE = (
    "met at the trade fair in autumn prefers to be called before noon speaks three "
    "languages and keeps the spare key for the warehouse on the second floor near the lift"
)
WORDS = NOTE.split()

_MARK = "-bench-4000-8000-"


def _rng(index: int) -> random.Random:
    return random.Random(SEED * 1_000_003 + index)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;").replace("\n", "\\n")


def _fold(line: str) -> str:
    """Fold at 75 octets (RFC 2426, section 2.6) without cutting a UTF-8 sequence."""
    raw = line.encode()
    if len(raw) <= 75:
        return line
    parts, start, limit = [], 0, 75
    while start < len(raw):
        end = min(start + limit, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(raw[start:end].decode())
        start, limit = end, 74
    return "\r\n ".join(parts)


def uid(index: int) -> str:
    """Return the UID of contact ``index``; its href is this with ``.vcf``."""
    return f"{(index * 2654435761) & 0xFFFFFFFF:08x}{_MARK}{index:012x}"


def index_of(name: str) -> int | None:
    """Return the index of the contact with this UID or href, None if the benchmark did not make it.

    name: the last segment of a URL, percent-decoded
    """
    _, mark, digits = name.removesuffix(".vcf").partition(_MARK)
    try:
        index = int(digits, 16)
    except ValueError:
        return None
    return index if mark and name.removesuffix(".vcf") == uid(index) else None


def searchable(index: int) -> tuple[str, str]:
    """Return (FN, e-mail) of contact ``index``: what the search workloads look for."""
    rng = _rng(index)
    first, last = rng.choice(FIRST), rng.choice(LAST)
    middle = chr(65 + rng.randrange(26))
    domain = rng.randrange(20)
    return f"{first[0]} {middle}. {last[0]}", f"{first[1]}.{last[1]}{index}@example{domain}.com"


def contact(index: int, revision: int = 0) -> bytes:
    """Return the vCard of contact ``index``; another revision changes TEL, NOTE and REV, never FN or EMAIL."""
    rng = _rng(index)
    first, last = rng.choice(FIRST), rng.choice(LAST)
    middle = chr(65 + rng.randrange(26))
    domain = rng.randrange(20)
    has_photo = rng.random() < PHOTO_SHARE
    city, code, country = rng.choice(CITIES)
    unit = rng.choice(UNITS)
    note = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(4, 30)))
    phone = f"+49 30 {rng.randrange(10**7):07d}"
    mobile = f"+49 171 {rng.randrange(10**7):07d}"
    if revision:
        phone = f"+49 40 {revision * 7919 % 10**7:07d}"
        note += f", revision {revision}"
    title = rng.choice(TITLES)
    street = f"{rng.choice(STREETS)} {rng.randrange(1, 200)}"
    lines = [
        "BEGIN:VCARD",
        "VERSION:3.0",
        "PRODID:-//bench//carddav//EN",
        f"UID:{uid(index)}",
        f"FN:{_escape(f'{first[0]} {middle}. {last[0]}')}",
        f"N:{_escape(last[0])};{_escape(first[0])};{middle}.;;",
        f"EMAIL;TYPE=INTERNET,WORK:{first[1]}.{last[1]}{index}@example{domain}.com",
        f"EMAIL;TYPE=INTERNET,HOME:{first[1]}{index}@home.example.org",
        f"TEL;TYPE=WORK,VOICE:{phone}",
        f"TEL;TYPE=CELL:{mobile}",
        f"ORG:{_escape(f'Example {domain} AG')};{unit}",
        f"TITLE:{title}",
        f"ADR;TYPE=WORK:;;{_escape(street)};{city};;{code};{country}",
        f"NOTE:{_escape(note)}",
        f"CATEGORIES:{unit},{'Customer' if rng.random() < 0.5 else 'Supplier'}",
    ]
    if has_photo:
        size = rng.randrange(7_700, 15_000)  # 10 to 20 kB once in base64
        photo = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + rng.randbytes(size) + b"\xff\xd9"
        lines.append(f"PHOTO;ENCODING=b;TYPE=JPEG:{base64.b64encode(photo).decode()}")
    lines += [f"REV:20240917T{revision % 240000:06d}Z", "END:VCARD", ""]
    return "\r\n".join(_fold(line) for line in lines).encode()
