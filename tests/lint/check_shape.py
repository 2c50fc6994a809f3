"""How long files and functions are (style 3). Told, not forbidden: clang-tidy holds functions to 70 lines."""

import tree

LINES_MAX = {".c": 500, ".h": 200}
FUNCTION_LINES_MAX = 70


def check(_root):
    return []


def notes(root):
    for folder in ("lib", "cmd", "tests"):
        for path in tree.c_files(root, folder):
            lines = tree.blank(path.read_text("utf-8")).splitlines()
            if len(lines) > LINES_MAX[path.suffix]:
                yield f"{path.relative_to(root)}: {len(lines)} lines, more than {LINES_MAX[path.suffix]}"
            start = None
            for number, line in enumerate(lines, 1):
                if line.startswith("{"):  # of a function: the house style puts no other brace in column 0
                    start = number
                elif line.startswith("}") and start is not None:
                    if number - start > FUNCTION_LINES_MAX:
                        yield f"{path.relative_to(root)}:{start}: function of {number - start} lines, more than {FUNCTION_LINES_MAX}"
                    start = None


PLANTS = []
NOTED = [
    ({"lib/base/a.c": "int x;\n" * 501}, "501 lines"),
    ({"lib/base/a.h": "int x;\n" * 201}, "201 lines"),
    ({"lib/base/a.c": "int f(void)\n{\n" + "    x();\n" * 71 + "}\n"}, "a.c:2: function of 72 lines"),
]
CLEAN = [{"lib/base/a.c": "int f(void)\n{\n" + "    x();\n" * 69 + "}\n"}]
