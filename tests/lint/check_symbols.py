"""What each object file calls (nm -u), against the layer that it is in (style 32). Needs the dev build: objects without LTO."""

import pathlib
import re
import subprocess

import tree

# A library's functions, and the objects (<layer>/<file>, regular expressions) that may call them.
OWNERS = [
    (r"sqlite3_", r"store/"),
    (r"rd_kafka_", r"kafka/"),
    (r"MHD_", r"http/server"),
    (r"pthread_create|thrd_create", r"engine/|kafka/within|http/server"),  # within: librdkafka's destructors may hang
    (r"yaml_", r"model/tree"),
    (r"crypto_|sodium_|randombytes_", r"model/hash"),  # random bytes: for a new store's key and id, asked for by the store
]
# One wrapper each in base, or not at all. `_r` and sized relatives are other symbols.
BANNED = re.compile(
    r"(__isoc\d+_)?(strcpy|stpcpy|strcat|sprintf|vsprintf|gets|v?f?scanf|v?sscanf|strtol|strtoll|strtoul|strtoull|atoi|atol|atoll|atof"
    r"|strtok|strerror|gmtime|localtime|ctime|asctime|rand|srand|random|srandom|drand48|system|popen|tmpnam|mktemp|setlocale|alloca"
    r"|sleep|usleep|nanosleep|clock_nanosleep|signal|longjmp|siglongjmp)")
INSTEAD = {"strerror": "strerrordesc_np", "gmtime": "gmtime_r", "strtok": "ow_slice", "strcpy": "ow_buffer", "sprintf": "snprintf"}
# (object, symbol): the one wrapper of a banned function. One that is not needed any more is an error too.
WRAPPERS = set()
ALLOCATION = re.compile(r"malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign")
# model is pure: beyond base, itself and its libraries it calls these and nothing else.
PURE = re.compile(
    r"ow_\w+|json_\w+|jsonp_\w+|yaml_\w+|crypto_\w+|sodium_\w+|randombytes_buf|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__tls_get_addr|__errno_location"
    r"|mem(cpy|move|set|cmp|chr|rchr|mem)|explicit_bzero|str(len|nlen|cmp|ncmp|chr|rchr|chrnul|str|spn|cspn|casecmp|ncasecmp|pbrk)"
    r"|v?snprintf|qsort|bsearch|strtod|modf|floor|ceil|trunc|fmod|fabs|l?l?round|__(isnan|isinf|finite|signbit|fpclassify)"
    r"|__(ctype_b_loc|ctype_tolower_loc|ctype_toupper_loc)|(to|is)(lower|upper|alnum|alpha|digit|xdigit|space|print|cntrl)|__(asan|ubsan|tsan)\w*")


def objects(root):
    """(layer, 'layer/file', object) of each compiled source that still exists."""
    for layer in tree.layers(root):
        for path in sorted(root.glob(f"build/dev/CMakeFiles/ow_{layer}.dir/lib/{layer}/*.o")):
            if (root / "lib" / layer / path.stem).exists():
                yield layer, f"{layer}/{path.stem}", path


def check(root):
    wrappers_seen = set()
    yield from not_built(root)
    for layer, name, path in objects(root):
        for symbol in undefined(path):
            yield from judge(layer, name, symbol, wrappers_seen)
    for name, symbol in sorted(WRAPPERS - wrappers_seen):
        yield f"lib/{name}: does not call {symbol} any more: take it from WRAPPERS in tests/lint/check_symbols.py"


def not_built(root):
    """Sources that this check cannot see: it must not pass by not looking."""
    built = {name: path for _, name, path in objects(root)}
    for source in tree.files(root, "lib/*/*.c"):
        name = f"{source.parent.name}/{source.name}"
        if name not in built or built[name].stat().st_mtime < source.stat().st_mtime:
            yield f"lib/{name}: no object of it, or an old one: cmake --build --preset dev"


def notes(root):
    """Allocation outside base: told, not forbidden yet."""
    for layer, name, path in objects(root):
        called = sorted(symbol for symbol in undefined(path) if ALLOCATION.fullmatch(symbol))
        if layer != "base" and called:
            yield f"lib/{name}: allocates outside base: {', '.join(called)}"


def undefined(path):
    listing = subprocess.run(["nm", "-u", "--format=just-symbols", path], check=True, capture_output=True, text=True).stdout
    return [line.partition("@")[0] for line in listing.split()]


def judge(layer, name, symbol, wrappers_seen):
    for pattern, owner in OWNERS:
        if re.match(rf"({pattern})", symbol) and not re.match(owner, name):
            yield f"lib/{name}: calls {symbol}, which belongs to lib/{owner}"
    if (name, symbol) in WRAPPERS:
        wrappers_seen.add((name, symbol))
    elif BANNED.fullmatch(symbol):
        instead = f": use {INSTEAD[symbol]}" if symbol in INSTEAD else ""
        yield f"lib/{name}: calls {symbol}, which is banned{instead}"
    elif layer == "model" and not PURE.fullmatch(symbol) and not ALLOCATION.fullmatch(symbol):
        yield f"lib/{name}: calls {symbol}, but model is pure: no I/O, no clock"


def compiled(root, sources):
    """For the self-test: compiles the planted sources to where objects() looks."""
    for name in sources:
        if name.endswith(".c") and not name.endswith("not_built.c"):
            _, layer, stem = pathlib.PurePath(name).parts
            target = root / f"build/dev/CMakeFiles/ow_{layer}.dir/lib/{layer}/{stem}.o"
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["gcc", "-w", "-O1", "-c", root / name, "-o", target], check=True)


CMAKE = "ow_layer(base)\now_layer(model USES base)\now_layer(store USES base model)\now_layer(engine USES base)\n"


def plant(path, code):
    return {"CMakeLists.txt": CMAKE, path: code}


prepare = compiled
PLANTS = [
    (plant("lib/engine/a.c", "int sqlite3_step(void *);\nint ow_x(void) { return sqlite3_step(0); }\n"), "lib/engine/a.c: calls sqlite3_step"),
    (plant("lib/store/a.c", "int MHD_x(void);\nint ow_x(void) { return MHD_x(); }\n"), "lib/store/a.c: calls MHD_x"),
    (plant("lib/store/a.c", "#include <pthread.h>\nint ow_x(void) { return pthread_create(0, 0, 0, 0); }\n"), "calls pthread_create"),
    (plant("lib/store/a.c", "#include <stdlib.h>\nint ow_x(char *s) { return (int)strtol(s, 0, 10); }\n"), "strtol, which is banned"),
    (plant("lib/base/a.c", "#include <string.h>\nvoid ow_x(char *s, char *t) { strcpy(s, t); }\n"), "strcpy, which is banned"),
    (plant("lib/model/a.c", "#include <time.h>\nlong ow_x(void) { return time(0); }\n"), "calls time, but model is pure"),
    (plant("lib/model/not_built.c", "int x;\n"), "lib/model/not_built.c: no object of it"),
    (plant("lib/model/a.c", "#include <stdio.h>\nvoid ow_x(void) { puts(\"x\"); }\n"), "calls puts, but model is pure"),
]
CLEAN = [plant("lib/model/a.c", "#include <string.h>\nint ow_b(void);\nsize_t ow_x(char *s) { return strlen(s) + ow_b(); }\n")]
