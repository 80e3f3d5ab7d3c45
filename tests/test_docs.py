"""Whatever the documents show exists: links, commands, options, paths, names.

Measured blocks are left out: they say what was run when their figures were measured.
"""

from __future__ import annotations

import ast
import functools
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lxcompress.cli.main import app
from lxcompress.config import PruneConfig
from lxcompress.data.dataset_config import parse_config

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PACKAGES = ("app", "benchmarks", "exporters", "lxcompress")
README_LINES = 200

every_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)

_MEASURED = re.compile(r"(<!-- measured: \w+ -->\n).*?(<!-- end -->)", re.DOTALL)
_REPOSITORY_PATH = re.compile(r"(?:app|benchmarks|docs|exporters|lxcompress|tests|\.ci)/[\w./*-]*")
_MODULE = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*(?:\(\))?")


@functools.cache
def tokens(path: Path) -> list[Token]:
    """The document's Markdown, without what is measured."""
    text = _MEASURED.sub(r"\1\2", path.read_text(encoding="utf-8"))
    return MarkdownIt("commonmark").enable("table").parse(text)


def inline_tokens(path: Path) -> Iterator[Token]:
    for token in tokens(path):
        yield from token.children or ()


def links(path: Path) -> Iterator[tuple[str, str]]:
    """Code in the link's text (empty where it is not all code), and where the link leads."""
    target, parts = None, list[Token]()
    for token in inline_tokens(path):
        if token.type == "image":
            yield "", str(token.attrs["src"])
        if token.type == "link_open":
            target, parts = str(token.attrs["href"]), []
        elif token.type == "link_close":
            assert target is not None
            is_code = [part.type for part in parts] == ["code_inline"]
            yield parts[0].content if is_code else "", target
            target = None
        elif target is not None:
            parts.append(token)


def fences(path: Path, language: str) -> Iterator[str]:
    for token in tokens(path):
        if token.type == "fence" and token.info == language:
            yield token.content


def inline_code(path: Path) -> Iterator[str]:
    for token in inline_tokens(path):
        if token.type == "code_inline":
            yield token.content


