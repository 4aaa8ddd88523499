# Every target makes what it needs. On a fresh Debian 12 with Python 3.11: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out

.PHONY: help demo screen test test-slow test-application bench lint format models detector segmenter clean

help:
	@echo "make demo       segment a made study with known scar; look at $(OUT)/demo/phantom/overlay.png"
	@echo "make test       the tests (minutes); make test-slow: all of them"
	@echo "make test-application  the self-tests and the ideal path in a real Slicer, by mouse and keyboard (SLICER=program)"
	@echo "make bench      times and ratios of this computer"
	@echo "make lint       ruff, mypy, import-linter"
	@echo "make segmenter  fine-tune the segmenter again, two hours on one core (DATA=folder with EMIDEC's Case_*/Images and Contours)"
	@echo "make detector   train the detector again, 26 minutes (DATA=folder with EMIDEC's Case_*/Images and Contours)"

$(VENV)/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "MyoScarSeg needs Python 3.10 to 3.13; say which: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) \
		|| { echo "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --editable ".[train,test]"
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

# The recipe of myoscarseg-sam-3, from its predecessor: two runs, the second on other copies of the slices.
RECIPE := --split Resources/Models/myoscarseg-sam-2.json --device cpu --set refiner=true --set prompts=2 --set corrected=0.6 \
	--set batch=4 --set scar_free_share=0.4 --set phantoms=20 --set phantom_share=0.05 \
	--set decoder_rate=0.0002 --set prompting.empty=0.1 --set prompting.ventricle=0.05
segmenter: models
	$(BIN)/myoscarseg train sam --data $(DATA) --out $(OUT)/segmenter/first --name first --start myoscarseg-sam-2 $(RECIPE) \
		--epochs 24 --set copies=3 --set evaluate_every=12 --set refiner_rate=0.0012 --set detail_rate=0.0003 --set calibrate=false
	$(BIN)/myoscarseg train sam --data $(DATA) --out $(OUT)/segmenter --name myoscarseg-sam --seed 1 $(RECIPE) \
		--start $(OUT)/segmenter/first/first.safetensors \
		--epochs 16 --set copies=6 --set evaluate_every=4 --set refiner_rate=0.0008 --set detail_rate=0.0002

# The shipped detector again, with the settings, seed and split of its card.
detector: $(VENV)/installed
	$(BIN)/myoscarseg train yolo --recipe myoscarseg-yolo-2 --data $(DATA) --out $(OUT)/detector --name myoscarseg-yolo

clean:
	rm -rf $(OUT) build dist *.egg-info
