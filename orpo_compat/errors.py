"""Every exception of the trainer package, headed by its tree. Each message says what, where, and what to do next.

OrpoCompatError                 anything a user can mend; the command line shows it without a traceback
|-- ConfigError (ValueError)    an argument of ORPOConfig has a value it cannot have, or two of them disagree
|-- UnknownArgument (TypeError) an argument that no release of TRL or transformers ever had
|-- PickleRefused               a pickled file holds something else than training arguments
|-- DataError (ValueError)      a preference file that cannot be read as pairs
|-- WrongDataKind (TypeError)   what was passed as a dataset is none
|-- ModelError (ValueError)     a model or tokenizer that cannot be found or loaded
|-- PlanError (ValueError)      a plan asked for sizes that do not make sense, or for a model whose shape is not known
|-- PackingRefused              a model or batch that packed rows cannot serve; the trainer takes the padded path
|-- OutputError (ValueError)    a file or folder that is to be written and cannot be
|-- NonFiniteLoss (ArithmeticError)  a pair's log-probabilities are NaN or infinite (nan_policy="raise")
`-- RunError (ValueError)       a run folder that is missing or incomplete
    `-- RunExists               a run folder that holds a run already
"""

from __future__ import annotations

from pickle import UnpicklingError


class OrpoCompatError(Exception):
    """Anything a user can mend. Show ``str(error)``; a traceback helps nobody."""


class ConfigError(OrpoCompatError, ValueError):
    """An argument of ``ORPOConfig`` has a value it cannot have, or two disagree. The message names what is allowed."""


class UnknownArgument(OrpoCompatError, TypeError):
    """No release of TRL or transformers had this argument. The message names the nearest one, or what to do instead."""


class PickleRefused(OrpoCompatError, UnpicklingError):
    """A pickled file holds something else than training arguments; nothing in it was run."""


class DataError(OrpoCompatError, ValueError):
    """A preference file cannot be read as pairs. Look at the rows it names with ``orpo-compat data inspect``."""


class WrongDataKind(OrpoCompatError, TypeError):
    """What was passed as ``train_dataset`` or ``eval_dataset`` is no dataset; the message says how to make one."""


class ModelError(OrpoCompatError, ValueError):
    """A model or tokenizer cannot be found or loaded. Give a folder, a hub name, an alias, or ``tiny``."""


class PlanError(OrpoCompatError, ValueError):
    """A plan was asked for sizes that do not make sense, or for a model whose shape is not known."""


class OutputError(OrpoCompatError, ValueError):
    """A file or folder that a result is to go to cannot be written. Raised before the work begins."""


class PackingRefused(OrpoCompatError):
    """Packed rows cannot serve this model or batch. Caught unless ``packing="always"``; the message names why."""


class NonFiniteLoss(OrpoCompatError, ArithmeticError):
    """A pair's log-probabilities are NaN or infinite. The message names the rows; the last checkpoint is unharmed."""


class RunError(OrpoCompatError, ValueError):
    """A run folder is missing or incomplete."""


class RunExists(RunError):
    """A run folder holds an earlier run, which would be overwritten; nothing was changed."""


class SpellingWarning(UserWarning):
    """An argument in an older spelling was translated, or has no effect any more; the message says which and why.

    Shown once per argument and process. Nothing needs to be done; writing the modern argument makes it go away.
    """
