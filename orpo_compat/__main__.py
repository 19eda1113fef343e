"""``python -m orpo_compat`` is ``orpo-compat``."""

from orpo_compat.cli import main

if __name__ == "__main__":
    main()
