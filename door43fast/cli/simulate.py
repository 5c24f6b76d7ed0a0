"""``door43fast simulate``."""

from __future__ import annotations

import os
import time
from typing import Any

import click

from door43fast.cli import options, output
from door43fast.errors import BackendUnavailableError, ConfigError
from door43fast.traces import FORMATS, Trace, load


def _sizes(context: click.Context, option: click.Parameter, text: str | None) -> list[int] | None:
    """Whole numbers out of a list such as ``100,5k,1M``."""
    if text is None:
        return None
    sizes = []
    for part in text.replace("_", "").split(","):
        number, unit = part.strip().rstrip("kKmM"), part.strip()[-1:].lower()
        if not number.isdecimal() or int(number) < 1 or len(part.strip()) - len(number) > 1:
            raise click.BadParameter(f"{part.strip()!r} is no number of entries: write a list such as 100,5k,1M")
        sizes.append(int(number) * {"k": 1000, "m": 1_000_000}.get(unit, 1))
    return sizes


def _figure(path: str | None) -> Any:
    """What draws, asked for before the work begins."""
    if path is None:
        return None
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendUnavailableError(f"--plot needs {error.name}: run pip install 'door43fast[plot]'") from None
    figure = Figure(figsize=(9, 6), layout="constrained")
    kinds = FigureCanvasAgg(figure).get_supported_filetypes()
    kind = os.path.splitext(path)[1][1:].lower()
    if kind not in kinds:
        raise ConfigError(f"--plot {path}: no picture is of the kind {kind!r}: known are {', '.join(sorted(kinds))}")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "there is no such folder", folder)
    return figure


def _draw(figure: Any, path: str, title: str, result: Any, sizes: list[int], policies: list[str]) -> None:
    axes = figure.add_subplot()
    for policy in policies:
        drawn = [(p.entries, 100 * p.ratio, 100 * p.error) for p in result.points
                 if p.policy == policy and p.ratio is not None]
        if not drawn:
            continue
        entries, ratios, errors = zip(*drawn, strict=True)
        (line,) = axes.plot(entries, ratios, marker="o", markersize=4, label=policy)
        if any(errors):
            axes.fill_between(entries, [r - e for r, e in zip(ratios, errors, strict=True)],
                              [r + e for r, e in zip(ratios, errors, strict=True)], color=line.get_color(), alpha=0.12)
    axes.axhline(100 * result.most, color="0.6", linestyle=":", label="most that any store can hit")
    axes.set(xscale="log", xlabel="entries", ylabel="reads that hit, per cent", title=title, ylim=(0, None))
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=30)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def _print(trace: Trace, name: str, result: Any, sizes: list[int], policies: list[str]) -> None:
    rows = []
    sampled = trace.sample < 1
    for size in sizes:
        best = result.best(size)
        cells = [f"{size:,}"]
        for point in result.at(size):
            cells.append("-" if point.ratio is None else
                         f"{100 * point.ratio:.2f}{'*' if point.policy in best and len(policies) > 1 else ' '}")
        if sampled:
            cells.append(f"{100 * max(point.error for point in result.at(size)):.2f}")
        rows.append(cells)
    click.echo(f"{name}: {result.reads:,} reads of {result.distinct:,} keys")
    output.table("hits in %", ("entries", *policies, *["±"] * sampled), rows)
    best = "* is the best of its size. " if len(policies) > 1 else ""
    click.echo(f"{best}No store hits more than {100 * result.most:.2f} %: the first read of a key misses.")


def _notes(trace: Trace, result: Any) -> list[str]:
    """What the reader of the figures must know."""
    from door43fast.simulation import FEW

    notes = []
    if not trace.whole:
        notes.append("The recording was not ended (its process died, or it still runs): these are the reads that "
                     "are whole in the file.")
    if trace.sample < 1:
        notes.append(f"These are estimates: {trace.sample:.4g} of all keys were followed, {result.reads:,} of "
                     f"{trace.asked:,} reads, and stores scaled down alike were simulated. ± is about two standard "
                     "errors of a figure; between policies, which saw the same keys, differences are surer.")
        small = [point.entries for point in result.points if point.simulated < FEW]
        if small:
            notes.append(f"At {max(small):,} entries and below the simulated stores have less than {FEW} entries, and "
                         "the figures say little: record a larger sample for these sizes.")
    return notes


@click.command("simulate")
@click.argument("trace", type=click.Path(dir_okay=False))
@click.option("--sizes", callback=_sizes, metavar="N,N,...",
              help="Sizes in entries, such as 100,5k,1M; if not given, eight by the number of distinct keys.")
@click.option("--policies", metavar="P,P,...", help="Policies to compare; all if not given.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="auto", show_default=True,
              help="The format of the trace; told by its contents where that is possible.")
@click.option("--plot", type=click.Path(dir_okay=False), metavar="FILE",
              help="Draw hit ratios against sizes into a picture, such as out.png.")
@options.as_json
def command(trace: str, sizes: list[int] | None, policies: str | None, form: str, plot: str | None,
            as_json: bool) -> None:
    """Replay TRACE through stores of several sizes with each policy, and say what each would hit.

    TRACE is a recording by store.record_trace(path), or a file with a key a line, or one of the binary traces of
    Caffeine's simulator; it may be compressed by gzip or xz. A read that misses is followed by a set.
    """
    from door43fast.simulation import POLICIES, checked_policies, simulate

    chosen = list(POLICIES) if policies is None else checked_policies([one.strip() for one in policies.split(",")])
    figure = _figure(plot)
    began = time.perf_counter()
    loaded = load(trace, form)
    with output.Progress("simulating", as_json, bytes=False) as tell:
        result = simulate(loaded, sizes, chosen, tell)
    shown = sorted({point.entries for point in result.points})
    name = os.path.basename(trace)
    if figure is not None:
        assert plot is not None
        _draw(figure, plot, name, result, shown, chosen)
    if not as_json:
        _print(loaded, name, result, shown, chosen)
        for note in _notes(loaded, result):
            click.echo(note)
        return
    output.emit({
        "trace": trace, "format": loaded.form, "sample": loaded.sample, "whole": loaded.whole,
        "asked": loaded.asked, "reads": result.reads, "distinct": result.distinct, "most": result.most,
        "results": [point._asdict() for point in result.points],
        "best": [{"entries": size, "policies": result.best(size)} for size in shown],
        "notes": _notes(loaded, result), "plot": plot, "seconds": time.perf_counter() - began,
    })
