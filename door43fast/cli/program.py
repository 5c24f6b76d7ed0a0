"""The group of all commands: loads a command when it is called, and turns errors into one sentence and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from difflib import get_close_matches
from typing import Any

import click
import msgspec

import door43fast
from door43fast import errors

# Command: module below door43fast.cli with a function of that name (``import_`` for ``import``), help in one line.
COMMANDS = {
    "import": ("importing", "Bring resource containers (folders, zip, tar) into a store."),
    "export": ("exporting", "Write imported files back, byte for byte."),
    "import-diskcache": ("diskcache", "Bring a cache of diskcache into a store, without unpickling it."),
    "get": ("get", "Print the value of a key."),
    "ls": ("ls", "List keys by prefix."),
    "passage": ("passage", 'Everything that covers a passage, such as "TIT 1:1".'),
    "stats": ("stats", "What is in a store, and what it did."),
    "verify": ("verify", "Read a whole store and check every record."),
    "backup": ("backup", "Copy a store that is in use."),
    "compact": ("compact", "Give back what is free in the file of a store."),
    "namespaces": ("namespaces", "What the namespaces of a store hold, and their limits."),
    "readers": ("readers", "Who has a store open to read."),
    "top": ("top", "Watch a store that other processes have open."),
    "backends": ("backends", "What a store can be opened with, and the options of each."),
    "strategies": ("strategies", "How several stores become one, and the options of each way."),
    "profiles": ("profiles", "Whole plans for kinds of applications, and where each setting comes from."),
    "host": ("host", "What this process may use of the machine."),
    "recommend": ("recommend", "Plans for a store that suit this machine, with reasons."),
    "doctor": ("doctor", "What this machine has for door43fast."),
    "selftest": ("selftest", "Try every part of this installation, or a backend by the conformance suite."),
    "simulate": ("simulate", "What each policy would hit at each size, by a trace of reads."),
    "bench": ("bench", "A quick table of speeds beside the installed peers."),
    "demo": ("demo", "Import a sample, read it back, and compare the speed."),
}

OK, FAILED, USAGE, STORE, MISSING, INTERRUPTED = 0, 1, 2, 3, 4, 130


class NotFound(Exception):
    """What was asked for is not in the store: exit code 1."""


class Unsound(Exception):
    """A store did not pass verification: exit code 1."""


def code_of(error: BaseException) -> int | None:
    """The exit code for an error, or None if it is a mistake of ours that deserves a traceback."""
    if isinstance(error, (NotFound, Unsound)):
        return FAILED
    if isinstance(error, (click.ClickException, errors.ConfigError, errors.PassageError)):
        return USAGE
    if isinstance(error, errors.BackendUnavailableError):
        return MISSING
    if isinstance(error, (errors.Error, OSError)):
        return STORE
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return INTERRUPTED
    return None


def sentence(error: BaseException) -> str:
    """What to tell the user."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} (see {error.ctx.command_path} --help)"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError):
        place = error.filename
        named = f"{os.fsdecode(place)}: " if isinstance(place, (str, bytes)) and place else ""
        return f"{named}{error.strerror or error}"
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "interrupted; what was written stays, and an unfinished import is done anew by the next one"
    return str(error)


class Program(click.Group):
    """A group whose commands are modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"door43fast.cli.{COMMANDS[cmd_name][0]}")
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table: help needs none of the modules.
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, 1, 0.4)
            hint = f"did you mean {near[0]}?" if near else "there are " + ", ".join(COMMANDS)
            ctx.fail(f"there is no command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            result = super().main(arguments, prog_name, *rest, **{**extra, "standalone_mode": False})
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader of a pipe has had enough; Python's own flush at exit must not complain of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(OK)
        except (Exception, KeyboardInterrupt) as error:
            code = code_of(error)
            if code is None:
                raise
            text = sentence(error)
            if "--json" in arguments:
                about = {"error": {"kind": type(error).__name__, "message": text, "code": code}}
                click.echo(msgspec.json.encode(about), err=True)
            else:
                click.echo(f"door43fast: {text}", err=True)
            sys.exit(code)
        # click gives the code of ctx.exit() back as a result; commands return None.
        sys.exit(result if isinstance(result, int) else OK)


def _show_version(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"door43fast {door43fast.__version__}")
        ctx.exit()


@click.command(
    cls=Program,
    name="door43fast",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def program(ctx: click.Context) -> None:
    """An embedded, tiered storage engine, and a cache of Door43 resources on top of it."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
