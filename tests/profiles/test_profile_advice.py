"""Which profile suits: the kinds of applications, each rule, nothing raises, and what the disk does not grant."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import door43fast as d43
from door43fast.host import detect
from door43fast.profiles import OURS, recommend

HERE = detect(environ={})._replace(disk="local", writable=True, disk_free=1 << 40, memory=8 << 30)
KINDS = {"reader": "bible-reader", "editor": "translation-tool", "reviewer": "review-platform", "server": "server-api"}


def names(*application, **wish):
    return [one.name for one in recommend(*application, host=HERE, **wish)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_application_has_its_profile(kind):
    best = recommend(kind, host=HERE)[0]
    assert best.profile is OURS[KINDS[kind]] and "it is made for this kind of application" in best.reasons
    assert names(KINDS[kind])[0] == KINDS[kind]
    assert sorted(names(kind)) == sorted(OURS)


@pytest.mark.parametrize("profile", OURS.values(), ids=OURS)
def test_who_asks_for_what_a_profile_is_made_for_gets_it(profile):
    """Without naming the kind: by each of its numbers together, and by what is near them."""
    use = profile.use
    for factor in (0.6, 1, 1.5):
        best = recommend(resources=use.resources * factor, read_write_ratio=use.ratio * factor,
                         users=max(use.users * factor, 1), offline=use.offline, realtime=use.realtime, host=HERE)[0]
        assert best.profile is profile
    assert best.score >= 90


def test_each_rule_counts():
    assert names(resources=50_000)[0] == "bible-reader" and names(resources=10**7)[0] == "server-api"
    assert names(users=1000)[0] == "server-api" and names(users=30)[0] == "review-platform"
    assert names(read_write_ratio=100)[0] == "bible-reader" and names(read_write_ratio=0)[0] == "translation-tool"
    assert set(names(offline=True)[:2]) == {"bible-reader", "translation-tool"}
    assert set(names(realtime=True)[:2]) == {"review-platform", "server-api"} == set(names(offline=False)[:2])
    assert names(languages=40)[0] == "server-api" and names(languages=1)[0] == "bible-reader"
    assert names(languages=4, organizations=4)[0] == "review-platform"
    assert names("custom", offline=True, resources=200_000)[0] == "translation-tool"
    assert names() == list(OURS)
    # who names a kind gets it, unless everything else speaks against it
    assert names("reader", users=1000)[0] == "bible-reader"
    assert names("reader", users=10**6, resources=10**9, offline=False, realtime=True)[0] == "server-api"


def test_the_reasons_say_what_counted():
    one = next(one for one in recommend("editor", resources=200_000, users=2, offline=False, host=HERE)
               if one.name == "bible-reader")
    assert "made for 31,000 resources, far from the 200,000 that are expected" in one.reasons
    assert "made for 1 users, near the 2 that are expected" in one.reasons
    assert "made for weeks without a network, which is not asked for" in one.reasons


anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3),
                     st.just([]), st.just({}), st.just(object()), st.sampled_from(list(KINDS)))


@given(*[anything] * 10)
@settings(deadline=None, max_examples=400)
def test_nothing_raises_and_the_same_gives_the_same(kind, resources, ratio, users, languages, houses, offline, realtime,
                                                    path, host):
    wish = {"resources": resources, "read_write_ratio": ratio, "users": users, "languages": languages,
            "organizations": houses, "offline": offline, "realtime": realtime}
    assert len(recommend(kind, path=path, host=host, **wish)) == 4
    told = [(one.name, one.score, one.reasons) for one in recommend(kind, host=HERE, **wish)]
    assert told == [(one.name, one.score, one.reasons) for one in recommend(kind, host=HERE, **wish)]
    assert all(reasons for _, _, reasons in told)


def test_what_makes_no_sense_is_said(monkeypatch):
    best = recommend("raeder", resources=-1, users=0, read_write_ratio=math.nan, languages="en", offline="yes", path="",
                     host="mine")[0]
    said = " ".join(best.reasons)
    for word in ("application='raeder' is none of reader", "resources=-1", "users=0", "read_write_ratio=nan",
                 "languages='en'", "offline='yes'", "path=''", "host='mine'"):
        assert word in said
    monkeypatch.setenv("DOOR43FAST_HOST_CPUS", "many")
    assert any("the environment was left out" in reason for reason in recommend("reader")[0].reasons)
    with pytest.raises(d43.ConfigError):
        detect()


HOSTS = {
    "little room": HERE._replace(disk_free=400 << 20), "read only": HERE._replace(writable=False),
    "full": HERE._replace(disk_free=1 << 20), "no lmdb": HERE._replace(native={"memory": True, "lmdb": False}),
    "nothing": HERE._replace(native={"memory": True, "lmdb": False}, sqlite=False),
    "network": HERE._replace(disk="remote", file_system="nfs4"),
    "says nothing": HERE._replace(disk=None, disk_free=None),
    "small": HERE._replace(memory=64 << 20)}


@pytest.mark.parametrize("host", HOSTS)
def test_what_the_disk_does_not_grant_is_changed_and_opens(host, tmp_path):
    for number, one in enumerate(recommend(host=HOSTS[host])):
        plan = one.profile.plan(tmp_path / str(number), host=HOSTS[host])
        layers = plan.get("layers", [plan])
        kinds = [layer["type"] for layer in layers]
        assert kinds == {"read only": ["memory"], "full": ["memory"], "no lmdb": ["memory", "sqlite"],
                         "nothing": ["memory", "filesystem"]}.get(host, ["memory", "lmdb"])
        if host == "little room":
            assert layers[1]["max_bytes"] <= 128 << 20
            assert (one.name == "bible-reader") == (one.profile is OURS["bible-reader"])
        elif host in ("says nothing", "network"):
            assert one.profile is OURS[one.name]
        assert json.dumps(plan)
        with d43.open(plan) as store:
            store["k"] = b"value"
            assert store["k"] == b"value"
    said = " ".join(one.reasons[-1] for one in recommend(host=HOSTS[host]))
    word = {"little room": "about half of what is free", "read only": "cannot be written", "full": "bytes free",
            "no lmdb": "sqlite in place of LMDB", "network": "on a network"}.get(host)
    assert word is None or word in said
    changed = recommend(host=HOSTS["little room"])[-1].profile.explain()
    assert any("about half of what is free" in setting.why for setting in changed if setting.path == "disk.max_bytes")
