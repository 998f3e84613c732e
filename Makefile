# `make help` explains. Every target makes what it needs: virtual environment, extension, packages.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The versions that the tests run with; users get the ranges of pyproject.toml.
PIP := $(BIN)/pip install --quiet --constraint constraints.txt
SOURCES := Cargo.toml Cargo.lock build.rs pyproject.toml $(shell find src guest -type f -not -path '*/__pycache__/*')
# cargo finds componentize-py, which builds the sandbox's guest, in the virtual environment.
export PATH := $(abspath $(BIN)):$(PATH)
export VIRTUAL_ENV := $(abspath $(VENV))
export HF_HUB_OFFLINE ?= 1
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help tools build train test test-slow soak rust-test python-test lint fmt bench wheel fuzz clean

help: ## Show this help
	@echo 'mentor-rs: make TARGET [ARGS="..."]'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{ printf "  %-12s %s\n", $$1, $$2 }'

tools:
	@command -v $(PYTHON) >/dev/null || { echo 'mentor-rs: no $(PYTHON) found; install Python 3.10 or newer, with venv' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo 'mentor-rs: Python 3.10 or newer is needed; name one with PYTHON=...' >&2; exit 1; }
	@command -v cargo >/dev/null || { echo 'mentor-rs: no Rust toolchain (cargo) found; install Rust 1.95 or newer with rustup' >&2; exit 1; }
	@command -v cc >/dev/null || { echo 'mentor-rs: no C compiler (cc) found; install gcc or clang (Debian: build-essential)' >&2; exit 1; }

$(VENV)/.base: pyproject.toml constraints.txt | tools
	@echo 'Making the virtual environment $(VENV)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade pip
	@$(PIP) maturin componentize-py
	@touch $@

# A machine without an NVIDIA GPU takes PyTorch's CPU build where its package index offers one.
$(VENV)/.torch: $(VENV)/.base
	@echo 'Installing PyTorch'
	@{ ! command -v nvidia-smi >/dev/null && $(PIP) 'torch==2.13.0+cpu' 2>/dev/null; } || $(PIP) torch
	@touch $@

$(VENV)/.extension: $(VENV)/.base $(SOURCES)
	@echo 'Building the extension (some minutes the first time)'
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/.train: $(VENV)/.torch $(VENV)/.extension
	@echo 'Installing the packages for training'
	@$(PIP) --no-build-isolation --editable '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	@echo 'Installing the packages for development'
	@$(PIP) --no-build-isolation --editable '.[train,serve,mcp,adapters,teach,dev]'
	@touch $@

build: $(VENV)/.extension ## Build the extension into the virtual environment

train: $(VENV)/.train ## Train the tiny model on CPU, about 5 minutes; options in ARGS="--method sparse ..."
	$(BIN)/python -m mentor.train $(ARGS)

test: lint rust-test python-test ## Run lints, type checks, Rust tests and Python tests

rust-test: $(VENV)/.base
	cargo test --release --quiet

python-test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m 'not slow' $(ARGS)

test-slow: $(VENV)/.dev ## Run the tests that take minutes
	$(BIN)/python -m pytest -q -m slow $(ARGS)

soak: $(VENV)/.dev ## Run the sandbox for some 200,000 calls and check that nothing grows; options in ARGS="--calls 2000 ..."
	$(BIN)/python tests/soak.py $(ARGS)

lint: $(VENV)/.dev ## Check formatting, lints, types, stubs and layers
	cargo fmt --check
	cargo clippy --release --all-targets --quiet -- -D warnings
	cargo clippy --release --features python --quiet -- -D warnings
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest mentor._core --allowlist tests/stubtest-allowlist.txt
	$(BIN)/lint-imports

fmt: $(VENV)/.dev ## Format the code
	cargo fmt
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

$(VENV)/.bench: $(VENV)/.dev
	@echo 'Installing the peers of the benchmarks'
	@$(PIP) --no-build-isolation --editable '.[train,serve,mcp,adapters,dev,bench]'
	@touch $@

bench: $(VENV)/.bench ## Run the benchmarks: cargo bench, then Python's against peers
	cargo bench
	for bench in benches/python/*.py; do $(BIN)/python $$bench || exit 1; done

fuzz: ## Fuzz the parsers, the judge, the aligner and the rewards; ARGS="SECONDS TARGET..." (60 s each)
	PYTHON=$(PYTHON) fuzz/run.sh $(ARGS)

wheel: $(VENV)/.base ## Build one abi3 wheel into dist/
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

clean: ## Remove what the other targets made
	rm -rf $(VENV) target dist
