"""The budget of a store on disk, as Python sees it: its options and its figures."""

from libc.stdint cimport uint64_t

from door43fast.native.bounding cimport keep_budget
from door43fast.native.budget cimport CLOCK, FIFO, KEEP
from door43fast.native.lmdb_room cimport Pages

from door43fast.errors import ConfigError, did_you_mean

cdef dict POLICIES = {"clock": CLOCK, "fifo": FIFO, "none": KEEP}
cdef uint64_t LEAST = 1 << 20
cdef uint64_t MOST = <uint64_t>1 << 46


cdef class BudgetEngine(StreamEngine):
    """What a store on disk does with its budget."""

    def _keep_budget(self, limit, policy):
        """What the options ``max_bytes=`` and ``policy=`` ask for, once the store is open."""
        cdef uint64_t wanted
        if limit is None and policy is None:
            return
        if limit is None and not self.home.budget.on:
            raise ConfigError(f"policy={policy!r} has no effect on {self.home.path}, which has no budget: give "
                              "max_bytes=")
        wanted = self.home.budget.limit if limit is None else limit
        if self.readonly:
            if not self.home.budget.on or self.home.budget.limit != wanted - wanted % self.home.page_size:
                raise ConfigError(f"{self.home.path} has another budget, and readonly=True gives it none; open it once "
                                  f"with max_bytes={limit} and without readonly=True")
            return
        keep_budget(self.home, wanted, POLICIES[policy] if policy is not None else
                    self.home.budget.policy if self.home.budget.on else CLOCK)

    def _budget(self):
        """The figures of the budget, for stats(); None where the store has none."""
        cdef Pages pages
        self.begin(False)
        if not self.home.budget.on:
            return None
        self.look(&pages, True)
        names = {number: name for name, number in POLICIES.items()}
        return {"max_bytes": self.home.budget.limit, "policy": names[self.home.budget.policy],
                "used": pages.used * self.home.page_size, "free": pages.free * self.home.page_size,
                "evicted_bytes": self.evicted_bytes}


cdef int check_budget(dict plan) except -1:
    limit, policy = plan["max_bytes"], plan["policy"]
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or not LEAST <= limit <= MOST):
        raise ConfigError(f"max_bytes={limit!r} is out of range; give bytes from {LEAST} to {MOST}, or None for "
                          "no bound")
    if limit is not None and plan["map_size"] is not None:
        raise ConfigError("map_size= has no effect beside max_bytes=: the map is as long as the budget; leave it out")
    if policy is not None and (not isinstance(policy, str) or policy not in POLICIES):
        raise ConfigError(f"policy={policy!r} is unknown: {did_you_mean(policy, POLICIES)}")
    return 0
