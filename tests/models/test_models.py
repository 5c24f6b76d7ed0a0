"""Models in Promela, searched whole by spin: no run breaks their rules, and without any one of the rules some run does.

What each model says, and what it leaves out, is told in docs/models.md; the sizes and states there are those of here.
"""

import pytest
from models import spin

# Each row is one search of all states. A daily one takes seconds.
WHOLE = {
    "promotion": ["READERS=1 READS=1", "READERS=1 WRITERS=1 WRITES=2 EVICTIONS=1",
                  "READERS=1 WRITERS=1 WRITES=2 EVICTIONS=1 APART", "WRITERS=1 READS=1 EVICTIONS=1"],
    "coherence": ["THEIRS=0 JOURNAL", "THEIRS=0 JOURNAL FAILING", "THEIRS=0",
                  "THEIRS=0 FAILING", "THEIRS=0 OURS=0 JOURNAL READS=3 PLAIN=2 KEPT=1", "OURS=0 READS=1 JOURNAL"],
    "writeback": ["WRITERS=1", "WRITERS=1 ROOM=1", "WRITERS=1 FLUSHES=0 CHANGES=1", "WRITES=1 READS=0"],
    "debts": ["REPAIRS=1 READS=1", "REPAIRS=1 READS=1 LAPSED", "REPAIRS=1 READS=1 MAX_OWED=0"],
}
NIGHTLY = {
    "promotion": ["READERS=1", "READERS=1 WRITES=2", "READS=1"],
    "coherence": ["THEIRS=0 JOURNAL KEPT=1 PLAIN=2", "THEIRS=0 OURS=0 READERS=2 JOURNAL", "READERS=2 THEIRS=0 READS=1",
                  "READS=1 PLAIN=0", "READS=1 JOURNAL PLAIN=0"],
    "writeback": ["WRITES=1", "WRITERS=1 CHANGES=1", "WRITERS=1 WRITES=3"],
    "debts": ["MAX_OWED=1", "MAX_OWED=0", "WRITERS=2 WRITES=1 REPAIRS=1"],
}

