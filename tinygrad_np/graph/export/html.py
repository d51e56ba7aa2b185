"""From plain data about a tape to one HTML page that needs nothing else: no network, no other file.

The files in `page/` are put into it as they are, with the whole View as JSON beside them; what is drawn,
and where, is decided in the browser, because folding changes it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from dataclasses import MISSING, fields
from functools import cache
from importlib import resources
from typing import Any

from ..parts import Arrow, Box, Group, Summary, View
from ..words import NAME, cleaned, plainly, size
from .phrases import heading

LINE, HEADING = 160, 400
"""Formulas, source lines and other long texts are cut to so many characters, and lines of the heading."""
SCRIPTS = (
    "graph", "layers", "geometry", "layout", "content", "paint", "camera", "charts", "panel", "play", "search",
    "legend", "main",
)  # fmt: skip
"""Files that are one script, in this order."""


def to_html(view: View, title: str | None = None) -> str:
    """The graph as one HTML page: pan, zoom, fold, play the tape, and see every box in detail.

    `title` stands above it instead of the tensor's name and value.  The page is the same wherever it is
    opened: it loads nothing, and no text in it is obeyed as markup or script.

    >>> page = to_html(View("loss", "2.9", boxes=[Box(0, "result", "loss </script>")]))
    >>> page.startswith("<!DOCTYPE html>"), "loss </script>" in page
    (True, False)
    """
    first, *rest = [cleaned(line, HEADING) for line in heading(view, title)]
    data = {
        "title": first,
        "subtitle": " · ".join(rest),
        "boxes": [_box(box) for box in view.boxes],
        "arrows": [_arrow(arrow) for arrow in view.arrows],
        "groups": [_group(group) for group in view.groups],
    }
    script = _script()
    parts = {
        "title": html.escape(first),
        "page.css": _read("page.css"),
        "graph.css": _read("graph.css"),
        "data": _json(data),
        "script": script,
        # Nothing but this very script runs, whatever a name may smuggle into the page.
        "policy": f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
    }
    # All at once: what is put in is not searched for further places.
    return re.sub(r"@(title|page\.css|graph\.css|data|script|policy)@", lambda m: parts[m[1]], _read("page.html"))


@cache
def _read(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    return '(() => {\n"use strict";\n' + "\n".join(_read(f"{name}.js") for name in SCRIPTS) + "})();"


def _json(data: Any) -> str:
    """JSON that ends no script element: what HTML or old JavaScript may read otherwise is escaped."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda m: f"\\u{ord(m[0]):04x}", text)


# -- parts ------------------------------------------------------------------------------------


def _box(box: Box) -> dict[str, Any]:
    return _given(
        box,
        name=(cleaned(box.name).strip() or None) if box.name else None,
        path=cleaned(box.path, 2 * NAME),
        shape=_shape(box.shape),
        dtype=cleaned(box.dtype),
        text=cleaned(box.text),
        **{name: cleaned(getattr(box, name), LINE) for name in ("formula", "place", "code")},
        rules=[cleaned(line, LINE) for line in box.rules],
        details=[cleaned(line, LINE) for line in box.details],
        value=_summary(box.value),
        grad=_summary(box.grad),
        saved=[[cleaned(name), nbytes] for name, nbytes in box.saved],
    )


def _arrow(arrow: Arrow) -> dict[str, Any]:
    rms = None if arrow.rms is None else size(arrow.rms)
    return _given(
        arrow,
        shape=_shape(arrow.shape),
        dtype=cleaned(arrow.dtype),
        role=cleaned(arrow.role),
        part=cleaned(arrow.part),
        rms=rms,
    )


def _group(group: Group) -> dict[str, Any]:
    return _given(group, label=cleaned(group.label), detail=cleaned(group.detail))


def _given(whole: Any, **changed: Any) -> dict[str, Any]:
    """The fields of `whole` that differ from their defaults, which graph.js knows as well."""
    found = {}
    for field in fields(whole):
        original = getattr(whole, field.name)
        if field.default is MISSING or original != field.default or field.name == "shape":
            found[field.name] = changed.get(field.name, original)
    return found


def _shape(shape: tuple | None) -> str:
    return "" if shape is None else cleaned(str(shape), LINE)


def _summary(summary: Summary | None) -> dict[str, Any] | None:
    """An array in words, numbers and, if there is one, a picture: its bytes in rows of equal width."""
    if summary is None:
        return None
    found: dict[str, Any] = {"text": cleaned(summary.text, 2 * NAME), "bad": summary.bad}
    if summary.rms is not None:
        found["rms"] = size(summary.rms)
    if summary.counts:
        found |= {**_ends(summary.low, summary.high), "counts": summary.counts}
    if summary.image:
        rows = b"".join(bytes(row) for row in summary.image)
        found["image"] = {
            **_ends(summary.image_low, summary.image_high),
            "width": len(summary.image[0]),
            "bytes": base64.b64encode(rows).decode(),
        }
    return found


def _ends(low: float, high: float) -> dict[str, Any]:
    """The numbers at the ends of a scale, also as text; JSON has none that are infinite."""
    found: dict[str, Any] = {"lowText": plainly(low), "highText": plainly(high)}
    return found | {name: end if math.isfinite(end) else None for name, end in (("low", low), ("high", high))}
