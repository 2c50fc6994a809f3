"""Strict JSON, canonical JSON, JSON pointers and the hashes of DESIGN 5. Written from the contract, not from the C code.

JSON here is what the contract lets through: UTF-8, no duplicate members at any depth, no NaN, no lone surrogates, at
most DEPTH_MAX levels. Integers stay Python ints (exact), reals are floats, so `isinstance(v, int)` says "integer literal".
"""
import functools
import hashlib
import json
import json.encoder
import re
import struct
import sys

DEPTH_MAX = 2048            # the contract names no number; anything between 100 and 100,000 is the worker's choice
ABSENT = object()           # a pointer that resolves to nothing; not the same as null
SAFE_INTEGER = 2 ** 53

sys.setrecursionlimit(20_000)


class BadJson(ValueError):
    pass


def _members(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise BadJson("duplicate member")
    return out


def _real(text):
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise BadJson("real out of range")
    return value


def _constant(text):
    raise BadJson("not JSON: " + text)


def _too_deep(text):
    """Whether the nesting goes beyond DEPTH_MAX anywhere, strings skipped; never recurses."""
    level = 0
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|[][{}]', text, flags=re.DOTALL):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if level > DEPTH_MAX:
            return True
    return False


def parse(raw):
    """The value in these bytes; BadJson where they are not strict JSON."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson("not UTF-8") from error
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and _too_deep(text):
        raise BadJson("too deep")
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_float=_real, parse_constant=_constant)
        if "\\u" in text:
            canonical(value).encode("utf-8")         # a lone surrogate cannot be written back
    except BadJson:
        raise
    except (ValueError, RecursionError) as error:
        raise BadJson(str(error)) from error
    return value


def canonical(value):
    """Canonical JSON as text: members sorted by bytes, no white space, integers exact, reals %.17g, strings unescaped."""
    if isinstance(value, str):
        return json.encoder.encode_basestring(value)     # escapes only quote, backslash and control characters
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return "%.17g" % value
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    return "{" + ",".join(canonical(k) + ":" + canonical(value[k]) for k in sorted(value)) + "}"


# --- JSON pointers (RFC 6901) -------------------------------------------------------------------------------------

@functools.lru_cache(1000)
def tokens(pointer):
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:])


def resolve(document, pointer):
    for token in tokens(pointer):
        if isinstance(document, dict) and token in document:
            document = document[token]
        elif isinstance(document, list) and token.isdigit() and str(int(token)) == token and int(token) < len(document):
            document = document[int(token)]
        else:
            return ABSENT
    return document


def without(value, path):
    """`value` less the member at these tokens; the original is left alone."""
    head, rest = path[0], path[1:]
    if isinstance(value, dict) and head in value:
        copy = dict(value)
        if rest:
            copy[head] = without(value[head], rest)
        else:
            del copy[head]
        return copy
    if isinstance(value, list) and rest and head.isdigit() and int(head) < len(value):
        copy = list(value)
        copy[int(head)] = without(value[int(head)], rest)
        return copy
    return value


# --- hashes -------------------------------------------------------------------------------------------------------

def part(data):
    """One part of a hashed message: length as u32 little-endian, then the bytes; absent has a length and no bytes."""
    return b"\xff\xff\xff\xff" if data is None else struct.pack("<I", len(data)) + data


def text_of(value):
    """Strings as UTF-8 bytes, integers as decimal text."""
    return value.encode("utf-8") if isinstance(value, str) else str(value).encode("ascii")


def claim_key(hash_key, space, parts):
    message = b"".join(part(text_of(p)) for p in [space, *parts])
    return hashlib.blake2b(message, digest_size=16, key=hash_key).digest()


def fingerprint(hash_key, fields, entity_id):
    """The eight bytes after the rule's number. `fields` are JSON values or ABSENT, in the declared order."""
    message = b"".join(part(None if f is ABSENT else canonical(f).encode("utf-8")) for f in [*fields, entity_id])
    return hashlib.blake2b(message, digest_size=8, key=hash_key).digest()


def anchor(hash_key, offset, key, value):
    message = part(str(offset).encode("ascii")) + part(key) + part(value)
    return hashlib.blake2b(message, digest_size=16, key=hash_key).digest()


def state_hash(tables):
    """`tables`: name -> (key column, rows as dicts). Hex of BLAKE2b-256 over all rows, `last_seq` and `seq` left out."""
    digest = hashlib.blake2b(digest_size=32)
    for name in sorted(tables):
        key, rows = tables[name]
        for row in sorted(rows, key=lambda r: text_of(r[key])):
            for column in sorted(row):
                if column not in ("last_seq", "seq"):
                    digest.update(part(None if row[column] is None else text_of(row[column])))
    return digest.hexdigest()
