"""The formats of phones by make, one module each, in the order in which they are listed."""

from __future__ import annotations

from ..asking import Format
from . import (
    avaya,
    cisco,
    fanvil,
    fritzbox,
    gigaset,
    grandstream,
    htek,
    microsip,
    mitel,
    panasonic,
    poly,
    snom,
    thomson,
    yealink,
)

FORMATS: dict[str, Format] = {
    made.FORMAT.name: made.FORMAT
    for made in (
        yealink,
        cisco,
        snom,
        grandstream,
        fanvil,
        gigaset,
        fritzbox,
        poly,
        mitel,
        panasonic,
        htek,
        thomson,
        avaya,
        microsip,
    )
}
