"""Assertions for the tests of an application: `from crmeval.testing import assert_score`."""

from ..bridges.assertions import assert_mean as assert_mean
from ..bridges.assertions import assert_score as assert_score

__all__ = ["assert_mean", "assert_score"]
