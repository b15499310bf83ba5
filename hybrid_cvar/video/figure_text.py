"""Text on a figure: Pillow's own font, so that a figure looks the same on every machine."""

from functools import lru_cache

from PIL import ImageDraw, ImageFont

__all__ = ["draw_text", "text_height", "text_width"]

INK, FAINT = (28, 28, 30), (105, 105, 112)
ELLIPSIS = "..."


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def text_height(size: int) -> int:
    """Pixels from one line to the next."""
    return round(size * 1.35)


def text_width(text: str, size: int) -> int:
    """Pixels that a line takes."""
    return round(_font(size).getlength(text))


def draw_text(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, width: int, *, faint: bool = False
) -> None:
    """Draw one line; what does not fit is cut, and an ellipsis says so.

    Args:
        draw: of the picture.
        place: left and top, pixels.
        text: the line; characters that the font lacks become question marks.
        size: of the font, pixels.
        width: room for it, pixels.
        faint: grey for what matters less.
    """
    font = _font(size)
    line = text.encode("latin-1", "replace").decode("latin-1")
    line = "".join(character if character.isprintable() else "?" for character in line)
    if draw.textlength(line, font) > width:
        while line and draw.textlength(line + ELLIPSIS, font) > width:
            line = line[:-1]
        line += ELLIPSIS
    draw.text(place, line, fill=FAINT if faint else INK, font=font)
