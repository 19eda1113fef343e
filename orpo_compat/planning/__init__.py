"""Estimates before a run: floating-point work, memory per GPU, time, and the launch that fits.

Pure arithmetic over a model's shape and the pairs' lengths; nothing here imports torch. What a formula leaves out is
said beside it, and ``docs/scale.md`` sets each against what was measured.
"""
