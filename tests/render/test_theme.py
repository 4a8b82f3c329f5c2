"""Colours that can be read on white and on black, as WCAG 2 measures contrast."""

from __future__ import annotations

import pytest
from rich.color import Color, ColorSystem
from rich.style import Style

from paraminspect.render.theme import THEME

LEAST = {ColorSystem.TRUECOLOR: 4.5, ColorSystem.EIGHT_BIT: 4.0}
"""Of 256 colours the nearest is taken, and there is no red that is as readable as the others."""


def luminance(colour: Color) -> float:
    def linear(part: int) -> float:
        share = part / 255
        return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = map(linear, colour.get_truecolor())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("system", LEAST)
@pytest.mark.parametrize("ink", [ink for ink, look in THEME.items() if Style.parse(look.fixed).color is not None])
def test_inks_are_readable_on_white_and_on_black(ink: str, system: ColorSystem) -> None:
    style = Style.parse(THEME[ink].fixed)  # type: ignore[index]
    assert style.color is not None
    grounds = [0.0, 1.0] if style.bgcolor is None else [luminance(style.bgcolor.downgrade(system))]
    assert min(contrast(luminance(style.color.downgrade(system)), ground) for ground in grounds) >= LEAST[system]


def test_a_terminal_of_sixteen_colours_uses_its_own() -> None:
    for look in THEME.values():
        colours = [each for each in (Style.parse(look.own).color, Style.parse(look.own).bgcolor) if each is not None]
        assert all(each.is_system_defined for each in colours)
