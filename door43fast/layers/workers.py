"""Threads in which calls are made that must not be waited for longer than so long.

A call that is late goes on: no thread can be stopped from outside. Its result is dropped, and until it has ended it is
counted, since it may still change something. The threads are daemons, so that one that hangs keeps no process alive.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

IDLE = 30.0     # seconds after which a thread without work ends


class Overdue(Exception):
    """A job was not done in time."""


class Job:
    """One call. ``let_go`` is given the result if nobody waits for it any more, ``then`` result and error in any case.
    """

    __slots__ = ("context", "done", "error", "fn", "late", "let_go", "result", "then")

    def __init__(self, fn: Callable[[], Any], let_go: Callable[[Any], Any] | None,
                 then: Callable[[Any, BaseException | None], Any] | None = None) -> None:
        self.fn, self.let_go, self.then = fn, let_go, then
        self.context = contextvars.copy_context()   # a computation knows by it that it is inside another
        self.done = threading.Lock()
        self.done.acquire()
        self.late = False
        self.result: Any = None
        self.error: BaseException | None = None


class Worker(threading.Thread):
    """One thread of a crew; it makes one call at a time."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(name=f"door43fast {crew.name}", daemon=True)
        self.crew = crew
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE)
            except queue.Empty:
                if self.crew.dismiss(self):
                    return
                continue
            if job is None:
                return
            try:
                job.result = job.context.run(job.fn)
            except BaseException as error:  # handed to the caller, who raises it
                job.error = error
            if job.then is not None:
                job.then(job.result, job.error)
            self.crew.ended(self, job)
            del job


class Crew:
    """The threads of one layer. ``late`` is how many calls go on that nobody waits for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.anew()

    def anew(self) -> None:
        """Begin with no threads, as after a fork, where those of the parent are not."""
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self.late = 0
        self.dropped = 0        # results that came too late, since the store was opened

    def call(self, fn: Callable[[], Any], seconds: float, let_go: Callable[[Any], Any] | None = None) -> Any:
        """What ``fn`` gives or raises, in a thread; Overdue if it takes longer, and then what it gives is let go of."""
        job = Job(fn, let_go)
        self._send(job)
        try:
            in_time = job.done.acquire(timeout=seconds)
        except BaseException:       # an interruption of the caller: the call goes on all the same
            self._leave(job)
            raise
        if not in_time and self._leave(job):
            raise Overdue
        if job.error is not None:
            try:
                raise job.error
            finally:
                job.error = None    # no cycle through the traceback
        return job.result

    def start(self, fn: Callable[[], Any], then: Callable[[Any, BaseException | None], Any]) -> None:
        """Make a call that nobody waits for: ``then(result, error)`` is told its end, by the thread."""
        self._send(Job(fn, None, then))

    def _send(self, job: Job) -> None:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        (worker or Worker(self)).jobs.put(job)

    def _leave(self, job: Job) -> bool:
        """Wait no longer for a job; False if it has ended meanwhile."""
        with self._lock:
            if not job.done.acquire(blocking=False):
                job.late = True
                self.late += 1
                return True
            return False

    def dismiss(self, worker: Worker) -> bool:
        """Whether a thread that has had no work may end: none if somebody has just taken it."""
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                return True
            return False

    def disband(self) -> None:
        """End the threads that have no work."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.jobs.put(None)

    def ended(self, worker: Worker, job: Job) -> None:
        """What a worker says when it has made its call."""
        with self._lock:
            if not job.late:
                self._idle.append(worker)
                job.done.release()
                return
        if job.let_go is not None and job.error is None:
            try:
                job.let_go(job.result)
            except Exception as error:      # nobody is left to raise it to
                sys.unraisablehook(types.SimpleNamespace(
                    exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, object=self.name,
                    err_msg="Exception ignored in letting go of what came too late from"))
        with self._lock:
            self.late -= 1
            self.dropped += 1
            self._idle.append(worker)
