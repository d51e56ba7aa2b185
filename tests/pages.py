"""Views made by hand, for the tests of the HTML page."""

from dataclasses import replace

from tinygrad_np.graph.parts import Arrow, Box, Group, Summary, View

HOSTILE = [
    "</script><script>alert(1)</script>",
    '<<b>x</b>> ]; evil [URL="javascript:1"',
    "<img src=x onerror=alert(1)>",
    "@data@ @script@ \\u003c {} \\",
    "line\u2028separator &amp; &lt;b&gt;",
    "\x00\x1b[31m\u202egnp.exe",
    "مرحبا שלום 🎉👩‍👩‍👧",
    "x" * 30_000,
]


def values(text, low=-1.0, high=2.0):
    image = tuple(tuple(range(64 * row, 64 * row + 64, 4)) for row in range(4))
    return Summary(text, rms=0.5, low=low, high=high, counts=(1, 4, 9, 3, 0, 2), image=image,
                   image_low=low, image_high=high)  # fmt: skip


def root(**options):
    return Group(0, 0, "root", **options)


def mlp(gradients=True):
    """x @ W + b in a scope, relu, a mean: with every field that the panel shows."""
    grad = (lambda text: values(text)) if gradients else (lambda text: None)
    size = (lambda rms: rms) if gradients else (lambda rms: None)
    boxes = [
        Box(0, "data", "x", "x", (4, 6), "float64", value=values("0.50 ± 0.29", 0.0, 1.0), nbytes=192),
        Box(1, "parameter", "W", "fc1.W", (6, 5), "float64", value=values("0.01 ± 0.05"), grad=grad("0.03 ± 0.07"),
            size=30, nbytes=240, group=1),
        Box(2, "op", None, "", (4, 5), "float64", "matmul @", "x @ W", ("dW = xᵀ @ g",), (), values("0.2 ± 0.1"),
            grad("0.001 ± 0.002"), (("x", 192),), "mlp.py:12", "h = x @ W + b", 0.0021, 0.00004, nbytes=160, group=1),
        Box(3, "parameter", "b", "fc1.b", (5,), "float64", value=Summary("all 0"), grad=grad("0.05 ± 0.12"), group=1),
        Box(4, "op", "h", "fc1.h", (4, 5), "float64", "add +", "x + b", ("dx = g", "db = sum(g, axis=0)"),
            ("broadcast (5,) → (4, 5)",), values("0.3 ± 0.1"), grad("0.004 ± 0.002"), group=1),
        Box(5, "op", None, "", (4, 5), "float64", "relu", "relu(h)", ("dh = g * (h > 0)",), (), values("0.4 ± 0.1")),
        Box(6, "op", None, "", (), "float64", "mean", "mean(x)", ("dx = g / 20, repeated for every entry",), (),
            values("0.37")),
        Box(7, "result", "loss", "", (), "float64", value=Summary("0.37"), grad=Summary("1") if gradients else None),
    ]  # fmt: skip
    arrows = [
        Arrow(0, 2, (4, 6), "float64", needs_grad=False),
        Arrow(1, 2, (6, 5), "float64", rms=size(0.073)),
        Arrow(2, 4, (4, 5), "float64", rms=size(0.055)),
        Arrow(3, 4, (5,), "float64", rms=size(0.13)),
        Arrow(4, 5, (4, 5), "float64", rms=size(0.066)),
        Arrow(5, 6, (4, 5), "float64", rms=size(0.05)),
        Arrow(6, 7, (), "float64", rms=size(1.0)),
    ]
    groups = [root(ops=4, parameters=35), Group(1, 0, "scope", "fc1", "Linear(6 → 5)", ops=2, parameters=35)]
    return View("loss", "0.37", (), boxes, arrows, groups)


