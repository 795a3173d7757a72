"""What calls of models and tools say one by one: agents, spending, prompts, answers, users, votes."""

import numpy as np
import pytest

from llm_world import DAY, HOUR, MINUTE, MONDAY, S, call, daily, followed, watching
from tocsin.derive.votes import Vote
from tocsin.engine.agent_watch import MOST_RUNS
from tocsin.engine.call_watch import CallWatch
from tocsin.engine.snapshot import pack, unpack
from tocsin.model.finding import Phase
from tocsin.model.security import is_security
from tocsin.model.series import Catalog
from tocsin.spec.engine import EngineSpec


def tool(at, number, arguments="a", **said):
    return call(
        at, number, operation="execute_tool", tool="search", arguments=arguments, model="", answered="",
        counted=False, input_tokens=float("nan"), output_tokens=float("nan"), cost_usd=float("nan"), **said,
    )  # fmt: skip


def named(found):
    return {each.monitor for _, each in found}


def test_the_third_identical_call_of_a_run_is_named_and_the_run_should_stop():
    watch = watching()
    calls = [tool(MONDAY + k * 10 * S, k, trace="a" * 32, agent="booking") for k in range(3)]
    found, _ = followed(watch, calls, every=S)
    assert [(each.monitor, each.phase, each.value) for _, each in found] == [("agent-loop", Phase.OPEN, 3.0)]
    assert found[0][1].evidence["tool"] == "search"
    verdict = watch.verdict("main", "a" * 32)
    assert (verdict["verdict"], verdict["reasons"][0]["monitor"]) == ("stop", "agent-loop")
    assert watch.verdict("other", "a" * 32)["verdict"] == "unknown"


def test_other_arguments_or_other_runs_are_no_loop():
    watch = watching()
    calls = [tool(MONDAY + k * S, k, str(k), trace="a" * 32) for k in range(50)]
    calls += [tool(MONDAY + k * S, 100 + k, trace=f"{k + 1:032x}") for k in range(50)]
    found, _ = followed(watch, calls)
    assert not found
    assert watch.verdict("main", "a" * 32)["tool_calls"] == 50


def test_in_a_session_only_calls_that_follow_each_other_are_a_loop():
    watch = watching()
    turns = [(k, "a" if k % 2 else f"other {k}") for k in range(12)]
    found, _ = followed(watch, [tool(MONDAY + k * S, k, said, trace=f"{k + 1:032x}", session="s") for k, said in turns])
    assert not found
    stuck = [tool(MONDAY + MINUTE + k * S, 50 + k, trace=f"{k + 99:032x}", session="s") for k in range(3)]
    found, _ = followed(watch, stuck)
    assert named(found) == {"agent-loop"}
    assert "session" in found[0][1].evidence["deviation"]


