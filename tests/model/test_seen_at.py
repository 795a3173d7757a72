"""Where a finding is seen: the page is chosen by what it is about."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from incident_world import T0, finding
from tocsin.model.seen_at import seen_at

HOUR_BEFORE = str(T0 // 10**9 - 3600)


@pytest.mark.parametrize(
    ("signal", "labels", "evidence", "path", "asked"),
    [
        ("tocsin.model.data_quality", {"model": "churn", "feature": "age"}, {"detector": "data quality"},
         "/models", {"model": "churn", "from": HOUR_BEFORE}),
        ("tocsin.model.drift", {"model": "a&b=c", "country": "D E"}, {"detector": "drift"},
         "/models", {"model": "a&b=c", "segment": "country=D E", "from": HOUR_BEFORE}),
        ("gen_ai.prompt.input_tokens_ratio", {"service.name": "bot", "gen_ai.prompt.name": "p", "gen_ai.request.model": "m"},
         {"detector": "calls"}, "/llm", {"by": "prompt_version", "service": "bot", "model": "m", "from": HOUR_BEFORE}),
        ("gen_ai.spend.day_ratio", {"tenant.id": "acme"}, {"detector": "calls"},
         "/llm", {"customer": "acme", "from": HOUR_BEFORE}),
        ("log.new_template.records", {"service.name": "bot"}, {"detector": "baseline", "template.1.id": "t1"},
         "/logs", {"service": "bot", "template": "t1", "from": HOUR_BEFORE}),
        ("telemetry.feed.late", {"service.name": "bot"}, {"detector": "blind"}, "/signals", {"state": "late"}),
        ("entity", {"host.name": "h1"}, {"detector": "entity"}, "/signals", {"entity": "h1"}),
    ],
)  # fmt: skip
def test_the_page_is_that_of_what_it_is_about(signal, labels, evidence, path, asked):
    found = urlsplit(seen_at(finding("m", signal, labels, evidence=evidence)))
    assert (found.path, dict(parse_qsl(found.query))) == (path, asked)


def test_a_series_is_named_by_its_own_identity():
    one = finding()
    asked = dict(parse_qsl(urlsplit(seen_at(one)).query))
    assert asked == {"signal": one.series.signal.name, "series": one.series.id.hex(), "from": HOUR_BEFORE}