def branching():
    """A weight with three uses, a skip connection over several layers, and an op with three inputs from above."""
    boxes = [Box(0, "parameter", "w", "w", (3,), "float64", uses=3, same=0)]
    boxes += [Box(1, "op", "a", "", (3,), "float64", "exp", "exp(w)", ("dw = g * out",))]
    boxes += [Box(2, "parameter", "w", "w", (3,), "float64", uses=3, same=0)]
    boxes += [Box(3, "op", None, "", (3,), "float64", "multiply *", "a * w")]
    boxes += [Box(4, "op", None, "", (3,), "float64", "tanh", "tanh(x)")]
    boxes += [Box(5, "op", None, "", (3,), "float64", "sin", "sin(x)")]
    boxes += [Box(6, "parameter", "w", "w", (3,), "float64", uses=3, same=0)]
    boxes += [Box(7, "op", None, "", (3,), "float64", "where", "where(w, x, a)")]
    boxes += [Box(8, "op", None, "", (), "float64", "sum", "sum(x)"), Box(9, "result", "y", "", (), "float64")]
    pairs = [(0, 1), (1, 3), (2, 3), (3, 4), (4, 5), (6, 7), (5, 7), (1, 7), (3, 7), (7, 8), (8, 9)]
    arrows = [Arrow(a, b, (3,), "float64", rms=0.5, total=a in (0, 1, 2, 3, 6)) for a, b in pairs]
    return View("y", "1.5", (), boxes, arrows, [root(ops=6, parameters=3)])


def chain(blocks, closed=True, ops=8):
    """Blocks in a row, in a group each: `ops` ops and one parameter in each."""
    boxes, arrows, groups = [Box(0, "data", "x", "", (2,), "float64")], [], [root(ops=blocks * ops)]
    last = 0
    for block in range(blocks):
        groups.append(Group(block + 1, 0, "scope", f"block{block}", ops=ops, parameters=2, closed=closed))
        boxes.append(Box(len(boxes), "parameter", f"w{block}", f"block{block}.w", (2,), "float64", group=block + 1))
        for op in range(ops):
            box = Box(len(boxes), "op", None, "", (2,), "float64", f"op{op}", "x + 1", group=block + 1)
            boxes.append(box)
            arrows.append(Arrow(last, box.id, (2,), "float64", rms=0.1))
            if op == 0:
                arrows.append(Arrow(box.id - 1, box.id, (2,), "float64", rms=0.2))
            last = box.id
    boxes.append(Box(len(boxes), "result", "y", "", (2,), "float64"))
    arrows.append(Arrow(last, len(boxes) - 1, (2,), "float64", rms=1.0))
    return View("y", "shape (2,)", (f"{blocks} blocks are folded",), boxes, arrows, groups)


def opened_chain():
    return chain(4, closed=False)


def hostile():
    """The same eight boxes with a hostile string in every field of text."""
    view = mlp()
    evil = [HOSTILE[i % len(HOSTILE)] for i in range(len(view.boxes))]
    boxes = [
        replace(box, name=text, path=text, text=text, formula=text, rules=(text,), details=(text,), place=text,
                code=text, dtype=text, saved=((text, 1),), value=values(text), grad=values(text))
        for box, text in zip(view.boxes, evil, strict=True)
    ]  # fmt: skip
    arrows = [replace(arrow, role=evil[0], part=evil[1], dtype=evil[2]) for arrow in view.arrows]
    groups = [view.groups[0], replace(view.groups[1], label=evil[0], detail=evil[2])]
    return View(evil[0], evil[1], (evil[2],), boxes, arrows, groups)


def with_nan():
    view = mlp()
    marks = {4: {"bad": True, "value": Summary("3 of 20 not finite", bad=3, rms=float("nan"))}}
    marks |= {i: {"tainted": True} for i in (5, 6, 7)}
    return replace(view, boxes=[replace(box, **marks.get(box.id, {})) for box in view.boxes])


def drawn_backward():
    """loss = exp(a) ** 2 beside its backward pass, which uses the value of exp(a) and that of a."""
    forward = [
        Box(0, "parameter", "a", "", (), "float64", group=1),
        Box(1, "op", "e", "", (), "float64", "exp", "exp(a)", group=1),
        Box(2, "op", None, "", (), "float64", "power **", "e ** 2", group=1),
        Box(3, "result", "loss", "", (), "float64"),
    ]
    backward = [
        Box(4, "data", "g", "", (), "float64", group=2, backward=True),
        Box(5, "op", None, "", (), "float64", "multiply *", "2 * e * g", group=2, backward=True),
        Box(6, "op", None, "", (), "float64", "multiply *", "g * e", group=2, backward=True),
        Box(7, "result", "da", "", (), "float64", group=2, backward=True),
    ]
    pairs = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7), (1, 5), (1, 6)]
    groups = [root(ops=4), Group(1, 0, "scope", "forward pass"), Group(2, 0, "scope", "backward pass")]
    return View("loss", "7.4", (), forward + backward, [Arrow(a, b, (), "float64") for a, b in pairs], groups)
