"""One palette for all pages and plots, light and dark, as CSS variables with enough contrast to be read."""

from __future__ import annotations

from typing import Final

LIGHT: Final = {
    "page": "#f6f7f9",
    "card": "#ffffff",
    "ink": "#14181f",
    "soft": "#566072",
    "line": "#dde1e8",
    "grid": "#e8ebf0",
    "c1": "#2463c9",
    "c2": "#c2570c",
    "c3": "#0b7f6b",
    "c4": "#8b46c1",
    "c5": "#b3316b",
    "c6": "#5f6b7c",
    "good": "#137a3c",
    "warn": "#9a5b00",
    "bad": "#b42318",
    "note": "#56627a",
}
DARK: Final = {
    "page": "#0f1217",
    "card": "#171b22",
    "ink": "#e9edf3",
    "soft": "#a0aabb",
    "line": "#2b323d",
    "grid": "#262c36",
    "c1": "#6ea5ff",
    "c2": "#f29a54",
    "c3": "#45c4ab",
    "c4": "#c08df0",
    "c5": "#f07fb0",
    "c6": "#9aa6b8",
    "good": "#5fd08a",
    "warn": "#efb34d",
    "bad": "#ff8a7d",
    "note": "#a0aabb",
}
COLOURS: Final = ("c1", "c2", "c3", "c4", "c5", "c6")
"""Colours of series in their order; told apart with red-green blindness too, by their lightness."""


def variables() -> str:
    """The palette as CSS: light by default, dark where the reader's system is."""
    return f":root{{color-scheme:light dark;{_listed(LIGHT)}}}" + (
        f"@media (prefers-color-scheme:dark){{:root{{{_listed(DARK)}}}}}"
    )


def _listed(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours ``#rrggbb``, from 1 to 21.

    References
    ----------
    WCAG 2.2, success criteria 1.4.3 (text: 4.5 at least) and 1.4.11 (graphics: 3 at least).
    """
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
