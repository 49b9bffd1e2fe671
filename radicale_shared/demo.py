"""A small organisation to try things with: invented people, public passwords.

Sales (Ada, Ben) edits ``sales/leads``; Carla is outside and can't learn that it exists. Support (Ben, Carla) edits
``support/partners``, which Sales may only read. Dora manages both. Finn, a trainee, reads the leads for three months,
without notes and private numbers. Numbers are of the ranges that authorities keep free
for fiction where there is one, addresses are below example.com, .org and .net.
"""

# ruff: noqa: E501  (a contact a line)

from __future__ import annotations

import base64
import struct
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.orm import Session

from . import access, accounts, books, cards, changes, grants, history, people
from .access import Role
from .books import Book
from .changes import Actor
from .database import Database
from .errors import NotAllowedHereError
from .models import now
from .passwords import VerifiedPasswords
from .people import Person
from .vcard import build_line, escape

KIND = "demo"  # of the deed that marks a database as the demo's

_TRAINING = timedelta(days=90)
_NAMESPACE = uuid.UUID("0d9f5a52-9f0e-5c1b-8f55-3f2f6f0f7a11")


@dataclass(frozen=True, slots=True)
class Login:
    """A demo user; ``books`` as they see them: ``address (role)``, with the end of that and what is hidden.

    password: None where it was changed since
    state: ``"active"`` or ``"disabled"``
    """

    login: str
    password: str | None
    name: str
    state: str
    books: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Demo:
    """``made`` is False where everything was there already."""

    made: bool
    logins: tuple[Login, ...]


@dataclass(frozen=True, slots=True)
class _Contact:
    given: str
    family: str
    org: str
    title: str
    phone: str
    email: str
    adr: str  # street;city;region;postal code;country, none of them with a semicolon
    note: str = ""
    kind: str = "plain"  # or photo, four, apple
    home: str = ""  # a private number


_USERS = (
    ("ada", "Ada Winter"),
    ("ben", "Ben Okafor"),
    ("carla", "Carla Rossi"),
    ("dora", "Dora Lindqvist"),
    ("finn", "Finn Yılmaz"),
)
_GROUPS = (("Sales", ("ada", "ben")), ("Support", ("ben", "carla")))

