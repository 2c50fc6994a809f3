"""The arrows between the layers (DESIGN 8): each #include of lib/ against the ow_layer() lines, each library against its owner."""

import re

import tree

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
GENERATED = {"ow_version.h", "store/store_sql.h", "store/store_to_2_sql.h"}
# which files may include a library's header: path prefixes
OWNERS = {
    "sqlite3.h": ("lib/store/",),
    "librdkafka/": ("lib/kafka/",),
    "microhttpd.h": ("lib/http/server",),
    "pthread.h": ("lib/engine/", "lib/http/", "lib/base/log", "lib/kafka/within", "tests/"),  # log: a lock for whole lines; within: see there
    "threads.h": ("lib/engine/", "tests/"),
    "yaml.h": ("lib/model/tree",),
    "sodium.h": ("lib/model/hash",),
    "jansson.h": ("lib/model/", "lib/store/", "lib/engine/", "lib/http/", "cmd/", "tests/"),
}


def check(root):
    declared = tree.layers(root)
    for path in tree.c_files(root, "lib") + tree.c_files(root, "cmd"):
        text = path.read_text("utf-8")
        own = path.relative_to(root).parts[1]
        for match in INCLUDE.finditer(tree.blank(text, strings=False)):
            where = tree.at(root, path, text, match.start(1))
            kind, header = match.groups()
            if kind == "<":
                yield from owner(root, path, header, where)
            elif header not in GENERATED and path.is_relative_to(root / "lib"):
                yield from arrow(declared, own, header, where)


def arrow(declared, own, header, where):
    layer = header.partition("/")[0]
    if ".." in header or layer not in declared:
        yield f'{where}: write "<layer>/<header>", not "{header}"'
    elif layer != own and layer not in declared.get(own, set()):
        yield f"{where}: {own} may not use {layer} ({header})"


def owner(root, path, header, where):
    for name, prefixes in OWNERS.items():
        if header.startswith(name) and not str(path.relative_to(root)).startswith(prefixes):
            yield f"{where}: <{header}> belongs to {', '.join(prefixes)}"


CMAKE = "ow_layer(base)\now_layer(model USES base LIBS m)\now_layer(store USES base model)\n"
PLANTS = [
    ({"CMakeLists.txt": CMAKE, "lib/model/a.c": '#include "store/store.h"\n'}, "model may not use store"),
    ({"CMakeLists.txt": CMAKE, "lib/base/a.h": '\n#  include "model/m.h"\n'}, "lib/base/a.h:2: base may not use model"),
    ({"CMakeLists.txt": CMAKE, "lib/model/a.c": '#include "../store/store.h"\n'}, "not \"../store"),
    ({"CMakeLists.txt": CMAKE, "lib/model/a.c": "#include <sqlite3.h>\n"}, "<sqlite3.h> belongs to lib/store/"),
    ({"CMakeLists.txt": CMAKE, "lib/store/a.c": "#include <librdkafka/rdkafka.h>\n"}, "belongs to lib/kafka/"),
    ({"CMakeLists.txt": CMAKE, "lib/http/a.c": "#include <microhttpd.h>\n"}, "belongs to lib/http/server"),
    ({"CMakeLists.txt": CMAKE, "cmd/onceward/a.c": "#include <pthread.h>\n"}, "belongs to lib/engine/"),
]
CLEAN = [{"CMakeLists.txt": CMAKE, "lib/store/a.c": '#include "base/b.h"\n/*\n#include "engine/e.h"\n*/\n#include <sqlite3.h>\n'}]
