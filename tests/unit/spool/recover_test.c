// SPDX-License-Identifier: Apache-2.0
// Damage of every kind: each time the spool opens, gives every record that is whole, counts what it
// passes over, and goes on appending.
#include "spool/fixture.h"

#define RECORDS 6

// The pristine state of a spool with one segment, to be put back before each kind of damage.
struct image {
    char *segment, *position, *lock;
    size_t segment_size, position_size, lock_size;
    char name[SEGMENT_NAME_SIZE];
    uint64_t starts[RECORDS + 1]; // offset of each record, and of the end
};

// Bytes of the segment before the damage.
static size_t full_size;

static void image_take(struct fixture *fx, struct image *image)
{
    char names[4][SEGMENT_NAME_SIZE], payload[400];
    assert_int_equal(fx_segments(fx, names, 4), 1);
    memcpy(image->name, names[0], SEGMENT_NAME_SIZE);
    image->segment_size = fx_file_read(fx, names[0], &image->segment);
    image->position_size = fx_file_read(fx, POSITION_FILE, &image->position);
    image->lock_size = fx_file_read(fx, SPOOL_LOCK_FILE, &image->lock);
    image->starts[0] = SEGMENT_HEADER_SIZE;
    for (uint64_t i = 0; i < RECORDS; i++)
        image->starts[i + 1] =
            image->starts[i] + RECORD_HEADER_SIZE + 12 + fx_payload(i + 1, payload);
    assert_int_equal(image->starts[RECORDS], image->segment_size);
    full_size = image->segment_size;
}

static void image_put(struct fixture *fx, const struct image *image)
{
    fx_remove_tree(fx->dir);
    assert_int_equal(mkdir(fx->dir, 0700), 0);
    fx_file_write(fx, image->name, image->segment, image->segment_size);
    fx_file_write(fx, POSITION_FILE, image->position, image->position_size);
    fx_file_write(fx, SPOOL_LOCK_FILE, image->lock, image->lock_size);
    fx->next = RECORDS + 1;
}

static void image_free(struct image *image)
{
    free(image->segment);
    free(image->position);
    free(image->lock);
}

// A spool of RECORDS records in one segment, left as kill -9 leaves it or closed.
static void image_make(struct fixture *fx, struct image *image, bool killed)
{
    fx_open(fx);
    fx_write(fx, RECORDS);
    if (killed)
        fx_kill(fx);
    else
        fx_close(fx);
    image_take(fx, image);
}

// Reads all; which of the first 63 numbers were there, as bits. Numbers and sequence only rise.
static uint64_t read_set(struct fixture *fx)
{
    uint64_t set = 0, number, last = 0, seq, last_seq = 0;
    while ((number = fx_read(fx, &seq)) != 0) {
        assert_true(number > last && seq > last_seq);
        last = number;
        last_seq = seq;
        set |= UINT64_C(1) << number;
    }
    return set;
}

#define ALL (((UINT64_C(1) << RECORDS) - 1) << 1)

// After the damage: what is there is `expected`; it goes on; the same after another restart.
static void check_goes_on(struct fixture *fx, uint64_t expected, bool damaged)
{
    char names[8][SEGMENT_NAME_SIZE], *data;
    assert_true(fx_segments(fx, names, 8) >= 1);
    size_t size = fx_file_read(fx, names[0], &data);
    free(data);
    fx_open(fx);
    // Where the bytes of all records are, their numbers do not come again.
    assert_true(fx_stat(fx).next_seq > RECORDS || size < full_size);
    assert_int_equal(read_set(fx), expected);
    assert_int_equal(fx->told != 0, damaged);
    assert_int_equal(fx_stat(fx).corrupt, fx->told);
    fx_write(fx, 2);
    uint64_t more = UINT64_C(3) << (RECORDS + 1);
    assert_int_equal(read_set(fx), more);
    spool_rewind(fx->spool);
    unsigned told = fx->told;
    assert_int_equal(read_set(fx), expected | more);
    assert_int_equal(fx->told, told); // not told again
    fx_kill(fx);
    fx_open(fx);
    assert_int_equal(read_set(fx), expected | more);
    spool_ack(fx->spool, fx_stat(fx).next_seq - 1);
    assert_int_equal(fx_stat(fx).events, 0);
    fx_close(fx);
}

