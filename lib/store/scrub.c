#include "store/scrub.h"

#include <inttypes.h>
#include <sys/stat.h>

/* The file format of SQLite 3: https://www.sqlite.org/fileformat2.html, sections 1.3 to 1.6. */
enum {
    HEADER_BYTES = 100, /* of the file, on page 1 */
    HEADER_PAGE_SIZE = 16,
    HEADER_RESERVED = 20,
    HEADER_TRUNK = 32,
    TREE_FREE_BLOCK = 1,
    TREE_CELLS = 3,
    TREE_CONTENT = 5,
    TREE_FRAGMENTS = 7,
    PROGRESS_PAGES = 4096
};
/* The page at 1 GiB is used for locks, and belongs to nobody. */
static const int64_t lock_byte = INT64_C(0x40000000);

struct scrub {
    struct ow_sql *sql;
    sqlite3_file *file;
    uint32_t page_size;
    int64_t page_count;
    uint8_t *page; /* the one in work */
    int64_t number;
    struct ow_scrubbed done;
    ow_scrub_progress *progress;
    void *context;
};

static uint32_t read_u16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return read_u16(bytes) << 16 | read_u16(bytes + 2);
}

static enum ow_status unlike(const struct scrub *scrub, struct ow_err *err)
{
    return ow_fail(err, OW_FAILED,
                   "page %" PRId64 " of the store is not of the form that SQLite says: what no row"
                   " uses is not all overwritten; look at it with 'onceward verify'",
                   scrub->number);
}

static enum ow_status read_page(struct scrub *scrub, int64_t number, struct ow_err *err)
{
    scrub->number = number;
    if (number < 1 || number > scrub->page_count) {
        return unlike(scrub, err);
    }
    if (scrub->done.pages++ % PROGRESS_PAGES == 0 && scrub->progress != NULL) {
        scrub->progress(scrub->context, "overwriting what no row uses", scrub->done.pages,
                        scrub->page_count);
    }
    const int code = scrub->file->pMethods->xRead(scrub->file, scrub->page, (int)scrub->page_size,
                                                  (number - 1) * (int64_t)scrub->page_size);
    return code == SQLITE_OK ? OW_OK
                             : ow_fail(err, OW_FAILED, "cannot read page %" PRId64 ": %s", number,
                                       sqlite3_errstr(code));
}

/* Overwrites a range of the present page, where it is not zero. */
static enum ow_status wipe(struct scrub *scrub, uint32_t from, uint32_t to, struct ow_err *err)
{
    while (from < to && scrub->page[from] == 0) {
        from++;
    }
    while (from < to && scrub->page[to - 1] == 0) {
        to--;
    }
    if (from == to) {
        return OW_OK;
    }
    memset(scrub->page + from, 0, to - from);
    scrub->done.bytes += to - from;
    const int code =
        scrub->file->pMethods->xWrite(scrub->file, scrub->page + from, (int)(to - from),
                                      (scrub->number - 1) * (int64_t)scrub->page_size + from);
    return code == SQLITE_OK ? OW_OK
                             : ow_fail(err, OW_FAILED, "cannot overwrite page %" PRId64 ": %s",
                                       scrub->number, sqlite3_errstr(code));
}

/* The list of free blocks of a tree page; the first four bytes of each are its link and size. Two
 * passes, the first of which only looks. */
static enum ow_status wipe_blocks(struct scrub *scrub, uint32_t first, bool wiping,
                                  uint32_t *ret_bytes, struct ow_err *err)
{
    uint32_t least = first;
    *ret_bytes = 0;
    for (uint32_t at = first; at != 0; at = read_u16(scrub->page + at)) {
        if (at < least || at + 4 > scrub->page_size) {
            return unlike(scrub, err);
        }
        const uint32_t size = read_u16(scrub->page + at + 2);
        if (size < 4 || at + size > scrub->page_size) {
            return unlike(scrub, err);
        }
        if (wiping) {
            OW_TRY(wipe(scrub, at + 4, at + size, err));
        }
        *ret_bytes += size;
        least = at + size;
    }
    return OW_OK;
}

