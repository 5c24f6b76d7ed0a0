"""Claims and marks by themselves: lanes, what a process has of its own, places that the dead have left."""

import os
import signal
import threading

import pytest

from door43fast import claims
from door43fast.claims import LANES, Claim
from door43fast.native.marks import Marks, hash_of

SIZE = (8 + 1024 * 4 * 2) * 8   # of the file of marks


@pytest.fixture(params=["description", "process"])
def marks(request, tmp_path, monkeypatch):
    """With each kind of lock that a system may have."""
    if request.param == "process":
        monkeypatch.setattr(claims, "OF_DESCRIPTION", None)
    else:
        assert claims.OF_DESCRIPTION is not None
    yield Marks(str(tmp_path / "flights"))
    assert claims._files == {}


def linger():
    """Until it is killed; by itself, where a test that failed has left it."""
    signal.alarm(100)
    signal.pause()


class Elsewhere:
    """A child that holds a claim until it is ended."""

    def __init__(self, marks, hash, deadline=60.0):
        read, write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.write(write, b"y" if Claim(marks, hash, "theirs", deadline).take() else b"n")
            linger()
        os.close(write)
        with os.fdopen(read, "rb") as file:
            self.got = file.read(1) == b"y"

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def test_one_of_a_process_has_it_and_names_itself_to_the_others(marks):
    one, two, other = Claim(marks, 64, "one", 60), Claim(marks, 64, "two", 60), Claim(marks, 96, "other", 60)
    assert one.take() and not two.take() and other.take()
    assert two.rival() == "one"
    one.release()
    assert two.rival() is None and two.take()
    assert one.mark is None and not one.good() and two.good()
    for claim in (two, other, one):
        claim.release()


def test_another_process_has_it_until_it_dies(marks):
    elsewhere = Elsewhere(marks, 64)
    claim = Claim(marks, 64, "ours", 60)
    assert elsewhere.got and not claim.take() and claim.rival() is None
    elsewhere.kill()
    assert claim.take()
    claim.release()


def test_who_has_waited_takes_over_and_the_next_waits_for_that_one(marks):
    elsewhere = Elsewhere(marks, 64)
    ours = [Claim(marks, 64, i, 0.0) for i in range(3)]
    patient = Claim(marks, 64, "patient", 60)
    assert not ours[0].take() and ours[0].take()        # the first try is never a second one
    assert not patient.take() and not ours[1].take() and not ours[1].take() and ours[1].take()
    elsewhere.kill()
    assert not patient.take()       # those in other lanes are still at it
    ours[0].release()
    assert not patient.take()
    ours[1].release()
    assert patient.take()
    patient.release()
    ours[2].release()


def test_after_the_last_lane_nobody_waits(marks):
    held = [Claim(marks, 64, i, 0.0) for i in range(LANES + 2)]
    for i, claim in enumerate(held):
        for _ in range(i):
            assert i > LANES or not claim.take()
            if i > LANES:
                claim.take()
        assert claim.take()
    assert [claim.good() for claim in held] == [False] * (LANES + 1) + [True]      # each took over from the one before
    for claim in held:
        claim.release()


def test_a_claim_that_was_given_up_is_not_got(marks):
    claim = Claim(marks, 64, "ours", 60)
    claim.release()
    assert not claim.take()


