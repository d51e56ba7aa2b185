"""The HTML page in a real browser: what it draws, where, and in which colours.

`open_page` fails a test on any error in the page and any request it makes.
"""

# A fixture that is imported has the name of the argument that asks for it.
# ruff: noqa: F811

import re

import numpy as np
import pages
import pytest
from browser import browser, check_geometry, keys_of, open_page, seen, text_of  # noqa: F401

import tinygrad_np as tg
from tinygrad_np.graph.export.html import to_html
from tinygrad_np.graph.view import view


def network(scoped=True, blocks=1):
    rng = np.random.default_rng(0)

    def parameter(shape, name):
        return tg.Tensor(rng.normal(size=shape) / 3, requires_grad=True, name=name)

    kept = []
    h = tg.Tensor(rng.normal(size=(4, 6)), name="x")
    with tg.inspect():
        for i in range(blocks):
            W, b = parameter((6, 6), "W"), parameter((6,), "b")
            kept += [W, b]
            with tg.scope(f"layer{i}", "6 → 6"):
                h = np.maximum(h @ W + b, 0) + h
        loss = np.mean(h**2)
        loss.name = "loss"
        loss.backward()
    return loss, kept


# -- opening ----------------------------------------------------------------------------------


def test_the_page_shows_answer_counts_boxes_and_a_legend_of_what_occurs(open_page):
    page = open_page(pages.mlp())
    assert text_of(page, "#title") == ["loss = 0.37"]
    assert "4 operations · 35 parameters" in text_of(page, "#subtitle")[0]
    assert len(keys_of(page)) == 8
    assert page.locator(".edge").count() == 7
    assert text_of(page, "#legend .key") == ["parameter", "data", "operation", "result"]
    assert any("Σ" in words for words in text_of(open_page(pages.branching()), "#legend span"))
    assert not any("Σ" in words for words in text_of(page, "#legend span"))


def test_arrows_carry_shape_and_gradient_and_parameters_both(open_page):
    page = open_page(pages.mlp())
    labels = text_of(page, ".label")
    assert "(4, 5)↑ 0.055" in labels
    assert "(5,)→ 0.13" in labels
    assert "(4, 6)" in labels
    W = page.locator('[data-key="b1"]').text_content()
    assert W == "Wfc1.W · (6, 5)value0.01 ± 0.05grad0.03 ± 0.07"


def test_a_title_stands_above_and_the_answer_below_it(open_page):
    page = open_page(pages.mlp(), title="My <b>network</b>")
    assert text_of(page, "#title") == ["My <b>network</b>"]
    assert page.title() == "My <b>network</b>"
    assert text_of(page, "#subtitle")[0].startswith("loss = 0.37")


@pytest.mark.parametrize("name", ["mlp", "branching", "with_nan", "drawn_backward", "hostile", "opened_chain"])
def test_boxes_do_not_overlap_and_arrows_run_through_none(open_page, name):
    drawn = getattr(pages, name)()
    nodes, edges, _ = check_geometry(open_page(drawn))
    assert len(nodes) == len(drawn.boxes)
    assert len(edges) == len(drawn.arrows)


@pytest.mark.parametrize("blocks", [1, 6])
def test_a_recorded_network_folded_and_opened(open_page, blocks):
    loss, kept = network(blocks=blocks)
    drawn = view(loss)
    page = open_page(drawn)
    assert text_of(page, "#title") == [f"loss = {drawn.answer}"]
    check_geometry(page)
    page.click("#fold-all")
    folded, _, _ = check_geometry(page)
    page.click("#open-all")
    nodes, edges, frames = check_geometry(page)
    assert len(folded) < len(nodes) == len(drawn.boxes)
    assert (len(edges), len(frames)) == (len(drawn.arrows), len(drawn.groups) - 1)
    grads = [text.removeprefix("grad") for text in seen(page, ".node.parameter .grad")]
    assert len(grads) == len(kept)


def test_forward_flows_down_and_the_drawn_backward_pass_up_beside_it(open_page):
    nodes, edges, _ = check_geometry(open_page(pages.drawn_backward()))
    at = {node["key"]: node for node in nodes}
    assert max(at[f"b{i}"]["x"] + at[f"b{i}"]["width"] for i in range(4)) < min(at[f"b{i}"]["x"] for i in range(4, 8))
    assert at["b0"]["y"] < at["b1"]["y"] < at["b2"]["y"] < at["b3"]["y"]
    assert at["b4"]["y"] > at["b5"]["y"] > at["b6"]["y"] > at["b7"]["y"]
    assert [edge["key"] for edge in edges if edge["cross"]] == ["a6", "a7"]


