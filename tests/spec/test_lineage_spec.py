"""`lineage:` of a drift policy: names and plain addresses, and each fault at its place."""

import pytest

from tocsin.model.lineage import Origin
from tocsin.spec.load import parse_config
from tocsin.spec.problem import BadSpec

HEAD = "drift:\n  - model: churn\n    reference: first 7d\n    lineage:\n"


def read(text):
    return parse_config(HEAD + text, "tocsin.yaml", {})


def test_a_name_alone_and_one_with_its_address():
    found = read("      experiment: churn-2026\n      dataset: {name: customers, link: https://dvc.example/v7}\n")
    lineage = found.config.drift[0].bare().lineage
    assert lineage.origins == [
        Origin("experiment", "churn-2026"),
        Origin("dataset", "customers", "https://dvc.example/v7"),
    ]


def test_none_is_told_where_none_is_given():
    assert parse_config(HEAD.replace("    lineage:\n", ""), "tocsin.yaml", {}).config.drift[0].lineage.origins == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('      run: {name: r, link: "javascript:alert(1)"}\n', "no plain address"),
        ('      run: {name: ""}\n', "empty text"),
        ("      runs: r\n", "run"),
        (f"      run: {'x' * 300}\n", "200"),
    ],
)
def test_faults_are_told_at_their_place(text, said):
    with pytest.raises(BadSpec, match=r"^tocsin\.yaml:5:") as raised:
        read(text)
    assert said in str(raised.value)
