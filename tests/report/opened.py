"""What each page must stand in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def opens_without_a_word(browser: Any, path: Path) -> None:
    """No complaint, no request, nothing wider than the screen; at a desk in light, on a phone in dark."""
    for width, scheme in ((1280, "light"), (390, "dark")):
        said: list[str] = []
        asked: list[str] = []
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        tab = context.new_page()
        tab.on("console", lambda message, said=said: said.append(message.text))
        tab.on("pageerror", lambda error, said=said: said.append(str(error)))
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.goto(path.as_uri())
        tab.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        assert said == []
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(15, 18, 23)") == (scheme == "dark")
        context.close()
