"""Labels in the address of a call: quoted, so that no name leads elsewhere, and refused where there is none."""

from dataclasses import replace

import pytest

from notify_messages import messages
from tocsin.model.errors import Refused
from tocsin.model.series import Series, Signal
from tocsin.notify.webhook import filled
from tocsin.spec.drift import DriftSpec
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec


def incident(model):
    found = messages()["trigger"].incident
    series = Series.of("main", Signal("tocsin.model.drift", "1"), {"model": model, "version": "3"})
    met = replace(found.findings[0], series=series, evidence={"policy_met": 1.0})
    return replace(found, findings=(*found.findings, met))


def test_the_model_stands_in_the_address():
    url = "https://pipelines.example/${model}/retrain?from=${version}"
    assert filled(url, incident("churn")) == "https://pipelines.example/churn/retrain?from=3"
    hostile = filled(url, incident("../../admin?x=1#@evil.example\n"))
    assert hostile == "https://pipelines.example/..%2F..%2Fadmin%3Fx%3D1%23%40evil.example%0A/retrain?from=3"


@pytest.mark.parametrize(
    ("url", "model"), [("https://x.example/${region}", "churn"), ("https://x.example/${model}", "..")]
)
def test_a_label_that_is_not_there_or_leads_up_is_refused(url, model):
    with pytest.raises(Refused):
        filled(url, incident(model))


def test_a_policy_takes_labels_in_the_path_and_none_in_the_host():
    text = 'drift:\n  - {model: "*", reference: first 7d, actions: [{type: webhook, url: "https://%s"}]}\n'
    (policy,) = parse_config(text % "x.example/${model}", "tocsin.yaml", {}).config.drift
    assert isinstance(policy, DriftSpec)
    assert policy.calls()[0].url == "https://x.example/${model}"
    with pytest.raises(BadSpec, match="not in its host"):
        parse_config(text % "${model}.example/", "tocsin.yaml", {})
