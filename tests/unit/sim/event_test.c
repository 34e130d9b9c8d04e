// SPDX-License-Identifier: Apache-2.0
// The simulator's events: the same number is the same bytes, kinds come in the wanted shares, and
// each is a frame whose event is what its kind says.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

// An event as the test reads it.
struct event {
    enum sim_kind kind;
    size_t frame, length; // bytes of the frame; of its payload
    char interaction[17], time[25], type[16], key[24];
    char body[4096]; // the start of the payload
};

static struct sim simulator(void)
{
    return (struct sim){.settings = {.seed = 1}};
}

static struct sim mixed(void)
{
    struct sim sim = simulator();
    sim.settings.duplicates = 10;
    sim.settings.older = 5;
    sim.settings.malformed = 2;
    return sim;
}

// RFC 6455 section 5.2; the length must take the fewest bytes.
static size_t payload_start(const unsigned char *p, size_t size, size_t *length_r)
{
    assert_true(size >= 2);
    assert_int_equal(p[0], 0x81); // one frame, text
    assert_int_equal(p[1] & 0x80, 0);
    size_t bytes = p[1] == 127 ? 8 : p[1] == 126 ? 2 : 0;
    size_t length = bytes == 0 ? p[1] : 0;
    for (size_t i = 0; i < bytes; i++)
        length = length << 8 | p[2 + i];
    assert_int_equal(bytes, length < 126 ? 0 : length < 65536 ? 2 : 8);
    *length_r = length;
    return 2 + bytes;
}

static void member(const char *body, const char *name, char *value, size_t size)
{
    char mark[32];
    snprintf(mark, sizeof(mark), "\"%s\":\"", name);
    const char *at = strstr(body, mark);
    value[0] = '\0';
    if (at == NULL)
        return;
    at += strlen(mark);
    snprintf(value, size, "%.*s", (int)strcspn(at, "\""), at);
}

static struct event event_at(const struct sim *sim, uint64_t n)
{
    struct event e = {0};
    struct buf out = {0};
    e.kind = sim_event_frame(sim, n, &out);
    e.frame = out.len;
    size_t start = payload_start((const unsigned char *)out.data, out.len, &e.length);
    assert_int_equal(start + e.length, out.len);
    snprintf(e.body, sizeof(e.body), "%.*s", (int)e.length, out.data + start);
    buf_deinit(&out);
    member(e.body, "interactionId", e.interaction, sizeof(e.interaction));
    member(e.body, "timestamp", e.time, sizeof(e.time));
    member(e.body, "type", e.type, sizeof(e.type));
    member(e.body, "idempotencyKey", e.key, sizeof(e.key));
    return e;
}

// --- one event ---

static void the_first_event_is_known(void **state)
{
    struct sim sim = simulator();
    (void)state;
    struct event e = event_at(&sim, 0);
    assert_int_equal(e.kind, SIM_UNIQUE);
    assert_int_equal(e.frame, e.length + 4);
    static const char start[] = "{\"interactionId\":\"int-000000000000\","
                                "\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"type\":\"";
    assert_memory_equal(e.body, start, sizeof(start) - 1);
    assert_string_equal(e.key, "sim001-000000000000");
    assert_non_null(strstr(e.body, "\",\"attributes\":{\"duration\":"));
    assert_string_equal(e.body + e.length - 3, "\"}}");
}

static void events_are_about_230_bytes(void **state)
{
    struct sim sim = simulator();
    size_t sum = 0;
    (void)state;
    for (uint64_t n = 0; n < 1000; n++) {
        struct event e = event_at(&sim, n);
        assert_in_range(e.length, 200, 240);
        sum += e.length;
    }
    assert_in_range(sum / 1000, 228, 234);
}

static void a_wanted_size_is_met_to_the_byte(void **state)
{
    static const unsigned sizes[] = {300, 1000, 4096, 65535, 65536, 200000};
    struct sim sim = simulator();
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        sim.settings.size = sizes[i];
        for (uint64_t n = 0; n < 20; n++)
            assert_int_equal(event_at(&sim, n).length, sizes[i]);
    }
    sim.settings.size = 300;
    assert_non_null(strstr(event_at(&sim, 3).body, ",\"note\":\"xxx"));
    for (unsigned size = 1; size < 260; size++) { // too small for padding: as it is, and whole
        sim.settings.size = size;
        struct event e = event_at(&sim, 5);
        assert_string_equal(e.body + e.length - 3, "\"}}");
        assert_true(e.length == size || e.length <= 240);
    }
}

