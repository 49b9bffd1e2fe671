#!/usr/bin/env python3
"""How fast people are found by LDAP, beside a real slapd that has the same people, and by a phone's HTTP.

    directory.py [--sizes 10000,100000] [--servers ours,ours-pg,slapd] [--rounds 3] [--seconds 3] [--out NAME]

Each size is set up once for each server, slapd from our own LDIF and indexed as a careful administrator does it. Then
they take turns, a round of all searches each. Printed are medians over all rounds, what they are of slapd's, and what
100,000 people cost of 10,000; the same goes to NAME.md. Exit status: 0 within the goals, 1 not.
"""

import argparse
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cdbench.client import Client, Target
from cdbench.servers import Ours, OursOnPostgresql
from cdbench.servers.base import HOST, PASSWORD, USER, free_port, script, stop

BASE = "dc=contacts"
ATTRIBUTES = ("cn", "sn", "telephoneNumber", "mobile")
MOST_OF_SLAPD = 10.0
# What a search may take in any case: slapd finds out in 0.03 ms that there is nobody, the network takes longer.
ALWAYS_GOOD = 1.0  # ms
MOST_GROWTH = 1.5
CLIENTS = 8
REPEATS = 40
SLOWEST = 5.0  # seconds; a search that takes longer is repeated once

_FIRST = ("Anna", "Ben", "Clara", "David", "Eva", "Fritz", "Greta", "Hans", "Ida", "Jan", "Karla", "Ludwig")
_STEMS = ("Acker", "Bach", "Brand", "Eich", "Fried", "Gold", "Hof", "Kess", "Lind", "Rot", "Stein", "Wald")
_ENDS = ("bauer", "berg", "er", "feld", "hauer", "horst", "kamp", "ler", "mann", "ner")
_FREQUENT = ("Schmidt", "Schmitz", "Schmoll", "Meyer", "Obermeyer", "Meyerhoff")


@dataclass(frozen=True)
class Sought:
    """A search: its filter, how many entries at most, and how many it has to find."""

    name: str
    filter: str
    limit: int
    found: int


SEARCHES = (
    Sought("prefix, 50 hits", "(|(cn=schm*)(sn=schm*))", 50, 50),
    Sought("contains in four, 50 hits", "(|(cn=*meyer*)(sn=*meyer*)(givenName=*meyer*)(mail=*meyer*))", 50, 50),
    Sought("contains in three, none", "(|(cn=*qqxz*)(sn=*qqxz*)(mail=*qqxz*))", 50, 0),
    Sought("prefix, none", "(sn=zzz*)", 50, 0),
    Sought("number, exact", "(|(telephoneNumber=0301000777)(mobile=0301000777))", 50, 1),
    Sought("end of a number", "(telephoneNumber=*301000777)", 50, 1),
)


def card(number: int) -> bytes:
    """A person; about one in 20 has a name that begins with Schm, one in 30 one with meyer in it."""
    dice = random.Random(number)
    first = dice.choice(_FIRST)
    last = dice.choice(_FREQUENT) if dice.random() < 0.08 else dice.choice(_STEMS) + dice.choice(_ENDS)
    lines = (
        *("BEGIN:VCARD", "VERSION:3.0", f"UID:directory-{number}", f"FN:{first} {last}", f"N:{last};{first};;;"),
        *(f"ORG:Works {number % 500} Ltd.;Unit {number % 40}", f"TITLE:Role {number % 60}"),
        f"EMAIL:{first.lower()}.{last.lower()}{number}@example.com",
        *(f"TEL;TYPE=WORK:+49 30 {1000000 + number}", f"TEL;TYPE=CELL:+49 171 {2000000 + number}", "END:VCARD", ""),
    )
    return "\r\n".join(lines).encode()


# -- a small LDAP client -----------------------------------------------------------------------------------------------


