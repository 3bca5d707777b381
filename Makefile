# Thin: set-up, then the script that does the work. `make repro` and `make test` work as the first command in a clone.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
READY := $(VENV)/.ready

.PHONY: setup repro test test-all lint bench bench-table results lock

setup: $(READY) ## .venv, the pinned packages and this one

repro: $(READY) ## data/ (or DATA=FOLDER) -> report; PARAMS=FILE, SET="KEY=VALUE ...", NAME=NAME, STUDY=NAME go with it
	@python pipelines/repro.py $(if $(DATA),--data "$(DATA)") $(if $(PARAMS),--params "$(PARAMS)") \
		$(if $(NAME),--name "$(NAME)") $(if $(STUDY),--study "$(STUDY)") $(if $(SET),--set $(SET))

test: $(READY) ## all tests but the slow ones, a file at a time on either core
	@OMP_NUM_THREADS=1 python -m pytest -m "not slow" -n 2 --dist loadfile

test-all: test ## all tests; the slow ones start processes of their own
	@python -m pytest -m slow -n 2 --dist loadfile

lint: $(READY)
	@ruff check . && ruff format --check . && mypy && lint-imports

bench: $(READY) ## make bench NAME=loader; ARGS="--seeds 0 1" goes with it
	@python benchmarks/$(NAME).py $(ARGS)

bench-table: $(READY)
	@python benchmarks/table.py

results: $(READY) ## docs/results.md from the reports of the root and of WORKSPACES="medieval arabic"
	@python pipelines/results.py $(WORKSPACES)

lock: $(READY) ## pin every package anew, for Python 3.11 to 3.13
	@uv pip compile --universal --python-version 3.11 --extra dev pyproject.toml -o requirements.lock \
		--custom-compile-command "make lock" --no-emit-index-url --no-emit-find-links --upgrade -q

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "make: $$($(PYTHON) --version 2>&1) will not do; use Python 3.11 to 3.13: make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "make: $(PYTHON) has no venv module; install it (Debian: apt install python3-venv)" >&2; exit 2; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@python -m pip install --quiet --disable-pip-version-check uv
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) uv pip install --quiet --compile-bytecode -r requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) uv pip install --quiet --no-deps -e .
	@touch $(READY)
