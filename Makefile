# Everything a contributor or a new user runs. `make demo` and `make test` need python3 (3.11 to 3.13, with venv), headers, gcc and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(shell find src/pronghorn -name '*.pyx' -o -name '*.pxd' -o -name '*.h') setup.py

STUBS := $(patsubst src.%,%,$(subst /,.,$(basename $(shell find src/pronghorn -name '*.pyi'))))

.DEFAULT_GOAL := help
.PHONY: help demo test asan test-asan test-tsan stress stress-tsan test-proxies model fuzz fuzz-all \
	fuzz-replay fuzz-corpus fuzz-coverage lint types docs build bench faults soak reliability slow compare-security \
	security dropin clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Build tools first: the package is then built with them instead of in an environment of its own, which would be made every time.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip 'setuptools>=77' 'Cython>=3.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[dev]'
	touch $@

$(VENV)/.built: $(VENV)/.installed $(NATIVE)
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

build: $(VENV)/.built  ## compile the native modules in place

demo: build  ## serve examples/fake_insurance_api.py on http://127.0.0.1:8000
	cd examples && ../$(BIN)/pronghorn fake_insurance_api:app

# Twice as many processes as a small machine has cores: most tests wait for processes more than they compute.
test: build build/fuzz/replay/.built  ## the test suite
	$(BIN)/python -m pytest -n 4 --dist worksteal tests

# A copy of the sources is built with AddressSanitizer and UBSan, and as a debug build (src/pronghorn/debug.pxd), in
# build/asan. PYTHONPATH puts it before the package, so the normal build stays as it is; it is absolute, because the
# servers of the tests run in folders of their own. The interpreter is not instrumented: the run-times are preloaded, it
# allocates by malloc so that they see its objects, and what it never frees is no leak of ours. All processes write their
# reports into one folder, those whose output nobody reads and those that have given up root as well. Applications of the
# tests crash, abort and run out of memory on purpose: that is left to them.
#
# Greenlets are switched by copying the stack, so red zones between variables would be read by the one that copies, and be
# found by the next one where it has variables. Therefore asan-stack=0: memory on the heap and tables are checked, and the
# stack by its protector and UBSan's bounds alone. What parses is checked with red zones too, in build/fuzz/sanitized.
ASAN := build/asan
ASAN_TESTS ?= tests
ASAN_RUNTIME = $(shell $(CC) -print-file-name=libasan.so):$(shell $(CC) -print-file-name=libubsan.so)
ASAN_CFLAGS := -fsanitize=address,undefined --param asan-stack=0 -fstack-protector-strong -fno-omit-frame-pointer -O1 -g
# With the usual quarantine of 256 MiB the suite's processes want more memory than a small machine has.
ASAN_OPTIONS := detect_leaks=0:handle_segv=0:allocator_may_return_null=1:quarantine_size_mb=64:malloc_context_size=10
ASAN_REPORTS := $(CURDIR)/$(ASAN)/reports

$(ASAN)/.built: $(VENV)/.built
	rm -rf $(ASAN)
	mkdir -p $(ASAN)/build
	cp -rp setup.py pyproject.toml LICENSE src $(ASAN)
	cp -rp build/cython $(ASAN)/build          # the same C; only the compiler is told something else
	find $(ASAN)/src \( -name '*.so' -o -name '*.c' \) -delete
	cd $(ASAN) && PRONGHORN_DEBUG=1 CFLAGS='$(ASAN_CFLAGS)' \
		$(CURDIR)/$(BIN)/python setup.py --quiet build_ext --inplace --force --parallel 2
	touch $@

SANITIZED = LD_PRELOAD=$(ASAN_RUNTIME) PYTHONPATH=$(CURDIR)/$(ASAN)/src PYTHONMALLOC=malloc \
	ASAN_OPTIONS=$(ASAN_OPTIONS):log_path=$(ASAN_REPORTS)/asan \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$(ASAN_REPORTS)/ubsan

