"""Tables of a TOML file as dataclasses: what is unknown or of a wrong type is refused with its place."""

from __future__ import annotations

import dataclasses
import os
import stat
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from .errors import ConfigurationError

T = TypeVar("T")
# Nobody means more, and times of so many hours can be reckoned with.
_LARGEST = 1_000_000


def read(where: str, kind: type[T], table: Mapping[str, Any], preset: Mapping[str, Any]) -> T:
    """A ``kind``, which is a dataclass, with the table's values over the preset's.

    where: file and table, for messages
    kind: its fields are texts, numbers from 1 to a million, booleans, tuples of one kind, mappings, or such dataclasses

    Raises ConfigurationError; it doesn't tell a wrong value, which may be a secret.
    """
    hints = get_type_hints(kind)
    names = [one.name for one in dataclasses.fields(kind)]  # type: ignore[arg-type]
    if unknown := [key for key in table if key not in names]:
        raise ConfigurationError(f"{where}: there is no key {unknown[0]!r}.")
    values = {key: _value(f"{where}: {key}", hints[key], value) for key, value in table.items()}
    return kind(**{**preset, **values})


def secret(where: str, key: str, value: str, file: str) -> str:
    """A secret that stands under ``key``, or in the file that ``key``_file names; empty without.

    where: file and table, for messages

    Raises ConfigurationError if both are there, or the file can't be read or can be by everyone.
    """
    if not file:
        return value
    if value:
        raise ConfigurationError(f"{where} has both {key} and {key}_file; keep one of them.")
    try:
        mode = os.stat(file).st_mode
        text = Path(file).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where}: {key}_file {file!r} can't be read: {error}") from error
    if mode & stat.S_IROTH:
        raise ConfigurationError(f"{where}: {key}_file {file!r} is readable by everyone; chmod o= it.")
    return text


def _value(where: str, hint: Any, value: Any) -> Any:
    """``value`` as the type that a field has."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, dict):
            return read(where, hint, value, {})
        raise ConfigurationError(f"{where} must be a table.")
    if get_origin(hint) is tuple:
        if isinstance(value, list):
            return tuple(_value(where, get_args(hint)[0], one) for one in value)
        raise ConfigurationError(f"{where} must be a list in brackets.")
    if get_origin(hint) is Mapping:
        if isinstance(value, dict):
            named = {key: _value(f"{where}.{key}", get_args(hint)[1], one) for key, one in value.items()}
            return types.MappingProxyType(named)
        raise ConfigurationError(f"{where} must be a table.")
    if type(value) is not hint:
        expected = {str: "a text in quotes", int: "a whole number", bool: "true or false"}[hint]
        raise ConfigurationError(f"{where} must be {expected}.")
    if hint is int and value < 1:
        raise ConfigurationError(f"{where} must be 1 or more; it is {value}.")
    if hint is int and value > _LARGEST:
        raise ConfigurationError(f"{where} must be {_LARGEST} or less; it is {value}.")
    return value