def command_lines(path: Path) -> Iterator[list[str]]:
    """Commands in fenced blocks, as words."""
    for block in fences(path, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def shown_commands(path: Path) -> Iterator[list[str]]:
    """Commands in fenced blocks and in running text."""
    yield from command_lines(path)
    for code in inline_code(path):
        if " " in code:
            yield code.split()


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    slugs: Counter[str] = Counter()
    found = set()
    parsed = tokens(path)
    for token, content in zip(parsed, parsed[1:], strict=False):
        if token.type == "heading_open":
            text = "".join(child.content for child in content.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
            slugs[slug] += 1
    return found


def definitions(path: Path) -> set[str]:
    """Names that a Python file defines or imports: `function`, `Class`, `Class.method`."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{node.name}.")
            elif isinstance(node, ast.Assign):
                found.update(prefix + it.id for it in node.targets if isinstance(it, ast.Name))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(prefix + node.target.id)
            elif isinstance(node, ast.ImportFrom):
                found.update(alias.asname or alias.name for alias in node.names)

    visit(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


def module_file(module: str) -> Path | None:
    """The file of one of our modules, None where there is none."""
    path = ROOT.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


@functools.cache
def root_command() -> Any:
    return typer.main.get_command(app)


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words after "lxcompress" name, and the words after its name."""
    command, rest = root_command(), list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"no subcommand {rest[0]}"
        command = command.commands[rest.pop(0)]
    return command, rest


def option_names(command: Any) -> set[str]:
    """`--option` names of a command and of all its subcommands."""
    names = {"--help"}
    for parameter in command.params:
        names.update(parameter.opts, parameter.secondary_opts)
    for subcommand in getattr(command, "commands", {}).values():
        names |= option_names(subcommand)
    return {name for name in names if name.startswith("--")}


def is_ours(words: list[str]) -> bool:
    return Path(words[0]).name == "lxcompress"


def test_the_readme_can_be_read_in_five_minutes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES


def test_the_readme_names_every_command() -> None:
    named = {tuple(code.split()[:2]) for code in inline_code(ROOT / "README.md")}
    assert {("lxcompress", name) for name in root_command().commands} <= named


def test_every_option_of_prune_is_explained() -> None:
    explained = {code.split()[0] for code in inline_code(ROOT / "docs/tickets.md") if code}
    shown = {word for words in command_lines(ROOT / "docs/tickets.md") for word in words}
    options = option_names(root_command().commands["prune"]) - {"--help", "--no-keep-answer-head"}
    assert options <= explained | shown


def test_the_architecture_describes_every_folder() -> None:
    described = set(inline_code(ROOT / "docs/architecture.md"))
    folders = {
        f"{file.parent.relative_to(ROOT).as_posix()}/"
        for package in PACKAGES
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert folders - {"lxcompress/", "benchmarks/"} <= described


def test_the_architecture_draws_the_floors_in_the_order_of_their_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = contracts["tool"]["importlinter"]["contracts"][0]["layers"]
    drawing = next(fences(ROOT / "docs/architecture.md", "")).splitlines()
    lines: list[int] = []
    for layer in layers[1:]:  # without __main__
        found = {
            number
            for name in re.split(r" [|:] ", layer)
            for number, line in enumerate(drawing)
            if re.search(rf"[ /]{name}(\.py|/) ", line)
        }
        assert len(found) == 1, layer
        lines += found
    assert lines == sorted(lines)


@every_document
def test_links_lead_somewhere(path: Path) -> None:
    for _, href in links(path):
        if re.match(r"https?://", href):
            continue
        name, _, anchor = href.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_relative_to(ROOT), href
        assert target.exists(), href
        if anchor:
            assert anchor in anchors(target), href


@every_document
def test_names_in_links_are_defined_in_the_file_that_is_linked(path: Path) -> None:
    for code, href in links(path):
        if href.endswith(".py") and _NAME.fullmatch(code) and not code.endswith(".py"):
            name = code.removesuffix("()")
            assert name in definitions((path.parent / href).resolve()), f"{name} in {href}"


@every_document
def test_command_lines_are_accepted_by_the_command(path: Path) -> None:
    for words in command_lines(path):
        if is_ours(words):
            command, rest = find_command([word for word in words[1:] if word != "--debug"])
            command.make_context(command.name, rest)  # raises a usage error


@every_document
def test_commands_in_running_text_exist_with_their_options(path: Path) -> None:
    every = option_names(root_command()) | {"--debug"}
    for code in inline_code(path):
        words = code.split()
        if words and is_ours(words):
            command, rest = find_command(words[1:])
            shown = {word.partition("=")[0] for word in rest if word.startswith("--")}
            assert shown <= option_names(command) | {"--debug"}, code
        elif code.startswith("--") and path.name != "CONTRIBUTING.md":  # pytest's, there
            assert words[0] in every, code


@every_document
def test_make_targets_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for words in shown_commands(path):
        if words[0] == "make":
            assert set(words[1:]) <= targets, words


@every_document
def test_modules_that_are_run_exist(path: Path) -> None:
    for words in shown_commands(path):
        if Path(words[0]).name.startswith("python") and words[1] == "-m":
            module = words[2]
            ours = module.partition(".")[0] in PACKAGES
            assert module_file(module) if ours else module in ("pytest", "venv"), words


@every_document
def test_paths_of_the_repository_exist(path: Path) -> None:
    for code in inline_code(path):
        if _REPOSITORY_PATH.fullmatch(code):
            assert list(ROOT.glob(code.rstrip("/"))), code


@every_document
def test_python_names_exist(path: Path) -> None:
    names = [code.removesuffix("()") for code in inline_code(path)]
    for name in names:
        if _MODULE.fullmatch(name) and module_file(name) is None:
            module, _, attribute = name.rpartition(".")
            file = module_file(module)
            assert file is not None, name
            assert attribute in definitions(file), name


@every_document
def test_python_examples_import_what_exists(path: Path) -> None:
    for block in fences(path, "python"):
        for node in ast.walk(ast.parse(block)):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module and module.partition(".")[0] in PACKAGES:
                file = module_file(module)
                assert file is not None, module
                assert {alias.name for alias in node.names} <= definitions(file), module  # type: ignore[attr-defined]


@every_document
def test_yaml_examples_are_valid(path: Path) -> None:
    for block in fences(path, "yaml"):
        content = yaml.safe_load(block)
        if "train" in content:
            parse_config(content, path)
        else:
            PruneConfig.parse(content)