def _element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _integer(value: int, tag: int = 2) -> bytes:
    return _element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _filter(text: str) -> bytes:
    """A filter in BER, as far as SEARCHES need it."""
    found, end = _term(text, 0)
    if end != len(text):
        raise ValueError(text)
    return found


def _term(text: str, at: int) -> tuple[bytes, int]:
    if text[at + 1] in "|&":
        terms, end = [], at + 2
        while text[end] == "(":
            term, end = _term(text, end)
            terms.append(term)
        return _element(0xA0 if text[at + 1] == "&" else 0xA1, *terms), end + 1
    end = text.index(")", at)
    name, _, value = text[at + 1 : end].partition("=")
    told = _element(4, name.encode())
    if value == "*":
        return _element(0x87, name.encode()), end + 1
    if "*" not in value:
        return _element(0xA3, told, _element(4, value.encode())), end + 1
    pieces = value.split("*")
    tags = [0x80, *[0x81] * (len(pieces) - 2), 0x82]
    written = (_element(tag, piece.encode()) for tag, piece in zip(tags, pieces, strict=True) if piece)
    return _element(0xA4, told, _element(0x30, *written)), end + 1


class Directory:
    """A connection to an LDAP server, signed in."""

    def __init__(self, port: int, name: str, password: str) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._number = 0
        bind = _element(0x60, _integer(3), _element(4, name.encode()), _element(0x80, password.encode()))
        if self._result(bind)[0]:
            raise RuntimeError(f"{name} can't sign in")

    def search(self, wanted: bytes, limit: int) -> int:
        """How many entries come. wanted: a filter in BER"""
        names = _element(0x30, *(_element(4, name.encode()) for name in ATTRIBUTES))
        request = _element(
            *(0x63, _element(4, BASE.encode()), _integer(2, 10), _integer(0, 10), _integer(limit), _integer(0)),
            *(b"\x01\x01\x00", wanted, names),
        )
        code, count = self._result(request)
        if code not in {0, 4}:
            raise RuntimeError(f"the search ended with {code}")
        return count

    def close(self) -> None:
        self._socket.close()

    def _result(self, operation: bytes) -> tuple[int, int]:
        """(result code, entries) of an operation."""
        self._number += 1
        self._socket.sendall(_element(0x30, _integer(self._number), operation))
        received, at, count = b"", 0, 0
        while True:
            while (header := _header(received, at)) is None or len(received) < header[1]:
                received, at = received[at:] + self._more(), 0
            begin, end = header
            operation_at = begin + 2 + received[begin + 1]
            if received[operation_at] == 0x64:
                _entry(received, operation_at)
                count += 1
            else:
                inner = _header(received, operation_at)
                assert inner is not None
                return received[inner[0] + 2], count
            at = end

    def _more(self) -> bytes:
        received = self._socket.recv(1 << 16)
        if not received:
            raise ConnectionResetError("the server has closed the connection")
        return received


def _entry(data: bytes, at: int) -> tuple[str, dict[str, list[str]]]:
    """(DN, attributes) of an entry that was found: clients read all of what they get."""
    ((_, operation),) = _parts(data, at, at + 1)[:1]
    name, told = _parts(data, operation.start, operation.stop)
    attributes = {}
    for _, pair in _parts(data, told[1].start, told[1].stop):
        key, values = _parts(data, pair.start, pair.stop)
        attributes[_text(data, key)] = [_text(data, one) for one in _parts(data, values[1].start, values[1].stop)]
    return _text(data, name), attributes


def _parts(data: bytes, at: int, end: int) -> list[tuple[int, slice]]:
    """(tag, where the content is) of the elements from ``at`` on, until ``end``."""
    found = []
    while at < end:
        header = _header(data, at)
        assert header is not None
        found.append((data[at], slice(*header)))
        at = header[1]
    return found


def _text(data: bytes, part: tuple[int, slice]) -> str:
    return data[part[1]].decode()


