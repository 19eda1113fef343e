"""The oldest and the newest stack that this package supports, each in an environment of its own, under the fast tests.

    python -m tests.matrix            # both; rewrites the table of docs/support.md
    python -m tests.matrix --resolve  # which releases are newest today, into newest.txt

Environments are cached outside the tree (``ORPO_COMPAT_CACHE``, or the user's cache folder).
"""