static void frames_are_appended(void **state)
{
    struct sim sim = simulator();
    struct buf out = {0};
    (void)state;
    size_t want = 0;
    for (uint64_t n = 0; n < 100; n++) {
        sim_event_frame(&sim, n, &out);
        want += event_at(&sim, n).frame;
        assert_int_equal(out.len, want);
    }
    const char *at = out.data;
    for (uint64_t n = 0; n < 100; n++) {
        struct event e = event_at(&sim, n);
        assert_memory_equal(at + e.frame - e.length, e.body, e.length);
        at += e.frame;
    }
    buf_deinit(&out);
}

static void the_same_number_is_always_the_same_bytes(void **state)
{
    struct sim sim = mixed(), other = mixed();
    unsigned differ = 0;
    (void)state;
    other.settings.seed = 2;
    for (uint64_t n = 0; n < 2000; n++) {
        struct event a = event_at(&sim, n), b = event_at(&sim, n), c = event_at(&other, n);
        assert_int_equal(a.kind, b.kind);
        assert_string_equal(a.body, b.body);
        differ += strcmp(a.body, c.body) != 0;
    }
    assert_true(differ > 1900);
}

static void types_and_values_vary(void **state)
{
    static const char *const types[] = {"call", "chat", "email", "callback"};
    struct sim sim = simulator();
    unsigned counts[4] = {0};
    (void)state;
    for (uint64_t n = 0; n < 4000; n++) {
        struct event e = event_at(&sim, n);
        for (int t = 0; t < 4; t++)
            counts[t] += strcmp(e.type, types[t]) == 0;
    }
    for (int t = 0; t < 4; t++)
        assert_in_range(counts[t], 850, 1150);
}

// --- times ---

static void each_event_is_a_millisecond_younger(void **state)
{
    static const struct {
        uint64_t n;
        const char *time;
    } cases[] = {
        {1, "2026-01-01T00:00:00.001Z"},           {999, "2026-01-01T00:00:00.999Z"},
        {1000, "2026-01-01T00:00:01.000Z"},        {86399999, "2026-01-01T23:59:59.999Z"},
        {86400000, "2026-01-02T00:00:00.000Z"},    {5097600000, "2026-03-01T00:00:00.000Z"},
        {31536000000, "2027-01-01T00:00:00.000Z"}, {68169600000, "2028-02-29T00:00:00.000Z"},
    };
    struct sim sim = simulator();
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(event_at(&sim, cases[i].n).time, cases[i].time);
}

static void a_shift_makes_the_same_events_newer_or_older(void **state)
{
    struct sim sim = simulator();
    (void)state;
    struct event plain = event_at(&sim, 7);
    sim.settings.shift_ms = 60000;
    struct event later = event_at(&sim, 7);
    assert_string_equal(later.time, "2026-01-01T00:01:00.007Z");
    assert_string_equal(later.key, plain.key);
    memcpy(strstr(later.body, later.time), plain.time, 24);
    assert_string_equal(later.body, plain.body);
    sim.settings.shift_ms = -1008;
    assert_string_equal(event_at(&sim, 7).time, "2025-12-31T23:59:58.999Z");
    sim.settings.shift_ms = -8;
    assert_string_equal(event_at(&sim, 7).time, "2025-12-31T23:59:59.999Z");
    sim.settings.shift_ms = INT64_C(-100000000000000);
    assert_string_equal(event_at(&sim, 7).time, "1970-01-01T00:00:00.000Z");
}

// --- kinds ---

static void kinds_come_in_their_shares(void **state)
{
    struct sim sim = mixed();
    unsigned counts[4] = {0};
    (void)state;
    for (uint64_t n = 0; n < 100000; n++)
        counts[event_at(&sim, n).kind]++;
    assert_in_range(counts[SIM_DUPLICATE], 9500, 10500);
    assert_in_range(counts[SIM_OLDER], 4700, 5300);
    assert_in_range(counts[SIM_MALFORMED], 1850, 2150);
}

static void unique_events_have_keys_of_their_own(void **state)
{
    struct sim sim = mixed();
    char want[24];
    (void)state;
    for (uint64_t n = 0; n < 5000; n++) {
        struct event e = event_at(&sim, n);
        snprintf(want, sizeof(want), "sim001-%012llu", (unsigned long long)n);
        assert_int_equal(strcmp(e.key, want) == 0, e.kind == SIM_UNIQUE);
    }
}

static uint64_t number_of(const struct event *e)
{
    assert_memory_equal(e->key, "sim001-", 7);
    return strtoull(e->key + 7, NULL, 10);
}