# Each switch takes one rule away, and the sizes with it are those at which that shows. Not here is NO_BEGIN of the
# promotion: see test_the_first_raise.
SMALL = "READERS=1 READS=1"
ALONE = "WRITERS=1"
SHORT = "REPAIRS=1 READS=1"
BROKEN = {
    "promotion": {
        "NO_TICKET": SMALL,         # a promotion does not look at its ticket,
        "LATE_TICKET": SMALL,       # takes it after it has read,
        "GAP": SMALL,               # or lets others run between the look and the put
        "NO_END": SMALL,            # a write does not raise its stripe when it ends,
        "NO_ALONE": SMALL,          # publishes though another was under way,
        "KEEP": SMALL,              # or then leaves the key where it is
        "BLIND_FILL": SMALL,        # a batch publishes key for key without another look
        "NO_EPOCH": SMALL,          # what concerns all keys voids no ticket,
        "EPOCH_ONCE": SMALL,        # or only when it begins
    },
    "coherence": {
        "BELIEVE_HEAD": "THEIRS=0 JOURNAL",                 # the number in the head page counts as known
        "KNOW_FIRST": "THEIRS=0 JOURNAL",                   # the epoch is raised after what is known,
        "RAISE_EARLY": "THEIRS=0 OURS=0 READERS=2 PLAIN=2 JOURNAL", # or before it is looked at
        "NO_NEWS": "THEIRS=0",                              # a write accounts for others' without raising the epoch
        "NOTE_LAST": "THEIRS=0 READS=3 PLAIN=2 JOURNAL",    # a tier notes the epoch of after its look at the journal
        "KEEP_TICKETS": "THEIRS=0",                         # what is dropped voids no ticket
        "SKIP_ALL": "THEIRS=0 JOURNAL",                     # rows before the store's own are passed over too
        "PRUNED_UNSEEN": "THEIRS=0 PLAIN=2 KEPT=1 JOURNAL", # a gap in the journal goes unseen
        "KNOWN_EARLY": "THEIRS=0 JOURNAL FAILING",          # the number of a commit that may fail counts as known,
        "TRUST_PENDING": "THEIRS=0 JOURNAL FAILING",        # or does once readers see it
    },
    "writeback": {
        "DROP_EARLY": ALONE,        # what is being written is no longer dirty,
        "DROP_ALWAYS": ALONE,       # nor what was written again meanwhile
        "BELOW_FIRST": ALONE,       # a read asks below before it looks at what is dirty
        "NO_TOMBSTONE": ALONE,      # a delete of a dirty key only forgets it
        "FLUSHED_UNSEEN": ALONE,    # it takes what was flushed meanwhile for not there,
        "NO_NEWS": "WRITES=1",      # or trusts what was said below before others wrote there
        "IGNORE_LATE": ALONE,       # a call that is late does not hold up the next
        "ANY_ORDER": ALONE,         # the last to become dirty is the first to be written
        "NO_TURN": ALONE,           # a flush does not wait for another
        "NO_GOING": "WRITERS=1 FLUSHES=0 CHANGES=1",    # a write may become dirty while one of its key goes below
        "PASS_BY": "WRITERS=1 FLUSHES=0 CHANGES=1",     # that one does not flush its key first
    },
    "debts": {
        "NO_DEBT": SHORT,                       # nothing is owed,
        "READ_ANY": SHORT,                      # or a layer is read all the same
        "NO_DOUBT": SHORT,                      # a write that nobody acknowledged leaves no debt
        "OLDEST_DEBT": SHORT,                   # of layers that all owe, the one that lacks most is believed
        "SOURCE_OWES": SHORT,                   # a debt is paid out of a layer that owes the key too,
        "PAY_OUTSIDE": SHORT,                   # or outside its section
        "IGNORE_LATE": SHORT,                   # a late call does not hold up what it might undo
        "OWN_WORD": f"{SHORT} LAPSED",          # the word of a layer that has lapsed counts by itself
        "COPY_KNOWN": f"{SHORT} MAX_OWED=0",    # one that is being copied owes only what may have reached it
        "EMPTIED_UNSEEN": f"{SHORT} MAX_OWED=0",    # what it answers while it is emptied counts,
        "LAPSED_LOOK": f"{SHORT} MAX_OWED=0",       # or does if it is whole again when that is looked at
    },
}


def rows(table):
    return [pytest.param(model, switches, id=f"{model} {switches}") for model in table for switches in table[model]]


@pytest.mark.parametrize("model, switches", rows(WHOLE))
def test_no_run_breaks_the_rules(tmp_path, model, switches):
    found = spin.search(tmp_path, model, *switches.split())
    print(f"{model} {switches}: {found.states} states")
    assert found.errors == 0, found.text


@pytest.mark.nightly
@pytest.mark.timeout(14400)
@pytest.mark.parametrize("model, switches", rows(NIGHTLY))
def test_no_run_of_a_larger_one(tmp_path, model, switches):
    found = spin.search(tmp_path, model, *switches.split(), limit=14000)
    print(f"{model} {switches}: {found.states} states")
    assert found.errors == 0, found.text


@pytest.mark.parametrize("model, rule", rows(BROKEN))
def test_without_a_rule_a_run_is_found(tmp_path, model, rule):
    found = spin.search(tmp_path, model, rule, *BROKEN[model][rule].split(), level="-O0")
    assert found.errors == 1 and "assertion violated" in found.text, found.text


def test_the_first_raise(tmp_path):
    """A write raises its stripe when it begins only to spare promotions and publications that would not last."""
    assert spin.search(tmp_path, "promotion", "NO_BEGIN", *SMALL.split()).errors == 0


def test_what_is_not_promised(tmp_path):
    """While a write is under way, a reader may see it and then again what was before: told in docs/models.md."""
    assert spin.search(tmp_path, "promotion", "ORDERED", "WRITERS=1").errors == 1
