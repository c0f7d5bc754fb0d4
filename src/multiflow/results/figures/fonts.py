"""Fonts for letters that Matplotlib's own font lacks, such as those of Chinese and Korean names."""

from __future__ import annotations

import logging

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.text import Text

__all__ = ["use_other_fonts"]


def use_other_fonts(figure: Figure) -> str:
    """Take letters that the font of a figure's texts lacks from other fonts of this machine.

    Returns:
        The letters that none of them has; they are drawn as boxes.
    """
    texts = figure.findobj(Text)
    letters = {letter for text in texts for letter in text.get_text() if not letter.isspace()}
    missing = letters - _found(letters, findfont(FontProperties()))
    if not missing:
        return ""
    # Not Matplotlib's list of fonts, which is from the time of its first use.
    fonts = {path: found for path in sorted(findSystemFonts()) if (found := _found(missing, path))}
    # It tells of each weight that a font lacks.
    logging.getLogger(fontManager.__module__).setLevel(logging.ERROR)
    families: list[str] = []
    while missing and fonts:
        path = max(fonts, key=lambda path: len(fonts[path] & missing))
        if not fonts[path] & missing:
            break
        letters = fonts.pop(path)
        try:
            fontManager.addfont(path)
        except (NotImplementedError, OSError, RuntimeError, ValueError):  # not every file of a font can be drawn with
            continue
        missing -= letters
        families.append(get_font(path).family_name)
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *families])
    return "".join(sorted(missing))


def _found(letters: set[str], path: str) -> set[str]:
    """Those letters that a font has; none where it cannot be read."""
    try:
        font = get_font(path)
    except (OSError, RuntimeError):
        return set()
    # Emoji fonts may hold pictures alone.
    return {letter for letter in letters if font.scalable and font.get_char_index(ord(letter))}
