"""The configuration on the page of remediation is a good one."""

import re
from pathlib import Path

from tocsin.spec.load import parse_config

PAGE = Path(__file__).parents[2] / "docs" / "remediation.md"


def test_the_example_is_taken_as_it_stands():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    config = parse_config(text, "tocsin.yaml", {"MESH_SECRET": "s"}).config
    assert [each.name for each in config.playbooks] == ["shift-traffic", "scale-out"]
    assert config.playbooks[0].when.rise == 2.0
    assert config.remediation.enabled
