"""The pages are readable in dark and light, on a phone, and by keyboard."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.saga_monitor.memory_stream import PLACED, Line, undone
from tests.saga_monitor.web.shop_history import hostile, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page

    from tests.saga_monitor.web.served import Served

ORDERS = ("/sagas/commande/CMD-LOST", "/sagas/commande/CMD-0005")
PAGES = ("/", "/anomalies", "/charts", "/choreography", *ORDERS, "/raw/commande/CMD-LOST")

# Every text with its contrast to the background, as [text, contrast].
CONTRASTS = """() => {
    const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => {
        const part = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const behind = (e) => {
        for (; e; e = e.parentElement) {
            const c = parse(getComputedStyle(e).backgroundColor);
            if (c.length === 3 || c[3] === 1) return c;
        }
        return [255, 255, 255];
    };
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const e = walk.currentNode.parentElement, style = getComputedStyle(e);
        if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest("title, symbol")) continue;
        const ink = e.closest("svg") ? style.fill : style.color;
        const [a, b] = [light(parse(ink)), light(behind(e))].sort((x, y) => y - x);
        found.push([walk.currentNode.data.trim(), (a + 0.05) / (b + 0.05)]);
    }
    return found;
}"""


USABLE = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']"
NAMED = "e => `${e.tagName} ${e.textContent.trim() || e.name}`"
REACHED = f"""e => {{
    const style = getComputedStyle(e), named = {NAMED};
    return [named(e), style.outlineStyle !== "none" && style.outlineWidth !== "0px"];
}}"""
# The number of lines of each element's text.
LINES = """all => all.filter(e => e.isConnected).map(e => {
    const words = document.createRange();
    words.selectNodeContents(e);
    return new Set([...words.getClientRects()].map(r => Math.round(r.bottom / 8))).size;
})"""


def lines_of(found: Locator) -> set[int]:
    """The numbers of lines of the elements, measured again if a live update replaced them meanwhile."""
    while not (lines := set(found.evaluate_all(LINES))):
        pass
    return lines


def at_widths(page: Page, *widths: int) -> Iterator[int]:
    """Yields each width after setting it."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 844})
        yield width


@pytest.mark.parametrize("path", PAGES)
def test_text_stands_out_from_what_is_behind_it(site: Served, open_page: Callable[..., Page], path: str) -> None:
    """WCAG AA: 4.5 to 1."""
    page = open_page(site.at(path))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found: list[Any] = page.evaluate(CONTRASTS)
        assert len(found) > 12
        faint = [(text, round(contrast, 2)) for text, contrast in found if contrast < 4.5]
        assert (scheme, faint) == (scheme, [])


def test_dark_is_dark_and_light_is_light(site: Served, open_page: Callable[..., Page]) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    assert open_page(site.url, color_scheme="light").evaluate(background) == "rgb(245, 246, 248)"
    assert open_page(site.url, color_scheme="dark").evaluate(background) == "rgb(15, 19, 24)"


@pytest.mark.parametrize("path", PAGES)
def test_nothing_has_to_be_scrolled_sideways(site: Served, open_page: Callable[..., Page], path: str) -> None:
    hostile(site.stream)
    site.read_up()
    page = open_page(site.at(path))
    for width in at_widths(page, 1280, 1100, 900, 768, 390, 320):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_hint_of_the_search_is_not_cut(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.url)
    hint = page.locator("input#q")
    for _ in at_widths(page, 1280, 1100, 768, 390):
        room, needed = hint.evaluate(
            """e => {
                const style = getComputedStyle(e), pen = document.createElement('canvas').getContext('2d');
                pen.font = style.font;
                const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
                return [e.clientWidth - padding, pen.measureText(e.placeholder).width];
            }"""
        )
        assert needed <= room


def test_the_tiles_of_a_phone_do_not_overlap(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.url)
    for width in at_widths(page, 399, 390, 320):
        ends = page.locator(".tile .what").evaluate_all(
            """all => all.map(e => {
                const words = document.createRange();
                words.selectNodeContents(e);
                return [words.getBoundingClientRect().right, e.closest(".tile").getBoundingClientRect().right];
            })"""
        )
        assert len(ends) == 8
        assert (width, [words for words, tile in ends if words > tile]) == (width, [])


def test_what_stands_beside_an_axis_is_within_the_drawing(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.at("/charts"))
    assert "100 ms" in page.locator("#durations .axis").all_text_contents()
    for width in at_widths(page, 1280, 390, 320):
        lefts = page.locator(".axis[text-anchor=end]").evaluate_all("all => all.map(e => e.getBBox().x)")
        assert (width, [left for left in lefts if left < 0]) == (width, [])


