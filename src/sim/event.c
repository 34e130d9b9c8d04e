// SPDX-License-Identifier: Apache-2.0
// Events by number: the same number is always the same bytes.
#include "sim.h"

#include <stdio.h>
#include <string.h>

// How far back a duplicate or an older version reaches, in events.
#define REACH 1000
// 2026-01-01T00:00:00Z; each event is a millisecond younger than the one before.
#define EPOCH_S INT64_C(1767225600)
// 1970, before which the arithmetic below does not reach.
#define EARLIEST_MS (-EPOCH_S * 1000)

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static enum sim_kind kind_of(const struct sim *sim, uint64_t n, uint64_t random)
{
    const struct sim_settings *s = &sim->settings;
    double draw = (double)(random >> 40) / (double)(1 << 24) * 100;
    if (draw < s->malformed)
        return SIM_MALFORMED;
    if (n == 0)
        return SIM_UNIQUE;
    if (draw < s->malformed + s->duplicates)
        return SIM_DUPLICATE;
    return draw < s->malformed + s->duplicates + s->older ? SIM_OLDER : SIM_UNIQUE;
}

// The event that `n` repeats: the nearest unique one at or before a random place behind it.
// False when there is none within reach.
static bool original_of(const struct sim *sim, uint64_t n, uint64_t random, uint64_t *original_r)
{
    uint64_t reach = n < REACH ? n : REACH;
    uint64_t back = 1 + random % reach;
    for (uint64_t m = n - back;; m--) {
        if (kind_of(sim, m, mix(m ^ sim->settings.seed)) == SIM_UNIQUE) {
            *original_r = m;
            return true;
        }
        if (m == 0 || n - m > REACH)
            return false;
    }
}

static void put_digits(char *at, uint64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
}

// RFC 3339 at a fixed width of 24 bytes.
static void put_time(char *at, int64_t ms)
{
    int64_t seconds = EPOCH_S + (ms - (ms < 0 ? 999 : 0)) / 1000; // rounded down
    int64_t days = seconds / 86400;
    int64_t rest = seconds % 86400;
    // Civil date from days since 1970-03-01 based eras.
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    memcpy(at, "0000-00-00T00:00:00.000Z", 24);
    put_digits(at, (uint64_t)year, 4);
    put_digits(at + 5, (uint64_t)month, 2);
    put_digits(at + 8, (uint64_t)day, 2);
    put_digits(at + 11, (uint64_t)(rest / 3600), 2);
    put_digits(at + 14, (uint64_t)(rest / 60 % 60), 2);
    put_digits(at + 17, (uint64_t)(rest % 60), 2);
    put_digits(at + 20, (uint64_t)((ms % 1000 + 1000) % 1000), 3);
}

