"""`cluster:` of tocsin.yaml: where snapshots lie, and what is refused before anything is started."""

import pytest

from tocsin.spec.cluster import TOPIC
from tocsin.spec.load import load_config
from tocsin.spec.problem import BadSpec


def loaded(tmp_path, text):
    file = tmp_path / "tocsin.yaml"
    file.write_text("cluster:\n" + "".join(f"  {line}\n" for line in text.splitlines()))
    return load_config(file, {"SECRET": "hush"}).config.cluster


def test_a_directory_holds_snapshots_and_what_is_shared(tmp_path):
    spec = loaded(tmp_path, "snapshots: /shared/tocsin")
    assert (spec.snapshots, spec.shared_dir) == ("/shared/tocsin", "/shared/tocsin")
    apart = loaded(tmp_path, "snapshots: /shared/tocsin\nshared: /run/secrets/tocsin")
    assert apart.shared_dir == "/run/secrets/tocsin"


def test_a_bucket_holds_snapshots_and_a_directory_what_is_shared(tmp_path):
    spec = loaded(
        tmp_path, "snapshots: s3://state/tocsin/eu\nshared: /run/secrets/tocsin\ns3: {endpoint: 'https://minio:9000'}"
    )
    assert (spec.shared_dir, spec.s3.endpoint) == ("/run/secrets/tocsin", "https://minio:9000")


def test_a_topic_holds_snapshots_by_a_word_and_a_directory_of_that_name_is_written_otherwise(tmp_path):
    spec = loaded(tmp_path, "snapshots: topic\nshared: /run/secrets/tocsin")
    assert (spec.snapshots, spec.shared_dir) == (TOPIC, "/run/secrets/tocsin")
    assert loaded(tmp_path, "snapshots: ./topic").shared_dir == "./topic"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("snapshots: s3://state/tocsin", "`tocsin key redaction` makes"),
        ("snapshots: topic", "with snapshots in a topic, say where"),
        ("snapshots: topic\nshared: /s\ns3: {region: eu-central-1}", "`snapshots` names none"),
        ("snapshots: s3://key:hush@state/tocsin\nshared: /s", "write it like s3://bucket/prefix"),
        ("snapshots: 's3://'\nshared: /s", "write it like s3://bucket/prefix"),
        ("snapshots: /shared\ns3: {region: eu-central-1}", "`snapshots` names none"),
        ("snapshots: s3://state\nshared: /s\ns3: {endpoint: 'minio:9000'}", "write it like https://"),
        ("snapshots: s3://state\nshared: /s\ns3: {endpoint: 'https://key:hush@minio:9000'}", "write it like https://"),
        ("snapshots: s3://state\nshared: /s\ns3: {secret_key: '${SECRET}'}", "secret_key"),
    ],
)
def test_what_can_not_be_right_is_refused_in_words(tmp_path, text, told):
    with pytest.raises(BadSpec) as refused:
        loaded(tmp_path, text)
    assert told in str(refused.value)
    assert "hush" not in str(refused.value)
