"""Inline SVG for the HTML report: curves with a band, differences on a log scale, bars. Numbers in, markup out.

Every text goes through ``escape``; every drawn point carries its value in ``data-value``, so that a page can be read
back. Colours are CSS variables of the page, which knows light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 480, 220
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 14, 30


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


class Frame:
    """Maps steps and values to a plot's pixels."""

    def __init__(self, num_steps: int, low: float, high: float, *, log: bool = False) -> None:
        self.log = log
        self.steps = max(num_steps - 1, 1)
        if not log:
            margin = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
            low, high = low - margin, high + margin
        self.low, self.high = (math.log10(low), math.log10(high)) if log else (low, high)
        if self.high - self.low < 1e-12:
            self.low, self.high = self.low - 1, self.high + 1

    def x(self, step: float) -> float:
        """Return the horizontal pixel of a step."""
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.steps

    def y(self, value: float) -> float:
        """Return the vertical pixel of a value, clamped to the frame."""
        scaled = math.log10(max(value, 1e-300)) if self.log else value
        share = min(max((scaled - self.low) / (self.high - self.low), 0.0), 1.0)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def axes(self, num_steps: int) -> str:
        """Return grid lines with their labels."""
        parts = []
        for index in range(5):
            scaled = self.low + (self.high - self.low) * index / 4
            value = 10**scaled if self.log else scaled
            y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * index / 4
            label = f"{value:.0e}" if self.log else f"{value:.4g}"
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
        for step in sorted({round(index * (num_steps - 1) / 4) for index in range(5)}):
            position = f'x="{self.x(step):.1f}" y="{HEIGHT - 10}"'
            parts.append(f'<text class="tick" {position} text-anchor="middle">{step}</text>')
        return "".join(parts)


def _svg(label: str, body: str, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label, quote=True)}">{body}</svg>'


def _line(frame: Frame, values: Sequence[float], name: str) -> str:
    points = [(step, value) for step, value in enumerate(values) if math.isfinite(value)]
    path = " ".join(f"{frame.x(step):.1f},{frame.y(value):.1f}" for step, value in points)
    dots = "".join(
        f'<circle class="{name}" cx="{frame.x(step):.1f}" cy="{frame.y(value):.1f}" r="2.6" data-step="{step}" '
        f'data-value="{value!r}"><title>step {step}: {value:.8g}</title></circle>'
        for step, value in points
    )
    return f'<polyline class="line {name}" points="{path}"/>{dots}'


def curves(label: str, theirs: Sequence[float], ours: Mapping[str, Sequence[float]], floor: Sequence[float]) -> str:
    """Draw theirs and each of ours over each other, with the band within which a difference is rounding.

    Args:
        floor: Absolute half width of the band, per step.
    """
    values = _finite([*theirs, *(value for series in ours.values() for value in series)])
    if not values:
        return _svg(label, f'<text class="tick" x="{LEFT}" y="{HEIGHT / 2}">no finite value</text>')
    frame = Frame(len(theirs), min(values), max(values))
    edge = [(step, value, half) for step, (value, half) in enumerate(zip(theirs, floor, strict=True))]
    edge = [(step, value, half) for step, value, half in edge if math.isfinite(value) and math.isfinite(half)]
    upper = [f"{frame.x(step):.1f},{frame.y(value + half):.1f}" for step, value, half in edge]
    lower = [f"{frame.x(step):.1f},{frame.y(value - half):.1f}" for step, value, half in reversed(edge)]
    band = f'<polygon class="band" points="{" ".join(upper + lower)}"/>'
    lines = "".join(_line(frame, series, f"ours ours-{index}") for index, series in enumerate(ours.values()))
    return _svg(label, frame.axes(len(theirs)) + band + _line(frame, theirs, "theirs") + lines)


def differences(label: str, series: Mapping[str, Sequence[float]], floor: float) -> str:
    """Draw relative differences per step on a log scale, with the line of the floor; bit-equal is at the bottom."""
    values = [value for line in series.values() for value in _finite(line) if value > 0]
    low = min([*values, floor]) / 3
    high = max([*values, floor]) * 3
    num_steps = max((len(line) for line in series.values()), default=1)
    frame = Frame(num_steps, low, high, log=True)
    body = frame.axes(num_steps)
    y = frame.y(floor)
    body += f'<line class="floor" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    body += f'<text class="tick" x="{WIDTH - RIGHT}" y="{y - 5:.1f}" text-anchor="end">floor {floor:.0e}</text>'
    for index, line in enumerate(series.values()):
        body += _line(frame, [max(value, low) if math.isfinite(value) else high for value in line], f"series-{index}")
    return _svg(label, body)


def bars(label: str, rows: Sequence[tuple[str, Mapping[str, float]]], unit: str) -> str:
    """Draw one group of horizontal bars per row: theirs and ours."""
    values = [value for _, pair in rows for value in pair.values() if math.isfinite(value)]
    scale = (WIDTH - LEFT - 150) / max([*values, 1e-9])
    body, y = "", 16
    for name, pair in rows:
        body += f'<text class="tick" x="4" y="{y + 16}">{escape(name)}</text>'
        for arm, value in pair.items():
            shown = value if math.isfinite(value) else 0.0
            body += (
                f'<rect class="{escape(arm)}" x="{LEFT + 60}" y="{y}" width="{max(shown * scale, 1):.1f}" height="11" '
                f'data-value="{value!r}"/>'
                f'<text class="tick" x="{LEFT + 66 + shown * scale:.1f}" y="{y + 10}">{value:.0f} {escape(unit)}</text>'
            )
            y += 14
        y += 8
    return _svg(label, body, height=y + 4)
