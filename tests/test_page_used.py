"""The HTML page in a real browser: the tape played, boxes clicked, keys typed.

`open_page` fails a test on any error in the page and any request it makes.
"""

# A fixture that is imported has the name of the argument that asks for it.
# ruff: noqa: F811

import re
import xml.etree.ElementTree as ET

import numpy as np
import pages
import pytest
from browser import browser, frame, inside, keys_of, open_page, seen, text_of  # noqa: F401

# -- the tape, played -------------------------------------------------------------------------


def test_play_reaches_the_last_frame_and_stops(open_page):
    page = open_page(pages.mlp())
    page.clock.install()
    assert frame(page) == (10, 10)  # 5 steps forward, 5 backward: the page opens complete
    page.click("#play")
    assert frame(page)[0] == 0
    page.clock.run_for(2500)
    assert 0 < frame(page)[0] < 10
    page.clock.run_for(60_000)
    assert frame(page) == (10, 10)
    assert page.locator("#play").get_attribute("aria-label") == "Play"


def test_values_appear_forward_and_gradients_only_backward(open_page):
    page = open_page(pages.mlp())
    complete = seen(page, ".value, .grad, .label text")
    page.keyboard.press("Home")
    assert text_of(page, "#caption")[0].startswith("start: nothing computed yet")
    assert keys_of(page, ".node.todo") == ["b2", "b4", "b5", "b6", "b7"]
    assert seen(page, ".node.op .value") == []
    for step in range(1, 6):
        page.keyboard.press("ArrowRight")
        assert text_of(page, "#caption")[0].startswith(f"step {step} of 5 forward: ")
        assert seen(page, ".grad") == []
        assert len(seen(page, ".node.op .value")) == min(step, 4)
    assert keys_of(page, ".node.todo") == []
    arriving = {1: "↑ 1", 2: "↑ 0.05", 3: "↑ 0.066", 4: "→ 0.13", 5: "→ 0.073"}
    for step, gradient in arriving.items():
        assert gradient not in seen(page, ".label .grad")
        page.keyboard.press("ArrowRight")
        assert text_of(page, "#caption")[0].startswith(f"backward {step} of 5: ")
        assert gradient in seen(page, ".label .grad")
    assert text_of(page, "#caption") == ["backward 5 of 5: dW = xᵀ @ g"]
    assert seen(page, ".value, .grad, .label text") == complete


def test_the_gradient_of_a_parameter_appears_after_the_op_that_uses_it(open_page):
    page = open_page(pages.mlp())
    page.locator("#slider").fill("8")
    assert seen(page, ".node.parameter .grad") == []
    page.locator("#slider").fill("9")
    assert seen(page, ".node.parameter .grad") == ["grad0.05 ± 0.12"]
    page.locator("#slider").fill("10")
    assert seen(page, ".node.parameter .grad") == ["grad0.03 ± 0.07", "grad0.05 ± 0.12"]


def test_a_sum_over_uses_appears_when_all_uses_have_been_passed(open_page):
    page = open_page(pages.branching())
    steps = frame(page)[1] // 2
    for i in range(steps + 1, 2 * steps):
        page.locator("#slider").fill(str(i))
        assert [seen(page, f'.label[data-edge="{use}"] .grad') for use in ("a0", "a2", "a5")] == [[], [], []], i
    page.locator("#slider").fill(str(2 * steps))
    assert seen(page, '.label[data-edge="a0"] .grad') == ["↑ Σ 0.5"]


def test_without_gradients_there_is_no_backward_half(open_page):
    page = open_page(pages.mlp(gradients=False))
    assert frame(page) == (5, 5)
    assert "backward has not run" in text_of(page, "#caption")[0]
    assert text_of(page, ".grad") == []


def test_the_drawn_backward_pass_is_played_after_the_forward_pass(open_page):
    page = open_page(pages.drawn_backward())
    assert frame(page) == (6, 6)
    page.locator("#slider").fill("3")
    assert keys_of(page, ".node.todo") == ["b5", "b6", "b7"]
    page.locator("#slider").fill("4")
    assert text_of(page, "#caption") == ["backward 1 of 3: 2 * e * g"]
    assert keys_of(page, ".node.now") == ["b5"]


# -- details ----------------------------------------------------------------------------------


