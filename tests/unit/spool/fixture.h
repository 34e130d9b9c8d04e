// SPDX-License-Identifier: Apache-2.0
// What the tests of the spool share: a spool in a directory of its own, records whose payload
// follows from a number, files to damage.
#ifndef CXSINK_TESTS_UNIT_SPOOL_FIXTURE_H
#define CXSINK_TESTS_UNIT_SPOOL_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/mem.h"
#include "spool/scan_priv.h"
#include "spool/spool_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char base[64]; // removed at the end
    char dir[80];  // of the spool, in it
    struct spool_settings settings;
    const struct spool_io *io;
    struct spool *spool;
    struct status st;
    unsigned told;        // damaged places
    uint64_t told_bytes;  // in them
    char told_what[128];  // of the last one
    char told_file[64];   // likewise
    uint64_t dropped;     // records
    char drop_stream[64]; // of the last drop
    uint64_t next;        // number of the next payload
};

static inline void fx_on_corrupt(void *owner, const char *file, uint64_t offset, uint64_t bytes,
                                 const char *what)
{
    struct fixture *fx = owner;
    (void)offset;
    fx->told++;
    fx->told_bytes += bytes;
    snprintf(fx->told_what, sizeof fx->told_what, "%s", what);
    snprintf(fx->told_file, sizeof fx->told_file, "%s", file);
}

static inline void fx_on_dropped(void *owner, const char *stream, size_t stream_len, uint64_t count)
{
    struct fixture *fx = owner;
    fx->dropped += count;
    snprintf(fx->drop_stream, sizeof fx->drop_stream, "%.*s", (int)stream_len, stream);
}

static inline int fx_setup(void **state)
{
    struct fixture *fx = mem_zalloc(sizeof *fx);
    snprintf(fx->base, sizeof fx->base, "/tmp/spool-test-XXXXXX");
    assert_non_null(mkdtemp(fx->base));
    snprintf(fx->dir, sizeof fx->dir, "%s/spool", fx->base);
    fx->io = &spool_io_system;
    fx->next = 1;
    fx->settings = (struct spool_settings){
        .dir = fx->dir,
        .max_bytes = 1 << 20,
        .segment_bytes = 64 << 10,
        .callbacks = {.corrupt = fx_on_corrupt, .dropped = fx_on_dropped},
        .owner = fx,
    };
    *state = fx;
    return 0;
}

static inline void fx_remove_tree(const char *path)
{
    DIR *list = opendir(path);
    struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *name = mem_printf("%s/%s", path, entry->d_name);
        if (unlink(name) != 0)
            fx_remove_tree(name);
        free(name);
    }
    if (list != NULL)
        closedir(list);
    rmdir(path);
}

static inline int fx_teardown(void **state)
{
    struct fixture *fx = *state;
    spool_close(&fx->spool);
    fx_remove_tree(fx->base);
    free(fx);
    return 0;
}

static inline enum status_code fx_try_open(struct fixture *fx)
{
    status_clear(&fx->st);
    fx->told = 0;
    fx->told_bytes = 0;
    return spool_open_with(&fx->settings, fx->io, &fx->spool, &fx->st);
}

static inline void fx_open(struct fixture *fx)
{
    enum status_code code = fx_try_open(fx);
    if (code != STATUS_OK)
        print_error("%s\n", fx->st.detail);
    assert_int_equal(code, STATUS_OK);
}

static inline void fx_close(struct fixture *fx)
{
    spool_close(&fx->spool);
}

// The payload that belongs to a number; returns its length, at most 300.
static inline size_t fx_payload(uint64_t number, char out[400])
{
    int n = snprintf(out, 400, "{\"number\":%08llu,\"text\":\"", (unsigned long long)number);
    size_t fill = (size_t)(number * 37 % 200);
    memset(out + n, 'a' + (int)(number % 26), fill);
    out[(size_t)n + fill] = '}';
    return (size_t)n + fill + 1;
}

static inline enum spool_append fx_append_len(struct fixture *fx, const char *payload, size_t len)
{
    struct spool_record record = {.received_us = 1700000000000000 + (int64_t)fx->next,
                                  .kind = SPOOL_TEXT,
                                  .stream = "interactions",
                                  .stream_len = 12,
                                  .payload = payload,
                                  .len = len};
    return spool_append(fx->spool, &record);
}

static inline enum spool_append fx_append(struct fixture *fx)
{
    char payload[400];
    enum spool_append result = fx_append_len(fx, payload, fx_payload(fx->next, payload));
    if (result == SPOOL_APPENDED)
        fx->next++;
    return result;
}

