"""Every code block of every page: Python compiles and names what exists, commands are understood by the real parser."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import importlib.util
import inspect
import io
import re
import shlex
from typing import Any

import pytest

from MyoScarSegLib.cli.main import _parser
from MyoScarSegLib.models import registry
from MyoScarSegLib.scene.scene_console import Console
from MyoScarSegLib.scene.training.training_console import TrainingConsole
from Testing.conftest import REPOSITORY
from Testing.docs.pages import PAGES, Block, blocks, name_of, without_blocks

BLOCKS = [block for page in PAGES for block in blocks(page)]
LANGUAGES = {"", "python", "sh", "yaml", "json", "bibtex", "text"}
_CONSOLES = (Console, TrainingConsole)


def _where(block: Block) -> str:
    return f"{name_of(block.page)}:{block.line}"


def _of(language: str) -> list[Any]:
    return [pytest.param(block, id=_where(block)) for block in BLOCKS if block.language == language]


def test_blocks_say_their_language():
    assert {block.language for block in BLOCKS} <= LANGUAGES


# ------------------------------------------------------------------ Python


@pytest.mark.parametrize("block", _of("python"))
def test_python_compiles_and_names_what_exists(block):
    tree = ast.parse(block.text, _where(block))
    known: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "MyoScarSegLib":
            module = importlib.import_module(node.module)
            known |= {alias.asname or alias.name: getattr(module, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "MyoScarSeg":
            assert [alias.name for alias in node.names] == ["MyoScarSegLogic"]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)]
            assert all(importlib.util.find_spec(name.split(".")[0]) for name in names), names
    made = {
        node.targets[0].id: known[node.value.func.id]
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id in known
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            _check_call(node, known, made)


def _check_call(node: ast.Call, known: dict[str, Any], made: dict[str, Any]) -> None:
    """The called thing exists and takes these arguments, as far as the block says what it is."""
    called: Any = None
    if isinstance(node.func, ast.Name):
        called = known.get(node.func.id)
    elif isinstance(node.func, ast.Attribute):
        owner, name = node.func.value, node.func.attr
        if isinstance(owner, ast.Name) and owner.id == "logic":
            console = next((one for one in _CONSOLES if hasattr(one, name)), None)
            assert console is not None, f"the logic has no {name}"
            called = getattr(console, name)
        elif isinstance(owner, ast.Name) and owner.id in made:
            called = _member(made[owner.id], name)
        elif isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id in known:
            called = _member(known[owner.func.id], name)
    if called is None:
        return
    takes = inspect.signature(called).parameters
    if not any(one.kind is one.VAR_KEYWORD for one in takes.values()):
        for keyword in node.keywords:
            assert keyword.arg is None or keyword.arg in takes, f"{ast.unparse(node.func)} has no argument {keyword.arg}"


def _member(of: Any, name: str) -> Any:
    """A method of a class; None of what a function gives, which is not known."""
    if not inspect.isclass(of):
        return None
    assert hasattr(of, name), f"{of.__name__} has no {name}"
    return getattr(of, name)


# ------------------------------------------------------------------ commands


def _commands(text: str) -> list[list[str]]:
    """The commands of a shell block as words, without comments, pipes and what is redirected."""
    joined = text.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if set(word) <= set("|&;<>"):
                found.append(words)
                words = []
            else:
                words.append(word)
        found.append(words)
    return [words for words in found if words]


def _parses(words: list[str]) -> str:
    """What the real parser says of a command's arguments, empty if it takes them."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            _parser().parse_args(words)
    except SystemExit as end:
        return said.getvalue() if end.code else ""
    return ""


@pytest.mark.parametrize("block", _of("sh"))
def test_commands_are_what_the_programs_take(block):
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in _commands(block.text):
        if words[0] == "myoscarseg":
            assert _parses(words[1:]) == "", " ".join(words)
            if words[1:3] in (["models", "fetch"], ["models", "import"]):
                names = [word for word in words[3:] if "." not in word and word != "NAME"]
                assert set(names) <= {entry.name for entry in registry().entries()}, " ".join(words)
        elif "MyoScarSegLib" in words and "-m" in words:  # accelerate, torchrun, python
            assert _parses(words[words.index("MyoScarSegLib") + 1 :]) == "", " ".join(words)
        elif words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, " ".join(words)
        elif "python" in words[0] and "-m" in words and words[words.index("-m") + 1].startswith("Testing"):
            assert importlib.util.find_spec(words[words.index("-m") + 1]), " ".join(words)
        elif words[0].startswith("python") and words[1].endswith(".py"):
            assert (REPOSITORY / words[1]).is_file(), " ".join(words)


_INLINE = re.compile(r"`myoscarseg ([^`]+)`")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_within_a_sentence_exist_with_their_options(page):
    for command in _INLINE.findall(without_blocks(page)):
        parser: argparse.ArgumentParser = _parser()
        for word in shlex.split(command):
            if word == "COMMAND":
                break
            deeper = _subparsers(parser)
            if word in deeper:
                parser = deeper[word]
            elif word.startswith("-"):
                options = {option for action in parser._actions for option in action.option_strings}
                assert word.split("=")[0] in options, f"myoscarseg {command}"
            else:
                assert not deeper or not word.islower(), f"myoscarseg {command}: no command {word}"


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next((dict(action.choices) for action in parser._actions if isinstance(action, argparse._SubParsersAction)), {})