def _header(data: bytes, at: int) -> tuple[int, int] | None:
    """(where the content of an element begins, where it ends); None for too few octets."""
    if len(data) < at + 2:
        return None
    size, begin = data[at + 1], at + 2
    if size & 0x80:
        begin += size & 0x7F
        if len(data) < begin:
            return None
        size = int.from_bytes(data[at + 2 : begin], "big")
    return begin, begin + size


# -- servers -----------------------------------------------------------------------------------------------------------


@dataclass
class Served:
    """A server that runs. http: what a phone asks for, {name: path}"""

    port: int
    name: str
    password: str
    http_port: int = 0
    http: Mapping[str, str] = field(default_factory=dict)


class Measured(ABC):
    """A server with one size of book."""

    label: str

    @abstractmethod
    def set_up(self, size: int) -> None:
        """Fill it."""

    @abstractmethod
    @contextmanager
    def running(self) -> Iterator[Served]:
        """Serve until the block is left."""

    def tear_down(self) -> None:  # noqa: B027 - slapd has nothing
        """Undo what is outside of its folder."""


# The book of the bench is a personal one, which is exported here by an administrator.
_READ_ALL = "administrators_read_personal_books = True"


class _WithDirectory(Ours):
    """``serve`` with the LDAP view."""

    ldap_port = 0

    def set_up(self) -> None:
        super().set_up()
        self.ldap_port = free_port()
        file = self.folder / "settings.toml"
        limits = "searches_per_minute = 1000000\ntime_limit_seconds = 60"
        file.write_text(f"[phones]\nlookups_per_minute = 1000000\n[ldap_server]\nport = {self.ldap_port}\n{limits}\n")
        file.chmod(0o600)
        self.config.write_text(
            self.config.read_text().replace("[auth]", f"settings_file = {file}\n{_READ_ALL}\n[auth]", 1)
        )


class _WithDirectoryOnPostgresql(OursOnPostgresql, _WithDirectory):
    pass


class OurView(Measured):
    """radicale-shared on one kind of database."""

    def __init__(self, folder: Path, label: str) -> None:
        kind = {"ours": _WithDirectory, "ours-pg": _WithDirectoryOnPostgresql}[label]
        self.label = label
        self.server = kind(folder)
        self._phone = ""

    def set_up(self, size: int) -> None:
        self.server.set_up()
        self.server.command_line("phone", "region", "DE")
        cards = self.server.folder / "cards.vcf"
        with cards.open("wb") as file:
            file.writelines(map(card, range(size)))
        self.server.command_line("import", f"{USER}/bench", str(cards))
        cards.unlink()
        if isinstance(self.server, OursOnPostgresql):
            self.server.fill(0)  # what autovacuum would do
        run = (str(script("radicale-shared")), "--config", str(self.server.config))
        added = self.server.run(*run, "phone", "add", USER, "desk", "--make", "yealink", "--json")
        self._phone = json.loads(added)["password"].replace("-", "")

    def ldif(self) -> bytes:
        run = [str(script("radicale-shared")), "--config", str(self.server.config)]
        exported = [*run, "export", f"{USER}/bench", "--format", "ldif"]
        return subprocess.run(exported, capture_output=True, check=True).stdout

    @contextmanager
    def running(self) -> Iterator[Served]:
        with self.server.running() as running:
            port = int(running.target.url.split(":")[2].split("/")[0])
            below = f"/p/{self._phone}"
            asked = {"lookup": f"{below}/lookup?number=%2B49301000777", "phone book": f"{below}/yealink.xml"}
            yield Served(self.server.ldap_port, USER, PASSWORD, port, asked)

    def tear_down(self) -> None:
        self.server.tear_down()


