"""Without a GIL: the modules that are declared safe are those that a memory store loads, and they leave the GIL off."""

import ast
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]

EVERYTHING = """
import json, sys, tempfile, threading
import door43fast as d43
from door43fast.native.replay import Replay
store = d43.MemoryStore(max_entries=100, ttl=500)
heard = []
store.subscribe("*", heard.append)
for policy in ("lru", "sieve", "s3fifo", "wtinylfu", "adaptive"):
    d43.MemoryStore(max_entries=3, policy=policy).update({str(n): n for n in range(9)})
store.set("a", b"1", ttl=500, tags=("t",), pin=True)
store.update({"b": b"2", "c": b"3"})
assert store.get("a") == store["a"] == store.get_many(["a"])[0] == b"1" and "a" in store and len(store) == 3
assert bytes(store.get_packed(["b", "c"]).data) == b"23"
assert [key for keys, values in store.scan_packed() for key in keys] == [b"a", b"b", b"c"]
assert store.incr("n") == 1 and store.add("d", b"") and store.replace("d", b"", b"4") and store.touch("d", 9)
assert store.get_or_compute("e", lambda: 5) == 5
with store.transaction() as t:
    t["f"] = t.get("e")
assert [key for key, value in store.scan("a", stop="c")] == ["a"] and store.count("b") == 1
assert store.memoize()(lambda x: x)(2) == 2
with tempfile.TemporaryDirectory() as folder, store.record_trace(folder + "/trace"):
    store.get("a")
store.measure(every=1), store.get("a"), store.metrics()
store.invalidate("t"), store.expire(), store.delete("b"), store.delete_many(["c"]), store.pop("d")
threads = [threading.Thread(target=lambda: [store.get("f") for _ in range(100)]) for _ in range(2)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
store.flush(), store.stats(), store.verify(), store.clear(), store.close()
assert heard
native = sorted(name.rpartition(".")[2] for name in sys.modules if name.startswith("door43fast.native."))
print(json.dumps([native, getattr(sys, "_is_gil_enabled", lambda: True)()]))
"""


def declared():
    """The names in ``FREE`` of setup.py."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    [free] = [node.value for node in tree.body
              if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["FREE"]]
    return ast.literal_eval(free)


def test_a_memory_store_loads_what_is_declared_safe_and_leaves_the_gil_off():
    done = subprocess.run([sys.executable, "-W", "error", "-c", EVERYTHING], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    native, gil = json.loads(done.stdout.splitlines()[-1])
    assert set(native) == declared()
    assert gil is not bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