# fmt: off
_LEADS = (
    _Contact("Jürgen", "Großmann", "Müßig & Söhne GmbH", "Einkaufsleiter", "+49 30 23125 101", "j.grossmann@example.com", "Königstraße 7;Berlin;;10115;Deutschland", "Rückruf dienstags; bitte vor 10 Uhr", "photo", "+49 30 23125 151"),
    _Contact("Änne", "Öztürk-Weiß", "Weißbach Maschinenbau AG", "Geschäftsführerin", "+49 89 99998 201", "aenne@example.org", "Am Gänsbühel 3;München;Bayern;80331;Deutschland"),
    _Contact("Élodie", "Lefèvre", "Ateliers Noël", "Directrice des achats", "+33 1 99 00 11 22", "elodie.lefevre@example.com", "12, rue de l'Église;Lyon;;69001;France", "Préfère le courriel.", "four", "+33 1 99 00 11 52"),
    _Contact("Gaël", "D'Aubigné", "Crêperie Saint-Malo", "Gérant", "+33 2 61 91 00 33", "gael@example.net", "4 quai Chateaubriand;Saint-Malo;Bretagne;35400;France"),
    _Contact("Łukasz", "Wiśniewski", "Żółta Łódź sp. z o.o.", "Kierownik zakupów", "+48 22 555 01 11", "lukasz@example.com", "ul. Świętokrzyska 14;Warszawa;;00-050;Polska", "Spotkanie w Łodzi — jesień"),
    _Contact("Grażyna", "Brzęczyszczyńska", "Ćma i Wspólnicy", "Prezes", "+48 12 555 01 12", "grazyna@example.org", "Rynek 1;Kraków;;31-042;Polska", "", "apple", "+48 12 555 01 53"),
    _Contact("Ελένη", "Παπαδοπούλου", "Ναυτιλιακή Αιγαίου Α.Ε.", "Διευθύντρια πωλήσεων", "+30 21 5550 0113", "eleni@example.com", "Οδός Ερμού 25;Αθήνα;;105 63;Ελλάδα", "", "photo"),
    _Contact("Наталья", "Соколова", "ООО «Северный ветер»", "Начальник отдела закупок", "+7 495 555 01 14", "n.sokolova@example.com", "ул. Лесная, д. 5;Москва;;125047;Россия"),
    _Contact("Зоран", "Јовановић", "Дунав Логистика", "Директор", "+381 11 555 0115", "zoran@example.net", "Кнез Михаилова 8;Београд;;11000;Србија", "", "four"),
    _Contact("İpek", "Yıldırım", "Çağdaş Tekstil A.Ş.", "Satın alma müdürü", "+90 212 555 01 16", "ipek@example.com", "İstiklal Caddesi 101;Beyoğlu;İstanbul;34435;Türkiye", "Öğleden sonra arayın"),
    _Contact("ليلى", "الحداد", "شركة النخيل للتجارة", "مديرة المشتريات", "+971 4 555 0117", "layla@example.com", "شارع الشيخ زايد ١٢;دبي;;;الإمارات", "", "apple"),
    _Contact("דניאל", "כהן־לוי", "ים תיכון בע״מ", "סמנכ״ל רכש", "+972 3 555 0118", "daniel@example.org", "שדרות רוטשילד 22;תל אביב;;6688119;ישראל"),
    _Contact("小芳", "王", "东方贸易有限公司", "采购经理", "+86 10 5550 0119", "wang.xiaofang@example.com", "长安街1号;北京;;100005;中国", "", "photo"),
    _Contact("美咲", "佐藤", "株式会社さくら商事", "営業部長", "+81 3-5550-0120", "misaki.sato@example.com", "丸の内1-9-1;千代田区;東京都;100-0005;日本", "午前中に電話", "four"),
    _Contact("지훈", "김", "한빛전자 주식회사", "구매팀장", "+82 2-5550-0121", "jihoon.kim@example.com", "세종대로 110;중구;서울특별시;04524;대한민국"),
    _Contact("João", "Conceição", "Cerâmicas do Tejo, Lda.", "Responsável de compras", "+351 21 555 0122", "joao@example.com", "Rua da Conceição 18;Lisboa;;1100-153;Portugal"),
    _Contact("Íñigo", "Muñoz Peña", "Aceites La Señora, S.L.", "Jefe de compras", "+34 91 555 01 23", "inigo@example.net", "Calle Mayor 3, 2º dcha.;Madrid;;28013;España", "", "apple"),
    _Contact("Bjørn", "Ødegård", "Fjordfisk AS", "Innkjøpssjef", "+47 22 55 01 24", "bjorn@example.com", "Bryggen 12;Bergen;;5003;Norge"),
    _Contact("Šárka", "Dvořáková", "Sklárny Železný Brod", "Ředitelka", "+420 222 550 125", "sarka@example.org", "Náměstí 3. května 8;Železný Brod;;468 22;Česko"),
    _Contact("Ștefan", "Țepeș", "Vinuri Moldova SRL", "Director comercial", "+40 21 555 0126", "stefan@example.com", "Strada Mihail Kogălniceanu 4;Iași;;700454;România"),
    _Contact("Thị Hằng", "Nguyễn", "Công ty Sông Hồng", "Trưởng phòng mua hàng", "+84 24 5550 0127", "hang@example.com", "36 Hàng Bạc;Hà Nội;;;Việt Nam", "", "four"),
    _Contact("प्रिया", "शर्मा", "गंगा एक्सपोर्ट्स", "क्रय प्रबंधक", "+91 11 5550 0128", "priya@example.com", "कनॉट प्लेस 4;नई दिल्ली;;110001;भारत"),
    _Contact("สมชาย", "ใจดี", "บริษัท ช้างทอง จำกัด", "ผู้จัดการฝ่ายจัดซื้อ", "+66 2 555 0129", "somchai@example.net", "ถนนสุขุมวิท 55;กรุงเทพฯ;;10110;ไทย"),
    _Contact("Siân", "O'Connor-Pryce", "Pryce, Price & Partners Ltd", "Head of Procurement", "+44 1632 960130", "sian@example.com", "Flat 2, 14 Castle Row;Cardiff;Wales;CF10 1AA;United Kingdom", "Birthday cake: no nuts 🎂", "photo"),
    _Contact("Maria", "Castellanos", "Blue Mesa Outfitters, Inc.", "Purchasing", "+1 505-555-0131", "maria@example.com", "500 Camino Real;Santa Fe;NM;87501;USA"),
)
_PARTNERS = (
    _Contact("Anja", "Böhm", "Netzwerk Nord IT-Service", "Bereitschaft", "+49 40 66969 301", "bereitschaft@example.com", "Hafenstraße 40;Hamburg;;20359;Deutschland", "24/7 erreichbar", "apple"),
    _Contact("Uğur", "Şahin-Keller", "Keller Kältetechnik", "Techniker", "+49 221 4710 302", "ugur@example.org", "Domstr. 9;Köln;;50668;Deutschland"),
    _Contact("Chloé", "Girard", "Imprimerie Girard et Fils", "Service après-vente", "+33 4 65 71 03 03", "sav@example.net", "Zone artisanale, bât. B;Avignon;;84000;France"),
    _Contact("Małgorzata", "Kość", "Drukarnia Gdańska", "Serwis", "+48 58 555 03 04", "serwis@example.com", "ul. Długa 4;Gdańsk;;80-827;Polska", "", "four"),
    _Contact("Γιώργος", "Νικολάου", "Δίκτυα Θεσσαλονίκης", "Τεχνικός", "+30 231 555 0305", "giorgos@example.com", "Τσιμισκή 10;Θεσσαλονίκη;;546 24;Ελλάδα"),
    _Contact("Олена", "Шевченко", "ТОВ «Київмережа»", "Інженерка", "+380 44 555 0306", "olena@example.com", "вул. Хрещатик 22;Київ;;01001;Україна", "Телефонувати після 11:00"),
    _Contact("Димитър", "Желязков", "Балкан Сервиз ЕООД", "Управител", "+359 2 555 0307", "dimitar@example.org", "бул. Витоша 15;София;;1000;България"),
    _Contact("Ayşe", "Gündoğdu", "Işık Bilişim", "Destek uzmanı", "+90 312 555 03 08", "ayse@example.com", "Atatürk Bulvarı 12;Ankara;;06420;Türkiye"),
    _Contact("يوسف", "المنصوري", "الأطلس للاتصالات", "مهندس الدعم", "+212 522 55 03 09", "youssef@example.com", "شارع محمد الخامس ٤;الدار البيضاء;;20250;المغرب"),
    _Contact("נועה", "פרידמן", "רשת הגליל", "תמיכה טכנית", "+972 4 555 0310", "noa@example.net", "דרך הים 7;חיפה;;3474607;ישראל", "", "four"),
    _Contact("سارا", "کریمی", "فناوران پارس", "کارشناس پشتیبانی", "+98 21 5550 3110", "sara@example.com", "خیابان ولیعصر ۲۰;تهران;;;ایران"),
    _Contact("建国", "李", "上海云端科技", "技术支持", "+86 21 5550 0312", "li.jianguo@example.com", "南京东路20号;上海;;200002;中国", "", "photo"),
    _Contact("怡君", "陳", "島嶼資訊股份有限公司", "客服主任", "+886 2 5550 0313", "yichun@example.com", "信義路五段7號;台北市;;110;台灣"),
    _Contact("健太", "鈴木", "鈴木電機サービス", "保守担当", "+81 6-5550-0314", "kenta@example.org", "梅田3丁目;北区;大阪府;530-0001;日本"),
    _Contact("수진", "박", "부산네트웍스", "기술지원", "+82 51-555-0315", "sujin@example.com", "해운대로 8;해운대구;부산광역시;48094;대한민국"),
    _Contact("Thiago", "Gonçalves Araújo", "Conexão Sul Ltda.", "Suporte", "+55 11 5550-0316", "thiago@example.com", "Av. Paulista 1000;São Paulo;SP;01310-100;Brasil", "", "apple"),
    _Contact("Lucía", "Ibáñez", "Redes del Plata S.A.", "Soporte técnico", "+54 11 5550-0317", "lucia@example.net", "Av. Corrientes 345;Buenos Aires;;C1043;Argentina"),
    _Contact("Åsa", "Björklund", "Norrsken Drift AB", "Driftchef", "+46 8 465 004 18", "asa@example.com", "Storgatan 5;Umeå;;903 26;Sverige"),
    _Contact("Jyrki", "Hämäläinen", "Järvi-Tuki Oy", "Huoltopäällikkö", "+358 9 555 0319", "jyrki@example.com", "Hämeenkatu 3;Tampere;;33100;Suomi"),
    _Contact("Őrs", "Székely", "Duna Szerviz Kft.", "Ügyfélszolgálat", "+36 1 555 0320", "ors@example.org", "Váci utca 6;Budapest;;1052;Magyarország"),
    _Contact("Guðrún", "Þorsteinsdóttir", "Íslensk Kerfi ehf.", "Þjónustustjóri", "+354 555 0321", "gudrun@example.com", "Laugavegur 4;Reykjavík;;101;Ísland", "", "photo"),
    _Contact("ნინო", "ბერიძე", "თბილისის ქსელი", "მხარდაჭერა", "+995 32 255 0322", "nino@example.com", "რუსთაველის გამზ. 8;თბილისი;;0108;საქართველო"),
    _Contact("Անի", "Հակոբյան", "Արարատ Տեխ", "Ինժեներ", "+374 10 55 03 23", "ani@example.net", "Աբովյան փող. 2;Երևան;;0001;Հայաստան"),
    _Contact("Niamh", "Ó Súilleabháin", "Liffey Managed Services", "Duty manager", "+353 20 915 0324", "niamh@example.com", "3 Bachelor's Walk;Dublin;;D01;Éire"),
    _Contact("Tshepo", "van der Merwe", "Highveld Helpdesk (Pty) Ltd", "Team lead", "+27 11 555 0325", "tshepo@example.com", "8 Vilakazi Street;Johannesburg;Gauteng;1804;South Africa"),
)
_PERSONAL = {
    "ada": (
        _Contact("Oma", "Winter", "", "", "+49 30 23125 401", "", "Lindenweg 2;Potsdam;;14467;Deutschland", "Geburtstag nicht vergessen!"),
        _Contact("Dr. Yusuf", "Aydın", "Zahnarztpraxis am Park", "Zahnarzt", "+49 30 23125 402", "praxis@example.org", ";Berlin;;;Deutschland"),
        _Contact("Mia", "Sørensen", "", "", "+45 55 50 14 03", "mia@example.com", ";København;;;Danmark", "", "four"),
    ),
    "ben": (
        _Contact("Chidi", "Okafor", "", "", "+44 1632 960411", "chidi@example.com", ";Leeds;;;United Kingdom", "", "photo"),
        _Contact("Hannah", "Fitzgerald", "Corner Bikes", "", "+44 1632 960412", "hello@example.net", "2 Mill Lane;Leeds;;LS1 1AA;United Kingdom"),
    ),
    "carla": (
        _Contact("Nonna", "Rossi", "", "", "+39 06 5550 0421", "", "Via Appia 9;Roma;;00179;Italia"),
        _Contact("Niccolò", "D'Angelo", "Palestra Più Forte", "Istruttore", "+39 06 5550 0422", "niccolo@example.com", ";Roma;;;Italia", "", "apple"),
    ),
    "dora": (_Contact("Sven", "Lindqvist", "", "", "+46 8 465 004 31", "sven@example.com", ";Uppsala;;;Sverige"),),
    "finn": (_Contact("Deniz", "Yılmaz", "", "", "+49 30 23125 451", "deniz@example.com", ";Berlin;;;Deutschland"),),
}
# fmt: on


