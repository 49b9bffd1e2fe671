# The two commands of a fresh machine: make run, make test. VENV=folder puts the environment elsewhere.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Processes that test: two more than there are cores, as many tests wait for a time-out, or for a server to start.
TESTERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
SOURCES := $(shell find radicale_shared storage_plugin auth_plugin -name '*.py' -o -name '*.mako') pyproject.toml README.md LICENSE

# Neighbours share a process, and with it the servers that a module starts; who is done takes over what others have left.
IN_PARALLEL := --dist worksteal -o tmp_path_retention_policy=failed

.PHONY: run test nightly lint bench clean

# Serve the demo organisation on http://127.0.0.1:5232, or another PORT; its logins are printed, its data is kept in ./var.
run: $(VENV)/product
	$(BIN)/radicale-shared demo
	$(BIN)/radicale-shared serve $(if $(PORT),--port $(PORT))

# All tests, on the built wheel, with SQLite and (where it is installed) a throw-away PostgreSQL. The proofs have the machine
# to themselves: they start servers of several processes, and kill them. What a test that passed has written is thrown away.
test: $(VENV)/product $(VENV)/tools
	tests/with-postgresql $(BIN)/pytest -n $(TESTERS) $(IN_PARALLEL) --ignore tests/proofs $(PYTEST)
	tests/with-postgresql $(BIN)/pytest -n $(TESTERS) $(IN_PARALLEL) tests/proofs

# What was compiled of the tests is kept, whatever the environment says: each of the processes would compile them anew.
test nightly: export PYTHONDONTWRITEBYTECODE :=

# The same with full counts: hundreds of kill -9, long fuzzing, half an hour of load on each database. An hour and a half, and more.
nightly: $(VENV)/product $(VENV)/tools
	RADICALE_SHARED_TEST_PROFILE=nightly tests/with-postgresql $(BIN)/pytest $(PYTEST)

lint: $(VENV)/product $(VENV)/tools $(VENV)/peers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict radicale_shared
	$(BIN)/mypy --strict storage_plugin auth_plugin
	$(BIN)/mypy --strict bench

# This server, with both databases, beside stock Radicale, Xandikos and Cyrus IMAP (where they are installed) in one run;
# tables and a plot in bench/results. BENCH="--quick" for a look, BENCH="--sizes 1000,10000,50000" for everything.
bench: $(VENV)/product $(VENV)/peers
	$(BIN)/python bench/run.py $(BENCH)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "No virtual environment could be made. Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'setuptools>=77' wheel

$(VENV)/libraries: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation .
	touch $@

# The wheel alone, made anew when a source changed. A build folder left behind would bring back deleted modules.
$(VENV)/product: $(VENV)/libraries $(SOURCES)
	rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall .
	rm -rf build
	touch $@

$(VENV)/tools: pyproject.toml | $(VENV)/product
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation '.[test]'
	touch $@

$(VENV)/peers: pyproject.toml | $(VENV)/product
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation '.[bench]'
	touch $@
