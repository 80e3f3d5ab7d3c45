"""Mutations of a JSON or YAML value, and of the text that holds it."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2**31, 2**63, 10**30, 0.5, -1.5, 1e308, 1e-320),
    *(float("nan"), float("inf"), float("-inf")),
    *(
        "",
        " ",
        "x",
        "nan",
        "\ud800",
        "\0",
        "a\0b",
        "\n",
        "../../etc/passwd",
        "/etc/passwd",
        "/dev/zero",
    ),
    *("x" * 300, "é" * 5000, "🙂", "\u202e", "e\u0301", "<b>", "https://example.com/x"),
    *([], {}, [None], [[]], {"": None}, {"x": [1]}, [1, "a", None]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys that lead to every value below `value`, and to itself."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 4)):
            yield from places(value[index], (*path, index))


def _parent(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        value = value[key]
    return value


def mutate(value: Any, rng: random.Random) -> tuple[str, Any]:
    """What was changed, and the changed copy of a JSON value."""
    value = copy.deepcopy(value)
    path = rng.choice(list(places(value)))
    if not path:
        new = rng.choice(VALUES)
        return f"all = {new!r:.40}", new
    parent = _parent(value, path)
    kind = rng.choice(
        ("replace", "replace", "replace", "delete", "add", "rename", "repeat", "nest")
    )
    name = "/".join(map(str, path))
    if kind == "delete":
        del parent[path[-1]]
    elif kind == "add" and isinstance(parent, dict):
        parent["unknown"] = rng.choice(VALUES)
    elif kind == "rename" and isinstance(parent, dict):
        parent[f"{path[-1]}x"] = parent.pop(path[-1])
    elif kind == "repeat" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[path[-1]]))
    elif kind == "nest":
        parent[path[-1]] = [parent[path[-1]]]
    else:
        parent[path[-1]] = rng.choice(VALUES)
        return f"{name} = {parent[path[-1]]!r:.40}", value
    return f"{kind} {name}", value


_NUMBERS = ("1e400", "-1e400", "NaN", "9" * 5000, "0x10", "1_000", "01", "1.", "[" * 100_000)


def mutate_json(text: str, rng: random.Random) -> tuple[str, str]:
    """What was changed, and the text of a JSON file (or of lines of JSON)."""
    kind = rng.choice(("value", "value", "value", "number", "cut", "comment", "duplicate key"))
    try:
        content = json.loads(text)
    except ValueError:
        kind = "cut"
    if kind == "number":
        literal = rng.choice(_NUMBERS)
        changed = copy.deepcopy(content)
        paths = [path for path in places(changed) if path]
        if not paths:
            return f"all = {literal:.20}", literal
        path = rng.choice(paths)
        _parent(changed, path)[path[-1]] = "@@@"
        name = "/".join(map(str, path))
        return f"{name} = {literal:.20}", json.dumps(changed).replace('"@@@"', literal, 1)
    if kind == "cut":
        return "cut", text[: rng.randrange(len(text))] if text else ""
    if kind == "comment":
        return "comment", text + "\n// comment"
    if kind == "duplicate key" and isinstance(content, dict) and content:
        key = rng.choice(list(content))
        return f"duplicate {key}", f"{{{json.dumps(key)}: 1, {text.strip()[1:]}"
    what, changed = mutate(content, rng)
    return what, json.dumps(changed)


_YAML = (
    "!!python/object/apply:os.system [id]",
    "!!binary '@@@'",
    "2024-01-01",
    "!!set {a, b}",
    "*missing",
    "&a [*a]",
    "{a: &a [x, x], b: &b [*a, *a], c: &c [*b, *b], d: [*c, *c]}",
    "\t- x",
    "'unclosed",
    "? [a]\n: b",
    "1e400",
    ".nan",
    "0o17",
    "~",
    "---\n---\na: 1",
    "\x07",
)


def mutate_yaml(text: str, rng: random.Random) -> tuple[str, str]:
    """What was changed, and the text of a YAML file."""
    import yaml

    kind = rng.choice(("value", "value", "literal", "literal", "whole", "cut"))
    if kind == "cut":
        return "cut", text[: rng.randrange(len(text))]
    if kind == "whole":
        literal = rng.choice(_YAML)
        return f"all = {literal!r:.40}", literal
    content = yaml.safe_load(text)
    if kind == "literal":
        literal = rng.choice(_YAML)
        paths = [path for path in places(content) if path]
        path = rng.choice(paths)
        _parent(content, path)[path[-1]] = "@@@"
        name = "/".join(map(str, path))
        return f"{name} = {literal!r:.40}", yaml.safe_dump(content).replace("'@@@'", literal, 1)
    what, changed = mutate(content, rng)
    return what, json.dumps(changed)  # JSON is YAML, and has lone surrogates