def test_a_click_shows_formulas_values_pictures_times_and_the_source_line(open_page):
    page = open_page(pages.mlp())
    assert page.locator("#panel").is_hidden()
    page.locator('[data-key="b2"]').click()
    assert text_of(page, "#panel h2") == ["matmul @"]
    assert text_of(page, "#panel .formula") == ["x @ W"]
    assert text_of(page, "#panel pre.rule") == ["dW = xᵀ @ g"]
    panel = page.locator("#panel").inner_text().lower()
    for words in ("(4, 5)", "float64", "160 b", "0.2 ± 0.1", "rms 0.5", "x: 192 b", "mlp.py:12"):
        assert words in panel, words
    assert "forward 2.10 ms" in panel
    assert "backward 40.0 µs" in panel
    assert text_of(page, "#panel pre.code") == ["h = x @ W + b"]
    assert page.locator("#panel canvas.matrix").count() == 2
    assert page.locator("#panel .histogram").count() == 2
    page.locator("#panel .close").click()
    assert page.locator("#panel").is_hidden()


def test_units_are_chosen_for_the_digits_that_are_shown(open_page):
    drawn = pages.mlp()
    big = {"nbytes": 999_600, "seconds": 0.0009996, "back_seconds": 0.99949, "saved": (("x", 999_499), ("y", 5e12))}
    page = open_page(pages.replace(drawn, boxes=[pages.replace(box, **big) for box in drawn.boxes]))
    page.locator('[data-key="b2"]').click()
    panel = page.locator("#panel").inner_text()
    for words in ("1.00 MB", "forward 1.00 ms", "backward 999 ms", "x: 999 kB", "y: 5,000 GB"):
        assert words in panel, words


def test_the_image_has_the_entries_with_zero_in_white_and_the_histogram_the_counts(open_page):
    page = open_page(pages.mlp())
    page.locator('[data-key="b2"]').click()
    pixels = page.evaluate("""() => {
        const image = document.querySelector('#panel canvas.matrix');
        return [image.width, image.height, ...image.getContext('2d').getImageData(0, 0, 16, 4).data];
    }""")
    assert pixels[:2] == [16, 4]
    colours = np.reshape(pixels[2:], (64, 4))[:, :3]
    entries = np.arange(0, 256, 4) / 255 * 3 - 1
    assert (colours[np.abs(entries) < 0.02] > 235).all()
    assert colours[0, 2] > colours[0, 0]  # negative: blue
    assert colours[-1, 0] > colours[-1, 2]  # positive: vermilion
    bars = page.locator("#panel .histogram").first.locator("rect").all()
    heights = [float(bar.get_attribute("height")) for bar in bars]
    np.testing.assert_allclose(np.array(heights) / max(heights), np.array([1, 4, 9, 3, 0, 2]) / 9, atol=0.01)


def test_uses_of_one_leaf_are_highlighted_together_and_linked(open_page):
    page = open_page(pages.branching())
    assert "used by 3 ops" in page.locator('[data-key="b2"]').text_content()
    page.locator('[data-key="b0"]').hover()
    assert keys_of(page, ".node.near") == ["b0", "b2", "b6"]
    page.locator('[data-key="b0"]').click()
    page.locator("#panel section", has_text="Used by 3 ops").get_by_role("button", name="use 3 of 3").click()
    assert keys_of(page, ".node.selected") == ["b6"]


def test_hover_shows_a_tooltip_and_leaving_hides_it(open_page):
    page = open_page(pages.mlp())
    page.locator('[data-key="b2"]').hover()
    assert page.locator("#tip").is_visible()
    tip = page.locator("#tip").text_content()
    assert "x @ W" in tip
    assert "mlp.py:12" in tip
    page.locator("#title").hover()
    assert page.locator("#tip").is_hidden()


# -- search, keys, view -----------------------------------------------------------------------


def test_search_jumps_into_a_folded_block(open_page):
    page = open_page(pages.chain(20))
    page.keyboard.press("/")
    page.keyboard.type("w17")
    assert text_of(page, "#hits b") == ["w17"]
    page.keyboard.press("Enter")
    [key] = keys_of(page, ".node.selected")
    selected = page.locator(f'[data-key="{key}"]')
    assert "w17" in selected.text_content()
    box = selected.bounding_box()
    canvas = page.locator("#canvas").bounding_box()
    assert inside(box, canvas)
    assert page.locator(".node").count() == 21 + 9
    page.keyboard.press("/")
    page.keyboard.type("no such box")
    assert text_of(page, "#hits li") == ["nothing found"]


