# Every command once. `make demo` and `make test` set up what they need on a machine with python3 >= 3.11, pip and make.
PYTHON ?= python3
BIN := .venv/bin
UV := PYTHONPATH=.tools UV_PYTHON_DOWNLOADS=never $(PYTHON) -m uv

.DEFAULT_GOAL := help
.PHONY: help setup demo test check up bench soak docs wheel clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## install exactly what uv.lock says into .venv

# uv goes into a folder of its own: Debian's pip refuses to install beside the system's packages.
.tools/.ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Hansa needs Python 3.11 or later" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "Hansa needs pip: on Debian, apt-get install python3-pip" >&2; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore --upgrade --target .tools 'uv>=0.9,<1'
	@touch $@

# The second try is for networks whose certificate authority only the system knows.
SYNC := sync --quiet --frozen --python "$$(command -v $(PYTHON))"
.venv/.ready: .tools/.ready pyproject.toml uv.lock
	@$(UV) $(SYNC) 2>.tools/sync.log || $(UV) --system-certs $(SYNC) || { cat .tools/sync.log >&2; exit 1; }
	@touch $@

demo: setup ## two agents meet, agree, pay and are rated, for real; ends by itself
	@$(BIN)/hansa demo

up: setup ## start everything and stay: database, local chain, API, worker
	@$(BIN)/hansa up

test: check ## everything that must hold, in a few minutes
	$(BIN)/pytest -m "not soak"

check: setup ## style, types, import contracts, SQL lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m hansa.migrate lint --dir src/hansa/migrations --without-server

soak: setup ## the long seeded campaigns: kills, races, random steps
	$(BIN)/pytest -m soak -s

bench: setup ## benchmarks, one after the other, ratios within one run
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: setup ## generate the reference pages
	$(BIN)/python docs/generate.py

wheel: setup ## build the wheel into dist/
	$(UV) build --quiet --wheel --out-dir dist

clean: ## remove what setup and the tests made
	rm -rf .venv .tools dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
