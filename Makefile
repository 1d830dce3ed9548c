PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test lint lock clean

quickstart: .venv/installed-report
	$(BIN)/tlverify quickstart

test: .venv/installed-dev
	$(BIN)/python -m pytest

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Versions are pinned by requirements.lock; each stamp file says which extra is installed in .venv.
.venv/installed-%: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[$*]'
	touch $@

lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --no-annotate -o requirements.lock

clean:
	rm -rf .venv quickstart
