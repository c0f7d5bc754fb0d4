"""The report in a browser: it opens without network, and every number leads to its run."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout
from playwright.sync_api import Browser, Frame, Page, Route, sync_playwright

from multiflow.methods.multiflow import MultiFlowMethod
from multiflow.methods.multiflow.ablations import ABLATIONS
from multiflow.results.pages import write_report

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser(program: Callable[[str], str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a file; when the test ends, no error was shown and no host was asked."""
    pages: list[Page] = []
    wrong: list[str] = []

    def refuse(route: Route) -> None:
        wrong.append(f"request to {route.request.url}")
        route.abort()

    def open_file(path: Path, size: dict[str, int] = DESKTOP) -> Page:
        page = browser.new_page(viewport=size)  # type: ignore[arg-type]
        pages.append(page)
        page.route(lambda url: not url.startswith(("file:", "data:", "blob:")), refuse)
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("#app nav, #table")
        return page

    yield open_file
    for page in pages:
        page.close()
    assert wrong == []


@pytest.fixture(scope="module")
def results(rendered: Checkout) -> Path:
    return rendered.folder / "results/small"


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def show(page: Page, result: str) -> Frame:
    """Show a page of the report as a click on its eye does; returns its frame, ready to be used."""
    path = page.evaluate("name => Object.keys(results).find(path => path.endsWith(name))", result)
    page.evaluate("path => new ButtonViewManager(app).handleSelectedResult(path).props.onClick()", path)
    # The frame before it, if any, is replaced.
    page.wait_for_function("() => document.querySelectorAll('iframe').length === 1")
    element = page.wait_for_selector("iframe")
    assert element is not None
    frame = element.content_frame()
    assert frame is not None
    frame.wait_for_selector("#table")
    return frame


def column(frame: Frame, index: int) -> list[str]:
    """What the shown rows of a column say, without the standard deviation."""
    script = (
        "(rows, index) => rows.filter(row => !row.hidden)"
        ".map(row => row.cells[index].innerText.replace(/^[▸▾] /, '').split(' ±')[0])"
    )
    return list(frame.eval_on_selector_all("#table > tbody > tr", script, index))


def sort(frame: Frame, index: int, direction: str) -> list[str]:
    """Click on a column's heading; returns what the column says then."""
    heading = f"#table thead th:nth-child({index + 1})"
    frame.click(f"{heading} .dt-column-title")
    frame.wait_for_selector(f"{heading}[aria-sort={direction}]")
    return column(frame, index)


def wait_for_rows(frame: Frame, count: int) -> None:
    script = "count => document.querySelectorAll('#table > tbody > tr:not([hidden])').length === count"
    frame.wait_for_function(script, arg=count)