def test_a_scope_that_is_entered_again_is_drawn_too(open_page):
    drawn = pages.mlp()
    # relu, between the scope and the mean, joins h of the scope with its last op: the group has a hole.
    boxes = [pages.replace(box, group=1) if box.id == 6 else box for box in drawn.boxes]
    page = open_page(pages.replace(drawn, boxes=boxes))
    check_geometry(page)
    page.locator(".head").first.click()
    assert sorted(keys_of(page)) == ["b0", "b5", "b7", "g1"]
    check_geometry(page)


def test_bad_and_tainted_boxes_say_so(open_page):
    page = open_page(pages.with_nan())
    assert keys_of(page, ".node.bad") == ["b4"]
    assert "first nan or inf: 3 entries" in page.locator('[data-key="b4"]').text_content()
    assert keys_of(page, ".node.tainted") == ["b5", "b6", "b7"]
    dashes = "e => getComputedStyle(e.querySelector('.border')).strokeDasharray"
    assert page.locator('[data-key="b5"]').evaluate(dashes) != "none"
    assert page.locator('[data-key="b2"]').evaluate(dashes) == "none"


# -- folding ----------------------------------------------------------------------------------


def test_a_click_folds_and_opens_in_place(open_page):
    page = open_page(pages.mlp())
    before = page.locator(".group").bounding_box()
    page.locator(".head").click()
    assert keys_of(page) == ["b0", "g1", "b5", "b6", "b7"]
    assert page.locator('[data-key="g1"]').text_content() == "▸fc1Linear(6 → 5)2 operations · 35 parameters"
    box = page.locator('[data-key="g1"]').bounding_box()
    assert abs(box["x"] + box["width"] / 2 - before["x"] - before["width"] / 2) < 3
    assert abs(box["y"] - before["y"]) < 3
    ends = page.evaluate("() => [...document.querySelectorAll('.edge')].map(e => [e.dataset.from, e.dataset.to])")
    assert ends == [["b0", "g1"], ["g1", "b5"], ["b5", "b6"], ["b6", "b7"]]
    page.locator('[data-key="g1"]').click()
    assert len(keys_of(page)) == 8
    assert abs(page.locator(".group").bounding_box()["y"] - before["y"]) < 3


def test_what_is_left_after_folding_is_in_the_window(open_page):
    n = 30
    boxes = [pages.Box(i, "op", text="exp", shape=(3,), dtype="float64", group=1) for i in range(n)]
    boxes.append(pages.Box(n, "op", text="sum", shape=(3,), dtype="float64"))
    arrows = [pages.Arrow(i, n, (3,), "float64") for i in range(n)]
    groups = [pages.Group(0, 0, "root", ops=n + 1), pages.Group(1, 0, "scope", "wide", ops=n)]
    page = open_page(pages.View("y", "1", boxes=boxes, arrows=arrows, groups=groups))
    # The left end of a scope whose middle, where the folded box will be, is outside of the window.
    page.evaluate("location.hash = 'op-0'")
    page.wait_for_selector('[data-key="b0"].selected')
    page.wait_for_timeout(300)
    head = page.locator(".head").bounding_box()
    page.mouse.click(head["x"] + 15, head["y"] + head["height"] / 2)
    box, frame = page.locator('[data-key="g1"]').bounding_box(), page.locator("#canvas").bounding_box()
    assert frame["y"] <= box["y"] <= frame["y"] + frame["height"] - box["height"]
    assert frame["x"] <= box["x"] <= frame["x"] + frame["width"] - box["width"]


def test_moving_boxes_arrive_where_boxes_stand_without_motion(open_page):
    def places(page):
        return [box.bounding_box() for box in page.locator(".node").all()]

    still, moving = open_page(pages.mlp()), open_page(pages.mlp(), reduced_motion="no-preference")
    for page in (still, moving):
        page.locator(".head").click()
        page.locator('[data-key="g1"]').click()
        page.locator('[data-key="b7"]').click()
    assert moving.evaluate("() => document.getAnimations().length") > 0
    moving.wait_for_function("() => document.getAnimations().length === 0")
    moving.wait_for_timeout(400)
    assert places(moving) == [pytest.approx(place, abs=1) for place in places(still)]


def test_arrows_into_a_folded_block_are_one(open_page):
    drawn = pages.branching()
    groups = [drawn.groups[0], pages.Group(1, 0, "scope", "tail", ops=4, closed=True)]
    boxes = [pages.replace(box, group=1) if 4 <= box.id <= 8 else box for box in drawn.boxes]
    page = open_page(pages.replace(drawn, boxes=boxes, groups=groups))
    assert sorted(keys_of(page)) == ["b0", "b1", "b2", "b3", "b9", "g1"]
    into = page.evaluate("() => [...document.querySelectorAll('[data-to=g1]')].map(e => e.dataset.from).sort()")
    assert into == ["b1", "b3"]
    assert "(3,) × 2↑ Σ 0.5" in text_of(page, ".label")
    check_geometry(page)


