"""A transformer that learns to write Python's own reference, character by character.

The text comes with Python: the topics that `help("for")` shows.  The model reads 96 characters and gives the odds of
the next one; drawn from those odds again and again, characters become words, headings and grammar.

    python examples/transformer.py                  seven minutes on one idle core
    python examples/transformer.py --quick          a smaller model on a part of the text: a few seconds
    python examples/transformer.py --text FILE      another text: a file, "licence" (Python's) or "zen" (import this)
    python examples/transformer.py --load FILE --prompt "The class "    more text from a model that was trained before
"""

from __future__ import annotations

import codecs
import math
import sys
import sysconfig
import zlib
from collections import Counter
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import lesson
import numpy as np
from matplotlib.figure import Figure

import tinygrad_np as tg
from tinygrad_np import data, nn, optim

# -- the text ---------------------------------------------------------------------------------------


def licence() -> str:
    """Python's licence: where it lies depends on the platform and on who packed it."""
    folders = (sysconfig.get_path("stdlib"), sys.base_prefix)
    for file in [Path(folder, name) for folder in folders for name in ("LICENSE.txt", "LICENSE")]:
        if file.is_file():
            return file.read_text("utf-8")
    raise FileNotFoundError(f"this Python came without it: it is not in {' or '.join(folders)}")


def zen() -> str:
    """What `import this` prints."""
    # Read, not imported: importing prints it.  The module keeps its text with each letter moved by 13.
    source = Path(sysconfig.get_path("stdlib"), "this.py").read_text("utf-8")
    return codecs.decode(source.split('"""')[1], "rot13")


def reference() -> str:
    """The topics of `help()`, in the order of their names; a paragraph that several have only once."""
    topics = import_module("pydoc_data.topics").topics
    # What stands in both parts, for training and for validation, would be known by heart.
    return "\n\n".join(dict.fromkeys("\n\n".join(topics[name] for name in sorted(topics)).split("\n\n")))


def read_text(name: str) -> str:
    named = {"reference": reference, "licence": licence, "zen": zen}
    try:
        text = named[name]() if name in named else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: {name} cannot be read ({error}).  --text is {', '.join(named)} or a file in UTF-8.")
    if len(text) < 500:
        sys.exit(f"error: {name} has {len(text)} characters, too few to learn from and to test on: give 500 or more.")
    return text


# -- the model --------------------------------------------------------------------------------------


@dataclass
class Sizes:
    """What a model is made of."""

    symbols: int
    context: int = 96
    features: int = 96
    heads: int = 4
    blocks: int = 3


class Transformer(nn.Module):
    """Characters (N, length) to the scores of what comes after each, (N, length, symbols)."""

    def __init__(self, sizes: Sizes, rng: np.random.Generator):
        self.embedding = nn.Embedding(sizes.symbols, sizes.features, rng=rng)
        # Rows of length 1 or so: their products with the normed features are the scores, which start small.
        self.embedding.weight.data *= 1 / math.sqrt(sizes.features)
        self.positions = nn.LearnedPositions(sizes.context, sizes.features, rng=rng)
        self.blocks = [
            nn.TransformerBlock(sizes.features, sizes.heads, causal=True, rng=rng) for _ in range(sizes.blocks)
        ]
        self.norm = nn.LayerNorm(sizes.features)

    def forward(self, characters):
        """The scores, from whole numbers."""
        return self.scores(self.embedding(characters))

    def scores(self, x):
        """The scores, from the characters' vectors (N, length, features)."""
        x = self.positions(x)
        for block in self.blocks:
            x = block(x)
        # The embedding again, the other way round: one table tells what characters mean as they are read and written.
        return self.norm(x) @ self.embedding.weight.T

    def attention(self, characters) -> list[np.ndarray]:
        """Where each place looks: the weights (N, heads, length, length) of each block."""
        x, found = self.positions(self.embedding(characters)), []
        for block in self.blocks:
            found.append(block.attention_weights(x).data)
            x = block(x)
        return found


def bits(scores, characters):
    """The loss: bits per character that a perfect code by the model's odds would take."""
    return tg.cross_entropy(scores, characters) / math.log(2)


# -- the gradients ------------------------------------------------------------------------------------