/* A page of a tree: the gap between the pointers to the cells and the first cell, and the free
 * blocks among the cells. Nothing is written unless they are all that SQLite counts as unused. */
static enum ow_status wipe_tree_page(struct scrub *scrub, int64_t unused, struct ow_err *err)
{
    const uint32_t begin = scrub->number == 1 ? HEADER_BYTES : 0;
    const uint8_t *header = scrub->page + begin;
    const uint8_t kind = header[0];
    if (kind != 2 && kind != 5 && kind != 10 && kind != 13) {
        return unlike(scrub, err);
    }
    const uint32_t pointers = begin + (kind == 10 || kind == 13 ? 8 : 12);
    const uint32_t gap = pointers + 2 * read_u16(header + TREE_CELLS);
    const uint32_t said = read_u16(header + TREE_CONTENT);
    const uint32_t content = said == 0 ? 65536 : said;
    const uint32_t first_block = read_u16(header + TREE_FREE_BLOCK);
    const uint32_t fragments = header[TREE_FRAGMENTS];
    uint32_t blocks = 0;
    if (gap > content || content > scrub->page_size ||
        (first_block != 0 && first_block < content)) {
        return unlike(scrub, err);
    }
    OW_TRY(wipe_blocks(scrub, first_block, false, &blocks, err));
    if ((int64_t)(content - gap) + blocks + fragments != unused) {
        return unlike(scrub, err);
    }
    OW_TRY(wipe(scrub, gap, content, err));
    return wipe_blocks(scrub, first_block, true, &blocks, err);
}

/* All pages that SQLite uses. */
static enum ow_status wipe_used(struct scrub *scrub, int64_t *ret_pages, struct ow_err *err)
{
    OW_STATEMENT pages = {0};
    bool row = false;
    OW_TRY(ow_sql_prepare(scrub->sql, "SELECT pageno, pagetype, unused FROM dbstat", &pages, err));
    OW_TRY(ow_sql_step(&pages, &row, err));
    while (row) {
        const int64_t unused = ow_sql_i64(&pages, 2);
        OW_TRY(read_page(scrub, ow_sql_i64(&pages, 0), err));
        if (!ow_slice_equals_text(ow_sql_slice(&pages, 1), "overflow")) {
            OW_TRY(wipe_tree_page(scrub, unused, err));
        } else if (unused < 0 || unused > (int64_t)scrub->page_size - 4) {
            return unlike(scrub, err);
        } else {
            OW_TRY(wipe(scrub, scrub->page_size - (uint32_t)unused, scrub->page_size, err));
        }
        ++*ret_pages;
        OW_TRY(ow_sql_step(&pages, &row, err));
    }
    return OW_OK;
}

/* A trunk of the free list names free pages; behind the names it is free itself. */
static enum ow_status wipe_trunk(struct scrub *scrub, uint8_t *trunk, int64_t *ret_pages,
                                 struct ow_err *err)
{
    const uint32_t count = read_u32(scrub->page + 4);
    if (count > scrub->page_size / 4 - 2) {
        return unlike(scrub, err);
    }
    OW_TRY(wipe(scrub, 8 + 4 * count, scrub->page_size, err));
    memcpy(trunk, scrub->page, scrub->page_size);
    for (uint32_t i = 0; i < count; i++) {
        OW_TRY(read_page(scrub, read_u32(trunk + 8 + (size_t)4 * i), err));
        OW_TRY(wipe(scrub, 0, scrub->page_size, err));
    }
    *ret_pages += 1 + (int64_t)count;
    return OW_OK;
}

