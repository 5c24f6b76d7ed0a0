# Every target does its own set-up: system packages where they are missing and may be installed, .venv, the build.
# PYTHON=/path/to/python chooses the interpreter; it must be 3.11 or later.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The daily tests run in as many processes, each with whole files of tests, as there are cores, up to four.
TEST_WORKERS ?= -n auto --maxprocesses=4 --dist loadfile --no-loadscope-reorder
EXTRAS := cli,door43,arrow,plot,redis,metrics,http
NATIVE_SOURCES := $(shell find cext -name '*.pyx' -o -name '*.pxd' -o -name '*.h' 2>/dev/null)

ASAN := build/asan
CC = gcc
# Everything that drives the native core; what is left out reads sources, runs the command line, or is over backends in
# Python, of whose conformance that of the native stores is enough here.
ASAN_TESTS = $(filter-out $(addprefix tests/,$(addsuffix /,house cli resources parsers report host profiles plugins \
    scenarios namespaces replication conformance models __pycache__)),$(wildcard tests/*/)) \
    $(addprefix tests/conformance/test_,$(addsuffix .py,memory lmdb cascade aio capabilities))

# AddressSanitizer itself reserves terabytes of address space, so a limit on that cannot be tried under it.
# It also holds back what was freed, so that what a stream takes of memory cannot be told.
# libcachesim, a peer in C++, frees what it has allocated in another way, and would be reported at exit.
# The sanitizer of gcc 12 does not let go of its allocator's locks in the child of a fork: where another thread
# allocated at that instant without the GIL, as LMDB does, the child waits for ever in its first malloc.
# The shims of the crash tests are loaded before all libraries, and so must the sanitizers be.
ASAN_DESELECT := --ignore tests/memory/test_libcachesim.py \
    --ignore tests/crash/test_images.py --ignore tests/crash/test_faults.py \
    --deselect tests/crash/test_taken_number.py::test_a_read_of_memory_sees_who_took_the_number \
    --deselect tests/crash/test_taken_number.py::test_where_the_number_cannot_be_looked_at_lmdb_is_asked \
    --deselect "tests/threads/test_threads.py::test_threads[lmdb-fork]" \
    --deselect "tests/threads/test_threads.py::test_threads[cascade-fork]" \
    --deselect "tests/schedules/test_schedules.py::test_fork_against_read[native]" \
    --deselect tests/lmdb/test_lmdb_growth.py::test_the_reserve_is_less_under_a_limit \
    --deselect tests/lmdb/test_lmdb_large.py::test_streaming_takes_a_piece_of_memory

# Without a GIL: an interpreter, an environment and a build of their own. LMDB stores and cascades are left out, since
# their modules are not declared safe, and take the GIL again. A lock of CPython's own may be left held in the child of
# a fork there (of a dict, for example), which the store in plain Python does not survive; the native one does.
FREE_VENV ?= build/free
FREE_TESTS := tests/core tests/memory tests/threads tests/reentry tests/conformance/test_memory.py
FREE_DESELECT := --ignore tests/memory/test_libcachesim.py \
    --deselect "tests/threads/test_threads.py::test_threads[reference-fork]" \
    -k "not lmdb and not cascade and not stack and not disk and not Lmdb and not Cascade and not prints and not says_so"

.PHONY: help demo test asan freethreaded bench nightly wheel clean system

help:
	@echo "make demo     import sample data into a store and read it back, with speeds beside its peers"
	@echo "make test     the daily tests (below 15 minutes)"
	@echo "make asan     the core's tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make freethreaded PYTHON=python3.13t   the memory engine's tests without a GIL"
	@echo "make bench    the benchmarks against peers, and the table of ratios"
	@echo "make nightly  every test, with larger counts"
	@echo "make wheel    sdist and wheel in dist/, the wheel tried out in a fresh environment"
	@echo "make clean    remove what was built"

demo: $(VENV)/.built
	$(BIN)/door43fast demo $(DEMO_OPTIONS)

test: $(VENV)/.built
	$(BIN)/python -m pytest $(TEST_WORKERS) $(PYTEST_OPTIONS)

nightly: $(VENV)/.built
	DOOR43FAST_KILL_CYCLES=$${DOOR43FAST_KILL_CYCLES:-10000} DOOR43FAST_MACHINE_SCALE=$${DOOR43FAST_MACHINE_SCALE:-10} \
	DOOR43FAST_SEEDS=$${DOOR43FAST_SEEDS:-10000} DOOR43FAST_IMAGES=$${DOOR43FAST_IMAGES:-2000} \
	DOOR43FAST_PLANS=$${DOOR43FAST_PLANS:-10000} DOOR43FAST_STREAM_MIB=$${DOOR43FAST_STREAM_MIB:-1024} \
	DOOR43FAST_FLIPS=$${DOOR43FAST_FLIPS:-10000} DOOR43FAST_FAULTS=$${DOOR43FAST_FAULTS:-1000} \
	DOOR43FAST_THREAD_SECONDS=$${DOOR43FAST_THREAD_SECONDS:-60} \
	$(BIN)/python -m pytest -m "nightly or not nightly" --timeout 14400 $(PYTEST_OPTIONS)

bench: $(VENV)/.compare
	$(BIN)/python -m benchmarks.report $(BENCH_OPTIONS)

# The instrumented modules lie in a tree of their own, which PYTHONPATH puts before the editable install.
asan: $(VENV)/.built
	DOOR43FAST_SANITIZE=address,undefined $(BIN)/python setup.py --quiet build \
	    --build-lib $(ASAN)/lib --build-temp $(ASAN)/temp
	export PYTHONPATH=$(CURDIR)/$(ASAN)/lib PYTHONSAFEPATH=1 PYTHONMALLOC=malloc DOOR43FAST_SANITIZED=1 \
	    DOOR43FAST_MACHINE_SCALE=0.1 DOOR43FAST_SEEDS=100 DOOR43FAST_KILL_CYCLES=30 DOOR43FAST_IMAGES=10 \
	    DOOR43FAST_FLIPS=40 \
	    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1 \
	    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	    LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)"; \
	$(BIN)/python -c 'import sys, door43fast.native.core as c; sys.exit("$(ASAN)" not in c.__file__)' && \
	$(BIN)/pytest -p no:cacheprovider $(TEST_WORKERS) $(ASAN_TESTS) $(ASAN_DESELECT) $(PYTEST_OPTIONS)

freethreaded: | system
	@$(PYTHON) -c 'import sysconfig; raise SystemExit(not sysconfig.get_config_var("Py_GIL_DISABLED"))' || { \
	    echo "door43fast: $(PYTHON) has a GIL; name a free-threaded CPython: make freethreaded PYTHON=python3.13t" >&2; \
	    exit 1; }
	[ -x $(FREE_VENV)/bin/python ] || $(PYTHON) -m venv $(FREE_VENV)
	$(FREE_VENV)/bin/python -m pip --quiet install --only-binary numpy "setuptools>=77" "Cython>=3.1,<4" "numpy>=2.1" \
	    pytest pytest-timeout "hypothesis>=6.100,<6.140"
	$(FREE_VENV)/bin/python setup.py --quiet build --build-lib $(FREE_VENV)/lib-door43fast --build-temp $(FREE_VENV)/temp
	export PYTHONPATH=$(CURDIR)/$(FREE_VENV)/lib-door43fast PYTHONSAFEPATH=1 PYTHON_GIL=0; \
	$(FREE_VENV)/bin/python -c 'import sys, door43fast.native.memory as m; \
	    raise SystemExit(sys._is_gil_enabled() or "$(FREE_VENV)" not in m.__file__)' && \
	$(FREE_VENV)/bin/python -m pytest -p no:cacheprovider $(FREE_TESTS) $(FREE_DESELECT) $(PYTEST_OPTIONS)

wheel: $(VENV)/.installed
	rm -rf dist build/smoke
	$(BIN)/python -m pip --quiet install build
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv build/smoke
	build/smoke/bin/python -m pip --quiet install dist/*.whl
	cd build/smoke && bin/python -I ../../tests/house/smoke.py

clean:
	rm -rf build dist wheelhouse $(VENV) *.egg-info door43fast.egg-info
	find door43fast -name '*.so' -delete
	find cext -name '*.c' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml setup.py | system
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --quiet install --upgrade "pip>=25.1"
	$(BIN)/python -m pip --quiet install --group build --group test
	$(BIN)/python -m pip --quiet install --no-build-isolation -e ".[$(EXTRAS)]"
	touch $@

# The editable install has compiled everything; later only what changed since is compiled again.
$(VENV)/.built: $(VENV)/.installed $(NATIVE_SOURCES)
	@[ -z "$$(find $(NATIVE_SOURCES) -newer $(VENV)/.installed)" ] || \
	    $(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

$(VENV)/.compare: $(VENV)/.built
	$(BIN)/python -m pip --quiet install --group compare
	touch $@

# What the build needs from the system, by Debian package name; installed where that is allowed, else named.
system:
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	    echo "door43fast needs Python 3.11 or later: name one, as in make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; \
	fi; \
	missing=""; \
	command -v gcc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v pkg-config >/dev/null || missing="$$missing pkg-config"; \
	case "$(MAKECMDGOALS)" in *test*|*nightly*|*asan*) command -v strace >/dev/null || missing="$$missing strace";; esac; \
	case "$(MAKECMDGOALS)" in *test*|*nightly*) command -v openssl >/dev/null || missing="$$missing openssl"; \
	    command -v spin >/dev/null || missing="$$missing spin";; esac; \
	case "$(MAKECMDGOALS)" in *test*|*nightly*|*asan*|*bench*) \
	    command -v redis-server >/dev/null || missing="$$missing redis-server";; esac; \
	pkg-config --exists lmdb 2>/dev/null || missing="$$missing liblmdb-dev"; \
	pkg-config --exists libzstd 2>/dev/null || missing="$$missing libzstd-dev"; \
	pkg-config --exists libxxhash 2>/dev/null || missing="$$missing libxxhash-dev"; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import os, sys, sysconfig; \
	    sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || missing="$$missing python3-dev"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then as=""; elif sudo -n true 2>/dev/null; then as="sudo -n"; else \
	    echo "door43fast: missing system packages; run: apt-get install$$missing" >&2; exit 1; fi; \
	if ! command -v apt-get >/dev/null; then \
	    echo "door43fast: missing here, by their Debian names:$$missing; install them and try again" >&2; exit 1; fi; \
	echo "installing$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	$$as apt-get -qq install -y --no-install-recommends $$missing >/dev/null 2>&1 || \
	{ $$as apt-get -qq update && $$as apt-get -qq install -y --no-install-recommends $$missing >/dev/null; } || \
	{ echo "door43fast: apt-get could not install$$missing; install them by hand and try again" >&2; exit 1; }
