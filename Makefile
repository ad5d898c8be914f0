# `make` alone lists what there is. Needs nothing but make and Python 3.11 or later; uv makes the set-up faster.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run run-real test test-deploy test-real test-clients test-cli check fix fuzz chaos chaos-quick bench bench-quick lock clean

BIN := .venv/bin
CODE := interlingua tests bench tools deploy real chaos clients cli_tests
HELM := v4.3.1
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
INSTALL := $(if $(UV),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)

LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-annotate --custom-compile-command "make lock"

# A test that hangs is ended and named, with the places where it stood
HUNG := --max-worker-restart 0 -o faulthandler_timeout=180 -o faulthandler_exit_on_timeout=true

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: .venv/run.stamp ## start the gateway before mock providers: a tour through every protocol, no key needed
	@trap : INT; $(BIN)/interlingua demo

run-real: .venv/run.stamp ## the same tour before a genuine small model, on this machine (fetched once, 130 MB)
	@trap : INT; $(BIN)/python -m real

test: .venv/dev.stamp ## run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile $(HUNG)

test-deploy: .venv/deploy.stamp .tools/helm ## lint, render and try what is in deploy/ (needs go and prometheus)
	@PATH="$(CURDIR)/.tools:$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest deploy/tests

test-real: .venv/dev.stamp ## every SDK against a genuine small model
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest real/tests

test-clients: .venv/dev.stamp ## real clients through the gateway, as docs/clients/ shows them (fetched once, 1 GB)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest clients/tests

test-cli: .venv/dev.stamp ## the real Gemini CLI behind every client (npm brings it once, 100 MB)
	@$(BIN)/python -m pytest cli_tests

check: .venv/dev.stamp ## format, lint and types
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/pyright --pythonpath $(BIN)/python

fix: .venv/dev.stamp ## format, and mend what ruff can mend
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

fuzz: .venv/dev.stamp ## atheris on every decoder and parser, a minute each
	@$(BIN)/python tools/fuzz.py

chaos: .venv/dev.stamp ## providers that fail in every way, clients that keep asking: about 4 minutes (docs/chaos.md)
	@PYTHONPATH=tests $(BIN)/python -m chaos $(if $(SEED),--seed $(SEED)) $(SCENES)

chaos-quick: .venv/dev.stamp ## a part of it, always the same, under a minute
	@PYTHONPATH=tests $(BIN)/python -m chaos --quick --seed $(or $(SEED),1) $(SCENES)

bench: .venv/dev.stamp ## measure against Envoy, nginx and LiteLLM, about 15 minutes (docs/bench.md)
	@$(BIN)/python -m bench

bench-quick: .venv/dev.stamp ## the same in short, without LiteLLM
	@$(BIN)/python -m bench --quick

.venv/deploy.stamp: requirements/deploy.txt .venv/dev.stamp
	@$(INSTALL) --require-hashes -r requirements/deploy.txt
	@touch $@

.tools/helm:
	@go version >/dev/null 2>&1 || { echo "make test-deploy builds helm, and needs go for that: install it (Debian: apt install golang)." >&2; exit 1; }
	@echo "Building helm (once, some minutes) ..."
	@GOBIN="$(CURDIR)/.tools" go install helm.sh/helm/v4/cmd/helm@$(HELM)

lock: ## resolve the dependencies anew into requirements/*.txt (needs uv)
	@$(if $(UV),,echo "make lock needs uv: pip install uv" >&2; exit 1)
	@uv pip compile $(LOCK) pyproject.toml --output-file requirements/run.txt
	@uv pip compile $(LOCK) pyproject.toml --extra dev --constraint requirements/run.txt --output-file requirements/dev.txt
	@uv pip compile $(LOCK) requirements/deploy.in --constraint requirements/dev.txt --output-file requirements/deploy.txt

clean: ## remove the environment and everything that was made
	rm -rf .venv build dist bench/out .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(if $(PYTHON),,echo "Interlingua needs Python 3.11 or later; none was found. Name yours: make PYTHON=/path/to/python3" >&2; exit 1)
	@$(if $(UV),uv venv --quiet --python $(PYTHON) .venv,$(VENV))

define VENV
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) comes without venv and pip here:\
 install them (Debian: apt install python3-venv) or uv, then run make again." >&2; exit 1; }; $(PYTHON) -m venv .venv
endef

.venv/run.stamp: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Setting up .venv (once) ..."
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(INSTALL) --no-deps -e .
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