static void test_every_byte_flipped(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    image_make(fx, &image, true);
    for (size_t at = 0; at < image.segment_size; at++) {
        uint64_t expected = ALL;
        for (unsigned i = 0; i < RECORDS; i++)
            if (at >= image.starts[i] && at < image.starts[i + 1])
                expected &= ~(UINT64_C(2) << i);
        image.segment[at] ^= (char)(1 << at % 8);
        image_put(fx, &image);
        image.segment[at] ^= (char)(1 << at % 8);
        check_goes_on(fx, expected, true);
    }
    image_free(&image);
}

static void test_every_length(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    image_make(fx, &image, true);
    size_t whole = image.segment_size;
    for (image.segment_size = 0; image.segment_size < whole; image.segment_size++) {
        uint64_t expected = 0;
        bool torn = image.segment_size != 0;
        for (unsigned i = 0; i < RECORDS; i++) {
            if (image.starts[i + 1] <= image.segment_size)
                expected |= UINT64_C(2) << i;
            if (image.starts[i] == image.segment_size)
                torn = false;
        }
        image_put(fx, &image);
        check_goes_on(fx, expected, torn);
    }
    image_free(&image);
}

// A power cut leaves zeros where data was still to come: from any place on, and beyond the end.
static void test_zeros_from_every_place(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    image_make(fx, &image, true);
    size_t whole = image.segment_size;
    char *padded = mem_zalloc(whole + 5000);
    memcpy(padded, image.segment, whole);
    free(image.segment);
    image.segment = padded;
    image.segment_size = whole + 5000;
    for (size_t from = whole; from-- > 0;) {
        uint64_t expected = 0;
        image.segment[from] = 0;
        for (unsigned i = 0; i < RECORDS; i++)
            if (image.starts[i + 1] <= from)
                expected |= UINT64_C(2) << i;
        image_put(fx, &image);
        check_goes_on(fx, expected, true);
    }
    image_free(&image);
}

static void test_every_byte_of_the_position_flipped(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    fx_open(fx);
    fx_write(fx, RECORDS);
    spool_ack(fx->spool, 2);
    fx_close(fx);
    image_take(fx, &image);
    for (size_t at = 0; at < image.position_size; at++) {
        image.position[at] ^= (char)0xa5;
        image_put(fx, &image);
        image.position[at] ^= (char)0xa5;
        fx_open(fx);
        uint64_t set = read_set(fx); // at worst the slot before
        assert_true(set == (ALL & ~UINT64_C(6)) || set == ALL);
        fx_close(fx);
    }
    image_free(&image);
}

static void test_position_lost_torn_or_of_another_spool(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    image_make(fx, &image, false);
    image_put(fx, &image);
    fx_unlink(fx, POSITION_FILE);
    check_goes_on(fx, ALL, false);
    image_put(fx, &image);
    fx_file_write(fx, POSITION_FILE, "x", 1);
    check_goes_on(fx, ALL, false);
    // Of another spool, and far ahead in its generation.
    struct position other = {.generation = 1000000, .id = {"another spool..."}, .acked = 4, 5};
    image_put(fx, &image);
    char *path = fx_path(fx, POSITION_FILE);
    int fd = open(path, O_RDWR);
    free(path);
    assert_true(fd >= 0);
    assert_int_equal(position_store(&spool_io_system, fd, &other), 0);
    close(fd);
    check_goes_on(fx, ALL, false);
    fx_open(fx);
    fx_append_many(fx, 1); // the position that was written since is the one that counts
    fx_commit(fx);
    uint64_t first = fx_stat(fx).first_seq;
    fx_kill(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).first_seq, first);
    image_free(&image);
}

