"""Undo by law: whatever people did, and whatever of it is taken back, against a plain model of cards.

The model is told by the history's own bytes what each change did. It knows single properties, sets of texts, and
whether a card is there; it says what an undo has to leave, and where it has to name later work that it kept. Of numbers
that both sides changed nobody can say which became which: there an undo may name more than it had to.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from sqlalchemy import select

from radicale_shared import cards, changes, undo
from radicale_shared.bodies import read
from radicale_shared.changes import Actor
from radicale_shared.models import Act, Change
from radicale_shared.models import Card as CardTable
from radicale_shared.selections import Selection
from radicale_shared.undo_plan import Step, What
from radicale_shared.vcard import Card
from tests.conftest import card, examples

PEOPLE = [Actor(None, name, device=f"phone of {name}") for name in ("ada", "ben", "mia")]
SINGLE = ("NOTE", "TITLE", "BDAY")
VALUES = {"NOTE": ("one", "two", "three"), "TITLE": ("Dr.", "Boss"), "BDAY": ("1980-01-01", "1990-02-02")}
NUMBERS = ("+1", "+22", "+333")
CATEGORIES = ("friends", "family", "press")
HREFS = st.sampled_from(["a", "b"])

edits = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(SINGLE), st.integers(0, 3)),
    st.tuples(st.just("set"), st.just("NOTE"), st.integers(0, 3)),
    st.tuples(st.just("toggle"), st.just("TEL"), st.sampled_from(NUMBERS)),
    st.tuples(st.just("toggle"), st.just("CATEGORIES"), st.sampled_from(CATEGORIES)),
    st.just(("rewrite",)),
)
deeds = st.one_of(
    st.tuples(st.just("put"), HREFS, edits),
    st.tuples(st.just("put"), HREFS, edits),
    st.tuples(st.just("put"), HREFS, edits),
    st.tuples(st.just("remove"), HREFS),
    st.tuples(st.just("import"), st.lists(st.tuples(HREFS, edits), min_size=1, max_size=3)),
    st.tuples(st.just("undo"), st.integers(1, 2**12)),
)
DEEDS = st.lists(st.tuples(st.integers(0, 2), deeds), min_size=2, max_size=12)
Model = dict[str, Any] | None


class Scribe:
    """Writes cards as programs do: the same content in another order and spelling each time."""

    def __init__(self, desk: Any, chance: random.Random) -> None:
        self.desk = desk
        self.chance = chance
        self.acts: list[int] = []

    def do(self, by: Actor, deed: tuple[Any, ...]) -> None:
        match deed:
            case ("put", href, edit):
                self.desk.put(href, self.written(href, self.now(href), edit), by=by)
            case ("remove", href) if self.desk.get(href):
                self.desk.remove(href, by=by)
            case ("import", some):
                whole = self.desk.access
                with self.desk.db.write(self.desk.book_id) as session:
                    act_id = changes.begin(session, "import", by, book_id=self.desk.book_id)
                    for href, edit in some:
                        row = self.row(session, href)
                        content = cards.check(self.written(href, row, edit))
                        secret = self.desk.db.secret
                        cards.put(session, whole, href, content, secret=secret, by=by, act_id=act_id)
            case ("undo", mask) if self.acts:
                chosen = frozenset(act for at, act in enumerate(self.acts) if mask >> at & 1)
                if chosen:
                    undo.run(self.desk.db, Selection(book_id=self.desk.book_id, acts=chosen), by=by)
        self.acts = [act for act, *_ in log(self.desk)]
        self.acts = sorted(set(self.acts))

    def now(self, href: str) -> Model:
        found = self.desk.get(href)
        return model(found.data if found else None)

    def row(self, session: Any, href: str) -> Model:
        body_id = session.scalar(
            select(CardTable.body_id).where(CardTable.book_id == self.desk.book_id, CardTable.href == href)
        )
        return model(read(session, body_id) if body_id is not None else None)

    def written(self, href: str, there: Model, edit: tuple[Any, ...]) -> bytes:
        content = there or {
            **dict.fromkeys(SINGLE, ""),
            "TEL": frozenset(),
            "CATEGORIES": frozenset(),
            "UID": self.chance.choice([href, f"{href}-again"]),
        }
        match edit:
            case ("set", name, at):
                content = {**content, name: (*VALUES[name], "")[at % (len(VALUES[name]) + 1)]}
            case ("toggle", name, value):
                content = {**content, name: content[name] ^ {value}}
        lines = [f"{name}:{content[name]}" for name in SINGLE if content[name]]
        lines += [f"TEL:{value}" for value in content["TEL"]]
        if content["CATEGORIES"]:
            items = sorted(content["CATEGORIES"])
            lines.append("CATEGORIES:" + ",".join(self.chance.sample(items, k=len(items))))
        self.chance.shuffle(lines)
        if self.chance.random() < 0.3:
            lines = [f"{line.partition(':')[0].lower()}:{line.partition(':')[2]}" for line in lines]
        return card(content["UID"], "Somebody", *lines, f"REV:{self.chance.getrandbits(64)}")


def model(data: bytes | None) -> Model:
    if data is None:
        return None
    parsed = Card.parse(data)
    listed = parsed.text("CATEGORIES")
    assert all(len(parsed.all(name)) <= 1 for name in SINGLE)
    assert len(parsed.all("TEL")) == len(set(parsed.texts("TEL")))
    return {
        **{name: parsed.text(name) for name in SINGLE},
        "TEL": frozenset(parsed.texts("TEL")),
        "CATEGORIES": frozenset(listed.split(",") if listed else ()),
        "UID": parsed.uid,
    }


def by_undo(desk: Any) -> set[int]:
    """The acts that took something back."""
    with desk.db.read() as session:
        return set(session.scalars(select(Act.id).where(Act.kind == "undo")))


def log(desk: Any) -> list[tuple[int, str, bytes | None, bytes | None]]:
    """(act, href, bytes before, bytes after) of all changes, oldest first."""
    query = (
        select(Change.act_id, CardTable.href, Change.before_id, Change.after_id)
        .join(CardTable, CardTable.id == Change.card_id)
        .where(Change.book_id == desk.book_id)
        .order_by(Change.revision)
    )
    with desk.db.read() as session:
        return [
            (act, href, *(None if one is None else read(session, one) for one in (before, after)))
            for act, href, before, after in session.execute(query).all()
        ]


def runs(changes_: list[tuple[int, bytes | None, bytes | None]], chosen: frozenset[int], undos: set[int]):
    """(before, after, others made or deleted the card since) of the unbroken runs of chosen changes, newest first."""
    found: list[list[Any]] = []
    was_chosen = False
    for act, before, after in changes_:
        if act in chosen and was_chosen:
            found[-1][1] = after
        elif act in chosen:
            found.append([before, after, False])
        elif act not in undos and None in (before, after):
            found = [[one, other, True] for one, other, _ in found]
        was_chosen = act in chosen
    return reversed(found)


def expected(changes_, chosen: frozenset[int], undos: set[int]) -> tuple[Model, set[str], bool]:
    """What an undo has to leave of a card; where it has to name what it kept ("" for the card); is TEL ambiguous."""
    now = model(changes_[-1][2])
    named: set[str] = set()
    open_numbers = False
    for before, after, remade in ((model(one), model(other), its) for one, other, its in runs(changes_, chosen, undos)):
        if remade and None in (before, after) and before not in (after, now):
            named.add("")
        elif now in (before, after) and not open_numbers:
            now = before
        elif now is None or before is None or after is None or len({one["UID"] for one in (now, before, after)}) > 1:
            if before != after and not (now is None and None in (before, after)):
                named.add("")
        else:
            now = dict(now)
            for name in SINGLE:
                if now[name] == after[name]:
                    now[name] = before[name]
                elif now[name] != before[name] != after[name]:
                    named.add(name)
            for name in ("TEL", "CATEGORIES"):
                open_numbers |= name == "TEL" and len({now[name], before[name], after[name]}) == 3
                now[name] = now[name] - (after[name] - before[name]) | (before[name] - after[name])
    return now, named, open_numbers


def replayed(changes_, chosen: frozenset[int]) -> Model:
    """The card as it would be had the chosen acts never been: the others' changes, one after another."""
    now = model(changes_[0][1])
    for act, one, other in changes_:
        before, after = model(one), model(other)
        if act in chosen or before == after:
            continue
        if before is None or after is None or now is None:
            now = after
            continue
        now = dict(now)
        for name, value in after.items():
            if isinstance(value, frozenset):
                now[name] = now[name] - (before[name] - value) | (value - before[name])
            elif value != before[name]:
                now[name] = value
    return now