/* All free pages. A list that leads in a circle is longer than the file. */
static enum ow_status wipe_free(struct scrub *scrub, struct ow_arena *arena, int64_t *ret_pages,
                                struct ow_err *err)
{
    uint8_t *trunk = ow_arena_alloc(arena, scrub->page_size);
    OW_TRY(read_page(scrub, 1, err));
    uint32_t next = read_u32(scrub->page + HEADER_TRUNK);
    while (next != 0 && *ret_pages <= scrub->page_count) {
        OW_TRY(read_page(scrub, next, err));
        next = read_u32(scrub->page);
        OW_TRY(wipe_trunk(scrub, trunk, ret_pages, err));
    }
    return OW_OK;
}

static enum ow_status look_at_header(struct scrub *scrub, struct ow_arena *arena,
                                     struct ow_err *err)
{
    uint8_t header[HEADER_BYTES];
    const int code = scrub->file->pMethods->xRead(scrub->file, header, sizeof(header), 0);
    if (code != SQLITE_OK) {
        return ow_fail(err, OW_FAILED, "cannot read the header of the store: %s",
                       sqlite3_errstr(code));
    }
    const uint32_t size = read_u16(header + HEADER_PAGE_SIZE);
    scrub->page_size = size == 1 ? 65536 : size;
    if (scrub->page_size < 512 || header[HEADER_RESERVED] != 0) {
        return ow_fail(err, OW_FAILED,
                       "the store has bytes in each page that are not SQLite's (checksums?): what"
                       " no row uses cannot be overwritten");
    }
    scrub->page = ow_arena_alloc(arena, scrub->page_size);
    return ow_sql_query_i64(scrub->sql, "PRAGMA page_count", &scrub->page_count, err);
}

/* Within a transaction of ours: nobody else writes. */
static enum ow_status scrub_all(struct scrub *scrub, struct ow_err *err)
{
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 16384);
    int64_t pages = 0;
    OW_TRY(look_at_header(scrub, &arena, err));
    OW_TRY(wipe_used(scrub, &pages, err));
    OW_TRY(wipe_free(scrub, &arena, &pages, err));
    pages += scrub->page_count > lock_byte / scrub->page_size;
    if (pages != scrub->page_count) {
        return ow_fail(err, OW_FAILED,
                       "%" PRId64 " of %" PRId64
                       " pages of the store are in use or free: look at it"
                       " with 'onceward verify'",
                       pages, scrub->page_count);
    }
    const int code = scrub->file->pMethods->xSync(scrub->file, SQLITE_SYNC_FULL);
    return code == SQLITE_OK
               ? OW_OK
               : ow_fail(err, OW_FAILED, "cannot sync the store: %s", sqlite3_errstr(code));
}

/* All of the WAL into the file, and the WAL cut to nothing: it holds copies of its own. */
static enum ow_status empty_wal(struct ow_sql *sql, const char *path, struct ow_err *err)
{
    int64_t busy = 0;
    OW_TRY(ow_sql_query_i64(sql, "PRAGMA wal_checkpoint(TRUNCATE)", &busy, err));
    OW_TRY(ow_sql_exec(sql, "BEGIN IMMEDIATE", err));
    OW_BUFFER wal = {0};
    ow_buffer_printf(&wal, "%s-wal", path);
    struct stat status;
    if (busy != 0 || (stat(ow_buffer_cstr(&wal), &status) == 0 && status.st_size != 0)) {
        return ow_fail(err, OW_TEMPORARY,
                       "somebody reads '%s', so its WAL, which has copies of rows, cannot be"
                       " emptied: try again when nobody does",
                       path);
    }
    return OW_OK;
}

enum ow_status ow_scrub(struct ow_sql *sql, const char *path, ow_scrub_progress *progress,
                        void *context, struct ow_scrubbed *ret_scrubbed, struct ow_err *err)
{
    struct scrub scrub = {.sql = sql, .progress = progress, .context = context};
    const int code =
        sqlite3_file_control(sql->handle, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&scrub.file);
    OW_ENSURE(code == SQLITE_OK && scrub.file != NULL);
    enum ow_status status = empty_wal(sql, path, err);
    if (status == OW_OK) {
        status = scrub_all(&scrub, err);
    }
    ow_sql_rollback(sql);
    *ret_scrubbed = scrub.done;
    return status;
}
