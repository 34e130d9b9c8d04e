// SPDX-License-Identifier: Apache-2.0
// One file of records and damage, walked over: every whole record is found wherever it lies with
// respect to the buffer.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/buf.h"
#include "core/mem.h"
#include "spool/cursor_priv.h"
#include "spool/segment_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct uuid id = {"0123456789abcdef"};

static void add_header(struct buf *file)
{
    struct segment_header header = {id, 1, 1};
    segment_header_encode(&header, buf_reserve(file, SEGMENT_HEADER_SIZE));
    file->len += SEGMENT_HEADER_SIZE;
}

static void add_record(struct buf *file, uint64_t seq, size_t len)
{
    char *payload = mem_alloc(len + 1);
    memset(payload, (int)('a' + seq % 26), len);
    struct spool_record record = {
        .kind = SPOOL_TEXT, .stream = "s", .stream_len = 1, .payload = payload, .len = len};
    record_encode(&record, seq, record_seed(&id), buf_reserve(file, record_size(&record)));
    file->len += record_size(&record);
    free(payload);
}

static void add_bytes(struct buf *file, int byte, size_t count)
{
    memset(buf_reserve(file, count), byte, count);
    file->len += count;
}

static int make_file(const struct buf *file)
{
    int fd = memfd_create("cursor_test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, file->data, file->len, 0), file->len);
    return fd;
}

static void start(struct cursor *cursor, const struct spool_io *io, const struct buf *file)
{
    cursor_init(cursor, io, &id, 2);
    cursor_start(cursor, make_file(file), 0, file->len);
}

static void expect_record(struct cursor *cursor, uint64_t seq)
{
    struct cursor_item item;
    assert_int_equal(cursor_next(cursor, &item), CURSOR_RECORD);
    assert_int_equal(item.record.seq, seq);
    for (size_t i = 0; i < item.record.len; i += 997)
        assert_int_equal(item.record.payload[i], 'a' + seq % 26);
}

static void expect_damage(struct cursor *cursor, uint64_t offset, uint64_t bytes, const char *what)
{
    struct cursor_item item;
    assert_int_equal(cursor_next(cursor, &item), CURSOR_DAMAGE);
    assert_int_equal(item.offset, offset);
    assert_int_equal(item.bytes, bytes);
    assert_string_equal(item.what, what);
}

static void expect_end(struct cursor *cursor)
{
    struct cursor_item item;
    assert_int_equal(cursor_next(cursor, &item), CURSOR_END);
    assert_int_equal(cursor_next(cursor, &item), CURSOR_END);
    cursor_deinit(cursor);
}

static void test_records_of_all_sizes(void **state)
{
    (void)state;
    struct buf file = {0};
    struct cursor cursor;
    const size_t sizes[] = {
        0, 1, 216, 65536, CURSOR_BUFFER - 37, CURSOR_BUFFER - 36, 300000, 900000, 262144, 5, 0};
    add_header(&file);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        add_record(&file, i + 1, sizes[i]);
    start(&cursor, &spool_io_system, &file);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        expect_record(&cursor, i + 1);
    assert_int_equal(cursor.cap, CURSOR_BUFFER);
    expect_end(&cursor);
    buf_deinit(&file);
}

// The record after the damage begins at every place around the buffer's end.
static void test_next_record_around_the_end_of_the_buffer(void **state)
{
    (void)state;
    for (size_t before = CURSOR_BUFFER - 120; before < CURSOR_BUFFER + 40; before++) {
        struct buf file = {0};
        struct cursor cursor;
        add_header(&file);
        add_bytes(&file, 0xc5, before - SEGMENT_HEADER_SIZE);
        add_record(&file, 7, 50);
        add_record(&file, 8, 50);
        start(&cursor, &spool_io_system, &file);
        expect_damage(&cursor, SEGMENT_HEADER_SIZE, before - SEGMENT_HEADER_SIZE,
                      "the record's header is damaged");
        expect_record(&cursor, 7);
        expect_record(&cursor, 8);
        expect_end(&cursor);
        buf_deinit(&file);
    }
}

static void test_long_damage(void **state)
{
    (void)state;
    struct buf file = {0};
    struct cursor cursor;
    add_header(&file);
    add_record(&file, 1, 10);
    uint64_t from = file.len;
    add_bytes(&file, 0, 3 << 20);
    for (int i = 0; i < 100000; i++) // many that look like the beginning of a record
        buf_append(&file, RECORD_MAGIC "xyz", 7);
    uint64_t bytes = file.len - from;
    add_record(&file, 2, 10);
    start(&cursor, &spool_io_system, &file);
    expect_record(&cursor, 1);
    expect_damage(&cursor, from, bytes, "zeros in the place of a record");
    expect_record(&cursor, 2);
    expect_end(&cursor);
    buf_deinit(&file);
}

// A length that promises more than there is neither allocates nor reads it.
static void test_promises_more_than_there_is(void **state)
{
    (void)state;
    struct buf file = {0};
    struct cursor cursor;
    add_header(&file);
    add_record(&file, 1, 10);
    uint64_t from = file.len;
    add_record(&file, 2, 10 << 20);
    file.len = from + 1000;
    add_record(&file, 3, 10);
    start(&cursor, &spool_io_system, &file);
    expect_record(&cursor, 1);
    expect_damage(&cursor, from, 1000, "the record is cut short");
    assert_int_equal(cursor.cap, CURSOR_BUFFER);
    expect_record(&cursor, 3);
    expect_end(&cursor);
    buf_deinit(&file);
}

static void test_header_of_another_spool_or_none(void **state)
{
    (void)state;
    struct buf file = {0};
    struct cursor cursor;
    start(&cursor, &spool_io_system, &file); // empty
    expect_end(&cursor);
    add_bytes(&file, 'h', 10);
    start(&cursor, &spool_io_system, &file);
    expect_damage(&cursor, 0, 10, "the record is cut short");
    expect_end(&cursor);
    buf_clear(&file);
    struct segment_header header = {{"another spool..."}, 1, 1};
    segment_header_encode(&header, buf_reserve(&file, SEGMENT_HEADER_SIZE));
    file.len += SEGMENT_HEADER_SIZE;
    add_record(&file, 1, 10);
    start(&cursor, &spool_io_system, &file);
    expect_damage(&cursor, 0, SEGMENT_HEADER_SIZE, "the segment's header is damaged");
    expect_record(&cursor, 1);
    expect_end(&cursor);
    buf_deinit(&file);
}

static void test_limit_grows(void **state)
{
    (void)state;
    struct buf file = {0};
    struct cursor cursor;
    struct cursor_item item;
    add_header(&file);
    add_record(&file, 1, 10);
    size_t first = file.len;
    add_record(&file, 2, 10);
    start(&cursor, &spool_io_system, &file);
    cursor.limit = first;
    expect_record(&cursor, 1);
    assert_int_equal(cursor_next(&cursor, &item), CURSOR_END);
    cursor.limit = file.len;
    expect_record(&cursor, 2);
    expect_end(&cursor);
    buf_deinit(&file);
}

static void test_file_is_shorter_than_said(void **state)
{
    (void)state;
    struct buf file = {0};
    struct cursor cursor;
    add_header(&file);
    add_record(&file, 1, 10);
    start(&cursor, &spool_io_system, &file);
    cursor.limit += 10 << 20;
    expect_record(&cursor, 1);
    expect_damage(&cursor, file.len, 10 << 20, "zeros in the place of a record");
    expect_end(&cursor);
    buf_deinit(&file);
}

// Reads that touch [bad_from, bad_to) fail; EINTR first, to be passed over.
static off_t bad_from, bad_to;
static unsigned interrupts;

static ssize_t bad_pread(int fd, void *data, size_t length, off_t offset)
{
    if (interrupts != 0) {
        interrupts--;
        errno = EINTR;
        return -1;
    }
    if (offset < bad_from && offset + (off_t)length > bad_from)
        length = (size_t)(bad_from - offset);
    else if (offset >= bad_from && offset < bad_to) {
        errno = EIO;
        return -1;
    }
    return pread(fd, data, length, offset);
}

static void test_unreadable_place(void **state)
{
    (void)state;
    struct spool_io io = spool_io_system;
    struct buf file = {0};
    struct cursor cursor;
    struct cursor_item item;
    io.pread = bad_pread;
    bad_from = 8192;
    bad_to = 8192 + 3 * 4096;
    interrupts = 3;
    add_header(&file);
    for (uint64_t seq = 1; seq <= 100; seq++)
        add_record(&file, seq, 300);
    start(&cursor, &io, &file);
    unsigned failed = 0, damaged = 0, records = 0;
    enum cursor_step step;
    while ((step = cursor_next(&cursor, &item)) != CURSOR_END) {
        failed += step == CURSOR_FAILED;
        damaged += step == CURSOR_DAMAGE;
        records += step == CURSOR_RECORD;
        if (step == CURSOR_FAILED)
            assert_int_equal(item.error, EIO);
        assert_true(failed < 20);
    }
    assert_true(failed >= 2);
    assert_in_range(damaged, 1, 3);
    assert_in_range(records, 100 - 3 * 4096 / 337 - 2, 100 - 3 * 4096 / 337 + 1);
    assert_true(cursor.unreadable);
    cursor_deinit(&cursor);
    buf_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_of_all_sizes),
        cmocka_unit_test(test_next_record_around_the_end_of_the_buffer),
        cmocka_unit_test(test_long_damage),
        cmocka_unit_test(test_promises_more_than_there_is),
        cmocka_unit_test(test_header_of_another_spool_or_none),
        cmocka_unit_test(test_limit_grows),
        cmocka_unit_test(test_file_is_shorter_than_said),
        cmocka_unit_test(test_unreadable_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
