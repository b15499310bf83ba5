"""Reads the schema that a module's docstring shows, so that a test can hold a document against it.

The notation is JSON with gaps: a key without a value is a plain value, `{name: version}` stands for any keys,
`"a" | "b": {...}` for two keys with the same value, `...` for more of the same; what follows three spaces is a comment.
"""

import re

TOKEN = re.compile(r'"[^"]*"|\.\.\.|[{}\[\],:|]|[^\s{}\[\],:|"]+')


def documented(docstring: str):
    """The first indented `{ ... }` of a docstring as nested dicts, lists of one, and None for plain values."""
    lines = docstring[docstring.index("    {\n") :].split("\n")
    block = lines[: next(i for i, line in enumerate(lines) if line == "    }") + 1]
    bare = [re.sub(r"(?<=\S)\s{3,}\S.*$", "", line) for line in block]
    tokens = TOKEN.findall("\n".join(bare))
    value, rest = _value(tokens)
    assert not rest
    return value


def _value(tokens):
    if tokens[0] == "{":
        value, tokens = _members(tokens[1:])
    elif tokens[0] == "[":
        value, tokens = _items(tokens[1:])
    else:
        value = None
    while tokens and tokens[0] not in ",}]":  # the rest of a plain value, or `or null`
        tokens = tokens[1:]
    return value, tokens


def _members(tokens):
    members = {}
    while tokens[0] != "}":
        if tokens[0] in (",", "..."):
            tokens = tokens[1:]
            continue
        names = [tokens[0]]
        tokens = tokens[1:]
        while tokens[0] == "|":
            names.append(tokens[1])
            tokens = tokens[2:]
        value = None
        if tokens[0] == ":":
            value, tokens = _value(tokens[1:])
        if not names[0].startswith('"'):
            return None, tokens[1:]  # any keys
        members |= {name.strip('"'): value for name in names}
    return members, tokens[1:]


def _items(tokens):
    first = None
    while tokens[0] != "]":
        if tokens[0] in (",", "..."):
            tokens = tokens[1:]
        else:
            value, tokens = _value(tokens)
            first = value if first is None else first
    return [first], tokens[1:]


def differences(schema, document, where="document") -> list[str]:
    """What a document has and the schema does not, or the other way round."""
    if schema is None or document is None:
        return [f"{where} is not documented inside"] if isinstance(document, dict) and schema == {} else []
    if isinstance(schema, list):
        if not isinstance(document, list):
            return [f"{where} is no list"]
        return [one for i, item in enumerate(document) for one in differences(schema[0], item, f"{where}[{i}]")]
    if not isinstance(document, dict):
        return [f"{where} is no object"]
    found = [f"{where}.{key} is not documented" for key in document.keys() - schema.keys()]
    found += [f"{where}.{key} is missing" for key in schema.keys() - document.keys()]
    return found + [
        one
        for key in schema.keys() & document.keys()
        for one in differences(schema[key], document[key], f"{where}.{key}")
    ]
