"""Recorded traces as runs of a model: spin says of each whether the model can do exactly that.

The program that is generated includes the model and adds a table of the events. The model's threads are free to choose,
but each event that a step of theirs gives must be the next of the table. How far they come is printed as they go.
"""

import re

from models import spin

PROGRAM = """\
#define REPLAY
byte want_actor, want_kind, want_key, want_value, want_fast[4], want_slow[2];
short which, at;

c_decl {{
    \\#include "table.h"
}}

inline load() {{
    c_code {{
        const unsigned char *row = EVENTS[FIRST[now.which] + now.at];
        now.want_actor = row[0]; now.want_kind = row[1]; now.want_key = row[2]; now.want_value = row[3];
        now.want_fast[0] = row[4]; now.want_fast[1] = row[5]; now.want_fast[2] = row[6]; now.want_fast[3] = row[7];
        now.want_slow[0] = row[8]; now.want_slow[1] = row[9];
        printf("came %d %d\\n", now.which, now.at);
    }}
}}

#include "{model}.pml"

init {{
    atomic {{
        do
        :: which < {last} -> which++
        :: break
        od;
        load();
        {begin}
    }}
}}
"""
TABLE = """\
static const unsigned char EVENTS[][10] = {{
{events}
}};
static const int FIRST[] = {{ {first} }};
"""
END = 255       # an actor who is nobody
CODES = {name: int(number) for name, number in re.findall(
    r"#define ([A-Z_]+) (\d+)", (spin.FOLDER / "events.pml").read_text())}


def reached(folder, model, begin, traces, *switches):
    """How many events of each trace the model can follow."""
    rows, first = [], []
    for trace in traces:
        first.append(len(rows))
        rows += [[actor, CODES[kind], key, value, *held] for actor, kind, key, value, *held in trace]
        rows.append([END] + [0] * 9)
    table = ",\n".join("{" + ", ".join(str(one) for one in row) + "}" for row in rows)
    (folder / "table.h").write_text(TABLE.format(events=table, first=", ".join(map(str, first))))
    (folder / "replayed.pml").write_text(PROGRAM.format(model=model, last=len(traces) - 1, begin=begin))
    text = spin.output(folder, "replayed", *switches)
    came = [-1] * len(traces)
    for line in text.splitlines():
        if line.startswith("came "):
            trace, at = map(int, line.split()[1:])
            came[trace] = max(came[trace], at)
    assert -1 not in came, f"a trace was not begun: {text}"
    return came