// Somebody took the segments away: the position alone still keeps numbers from coming again.
static void test_segments_lost(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    image_make(fx, &image, false);
    fx_unlink(fx, image.name);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).next_seq, RECORDS + 1);
    assert_int_equal(fx_stat(fx).events, 0);
    assert_int_equal(fx_read(fx, NULL), 0);
    fx_write(fx, 2);
    fx_expect(fx, RECORDS + 1, RECORDS + 2);
    image_free(&image);
}

// Header and position damaged at once: the lock file still knows the id.
static void test_header_and_position_damaged(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    image_make(fx, &image, false);
    image.segment[20] ^= 1;
    image.position_size = 0;
    image_put(fx, &image);
    check_goes_on(fx, ALL, true);
    image_free(&image);
}

static void test_nothing_left_to_know_the_id_by(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    image_make(fx, &image, false);
    image.segment[20] ^= 1;
    image.position_size = image.lock_size = 0;
    image_put(fx, &image);
    check_goes_on(fx, 0, true);
    image_free(&image);
}

// Many segments; damage in the middle ones does not stop later ones, and all of it goes at last.
static void test_damage_in_middle_segments(void **state)
{
    struct fixture *fx = *state;
    char names[64][SEGMENT_NAME_SIZE];
    char *data;
    uint64_t number, last = 0, read = 0, seq = 0;
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 40; i++)
        fx_write(fx, 5);
    fx_close(fx);
    size_t count = fx_segments(fx, names, 64);
    assert_true(count > 10);
    fx_file_write(fx, names[1], "", 0);
    size_t size = fx_file_read(fx, names[2], &data);
    fx_file_write(fx, names[2], data, size - 1); // cut short
    free(data);
    size = fx_file_read(fx, names[3], &data);
    memset(data, 0, size);
    fx_file_write(fx, names[3], data, size);
    free(data);
    size = fx_file_read(fx, names[4], &data);
    memset(data + 200, 0xff, 400);
    fx_file_write(fx, names[4], data, size);
    free(data);
    fx_unlink(fx, names[5]);
    fx_open(fx);
    while ((number = fx_read(fx, &seq)) != 0) {
        assert_true(number > last);
        last = number;
        read++;
    }
    assert_int_equal(last, 200);
    assert_in_range(read, 200 - 5 * 12, 200 - 4 * 5);
    assert_in_range(fx->told, 3, 5);
    spool_ack(fx->spool, seq);
    assert_int_equal(fx_stat(fx).segments, 1);
    assert_int_equal(fx_stat(fx).events, 0);
}

// The last records of a segment are damaged: nobody can acknowledge them, and it goes all the same.
static void test_unreadable_end_of_a_segment_is_removed(void **state)
{
    struct fixture *fx = *state;
    char names[64][SEGMENT_NAME_SIZE];
    char *data;
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 4; i++)
        fx_write(fx, 5);
    fx_close(fx);
    assert_true(fx_segments(fx, names, 64) >= 2);
    size_t size = fx_file_read(fx, names[0], &data);
    data[size - 1] ^= 1;
    fx_file_write(fx, names[0], data, size);
    free(data);
    fx_open(fx);
    uint64_t seq = 0, first = fx_read(fx, &seq), previous = seq;
    assert_int_equal(first, 1);
    while (fx_read(fx, &seq) != 0 && seq == previous + 1)
        previous = seq;
    assert_true(seq > previous + 1); // over the damaged one
    spool_ack(fx->spool, previous);
    assert_false(fx_exists(fx, names[0]));
}

