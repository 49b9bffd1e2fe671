"""Statements that are compiled once, for what each request asks.

SQLAlchemy writes them; they are run on the driver's own connection, and their rows are plain tuples. Looking a
statement up in SQLAlchemy's cache and wrapping its rows costs four times as much as most of these statements do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Dialect
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

from . import connections

Rows = list[tuple[Any, ...]]
_Processor = Callable[[Any], Any]
_LIST = re.compile(r"\(?__\[POSTCOMPILE_(\w+)\]\)?")


class Statement:
    """One statement, for any database.

    clause: SQLAlchemy's; values are ``bindparam``s by name, an ``expanding`` one takes a list
    columns: those that an INSERT or UPDATE sets, each by a value of its name
    planned_anew: PostgreSQL looks at the values each time, as on them depends which index is the right one; else it
        knows the statement after some times, and plans no more
    """

    def __init__(self, clause: ClauseElement, *columns: str, planned_anew: bool = False) -> None:
        self._clause = clause
        self._columns = columns
        self._planned_anew = planned_anew
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, session: Session, **values: Any) -> Rows:
        """All rows of the answer."""
        connection = connections.of(session)
        return self._for(connection.dialect).run(connection.driver, values)

    def row(self, session: Session, **values: Any) -> tuple[Any, ...] | None:
        """The first row; None for none."""
        found = self.rows(session, **values)
        return found[0] if found else None

    def value(self, session: Session, **values: Any) -> Any:
        """The first column of the first row; None for none."""
        found = self.rows(session, **values)
        return found[0][0] if found else None

    def run(self, session: Session, **values: Any) -> None:
        """Run a statement that answers nothing."""
        self.rows(session, **values)

    def text(self, session: Session) -> str:
        """The SQL that the database of this session is sent; a list in it is not spread yet."""
        return self._for(connections.of(session).dialect).text

    def _for(self, dialect: Dialect) -> _Compiled:
        return self._compiled.get(dialect.name) or self._compile(dialect)

    def _compile(self, dialect: Dialect) -> _Compiled:
        written = self._clause.compile(dialect=dialect, column_keys=list(self._columns) or None)
        options = {"prepare": False} if self._planned_anew and dialect.name == "postgresql" else {}
        compiled = self._compiled[dialect.name] = _Compiled(cast(SQLCompiler, written), dialect, options)
        return compiled


class _Compiled:
    """A statement as one database understands it. options: of its driver"""

    def __init__(self, written: SQLCompiler, dialect: Dialect, options: dict[str, bool]) -> None:
        self.text = str(written)
        self._options = options
        self._order = written.positiontup
        self._lists = _LIST.findall(self.text)
        self._into = {
            name: processor
            for name, parameter in written.binds.items()
            if (processor := parameter.type.dialect_impl(dialect).bind_processor(dialect))
        }
        self._fixed = {
            name: self._bound(name, parameter.effective_value)
            for name, parameter in written.binds.items()
            if not parameter.required
        }
        self._out_of = [
            (place, processor)
            for place, column in enumerate(written._result_columns)
            if (processor := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]
        self._text_for = lru_cache(maxsize=64)(self._expanded)

    def run(self, driver: Any, values: dict[str, Any]) -> Rows:
        into = self._into
        bound = {name: self._bound(name, value) if name in into else value for name, value in values.items()}
        if self._fixed:
            bound = {**self._fixed, **bound}
        if self._lists:
            text = self._text_for(tuple(len(values[name]) for name in self._lists))
            given = self._spread(bound)
        else:
            text = self.text
            given = bound if self._order is None else [bound[name] for name in self._order]
        cursor = driver.execute(text, given, **self._options)
        if cursor.description is None:
            return []
        rows: Rows = cursor.fetchall()
        return [self._read(row) for row in rows] if self._out_of else rows

    def _bound(self, name: str, value: Any) -> Any:
        processor = self._into.get(name)
        if processor is None:
            return value
        return [processor(one) for one in value] if name in self._lists else processor(value)

    def _read(self, row: Sequence[Any]) -> tuple[Any, ...]:
        read = list(row)
        for place, processor in self._out_of:
            read[place] = processor(read[place])
        return tuple(read)

    def _expanded(self, lengths: tuple[int, ...]) -> str:
        """The text with a place for each member of its lists."""
        many = dict(zip(self._lists, lengths, strict=True))

        def places(found: re.Match[str]) -> str:
            name = found[1]
            if not many[name]:
                return "(NULL)"
            one = "?" if self._order is not None else None
            return "(" + ", ".join(one or f"%({name}_{number})s" for number in range(many[name])) + ")"

        return _LIST.sub(places, self.text)

    def _spread(self, bound: dict[str, Any]) -> Any:
        """The values with a place for each member of the lists among them."""
        if self._order is not None:
            return [one for name in self._order for one in (bound[name] if name in self._lists else (bound[name],))]
        spread = {name: value for name, value in bound.items() if name not in self._lists}
        for name in self._lists:
            spread.update((f"{name}_{number}", one) for number, one in enumerate(bound[name]))
        return spread