def touched(one: bytes | None, other: bytes | None) -> set[str]:
    before, after = model(one), model(other)
    if before is None or after is None:
        return set() if before == after else {"", "UID", "TEL", "CATEGORIES", *SINGLE}
    return {name for name in before if before[name] != after[name]}


def is_closed(changes_, chosen: frozenset[int]) -> bool:
    """Whether no kept change touches what a chosen one before it touched."""
    undone: set[str] = set()
    for act, before, after in changes_:
        now = touched(before, after)
        if act in chosen:
            undone |= now
        elif undone & now or ("" in undone and now) or ("" in now and undone):
            return False
    return True


@examples(40)
@given(steps=DEEDS, mask=st.integers(1, 2**16), chance=st.randoms(use_true_random=False))
def test_an_undo_equals_the_state_without_what_it_takes_back_and_names_where_others_built_on_it(
    new_desk, steps, mask, chance
):
    desk = new_desk()
    scribe = Scribe(desk, chance)
    for who, deed in steps:
        scribe.do(PEOPLE[who], deed)
    chosen = frozenset(act for at, act in enumerate(scribe.acts) if mask >> at & 1)
    if not chosen:
        return
    by_href: dict[str, list[tuple[int, bytes | None, bytes | None]]] = {}
    for act, href, before, after in log(desk):
        by_href.setdefault(href, []).append((act, before, after))

    told: dict[str, Step] = {}
    selection = Selection(book_id=desk.book_id, acts=chosen)
    with desk.db.snapshot() as session:
        planned = {step.href: step for step in undo.plan(session, selection)}
    outcome = undo.run(desk.db, selection, by=PEOPLE[2], seen=lambda step: told.update({step.href: step}))

    assert told == planned, "a dry run says what is done"
    state, undos = desk.state(), by_undo(desk)
    assert told.keys() == {href for href, its in by_href.items() if chosen & {act for act, *_ in its}}
    for href, its in by_href.items():
        now, named, open_numbers = expected(its, chosen, undos)
        found, step = model(state.get(href)), told.get(href)
        conflicts = {one.name for one in step.conflicts} | ({""} if step.why else set()) if step else set()
        if open_numbers:
            event("a list of numbers was changed by both")
            if len(list(runs(its, chosen, undos))) > 1:
                continue  # what is decided next depends on what became of the numbers
            conflicts, named = conflicts - {"TEL"}, named - {"TEL"}
            if step and any(one.name == "TEL" for one in step.conflicts):
                now, found = ({**one, "TEL": None} if one else None for one in (now, found))
        assert found == now
        assert conflicts == named
        if is_closed(its, chosen):
            event("nobody built on it")
            assert conflicts == set()
            assert model(state.get(href)) == replayed(its, chosen)
        elif named:
            event("later work was kept")
        first = next((at for at, (act, *_) in enumerate(its) if act in chosen), None)
        if first is not None and all(act in chosen for act, *_ in its[first:]):
            assert state.get(href) == its[first][1], "what nobody else touched comes back byte for byte"
        if step:
            assert (step.what is What.NOTHING) == (
                state.get(href) == its[-1][2] and not step.why and not step.conflicts
            )
            assert bool(step.differences) <= (step.what in {What.CHANGED, What.RESTORED, What.DELETED})
    assert len(outcome.acts) == any(state.get(href) != its[-1][2] for href, its in by_href.items())


@examples(25)
@given(steps=DEEDS, at=st.integers(0, 30), chance=st.randoms(use_true_random=False))
def test_a_book_as_of_a_moment_is_byte_for_byte_what_it_was_and_the_undo_of_that_what_it_had_become(
    new_desk, steps, at, chance
):
    desk = new_desk()
    scribe = Scribe(desk, chance)
    states = {}
    for who, deed in steps:
        scribe.do(PEOPLE[who], deed)
        with desk.db.read() as session:
            newest = session.scalar(select(Act.at).where(Act.book_id == desk.book_id).order_by(Act.id.desc()).limit(1))
        states[newest] = desk.state()
    moment, then = list(states.items())[at % len(states)]
    last = desk.state()

    try:
        outcome = undo.run(desk.db, Selection(book_id=desk.book_id, as_of=moment), by=PEOPLE[2])
    except undo.NotFoundError:
        assert then == last
        return
    assert desk.state() == then
    assert outcome.conflicts == 0
    if outcome.acts:
        undo.run(desk.db, Selection(book_id=desk.book_id, acts=frozenset(outcome.acts)), by=PEOPLE[2])
        assert desk.state() == last
