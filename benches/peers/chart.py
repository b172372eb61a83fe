"""The results as a picture: for each workload, what every target costs as a multiple of meshlib's cost."""

import math
import statistics
from xml.sax.saxutils import escape

COLOURS = {"envoy oghttp2": "#d62728", "envoy nghttp2": "#ff9896", "haproxy same": "#1f77b4", "haproxy bare": "#aec7e8",
           "nginx same": "#2ca02c", "nginx bare": "#98df8a"}
OTHER = "#9467bd"
LEFT, WIDTH, ROW, TOP = 290, 640, 20, 84
# The axis is logarithmic, from a twentieth to twenty times meshlib's cost.
LEAST, MOST = 0.05, 20
MARKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def x(ratio):
    ratio = min(max(ratio, LEAST), MOST)
    return LEFT + WIDTH * math.log(ratio / LEAST) / math.log(MOST / LEAST)


def text(left, top, words, anchor="start", size=12, more=""):
    return f'<text x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}" font-size="{size}" {more}>{escape(words)}</text>'


def line(left, top, right, bottom, colour, width=1):
    return (f'<line x1="{left:.1f}" y1="{top:.1f}" x2="{right:.1f}" y2="{bottom:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def dot(left, top, colour, words):
    return f'<circle cx="{left:.1f}" cy="{top:.1f}" r="4" fill="{colour}"><title>{escape(words)}</title></circle>'


def legend(targets, top):
    parts, left = [], LEFT
    for target in targets:
        parts += [dot(left, top - 4, COLOURS.get(target, OTHER), target), text(left + 8, top, target)]
        left += 26 + 6.5 * len(target)
    return parts


def axis(bottom):
    parts = []
    for mark in MARKS:
        colour, width = ("#000", 1.5) if mark == 1 else ("#ddd", 1)
        parts += [line(x(mark), TOP - 6, x(mark), bottom, colour, width),
                  text(x(mark), TOP - 10, f"{mark:g}x", "middle", 11)]
    return parts


def row(results, title, base, middle):
    parts = [text(LEFT - 10, middle + 4, title, "end")]
    for target in results.targets(title):
        ratios = results.ratios(title, target, base)
        if target == base or not ratios or statistics.median(ratios) <= 0:
            continue
        ratio, colour = statistics.median(ratios), COLOURS.get(target, OTHER)
        words = f"{target}: {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f}) x {base}"
        parts += [line(x(min(ratios)), middle, x(max(ratios)), middle, colour, 2), dot(x(ratio), middle, colour, words)]
    return parts


def svg(results, base, caption):
    titles = [workload.title for workload in results.workloads]
    targets = list(dict.fromkeys(target for title in titles for target in results.targets(title) if target != base))
    bottom = TOP + ROW * len(titles) + 6
    headline = f"Cost as a multiple of {base}'s (CPU time; P6: memory)"
    parts = [text(LEFT, 22, headline, size=15, more='font-weight="bold"'),
             *legend(targets, 46), *axis(bottom)]
    for number, title in enumerate(titles):
        parts += row(results, title, base, TOP + ROW * number + ROW / 2)
    caption = f"right of 1x: costs more than {base}; lines: least to most of the rounds. {caption}"
    parts.append(text(LEFT, bottom + 18, caption, size=11))
    width, height = LEFT + WIDTH + 60, bottom + 32
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                      f'height="{height}" font-family="sans-serif">',
                      f'<rect width="{width}" height="{height}" fill="#fff"/>', *parts, "</svg>", ""])
