"""The whole scaled-out form tells the demo's story as one machine does, also when a worker dies in the middle of it."""

from contextlib import ExitStack

import pytest

from cluster.whole import Whole

pytestmark = [pytest.mark.soak, pytest.mark.system, pytest.mark.timeout(1800)]
SEED = 7


@pytest.mark.parametrize("killed", [False, True])
def test_a31_on_a_cluster_is_one_incident_whose_first_cause_is_the_prompt(killed):
    with ExitStack() as stack:
        whole = Whole(stack, seed=SEED, fault="prompt", speed=20.0)
        kinds = []

        def hear(news):
            kinds.append(news.get("event"))
            if killed and kinds.count("decoy") == 1 and news.get("event") == "decoy":
                whole.replace(1)

        whole.play(hear)
        whole.settled()
        (incident,) = whole.incidents()
    assert (incident["causes"][0]["kind"], incident["causes"][0]["entity"]) == ("prompt", "support-bot")
    assert any("token" in finding["signal"] for finding in incident["findings"])


def test_on_a_cluster_decoys_alone_open_no_incident():
    with ExitStack() as stack:
        whole = Whole(stack, seed=8, fault=None, speed=20.0)
        whole.play()
        whole.settled()
        assert whole.incidents() == []
