"""Every exception of the trainer package, headed by its tree. Each message says what, where, and what to do next.

    OrpoCompatError                 anything a user can mend; the command line shows it without a traceback
    |-- DataError (ValueError)      a preference file that cannot be read as pairs
    |-- ModelError (ValueError)     a model or tokenizer that cannot be found or loaded
    `-- RunError (ValueError)       a run folder that is missing, incomplete, or would be overwritten
"""

from __future__ import annotations


class OrpoCompatError(Exception):
    """Anything a user can mend. Show ``str(error)``; a traceback helps nobody."""


class DataError(OrpoCompatError, ValueError):
    """A preference file cannot be read as pairs. Look at the rows it names with ``orpo-compat data inspect``."""


class ModelError(OrpoCompatError, ValueError):
    """A model or tokenizer cannot be found or loaded. Give a folder, a hub name, an alias, or ``tiny``."""


class RunError(OrpoCompatError, ValueError):
    """A run folder is missing, incomplete, or holds a run that would be overwritten."""