def set_up(db: Database, by: Actor) -> Demo:
    """Make the demo organisation, in a database without anybody; in its own, nothing is changed.

    Its own is told by a deed of the kind KIND, which holds the slugs of the users it made: slugs are never given to
    anybody else. Logins prove nothing: somebody's Ada is another one.

    Raises NotAllowedHereError in a database that has users or groups and was not made by this.
    """
    secret = db.secret
    with db.read() as session:
        marker = history.last_reason(session, KIND)
    made = marker is None
    if made:
        with db.write() as session:
            people.rights_changed(session)  # the lock of people: two demos follow one another
            marker = history.last_reason(session, KIND)
            made = marker is None
            if made:
                _refuse_others(session)
                marker = _make(session, secret, by)
    with db.read() as session:
        own = set((marker or "").split())
        found = [person for person in people.users(session) if person.slug in own]
        logins = tuple(
            Login(person.login, None, person.name, person.state, _seen_by(session, person.slug)) for person in found
        )
    passwords = [_password_if_unchanged(db, person) for person in found]
    return Demo(made, tuple(replace(one, password=given) for one, given in zip(logins, passwords, strict=True)))


def password_of(slug: str) -> str:
    """The public password of a demo user."""
    return f"{slug}-demo"


def _refuse_others(session: Session) -> None:
    names = [person.login for person in people.users(session)]
    names += [people.GROUP_PREFIX + group.slug for group in people.groups(session)]
    if names:
        more = " and others" if len(names) > 3 else ""
        raise NotAllowedHereError(
            f"This database has users or groups of its own ({', '.join(names[:3])}{more}); the demo's public passwords "
            "have no place in it. Name another database, or work in an empty folder."
        )