def check_gradients(x: np.ndarray, y: np.ndarray, symbols: int) -> None:
    """Autograd against differences on a small model, and against what `causal` promises."""
    model = Transformer(Sizes(symbols, x.shape[1], 16, 2, 2), np.random.default_rng(0)).astype(np.float64)
    bits(model(x), y).backward()
    named = dict(model.named_parameters())
    for name in ("embedding.weight", "positions.weight", "blocks.0.attention.in_proj_weight", "blocks.1.mlp.0.weight"):
        parameter = named[name]

        def changed(array, parameter=parameter):
            parameter.data[...] = array
            return bits(model(x), y).data

        entries = np.random.default_rng(0).choice(parameter.size, 20, replace=False)
        start = parameter.data.copy()
        numeric = tg.testing.numeric_grad(changed, start, entries=entries)
        parameter.data[...] = start
        error = lesson.relative_error(numeric, parameter.grad.data.ravel()[entries])
        print(f"    {name:<36}{parameter.shape!s:<12}agrees {lesson.digits(error)}")
    place = x.shape[1] // 2
    vectors = model.embedding(x).data
    with tg.no_grad():
        gradient = tg.grad(lambda vectors: bits(model.scores(vectors)[:, place], y[:, place]))(vectors)
    felt = np.abs(gradient).max((0, 2))
    print(f"\nWhat comes after place {place} depends on {np.count_nonzero(felt[: place + 1])} of the", end=" ")
    print(f"{place + 1} characters up to it, and on {np.count_nonzero(felt[place + 1 :])} of the later ones.")


# -- training -----------------------------------------------------------------------------------------


