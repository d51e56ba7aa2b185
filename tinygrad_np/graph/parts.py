"""What a picture of a tape is made of: plain data, which knows neither tensors nor how it is drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

SHOW = ("dtype", "bytes", "time", "source", "saved", "histogram")
"""What a picture can be asked to show beyond what it always does."""


@dataclass(frozen=True, slots=True)
class Summary:
    """An array in a few words and numbers.

    `text` is its entries if there are few, else mean ± standard deviation.  `rms` is the root of the mean
    square; `bad` counts entries that are nan or infinite, `nans` those that are nan.  `counts` is a histogram
    with as many equal steps from `low` to `high` (empty where no array is at hand).  `image` has rows of
    numbers 0 to 255, from `image_low` to `image_high`: a matrix, or some entries of one at equal distances.
    """

    text: str
    rms: float | None = None
    bad: int = 0
    nans: int = 0
    low: float = 0.0
    high: float = 0.0
    counts: tuple[int, ...] = ()
    image: tuple[tuple[int, ...], ...] = ()
    image_low: float = 0.0
    image_high: float = 0.0


@dataclass(frozen=True, slots=True)
class Box:
    """A parameter, a piece of data, an operation, the result, or a folded group of them ("folded").

    `name` is the user's, `path` the scopes around it and the name ("encoder.W").  `text` is the op, with its
    symbol if it has one, or what a folded group is.  `formula` is what was computed ("x @ W"), `rules` what
    its backward pass computes ("dW = xᵀ @ g"), `details` are metadata and broadcasts, one line each.
    `saved` names the arrays kept for the backward pass, with their bytes.  `place` is the line of the program
    ("mlp.py:12") and `code` what is written there; `seconds` are those of the forward pass and
    `back_seconds` those of the backward pass: known where the graph was recorded inside `inspect()`.
    `bad` is True for the first box that is known to have nan or inf, with `first` False where one whose value is not
    known may have had it before; `tainted` for what is computed from it.  `size` counts the entries of parameters,
    `nbytes` those of the value; `uses` counts the ops of its pass that use a leaf, which has a box for each, `same`
    is the first of them in both passes.  `group` is the innermost Group.  `backward` is True for a box of the drawn
    backward pass.
    """

    id: int
    kind: str
    name: str | None = None
    path: str = ""
    shape: tuple = ()
    dtype: str = ""
    text: str = ""
    formula: str = ""
    rules: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    value: Summary | None = None
    grad: Summary | None = None
    saved: tuple[tuple[str, int], ...] = ()
    place: str = ""
    code: str = ""
    seconds: float | None = None
    back_seconds: float | None = None
    bad: bool = False
    first: bool = True
    tainted: bool = False
    size: int = 0
    nbytes: int = 0
    uses: int = 1
    same: int | None = None
    group: int = 0
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """A value on its way from one box into another, and the size of the gradient on its way back.

    `shape` is None for a folded arrow that stands for values of several shapes; `count` is how many it stands for.
    `role` is what the formula calls an input that has no name, where the op has several; `part` says which
    result of an op with several it is, by its name or its number in brackets.  `rms` is the root mean square
    of the gradient; `total` says that it is summed over all uses of the source.  `needs_grad` is False where
    no gradient ever comes back.
    """

    source: int
    target: int
    shape: tuple | None = ()
    dtype: str = ""
    role: str = ""
    part: str = ""
    rms: float | None = None
    total: bool = False
    count: int = 1
    needs_grad: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Boxes that belong together.

    `kind` is "scope" (one of the user's, `label` its name and `detail` what stands beside it), "repeat" (a block
    that comes `count` times in a row: its first copy, then a group "more"), "more" (the other copies, each a
    group "copy"), "middle" (a stretch of a graph too long to show) or "pass" (where both passes are drawn).
    `ops` and `parameters` count what is inside, in all depths.  `closed` groups are drawn as one box.
    """

    id: int
    parent: int
    kind: str
    label: str = ""
    detail: str = ""
    count: int = 1
    ops: int = 0
    parameters: int = 0
    closed: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """All that a picture of one tensor shows.  The boxes are in the order they were computed.

    `name` and `answer` are those of the tensor; `notes` say what was folded, or is not known and why.  `dtypes` are
    those of all numbers, also of those that are folded; the usual one first.
    """

    name: str | None
    answer: str
    notes: tuple[str, ...] = ()
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    dtypes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.dtypes:
            object.__setattr__(self, "dtypes", self._dtypes())

    def _dtypes(self) -> tuple[str, ...]:
        carried = Counter([arrow.dtype for arrow in self.arrows] + [box.dtype for box in self.boxes])
        del carried[""]
        floating = {dtype: n for dtype, n in carried.items() if dtype.startswith(("float", "complex"))}
        usual = max(sorted(floating or carried), key=carried.__getitem__, default="")
        return tuple(sorted(carried, key=lambda dtype: (dtype != usual, dtype)))