def _password_if_unchanged(db: Database, person: Person) -> str | None:
    """A disabled user's password can't be tried: it is told as it was made."""
    password = password_of(person.slug)
    if person.state != "active":
        return password
    signed_in = accounts.sign_in(db, person.login, password, VerifiedPasswords(timedelta(0)))
    return password if signed_in is not None else None


def _make(session: Session, secret: bytes, by: Actor) -> str:
    """Make it all, and return what marks it as the demo's: the slugs of its users."""
    slugs = []
    for login, name in _USERS:
        person = people.add_user(session, login, name=name, email=f"{login}@example.com", password=password_of(login))
        if person.slug != login:
            # Somebody was removed here who had the name: it would not be the demo that is documented.
            raise NotAllowedHereError(f"{login!r} was somebody's name in this database. Name another database.")
        slugs.append(person.slug)
        book = books.add_personal(session, person, by=by)
        _fill(session, book, [_card(contact) for contact in _PERSONAL[login]], secret, by)
    for group_name, logins in _GROUPS:
        group = people.add_group(session, group_name)
        for login in logins:
            people.add_member(session, group.slug, login)
    leads = books.add(
        session,
        people.group(session, "sales"),
        "leads",
        by=by,
        name="Leads",
        description="Companies that may become customers",
        color="#2e7d32ff",
    )
    partners = books.add(
        session,
        people.group(session, "support"),
        "partners",
        by=by,
        name="Partners",
        description="Whom to call when something is broken",
        color="#1565c0ff",
    )
    for book, principal, role in (
        (leads, "group:sales", Role.EDITOR),
        (leads, "user:dora", Role.MANAGER),
        (partners, "group:support", Role.EDITOR),
        (partners, "group:sales", Role.VIEWER),
        (partners, "user:dora", Role.MANAGER),
    ):
        grants.give(session, book, principal, role, by=by)
    over = now() + _TRAINING
    grants.give(session, leads, "user:finn", Role.VIEWER, by=by, until=over, hide=("note", "tel:home"))
    _fill(session, leads, [*(_card(contact) for contact in _LEADS), _apple_group("VIP", _LEADS[:4])], secret, by)
    _fill(
        session, partners, [*(_card(contact) for contact in _PARTNERS), _group_4("On call", _PARTNERS[:3])], secret, by
    )
    marker = " ".join(slugs)
    changes.begin(session, KIND, by, book_id=None, reason=marker)
    return marker


