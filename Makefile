# make demo   sets everything up, trains an actor for C major and 192 notes, writes MIDI and pictures
# make test   sets everything up and runs every check
# make docs   builds the site in build/docs
# make gallery   trains an actor for each rule of the gallery, for an hour or two, and writes its melodies to docs/gallery.json
# make dist   builds wheel and source distribution, and checks both
# make package   installs the wheel in an environment of its own: sizes and seconds of docs/install.md
# make benchmarks   runs the benchmarks that need no data, for hours, and keeps what they print in docs/measured
# make figures   measures the table in docs/benchmarks.md

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := demo
FIGURES := figures

.PHONY: demo test docs gallery benchmarks figures lint types setup dist package clean

setup: $(READY)

# Python compiles what it imports; pip would compile everything, for as long as it installs. A pip of years ago, which a
# new environment has, takes a minute more to find the packages.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25'
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	rm -rf $(DEMO)
	$(BIN)/mc train-actor --rule cmajor --density 192 -o $(DEMO)/actor
	$(BIN)/mc generate --actor $(DEMO)/actor -n 16 -o $(DEMO)/melodies --plot
	$(BIN)/mc evaluate --actor $(DEMO)/actor
	@echo "MIDI files and melodies.png are in $(DEMO)/melodies, the training's curves in $(DEMO)/actor"

# The table of docs/benchmarks.md: one actor for C major, one for both rules; a seed that played no part in any choice.
figures: $(READY)
	rm -rf $(FIGURES)
	$(BIN)/mc train-actor --rule cmajor -o $(FIGURES)/cmajor
	$(BIN)/mc train-actor --rule cmajor --density 192 -o $(FIGURES)/both
	for temperature in 0.5 1; do \
	  $(BIN)/mc evaluate --actor $(FIGURES)/cmajor --density 192 --seed 301 --temperature $$temperature && \
	  $(BIN)/mc evaluate --actor $(FIGURES)/both --seed 301 --temperature $$temperature || exit 1; \
	done

# Test files side by side, each process with one thread of its own; all see sets in the same order. mypy, which takes
# a minute of one processor, runs beside them and reports at the end. pip compiled nothing, so what is imported is kept
# compiled, whatever the environment says: the tests start many processes. Where a test has two threads, one that waits
# for the other leaves its processor to others.
test: lint
	@mkdir -p build
	@$(BIN)/mypy > build/types.log 2>&1 & types=$$!; \
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive PYTHONHASHSEED=0 \
	  $(BIN)/python -m pytest -q -n auto --dist loadfile; tests=$$?; \
	wait $$types; types=$$?; \
	echo "mypy:"; cat build/types.log; \
	exit $$((tests + types))

# Warnings and broken links are errors. The notebooks run, and the site shows what they print.
docs: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -q -E -W --keep-going -b html -d build/doctrees docs build/docs
	@echo "open build/docs/index.html"

gallery: $(READY)
	$(BIN)/python docs/gallery.py

benchmarks: $(READY)
	$(BIN)/python benchmarks/record.py

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy

# Wheel and sdist are built, checked and installed, each in an environment of its own that sees what it needs of this one.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*
	for file in dist/*; do $(BIN)/python tests/installed.py $$file || exit 1; done

package: dist
	$(BIN)/python benchmarks/package.py dist/*.whl --before $$(grep ^torch== constraints.txt)

clean:
	rm -rf $(VENV) $(DEMO) $(FIGURES) docs/generated build dist *.egg-info