static char *put(char *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

// Writes the event `n` as it stands under the key of `original`, `age_ms` before its time.
static char *put_event(const struct sim *sim, char *at, uint64_t original, int64_t ms,
                       uint64_t random)
{
    static const char *const types[] = {"call", "chat", "email", "callback"};
    static const char *const queues[] = {"support", "billing", "sales-north", "returns"};
    at = put(at, "{\"interactionId\":\"int-");
    put_digits(at, original / 3, 12);
    at = put(at + 12, "\",\"timestamp\":\"");
    put_time(at, ms);
    at = put(at + 24, "\",\"type\":\"");
    at = put(at, types[random & 3]);
    at = put(at, "\",\"idempotencyKey\":\"sim");
    put_digits(at, sim->settings.seed % 1000, 3);
    at[3] = '-';
    put_digits(at + 4, original, 12);
    at = put(at + 16, "\",\"attributes\":{\"duration\":");
    put_digits(at, 10 + (random >> 8) % 89, 2);
    at = put(at + 2, ".5,\"disposition\":\"resolved\",\"queueName\":\"");
    at = put(at, queues[(random >> 2) & 3]);
    at = put(at, "\",\"agentId\":\"agent-");
    put_digits(at, (random >> 16) % 10000, 4);
    return put(at + 4, "\"");
}

static char *put_padding(const struct sim *sim, char *at, const char *start)
{
    size_t have = (size_t)(at - start) + 2; // with the closing braces
    if (sim->settings.size > have + 12) {
        at = put(at, ",\"note\":\"");
        size_t n = sim->settings.size - have - 10;
        memset(at, 'x', n);
        at = put(at + n, "\"");
    }
    return put(at, "}}");
}

// One way or another not an event.
static char *put_malformed(char *at, uint64_t n, uint64_t random)
{
    static const char *const bodies[] = {
        "{\"interactionId\":\"\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"type\":\"call\","
        "\"idempotencyKey\":\"bad-%s\"}",
        "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"bad-%s\"}",
        "{\"interactionId\":\"i\",\"timestamp\":\"2026-01-01 00:00:00\",\"type\":\"call\","
        "\"idempotencyKey\":\"bad-%s\"}",
        "{\"interactionId\":\"i\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"type\":\"voice\","
        "\"idempotencyKey\":\"bad-%s\"}",
        "{\"interactionId\":\"i\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"type\":\"call\","
        "\"idempotencyKey\":\"bad %s\"}",
        "{\"interactionId\":\"i\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"type\":\"call\","
        "\"idempotencyKey\":\"bad-%s\",\"extra\":1}",
        "{\"interactionId\":\"i\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"type\":\"call\","
        "\"idempotencyKey\":\"bad-%s\",}",
        "{\"interactionId\":\"i\",\"timestamp\":\"2026-01-01T00:00:00Z\",\"type\":\"call\","
        "\"idempotencyKey\":\"bad-%s\",\"attributes\":{\"agentId\":\"\\u0000\"}}",
    };
    char number[24];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)n);
    const char *body = bodies[(random >> 24) % (sizeof(bodies) / sizeof(bodies[0]))];
    const char *hole = strstr(body, "%s");
    memcpy(at, body, (size_t)(hole - body));
    at = put(at + (hole - body), number);
    return put(at, hole + 2);
}

// RFC 6455 section 5.2: FIN and text, length in 7, 16 or 64 bits.
static size_t put_header(unsigned char header[10], size_t length)
{
    header[0] = 0x81;
    if (length < 126) {
        header[1] = (unsigned char)length;
        return 2;
    }
    size_t bytes = length < 65536 ? 2 : 8;
    header[1] = bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < bytes; i++)
        header[2 + i] = (unsigned char)(length >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

enum sim_kind sim_event_frame(const struct sim *sim, uint64_t n, struct buf *out)
{
    size_t room = 512 + sim->settings.size;
    char *frame = buf_reserve(out, room + 10);
    char *body = frame + 10;
    uint64_t random = mix(n ^ sim->settings.seed);
    enum sim_kind kind = kind_of(sim, n, random);
    uint64_t original = n;
    if ((kind == SIM_DUPLICATE || kind == SIM_OLDER) &&
        !original_of(sim, n, mix(random), &original))
        kind = SIM_MALFORMED; // nothing to repeat within reach
    char *end;
    if (kind == SIM_MALFORMED) {
        end = put_malformed(body, n, random);
    } else {
        int64_t ms = (int64_t)original - (kind == SIM_OLDER ? 1 : 0) + sim->settings.shift_ms;
        end = put_event(sim, body, original, ms < EARLIEST_MS ? EARLIEST_MS : ms,
                        kind == SIM_OLDER ? random : mix(original ^ sim->settings.seed));
        end = put_padding(sim, end, body);
    }
    unsigned char header[10];
    size_t length = (size_t)(end - body);
    size_t bytes = put_header(header, length);
    memcpy(frame, header, bytes);
    if (bytes != 10)
        memmove(frame + bytes, body, length);
    out->len += bytes + length;
    return kind;
}