// The very last committed record is damaged while the daemon runs: the spool still counts as
// drained once what can be read is acknowledged.
static void test_damage_at_the_live_end(void **state)
{
    struct fixture *fx = *state;
    char names[4][SEGMENT_NAME_SIZE];
    char *data;
    fx_open(fx);
    fx_write(fx, 5);
    assert_int_equal(fx_segments(fx, names, 4), 1);
    size_t size = fx_file_read(fx, names[0], &data);
    data[size - 1] ^= 1;
    fx_file_write(fx, names[0], data, size);
    free(data);
    fx_expect(fx, 1, 4);
    spool_ack(fx->spool, 4);
    assert_int_equal(fx_stat(fx).events, 0);
    fx_write(fx, 1);
    fx_expect(fx, 6, 6);
    assert_int_equal(fx->told, 1);
}

static void test_file_shorter_than_it_was(void **state)
{
    struct fixture *fx = *state;
    char names[4][SEGMENT_NAME_SIZE];
    fx_open(fx);
    fx_write(fx, 50);
    assert_int_equal(fx_segments(fx, names, 4), 1);
    char *path = fx_path(fx, names[0]);
    assert_int_equal(truncate(path, 300), 0);
    free(path);
    uint64_t last = 0, number;
    while ((number = fx_read(fx, NULL)) != 0)
        last = number;
    assert_true(last < 5);
    assert_int_equal(fx->told, 1);
    fx_write(fx, 1);
    fx_expect(fx, 51, 51);
}

// Somebody removes the files of a running spool.
static void test_files_removed_while_open(void **state)
{
    struct fixture *fx = *state;
    char names[64][SEGMENT_NAME_SIZE];
    fx->settings.segment_bytes = 2048;
    fx_open(fx);
    for (int i = 0; i < 20; i++)
        fx_write(fx, 5);
    size_t count = fx_segments(fx, names, 64);
    for (size_t i = 0; i < count; i++)
        fx_unlink(fx, names[i]);
    assert_int_equal(fx_read(fx, NULL), 0);
    assert_int_equal(fx->told, count);
    assert_string_equal(fx->told_what, "the segment's file is missing");
    assert_int_equal(fx_stat(fx).events, 0);
    fx_write(fx, 5); // into a file that is there
    fx_expect(fx, 101, 105);
    fx_kill(fx);
    fx_open(fx);
    fx_expect(fx, 101, 105);
}

static void test_segment_of_another_spool(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    char names[8][SEGMENT_NAME_SIZE];
    struct segment_header header = {{"another spool..."}, 1000, 1000};
    char bytes[SEGMENT_HEADER_SIZE + 100] = {0};
    image_make(fx, &image, false);
    segment_header_encode(&header, bytes);
    fx_file_write(fx, "00000000000003e8.seg", bytes, sizeof bytes);
    fx_open(fx);
    assert_int_equal(fx->told, 1);
    assert_string_equal(fx->told_file, "00000000000003e8.seg");
    fx_expect(fx, 1, RECORDS);
    fx_write(fx, 2);
    fx_expect(fx, RECORDS + 1, RECORDS + 2);
    spool_ack(fx->spool, fx_stat(fx).next_seq);
    fx_close(fx);
    fx_open(fx);
    assert_int_equal(fx_read(fx, NULL), 0);
    assert_true(fx_exists(fx, "00000000000003e8.seg")); // left alone
    assert_int_equal(fx_segments(fx, names, 8), 2);
    image_free(&image);
}

static void test_strange_files(void **state)
{
    struct fixture *fx = *state;
    struct image image;
    image_make(fx, &image, false);
    char *path = fx_path(fx, "0000000000000100.seg");
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
    path = fx_path(fx, "0000000000000101.seg");
    assert_int_equal(symlink("/etc/passwd", path), 0);
    free(path);
    path = fx_path(fx, "0000000000000102.seg");
    assert_int_equal(mkfifo(path, 0600), 0);
    free(path);
    fx_file_write(fx, "ffffffffffffffff.seg", "x", 1);
    fx_file_write(fx, "notes", "mine", 4);
    fx_file_write(fx, "0000000000000005.seg.tmp", "half", 4);
    fx_open(fx);
    assert_int_equal(fx->told, 4);
    assert_false(fx_exists(fx, "0000000000000005.seg.tmp"));
    assert_true(fx_exists(fx, "notes"));
    fx_expect(fx, 1, RECORDS);
    fx_write(fx, 1);
    fx_expect(fx, RECORDS + 1, RECORDS + 1);
    assert_true(fx_stat(fx).next_seq > 0x102);
    image_free(&image);
}

