"""The benchmark report: its arithmetic, what is missing, and what counts as a regress. Nothing here is timed."""

import gc

import pytest
from benchmarks import report
from benchmarks.goals import GOALS, Goal
from benchmarks.interleave import Contender, Result, interleave


def result(**samples):
    return Result("case", samples=samples)


def test_every_goal_has_a_case():
    assert {goal.case for goal in GOALS} <= set(report.CASES)


def test_the_baseline_holds_what_is_steady():
    found = dict.fromkeys(report.UNSTEADY | {"memory_hit"}, result(dict=[2.0], door43fast=[3.0]))
    assert report.UNSTEADY <= set(report.CASES) and report.ratios(found) == {"memory_hit": 1.5}


def test_ratios_are_taken_round_by_round():
    found = result(dict=[10.0, 100.0, 20.0], door43fast=[20.0, 200.0, 30.0])
    assert found.ratio("door43fast", "dict") == 2.0
    assert found.ratio("door43fast", "cachebox") is None


@pytest.mark.parametrize(("kind", "goal", "met", "words"), [
    ("time", 0.5, True, "0.5×"), ("time", 0.4, False, "0.5×"), ("faster", 2, True, "2.0×"),
    ("faster", 3, False, "2.0×"),
    ("amount", 10, True, "10 bytes"), ("amount", 9, False, "(dict 4, peer 20)"), ("ahead", 1, True, "peer 2.0×"),
])
def test_goals(kind, goal, met, words):
    measured = Goal("what", "case", "peer", kind, goal).measured(result(dict=[4.0], door43fast=[10.0], peer=[20.0]))
    assert words in measured[0] and measured[1] is met


def test_every_sample_is_near():
    goal = Goal("what", "case", "all", "near", 0.1)
    assert goal.measured(result(bytes=[1.09], str=[0.91])) == ("bytes 1.090, str 0.910", True)
    assert goal.measured(result(bytes=[1.0], str=[0.89]))[1] is False


def test_a_slower_one_is_not_ahead():
    goal = Goal("what", "case", "all", "ahead")
    assert goal.measured(result(dict=[4.0], door43fast=[10.0], a=[20.0], b=[9.0]))[1] is False


def test_a_missing_peer_is_said_to_be_missing():
    found = {"memory_hit": Result("case", samples={"dict": [1.0], "door43fast": [1.0]}, missing=["cachebox"])}
    assert "missing: cachebox is not installed" in report.table(found)
    assert "| case | cachebox | missing: not installed |" in report.details(found)


def test_a_case_without_a_goal_tells_its_contenders(monkeypatch, capsys):
    case = lambda quick: result(dict=[10.0], door43fast=[30.0], peer=[20.0])  # noqa: E731
    monkeypatch.setattr(report, "CASES", {"memory_hit": case, "of no goal": case})
    report.main(["--only", "of no goal"])
    told = capsys.readouterr().out
    assert "| case | peer | 20.0 ns | 2.00× |" in told and "| goal |" not in told
    report.main(["--only", "memory_hit"])
    told = capsys.readouterr().out
    assert "| goal |" in told and "| case | peer |" not in told
    report.main(["--only", "memory_hit", "--details"])
    told = capsys.readouterr().out
    assert "| goal |" in told and "| case | peer |" in told


def test_contenders_take_turns_with_the_collector_at_rest():
    turns = []

    def run(name):
        return lambda prepared: turns.append((name, prepared, gc.isenabled()))

    found = interleave("case", [Contender("a", run("a"), lambda: 1), Contender("b", run("b"))], 10, 3)
    assert len(found.samples["a"]) == len(found.samples["b"]) == 3
    assert [turn[0] for turn in turns] == ["b", "a", "a", "b", "b", "a", "a", "b"]
    assert set(turns) == {("a", 1, False), ("b", None, False)}
    assert gc.isenabled()


def test_a_regress_fails_the_check(tmp_path, monkeypatch, capsys):
    ratio = [1.0]
    monkeypatch.setattr(report, "BASELINE", tmp_path / "baseline.json")
    case = lambda quick: result(dict=[10.0], door43fast=[10.0 * ratio[0]])  # noqa: E731
    monkeypatch.setattr(report, "CASES", {"memory_hit": case})
    assert report.main(["--check"]) == 2
    assert report.main(["--save"]) == 0
    assert report.main(["--quick", "--check"]) == 2
    ratio[0] = 1.4
    assert report.main(["--check"]) == 0
    assert report.main(["--check", "--factor", "1.2"]) == 1
    ratio[0] = 2.1
    assert report.main(["--check", "--json"]) == 1
    assert "memory_hit: 2.10× the control" in capsys.readouterr().err
