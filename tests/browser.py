"""A real browser for the tests of the HTML page: fails a test on any error in the page and any request it makes."""

import os
import shutil
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which drives a browser")

from tinygrad_np.graph.export.html import to_html  # noqa: E402

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


# One for each test file: while it runs, so does an event loop, in which no second one may start.
@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as engine:
        own = engine.chromium.executable_path
        program = next(filter(None, map(shutil.which, PROGRAMS)), own if os.path.exists(own) else None)
        if program is None:
            pytest.skip("needs a browser: chromium, google-chrome or playwright's own")
        running = engine.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


class Opened:
    """Opens pages; `problems` collects what no page may do."""

    def __init__(self, browser, folder: Path):
        self.browser, self.folder, self.problems, self.contexts = browser, folder, [], []

    def __call__(self, view, title=None, **options):
        options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
        context = self.browser.new_context(**options)
        self.contexts.append(context)
        file = self.folder / f"page{len(self.contexts)}.html"
        file.write_text(to_html(view, title), encoding="utf-8")
        page = context.new_page()
        page.set_default_timeout(15000)
        page.on("console", lambda message: self.problems.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._request(request.url, file.as_uri()))
        page.goto(file.as_uri())
        return page

    def _request(self, url, own):
        if url != own and not url.startswith("blob:"):
            self.problems.append(f"request: {url[:200]}")


@pytest.fixture
def open_page(browser, tmp_path):
    opened = Opened(browser, tmp_path)
    yield opened
    for context in opened.contexts:
        context.close()
    assert opened.problems == []


# -- what a page shows ---------------------------------------------------------------------------

NODES = """() => [...document.querySelectorAll('.node')].map(node => {
    const {e, f} = node.transform.baseVal.consolidate().matrix, body = node.querySelector('.body').getBBox();
    return {key: node.dataset.key, x: e, y: f, width: body.width, height: body.height};
})"""
EDGES = """() => [...document.querySelectorAll('.edge')].map(edge => {
    const line = edge.querySelector('.line'), length = line.getTotalLength(), points = [];
    for (let at = 0; at <= length; at += 3) points.push(line.getPointAtLength(at));
    const box = edge.querySelector('.tip').getAttribute('d').match(/-?[0-9.]+/g).slice(0, 2).map(Number);
    return {key: edge.dataset.edge, from: edge.dataset.from, to: edge.dataset.to, tip: box,
        cross: edge.classList.contains('cross'), points: points.map(p => [p.x, p.y])};
})"""
FRAMES = """() => [...document.querySelectorAll('.group')].map(group => {
    const {e, f} = group.transform.baseVal.consolidate().matrix, frame = group.querySelector('.frame').getBBox();
    return {key: 'g' + group.dataset.group, x: e, y: f, width: frame.width, height: frame.height};
})"""


def text_of(page, selector):
    return page.locator(selector).all_text_contents()


def keys_of(page, selector=".node"):
    return page.evaluate("s => [...document.querySelectorAll(s)].map(e => e.dataset.key)", selector)


def frame(page):
    return int(page.locator("#slider").input_value()), int(page.locator("#slider").get_attribute("max"))


def seen(page, selector):
    """Texts of what is neither hidden nor in anything hidden."""
    script = "s => [...document.querySelectorAll(s)].filter(e => getComputedStyle(e).visibility === 'visible')"
    return page.evaluate(f"s => ({script})(s).map(e => e.textContent)", selector)


def inside(box, other, margin=0.0):
    return (
        box["x"] >= other["x"] - margin
        and box["y"] >= other["y"] - margin
        and box["x"] + box["width"] <= other["x"] + other["width"] + margin
        and box["y"] + box["height"] <= other["y"] + other["height"] + margin
    )


def apart(a, b):
    return (
        a["x"] + a["width"] <= b["x"]
        or b["x"] + b["width"] <= a["x"]
        or a["y"] + a["height"] <= b["y"]
        or b["y"] + b["height"] <= a["y"]
    )


def check_geometry(page):
    """Boxes lie apart, arrows run from box to box and through none, groups hold their own and nothing else."""
    nodes, edges, frames = page.evaluate(NODES), page.evaluate(EDGES), page.evaluate(FRAMES)
    by_key = {node["key"]: node for node in nodes}
    overlaps = [(a["key"], b["key"]) for i, a in enumerate(nodes) for b in nodes[:i] if not apart(a, b)]
    assert overlaps == []
    cut = [(a["key"], f["key"]) for a in nodes for f in frames if not (apart(a, f) or inside(a, f))]
    assert cut == []
    overlapping = [
        (a["key"], b["key"])
        for i, a in enumerate(frames)
        for b in frames[:i]
        if not (apart(a, b) or inside(a, b) or inside(b, a))
    ]
    assert overlapping == []
    for edge in edges:
        assert near(edge["points"][0], by_key[edge["from"]]), edge["key"]
        assert near(edge["tip"], by_key[edge["to"]]), edge["key"]
        crossed = [node["key"] for node in nodes if not edge["cross"] and runs_through(edge["points"], node)]
        assert crossed == [], edge["key"]
    return nodes, edges, frames


def near(point, node):
    """On the border of the box."""
    x, y = point
    outside = max(node["x"] - x, x - node["x"] - node["width"], node["y"] - y, y - node["y"] - node["height"])
    return abs(outside) < 1.5


def runs_through(points, node):
    return any(
        node["x"] + 2 < x < node["x"] + node["width"] - 2 and node["y"] + 2 < y < node["y"] + node["height"] - 2
        for x, y in points
    )
