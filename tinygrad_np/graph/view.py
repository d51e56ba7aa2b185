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
from .parts import Box, Group, View
from .reading.differentiated import BackwardPass, backward_pass
from .reading.faults import faults
from .reading.groups import Branch, close, fold_rows, grown, numbered
from .reading.reader import Reader
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
    if not isinstance(tensor, Tensor):
        raise AutogradError(
            f"draw() shows how a Tensor was computed, and got {type(tensor).__name__}.  Give it the result of a "
            "computation on tensors: draw(loss).  Only Tensor(..., requires_grad=True) and what is computed from "
            "it has a graph."
        )
    if type(tensor.data) is Batched:
        tensor = attached(plain(tensor.data), tensor.node)  # inside vmap: the first example
    start = tensor.node or leaf(tensor.data)
    nodes = ancestors([start])
    back = backward_pass(tensor) if backward else BackwardPass()
    reader = Reader(tensor, nodes, back.nodes)
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
    weights = Counter(reader.op_of.values())
    close(root, weights, limit - 1, depth)
    groups, group_of = numbered(root, reader.leaves())
    paths = reader.paths()
    boxes = [
        replace(
            box,
            group=group_of.get(reader.op_of.get(box.id, -1), 0),
            path=paths.get(box.id, "") if box.kind == "parameter" else "",
        )
        for box in reader.boxes
    ]
    boxes = _brought_in(boxes, reader, groups)
    boxes, notes = faults(boxes, reader.arrows)
    answer = summary(tensor.data) if tensor.data.size == 1 else f"shape {tensor.shape}"
    return View(tensor.name, answer, notes, boxes, reader.arrows, groups)


def _tree(reader: Reader, boxes: list[Box], fold: bool) -> Branch:
    """The groups of some boxes."""
    ops = [box.id for box in boxes if box.kind == "op"]
    root = grown(ops, [reader.scope_of[i] for i in ops])
    if fold:
        fold_rows(root, reader.likeness_of, len(boxes))
    return root


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


def _read_backward(reader: Reader, back: BackwardPass, forward: Branch, fold: bool) -> Branch:
    """Read the backward pass; forward and backward side by side as two groups."""
    count = len(reader.boxes)
    for node in back.nodes:
        origin = back.origin.get(node)
        words = () if origin is None else (f"backward of {origin.rule.op.name}",)
        reader.read(node, backward=True, details=words)
    branch = _tree(reader, reader.boxes[count:], fold)
    for parameter, gradient in back.gradients:
        if gradient.node is not None:
            name = f"d{parameter.name}" if parameter.name else None
            reader.add_result(gradient.node, gradient, name, backward=True)
    # What the backward pass starts from is a leaf of its tape, and no parameter.
    reader.boxes[count:] = [
        replace(box, kind="data") if box.kind == "parameter" and box.name == back.seed else box
        for box in reader.boxes[count:]
    ]
    forward.kind, forward.label = branch.kind, branch.label = ("pass", "forward pass")
    branch.label = "backward pass"
    return Branch("root", items=[forward, branch])
