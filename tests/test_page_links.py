"""Links into the HTML page of a graph: the part of its address behind # names an op."""

# A fixture that is imported has the name of the argument that asks for it.
# ruff: noqa: F811

import pages
from browser import browser, inside, keys_of, open_page  # noqa: F401


def follow(page, fragment):
    page.evaluate("fragment => { location.hash = fragment; }", fragment)
    page.wait_for_function("fragment => location.hash === fragment", arg=fragment)
    page.wait_for_timeout(50)


def test_a_link_selects_its_op_and_brings_it_into_view(open_page):
    page = open_page(pages.mlp())
    assert keys_of(page, ".node.selected") == []
    follow(page, "#op-2")
    assert keys_of(page, ".node.selected") == ["b2"]
    assert "matmul" in page.locator("#panel").inner_text()
    follow(page, "#op-5")
    assert keys_of(page, ".node.selected") == ["b5"]


def test_a_page_that_is_opened_by_a_link_shows_the_op(open_page):
    page = open_page(pages.mlp())
    page.goto("about:blank")
    opened = next(open_page.folder.glob("page1.html")).as_uri()
    page.goto(f"{opened}#op-4")
    assert keys_of(page, ".node.selected") == ["b4"]


def test_a_link_opens_the_group_around_its_op(open_page):
    page = open_page(pages.chain(4))
    target = next(box.id for box in pages.chain(4).boxes if box.group == 3 and box.kind == "op")
    assert keys_of(page, f'.node[data-key="b{target}"]') == []
    follow(page, f"#op-{target}")
    assert keys_of(page, ".node.selected") == [f"b{target}"]
    box, canvas = (page.locator(place).bounding_box() for place in (f'.node[data-key="b{target}"]', "#canvas"))
    assert inside(box, canvas)


def test_an_address_that_names_no_op_does_nothing(open_page):
    page = open_page(pages.mlp())
    for fragment in ("#op-99", "#op-", "#op-1x", "#elsewhere", '#op-1"><script>'):
        page.evaluate("fragment => { location.hash = fragment; }", fragment)
        page.wait_for_timeout(50)
        assert keys_of(page, ".node.selected") == []