static inline void fx_append_many(struct fixture *fx, unsigned count)
{
    while (count-- != 0)
        assert_int_equal(fx_append(fx), SPOOL_APPENDED);
}

static inline enum status_code fx_commit_at(struct fixture *fx, int64_t now_us)
{
    status_clear(&fx->st);
    return spool_commit(fx->spool, now_us, &fx->st);
}

static inline void fx_commit(struct fixture *fx)
{
    enum status_code code = fx_commit_at(fx, 1000);
    if (code != STATUS_OK)
        print_error("%s\n", fx->st.detail);
    assert_int_equal(code, STATUS_OK);
}

static inline void fx_write(struct fixture *fx, unsigned count)
{
    fx_append_many(fx, count);
    fx_commit(fx);
}

// The number that a record's payload carries; the payload must be exactly the one of that number.
static inline uint64_t fx_number(const struct spool_record *record)
{
    char expected[400];
    assert_true(record->len > 20);
    uint64_t number = strtoull(record->payload + 10, NULL, 10);
    size_t len = fx_payload(number, expected);
    assert_int_equal(record->len, len);
    assert_memory_equal(record->payload, expected, len);
    assert_int_equal(record->stream_len, 12);
    assert_memory_equal(record->stream, "interactions", 12);
    assert_int_equal(record->received_us, 1700000000000000 + (int64_t)number);
    return number;
}

// Reads one record; its number, or 0 at the end. `seq_r` may be NULL.
static inline uint64_t fx_read(struct fixture *fx, uint64_t *seq_r)
{
    struct spool_record record;
    enum spool_read result = spool_read(fx->spool, &record, &fx->st);
    assert_int_not_equal(result, SPOOL_FAILED);
    if (result == SPOOL_EMPTY)
        return 0;
    if (seq_r != NULL)
        *seq_r = record.seq;
    return fx_number(&record);
}

// Reads to the end; the numbers must be from, from + 1, ... to.
static inline void fx_expect(struct fixture *fx, uint64_t from, uint64_t to)
{
    uint64_t number;
    while ((number = fx_read(fx, NULL)) != 0)
        assert_int_equal(number, from++);
    assert_int_equal(from, to + 1);
}

static inline struct spool_stats fx_stat(const struct fixture *fx)
{
    struct spool_stats stats;
    spool_stat(fx->spool, &stats);
    return stats;
}

// Leaves the spool as kill -9 does: nothing is committed, stored or cut.
static inline void fx_kill(struct fixture *fx)
{
    struct spool *spool = fx->spool;
    fx->spool = NULL;
    cursor_deinit(&spool->reader.cursor);
    cursor_deinit(&spool->finder.cursor);
    int fds[] = {spool->fd, spool->position_fd, spool->dir_fd, spool->lock_fd};
    for (size_t i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    buf_deinit(&spool->pending);
    free(spool->segments);
    free((char *)spool->settings.dir);
    free(spool);
}

static inline char *fx_path(const struct fixture *fx, const char *name)
{
    return mem_printf("%s/%s", fx->dir, name);
}

static inline size_t fx_file_read(const struct fixture *fx, const char *name, char **data_r)
{
    char *path = fx_path(fx, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    free(path);
    struct stat info;
    assert_int_equal(fstat(fileno(file), &info), 0);
    *data_r = mem_alloc((size_t)info.st_size + 1);
    assert_int_equal(fread(*data_r, 1, (size_t)info.st_size, file), info.st_size);
    fclose(file);
    return (size_t)info.st_size;
}

static inline void fx_file_write(const struct fixture *fx, const char *name, const void *data,
                                 size_t size)
{
    char *path = fx_path(fx, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    free(path);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static inline bool fx_exists(const struct fixture *fx, const char *name)
{
    char *path = fx_path(fx, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static inline void fx_unlink(const struct fixture *fx, const char *name)
{
    char *path = fx_path(fx, name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

// Names of the segment files in order; returns how many there are.
static inline size_t fx_segments(const struct fixture *fx, char names[][SEGMENT_NAME_SIZE],
                                 size_t max)
{
    struct dirent **list;
    int n = scandir(fx->dir, &list, NULL, alphasort);
    size_t count = 0;
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        uint64_t seq;
        if (segment_name_parse(list[i]->d_name, &seq) && count < max)
            memcpy(names[count++], list[i]->d_name, SEGMENT_NAME_SIZE);
        free(list[i]);
    }
    free(list);
    return count;
}

#endif