def _fill(session: Session, book: Book, made: Iterable[tuple[str, bytes]], secret: bytes, by: Actor) -> None:
    whole = access.administrator(book)
    act_id = changes.begin(session, "import", by, book_id=book.id, reason="demo")
    for uid, data in made:
        cards.put(session, whole, f"{uid}.vcf", cards.check(data), secret=secret, by=by, act_id=act_id)


def _seen_by(session: Session, slug: str) -> tuple[str, ...]:
    seen = []
    for one in access.all_readable(session, slug):
        role = next(role for role in reversed(Role) if access.VERBS[role] <= one.verbs)
        ends = [
            line.terms.until_at for line in grants.of_book(session, one.book) if line.principal_id == one.principal_id
        ]
        until = f", until {ends[0]:%Y-%m-%d}" if ends and ends[0] else ""
        without = f", without {', '.join(sorted(one.view.hidden))}" if one.view.hidden else ""
        seen.append(f"{one.book.address} ({role}{until}{without})")
    return tuple(seen)


# -- cards -------------------------------------------------------------------------------------------------------------


def _uid(contact: _Contact) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{contact.family};{contact.given};{contact.phone}"))


def _spoken(contact: _Contact) -> str:
    """The name in the order and spacing of its country."""
    country = contact.adr.rpartition(";")[2]
    if country in {"中国", "台灣", "日本", "대한민국"}:
        return contact.family + contact.given
    if country in {"Việt Nam", "Magyarország"}:
        return f"{contact.family} {contact.given}"
    return f"{contact.given} {contact.family}"


