"""Lineage in evidence: read back, and hostile text in it neither breaks out of a line nor becomes a link."""

import pytest

from tocsin.model.lineage import Origin, lineage_evidence, lineage_json, lineage_of, safe_link


def test_lineage_reads_back():
    origins = [Origin("experiment", "e"), Origin("run", "r", "https://x.example/r"), Origin("dataset", "d v3")]
    assert lineage_of(lineage_evidence(origins)) == origins
    assert lineage_json(origins)[1] == {"kind": "run", "name": "r", "link": "https://x.example/r"}


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)", "data:text/html,x", "//x.example", "https://", "https://a@b.example/", "https://x.example/ y",
        "https://x.example/|y", "https://x.example/>y", 'https://x.example/"y', "https://x.example/\ny", "HTTPS://x.example",
        "https://x.example:99999999/", "https://x.example/" + "y" * 1000, "https://x.example/\u202e", "https://[x/", "ht\ntps://x.example",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_no_link(link):
    assert safe_link(link) == ""
    assert lineage_of({"lineage.run": "r", "lineage.run.link": link}) == [Origin("run", "r")]


def test_names_stay_on_one_line_and_are_bounded():
    (found,) = lineage_of(
        {"lineage.dataset": "a\n\x1b[31mb" + "c" * 999, "lineage.run": 7.0, "lineage.experiment": "\n"}
    )
    assert "\n" not in found.name
    assert len(found.name) == 200
    assert found.words.startswith("data set a")
