# Chores, one command each. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test check format proof mutants bench example docs live vendor wheel kernel clean

help:  ## List the chores
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMP)  ## Make the environment in .venv, with what tests need

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip uninstall --quiet --yes collector 2>/dev/null  # its name before market-collector
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

run: $(STAMP)  ## Collect from the simulated exchange for 20 s into demo.db
	$(BIN)/python run.py demo --seconds 20

DATABASE = $(if $(filter postgres,$(DB)),--postgres,$(if $(DB),--db '$(DB)'))

local: $(STAMP)  ## Run it all here: simulator, database, Kinesis, dashboard; DB=postgres OPTIONS=--consume
	$(BIN)/python run.py local $(DATABASE) $(OPTIONS)

test: $(STAMP)  ## Run the tests
	$(BIN)/python -m pytest

check: $(STAMP)  ## Lint, format check, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

proof: $(STAMP)  ## Run the long forms of the tests, some hours; OPTIONS=tests/writer runs a part
	$(BIN)/python -m pytest -m proof --numprocesses 1 --timeout 1200 --durations 25 $(OPTIONS)

mutants: $(STAMP)  ## Plant faults at random, see which the tests catch; OPTIONS="--seed 7 --count 50"
	$(BIN)/python tests/mutants/plant.py $(OPTIONS)

bench: $(STAMP)  ## Measure all but peers; prints ratios against a baseline of the same run
	@for each in $(filter-out benchmarks/peers.py,$(wildcard benchmarks/*.py)); do echo "== $$each"; $(BIN)/python $$each || exit 1; done

example: $(STAMP)  ## Make trading_bot_live.db.example anew: a minute of simulated exchanges
	$(BIN)/python examples/make_example_database.py

picture: $(STAMP)  ## Draw docs/pictures/demo.svg anew: the live table after 20 s of the demo
	$(BIN)/python examples/make_picture.py

live: $(STAMP)  ## Check each real exchange for a minute, as far as it can be reached; OPTIONS="--only okx"
	$(BIN)/python tests/live_exchanges/check_exchanges.py $(OPTIONS)

docs: $(STAMP)  ## Check that the docs say what the code does
	$(BIN)/python -m pytest --quiet tests/docs tests/settings

UPLOT = 1.6.32
UPLOT_SHA512 = KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==
VENDORED = collector/serve/page/static/vendor

vendor:  ## Fetch the dashboard's charts (uPlot) anew by npm, and check them against their hash
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
	&& npm pack --silent --pack-destination "$$folder" uplot@$(UPLOT) >/dev/null \
	&& test "$$(openssl dgst -sha512 -binary "$$folder/uplot-$(UPLOT).tgz" | base64 -w0)" = "$(UPLOT_SHA512)" \
	&& tar -xzf "$$folder/uplot-$(UPLOT).tgz" -C "$$folder" \
	&& cp "$$folder/package/dist/uPlot.iife.min.js" "$$folder/package/dist/uPlot.min.css" $(VENDORED)/ \
	&& cp "$$folder/package/LICENSE" $(VENDORED)/uPlot-LICENSE

wheel: $(STAMP)  ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

kernel: $(STAMP)  ## Compile the kernel and install it in .venv; needs a C compiler
	$(BIN)/python -m pip install --quiet --no-build-isolation ./kernel

clean:  ## Remove what was made here; no data
	rm -rf $(VENV) build dist .mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
