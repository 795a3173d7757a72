"""Several failed checks of one report are one incident, whether the report names its suite or not."""

from pathlib import Path

import pytest

from acceptance.stack import SECOND, Stack, play

pytestmark = pytest.mark.acceptance

RECORDED = Path(__file__).parents[1] / "ingest" / "checks"


async def reported(path, body):
    stack = Stack(path)
    try:
        answer = await stack.http.post("/v1/checks", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text
        for _ in range(3):
            stack.clock.advance(10 * SECOND)
            await stack.second()
        return stack.incidents()
    finally:
        await stack.close()


def test_failed_checks_of_one_report_are_one_incident(tmp_path):
    (incident,) = play(reported(tmp_path, (RECORDED / "evidently.json").read_bytes()))
    assert {each.series.label("check") for each in incident.findings if each.monitor == "data-check-failed"} == {
        "ValueDrift.drift", "MissingValueCount.eq", "DriftedColumnsCount.lt",
    }  # fmt: skip