def test_keys_zoom_help_and_escape(open_page):
    page = open_page(pages.mlp())

    def scale():
        return float(re.search(r"scale\(([\d.e-]+)\)", page.locator("#world").get_attribute("transform"))[1])

    start = scale()
    page.keyboard.press("+")
    assert scale() > start
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert scale() < start
    page.keyboard.press("0")
    world, canvas = page.locator("#world").bounding_box(), page.locator("#canvas").bounding_box()
    assert inside(world, canvas)
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
    page.locator('[data-key="b2"]').focus()
    page.keyboard.press("Enter")
    assert page.locator("#panel").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()


def test_space_plays_and_pauses_and_end_goes_to_the_end(open_page):
    page = open_page(pages.mlp())
    page.keyboard.press("Space")
    assert page.locator("#play").get_attribute("aria-label") == "Pause"
    page.keyboard.press("Space")
    assert page.locator("#play").get_attribute("aria-label") == "Play"
    page.keyboard.press("End")
    assert frame(page) == (10, 10)


def test_wheel_zooms_at_the_pointer_and_dragging_moves(open_page):
    page = open_page(pages.mlp())
    box = page.locator('[data-key="b5"]').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, -240)
    zoomed = page.locator('[data-key="b5"]').bounding_box()
    assert zoomed["width"] > 1.2 * box["width"]
    assert abs(zoomed["x"] + zoomed["width"] / 2 - x) < 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=4)
    page.mouse.up()
    moved = page.locator('[data-key="b5"]').bounding_box()
    assert moved["x"] - zoomed["x"] == pytest.approx(60, abs=2)
    assert moved["y"] - zoomed["y"] == pytest.approx(40, abs=2)
    assert page.locator("#panel").is_hidden()  # a drag is no click
    page.locator('[data-key="b5"]').click()
    page.mouse.move(100, 500)
    page.mouse.down()
    page.mouse.move(140, 520, steps=4)
    page.mouse.up()
    assert page.locator("#panel").is_visible()


def test_two_fingers_pinch(open_page):
    page = open_page(pages.mlp(), has_touch=True)
    before = page.locator('[data-key="b5"]').bounding_box()
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    touch = page.context.new_cdp_session(page)
    for kind, reach in [("touchStart", 40), ("touchMove", 60), ("touchMove", 80), ("touchEnd", None)]:
        points = [] if reach is None else [{"x": x - reach, "y": y, "id": 0}, {"x": x + reach, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    after = page.locator('[data-key="b5"]').bounding_box()
    assert after["width"] == pytest.approx(2 * before["width"], rel=0.05)
    assert after["x"] + after["width"] / 2 == pytest.approx(x, abs=4)


def test_boxes_are_described_for_screen_readers(open_page):
    page = open_page(pages.mlp())
    W = page.locator('[data-key="b1"]')
    assert W.get_attribute("aria-label") == "parameter W, shape (6, 5), value 0.01 ± 0.05, gradient 0.03 ± 0.07"
    assert W.get_attribute("tabindex") == "0"
    assert page.locator(".head").get_attribute("aria-expanded") == "true"


def test_the_page_fits_a_phone(open_page):
    page = open_page(pages.mlp(), viewport={"width": 375, "height": 700})
    page.locator('[data-key="b2"]').click()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 375
    panel, canvas = page.locator("#panel").bounding_box(), page.locator("#canvas").bounding_box()
    assert panel["y"] >= canvas["y"] + canvas["height"]
    assert panel["width"] == 375
    assert inside(page.locator('[data-key="b2"]').bounding_box(), canvas)


def test_the_picture_is_saved_as_svg(open_page):
    page = open_page(pages.hostile())
    with page.expect_download() as download:
        page.click("#save")
    saved = download.value.path().read_bytes()
    tree = ET.fromstring(saved)
    assert len(tree.findall(".//{*}g[@data-key]")) == 8
    assert pages.HOSTILE[1] in "".join(tree.itertext())
