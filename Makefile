# `make demo` and `make test` set up everything they need in .venv on a bare machine
# (Python 3.11 to 3.13, git, make). `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-output

# A torch CPU wheel that pip's find-links offers is used; without one, uv takes torch's own CPU
# builds. Either way nothing on this path fetches CUDA packages.
FIND_LINKS := $(shell $(PYTHON) -m pip config get :env:.find-links 2>/dev/null || $(PYTHON) -m pip config get global.find-links 2>/dev/null)
PY_TAG := $(shell $(PYTHON) -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
TORCH_WHEEL := $(notdir $(shell ls $(foreach d,$(FIND_LINKS),$(d)/torch-*+cpu-$(PY_TAG)-*_$(shell uname -m).whl) 2>/dev/null | sort -V | tail -n 1))
TORCH_VERSION := $(word 2,$(subst -, ,$(TORCH_WHEEL)))
comma := ,
empty :=
space := $(empty) $(empty)
UV := UV_FIND_LINKS="$(subst $(space),$(comma),$(strip $(FIND_LINKS)))" VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv
UV_INSTALL = $(UV) pip install --python $(BIN)/python --constraint $(VENV)/torch-cpu.txt $(if $(TORCH_VERSION),,--torch-backend cpu)

.PHONY: help setup demo test lint chromium clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.uv-ready: | $(BIN)/python
	$(BIN)/python -m pip install --quiet uv
	printf '%s\n' $(if $(TORCH_VERSION),'torch==$(TORCH_VERSION)') > $(VENV)/torch-cpu.txt
	touch $@

$(VENV)/.run-ready: pyproject.toml $(VENV)/.uv-ready
	$(UV_INSTALL) --quiet --editable '.[lava,compile,train]'
	touch $@

$(VENV)/.test-ready: $(VENV)/.run-ready
	$(UV_INSTALL) --quiet --editable '.[lava,compile,train,test]'
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --group clips --group crosscheck
	touch $@

setup: $(VENV)/.run-ready  ## create .venv with everything that `hybrid-cvar` can do

demo: $(VENV)/.run-ready  ## shipped checkpoint -> bundle -> run on the shipped video, Lava and ONNX Runtime
	@mkdir -p $(DEMO)
	$(BIN)/hybrid-cvar compile --output $(DEMO)/bundle --overwrite
	$(BIN)/hybrid-cvar run --bundle $(DEMO)/bundle --json $(DEMO)/report.json --report $(DEMO)/report.html

lint: $(VENV)/.test-ready  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/.test-ready  ## the whole test suite
	$(BIN)/python -m pytest

# Pages are tested in a browser. Without one, and without the right to install it, those tests are skipped (under CI they
# fail): install Chromium or Chrome yourself, or name one in $CHROMIUM.
chromium:  ## install Chromium where it is missing and apt-get may (as root, on Debian or Ubuntu)
	@if [ -n "$$CHROMIUM" ] || for name in chromium chromium-browser google-chrome google-chrome-stable; do command -v $$name >/dev/null && break; done; then \
		echo "a browser is there"; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else \
		echo "no Chromium: install one (apt-get install chromium), or name one in CHROMIUM"; \
	fi

clean:  ## remove .venv, the demo's output and build leftovers
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
