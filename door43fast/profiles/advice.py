"""Which profile suits an application on this machine: points for what it is made for, each with its reason."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

from door43fast.errors import ConfigError
from door43fast.host import detect
from door43fast.host.advice import LEAST_DISK
from door43fast.host.survey import Host
from door43fast.profiles.ours import BIBLE_READER, OURS, REVIEW_PLATFORM, SERVER_API, TRANSLATION_TOOL
from door43fast.profiles.profile import Profile, Use

KINDS = {"reader": BIBLE_READER, "editor": TRANSLATION_TOOL, "reviewer": REVIEW_PLATFORM, "server": SERVER_API}
CUSTOM = "custom"
BIBLE = 31_000          # resources of one language by one organization, where nobody says how many: verses
FULL = 100
LARGEST = 1e15          # more is taken for that


class Suggestion(NamedTuple):
    """A profile as it fits this machine, its points, and why. ``profile.open(path)`` opens a store by it."""

    profile: Profile
    score: int
    reasons: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the profile."""
        return self.profile.name


class Wish(NamedTuple):
    """What is asked for; None for what is not known."""

    kind: Profile | None
    resources: float | None
    ratio: float | None
    users: float | None
    offline: bool | None
    realtime: bool | None


def recommend(application: Any = None, *, resources: Any = None, read_write_ratio: Any = None, users: Any = None,
              languages: Any = None, organizations: Any = None, offline: Any = None, realtime: Any = None,
              path: Any = "door43-store", host: Host | None = None) -> list[Suggestion]:
    """Our profiles, the best for this use first. Never raises: what makes no sense is taken for unknown, and a reason
    says so.

    Parameters
    ----------
    application : {"reader", "editor", "reviewer", "server", "custom"}, optional
        The kind of application; or the name of a profile of ours. ``"custom"`` is none of them.
    resources : int, optional
        How many verses, notes, questions and so on will be kept.
    read_write_ratio : float, optional
        Reads for each write.
    users : int, optional
        How many use it at a time.
    languages, organizations : int, optional
        Of how many languages, from how many organizations, where ``resources`` is not known.
    offline : bool, optional
        It must work without a network.
    realtime : bool, optional
        It must hear of changes as they happen.
    path : path
        Where the store will be.
    host : Host, optional
        The machine; what ``door43fast.host.detect(path)`` finds if not given.

    Returns
    -------
    list of Suggestion
        Of each profile of ours one. What this disk does not grant is changed in it, and the reasons say what. The same
        for the same arguments and host.

    Examples
    --------
    >>> from door43fast.profiles import recommend
    >>> recommend("reader")[0].name
    'bible-reader'
    >>> recommend(users=500, resources=2_000_000, offline=False)[0].name
    'server-api'
    """
    wish, notes = _wish(application, resources, read_write_ratio, users, languages, organizations, offline, realtime)
    here, said = _host(path, host)
    found = []
    for profile in OURS.values():
        score, reasons = _points(wish, profile)
        fitted, changes = _fitted(profile, here)
        found.append(Suggestion(fitted, score, (*reasons, *changes, *notes, *said)))
    return sorted(found, key=lambda one: -one.score)       # of equal ones the smaller application's comes first


