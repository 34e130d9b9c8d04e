// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "spool/segment_priv.h"

#include <stdio.h>
#include <string.h>

static const struct uuid id = {"0123456789abcdef"};
static const struct uuid other = {"fedcba9876543210"};

static const struct spool_record sample = {.received_us = -5,
                                           .kind = SPOOL_BINARY,
                                           .stream = "calls",
                                           .stream_len = 5,
                                           .payload = "{\"a\":1}",
                                           .len = 7};

static void test_names(void **state)
{
    (void)state;
    char name[SEGMENT_NAME_SIZE];
    uint64_t seq = 0;
    segment_name(0x1a2b, name);
    assert_string_equal(name, "0000000000001a2b.seg");
    assert_true(segment_name_parse(name, &seq));
    assert_int_equal(seq, 0x1a2b);
    const char *bad[] = {"",
                         "lock",
                         "0000000000001A2b.seg",
                         "0000000000001a2b",
                         "0000000000001a2b.seg2",
                         "0000000000001a2b.tmp",
                         "000000000001a2b.seg",
                         "0000000000000000.seg",
                         "4000000000000000.seg",
                         "ffffffffffffffff.seg"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(segment_name_parse(bad[i], &seq));
}

static void test_header(void **state)
{
    (void)state;
    char bytes[SEGMENT_HEADER_SIZE];
    struct segment_header in = {id, 1000, 990}, out;
    segment_header_encode(&in, bytes);
    assert_true(segment_header_decode(bytes, &out));
    assert_memory_equal(&out.id, &id, sizeof id);
    assert_int_equal(out.first_seq, 1000);
    assert_int_equal(out.prev_end, 990);
    for (unsigned i = 0; i < SEGMENT_HEADER_SIZE * 8; i++) {
        bytes[i / 8] ^= (char)(1 << i % 8);
        assert_false(segment_header_decode(bytes, &out));
        bytes[i / 8] ^= (char)(1 << i % 8);
    }
}

static void test_header_implausible(void **state)
{
    (void)state;
    char bytes[SEGMENT_HEADER_SIZE];
    struct segment_header out;
    struct segment_header bad[] = {{id, 0, 0}, {id, SEQ_MAX, 1}, {id, 10, 11}};
    for (size_t i = 0; i < 3; i++) {
        segment_header_encode(&bad[i], bytes);
        assert_false(segment_header_decode(bytes, &out));
    }
}

static void test_record(void **state)
{
    (void)state;
    char bytes[128];
    struct record_header header;
    struct spool_record out;
    uint32_t seed = record_seed(&id);
    assert_true(record_valid(&sample));
    assert_int_equal(record_size(&sample), RECORD_HEADER_SIZE + 12);
    record_encode(&sample, 77, seed, bytes);
    assert_true(record_header_decode(bytes, seed, &header));
    assert_int_equal(record_header_total(&header), record_size(&sample));
    assert_true(record_decode(bytes, &header, seed, &out));
    assert_int_equal(out.seq, 77);
    assert_int_equal(out.received_us, -5);
    assert_int_equal(out.kind, SPOOL_BINARY);
    assert_int_equal(out.stream_len, 5);
    assert_memory_equal(out.stream, "calls", 5);
    assert_int_equal(out.len, 7);
    assert_memory_equal(out.payload, "{\"a\":1}", 7);
}

static void test_record_every_bit(void **state)
{
    (void)state;
    char bytes[128];
    struct record_header header;
    struct spool_record out;
    uint32_t seed = record_seed(&id);
    record_encode(&sample, 77, seed, bytes);
    for (unsigned i = 0; i < record_size(&sample) * 8; i++) {
        bytes[i / 8] ^= (char)(1 << i % 8);
        bool header_ok = record_header_decode(bytes, seed, &header);
        assert_int_equal(header_ok, i / 8 >= RECORD_HEADER_SIZE);
        if (header_ok)
            assert_false(record_decode(bytes, &header, seed, &out));
        bytes[i / 8] ^= (char)(1 << i % 8);
    }
}

// What another spool wrote, or what somebody sends as a payload, is no record of this one.
static void test_record_of_another_spool(void **state)
{
    (void)state;
    char bytes[128];
    struct record_header header;
    record_encode(&sample, 77, record_seed(&other), bytes);
    assert_false(record_header_decode(bytes, record_seed(&id), &header));
}

static void test_record_bounds(void **state)
{
    (void)state;
    char bytes[128];
    struct record_header header;
    uint32_t seed = record_seed(&id);
    struct spool_record record = sample;
    record.len = 0;
    record.payload = NULL;
    assert_true(record_valid(&record));
    record_encode(&record, SEQ_MAX - 1, seed, bytes);
    assert_true(record_header_decode(bytes, seed, &header));
    record_encode(&record, SEQ_MAX, seed, bytes);
    assert_false(record_header_decode(bytes, seed, &header));
    record_encode(&record, 0, seed, bytes);
    assert_false(record_header_decode(bytes, seed, &header));
    record.stream_len = 0;
    assert_false(record_valid(&record));
    record.stream_len = SPOOL_STREAM_MAX + 1;
    assert_false(record_valid(&record));
    record = sample;
    record.kind = (enum spool_kind)4;
    assert_false(record_valid(&record));
    record_encode(&record, 1, seed, bytes);
    assert_false(record_header_decode(bytes, seed, &header));
    record = sample;
    record.len = (size_t)RECORD_PAYLOAD_MAX + 1;
    assert_false(record_valid(&record));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_implausible),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_record_every_bit),
        cmocka_unit_test(test_record_of_another_spool),
        cmocka_unit_test(test_record_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
