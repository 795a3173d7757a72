"""Notices say what a reference stems from, and no name in it becomes markup."""

from dataclasses import replace

from notify_messages import messages
from tocsin.model.lineage import Origin, lineage_evidence
from tocsin.notify import base, mail, slack

BASE = "https://tocsin.example"
RUN = Origin("run", "<!channel> & r|7>", "https://mlflow.example/#/runs/7")


def traced():
    message = messages()["trigger"]
    first, *rest = message.incident.findings
    told = {**first.evidence, **lineage_evidence([RUN, Origin("dataset", "d3")])}
    return replace(message, incident=replace(message.incident, findings=(replace(first, evidence=told), *rest)))


def test_a_webhook_has_them_as_json():
    assert base.notice(traced(), BASE)["lineage"] == [
        {"kind": "run", "name": RUN.name, "link": RUN.link},
        {"kind": "dataset", "name": "d3", "link": ""},
    ]


def test_slack_links_them_and_mentions_nobody():
    texts = [each["text"]["text"] for each in slack.payload(traced(), BASE)["blocks"] if "text" in each]
    (told,) = [text for text in texts if text.startswith("*Compared with*")]
    assert f"<{RUN.link}|run &lt;!channel&gt; &amp; r|7&gt;>" in told
    assert told.endswith("• data set d3")


def test_plain_text_has_name_and_address():
    lines = base.text_body(traced(), BASE).splitlines()
    at = lines.index("Compared with:")
    assert lines[at + 1 : at + 3] == [f"- run {RUN.name}: {RUN.link}", "- data set d3"]
    _, html = mail.mail(traced(), "a@b.example", ["c@d.example"], BASE, 0).iter_parts()
    assert "<!channel>" not in html.get_content()