def test_fan_out_velocity_and_cost_are_judged_by_past_runs():
    watch = watching()
    calls = []
    for run in range(30):  # each run makes 150 calls by one step: above the limit, but as usual
        calls += [
            call(MONDAY + run * HOUR + k * S // 10, run * 1000 + k, trace=f"{run + 1:032x}", parent="f" * 16)
            for k in range(150)
        ]
    found, _ = followed(watch, calls)
    early = [at for at, each in found if each.phase is Phase.OPEN]
    assert all(at < MONDAY + 22 * HOUR for at in early)  # until twenty runs are known the limit alone counts
    begin = MONDAY + 40 * HOUR
    wild = [
        call(begin + k * S // 20, 90_000 + k, trace="b" * 32, parent="f" * 16, input_tokens=2000.0, cost_usd=0.05)
        for k in range(1000)
    ]
    found, _ = followed(watch, wild)
    assert {"agent-fan-out", "agent-token-velocity", "agent-budget"} <= named(found)
    assert len(watch.verdict("main", "b" * 32)["reasons"]) == 3


def test_runs_are_bounded():
    watch = watching()
    calls = [call(MONDAY + k * S // 100, k, trace=f"{k + 1:032x}") for k in range(MOST_RUNS + 500)]
    watch.release(("main", "x"), calls, ())
    assert len(watch.agents.runs) == MOST_RUNS
    watch.close(MONDAY + 2 * HOUR)
    assert not watch.agents.runs


def test_a_version_that_makes_prompts_longer_is_named_with_before_and_after():
    rng = np.random.default_rng(5)
    calls, number = [], 0
    for version, tokens in (("v1", 600), ("v2", 640), ("v3", 1300), ("v4", 1350)):
        for _ in range(120):
            number += 1
            size = float(tokens * rng.lognormal(0, 0.4))
            calls.append(
                call(
                    MONDAY + number * 20 * S, number, prompt="answer", version=version, input_tokens=size,
                    cost_usd=size * 3e-6,
                )
            )  # fmt: skip
    found, _ = followed(watching(), calls)
    assert named(found) == {"prompt-bloat", "prompt-cost"}
    first = next(each for _, each in found if each.monitor == "prompt-bloat")
    assert (first.evidence["prompt.version_before"], first.evidence["prompt.version"]) == ("v2", "v3")
    assert first.evidence["before"] == pytest.approx(690, rel=0.15)
    assert first.evidence["after"] == pytest.approx(1400, rel=0.15)
    assert first.start == MONDAY + 241 * 20 * S
    back = [
        call(MONDAY + (number + k) * 20 * S, number + k, prompt="answer", version="v5", input_tokens=620.0)
        for k in range(80)
    ]
    watch = watching()
    found, _ = followed(watch, [*calls, *back])
    assert [each.phase for _, each in found if each.monitor == "prompt-bloat"][-1] is Phase.CLOSE


def rolled_out(share, seed=5):
    """Calls of 240 by v2, then 1,200 of which v3, twice as long, has a share; the finding's episode is open after it."""
    rng = np.random.default_rng(seed)
    versions = ["v2"] * 240 + np.where(rng.random(1200) < share, "v3", "v2").tolist()
    return [prompted(k, version, rng) for k, version in enumerate(versions)]


def prompted(k, version, rng):
    size = float({"v2": 640, "v3": 1300}[version] * rng.lognormal(0, 0.2))
    return call(MONDAY + k * 5 * S, k, prompt="answer", version=version, input_tokens=size, cost_usd=size * 3e-6)


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_a_prompt_that_goes_back_to_its_earlier_version_ends_the_finding_and_a_small_share_of_a_new_one_does_not(share):
    rng, watch = np.random.default_rng(9), watching()
    found, _ = followed(watch, rolled_out(share))
    phases = [each.phase for _, each in found if each.monitor == "prompt-bloat"]
    assert phases[0] is Phase.OPEN
    assert Phase.CLOSE not in phases
    again = watching()
    again.restore(unpack(pack(watch.snapshot())))
    back = [prompted(1440 + k, "v2", rng) for k in range(60 if share == 1.0 else 200)]
    for each in (watch, again):
        found, _ = followed(each, back)
        assert [(one.phase, one.end < MONDAY + 1440 * 5 * S) for _, one in found if one.monitor == "prompt-bloat"][-1] == (
            Phase.CLOSE, True
        )  # fmt: skip


def test_a_model_that_is_replaced_behind_its_name_is_a_dated_change():
    rng = np.random.default_rng(6)
    calls = []
    for k in range(3000):
        later = k >= 2000
        calls.append(
            call(
                MONDAY + k * 20 * S, k,
                answered="gpt-4o-2024-11-20" if later else "gpt-4o-2024-08-06",
                fingerprint="fp_2" if later else "fp_1",
                output_tokens=float((70 if later else 180) * rng.lognormal(0, 0.7)),
                canary="count" if k % 50 == 0 else "",
                said=("[content 2]" if later else "[content 1]") if k % 50 == 0 else "",
            )
        )  # fmt: skip
    found, changes = followed(watching(), calls)
    moment = MONDAY + 2000 * 20 * S
    starts = {each.monitor: each.start for _, each in found}
    assert starts.keys() == {"model-replaced", "model-fingerprint", "model-canary", "model-answers"}
    assert starts["model-replaced"] == moment - S
    assert abs(starts["model-answers"] - moment) < HOUR
    assert {each.kind for each in changes} == {"model"}
    assert sorted(each.field.split(" of ")[0].split(" to ")[0] for each in changes) == [
        "answer", "answers", "system fingerprint",
    ]  # fmt: skip
    assert all(abs(each.time - moment) < HOUR for each in changes)


def test_more_refusals_are_a_change_of_answers():
    calls = [
        call(MONDAY + k * 15 * S, k, refusal="1" if k > 2500 and k % 5 == 0 else "0", finish="stop")
        for k in range(3200)
    ]
    found, changes = followed(watching(), calls)
    assert named(found) == {"model-answers"}
    assert "refusal" in found[0][1].evidence["deviation"]
    assert changes[0].old == ("0 %",)


def hourly(rng, hours, *, start=0, n=40, tokens=400.0, first=0):
    users = rng.integers(0, 50, (hours, n))
    return [
        call(
            MONDAY + (start + h) * HOUR + k * 60 * S, first + h * n + k, user=f"u{users[h, k]}",
            prompt_said=f"p{h}-{k}", input_tokens=float(tokens * rng.lognormal(0, 0.8)),
        )
        for h in range(hours)
        for k in range(n)
    ]  # fmt: skip


def test_a_user_who_takes_far_more_than_anyone_did_and_repeats_a_prompt_is_named():
    rng = np.random.default_rng(7)
    watch = watching()
    usual = hourly(rng, 60)
    assert not followed(watch, usual)[0]
    begin = MONDAY + 61 * HOUR
    abuse = [
        call(begin + k * 5 * S, 10**6 + k, user="mallory", prompt_said="same", input_tokens=3000.0) for k in range(400)
    ]
    found, _ = followed(watch, abuse)
    assert named(found) == {"usage-tokens", "usage-repeats"}
    assert all(is_security(each) for _, each in found)
    assert {each.evidence["user"] for _, each in found} == {"mallory"}


def votes(rng, hours, share, *, start=0, n=60, version="v1"):
    bad = rng.random((hours, n)) < share
    return [
        Vote(
            MONDAY + (start + h) * HOUR + k * MINUTE, "", f"{version}{start + h}-{k}", "thumbs", bool(bad[h, k]), "bot",
            "gpt-4o", version, "acme",
        )
        for h in range(hours)
        for k in range(n)
    ]  # fmt: skip


def test_thumbs_down_beyond_ten_per_cent_within_an_hour():
    rng = np.random.default_rng(8)
    watch = watching()
    assert not followed(watch, (), votes(rng, 48, 0.03))[0]
    found, _ = followed(watch, (), [*votes(rng, 1, 0.03, start=48), *votes(rng, 1, 0.4, start=48, version="v2")])
    opened = [(at, each) for at, each in found if each.phase is Phase.OPEN]
    ((at, finding),) = opened
    assert finding.monitor == "feedback-negative"
    assert at <= MONDAY + 49 * HOUR
    assert finding.value > 0.1
    assert found[-1][1].evidence["segment"] == "prompt.version=v2"


@pytest.mark.parametrize("limit", [None, 0.0, 1.5])
def test_votes_without_a_limit_that_can_be_passed_break_nothing(limit):
    mine = (
        []
        if limit is None
        else [
            {
                "name": "feedback-negative",
                "signal": "gen_ai.feedback.negative_ratio",
                "detect": {"threshold": {"above": limit}},
            }
        ]
    )
    watch = CallWatch()
    watch.adopt(EngineSpec.model_validate({"monitors": mine}))
    found, _ = followed(watch, (), votes(np.random.default_rng(4), 3, 0.5))
    assert bool(found) == (limit == 0.0)


def test_votes_are_joined_to_the_call_of_their_trace():
    watch = watching()
    calls = [call(MONDAY + k * S, k, trace=f"{k + 1:032x}", version="v7", customer="acme") for k in range(60)]
    told = [Vote(MONDAY + HOUR + k * S, f"{k + 1:032x}", str(k), "thumbs", k < 40, "", "", "", "") for k in range(60)]
    found, _ = followed(watch, calls, told)
    assert "say no" in found[0][1].evidence["deviation"]
    assert dict(found[0][1].series.labels)["service.name"] == "bot"


def grades(rng, hours, *, start=0, n=60, mean=4.2, topic="billing", **scale):
    given = np.clip(np.round(rng.normal(mean, 0.8, (hours, n))), 1, 5)
    return [
        Vote(
            MONDAY + (start + h) * HOUR + k * MINUTE, "", f"{topic}{start + h}-{k}", "rating", False, "bot", "gpt-4o", "v1",
            "acme", topic, graded=True, both=given[h, k] == 1, grade=float(given[h, k]), **scale,
        )
        for h in range(hours)
        for k in range(n)
    ]  # fmt: skip


def test_grades_after_a_snapshot_are_judged_as_if_there_was_none():
    rng = np.random.default_rng(3)
    first, then = grades(rng, 30), [*grades(rng, 1, start=30), *grades(rng, 1, start=30, mean=2.0, topic="returns")]
    whole = watching()
    followed(whole, (), first)
    cut = watching()
    cut.restore(unpack(pack(whole.snapshot())))
    one, _ = followed(whole, (), then)
    two, _ = followed(cut, (), then)
    assert one == two
    assert named(one) == {"feedback-grades"}
    assert one[-1][1].evidence["segment"] == "topic=returns"


def test_a_few_ones_and_a_scale_that_is_told_later():
    rng = np.random.default_rng(5)
    watch = watching()
    assert not followed(watch, (), grades(rng, 10, mean=1.0))[0]  # 1 alone may be a yes; it is as ever
    told = grades(rng, 30, start=10, low=1.0, high=5.0)
    assert not followed(watch, (), told)[0]
    found, _ = followed(watch, (), grades(rng, 1, start=40, mean=2.5, low=1.0, high=5.0))
    assert named(found) == {"feedback-grades"}
    assert found[0][1].evidence["scale"] == "1 to 5"


def test_a_snapshot_carries_on_where_it_was_taken():
    rng = np.random.default_rng(9)
    world = [
        *hourly(rng, 30),
        *daily(rng, 0, user="u1", customer="acme", version="v1", number=5000),
        *[tool(MONDAY + 2 * HOUR + k * S, 9000 + k, trace="c" * 32) for k in range(5)],
        *[
            call(MONDAY + 3 * HOUR + k * 30 * S, 20_000 + k, answered="b", version="v2", input_tokens=900.0)
            for k in range(500)
        ],
    ]
    spoken = votes(rng, 20, 0.2)
    budgets = [{"name": "all", "usd_per_month": 1.0}]
    world.sort()
    whole = watching(budgets=budgets)
    expected = followed(whole, world, spoken, until=MONDAY + 31 * HOUR)
    cut = MONDAY + 9 * HOUR
    first = watching(budgets=budgets)
    one = followed(first, [c for c in world if c.time <= cut], [v for v in spoken if v.time <= cut], until=cut - MINUTE)
    again = watching(budgets=budgets)
    again.restore(unpack(pack(first.snapshot())))
    two = followed(
        again, [c for c in world if c.time > cut], [v for v in spoken if v.time > cut], until=MONDAY + 31 * HOUR
    )
    assert [*one[0], *two[0]] == expected[0]
    assert again.snapshot() == whole.snapshot()


def test_a_budget_is_told_of_before_the_month_is_over():
    rng = np.random.default_rng(10)
    watch = watching(budgets=[{"name": "acme", "match": {"tenant": "acme"}, "usd_per_month": 250.0}])
    calls = [each for day in range(-5, 6) for each in daily(rng, day, usd=0.05, customer="acme")]
    calls += daily(rng, 1, usd=5.0, customer="other", number=10**6)
    found, _ = followed(watch, calls, every=10 * MINUTE)
    first = next(each for _, each in found if each.monitor == "spend-budget")
    assert first.evidence["budget"] == "acme"
    assert first.evidence["month_spent_usd"] < 250
    assert first.evidence["month_forecast_usd"] == pytest.approx(27 * 288 * 0.05, rel=0.2)


def test_hours_of_spending_become_points_of_few_series():
    rng = np.random.default_rng(11)
    watch, catalog = watching(), Catalog()
    watch.points(MONDAY + 6 * MINUTE, catalog)
    users = rng.zipf(1.3, 5000)
    calls = [call(MONDAY + HOUR * k // 5000, k, user=f"u{u}", cost_usd=0.01) for k, u in enumerate(users)]
    watch.release(("main", "x"), calls, ())
    (frame,) = watch.points(MONDAY + HOUR + 6 * MINUTE, catalog)
    told = [
        (dict(catalog[ref].labels), value) for ref, value in zip(frame.i4("series"), frame.f8("value"), strict=True)
    ]
    of_users = [(labels["user.id"], value) for labels, value in told if labels["by"] == "user"]
    assert len(of_users) == 21
    assert of_users[0][0] == "u1"
    assert sum(value for _, value in of_users) == pytest.approx(50.0)
    assert frame.i8("time")[0] == MONDAY + HOUR
    assert not watch.points(MONDAY + HOUR + 7 * MINUTE, catalog)


def test_what_sessions_cost_is_told_by_the_hour_the_dearest_by_name():
    watch, catalog = watching(), Catalog()
    watch.points(MONDAY + 6 * MINUTE, catalog)
    calls = [
        call(MONDAY + HOUR * k // 300, k, session=f"s{k % 30}", cost_usd=0.5 if k % 30 == 7 else 0.01)
        for k in range(300)
    ]
    watch.release(("main", "x"), calls, ())
    (frame,) = watch.points(MONDAY + HOUR + 6 * MINUTE, catalog)
    told = [(dict(catalog[ref].labels), usd) for ref, usd in zip(frame.i4("series"), frame.f8("value"), strict=True)]
    of_sessions = [(labels["session.id"], usd) for labels, usd in told if labels["by"] == "session"]
    assert of_sessions[0] == ("s7", pytest.approx(5.0))
    assert len(of_sessions) == 21
    assert sum(usd for _, usd in of_sessions) == pytest.approx(5.0 + 290 * 0.01)


def test_days_beyond_the_usual_close_when_the_day_is_over():
    rng = np.random.default_rng(12)
    watch = watching()
    calls = [each for day in range(10) for each in daily(rng, day, factor=3.0 if day == 8 else 1.0, customer="acme")]
    found, _ = followed(watch, calls, every=10 * MINUTE, until=MONDAY + 10 * DAY)
    of_tenant = [(at, each) for at, each in found if "tenant.id" in dict(each.series.labels)]
    assert of_tenant[0][0] < MONDAY + 9 * DAY
    assert of_tenant[0][1].start >= MONDAY + 8 * DAY
    assert [each.phase for _, each in of_tenant].count(Phase.OPEN) == 1
    assert of_tenant[-1][1].phase is Phase.CLOSE
