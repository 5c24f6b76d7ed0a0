"""The conformance suite against a configured backend, for ``door43fast selftest --store URL``."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from door43fast.errors import BackendUnavailableError

MODULE = '''"""Written by door43fast selftest."""

from door43fast.testing.configured import configured

TestConfigured = configured({target!r})
'''


class Tally:
    """What came of the tests, as pytest tells."""

    def __init__(self) -> None:
        self.passed = 0
        self.failures: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            name = report.nodeid.rpartition("::")[2]
            if name not in self.failures:
                self.failures.append(name)
        elif report.when == "call" and report.passed:
            self.passed += 1


def conform(target: str, quiet: bool) -> dict[str, Any]:
    """Run the suite. Progress and what failed go to standard error, unless ``quiet``."""
    try:
        import pytest
    except ImportError as error:
        raise BackendUnavailableError("the conformance suite needs pytest: run pip install pytest") from error
    from door43fast.config.urls import redacted
    from door43fast.testing.configured import configured

    configured(target)      # refuses what cannot be opened, or is not empty, before anything is run
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="door43fast-selftest-") as scratch:
        file = Path(scratch) / "test_configured.py"
        file.write_text(MODULE.format(target=target), encoding="utf-8")
        arguments = [str(file), "-q", "--no-header", "-p", "no:cacheprovider", "--rootdir", scratch, "-c", "/dev/null",
                     "--basetemp", str(Path(scratch) / "tmp"), *(["-qq", "--tb=no"] if quiet else ["--tb=short"])]
        with contextlib.redirect_stdout(sys.stderr if not quiet else io.StringIO()):
            code = pytest.main(arguments, plugins=[tally])
    if code not in (0, 1):
        raise BackendUnavailableError(f"pytest ended with code {int(code)} instead of a result: see its output above")
    return {"store": redacted(target), "passed": tally.passed, "failed": len(tally.failures),
            "failures": tally.failures}