asan: build $(ASAN)/.built
	find src -name '*.py' -exec cp --parents {} $(ASAN) \;
	ln -sfn $(CURDIR)/docs $(ASAN)/docs        # the generated documents are looked for beside src
	rm -rf $(ASAN_REPORTS) && mkdir -m 1777 $(ASAN_REPORTS)

test-asan: asan build/fuzz/sanitized/.built  ## the suite on a debug build with AddressSanitizer and UBSan; ASAN_TESTS='tests/engine'
	$(SANITIZED) $(BIN)/python -m pytest -p no:cacheprovider -n 4 --dist worksteal $(ASAN_TESTS)
	@! grep -hv 'WARNING: AddressSanitizer failed to allocate' $(ASAN_REPORTS)/* 2>/dev/null

SEED ?= $(shell od -An -N3 -tu4 /dev/urandom)

stress: asan  ## the debug build's threads held up at hand-overs, clients of all kinds; SECONDS=600 SEED=7
	$(SANITIZED) $(BIN)/python -m tests.threads.stress $(SECONDS) $(SEED)
	@! grep -hv 'WARNING: AddressSanitizer failed to allocate' $(ASAN_REPORTS)/* 2>/dev/null

test-tsan: build  ## the code that runs without the interpreter lock, under ThreadSanitizer; TURNS=20000
	$(BIN)/python -m tests.threads $(TURNS)

# Another copy, for ThreadSanitizer. It knows the interpreter lock by the mutex inside; what is reported is an access of
# ours that neither that lock nor the baton orders. setarch: it maps memory where the kernel may have put something else.
TSAN := build/tsan-engine

$(TSAN)/.built: $(VENV)/.built
	rm -rf $(TSAN)
	mkdir -p $(TSAN)/build
	cp -rp setup.py pyproject.toml LICENSE src $(TSAN)
	cp -rp build/cython $(TSAN)/build
	find $(TSAN)/src \( -name '*.so' -o -name '*.c' \) -delete
	cd $(TSAN) && PRONGHORN_DEBUG=1 CFLAGS='-fsanitize=thread -fno-omit-frame-pointer -O1 -g -Wno-tsan' \
		$(CURDIR)/$(BIN)/python setup.py --quiet build_ext --inplace --force --parallel 2
	touch $@

stress-tsan: build $(TSAN)/.built  ## the same under ThreadSanitizer; SECONDS=60 SEED=7
	find src -name '*.py' -exec cp --parents {} $(TSAN) \;
	rm -rf $(TSAN)/reports && mkdir $(TSAN)/reports
	LD_PRELOAD=$(shell $(CC) -print-file-name=libtsan.so) PYTHONPATH=$(CURDIR)/$(TSAN)/src PYTHONMALLOC=malloc \
		TSAN_OPTIONS=report_thread_leaks=0:exitcode=66:log_path=$(CURDIR)/$(TSAN)/reports/tsan \
		setarch -R $(BIN)/python -m tests.threads.stress $(SECONDS) $(SEED)
	@! grep -h . $(TSAN)/reports/* 2>/dev/null

model:  ## every order in which threads can hand things to one another; needs spin, see models/README.md
	@$(PYTHON) -m models

# What is fuzzed is compiled a second time, with the targets: see fuzz/README.md. `replay` and `sanitized` need gcc
# only, `libfuzzer` clang-14, and `coverage` gcov, which comes with gcc. Whether there is anything to do, fuzz.build
# sees for itself.
build/fuzz/%/.built: $(VENV)/.built FORCE
	@$(BIN)/python -m fuzz.build $*

FORCE:

SECONDS ?= 60
JOBS ?= 1
FUZZ := $(BIN)/python -m fuzz

ifdef TARGET
fuzz: build/fuzz/libfuzzer/.built
	$(FUZZ) run $(TARGET) --seconds $(SECONDS)
else
fuzz: build
	@$(FUZZ) list
endif
fuzz:  ## look for inputs that break a parser: TARGET=head SECONDS=600, or nothing for the list of targets

fuzz-all: build/fuzz/libfuzzer/.built build/fuzz/coverage/.built  ## each target, or TARGET, for SECONDS, JOBS at a time; fuzz/RESULTS.md
	$(FUZZ) results --seconds $(SECONDS) --jobs $(JOBS) $(TARGET)

fuzz-replay: build/fuzz/libfuzzer/.built  ## run one finding again: FILE=build/fuzz/findings/head/crash-...
	$(FUZZ) replay $(FILE)

fuzz-corpus: build/fuzz/libfuzzer/.built  ## choose the corpus of TARGET anew: what has a name, and what reaches more code
	$(FUZZ) minimise $(TARGET)

fuzz-coverage: build/fuzz/coverage/.built  ## the lines that the inputs for TARGET do not run
	$(BIN)/python -m fuzz.coverage $(TARGET) $(wildcard fuzz/corpus/$(TARGET) build/fuzz/corpus/$(TARGET))

# cython-lint looks for pycodestyle on the PATH.
lint: build  ## style, formatting, which room may import which
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-logo
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint src/pronghorn fuzz

types: build  ## mypy --strict, and the stubs of the native modules against the modules
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --concise --allowlist tests/stubtest-allowlist.txt $(STUBS)

docs: build  ## write the generated documents anew
	$(BIN)/python -m pronghorn.settings.reference
	$(BIN)/python -m tests.protocol.page

bench/.venv/.installed: bench/requirements.txt
	$(PYTHON) -m venv bench/.venv
	bench/.venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --requirement bench/requirements.txt
	bench/.venv/bin/python -m pip install --quiet --disable-pip-version-check bjoern \
		|| echo "bench: bjoern cannot be built here (Debian: apt-get install libev-dev); it is left out"
	touch $@

bench/build/floor: bench/floor.c
	mkdir -p bench/build
	$(CC) -O2 -Wall -Wextra -o $@ $<

bench: build bench/.venv/.installed bench/build/floor  ## compare with other servers (needs wrk); BENCH='--only hello --rounds 1'
	bench/.venv/bin/python -m bench $(BENCH)

build/gunicorn/.installed:
	$(PYTHON) -m venv build/gunicorn
	build/gunicorn/bin/python -m pip install --quiet --disable-pip-version-check 'gunicorn[gevent]==27.0.1' 'flask>=3' 'django>=5'
	touch $@

faults: build $(if $(GUNICORN),build/gunicorn/.installed)  ## break the server under load; FAULTS='reloads --write', GUNICORN=1 beside it
	$(BIN)/python -m tests.faults $(if $(GUNICORN),--gunicorn) $(FAULTS)

test-proxies: build  ## what real proxies and the server behind them see; PROXIES='nginx --seed 7' or '--write'
	$(BIN)/python -m tests.proxies $(PROXIES)

compare-security: build bench/.venv/.installed  ## what other servers make of the same requests; COMPARE=granian for one
	$(BIN)/python -m tests.protocol.compare $(COMPARE)

MINUTES ?= 30

soak: build $(if $(GUNICORN),build/gunicorn/.installed)  ## all faults at random for MINUTES=30
	$(BIN)/python -m tests.faults soak --minutes $(MINUTES) $(if $(GUNICORN),--gunicorn) $(FAULTS)

# Debian's slowhttptest is one of the attackers; where it is missing it is left out.
slow: build bench/.venv/.installed  ## slow clients by the thousand, on this server and others; SLOW='--attacks heads --write'
	$(BIN)/python -m tests.slow $(SLOW)

security:  ## everything that docs/security.md has measured, anew: almost an hour on a quiet machine
	$(MAKE) compare-security
	$(MAKE) test-proxies PROXIES=--write
	$(MAKE) slow SLOW='--seconds 6 --write'

dropin: build build/gunicorn/.installed  ## configuration files on Gunicorn and here; docs/differences.md. DROPIN=minimal for one
	$(BIN)/python -m tests.dropin $(or $(DROPIN),--write)

reliability: build  ## write docs/reliability.md anew from the kept results
	$(BIN)/python -m tests.faults --render

clean:  ## remove everything that was built
	rm -rf $(VENV) bench/.venv bench/build build dist src/*.egg-info
	find src -name '*.so' -delete