def test_every_result_is_listed_with_a_caption_and_can_be_shown(results: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(results / "report.html")
    assert "Multi-Flow Bench" in page.inner_text("h1.title")
    categories: dict[str, dict[str, list[str]]] = page.evaluate("categories")
    records: dict[str, dict[str, Any]] = page.evaluate(
        "Object.fromEntries(Object.entries(results).map("
        "([path, result]) => [path, {labels: result.labels, caption: result.caption, mime: result.mime_type}]))"
    )
    assert set(categories) == {
        "Comparison with the paper", "Detection", "Foreground", "Segmentation maps", "Tables", "Training",
    }  # fmt: skip
    listed = [path for group in categories.values() for paths in group.values() for path in paths]
    assert sorted(listed) == sorted(records)
    for path, record in records.items():
        assert record["labels"], path
        assert len(record["caption"]) > 100, path
        assert "system-message" not in record["caption"], record["caption"]
    (noise,) = (record for path, record in records.items() if path.endswith("/table4.html"))
    assert ABLATIONS["table4"].reading in " ".join(noise["caption"].split())
    for category, groups in categories.items():
        for group, paths in groups.items():
            page.evaluate("app.setView({navbarMode: 'menu'})")
            view = {"navbarMode": "subcategory", "category": category, "subcategory": group}
            page.evaluate("view => app.setView(view)", view)
            page.wait_for_selector("nav tbody tr")
            # A result whose labels are another's would not be listed.
            toggles = max(1, page.locator("nav fieldset label").count())
            assert page.locator("nav tbody tr").count() * toggles == len(paths), (category, group)
    for path, record in records.items():
        if record["mime"].startswith("image/"):
            page.evaluate("path => new ButtonViewManager(app).handleSelectedResult(path).props.onClick()", path)
            page.wait_for_function(
                "uri => { const shown = document.querySelector('#app .p-3 > img');"
                " return shown && shown.src === uri && shown.complete && shown.naturalWidth > 100; }",
                arg=page.evaluate("path => results[path].data_uri", path),
            )


def test_links_in_the_description_lead_somewhere(results: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(results / "report.html")
    assert page.locator(".prose .system-message").count() == 0
    assert f"{MultiFlowMethod.heading} ({MultiFlowMethod.reference})" in page.inner_text(".prose")
    categories = page.evaluate("categories")
    titles = page.locator(".prose a").all_inner_texts()
    assert set(categories) <= set(titles)
    assert {"Every run", "metrics.csv"} <= set(titles)
    for index, title in enumerate(titles):
        page.locator(".prose a").nth(index).click()
        if title in categories:
            page.wait_for_function(
                "title => app.state.category === title && document.querySelector('nav tbody')", arg=title
            )
            rule = page.evaluate("title => results[Object.values(categories[title])[0][0]].labels", title)
            assert all(text in page.inner_text("nav") for text in rule.values()), title
        else:
            page.wait_for_function("() => app.state.navbarMode === 'resultinfo' && app.state.resultPath in results")
            page.evaluate("app.setView({navbarMode: 'menu'})")


def test_statistics_show_every_rule_that_ran(results: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(results / "report.html")
    page.click("text=Statistics")
    page.wait_for_selector("#runtimes canvas, #runtimes svg")
    ran = set(page.evaluate("runtimes_spec.data.values.map(value => value.rule)"))
    assert {
        "render_class", "extract_features", "train_model", "score_samples", "count_metrics", "make_table",
    } <= ran  # fmt: skip


def test_every_table_is_shown_with_its_numbers(results: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(results / "report.html")
    others = ("background_removal", "sample_rules", "detection_metrics", "defect_types")
    paths = sorted((results / "tables").glob("table*.csv")) + [results / f"tables/{name}.csv" for name in others]
    for path in paths:
        frame = show(page, f"/{path.stem}.html")
        expected = [
            "-" if row[name] == "-" else f"{float(row[name]):.2f}"
            for row in rows(path)
            for name in row
            if f"{name}_source" in row
        ]
        script = "cells => cells.map(cell => cell.innerText.split(' ±')[0])"
        assert frame.eval_on_selector_all("#table :is(tbody, tfoot) td.number", script) == expected, path.stem


def test_a_class_table_is_sorted_and_searched(results: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(results / "tables/table6.html")
    frame = page.main_frame
    page.wait_for_selector(".dt-search input")
    names = column(frame, 0)
    assert len(names) == 2
    assert sort(frame, 0, "ascending") == sorted(names)
    assert sort(frame, 0, "descending") == sorted(names, reverse=True)
    page.fill(".dt-search input", "coin")
    wait_for_rows(frame, 1)
    assert column(frame, 0) == ["coin_cell"]
    assert page.inner_text("#table tfoot th") == "Average"


def test_every_run_is_sorted_filtered_and_leads_to_its_json(results: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(results / "report.html")
    frame = show(page, "/runs.html")
    frame.wait_for_selector(".dt-search input")
    found = list(zip(column(frame, 0), column(frame, 1), strict=True))
    assert found == [
        ("stud_brick", "multiflow"), ("stud_brick", "no_cross_view"), ("stud_brick", "with_background"),
        ("stud_brick", "background_ignored"), ("coin_cell", "multiflow"),
    ]  # fmt: skip

    assert frame.inner_text("#table thead th:nth-child(6) .dt-column-title") == "Pixel-AUROC"
    ascending = [float(text) for text in sort(frame, 5, "ascending")]
    assert ascending == sorted(ascending)
    assert len(set(ascending)) > 1
    assert [float(text) for text in sort(frame, 5, "descending")] == ascending[::-1]

    search = ".dt-search input"
    frame.fill(search, "coin_cell")
    wait_for_rows(frame, 1)
    assert column(frame, 0) == ["coin_cell"]
    frame.fill(search, "")
    frame.click("#table thead th:nth-child(2) button")
    frame.click(".dtcc-button[aria-label=no_cross_view]")
    wait_for_rows(frame, 1)
    assert column(frame, 1) == ["no_cross_view"]
    frame.click(".dtcc-list-selectNone")
    frame.click("#table thead th:nth-child(6) button")
    frame.select_option(".dtcc-dropdown select", "greater")
    frame.fill(".dtcc-dropdown input", str(ascending[1]))
    greater = [value for value in ascending if value > ascending[1]]
    wait_for_rows(frame, len(greater))
    assert [float(text) for text in column(frame, 5)] == greater[::-1]
    frame.click(".dtcc-search-clear >> visible=true")

    frame.fill(search, "coin")
    wait_for_rows(frame, 1)
    frame.click("#table tbody button:has-text('coin_cell')")
    assert column(frame, 0) == ["coin_cell", "seed 0", "seed 1"]
    frame.click("#table tbody button:has-text('seed 1')")
    text = frame.inner_text("#table tr.json:not([hidden]) pre")
    assert frame.inner_text("#table tr.json:not([hidden]) code") == "metrics/multiflow/coin_cell/seed1.json"
    assert json.loads(text) == json.loads((results / "metrics/multiflow/coin_cell/seed1.json").read_text())


def test_on_a_phone_nothing_is_cut_off(results: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(results / "report.html", PHONE)
    page.evaluate("app.showCategory('Tables')")
    page.wait_for_selector("nav tbody tr")
    for button in page.locator("nav tbody a").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE["width"]
    show(page, "/table5.html")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    frame = page.wait_for_selector("iframe")
    assert frame is not None
    box = frame.bounding_box()
    assert box is not None
    assert box["width"] == PHONE["width"]
    assert box["height"] >= PHONE["height"] / 2


def test_a_report_that_cannot_be_made_leaves_none(rendered: Checkout, tmp_path: Path) -> None:
    style = rendered.folder / "workflow/report/style.css"
    with pytest.raises(RuntimeError, match="nothing_here"):
        write_report(tmp_path / "nothing_here", {}, "results", style, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
