# Every target makes what it needs. On a fresh Debian 12 with Python 3.11: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out
# CPU=1: PyTorch without CUDA, 2 GB instead of 7, for a computer without GPU.
SMALL_TORCH := $(if $(CPU),--extra-index-url https://download.pytorch.org/whl/cpu)
# SYSTEM=linux|windows|macos: that `make wheels` is for; this computer's if it is not said.
SYSTEM ?=

.PHONY: help demo screen test test-slow test-application bench lint format docs pages wheels models detector segmenter clean

help:
	@echo "make demo       segment a made study with known scar; look at $(OUT)/demo/phantom/overlay.png"
	@echo "make test       the tests (minutes); make test-slow: all of them"
	@echo "make test-application  the self-tests and the ideal path in a real Slicer, by mouse and keyboard (SLICER=program)"
	@echo "make bench      times and ratios of this computer"
	@echo "make lint       ruff, mypy, import-linter"
	@echo "make docs       the pages as a site, to be opened at $(OUT)/site/index.html"
	@echo "make pages      write anew what is made of the code: keys, help, template for translators"
	@echo "make wheels     all packages for Slicer on a computer without network (SYSTEM=linux|windows|macos)"
	@echo "make segmenter  train the segmenter again, an hour on one core (DATA=EMIDEC's folder with Case_*, ANATOMY=ACDC's with patient*)"
	@echo "make detector   train the detector again, 18 minutes (DATA=folder with EMIDEC's Case_*/Images and Contours)"

$(VENV)/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "MyoScarSeg needs Python 3.10 to 3.13; say which: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) \
		|| { echo "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV), about $(if $(CPU),2,7) GB; pip says nothing for the minutes that it takes."
	$(BIN)/python -m pip install --quiet $(SMALL_TORCH) --editable ".[train,test,docs]"
	@touch $@

models: $(VENV)/installed
	$(BIN)/myoscarseg models fetch litemedsam

demo: $(VENV)/installed
	$(BIN)/myoscarseg demo -o $(OUT)/demo

# Qt and VTK draw off screen in the tests, with libraries that a server may lack.
LIBRARIES := libegl1 libgl1 libopengl0 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 libx11-6 libxrender1 libxcursor1
DRAWS := $(BIN)/python -c 'import slicer; from PySide6 import QtGui, QtWidgets' >/dev/null 2>&1
screen: $(VENV)/installed
	@$(DRAWS) || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq $(LIBRARIES) >/dev/null && $(DRAWS); } \
		|| { echo "The tests draw with Qt and VTK. On Debian: apt-get install $(LIBRARIES)"; exit 1; }

test: models screen
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

test-slow: models screen
	$(BIN)/python -m pytest -n auto --dist loadfile

# Neither an own Slicer's settings nor its models are touched. Pictures of each step: out/application.
test-application: $(VENV)/installed
	$(BIN)/python -m Testing.application -o $(OUT)/application $(if $(SLICER),--slicer $(SLICER))

bench: models
	$(BIN)/python -m Testing.benchmark -o $(OUT)/bench

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A broken link within the repository, or a page that no menu leads to, ends it.
docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir $(abspath $(OUT))/site

# What is made of the code: the list of keys, the help that ships with the extension, the template for translators.
pages: screen
	$(BIN)/python -m Testing.support.keys_page
	$(BIN)/python docs/write_help.py
	$(BIN)/python docs/write_translations.py

wheels: $(VENV)/installed
	$(BIN)/python docs/list_packages.py --download $(OUT)/wheels $(if $(SYSTEM),--system $(SYSTEM))

# What the shipped segmenter says of its answers, from research/folds.
ANSWERS := --set answers.sam_share=0.15 --set answers.first=0.2 --set answers.mapped=0.54,-0.1 --set answers.alone=0.54,-0.5 \
	--set answers.asked=0.55,-0.4 --set answers.alone_error=4.4,0.15,2.1 --set answers.asked_error=2.2,0.15,0

# The shipped segmenter again: the ventricle from cine, then scar, then SAM. A stopped training goes on.
segmenter: models
	$(BIN)/myoscarseg train segmenter --data $(DATA) --anatomy $(ANATOMY) --out $(OUT)/segmenter --name myoscarseg-sam --device cpu \
		--start litemedsam --mode full --epochs 8 --batch 4 --set prompts=3 --set scar_free_share=0.15 --set phantoms=40 \
		--set phantom_share=0.05 --set evaluate_every=0 $(ANSWERS) $(if $(wildcard $(OUT)/segmenter/log.jsonl),--resume)

# The shipped detector again. A stopped training goes on.
detector: $(VENV)/installed
	$(BIN)/myoscarseg train detector --data $(DATA) --out $(OUT)/detector --name myoscarseg-yolo --device cpu --start fresh --epochs 80 \
		$(if $(wildcard $(OUT)/detector/log.jsonl),--resume)

clean:
	rm -rf $(OUT) build dist *.egg-info
