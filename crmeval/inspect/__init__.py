"""Scorers and tasks for Inspect: `from crmeval.inspect import factuality, use_case`.

Inspect loads this package by itself and knows what is in it as `crmeval/factuality`, `crmeval/use_case`.
"""

try:
    from inspect_ai import task as _task  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError as _error:
    _told = "crmeval.inspect needs inspect_ai: pip install 'crmeval[inspect]'"
    raise ModuleNotFoundError(_told, name=_error.name) from None

from ..bridges.fields import bridged_metrics as _bridged_metrics
from ..bridges.inspect_scorers import inspect_scorer as _inspect_scorer
from ..bridges.inspect_scorers import inspect_task as _inspect_task

use_case = _task(name="use_case")(_inspect_task)
factuality = _inspect_scorer("factuality")
completeness = _inspect_scorer("completeness")
conciseness = _inspect_scorer("conciseness")
instruction_following = _inspect_scorer("instruction_following")
fluency = _inspect_scorer("fluency")
coherence = _inspect_scorer("coherence")
brand_voice = _inspect_scorer("brand_voice")
term_precision = _inspect_scorer("term_precision")
citation_recall = _inspect_scorer("citation_recall")
citation_precision = _inspect_scorer("citation_precision")
record_update = _inspect_scorer("record_update")
privacy = _inspect_scorer("privacy")
toxicity = _inspect_scorer("toxicity")
refusal = _inspect_scorer("refusal")
truthful = _inspect_scorer("truthful")

__all__ = ["use_case", *_bridged_metrics()]
