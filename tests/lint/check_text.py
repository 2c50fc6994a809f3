"""What must not stand in the sources: business words in the engine, calls and SQL that lose records, // and goto."""

import re

import tree

# No business words in lib/ (DESIGN 4: they live in the machine file), comments included. `order` alone is an English word.
BUSINESS = re.compile(r"(?<![a-z])(orders|payments?|paid|dispatched|refund(s|ed)?|amount_minor|currency)(?![a-z])", re.IGNORECASE)

# (pattern, what is blanked, why), over lib/, cmd/ and schemas/*.sql. Strings count: SQL and property names live there.
FORBIDDEN = [
    (r"\bOR\s+(IGNORE|REPLACE)\b", "hides a conflict that must be seen"),
    (r"\bREPLACE\s+INTO\b", "hides a conflict that must be seen"),
    (r"\brd_kafka_consume_batch", "2.0.2 loses records at a rebalance: consumer_poll in a loop"),
    (r"\brd_kafka_commit\w*\s*\(\s*[^,()]*,\s*NULL\b", "commits what was handed over, not what is durable: explicit lists"),
    (r'"auto\.offset\.reset"\s*,\s*"(?!error")', "a lost position must be seen: error"),
]


def check(root):
    yield from business_words(root)
    yield from forbidden(root)
    yield from style(root)


def business_words(root):
    for path in tree.files(root, "lib/**/*"):
        text = path.read_text("utf-8")
        for match in BUSINESS.finditer(text):
            yield f"{tree.at(root, path, text, match.start())}: business word '{match.group()}' in lib/"


def forbidden(root):
    for path in tree.c_files(root, "lib") + tree.c_files(root, "cmd") + tree.files(root, "schemas/*.sql"):
        text = path.read_text("utf-8")
        if path.suffix == ".sql":
            scanned = re.sub(r"--[^\n]*", lambda comment: " " * len(comment.group()), text)
        else:
            scanned = tree.blank(text, strings=False)
        for pattern, why in FORBIDDEN:
            for match in re.finditer(pattern, scanned, re.IGNORECASE):
                yield f"{tree.at(root, path, text, match.start())}: '{' '.join(match.group().split())}': {why}"


def style(root):
    for path in tree.c_files(root, "lib") + tree.c_files(root, "cmd") + tree.c_files(root, "tests"):
        text = path.read_text("utf-8")
        for match in tree.COMMENT_OR_STRING.finditer(text):
            if match.group().startswith("//"):
                yield f"{tree.at(root, path, text, match.start())}: // means 'do not commit': use /* */"
        for match in re.finditer(r"\bgoto\b", tree.blank(text)):
            yield f"{tree.at(root, path, text, match.start())}: goto: use OW_CLEANUP, or a function"


PLANTS = [
    ({"lib/engine/a.c": "/* the order was paid */\n"}, "business word 'paid'"),
    ({"lib/engine/a.c": "int x;\nint paid_minor;\n"}, "lib/engine/a.c:2: business word 'paid'"),
    ({"lib/store/a.c": 'const char *q = "INSERT or\\n" "x";\nconst char *r = "insert  or ignore into t";\n'}, "lib/store/a.c:2: 'or ignore'"),
    ({"schemas/store.sql": "-- INSERT OR IGNORE\nINSERT OR REPLACE INTO t;\n"}, "schemas/store.sql:2"),
    ({"cmd/onceward/a.c": "int f(void)\n{\n    return rd_kafka_consume_batch_queue(q);\n}\n"}, "consume_batch"),
    ({"lib/kafka/a.c": "x = rd_kafka_commit(\n    rk, NULL, 0);\n"}, "explicit lists"),
    ({"lib/kafka/a.c": 'set(conf, "auto.offset.reset", "earliest");\n'}, "a lost position must be seen"),
    ({"lib/base/a.c": 'int x; // no\n'}, "// means"),
    ({"lib/base/a.c": 'void f(void)\n{\n    goto out;\n}\n'}, "a.c:3: goto"),
]
CLEAN = [
    {"lib/kafka/a.c": '/* http://x, no goto, no rd_kafka_commit(rk, NULL) */\nset(c, "auto.offset.reset", "error");\n'
                      'const char *u = "http://x";\nrd_kafka_commit(rk, list, 0);\nconst char *k[] = {"auto.offset.reset", NULL};\n'},
    {"lib/base/a.h": "/* in order, ordered; prepaid; SELECT x ORDER BY y */\n"},
]
