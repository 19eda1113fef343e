"""Profiles for the laws: hypothesis's own by default, and one that looks much longer.

Run it with ``pytest --hypothesis-profile=thorough tests/codemods/test_rewrite.py``.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("thorough", max_examples=5000, deadline=None)
