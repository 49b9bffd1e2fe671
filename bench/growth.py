#!/usr/bin/env python3
"""How many bytes a database grows by with each edit of one field of a card with a photo.

    growth.py [--servers ours,ours-pg] [--edits 1000] [--cards 20] [--photo 20000]

Cards with a photo are made, and then a phone number of each is changed again and again, by a client with a User-Agent
as long as those of phones. Measured is the file after a checkpoint (SQLite) or the database after VACUUM (PostgreSQL),
and where the bytes are. Printed as JSON. Exit status: 0 within the goal of GOAL bytes an edit, 1 not.
"""

import argparse
import base64
import json
import random
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cdbench.asking import VCARD_TYPE
from cdbench.client import Client
from cdbench.servers import SERVERS, Ours, OursOnPostgresql

GOAL = 1200
PHONE = "User-Agent: DAVx5/4.4.5-ose (2024/12/06; dav4jvm; okhttp/4.12.0) Android/14"


def card(number: int, edit: int, photo: int) -> bytes:
    """A card with a photo of ``photo`` bytes, JPEG's as far as a database can see, folded as phones do it."""
    dice = random.Random(number)
    lines = [
        "BEGIN:VCARD",
        "VERSION:3.0",
        f"UID:growth-{number:08}-5d1c-4c0e-9c1f-7d0a3d6f1a11",
        f"FN:Anna Beispiel {number}",
        f"N:Beispiel;Anna {number};;;",
        "ORG:Example Works Ltd.;Sales",
        "TITLE:Head of Sales",
        f"TEL;TYPE=CELL:+49 170 {edit:07}",
        f"EMAIL;TYPE=WORK:anna.beispiel.{number}@example.com",
        "ADR;TYPE=WORK:;;Hauptstraße 1;Berlin;;10115;Germany",
        "NOTE:Met at the fair\\, wants to hear from us in spring.",
        "PHOTO;ENCODING=b;TYPE=JPEG:" + base64.b64encode(dice.randbytes(photo)).decode(),
        "END:VCARD",
    ]
    folded = ["\r\n ".join(line[start : start + 74] for start in range(0, len(line), 74)) for line in lines]
    return "\r\n".join([*folded, ""]).encode()


def put(server: Ours, cards: int, edits: range, photo: int) -> None:
    """Change one card after another, starting over with the first, and leave the server stopped."""
    with server.running() as running:
        client = Client(replace(running.target, extra_headers=(PHONE,)))
        etags: dict[int, str] = {}
        for edit in edits:
            number = edit % cards
            path = f"{running.target.path}growth-{number}.vcf"
            if number not in etags and edit >= cards:
                etags[number] = client.request("GET", path).headers[b"etag"].decode()
            condition = {"If_Match": etags[number]} if number in etags else {"If_None_Match": "*"}
            answer = client.request("PUT", path, card(number, edit, photo), Content_Type=VCARD_TYPE, **condition)
            if answer.status not in {201, 204}:
                raise RuntimeError(f"PUT: {answer.status} {answer.body[:200]!r}")
            etags[number] = answer.headers[b"etag"].decode()
        client.close()


def sizes(server: Ours) -> dict[str, int]:
    """Bytes of the whole database ("all"), and of each table with its indexes."""
    if isinstance(server, OursOnPostgresql):
        with server._connected(server.database) as connection:
            connection.execute("VACUUM (ANALYZE)")
            relations = connection.execute(
                "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
                " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
                " UNION ALL SELECT 'all', pg_database_size(current_database())"
            )
            return {str(name): int(str(size)) for name, size in relations}
    with closing(sqlite3.connect(server.folder / "bench.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = tables_of(connection)
        free, page = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
        connection.commit()
    return {"all": (server.folder / "bench.db").stat().st_size - free * page, **found}


def tables_of(connection: sqlite3.Connection) -> dict[str, int]:
    """Bytes of each table of SQLite with its indexes; nothing where this SQLite can't tell."""
    query = (
        "SELECT coalesce(m.tbl_name, s.name), sum(s.pgsize) FROM dbstat s LEFT JOIN sqlite_master m ON m.name = s.name"
        " GROUP BY 1"
    )
    try:
        return dict(connection.execute(query).fetchall())
    except sqlite3.OperationalError:
        return {}


def grown(before: Mapping[str, int], after: Mapping[str, int], edits: int) -> dict[str, float]:
    """Bytes an edit, the most first; what hardly grew is left out."""
    found = {name: (size - before.get(name, 0)) / edits for name, size in after.items()}
    return {name: round(size, 1) for name, size in sorted(found.items(), key=lambda one: -one[1]) if size >= 1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--servers", default="ours,ours-pg", help="of ours; also ours-bare, ours-pg-bare")
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--cards", type=int, default=20)
    parser.add_argument("--photo", type=int, default=20_000, help="bytes")
    given = parser.parse_args()
    told = {}
    for label in given.servers.split(","):
        with tempfile.TemporaryDirectory(prefix="carddav-growth-") as folder:
            kind = SERVERS[label]
            server = kind(Path(folder))
            if not isinstance(server, Ours) or kind.missing():
                print(f"{label} is left out", file=sys.stderr)
                continue
            try:
                server.set_up()
                # As many before: what is written once for a card or a client is no growth by edits, nor is the room
                # that PostgreSQL leaves to rows that are written anew, and uses again.
                first, last = given.cards + given.edits, given.cards + 2 * given.edits
                put(server, given.cards, range(first), given.photo)
                before = sizes(server)
                put(server, given.cards, range(first, last), given.photo)
                told[label] = grown(before, sizes(server), given.edits)
            finally:
                server.tear_down()
    print(json.dumps({"edits": given.edits, "photo": given.photo, "bytes an edit": told}, indent=2))
    return 0 if told and all(one["all"] <= GOAL for one in told.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
