"""Hooks in tocsin.yaml: for monitors that there are, to a host that no label can change."""

from __future__ import annotations

import pytest

from tocsin.spec.load import parse_config
from tocsin.spec.packs import load_packs
from tocsin.spec.problem import BadSpec


def config(text):
    return parse_config(f"hooks: [{text}]\n", "tocsin.yaml", {}, load_packs()).config


def test_a_hook_is_a_destination_of_its_own():
    found = config("{monitor: rag-stale, url: 'https://indexer.example/reindex', secret: s3cret}")
    (destination,) = found.outgoing()
    assert (destination.type, destination.name, destination.secret) == ("webhook", found.hooks[0].name, "s3cret")
    # another address is another hook, the same with another secret is not
    same = config("{monitor: rag-stale, url: 'https://indexer.example/reindex', secret: other}")
    other = config("{monitor: rag-stale, url: 'https://indexer.example/other'}")
    assert same.hooks[0].name == found.hooks[0].name != other.hooks[0].name


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{monitor: rag-stail, url: 'https://indexer.example/'}", "no monitor is called `rag-stail`; did you mean `rag-stale`?"),
        ("{monitor: rag-stale, url: 'https://${service.name}.example/'}", "not in its host"),
        ("{monitor: rag-stale, url: 'file:///etc/passwd'}", "is not an address"),
    ],
)  # fmt: skip
def test_faults_are_named(text, fault):
    with pytest.raises(BadSpec, match=r"tocsin\.yaml:1:") as caught:
        config(text)
    assert fault in str(caught.value)
