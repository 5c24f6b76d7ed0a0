"""Floor 8: the command line ``door43fast``; docs/cli.md describes it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with one of the codes of docs/cli.md."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        text = f"the command line needs {error.name}: run pip install 'door43fast[cli]'"
        if "--json" in sys.argv:
            import json

            about = {"error": {"kind": type(error).__name__, "message": text, "code": 4}}
            print(json.dumps(about), file=sys.stderr)
        else:
            print(f"door43fast: {text}", file=sys.stderr)
        sys.exit(4)
    from door43fast.cli.program import program

    program(prog_name="door43fast")
