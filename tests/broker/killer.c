/*
 * killer: preloaded into a worker, it makes records kill the process, as a fault of a library or
 * the kernel's hunt for memory would: where jansson reads a text with the first marker, or SQLite
 * gets one of the others. For test_poison_kill.py.
 */
#include <jansson.h>
#include <sqlite3.h>

#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int has(const char *text, size_t len, const char *marker)
{
    return text != NULL && memmem(text, len, marker, strlen(marker)) != NULL;
}

json_t *json_loadb(const char *text, size_t len, size_t flags, json_error_t *error)
{
    json_t *(*real)(const char *, size_t, size_t, json_error_t *) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "json_loadb");
    if (has(text, len, "KILLS-THE-READER")) {
        (void)raise(SIGABRT);
    }
    return real(text, len, flags, error);
}

int sqlite3_bind_text64(sqlite3_stmt *statement, int index, const char *text, sqlite3_uint64 len,
                        void (*destroy)(void *), unsigned char encoding)
{
    int (*real)(sqlite3_stmt *, int, const char *, sqlite3_uint64, void (*)(void *),
                unsigned char) = NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "sqlite3_bind_text64");
    if (has(text, len, "KILLS-THE-WRITER")) {
        (void)raise(SIGSEGV);
    }
    if (has(text, len, "KILLS-BY-MEMORY")) { /* nobody is told of such an end */
        (void)kill(getpid(), SIGKILL);
    }
    return real(statement, index, text, len, destroy, encoding);
}
