"""Pictures of six networks: the three tutorials', a CNN, an RNN of 50 steps, a transformer of 12 blocks.

    python examples/graphs.py                    all six as svg, png and html, in examples/out
    python examples/graphs.py rnn transformer    only these
    python examples/graphs.py --quick            all six as svg and html: a few seconds

The networks stand in `networks.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

import lesson
from networks import NETWORKS, Network

import tinygrad_np as tg


def draw(network: Network, path: Path, endings: list[str]) -> None:
    """One step of the network, forward and backward, as a file for each ending; a printed line for each."""
    # What a picture can show of every op, not only of leaves: its value, its gradient, its time and its line.
    with tg.inspect():
        loss, _ = network.recorded()
        loss.backward()
    ops = sum(not node.is_leaf for node in tg.tape(loss))
    lesson.section(f"{network.title}: {ops} operations, loss {loss.item():.4f}")
    start = perf_counter()
    picture = tg.draw(loss, title=network.title)
    for ending in endings:
        file = picture.save(path.with_suffix(ending))
        print(f"    wrote {file}   {len(picture.shown.boxes)} boxes, {perf_counter() - start:.2f} s", flush=True)
        start = perf_counter()


def known(name: str) -> str:
    """A converter for argparse: the name of a network."""
    if name not in NETWORKS:
        raise argparse.ArgumentTypeError(f"there is no network {name!r}, but {', '.join(NETWORKS)}")
    return name


def main() -> None:
    parser = lesson.arguments("Pictures of the graphs of six networks, in examples/networks.py.", mnist=False)
    about = f"{', '.join(NETWORKS)} (default: all)"
    parser.add_argument("names", nargs="*", metavar="NAME", type=known, default=list(NETWORKS), help=about)
    args = parser.parse_args()
    endings = [".svg", ".html"] if args.quick else [".svg", ".png", ".html"]
    for name in args.names:
        draw(NETWORKS[name], args.out / f"{name}_network", endings)


if __name__ == "__main__":
    lesson.run(main)