class Slapd(Measured):
    """OpenLDAP on mdb, with the indexes that these searches want."""

    label = "slapd"

    def __init__(self, folder: Path, ldif: bytes) -> None:
        self._folder = folder
        self._ldif = ldif
        self._port = free_port()
        self._program = folder / "slapd"

    @staticmethod
    def missing() -> bool:
        return shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap:/usr/bin") is None

    def set_up(self, size: int) -> None:  # noqa: ARG002 - its LDIF has the size
        # Debian confines /usr/sbin/slapd to its own folders by AppArmor, which goes by the program's path.
        shutil.copy(shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap:/usr/bin") or "", self._program)
        (self._folder / "data").mkdir()
        modules = Path("/usr/lib/ldap")
        lines = (
            *(f"include /etc/ldap/schema/{name}.schema" for name in ("core", "cosine", "inetorgperson")),
            *([f"modulepath {modules}"] if modules.is_dir() else []),
            *("moduleload back_mdb", f"pidfile {self._folder / 'pid'}", "database mdb", f"suffix {BASE}"),
            *(f"rootdn cn=bench,{BASE}", f"rootpw {PASSWORD}", f"directory {self._folder / 'data'}"),
            *("maxsize 4294967296", "dbnosync", "index objectClass eq", "index uid,ou,o eq"),
            "index cn,sn,givenName,mail,telephoneNumber,mobile,homePhone pres,eq,sub",
        )
        configuration = self._folder / "slapd.conf"
        configuration.write_text("\n".join([*lines, ""]))
        add = [str(self._program), "-T", "add", "-q", "-f", str(configuration)]
        subprocess.run(add, input=self._ldif, check=True, capture_output=True)

    @contextmanager
    def running(self) -> Iterator[Served]:
        url = f"ldap://{HOST}:{self._port}/"
        process = subprocess.Popen([self._program, "-d", "0", "-f", self._folder / "slapd.conf", "-h", url])
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex((HOST, self._port)) == 0:
                        break
                time.sleep(0.05)
            yield Served(self._port, f"cn=bench,{BASE}", PASSWORD)
        finally:
            stop(process)


# -- measuring ---------------------------------------------------------------------------------------------------------

Figures = dict[str, list[float]]


def measure(served: Served, seconds: float, figures: Figures) -> None:
    """One round: milliseconds of each search and of what a phone asks, and searches a second of CLIENTS clients."""
    directory = Directory(served.port, served.name, served.password)
    for one in SEARCHES:
        wanted = _filter(one.filter)
        found = directory.search(wanted, one.limit)  # and its pages are in memory now
        if found != one.found:
            raise RuntimeError(f"{one.name}: {found} entries instead of {one.found}")
        took: list[float] = []
        while len(took) < REPEATS and sum(took) < SLOWEST:
            start = time.perf_counter()
            directory.search(wanted, one.limit)
            took.append(time.perf_counter() - start)
        figures.setdefault(one.name, []).append(statistics.median(took) * 1000)
    directory.close()
    figures.setdefault(f"searches a second, {CLIENTS} clients", []).append(at_once(served, seconds))
    for name, path in served.http.items():
        client = Client(Target(f"http://{HOST}:{served.http_port}/", quickack=True))
        took = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            answer = client.request("GET", path)
            took.append(time.perf_counter() - start)
            if answer.status != 200 or not answer.body:
                raise RuntimeError(f"{name}: {answer.status}")
        client.close()
        figures.setdefault(f"{name} by HTTP", []).append(statistics.median(took[2:]) * 1000)


def at_once(served: Served, seconds: float) -> float:
    """Searches a second: SEARCHES in turn, by CLIENTS threads."""
    filters = [(_filter(one.filter), one.limit) for one in SEARCHES]
    counts = [0] * CLIENTS
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        directory = Directory(served.port, served.name, served.password)
        while time.perf_counter() < end:
            directory.search(*filters[(counts[number] + number) % len(filters)])
            counts[number] += 1
        directory.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def table(sizes: Sequence[int], labels: Sequence[str], medians: Mapping[tuple[int, str], Mapping[str, float]]) -> str:
    """Medians as Markdown; behind ours what they are of slapd's, last what the largest size costs of the smallest."""
    names = dict.fromkeys(name for one in medians.values() for name in one)
    lines = []
    for size in sizes:
        lines += [f"### {size:,} people", "", f"| | {' | '.join(labels)} |", "|---|" + "---|" * len(labels)]
        for name in names:
            cells = [_cell(name, medians[size, label], medians.get((size, "slapd"))) for label in labels]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    if len(sizes) > 1:
        lines += [
            f"### {sizes[-1]:,} people of {sizes[0]:,}",
            "",
            f"| | {' | '.join(labels)} |",
            "|---|" + "---|" * len(labels),
        ]
        for name in names:
            pairs = [(medians[sizes[-1], label].get(name), medians[sizes[0], label].get(name)) for label in labels]
            lines.append(f"| {name} | {' | '.join(f'{a / b:.2f}' if a and b else '' for a, b in pairs)} |")
    return "\n".join(lines)


def _cell(name: str, own: Mapping[str, float], of_slapd: Mapping[str, float] | None) -> str:
    value = own.get(name)
    if value is None:
        return ""
    is_time = "second" not in name
    told = f"{value:.2f} ms" if is_time else f"{value:.0f}"
    if of_slapd is None or own is of_slapd or name not in of_slapd:
        return told
    factor = value / of_slapd[name] if is_time else of_slapd[name] / value
    return f"{told} ({factor:.1f})"


def missed(sizes: Sequence[int], medians: Mapping[tuple[int, str], Mapping[str, float]]) -> list[str]:
    """The goals that aren't met."""
    found = []
    for (size, label), figures in medians.items():
        of_slapd = medians.get((size, "slapd"))
        if label == "slapd":
            continue
        for one in SEARCHES:
            if of_slapd and figures[one.name] > max(ALWAYS_GOOD, MOST_OF_SLAPD * of_slapd[one.name]):
                found.append(
                    f"{label}, {size:,}, {one.name}: {figures[one.name] / of_slapd[one.name]:.1f} times slapd's"
                )
            smallest = medians[sizes[0], label][one.name]
            if size == sizes[-1] and figures[one.name] > max(ALWAYS_GOOD, MOST_GROWTH * smallest):
                found.append(f"{label}, {one.name}: {figures[one.name] / smallest:.2f} times that of {sizes[0]:,}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--servers", default="ours,ours-pg,slapd")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of CLIENTS clients at once")
    parser.add_argument("--out", metavar="NAME", help="NAME.md is written")
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    labels = given.servers.split(",")
    if "slapd" in labels and Slapd.missing():
        print("slapd is left out: it is not installed (Debian: slapd)", file=sys.stderr)
        labels.remove("slapd")
    figures: dict[tuple[int, str], Figures] = {(size, label): {} for size in sizes for label in labels}
    for size in sizes:
        with ExitStack() as stack:
            servers = _set_up(stack, labels, size)
            for _ in range(given.rounds):
                for server in servers:
                    with server.running() as served:
                        measure(served, given.seconds, figures[size, server.label])
    medians = {key: {name: statistics.median(values) for name, values in one.items()} for key, one in figures.items()}
    told = table(sizes, labels, medians)
    print(told)
    if given.out:
        Path(given.out).with_suffix(".md").write_text(told + "\n", encoding="utf-8")
    for one in (bad := missed(sizes, medians)):
        print(f"missed: {one}", file=sys.stderr)
    return 1 if bad else 0


def _set_up(stack: ExitStack, labels: Sequence[str], size: int) -> list[Measured]:
    """All servers with one size of book; slapd gets its LDIF of the first of ours."""
    servers: list[Measured] = []
    for label in sorted(labels, key=lambda one: one == "slapd"):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="directory-")))
        if label == "slapd":
            source = next(one for one in servers if isinstance(one, OurView))
            server: Measured = Slapd(folder, source.ldif())
        else:
            server = OurView(folder, label)
        stack.callback(server.tear_down)
        server.set_up(size)
        servers.append(server)
    return servers


if __name__ == "__main__":
    sys.exit(main())