// With relaxed syncing, records that were read may be lost in a power cut: their numbers must not
// come again for other records. An orderly close needs no such gap.
static void test_relaxed_sync_leaves_a_gap(void **state)
{
    struct fixture *fx = *state;
    fx->settings.sync = SPOOL_SYNC_OFF;
    fx_open(fx);
    fx_write(fx, 3);
    fx_close(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).next_seq, 4);
    fx_write(fx, 3);
    fx_kill(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).next_seq, 7 + SPOOL_SEQ_GAP);
    fx_write(fx, 1);
    assert_int_equal(fx_stat(fx).events, 7); // the gap does not count
    fx_expect(fx, 1, 7);
    spool_ack(fx->spool, 7 + SPOOL_SEQ_GAP);
    assert_int_equal(fx_stat(fx).events, 0);
    fx_close(fx);
    // Becoming relaxed by a reload counts as well.
    fx->settings.sync = SPOOL_SYNC_ALWAYS;
    fx_open(fx);
    uint64_t next = fx_stat(fx).next_seq;
    fx->settings.sync = SPOOL_SYNC_INTERVAL;
    spool_configure(fx->spool, &fx->settings);
    fx_kill(fx);
    fx_open(fx);
    assert_int_equal(fx_stat(fx).next_seq, next + SPOOL_SEQ_GAP);
}

// A payload that is itself the image of records of this format, next to a damaged one.
static void test_payload_that_looks_like_a_record(void **state)
{
    struct fixture *fx = *state;
    char names[4][SEGMENT_NAME_SIZE];
    char payload[600];
    char *data;
    struct spool_record inner = {
        .kind = SPOOL_TEXT, .stream = "forged", .stream_len = 6, .payload = "gotcha", .len = 6};
    for (size_t at = 0; at + record_size(&inner) <= sizeof payload; at += record_size(&inner))
        record_encode(&inner, 1000 + at, 0, payload + at);
    fx_open(fx);
    fx_write(fx, 1);
    assert_int_equal(fx_append_len(fx, payload, sizeof payload), SPOOL_APPENDED);
    fx_write(fx, 1);
    fx_close(fx);
    fx_segments(fx, names, 4);
    size_t size = fx_file_read(fx, names[0], &data);
    char *hit = memmem(data, size, payload, 100);
    assert_non_null(hit);
    hit[-30] ^= 1; // in the header of the record around it
    fx_file_write(fx, names[0], data, size);
    free(data);
    fx_open(fx);
    fx_expect(fx, 1, 2); // payload numbers; the one between is gone, nothing forged came
    assert_int_equal(fx->told, 1);
}

#define spool_test(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        spool_test(test_every_byte_flipped),
        spool_test(test_every_length),
        spool_test(test_zeros_from_every_place),
        spool_test(test_every_byte_of_the_position_flipped),
        spool_test(test_position_lost_torn_or_of_another_spool),
        spool_test(test_segments_lost),
        spool_test(test_header_and_position_damaged),
        spool_test(test_nothing_left_to_know_the_id_by),
        spool_test(test_damage_in_middle_segments),
        spool_test(test_unreadable_end_of_a_segment_is_removed),
        spool_test(test_damage_at_the_live_end),
        spool_test(test_file_shorter_than_it_was),
        spool_test(test_files_removed_while_open),
        spool_test(test_segment_of_another_spool),
        spool_test(test_strange_files),
        spool_test(test_relaxed_sync_leaves_a_gap),
        spool_test(test_payload_that_looks_like_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
