#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/*
 * The hash key makes claim keys unguessable: who sends messages cannot aim at a collision. It lives
 * in ow_meta, or, for those who do not want it in backups, in a file; then ow_meta has only a check
 * value, which refuses another key, for under another key no claim would be found again.
 */

enum { HEX_BYTES = 2 * OW_HASH_KEY_BYTES };

static bool parse_hex(struct ow_slice text, struct ow_hash_key *ret_key)
{
    if (text.len != HEX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < HEX_BYTES; i++) {
        const uint8_t c = text.ptr[i];
        uint8_t digit = 0;
        if (c >= '0' && c <= '9') {
            digit = (uint8_t)(c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (uint8_t)((c | 0x20) - 'a' + 10);
        } else {
            return false;
        }
        ret_key->bytes[i / 2] = (uint8_t)((ret_key->bytes[i / 2] << 4) | digit);
    }
    return true;
}

static enum ow_status read_file(int fd, const char *path, struct ow_hash_key *ret_key,
                                struct ow_err *err)
{
    uint8_t bytes[HEX_BYTES + 16];
    const ssize_t got = read(fd, bytes, sizeof(bytes));
    if (got < 0) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot read hash key file '%s': %s", path,
                       strerrordesc_np(errno));
    }
    if (got == OW_HASH_KEY_BYTES) {
        memcpy(ret_key->bytes, bytes, OW_HASH_KEY_BYTES);
        return OW_OK;
    }
    struct ow_slice text = {bytes, (size_t)got};
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r')) {
        text.len--;
    }
    if (!parse_hex(text, ret_key)) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "hash key file '%s' must hold %d hexadecimal digits or %d bytes", path,
                       HEX_BYTES, OW_HASH_KEY_BYTES);
    }
    return OW_OK;
}

/* The file is durable before the first claim is, for without it the store would be of no use. */
static enum ow_status create_file(const char *path, struct ow_hash_key *ret_key, struct ow_err *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot create hash key file '%s': %s", path,
                       strerrordesc_np(errno));
    }
    char line[HEX_BYTES + 2];
    ow_hash_random(ret_key->bytes, OW_HASH_KEY_BYTES);
    ow_hash_hex(ret_key->bytes, OW_HASH_KEY_BYTES, line);
    line[HEX_BYTES] = '\n';
    const bool written = write(fd, line, HEX_BYTES + 1) == HEX_BYTES + 1 && fsync(fd) == 0;
    const int code = errno;
    (void)close(fd);
    if (!written) {
        (void)unlink(path);
        return ow_fail(err, OW_FAILED, "cannot write hash key file '%s': %s", path,
                       strerrordesc_np(code));
    }
    return OW_OK;
}

static enum ow_status load_file(const char *path, bool is_new, struct ow_hash_key *ret_key,
                                struct ow_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && is_new) {
        return create_file(path, ret_key, err);
    }
    if (fd < 0) {
        return ow_fail(err, OW_BAD_CONFIG, "cannot open hash key file '%s': %s", path,
                       strerrordesc_np(errno));
    }
    const enum ow_status status = read_file(fd, path, ret_key, err);
    (void)close(fd);
    return status;
}

/* What tells a key without giving it away. */
static void make_check(const struct ow_hash_key *key, char text[2 * OW_CLAIM_KEY_BYTES + 1])
{
    struct ow_hash hash;
    uint8_t digest[OW_CLAIM_KEY_BYTES];
    ow_hash_begin(&hash, key, sizeof(digest));
    ow_hash_part(&hash, OW_SLICE("onceward hash key check"));
    ow_hash_end(&hash, digest, sizeof(digest));
    ow_hash_hex(digest, sizeof(digest), text);
}

static enum ow_status create_key(struct ow_sql *sql, const char *key_file,
                                 struct ow_hash_key *ret_key, struct ow_err *err)
{
    char check[2 * OW_CLAIM_KEY_BYTES + 1];
    if (key_file != NULL) {
        OW_TRY(load_file(key_file, true, ret_key, err));
    } else {
        char hex[HEX_BYTES + 1];
        ow_hash_random(ret_key->bytes, OW_HASH_KEY_BYTES);
        ow_hash_hex(ret_key->bytes, OW_HASH_KEY_BYTES, hex);
        OW_TRY(ow_meta_put_text(sql, "hash_key", hex, err));
    }
    make_check(ret_key, check);
    return ow_meta_put_text(sql, "hash_key_check", check, err);
}

enum ow_status ow_store_key_load(struct ow_sql *sql, const char *key_file, bool is_new,
                                 struct ow_hash_key *ret_key, struct ow_err *err)
{
    if (is_new) {
        return create_key(sql, key_file, ret_key, err);
    }
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    const char *stored = NULL;
    const char *stored_check = NULL;
    OW_TRY(ow_meta_get_text(sql, "hash_key", &arena, &stored, err));
    OW_TRY(ow_meta_get_text(sql, "hash_key_check", &arena, &stored_check, err));
    if (key_file != NULL) {
        OW_TRY(load_file(key_file, false, ret_key, err));
    } else if (stored == NULL) {
        return ow_fail(
            err, OW_BAD_CONFIG,
            "the store's hash key is in a file of its own: name it in the configuration");
    } else if (!parse_hex(ow_slice_of(stored), ret_key)) {
        return ow_fail(err, OW_UNSAFE, "the store's hash key is damaged");
    }
    char check[2 * OW_CLAIM_KEY_BYTES + 1];
    make_check(ret_key, check);
    if (stored_check == NULL || strcmp(check, stored_check) != 0) {
        return ow_fail(err, OW_UNSAFE,
                       "the hash key%s%s is not the one with which the store was made",
                       key_file == NULL ? "" : " in ", key_file == NULL ? "" : key_file);
    }
    return OW_OK;
}
