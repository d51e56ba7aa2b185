"""From a tape to plain data about its picture: which boxes, which arrows, what they say.

Nothing here draws, and nothing of the tape is changed, freed or kept alive.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..engine.batched import Batched
from ..engine.replay import plain
from ..engine.tape import ancestors, leaf
from ..engine.tensor import Tensor, attached
from ..errors import AutogradError
from .fold import outermost_closed
from .parts import Box, Group, View
from .reading.branch import Branch, grown, open_to
from .reading.differentiated import BackwardPass, backward_pass
from .reading.faults import faults
from .reading.groups import close, numbered
from .reading.reader import Reader
from .reading.rows import fold_rows
from .words import summary


def view(
    tensor: Tensor, *, backward: bool = False, fold: bool = True, depth: int | None = None, limit: int = 150
) -> View:
    """What a picture of `tensor` shows: every op that it came from, and a leaf for each op that uses it.

    With `backward`, the backward pass too, recorded for the occasion.  Equal blocks in a row are closed but for the
    first, if `fold`; so are groups deeper than `depth` scopes, and as many others as it takes for `limit` boxes.
    Raises AutogradError for anything but a Tensor, BackwardError if `backward` has nothing to read.

    >>> import tinygrad_np as tg
    >>> a = tg.Tensor(2.0, requires_grad=True, name="a")
    >>> [(box.kind, box.name, box.formula) for box in view(a * 3).boxes]
    [('parameter', 'a', ''), ('op', None, 'a * 3'), ('result', None, '')]
    """
    tensor = _drawable(tensor)
    start = tensor.node or leaf(tensor.data)
    nodes = ancestors([start])
    back = backward_pass(tensor) if backward else BackwardPass()
    reader = Reader(tensor, nodes, back)
    for node in nodes:
        reader.read(node)
    root = _tree(reader, reader.boxes, fold)
    if start.is_leaf:
        reader.add_leaf(start)
    else:
        reader.add_result(start, tensor, start.name)
    if back.nodes:
        reader.remember_arrays(nodes)
        root = _read_backward(reader, back, root, fold)
    boxes, notes = faults(reader.boxes, reader.arrows)
    for box in boxes:
        if box.bad and box.id in reader.op_of:
            open_to(root, reader.op_of[box.id])
    groups, group_of, apart = _closed(root, reader, limit - 1, depth)
    paths, uses = reader.paths(), reader.uses()
    boxes = [
        replace(
            box,
            group=apart.get(box.id, group_of.get(reader.op_of.get(box.id, -1), 0)),
            path=paths.get(box.id, "") if box.kind == "parameter" else "",
            uses=uses.get(box.id, 1),
        )
        for box in boxes
    ]
    boxes = _brought_in(boxes, reader, groups)
    notes = (*notes, *_about_complex(boxes))
    answer = summary(tensor.data) if tensor.data.size == 1 else f"shape {tensor.shape}"
    return View(tensor.name, answer, notes, boxes, reader.arrows, groups)


def _drawable(tensor: Tensor) -> Tensor:
    """The tensor to draw, inside vmap as that of the first example."""
    if type(tensor) is Batched:
        raise AutogradError(
            "draw() inside vmap got an array that depends on nothing that requires grad, so that nothing of it was "
            "recorded.  Draw what is computed from Tensor(..., requires_grad=True), or inside the function of a "
            "gradient: vmap(grad(f))."
        )
    if not isinstance(tensor, Tensor):
        several = "  Of several, draw what they go into, such as their sum: draw(a + b)."
        raise AutogradError(
            f"draw() shows how a Tensor was computed, and got {type(tensor).__name__}.  Give it the result of a "
            "computation on tensors: draw(loss).  Only Tensor(..., requires_grad=True) and what is computed from "
            f"it has a graph.{several if isinstance(tensor, list | tuple) else ''}"
        )
    batched = type(tensor.data) is Batched
    return attached(plain(tensor.data), tensor.node) if batched else tensor


def _tree(reader: Reader, boxes: list[Box], fold: bool) -> Branch:
    """The groups of some boxes."""
    ops = [box.id for box in boxes if box.kind == "op"]
    root = grown(ops, [reader.scope_of[i] for i in ops])
    if fold:
        fold_rows(root, reader.likeness_of, len(boxes), reader.wiring)
    return root


def _closed(
    root: Branch, reader: Reader, limit: int, depth: int | None
) -> tuple[list[Group], dict[int, int], dict[int, int]]:
    """The groups, some of them closed; the group of each op; that of each gradient that stands apart from its op."""
    weights, leaves = Counter(reader.op_of.values()), reader.leaves()
    apart: dict[int, int] = {}
    room = limit
    while True:
        close(root, weights, room, depth)
        groups, group_of = numbered(root, leaves)
        apart = _gradients_apart(reader, groups, group_of)
        # Those need room too, for which more may have to be closed.
        if len(apart) <= limit - room or room < limit // 2:
            return groups, group_of, apart
        room = limit - len(apart)


def _gradients_apart(reader: Reader, groups: list[Group], group_of: dict[int, int]) -> dict[int, int]:
    """The gradients that stand outside of the closed block they come from, as their parameters are drawn."""
    closed = outermost_closed(groups)

    def hidden(box: int) -> bool:
        return closed[group_of.get(reader.op_of.get(box, -1), 0)] is not None

    drawn = {node for box, node in reader.leaf_at.items() if not hidden(box)}
    backward = max((group.id for group in groups if group.kind == "pass"), default=0)
    return {box: backward for box, node in reader.gradient_of.items() if hidden(box) and node in drawn}


def _brought_in(boxes: list[Box], reader: Reader, groups: list[Group]) -> list[Box]:
    """Data that a scope starts from stands outside of it: it is brought in, as what others computed is."""
    computed = {arrow.target for arrow in reader.arrows if boxes[arrow.source].kind == "op"}

    def outside(group: int) -> int:
        around, kinds = group, []
        while groups[around].kind == "scope" and not groups[around].closed:
            around = groups[around].parent
            kinds.append(groups[around].kind)
        return groups[group].parent if kinds and kinds[-1] in ("root", "pass") else group

    return [
        replace(box, group=outside(box.group))
        if box.kind == "data" and not box.backward and box.id in reader.op_of and reader.op_of[box.id] not in computed
        else box
        for box in boxes
    ]


def _about_complex(boxes: list[Box]) -> tuple[str, ...]:
    """What is to be said of the gradients of complex numbers."""
    if not any(box.dtype.startswith("complex") for box in boxes):
        return ()
    what = "rules and the backward pass compute" if any(box.backward for box in boxes) else "rules compute"
    return (f"complex numbers: gradients are shown as dL/dx + i dL/dy, and {what} with their conjugates",)


def _read_backward(reader: Reader, back: BackwardPass, forward: Branch, fold: bool) -> Branch:
    """Read the backward pass; forward and backward side by side as two groups."""
    count = len(reader.boxes)
    reader.wiring.begin_pass()
    for node in back.nodes:
        origin = back.origin.get(node)
        words = () if origin is None else (f"backward of {origin.rule.op.name}",)
        reader.read(node, backward=True, details=words)
    branch = _tree(reader, reader.boxes[count:], fold)
    for parameter, gradient in back.gradients:
        reader.add_gradient(parameter, gradient)
    forward.kind, forward.label = branch.kind, branch.label = ("pass", "forward pass")
    branch.label = "backward pass"
    return Branch("root", items=[forward, branch])