def _number(value: Any, least: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least or value == math.inf:
        return None
    return min(value, LARGEST)


def _wish(application: Any, resources: Any, ratio: Any, users: Any, languages: Any, organizations: Any, offline: Any,
          realtime: Any) -> tuple[Wish, list[str]]:
    notes, numbers = [], []
    for name, given, least in (("resources", resources, 1), ("read_write_ratio", ratio, 0), ("users", users, 1),
                               ("languages", languages, 1), ("organizations", organizations, 1)):
        numbers.append(_number(given, least))
        if given is not None and numbers[-1] is None:
            notes.append(f"{name}={given!r} is no number of {least} or more: taken as unknown")
    truths = []
    for name, given in (("offline", offline), ("realtime", realtime)):
        truths.append(given if isinstance(given, bool) else None)
        if given is not None and truths[-1] is None:
            notes.append(f"{name}={given!r} is neither True nor False: taken as unknown")
    kind = (KINDS.get(application) or OURS.get(application)) if isinstance(application, str) else None
    if kind is None and application not in (None, CUSTOM):
        notes.append(f"application={application!r} is none of {', '.join([*KINDS, CUSTOM])}, and no profile: taken as "
                     f"{CUSTOM!r}")
    count, share, people, tongues, houses = numbers
    if count is None and (tongues or houses):
        count = min(BIBLE * (tongues or 1) * (houses or 1), LARGEST)
        notes.append(f"{count:,.0f} resources are expected: {BIBLE:,} for each language and organization")
    return Wish(kind, count, share, people, *truths), notes


def _host(path: Any, host: Any) -> tuple[Host, list[str]]:
    """The machine, and what had to be left out."""
    said = []
    if isinstance(host, Host):
        return host, said
    if host is not None:
        said.append(f"host={host!r} is none: this machine was looked at")
    try:
        path = os.fsdecode(path)
        if not path or "\0" in path:
            raise ValueError("it cannot be a path")
    except (TypeError, ValueError):
        said.append(f"path={path!r} is none: taken as 'door43-store'")
        path = "door43-store"
    try:
        return detect(path), said
    except ConfigError as error:
        return detect(path, environ={}), [*said, f"the environment was left out: {error}"]


# -- points --------------------------------------------------------------------------------------------------


def _points(wish: Wish, profile: Profile) -> tuple[int, list[str]]:
    """How near a profile is to a wish."""
    use, score, reasons = profile.use, FULL, [profile.description]
    assert isinstance(use, Use)     # each of ours says what it is made for
    if wish.kind is profile:
        score += FULL
        reasons.append("it is made for this kind of application")
    for what, wanted, made, weight in (("resources", wish.resources, use.resources, 15),
                                       ("reads a write", wish.ratio, use.ratio, 10),
                                       ("users", wish.users, use.users, 15)):
        if wanted is not None:
            far = abs(math.log10(max(wanted, 0.01) / made))
            score -= round(weight * far)
            near = "as many as the" if far < 0.05 else "near the" if far < 0.5 else "far from the"
            reasons.append(f"made for {made:,} {what}, {near} {wanted:,.12g} that are expected")
    if wish.offline is not None and wish.offline != use.offline:
        score -= 60 if wish.offline else 15
        reasons.append("made for a network that is always there: what it drops must be fetched again" if wish.offline
                       else "made for weeks without a network, which is not asked for")
    if wish.realtime is not None and wish.realtime != use.realtime:
        score -= 40 if wish.realtime else 10
        reasons.append("not made for hearing of changes as they happen" if wish.realtime
                       else "made for hearing of changes as they happen, which is not asked for")
    return score, reasons


# -- the machine ---------------------------------------------------------------------------------------------


def _fitted(profile: Profile, host: Host) -> tuple[Profile, list[str]]:
    """The profile with what this disk grants, and what was changed and why. Memory is lowered when it is opened."""
    free = host.disk_free
    if not host.writable or free is not None and free < LEAST_DISK:
        why = f"{host.path!r} " + ("cannot be written" if not host.writable else f"has {free:,} bytes free")
        return profile.extended(profile.name, disk=None, why={"memory.type": why}), [
            f"in memory alone, for {why}: what is kept ends with the process"]
    disk: dict[str, Any] = {}
    reasons = []
    if not host.native.get("lmdb"):
        disk = {"type": "sqlite" if host.sqlite else "filesystem"}
        reasons.append(f"{disk['type']} in place of LMDB, which is not built here: it has no budget")
    else:
        held = profile.plan("p")["layers"][1]["max_bytes"]
        room = None if free is None else 1 << (free // 2).bit_length() - 1      # rounded, so that it stays the same
        if room is not None and held > room:
            disk = {"max_bytes": room}
            reasons.append(f"{room:,} bytes on disk in place of {held:,}: about half of what is free")
    if host.disk == "remote":
        reasons.append(f"{host.path!r} is on a network ({host.file_system}), where locks and maps are not to be "
                       "trusted: choose a local disk")
    elif host.disk == "volatile":
        reasons.append(f"{host.path!r} is on {host.file_system}, which is gone with the next start: choose a disk")
    if not disk:
        return profile, reasons
    return profile.extended(profile.name, disk=disk, why={f"disk.{option}": reasons[0] for option in disk}), reasons
