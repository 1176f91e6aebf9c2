# One word per task; each installs what it needs first. Warm runs rebuild nothing.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

UV_VERSION := 0.13.9
JJ_VERSION := 0.45.1
GIT_MIN := 2.36
PYTHON_MIN := 3.11
RUST_MIN := 1.89

VENV := .venv
BIN := $(VENV)/bin
# Outside the checkout, so that every clone shares the compiled dependencies.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tatami
export CARGO_TARGET_DIR ?= $(CACHE)/target
# clippy has its own: it is built with other settings, and each would undo the other's work.
LINT_TARGET_DIR := $(CARGO_TARGET_DIR)-lint
JJ_ROOT := $(CACHE)/jj-$(JJ_VERSION)
JJ := $(JJ_ROOT)/bin/jj
JOBS ?= auto
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
REPO ?= .
SECONDS ?= 60

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
RUST_FILES := $(shell find crates -type d -o -name '*.rs' -o -name Cargo.toml) \
	Cargo.toml Cargo.lock pyproject.toml

# $(call need,name,command that prints its version,least version,how to get it)
define need
	@found=$$($(2) 2>/dev/null | sed -n 's/^[^0-9]*\([0-9][0-9.]*\).*/\1/p' | head -n 1); \
	if [ -z "$$found" ]; then echo "$(1) is missing: $(4)" >&2; exit 1; fi; \
	if [ "$$(printf '%s\n' "$(3)" "$$found" | sort -V | head -n 1)" != "$(3)" ]; then \
		echo "$(1) $$found is too old, $(3) or newer is needed: $(4)" >&2; exit 1; fi
endef

.PHONY: help demo test lint bench simulate torture fuzz compat docs build clean
.PHONY: stock-jj test-python test-rust lint-python lint-rust say-compat

help: ## Say what each word does
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: build ## Ten agents commit and land this history (or REPO=...), beside git worktrees
	$(BIN)/tatami replay "$(REPO)" --agents 10 --compare
	@echo; echo "and a storm: ten agents, new files, each waiting until its commit is durable"
	$(BIN)/tatami scenario run storm --commits 50 --files 500 --arms tatami,git-worktree

test: lint test-rust test-python ## Everything CI runs: lint, Rust tests, Python tests

lint: lint-python lint-rust ## Formatting, types, layers, clippy

bench: build ## Measure every table of docs/results anew (takes long; wants a quiet machine)
	$(BIN)/python -m bench.storm
	$(BIN)/python -m bench.workspaces
	$(BIN)/python -m bench.snapshot
	$(BIN)/python -m bench.replay "$(REPO)"
	$(BIN)/python -m bench.kill

simulate: build ## Play a thousand swarms in which everything fails; each seed can be repeated
	$(BIN)/python -m tatami.testing.simulator --seeds 1000 --jobs "$(CORES)" \
		--kept tests/simulate/seeds.txt

torture: build ## A hundred thousand swarms, every kill point, 1000 power cuts, all damage (hours)
	$(BIN)/python -m tatami.testing.simulator --seeds 100000 --jobs "$(CORES)" \
		--kept tests/simulate/seeds.txt --flaws --report docs/results/reliability
	$(BIN)/python -m bench.torture all

fuzz: build ## Fuzz everything that parses bytes, SECONDS (60) each; what is found becomes a test
	$(BIN)/uv sync --quiet --frozen --inexact --no-install-project --group fuzz || \
		echo "NOTE: atheris cannot be installed here; bytes are mutated blindly" >&2
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS)

compat: stock-jj build ## Build stock jj once; test that stock git and jj share the repository
	$(BIN)/pytest tests/compat

docs: build ## Check that links, tables and verbs in the documents are true
	$(BIN)/pytest tests/tidy/test_documents.py

build: $(VENV)/.extension ## Install the package into .venv with its native core

clean: ## Remove what was built in this checkout; the shared cache stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist wheels
	find src -name '*.so' -delete
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

lint-python: $(VENV)/.packages
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

lint-rust: $(VENV)/.tools
	$(call need,rustfmt,cargo fmt --version,1,rustup component add rustfmt)
	$(call need,clippy,cargo clippy --version,0.1,rustup component add clippy)
	cargo fmt --all --check
	cargo clippy --quiet --locked --target-dir "$(LINT_TARGET_DIR)" --workspace --all-targets \
		-- --deny warnings

# The bindings crate needs maturin's settings and has no tests of its own: the package's use it.
test-rust: $(VENV)/.extension
	cargo test --quiet --release --locked --workspace --exclude tatami-py

test-python: $(VENV)/.extension say-compat
	$(BIN)/pytest -n $(JOBS)

say-compat:
	@test -x "$(JJ)" || echo "NOTE: stock jj is not built; its tests are skipped (make compat)" >&2

stock-jj: $(JJ)

$(JJ): | $(VENV)/.tools
	CARGO_TARGET_DIR="$(CACHE)/target-jj" cargo install jj-cli --version $(JJ_VERSION) --locked \
		--root "$(JJ_ROOT)"
	rm -rf "$(CACHE)/target-jj"

# Stamps: each file says that a step was done after everything it depends on last changed.
$(VENV)/.tools: Makefile
	@if [ -z "$(PYTHON)" ]; then \
		echo "Python $(PYTHON_MIN) or newer is missing: install it or give PYTHON=..." >&2; exit 1; fi
	$(call need,Python,$(PYTHON) --version,$(PYTHON_MIN),install it or give PYTHON=...)
	$(call need,git,git --version,$(GIT_MIN),install it with your system's packages)
	$(call need,cargo,cargo --version,$(RUST_MIN),rustup update stable)
	$(call need,rustc,rustc --version,$(RUST_MIN),rustup update stable)
	$(call need,a C compiler,cc -dumpversion,1,install gcc or clang with your system's packages)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make environments: install its venv package (python3-venv)" >&2; \
		rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/.packages: pyproject.toml uv.lock $(VENV)/.tools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv sync --quiet --frozen --inexact --no-install-project
	@touch $@

$(VENV)/.extension: $(RUST_FILES) $(VENV)/.packages
	PATH="$(CURDIR)/$(BIN):$$PATH" VIRTUAL_ENV="$(CURDIR)/$(VENV)" \
		$(BIN)/maturin develop --quiet --release --uv
	@touch $@
