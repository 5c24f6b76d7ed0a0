"""Redis's errors as ours: what happened, where, what to do."""

from __future__ import annotations

from typing import Any

import redis.exceptions as theirs

from door43fast.errors import BackendUnavailableError, CorruptError, Error, ReadOnlyError, UnsupportedError
from door43fast.plugins.redis.options import RedisOptions

# Of a cluster: what says that the call was not carried out, and may be made again at another place or time.
ELSEWHERE = (theirs.MovedError, theirs.AskError)
LATER = (theirs.TryAgainError, theirs.ClusterDownError, theirs.MasterDownError, theirs.BusyLoadingError)
LOST = (theirs.ConnectionError, theirs.TimeoutError, OSError)


def translated(error: Exception, server: Any, options: RedisOptions, *, doubtful: bool = False) -> Error:
    """The exception to raise for one of redis-py at ``server``. ``doubtful``: a write was sent, with no answer."""
    doubt = "; whether the write was made is not known" if doubtful else ""
    said = str(error).rstrip(". ")
    if isinstance(error, (theirs.AuthenticationError, theirs.AuthenticationWrongNumberOfArgsError)) or said.startswith(
            ("NOAUTH", "WRONGPASS", "invalid username-password", "Authentication required")):
        return _lasting(f"the Redis at {server} refused the user or the password ({said}): correct them in the URL")
    if isinstance(error, theirs.NoPermissionError):
        return _lasting(f"the Redis at {server} does not let this user do that ({said}): grant it "
                        f"~{options.namespace}:* and the commands in docs/backends.md")
    if isinstance(error, theirs.BusyLoadingError):
        return BackendUnavailableError(f"the Redis at {server} is loading its data: wait until it has")
    if isinstance(error, theirs.TimeoutError):
        return BackendUnavailableError(
            f"the Redis at {server} did not answer within connect_timeout={options.connect_timeout:g} or timeout="
            f"{options.timeout:g} seconds ({said}){doubt}: see that it runs and is not overloaded, or wait longer")
    if isinstance(error, theirs.ConnectionError) and "No connection available" in said:
        return BackendUnavailableError(f"all connections={options.connections} to the Redis at {server} were in use "
                                       f"for timeout={options.timeout:g} seconds: allow more, or ask less at once")
    if isinstance(error, LOST):
        return BackendUnavailableError(f"the Redis at {server} cannot be reached ({said}){doubt}: start it, or correct "
                                       "the URL")
    if isinstance(error, theirs.OutOfMemoryError):
        return BackendUnavailableError(f"the Redis at {server} is out of memory and did not write: raise its "
                                       "maxmemory, or choose a maxmemory-policy that makes room")
    if isinstance(error, theirs.ReadOnlyError):
        return ReadOnlyError(f"the Redis at {server} is a replica and takes no writes: name its primary in the URL, or "
                             "pass readonly=True")
    if said.startswith("WRONGTYPE"):
        return CorruptError(f"a key under {options.namespace!r} of the Redis at {server} holds something of another "
                            "program: take another namespace")
    if said.startswith("unknown command"):
        return UnsupportedError(f"the Redis at {server} is too old or lacks a command ({said}): use Redis 6.2 or later")
    if isinstance(error, (*ELSEWHERE, theirs.ClusterCrossSlotError)):
        return _lasting(f"the Redis at {server} is one of a cluster ({said}): write redis+cluster:// in the URL")
    if isinstance(error, LATER):
        return BackendUnavailableError(f"the cluster at {server} had no primary for a key for timeout="
                                       f"{options.timeout:g} seconds ({said}): see CLUSTER INFO")
    return BackendUnavailableError(f"the Redis at {server} refused a call ({said})")


def _lasting(message: str) -> BackendUnavailableError:
    """What does not pass by itself."""
    error = BackendUnavailableError(message)
    error.passing = False
    return error
