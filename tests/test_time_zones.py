"Times without a zone have the same meaning on every machine."

import os
import time

import pytest

from crmeval.runs.limit_headers import read_reset


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata"])
def zone(request):
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    "header", ["2026-11-29T00:00:30Z", "2026-11-29T00:00:30", "2026-11-29T05:30:30+05:30"]
)
def test_a_reset_without_a_zone_is_in_universal_time(zone, header):
    assert read_reset(header, now=1795910400) == 30
