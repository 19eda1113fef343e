# make demo: the whole journey on the bundled example.   make test: the default suite.
# Both set everything up first; a second call only checks two time stamps.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SLOW ?= not slow

.PHONY: demo test test-slow test-zero matrix lint types check bench docs site screens clean

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

demo: $(READY)
	$(BIN)/python examples/demo.py

# Two processes of one thread each: on two cores about half the time of one process. WORKERS=0 stays in this one.
WORKERS ?= 2
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "$(SLOW)" -q -n $(WORKERS) --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow -q $(AGAIN)

# ZeRO-2 and ZeRO-3 on CPUs, in an environment that adds deepspeed to this one. Needs g++.
ZERO := $(VENV)/zero
$(ZERO)/.ready: $(READY) constraints.txt
	$(BIN)/python -m venv $(ZERO)
	for site in $(CURDIR)/$(ZERO)/lib/python3.*/site-packages; do \
	  echo "import site; site.addsitedir('$$(echo $(CURDIR)/$(VENV)/lib/python3.*/site-packages)')" > $$site/below.pth; \
	done
	DS_BUILD_OPS=0 $(ZERO)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt deepspeed
	touch $@

test-zero: $(ZERO)/.ready
	PATH="$(CURDIR)/$(ZERO)/bin:$$PATH" OMP_NUM_THREADS=1 $(ZERO)/bin/python -m pytest -q -m "" tests/orpo_compat/test_deepspeed.py

# The oldest and the newest stack, minutes each the first time; WRITE= leaves docs/support.md alone.
WRITE ?= --write docs/support.md
matrix: $(READY)
	$(BIN)/python -m tests.matrix $(WRITE)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

check: lint types test

# Minutes each; see benchmarks/README.md. DATA=pairs.json measures with your own pairs.
bench: $(READY)
	for setting in defaults lora float32; do \
	  $(BIN)/python benchmarks/bench_trainer.py --setting $$setting --steps 3 --rounds 3 $(if $(DATA),--data $(DATA)) || exit 1; \
	done

docs: $(READY)
	$(BIN)/python -m codemods.rules.table > docs/rules.md
	$(BIN)/python -m orpo_compat.reference docs/config.md
	$(BIN)/python -m orpo_compat.planning.table docs/scale.md
	$(BIN)/python -m orpo_compat.health > docs/troubleshooting.md

# site/index.html opens from the disk, without the search. Every warning is an error.
site: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The pictures in docs/assets/screens, from real runs; SCREENS="scan doctor" records these only. Needs Chromium.
screens: $(READY)
	$(BIN)/python docs/record_screens.py $(SCREENS)

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