def test_the_f_key_folds_the_block_of_the_selected_box(open_page):
    page = open_page(pages.mlp())
    page.locator('[data-key="b4"]').click()
    page.keyboard.press("f")
    assert keys_of(page) == ["b0", "g1", "b5", "b6", "b7"]
    page.keyboard.press("f")
    assert len(keys_of(page)) == 8


def test_ten_thousand_boxes_open_folded(open_page):
    drawn = pages.chain(1000, ops=9)
    assert len(drawn.boxes) > 10_000
    page = open_page(drawn)
    assert page.locator(".node").count() == 1002
    page.locator('[data-key="g500"]').dispatch_event("click")
    assert page.locator(".node").count() == 1001 + 10
    assert page.locator(".edge").count() == 1001 + 9


# -- colours ----------------------------------------------------------------------------------

CONTRASTS = """() => {
    const channel = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const parse = s => s.match(/[\\d.]+/g).map(Number);
    const light = c => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => sum + w * channel(c[i] / 255), 0);
    const over = (top, under) => [0, 1, 2].map(i => (top[3] ?? 1) * top[i] + (1 - (top[3] ?? 1)) * under[i]);
    const ratio = (a, b) => {
        const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
        return (x + 0.05) / (y + 0.05);
    };
    const style = (element, name) => parse(getComputedStyle(element)[name]);
    const paper = style(document.querySelector('#canvas'), 'backgroundColor');
    const found = [];
    for (const text of document.querySelectorAll('.node text')) {
        const node = text.closest('.node'), band = node.querySelector('.band');
        const inBand = band && text.getAttribute('y') < band.getBBox().height;
        const back = over(style(inBand ? band : node.querySelector('.body'), 'fill'), paper);
        found.push([text.textContent, ratio(style(text, 'fill'), back)]);
    }
    const frame = over(style(document.querySelector('.frame'), 'fill'), paper);
    for (const text of document.querySelectorAll('.label text, .head text')) {
        for (const back of [frame, paper]) found.push([text.textContent, ratio(style(text, 'fill'), back)]);
    }
    const words = 'h1, h2, h3, #subtitle, #legend span, button, #caption, #panel p, #panel dt, pre, strong';
    for (const element of document.querySelectorAll(words)) {
        let back = [0, 0, 0, 0];
        for (let at = element; at && back[3] === 0; at = at.parentElement) {
            back = style(at, 'backgroundColor');
            back[3] ??= 1;
        }
        if (element.textContent.trim()) found.push([element.textContent, ratio(style(element, 'color'), back)]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(open_page, scheme):
    page = open_page(pages.with_nan(), color_scheme=scheme)
    page.locator('[data-key="b4"]').click()
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 60
    assert [entry for entry in contrasts if entry[1] < 4.5] == []


def test_the_page_follows_the_system_until_the_reader_chooses(open_page):
    page = open_page(pages.mlp(), color_scheme="dark")
    now = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(now)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"dark => {now} !== dark", arg=dark)
    light = page.evaluate(now)
    page.click("#theme")
    assert page.evaluate(now) == dark
    page.click("#theme")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => matchMedia('(prefers-color-scheme: dark)').matches")
    page.wait_for_timeout(100)
    assert page.evaluate(now) == light


# -- hostile strings --------------------------------------------------------------------------


def test_hostile_names_are_text_everywhere(open_page):
    page = open_page(pages.hostile(), title=pages.HOSTILE[0])
    assert text_of(page, "#title") == [pages.HOSTILE[0]]
    assert pages.HOSTILE[1] in page.locator('[data-key="b1"]').text_content()
    for key in keys_of(page):
        page.keyboard.press("0")
        page.locator(f'[data-key="{key}"]').hover()
        page.locator(f'[data-key="{key}"]').click()
        if key == "b1":
            assert text_of(page, "#panel h2") == [pages.HOSTILE[1]]
    page.keyboard.press("/")
    page.keyboard.type("<img")
    assert pages.HOSTILE[2] in text_of(page, "#hits b")
    injected = "img, svg b, svg a, a, iframe, object, main script, header script, #tip script"
    assert page.locator(injected).count() == 0
    assert page.locator("script").count() == 2
    assert "x" * 200 not in page.locator("body").inner_text()


@pytest.mark.parametrize("text", pages.HOSTILE)
def test_no_string_ends_the_data_or_turns_the_text(text):
    box = pages.Box(0, "result", text, text, (), text, text, text, (text,), (text,), pages.Summary(text))
    page = to_html(pages.View(text, text, (text,), [box], [], [pages.root(label=text)]), text)
    assert page.lower().count("</script") == 2
    data = page.split('id="data">')[1].split("</script>")[0]
    assert not re.search("[<>&\u2028\u2029\x00\x1b\u202e]", data)
