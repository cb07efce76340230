"""Bars as an SVG picture, on logarithmic scales."""

import collections
import html
import math

Panel = collections.namedtuple("Panel", "title bars")  # bars: (label, value)

LABEL_WIDTH, BAR_WIDTH, VALUE_WIDTH = 330, 380, 90
ROW_HEIGHT, TITLE_HEIGHT, GAP = 20, 30, 22
DECADES_MAX = 5
OURS = "httpacct"


def text(x, y, words, **attributes):
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x}" y="{y}"{more}>{html.escape(words)}</text>'


def decades(bars):
    """The powers of ten around all values, but for those that are next to nothing."""
    values = [value for _, value in bars if value > 0] or [1]
    high = math.ceil(math.log10(max(values)))
    return max(min(math.floor(math.log10(min(values))), high - 1), high - DECADES_MAX), high


def draw_panel(panel, top):
    low, high = decades(panel.bars)
    yield text(0, top + 18, panel.title, font_weight="bold")
    bottom = top + TITLE_HEIGHT + ROW_HEIGHT * len(panel.bars)
    for power in range(low, high + 1):
        x = LABEL_WIDTH + BAR_WIDTH * (power - low) / (high - low)
        yield (f'<line x1="{x:.1f}" y1="{top + TITLE_HEIGHT}" x2="{x:.1f}" y2="{bottom}" '
               'stroke="#ddd"/>')
        yield text(f"{x:.1f}", bottom + 12, f"{10.0 ** power:g}", text_anchor="middle",
                   font_size=10, fill="#777")
    for row, (label, value) in enumerate(panel.bars):
        y = top + TITLE_HEIGHT + ROW_HEIGHT * row
        label = label.strip("*")
        reach = max(0, math.log10(value) - low) / (high - low) if value > 0 else 0
        yield text(LABEL_WIDTH - 8, y + 14, label, text_anchor="end")
        yield (f'<rect x="{LABEL_WIDTH}" y="{y + 3}" width="{max(1, BAR_WIDTH * reach):.1f}" '
               f'height="{ROW_HEIGHT - 6}" fill="{"#d1495b" if label == OURS else "#8aa1b1"}"/>')
        yield text(f"{LABEL_WIDTH + BAR_WIDTH * reach + 5:.1f}", y + 14, f"{value:.4g}")


def draw(panels):
    shapes, top = [], 0
    for panel in panels:
        shapes += draw_panel(panel, top)
        top += TITLE_HEIGHT + ROW_HEIGHT * len(panel.bars) + GAP
    width = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{top}" fill="white"/>', *shapes, "</svg>", ""])
