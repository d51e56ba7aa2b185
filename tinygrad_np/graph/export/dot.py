"""From plain data about a tape to a graphviz graph: where boxes stand, and what is drawn as what.

Boxes are called by number, never by name.  Data flows down a spine, with leaves beside the op that uses
them; a drawn backward pass stands beside it and flows up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import graphviz

from ..parts import Arrow, Box, Group, View
from .colors import BAD, BORDERS, FILLS, FRAME, FRAME_FILL, GRADIENT, INK, LINE, PAPER, SPOILED, SPOILED_FILL
from .labels import arrow_label, frame_label, heading_label, leaf_label, op_label, result_label, tooltip
from .phrases import LEAVES

MANY = 200
"""With more boxes than this, the layout is the quick one."""


def to_dot(view: View, title: str | None = None, show: Collection[str] = ()) -> graphviz.Digraph:
    """The graph for a folded `view`; draws linear in the number of boxes."""
    return _Drawing(view, title, show).graph


class _Drawing:
    def __init__(self, view: View, title: str | None, show: Collection[str]) -> None:
        self.view, self.show = view, show
        self.usual = view.dtypes[0] if view.dtypes else ""
        self.dtype = "" if "dtype" in show else self.usual
        self.boxes = {box.id: box for box in view.boxes}
        self.quick = len(view.boxes) > MANY
        self.sides = {} if self.quick else _sides(view)
        self.spine = _spine(view)
        self.graph = graphviz.Digraph("tape")
        self.graph.attr(
            "graph", rankdir="TB", nodesep="0.3", ranksep="0.3", pad="0.25", bgcolor=PAPER,
            fontname="Helvetica", fontsize="12", fontcolor=INK, labelloc="t", labeljust="l",
            label=heading_label(view, title),
            # Leaves stand on the rank of their op also where frames are around them.  Two passes side by side
            # come in the right order only without.
            **({} if any(box.backward for box in view.boxes) else {"newrank": "true"}),
            **({"splines": "line", "nslimit": "1", "nslimit1": "1", "mclimit": "0.1"} if self.quick else {}),
        )  # fmt: skip
        self.graph.attr("node", shape="plain", fontname="Helvetica", fontsize="11", fontcolor=INK)
        self.graph.attr("edge", fontname="Helvetica", fontsize="10", fontcolor=INK, color=LINE, arrowsize="0.65")
        self._frames()
        for arrow in view.arrows:
            if arrow.source not in self.sides:
                self._arrow(arrow)
        self._turning_point()

    # -- boxes, in the frames of their groups ---------------------------------------------------

    def _frames(self) -> None:
        inner = defaultdict(list)
        for group in self.view.groups[1:]:
            inner[group.parent].append(group)
        members = defaultdict(list)
        for box in self.view.boxes:
            members[box.group].append(box)
        beside = defaultdict(list)
        for arrow in self.view.arrows:
            if arrow.source in self.sides:
                beside[arrow.source].append(arrow)
        frames = {group.id: self._frame(group) for group in self.view.groups[1:]}
        # What is inside of a group comes after it, so that backwards each is whole when it is put into another.
        for number in [*reversed(frames), 0]:
            graph = frames.get(number, self.graph)
            for box in members[number]:
                self._box(graph, box)
            for arrow in [arrow for box in members[number] for arrow in beside[box.id]]:
                self._beside(graph, arrow)
            for group in inner[number]:
                graph.subgraph(frames.pop(group.id))

    @staticmethod
    def _frame(group: Group) -> graphviz.Digraph:
        frame = graphviz.Digraph(f"cluster_{group.id}")
        frame.attr(
            label=frame_label(group), labeljust="l", margin="10", fontsize="11", color=FRAME,
            fillcolor=FRAME_FILL, style="rounded,dashed" if group.kind == "repeat" else "rounded,filled",
        )  # fmt: skip
        return frame

    def _box(self, graph: graphviz.Digraph, box: Box) -> None:
        about = {"tooltip": tooltip(box)}
        if box.kind in LEAVES:
            graph.node(str(box.id), leaf_label(box, self.show, self.usual), **about)
            return
        border, fill, style, width = BORDERS[box.kind], FILLS[box.kind], "rounded,filled", "1.3"
        if box.bad:
            border, width = BAD, "3"
        elif box.tainted:
            border, fill, style = SPOILED, SPOILED_FILL, "rounded,filled,dashed"
        elif box.kind == "result":
            width = "2"
        if box.kind == "folded":
            about["peripheries"] = "2"
        if box.id in self.spine:
            about["group"] = "spine"
        result = box.kind == "result"
        label = result_label(box, self.show, self.usual) if result else op_label(box, self.show)
        graph.node(str(box.id), label, shape="box", style=style, color=border, fillcolor=fill, penwidth=width,
                   margin="0.09,0.04", **about)  # fmt: skip

    # -- arrows -------------------------------------------------------------------------------

    def _beside(self, graph: graphviz.Digraph, arrow: Arrow) -> None:
        """A leaf on the rank of its op."""
        source, target = str(arrow.source), str(arrow.target)
        with graph.subgraph() as row:
            row.attr(rank="same")
            if self.sides[arrow.source] == "left":
                row.edge(source, target, arrow_label(arrow, "←", self.dtype))
            else:
                # On one rank, dot puts the tail of an arrow to the left of its head.
                row.edge(target, source, arrow_label(arrow, "→", self.dtype), dir="back")

    def _arrow(self, arrow: Arrow) -> None:
        source, target = self.boxes[arrow.source], self.boxes[arrow.target]
        if target.backward and not source.backward:
            # What a rule takes from the forward pass; it moves no box.
            self.graph.edge(str(source.id), str(target.id), style="dashed", constraint="false", arrowsize="0.5")
            return
        # Heavy arrows are short and straight: the ops line up, and leaves stand around them.
        weight = "1" if source.kind in LEAVES else "20" if {source.id, target.id} <= self.spine else "8"
        if target.backward:
            # Gradients flow up, beside the values that flow down.
            self.graph.edge(str(target.id), str(source.id), arrow_label(arrow, "", self.dtype), dir="back",
                            weight=weight, color=GRADIENT)  # fmt: skip
        else:
            self.graph.edge(str(source.id), str(target.id), arrow_label(arrow, "↑", self.dtype), weight=weight)

    def _turning_point(self) -> None:
        """Where the forward pass ends and the backward pass starts, side by side."""
        ends = [box.id for box in self.view.boxes if box.kind == "result" and not box.backward]
        starts = [box.id for box in self.view.boxes if box.kind == "data" and box.backward]
        if ends and starts:
            with self.graph.subgraph() as row:
                row.attr(rank="same")
                row.edge(str(ends[0]), str(starts[0]), style="dashed", color=GRADIENT)


def _spine(view: View) -> set[int]:
    """The longest path of ops to the result, which is drawn straight."""
    longest: dict[int, tuple[int, int | None]] = {}
    into: dict[int, list[int]] = defaultdict(list)
    for arrow in view.arrows:
        into[arrow.target].append(arrow.source)
    end = None
    for box in view.boxes:
        if box.kind in LEAVES or box.backward:
            continue
        lengths = [(longest[i][0] + 1, i) for i in into[box.id] if i in longest]
        longest[box.id] = max(lengths, default=(0, None))
        end = box.id
    found: set[int] = set()
    while end is not None:
        found.add(end)
        end = longest[end][1]
    return found


# -- leaves beside their op -------------------------------------------------------------------


def _sides(view: View) -> dict[int, str]:
    """The leaves that stand beside the op they go into, so that the ops form a column.

    A leaf stands on the side where it is in the formula, W in `W @ x` left of the op and b in `h + b` right
    of it, if nobody else stands there.
    """
    kinds = {box.id: box.kind for box in view.boxes}
    into: dict[int, list[int]] = defaultdict(list)
    for arrow in view.arrows:
        into[arrow.target].append(arrow.source)
    sides: dict[int, str] = {}
    for target, sources in into.items():
        if kinds[target] == "result" and len(sources) == 1:
            continue
        above = _from_above(sources, kinds)
        taken: set[str] = set()
        for i, source in enumerate(dict.fromkeys(sources)):
            if source == sources[above] or kinds[source] not in LEAVES:
                continue
            side = "left" if i < above or "right" in taken else "right"
            if side not in taken:
                sides[source] = side
                taken.add(side)
    return sides


def _from_above(sources: list[int], kinds: dict[int, str]) -> int:
    """The input that comes from above: what was computed, else the data among parameters, else the first."""
    found = [kinds[source] for source in sources]
    for i, kind in enumerate(found):
        if kind not in LEAVES:
            return i
    return found.index("data") if "data" in found else 0
