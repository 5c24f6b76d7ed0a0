"""The options of each strategy, beside its layers, and of the guard that any layer may have."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from door43fast.config import Duration, Location, Options

Count = Annotated[int, Meta(ge=1)]


class GuardOptions(Options, kw_only=True):
    """Of any plan: what is done where the store does not answer."""

    deadline: Annotated[Duration | None, Meta(description="The most that a call may take.")] = None
    failures: Annotated[Count, Meta(description="Failures in a row after which it is not asked for a while.")] = 5
    reset: Annotated[Duration, Meta(description="How long it is not asked then.")] = 10.0
    probes: Annotated[Count, Meta(description="Calls at a time that try it then; as many successes end it.")] = 1
    max_late: Annotated[Count, Meta(description="Late calls that may go on at a time; beyond, it is not asked.")] = 8
    absent: Annotated[Literal["raise", "wait"], Meta(
        description="What happens where the layer cannot be reached at opening: an error; or it is opened later.")] = (
        "raise")


class TieredOptions(Options, kw_only=True):
    """What a memory over a store, or one layer over another, does."""

    write: Annotated[Literal["through", "around", "back"], Meta(
        description="What is written goes into the fast layer too; or only leaves it; or is in the slowest a little "
                    "later: see write-back.md.")] = "through"
    max_dirty: Annotated[Count | None, Meta(
        description="Of `back`: keys that wait to be flushed, at the most; 10,000 if not given.")] = None
    delay: Annotated[Duration | None, Meta(
        description="Of `back`: how long a write waits at the most; 100 ms if not given.")] = None
    warm: Annotated[bool, Meta(
        description="Remember which keys are hot, and read them at the next opening: see warm-start.md.")] = False
    warm_within: Annotated[Duration | None, Meta(
        description="Of `warm`: how long opening may take for it; 250 ms if not given.")] = None
    warm_keys: Annotated[Count | None, Meta(
        description="Of `warm`: keys that are remembered, at the most; 100,000 if not given.")] = None
    share: Annotated[bool, Meta(description="Hand out the same list, dict or array to every caller.")] = False
    promote: Annotated[Literal["always", "second", "never"], Meta(
        description="Which values found below go up: all, those found a second time within a while, none.")] = "always"
    negative: Annotated[Duration | None, Meta(
        description="For how long a key that is not below is known to be missing.")] = None
    stale: Annotated[Duration | None, Meta(
        description="How long past its time in the fast layer a value is given, and renewed meanwhile.")] = None
    stale_on_error: Annotated[Duration | None, Meta(
        description="How long past it a value is given where the layer below fails.")] = None


class CascadeOptions(TieredOptions, kw_only=True):
    """Memory over slower layers: reads promote, writes and deletes begin at the slowest."""

    fast_ttl: Annotated[Duration | None, Meta(
        description="The longest that anything stays above the slowest layer by way of a fast one that is not in "
                    "memory; of memory, its own `ttl` says it.")] = None


class ReplicatedOptions(Options, kw_only=True):
    """A primary, and replicas that follow its log."""

    consistency: Annotated[str, Meta(
        pattern=r"^(strong|eventual|quorum|quorum\(\d+\))$",
        description="When a write returns: `strong`, when all replicas have it; `quorum`, when most members have; "
                    "`quorum(2)`, when so many have; `eventual`, when the primary has.")] = "strong"
    read: Annotated[Literal["primary", "nearest", "any"], Meta(
        description="Who answers a read: the primary; who has answered fastest; each in turn.")] = "primary"
    max_lag: Annotated[Duration | None, Meta(
        description="A replica that is further behind answers no read; no bound if not given.")] = None
    timeout: Annotated[Duration, Meta(description="How long a write waits for replicas.")] = 5.0
    queue: Annotated[Annotated[int, Meta(ge=1)], Meta(
        description="Changes kept for replicas where the primary has no journal.")] = 100_000
    poll: Annotated[Duration, Meta(
        description="How often the journal is asked for what other processes have written.")] = 0.05
    close_timeout: Annotated[Duration, Meta(description="How long closing waits for replicas under `eventual`.")] = 10.0
    lease_url: Annotated[str | None, Meta(
        extra={"secret": True},
        description="URL of the Redis server whose lease says who is the writer; none, for promotion by hand.")] = None
    lease_path: Annotated[Location | None, Meta(
        description="Or the directory for it, which all processes of this machine share.")] = None
    lease_ttl: Annotated[Duration, Meta(description="How long a lease lasts without a sign of its holder.")] = 10.0
    lease_name: Annotated[str, Meta(
        min_length=1, description="Tells the leases of several sets in one place apart.")] = "lease"
    overwrite: Annotated[bool, Meta(
        description="Take as a replica a store with records of its own, which are lost.")] = False


class OwingOptions(Options, kw_only=True):
    """What is done for layers that hold the same and may be away for a while."""

    max_owed: Annotated[Annotated[int, Meta(ge=0)], Meta(
        description="Keys that a layer may owe; beyond, it is copied anew.")] = 100_000
    owed: Annotated[Location | None, Meta(
        description="A directory in which debts are kept, so that they outlast the process.")] = None
    repair: Annotated[Literal["background", "manual"], Meta(
        description="Bring layers up to date as soon as they are back, or only by `repair()`.")] = "background"


class FallbackOptions(OwingOptions, kw_only=True):
    """A primary, and a store that answers when it fails."""

    on_miss: Annotated[bool, Meta(description="Ask the fallback also for what the primary has not.")] = False
    mirror: Annotated[bool, Meta(
        description="Keep the fallback up to date; else it only loses what is changed.")] = True


class ParallelOptions(OwingOptions, kw_only=True):
    """Stores that hold the same: each write goes to all, each read to the first that is up."""

    require: Annotated[Literal["all", "any"] | Count, Meta(
        description="How many layers must take a write.")] = "all"
    read: Annotated[Literal["first", "race"], Meta(
        description="Ask one layer after another, or those that do I/O at once.")] = "first"
