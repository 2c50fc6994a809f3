"""What the checks share: the C files of a tree, and their text without comments and strings."""

import pathlib
import re

COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def files(root, *patterns):
    """The files that match, sorted, without what is built."""
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(path for path in found if "build" not in path.relative_to(root).parts)


def c_files(root, folder="."):
    return files(root, f"{folder}/**/*.c", f"{folder}/**/*.h")


def blank(text, comments=True, strings=True):
    """The text with comments and the insides of strings blanked; every line keeps its number."""
    def replacement(match):
        token = match.group()
        if token.startswith("/"):
            return re.sub(r"[^\n]", " ", token) if comments else token
        return token[0] + " " * (len(token) - 2) + token[-1] if strings else token
    return COMMENT_OR_STRING.sub(replacement, text)


def at(root, path, text, offset):
    """'path:line' of an offset, as an editor wants it."""
    return f"{path.relative_to(root)}:{text.count(chr(10), 0, offset) + 1}"


def layers(root):
    """What each layer may use, read from the one place that says it: the ow_layer() lines of CMakeLists.txt."""
    declared = {}
    for name, arguments in re.findall(r"^ow_layer\((\w+)([^)]*)\)", (root / "CMakeLists.txt").read_text("utf-8"), re.MULTILINE):
        uses = re.search(r"\bUSES((?:\s+[a-z]\w*)*)", arguments)
        declared[name] = set(uses.group(1).split()) if uses else set()
    return declared