def train(model: Transformer, known: np.ndarray, held_out: np.ndarray, context: int, epochs: int):
    """AdamW with warm-up and cosine; returns the history, whose losses are bits per character."""
    stretches = data.windows(known, context + 1, step=context // 2)
    loader = data.DataLoader(stretches[:, :-1], stretches[:, 1:], batch_size=16, shuffle=True, drop_last=True, rng=1)
    unseen = data.windows(held_out, context + 1, step=context)
    validation = data.DataLoader(unseen[:, :-1], unseen[:, 1:], batch_size=64)

    # Decay pulls weights towards 0, which is right for matrices, not for biases and the factors of norms.
    decays = [
        (0.1, [p for p in model.parameters() if p.ndim > 1]),
        (0.0, [p for p in model.parameters() if p.ndim == 1]),
    ]
    groups = [{"params": parameters, "weight_decay": decay} for decay, parameters in decays]
    optimizer = optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.99))
    warm_up = max(1, (steps := epochs * len(loader)) // 20)
    rising = optim.LinearLR(optimizer, start_factor=0.01, total_iters=warm_up)
    falling = optim.CosineAnnealingLR(optimizer, T_max=steps - warm_up, eta_min=1e-4)
    scheduler = optim.SequentialLR(optimizer, [rising, falling], milestones=[warm_up])
    return tg.fit(
        model, loader, bits, optimizer, epochs=epochs, validation=validation,
        scheduler=scheduler, scheduler_every="batch", clip_norm=1.0,
    )  # fmt: skip


def baselines(known: str, held_out: str) -> None:
    """What others need for the text that the model does not see."""
    counts, symbols = Counter(known), len(set(known + held_out))
    odds = [(counts[symbol] + 1) / (len(known) + symbols) for symbol in held_out]
    print(f"    every character alike             {math.log2(symbols):.2f} bits per character")
    print(f"    by how often each one stands      {-sum(map(math.log2, odds)) / len(odds):.2f}")
    # Given the end of what is known: zlib looks back 32 KiB.
    packer = zlib.compressobj(9, zdict=known.encode()[-32768:])
    packed = packer.compress(held_out.encode()) + packer.flush()
    print(f"    zlib                              {8 * len(packed) / len(held_out):.2f}")


# -- writing --------------------------------------------------------------------------------------------


def draw_next(scores: np.ndarray, temperature: float, top_k: int, random: np.random.Generator) -> int:
    """A character, at random by the odds of the `top_k` best scores; a low temperature prefers the best of them."""
    best = np.argsort(scores)[-top_k:]
    return int(random.choice(best, p=tg.softmax(scores[best].astype(np.float64) / temperature)))


def write(model, vocabulary, context, prompt, length, temperature=0.8, top_k=20, seed=0) -> str:
    """The prompt, and `length` characters that the model goes on with."""
    random = np.random.default_rng(seed)
    numbers = list(vocabulary.encode(prompt))
    with tg.no_grad():
        for _ in range(length):
            scores = model(np.array([numbers[-context:]])).data[0, -1]
            numbers.append(draw_next(scores, temperature, top_k, random))
    return vocabulary.decode(numbers)


def words(text: str) -> list[str]:
    return "".join(c.lower() if c.isalpha() else " " for c in text).split()


def show_writing(model, vocabulary, context, prompt, length, known=None) -> None:
    for temperature in (0.5, 0.8):
        written = write(model, vocabulary, context, prompt, length, temperature)
        print(f"\n  temperature {temperature}, the best 20:\n")
        print("\n".join(f"    | {line}" for line in written.split("\n")))
        if known is not None:
            right = np.isin(words(written[len(prompt) :]), words(known))
            print(f"\n  {np.mean(right):.0%} of its {right.size} words are words of the text it learned from.")


def draw_attention(model: Transformer, vocabulary, text: str, path: Path) -> None:
    """Each head of the last block: a row is a place, and dark are the characters it takes from."""
    weights = model.attention(vocabulary.encode(text)[None])[-1][0]
    labels = [{" ": "␣", "\n": "¶"}.get(c, c) for c in text]
    figure = Figure(figsize=(11, 11.4), layout="constrained")
    figure.suptitle("Last block: from which characters (columns) each place (rows) takes")
    for head, axes in enumerate(figure.subplots(2, -(-len(weights) // 2), squeeze=False).ravel()[: len(weights)]):
        # The root, so that weights of a few percent can be seen too.
        axes.imshow(np.sqrt(weights[head]), cmap="Blues", vmin=0, vmax=1)
        axes.set_title(f"head {head + 1}", fontsize=11)
        for set_ticks in (axes.set_xticks, axes.set_yticks):
            set_ticks(range(len(labels)), labels, fontsize=8, family="monospace")
        axes.tick_params(length=0)
    lesson.save(figure, path)


def load(path: Path):
    state = tg.load(path)
    model = Transformer(Sizes(**state["sizes"]), np.random.default_rng(0))
    model.load_state_dict(state["model"])
    return model, data.Vocabulary(state["symbols"]), state["sizes"]["context"]


def check_prompt(prompt: str, vocabulary) -> None:
    """A mistake is found here, not after minutes of training."""
    if not prompt or not set(prompt) <= set(vocabulary.symbols):
        sys.exit(f"error: --prompt {prompt!r} begins with nothing that the model knows: {vocabulary.symbols!r}")


def main() -> None:
    parser = lesson.arguments("A transformer that writes, character by character.", mnist=False)
    parser.add_argument("--text", default="reference", help="reference (default), licence, zen, or a file")
    parser.add_argument("--epochs", type=lesson.number(int), default=7, metavar="N", help="default 7")
    parser.add_argument("--prompt", default="The ", help="how the written text begins")
    parser.add_argument("--length", type=lesson.number(int), default=500, metavar="N", help="characters to write")
    parser.add_argument("--load", type=Path, metavar="FILE", help="write with this model; no training")
    args = parser.parse_args()
    if args.load:
        model, vocabulary, context = load(args.load)
        check_prompt(args.prompt, vocabulary)
        return show_writing(model, vocabulary, context, args.prompt, args.length)

    text = read_text(args.text)[: 30_000 if args.quick else None]
    epochs = min(args.epochs, 3) if args.quick else args.epochs
    vocabulary = data.characters(text)
    check_prompt(args.prompt, vocabulary)
    # The last tenth is kept aside.
    border = len(text) * 9 // 10
    known, held_out = vocabulary.encode(text[:border]), vocabulary.encode(text[border:])
    sizes = Sizes(len(vocabulary), 48, 48, 4, 2) if args.quick else Sizes(len(vocabulary))
    sizes.context = min(sizes.context, len(held_out) // 2)
    lesson.section(f"The text: {len(text):,} characters, {len(vocabulary)} different ones; the last tenth is held out")
    baselines(text[:border], text[border:])

    lesson.section("Autograd against numeric differences (float64, a small model)")
    check_gradients(*(known[None, at : at + 24] for at in (0, 1)), len(vocabulary))

    model = Transformer(sizes, np.random.default_rng(0))
    lesson.section(f"Training {sum(p.size for p in model.parameters()):,} parameters; losses are bits per character")
    history = train(model, known, held_out, sizes.context, epochs)
    print(f"\nOn the text that it never saw: {history['val_loss'][-1]:.2f} bits per character.")

    lesson.section("What it writes")
    show_writing(model, vocabulary, sizes.context, args.prompt, 150 if args.quick else args.length, text[:border])

    lesson.section("Pictures")
    lesson.save(history.plot("Bits per character"), args.out / "transformer_training.png")
    draw_attention(model, vocabulary, text[border:][: min(40, sizes.context)], args.out / "transformer_attention.png")
    state = {"model": model.state_dict(), "sizes": asdict(sizes), "symbols": vocabulary.symbols}
    tg.save(args.out / "transformer.npz", state)
    print(f"    wrote {args.out / 'transformer.npz'}, the model: --load reads it")


if __name__ == "__main__":
    lesson.run(main)
