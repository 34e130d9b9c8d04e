// SPDX-License-Identifier: Apache-2.0
// json/text over any bytes: UTF-8 against a table of ranges, and, where the bytes can be part of a
// JSON string, its unescaped text against a plain reading.
#include "fuzz.h"

#include "core/buf.h"
#include "json/tape.h"
#include "json/text.h"

// RFC 3629 section 4: the second byte's range by the first; further ones are 80 to bf.
static const struct {
    unsigned char first, last, low, high;
    size_t length;
} sequences[] = {
    {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static size_t sequence_length(const unsigned char *p, size_t left)
{
    for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++) {
        size_t length = sequences[i].length;
        if (*p < sequences[i].first || *p > sequences[i].last)
            continue;
        bool ok = length <= left;
        for (size_t k = 1; ok && k < length; k++)
            ok = k == 1 ? p[1] >= sequences[i].low && p[1] <= sequences[i].high
                        : (p[k] & 0xc0) == 0x80;
        return ok ? length : 0;
    }
    return 0;
}

static void check_utf8(const char *text, size_t size)
{
    size_t at = 0, points = 0, length = 1;
    for (; at < size && length != 0; at += length, points += length != 0) {
        length = sequence_length((const unsigned char *)text + at, size - at);
        FUZZ_CHECK(text_utf8_length(text + at, size - at) == length, "byte %zu", at);
    }
    FUZZ_CHECK(text_utf8_valid(text, size) == (length != 0), "byte %zu", at);
    if (length != 0)
        FUZZ_CHECK(text_code_points(text, size) == points, "%zu", points);
}

static void append_code(struct buf *out, unsigned code)
{
    unsigned char bytes[4] = {(unsigned char)code};
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; n > 1 && i-- > 0; code >>= 6)
        bytes[i] = (unsigned char)(i > 0 ? 0x80 | (code & 0x3f) : marks[n] | code);
    buf_append(out, bytes, n);
}

// What an accepted string stands for, a character at a time.
static void read_plainly(const char *raw, size_t length, struct buf *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    for (size_t i = 0; i < length; i++) {
        if (raw[i] != '\\') {
            buf_append(out, raw + i, 1);
        } else if (raw[++i] != 'u') {
            buf_append(out, &values[strchr(names, raw[i]) - names], 1);
        } else {
            unsigned code, low;
            sscanf(raw + i + 1, "%4x", &code);
            i += 4;
            if (code >= 0xd800 && code < 0xdc00) {
                sscanf(raw + i + 3, "%4x", &low);
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                i += 6;
            }
            append_code(out, code);
        }
    }
}

// Every code unit escaped is the same string.
static void check_escaped(const struct tape *tape, const struct buf *plain)
{
    struct buf text = {0};
    struct tape other;
    buf_append_text(&text, "\"");
    for (size_t i = 0; i < plain->len; i++) {
        unsigned char c = (unsigned char)plain->data[i];
        if (c < 0x80)
            buf_printf(&text, "\\u%04X", c);
        else
            buf_append(&text, &c, 1);
    }
    buf_append_text(&text, "\"");
    tape_init(&other, 0);
    FUZZ_CHECK(tape_parse(&other, text.data, text.len), "%s", other.error_message);
    FUZZ_CHECK(text_strings_equal(tape, 0, &other, 0), "escaped");
    FUZZ_CHECK(text_strings_equal(&other, 0, tape, 0), "escaped");
    FUZZ_CHECK(text_string_code_points(&other, 0) == text_string_code_points(tape, 0), "escaped");
    tape_deinit(&other);
    buf_deinit(&text);
}

static void check_string(const struct tape *tape)
{
    struct buf plain = {0};
    size_t length;
    const char *raw = tape_string(tape, 0, &length);
    char *copy = fuzz_text(raw, length); // sscanf() reads to a NUL

    read_plainly(copy, length, &plain);
    char *text = fuzz_copy(raw, length);
    size_t n = text_unescape(tape, 0, text);
    FUZZ_CHECK(n == plain.len && (n == 0 || memcmp(text, plain.data, n) == 0), "%zu bytes", n);
    FUZZ_CHECK(text_string_equals(tape, 0, text, n), "itself");
    FUZZ_CHECK(text_string_code_points(tape, 0) == text_code_points(text, n), "code points");
    if (n > 0) {
        FUZZ_CHECK(!text_string_equals(tape, 0, text, n - 1), "less");
        text[n - 1] ^= 1;
        FUZZ_CHECK(!text_string_equals(tape, 0, text, n), "another");
    }
    check_escaped(tape, &plain);
    free(text);
    free(copy);
    buf_deinit(&plain);
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct buf text = {0};
    struct tape tape;

    check_utf8((const char *)data, size);
    buf_append_text(&text, "\"");
    buf_append(&text, data, size);
    buf_append_text(&text, "\"");
    tape_init(&tape, 0);
    if (tape_parse(&tape, text.data, text.len) && tape.n_tokens == 1)
        check_string(&tape);
    tape_deinit(&tape);
    buf_deinit(&text);
    return 0;
}