def _card(contact: _Contact) -> tuple[str, bytes]:
    """(UID, bytes) of a card as one of several kinds of clients writes it."""
    uid = _uid(contact)
    adr = ";;" + ";".join(escape(part) for part in contact.adr.split(";"))
    if contact.kind == "four":
        lines = [
            _line("VERSION", "4.0"),
            _line("UID", f"urn:uuid:{uid}"),
            _line("KIND", "individual"),
            *_names(contact),
            _line("TEL", "tel:" + contact.phone.replace(" ", "-"), VALUE=["uri"], TYPE=["voice", "work"], PREF=["1"]),
            _line("TEL", contact.home, TYPE=["voice", "home"]),
            _line("EMAIL", contact.email, TYPE=["work"]),
            _line("ADR", adr, TYPE=["work"]),
            _line("PHOTO", "data:image/png;base64," + base64.b64encode(_picture(uid)).decode()),
        ]
    elif contact.kind == "apple":
        lines = [
            _line("VERSION", "3.0"),
            _line("UID", uid),
            *_names(contact),
            _line("TEL", contact.phone, type=["CELL", "VOICE", "pref"]),
            _line("TEL", contact.home, type=["HOME", "VOICE"]),
            _line("EMAIL", contact.email, group="item1", type=["INTERNET", "pref"]),
            _line("X-ABLabel", "Mail", group="item1"),
            _line("ADR", adr, group="item2", type=["WORK"]),
            _line("X-ABLabel", "_$!<HomePage>!$_", group="item3"),
            _line("URL", "https://www.example.com/?a=1,2", group="item3"),
        ]
    else:
        lines = [
            _line("VERSION", "3.0"),
            _line("UID", uid),
            *_names(contact),
            _line("TEL", contact.phone, TYPE=["WORK", "VOICE"]),
            _line("TEL", contact.home, TYPE=["HOME", "VOICE"]),
            _line("EMAIL", contact.email, TYPE=["INTERNET"]),
            _line("ADR", adr, TYPE=["WORK"]),
        ]
        if contact.kind == "photo":
            picture = base64.b64encode(_picture(uid)).decode()
            lines.append(_line("PHOTO", picture, ENCODING=["b"], TYPE=["PNG"]))
    lines.append(_line("NOTE", escape(contact.note)))
    return uid, _whole(lines)


def _names(contact: _Contact) -> list[bytes]:
    return [
        _line("FN", escape(_spoken(contact))),
        _line("N", f"{escape(contact.family)};{escape(contact.given)};;;"),
        _line("ORG", escape(contact.org)),
        _line("TITLE", escape(contact.title)),
    ]


def _apple_group(name: str, members: Iterable[_Contact]) -> tuple[str, bytes]:
    uid = str(uuid.uuid5(_NAMESPACE, name))
    lines = [_line("VERSION", "3.0"), _line("UID", uid), _line("FN", name), _line("N", f"{name};;;;")]
    lines.append(_line("X-ADDRESSBOOKSERVER-KIND", "group"))
    lines += [_line("X-ADDRESSBOOKSERVER-MEMBER", f"urn:uuid:{_uid(member)}") for member in members]
    return uid, _whole(lines)


def _group_4(name: str, members: Iterable[_Contact]) -> tuple[str, bytes]:
    uid = str(uuid.uuid5(_NAMESPACE, name))
    lines = [_line("VERSION", "4.0"), _line("UID", f"urn:uuid:{uid}"), _line("KIND", "group"), _line("FN", name)]
    lines += [_line("MEMBER", f"urn:uuid:{_uid(member)}") for member in members]
    return uid, _whole(lines)


def _line(name: str, value: str, group: str = "", **params: list[str]) -> bytes:
    """One folded line; nothing where there is no value."""
    return build_line(name, value, params.items(), group).raw if value.strip(";") else b""


def _whole(lines: Iterable[bytes]) -> bytes:
    return b"BEGIN:VCARD\r\n" + b"".join(lines) + b"END:VCARD\r\n"


def _picture(uid: str) -> bytes:
    """A PNG of 16 by 16 points in a colour of its own."""
    points = b"".join(b"\x00" + uuid.UUID(uid).bytes[:3] * 16 for _ in range(16))
    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(points)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