def test_a_child_holds_nothing_of_its_parent(marks):
    claim = Claim(marks, 64, "ours", 60)
    assert claim.take()
    pid = os.fork()
    if not pid:
        claim.release()         # closes nothing, and frees nothing
        linger()
    elsewhere = Elsewhere(marks, 64)
    assert not elsewhere.got
    elsewhere.kill()
    claim.release()
    next_one = Claim(marks, 64, "next", 60)
    assert next_one.take()      # though the child lives
    next_one.release()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_child_of_who_dies_holds_nothing_on(marks):
    """A lock of an open file description lives as long as any descriptor of it: the child must close its own."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        assert Claim(marks, 64, "theirs", 60).take()
        if not os.fork():       # it has closed its own by the time that it can say so
            os.write(write, os.getpid().to_bytes(4, "little"))
        linger()
    child = int.from_bytes(os.read(read, 4), "little")
    for end in (read, write):
        os.close(end)
    claim = Claim(marks, 64, "ours", 60)
    assert not claim.take()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    try:
        assert claim.take()
    finally:
        claim.release()
        os.kill(child, signal.SIGKILL)


def test_threads_take_turns(marks):
    inside, most, lock = [], [0], threading.Lock()

    def work():
        for _ in range(50):
            claim = Claim(marks, 64, "one", 60)
            while not claim.take():
                pass
            with lock:
                inside.append(1)
                most[0] = max(most[0], len(inside))
            with lock:
                inside.pop()
            claim.release()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_mark_tells_of_a_delete_by_whoever_has_the_file(marks):
    other = Marks(marks.path)
    claim = Claim(marks, 64, "ours", 60)
    assert claim.take() and claim.good()
    other.touch(65)
    assert claim.good()
    other.touch(64)
    assert not claim.good()
    claim.release()
    claim = Claim(marks, 64, "ours", 60)
    assert claim.take() and claim.good()
    other.touch_all()
    assert not claim.good()
    claim.release()


def test_places_of_the_dead_are_taken_again(marks):
    alike = [hash_of(b"k") % 1024 + 1024 * i for i in range(1, 7)]     # of one bucket, which has four places
    dead = [Elsewhere(marks, hash) for hash in alike[:3]]
    living = Claim(marks, alike[3], "living", 60)
    assert living.take()
    for one in dead:
        one.kill()
    more = [Claim(marks, hash, "more", 60) for hash in (*alike[4:], alike[0])]
    for claim in more:
        assert claim.take()
    assert living.good() and all(claim.good() for claim in more)
    further = Claim(marks, alike[1], "further", 60)
    assert further.take() and further.good()       # a living one has lost its place, and its result will not be stored
    assert [living.good(), *(claim.good() for claim in more)].count(False) == 1
    for claim in (living, further, *more):
        claim.release()


def test_the_file_has_its_room_from_the_beginning(tmp_path):
    marks = Marks(str(tmp_path / "flights"))
    status = os.stat(marks.path)
    assert status.st_size == SIZE and status.st_blocks * 512 >= status.st_size
    assert hash_of(b"k") == hash_of(b"k") != hash_of(b"l")
    with pytest.raises(OSError):
        Marks(str(tmp_path / "absent" / "flights"))


def test_who_makes_the_file_late_wipes_no_mark(tmp_path, monkeypatch):
    """Two processes find no file, or a short one; one of them has a flight in it before the other gives it room."""
    path = str(tmp_path / "flights")
    look = os.fstat

    def look_and_wait(descriptor):
        status = look(descriptor)
        os.write(said, b"y")
        os.read(go_on, 1)
        return status
    for left in (0, 100):       # bytes: where whoever made the file has died over it
        with open(path, "wb") as file:
            file.write(bytes(left))
        (heard, said), (go_on, go) = os.pipe(), os.pipe()
        pid = os.fork()
        if not pid:
            signal.alarm(100)
            monkeypatch.setattr(os, "fstat", look_and_wait)
            Marks(path)
            os._exit(0)
        assert os.read(heard, 1) == b"y"
        claim = Claim(Marks(path), 64, "ours", 60)
        assert claim.take() and claim.good()
        os.write(go, b"y")
        assert os.waitpid(pid, 0)[1] == 0
        assert claim.good() and os.stat(path).st_size == SIZE
        claim.release()
        for end in (heard, said, go_on, go):
            os.close(end)


def test_a_place_of_the_dead_goes_to_one_of_those_who_want_it(tmp_path):
    """Two that begin at once, with keys that are alike, find the same holder dead."""
    one, two = Marks(str(tmp_path / "flights")), Marks(str(tmp_path / "flights"))
    for number in range(4):
        one.begin(64 + 1024 * number, None)
    quick = []

    def dead(hash):
        if not quick:
            quick.append(two.begin(64 + 1024 * 5, lambda hash: True))
        return True
    late = one.begin(64 + 1024 * 6, dead)
    assert quick[0].good() and late.good()