static void a_duplicate_is_an_earlier_event_again(void **state)
{
    struct sim sim = mixed();
    (void)state;
    for (uint64_t n = 0; n < 20000; n++) {
        struct event e = event_at(&sim, n);
        if (e.kind != SIM_DUPLICATE)
            continue;
        uint64_t original = number_of(&e);
        assert_true(original < n && n - original <= 1001);
        struct event first = event_at(&sim, original);
        assert_int_equal(first.kind, SIM_UNIQUE);
        assert_string_equal(e.body, first.body);
    }
}

// With another content, so that a sink that took it would show.
static void an_older_version_is_older_and_different(void **state)
{
    struct sim sim = mixed();
    unsigned seen = 0;
    (void)state;
    for (uint64_t n = 0; n < 20000; n++) {
        struct event e = event_at(&sim, n);
        if (e.kind != SIM_OLDER)
            continue;
        struct event first = event_at(&sim, number_of(&e));
        assert_int_equal(first.kind, SIM_UNIQUE);
        assert_true(strcmp(e.time, first.time) < 0);
        assert_string_equal(e.interaction, first.interaction);
        assert_string_not_equal(strstr(e.body, "\"type\""), strstr(first.body, "\"type\""));
        seen++;
    }
    assert_true(seen > 500);
}

// The very first event too has older versions.
static void an_older_version_of_the_first_event_is_older(void **state)
{
    struct sim sim = simulator();
    unsigned seen = 0;
    (void)state;
    sim.settings.older = 100;
    for (uint64_t n = 1; n < 100; n++) {
        struct event e = event_at(&sim, n);
        assert_int_equal(e.kind, SIM_OLDER);
        assert_string_equal(e.key, "sim001-000000000000");
        assert_string_equal(e.time, "2025-12-31T23:59:59.999Z");
        seen++;
    }
    assert_int_equal(seen, 99);
}

static void what_cannot_be_repeated_is_malformed(void **state)
{
    struct sim sim = simulator();
    (void)state;
    sim.settings.duplicates = 100;
    assert_int_equal(event_at(&sim, 0).kind, SIM_UNIQUE);
    assert_int_equal(event_at(&sim, 1000).kind, SIM_DUPLICATE);
    assert_int_equal(event_at(&sim, 5000).kind, SIM_MALFORMED); // nothing unique within reach
    sim.settings.malformed = 100;
    for (uint64_t n = 0; n < 100; n++)
        assert_int_equal(event_at(&sim, n).kind, SIM_MALFORMED);
}

static void malformed_events_come_in_every_way(void **state)
{
    static const char *const marks[] = {
        "{\"interactionId\":\"\"",
        "{\"timestamp\"",
        "2026-01-01 00:00:00",
        "\"type\":\"voice\"",
        "\"bad ",
        ",\"extra\":1}",
        ",}",
        "\\u0000",
    };
    struct sim sim = simulator();
    unsigned seen[8] = {0};
    char number[24];
    (void)state;
    sim.settings.malformed = 100;
    sim.settings.size = 1000; // no matter
    for (uint64_t n = 0; n < 800; n++) {
        struct event e = event_at(&sim, n);
        assert_true(e.length < 200);
        snprintf(number, sizeof(number), "%llu\"", (unsigned long long)n);
        assert_non_null(strstr(e.body, number)); // each is told apart
        unsigned ways = 0;
        for (int i = 0; i < 8; i++) {
            bool hit = strstr(e.body, marks[i]) != NULL;
            seen[i] += hit;
            ways += hit;
        }
        assert_int_equal(ways, 1);
    }
    for (int i = 0; i < 8; i++)
        assert_true(seen[i] > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_event_is_known),
        cmocka_unit_test(events_are_about_230_bytes),
        cmocka_unit_test(a_wanted_size_is_met_to_the_byte),
        cmocka_unit_test(frames_are_appended),
        cmocka_unit_test(the_same_number_is_always_the_same_bytes),
        cmocka_unit_test(types_and_values_vary),
        cmocka_unit_test(each_event_is_a_millisecond_younger),
        cmocka_unit_test(a_shift_makes_the_same_events_newer_or_older),
        cmocka_unit_test(kinds_come_in_their_shares),
        cmocka_unit_test(unique_events_have_keys_of_their_own),
        cmocka_unit_test(a_duplicate_is_an_earlier_event_again),
        cmocka_unit_test(an_older_version_is_older_and_different),
        cmocka_unit_test(an_older_version_of_the_first_event_is_older),
        cmocka_unit_test(what_cannot_be_repeated_is_malformed),
        cmocka_unit_test(malformed_events_come_in_every_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
