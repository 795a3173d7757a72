"""The API holds to its own description, whatever is sent to it (schemathesis, short)."""

from __future__ import annotations

from dataclasses import replace

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.fake import deps
from tocsin.api.app import control_app

APP = control_app(replace(deps(), allowed_hosts=None))
schema = schemathesis.openapi.from_asgi("/openapi.json", APP).exclude(path="/api/stream")
HELD = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schema.parametrize()
@settings(
    max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
def test_api_holds_to_its_description(case):
    case.call_and_validate(checks=HELD)