BOXES = """(all) => all.map(e => {
    const frame = e.closest("svg").viewBox.baseVal, box = e.getBBox();
    return [e.textContent, box.x, box.x + box.width, box.y, box.y + box.height, frame.width];
})"""


@pytest.mark.parametrize(
    "path", ["/choreography", "/sagas/commande/CMD-LOST", "/sagas/commande/CMD-0005", "/sagas/commande/CMD-0006"]
)
def test_no_name_in_a_drawing_covers_another_or_leaves_it(
    site: Served, open_page: Callable[..., Page], path: str
) -> None:
    page = open_page(site.at(path))
    for width in at_widths(page, 1280, 390, 320):
        drawing = "svg.drawing.narrow" if width < 800 else "svg.drawing.wide"
        names: list[Any] = page.locator(f"{drawing} .lane-name").evaluate_all(BOXES)
        times: list[Any] = page.locator(f"{drawing} .gutter").evaluate_all(BOXES)
        assert len(names) == 5
        assert bool(times) is path.startswith("/sagas")
        outside = [word for word, left, right, *_, most in names + times if left < 0 or right > most]
        assert (width, outside) == (width, [])
        for (one, _, right, top, bottom, _), (other, left, _, upper, lower, _) in itertools.combinations(names, 2):
            assert right < left or bottom <= upper or lower <= top, (width, one, other)


@pytest.mark.parametrize("path", ["/choreography", "/sagas/commande/CMD-0005", "/"])
def test_a_phone_breaks_no_event_s_name(site: Served, open_page: Callable[..., Page], path: str) -> None:
    page = open_page(site.at(path), viewport={"width": 390, "height": 844})
    names = page.locator("main tbody th.event, main tbody td.c-last")
    assert names.count() > 0
    assert lines_of(names) == {1}


def test_on_a_wide_page_no_event_s_name_is_broken(site: Served, open_page: Callable[..., Page]) -> None:
    """Also when the note next to it is long."""
    reason = {"raison": "the shelf was empty when somebody looked at it " * 8}
    refused = Line("stock.reservation_echouee", "commande.initiee", 100, reason)
    site.stream.publish("CMD-LONG", [*PLACED, refused, *undone("stock.reservation_echouee")], seconds(5))
    site.read_up()
    page = open_page(site.at("/sagas/commande/CMD-LONG"))
    cells = page.locator(".timeline .c-cause:not(.none)")
    assert cells.count() > 0
    assert lines_of(cells) == {1}


def test_a_phone_has_a_drawing_of_its_own(site: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(site.at("/sagas/commande/CMD-0005"), viewport={"width": 390, "height": 844})
    expect(page.locator("svg.drawing.narrow")).to_be_visible()
    expect(page.locator("svg.drawing.wide")).to_be_hidden()
    heights = page.locator("svg.drawing.narrow .label").evaluate_all("all => all.map(e => e.getBBox().height)")
    assert min(heights) >= 9


@pytest.mark.parametrize("path", PAGES)
def test_the_keyboard_reaches_everything_and_is_seen(
    site: Served, open_page: Callable[..., Page], path: str
) -> None:
    """Every link and control, in page order, with a visible focus ring."""
    page = open_page(site.at(path))
    page.get_by_role("button", name="Pause").click()  # a live update would start again from the top
    page.evaluate("() => document.activeElement.blur()")
    wanted = page.locator(USABLE).evaluate_all(f"all => all.filter(e => e.checkVisibility()).map({NAMED})")
    assert wanted[0] == "A Skip to the content"
    page.locator("body").evaluate("e => { e.tabIndex = -1; e.focus(); e.removeAttribute('tabindex'); }")
    reached = []
    for _ in wanted:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(f"(({REACHED}))(document.activeElement)"))
    assert [name for name, _ in reached] == wanted
    assert [name for name, seen in reached if not seen] == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_built_of_what_it_means(site: Served, open_page: Callable[..., Page], path: str) -> None:
    page = open_page(site.at(path))
    assert page.locator("html[lang=en]").count() == 1
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    assert page.get_by_role("navigation", name="Pages").count() == 1
    assert page.locator("table:not(:has(thead th[scope=col]))").count() == 0
    assert page.locator("input:not([type=hidden]):not(label input), select:not(label select)").count() == 0
    assert page.locator("[style], [onclick], script:not([src]), style").count() == 0
    ids = page.locator("[id]").evaluate_all("all => all.map(e => e.id)")
    assert len(ids) == len(set(ids))
