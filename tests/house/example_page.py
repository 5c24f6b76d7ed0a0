"""Runs the examples of one page as its reader would, one after the other in one folder.

Called as ``python example_page.py PAGE FOLDER URL-OF-REDIS``. What a page takes for granted is in ``PREPARED``; what
stands for a reader's own part, or would wait for ever, is put in by ``INSTEAD``, which fails where the page has no such
text. Servers of Redis that a page names are the one that is given.
"""

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
REDIS = re.compile(r"redis://[^/\"?\s]+(?:/0)?(?=[\"?])")

# Pages whose examples are each other's alternatives, and lie in a folder of their own each.
APART = {"docs/profiles.md", "docs/replication.md"}

ZIPS = """
import shutil
for name, source in (("en_ult", "en_lit"), ("en_tn", "en_tn")):
    shutil.make_archive(name, "zip", ROOT / "examples" / "rc", source)
"""

# By page: what a reader has before the first example.
PREPARED = {
    "README.md": ZIPS,
    "docs/async.md": """
async def fetch():
    return 1
""",
    "docs/backends.md": """
import pathlib
pathlib.Path("plan.toml").write_text('type = "memory"')
""",
    "docs/changes.md": """
import itertools, threading
store = d43.open("library/", journal=True)
store["en_tn@84/a"] = 1
last, heard = 1, lambda event: None
def others():
    for number in itertools.count():
        if done.wait(0.01):
            return
        store.set_many({"en_tn@84/b": number, "TIT 1:1": number, "a/1": number})
done = threading.Event()
threading.Thread(target=others, daemon=True).start()
""",
    "docs/cli.md": ZIPS + """
with d43.MemoryStore() as store:
    recording = store.record_trace("reads.trace")
    for number in range(10_000):
        store.get(number % 100)
    recording.stop()
""",
    "docs/compression.md": """
verses = [b"verse %d: in the beginning, and so on, there was a verse of the number %d" % (n, n) for n in range(2000)]
records = {f"en_ult@83/{number}": verse for number, verse in enumerate(verses)}
""",
    "docs/compute.md": "store, load = d43.MemoryStore(), lambda: 1",
    "docs/diskcache.md": """
import diskcache
with diskcache.Cache("OLD") as cache:
    cache["a"] = 1
""",
    "docs/format.md": "import xxhash; key, frame = b'key', bytes(16)",
    "docs/large-values.md": """
import io, zipfile
store, packed = d43.LmdbStore("cache/"), io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    archive.writestr("a", "b")
class response:
    def iter_bytes():
        yield packed.getvalue()
""",
    "docs/metrics.md": "import prometheus_client; other = d43.MemoryStore()",
    "docs/namespaces.md": "other = d43.MemoryStore()",
    "docs/plugins.md": "from door43fast.plugins import AsyncRecords, RecordStore",
    "docs/replication.md": """
primary, replicas, seq = d43.LmdbStore("first/", journal=True), [d43.LmdbStore("second/")], 0
def made():
    gone = d43.replicated(d43.LmdbStore("gone/", journal=True), [d43.LmdbStore("copy/"), d43.LmdbStore("other/")])
    gone["a"] = 1
    gone.close()
""",
    "docs/write-back.md": "slow = d43.LmdbStore('slow/')",
}

# By page: what stands in it, and what is run instead.
INSTEAD = {
    "docs/backends.md": [
        ("lmdb:////srv/cache", "lmdb:///srv/cache"),
        ('d43.open("rediss://host", tls_ca="ca.pem")', "None"),             # tests/plugins/test_redis_users.py
        ('d43.open("redis+cluster://host1:7000,host2:7000")', "None"),      # tests/plugins/test_redis_cluster.py
        ('memory="64MB")["tn_TIT.tsv"]', 'memory="64MB")'),                 # which is far away
    ],
    "docs/changes.md": [
        ("        ...\nasync for", "        break\nasync for"),
        ('aio.subscribe(key="TIT 1:1"):\n    ...', 'aio.subscribe(key="TIT 1:1"):\n    break'),
        ('aio.subscribe("*", since=last): ...', 'aio.subscribe("*", since=last): break'),
    ],
    "docs/metrics.md": [("    ...\n", "    store.get_many(['a']), [store.get('a') for _ in range(200)]\n"),
                        ("with exporter(9400,", "store = d43.MemoryStore()\nwith exporter(0,")],
    "docs/policies.md": [("\n...", "\nstore.get_many([number % 100 for number in range(10_000)])\n...")],
    "docs/replication.md": [("\npromote(", "\nmade()\npromote(")],
}


def blocks(text):
    """The examples of a page: its language, its line, its text."""
    for found in BLOCK.finditer(text):
        yield found[1], text.count("\n", 0, found.start(2)) + 1, found[2]


def commands(text):
    """The calls of our command line in a block, without what stands behind them in the page."""
    for line in text.splitlines():
        line = re.split(r" {3,}|  +# ", line)[0]
        if re.match(r"(\.venv/bin/)?door43fast ", line):
            yield shlex.split(line)[1:]


def run(source, place, line, names):
    """Run Python, also such that awaits outside of a function; its lines are those of the page."""
    code = compile("\n" * (line - 1) + source, place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def main(page, folder, redis):
    import door43fast as d43

    text = (ROOT / page).read_text(encoding="utf-8")
    for old, new in INSTEAD.get(page, ()):
        if old not in text:
            raise SystemExit(f"{page} has no {old!r} any more: take it out of INSTEAD")
        text = text.replace(old, new)
    names = {"__name__": "__main__", "d43": d43, "door43fast": d43, "ROOT": ROOT}
    os.chdir(folder)
    run(PREPARED.get(page, ""), f"what {page} takes for granted", 1, names)
    ran = 0
    for number, (language, line, source) in enumerate(blocks(text)):
        if page in APART:
            os.makedirs(place := os.path.join(folder, str(number)))
            os.chdir(place)
        source = REDIS.sub(redis, source)
        if language == "python":
            run(source, page, line, names)
        elif language == "toml":
            if {"strategy", "type", "profile"} & tomllib.loads(source).keys():
                Path("plan.toml").write_text(source, encoding="utf-8")
                d43.open("plan.toml").close()
        elif language == "":
            for arguments in commands(source):
                subprocess.run([sys.executable, "-m", "door43fast", *arguments], check=True)
        ran += 1
    print(f"{ran} examples ran")
    sys.stdout.flush()
    os._exit(0)     # what they have left open is not their matter


if __name__ == "__main__":
    main(*sys.argv[1:])
