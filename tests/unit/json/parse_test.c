// SPDX-License-Identifier: Apache-2.0
// Every variant of the parser that this CPU has gives the same tokens, flags and errors as the
// portable one, whatever stands where, and reads nothing outside the text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/tape.h"
#include "json/text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Longer than any vector, with what is read around it.
#define SPAN 80
#define ROOM ((size_t)1 << 16)

// Readable bytes between two pages that are not.
static char *fenced;
static struct tape tapes[TAPE_VARIANTS];
static bool is_there[TAPE_VARIANTS];
static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % limit;
}

static int set_up(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *area = mmap(NULL, ROOM + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(area != MAP_FAILED);
    fenced = area + page;
    assert_int_equal(mprotect(fenced, ROOM, PROT_READ | PROT_WRITE), 0);
    for (int v = 0; v < TAPE_VARIANTS; v++) {
        tape_init(&tapes[v], 0);
        is_there[v] = tape_use(&tapes[v], (enum tape_variant)v);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int v = 0; v < TAPE_VARIANTS; v++)
        tape_deinit(&tapes[v]);
    return munmap(fenced - page, ROOM + 2 * page);
}

static void assert_same_token(const struct tape *a, const struct tape *b, uint32_t i)
{
    const struct tape_token *x = &a->tokens[i], *y = &b->tokens[i];
    assert_int_equal(x->kind, y->kind);
    assert_int_equal(x->flags, y->flags);
    assert_int_equal(x->start, y->start);
    assert_int_equal(x->end, y->end);
    assert_int_equal(x->next, y->next);
    assert_int_equal(x->count, y->count);
}

static void assert_same(const struct tape *a, const struct tape *b)
{
    assert_int_equal(a->error, b->error);
    assert_int_equal(a->error_offset, b->error_offset);
    assert_string_equal(a->error_message, b->error_message);
    assert_int_equal(a->has_nul, b->has_nul);
    assert_int_equal(a->nul_token, b->nul_token);
    assert_int_equal(a->nul_offset, b->nul_offset);
    assert_ptr_equal(a->data, b->data);
    assert_int_equal(a->n_tokens, b->n_tokens);
    for (uint32_t i = 0; i < a->n_tokens; i++)
        assert_same_token(a, b, i);
}

// Parses the text where it stands by every variant; the portable one's tape is the answer.
static const struct tape *parse_all(const char *text, size_t length)
{
    struct tape *portable = &tapes[TAPE_PORTABLE];
    bool right = tape_parse(portable, text, length);
    for (int v = TAPE_PORTABLE + 1; v < TAPE_VARIANTS; v++) {
        if (!is_there[v])
            continue;
        assert_int_equal(tape_parse(&tapes[v], text, length), right);
        assert_same(&tapes[v], portable);
    }
    return portable;
}

// Right behind a page that is not readable, and right before one.
static const struct tape *parse_fenced(const char *text, size_t length)
{
    memcpy(fenced, text, length);
    parse_all(fenced, length);
    memcpy(fenced + ROOM - length, text, length);
    return parse_all(fenced + ROOM - length, length);
}

static void test_choice(void **state)
{
    (void)state;
    struct tape tape;
    bool first = true;
    assert_true(is_there[TAPE_PORTABLE]);
    tape_init(&tape, 0);
    for (int v = TAPE_VARIANTS; v-- > 0;) {
        if (is_there[v] && first) { // the best is the default
            assert_ptr_equal(tape.parse, tapes[v].parse);
            first = false;
        }
        print_message("variant %d is %s\n", v, is_there[v] ? "tested" : "not there");
    }
    assert_true(tape_use(&tape, TAPE_PORTABLE));
    assert_ptr_equal(tape.parse, tapes[TAPE_PORTABLE].parse);
#if defined(__x86_64__)
    assert_false(tape_use(&tape, TAPE_NEON));
#else
    assert_false(tape_use(&tape, TAPE_AVX2));
#endif
    assert_false(tape_use(&tape, TAPE_VARIANTS));
    assert_ptr_equal(tape.parse, tapes[TAPE_PORTABLE].parse); // as it was
    tape_deinit(&tape);
}

// A string of each length with each byte at each place.
static void test_byte_in_string(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {0,   1,    0x1f, ' ',  '!',  '"',  '#',  '[',  '\\',
                                          ']', 0x7f, 0x80, 0xa2, 0xbf, 0xc3, 0xe2, 0xf0, 0xff};
    char text[SPAN + 8];
    for (size_t length = 1; length <= SPAN; length++) {
        for (size_t at = 0; at < length * sizeof(bytes); at++) {
            memset(text, 'a', sizeof(text));
            text[0] = text[length + 1] = '"';
            text[1 + at / sizeof(bytes)] = (char)bytes[at % sizeof(bytes)];
            parse_fenced(text, length + 2);
        }
    }
}

static void test_white_space(void **state)
{
    (void)state;
    static const char spaces[] = " \t\r\n";
    static const unsigned char others[] = {0,    1,   8,   0x0b, 0x0c, 0x0e,
                                           0x1f, '!', '-', 0xa0, ',',  ']'};
    char text[SPAN + 8];
    for (size_t length = 0; length <= SPAN; length++) {
        memset(text, ' ', sizeof(text));
        for (size_t i = 0; i < length; i++)
            text[i + 2] = spaces[random_below(4)];
        memcpy(text, "[1", 2);
        text[length + 2] = ']';
        assert_int_equal(parse_fenced(text, length + 3)->error, TAPE_OK);
        for (size_t at = 0; at < length * sizeof(others); at++) {
            char kept = text[2 + at / sizeof(others)];
            text[2 + at / sizeof(others)] = (char)others[at % sizeof(others)];
            parse_fenced(text, length + 3);
            text[2 + at / sizeof(others)] = kept;
        }
    }
}

// A sequence of bytes in a string of `before` (2 at least) and `after` other ones, of which the
// first are not ASCII, as before those nothing is looked at as UTF-8. The verdict on its encoding
// is what text_utf8_length() says from the string's beginning on.
static void check_sequence(const char *sequence, size_t n, size_t before, size_t after)
{
    char text[4 * SPAN];
    size_t length = 1 + before + n + after, at = 1;
    memset(text, 'a', sizeof(text));
    text[0] = text[length] = '"';
    memcpy(text + 1, "\xc3\xbc", 2);
    memcpy(text + 1 + before, sequence, n);
    for (size_t bytes; at < length; at += bytes) {
        bytes = text_utf8_length(text + at, length + 1 - at);
        if (bytes == 0)
            break;
    }
    const struct tape *tape = parse_all(text, length + 1);
    assert_int_equal(tape->error, at == length ? TAPE_OK : TAPE_ENCODING);
    assert_int_equal(tape->error_offset, at == length ? 0 : at);
}

// All sequences of two bytes, and those of up to four at the borders of what is allowed.
static void test_utf8(void **state)
{
    (void)state;
    static const unsigned char borders[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                            0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                            0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    enum { N = sizeof(borders) };
    for (unsigned i = 0x8000; i < 0x10000; i++) {
        char pair[2] = {(char)(i >> 8), (char)i};
        if ((unsigned char)pair[1] >= 0x80)
            check_sequence(pair, 2, 2 + i % SPAN, SPAN);
    }
    for (unsigned i = 0; i < N * N * N * N; i++) {
        const unsigned char four[4] = {borders[i % N], borders[i / N % N], borders[i / N / N % N],
                                       borders[i / N / N / N]};
        if (four[0] >= 0x80 && four[1] != 0 && four[2] != 0 && four[3] != 0)
            check_sequence((const char *)four, 4, 2 + i % SPAN, SPAN - i % 7);
    }
}

// Right and wrong characters at each place of a vector, among others of each length.
static void test_utf8_places(void **state)
{
    (void)state;
    static const char *const sequences[] = {
        "\xc3\xa4",
        "\xe4\xb8\xad",
        "\xf0\x9f\x98\x80",
        "\xf4\x8f\xbf\xbf",
        "\xed\x9f\xbf",
        "\xc0\xaf",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xe0\x9f\xbf",
        "\xe4\xb8",
        "\xf0\x9f\x98",
        "\x80",
        "\xf8\x88\x80\x80",
        "\xc3",
        "\xf0\x9f\x98\x80\x80",
    };
    char text[4 * SPAN];
    for (size_t s = 0; s < sizeof(sequences) / sizeof(*sequences); s++) {
        for (size_t before = 0; before < SPAN; before++) {
            for (size_t after = 0; after < SPAN; after += 1 + after % 5) {
                size_t n = 1;
                text[0] = '"';
                for (size_t i = 0; i < before; i++, n += 2) // the others are of two bytes
                    memcpy(text + n, "\xc3\xbc", 2);
                memcpy(text + n, sequences[s], strlen(sequences[s]));
                n += strlen(sequences[s]);
                memset(text + n, 'z', after);
                n += after;
                text[n++] = '"';
                const struct tape *tape = parse_fenced(text, n);
                assert_int_equal(tape->error, s < 5 ? TAPE_OK : TAPE_ENCODING);
                if (s >= 5)
                    assert_in_range(tape->error_offset, 1 + 2 * before, 1 + 2 * before + 4);
            }
        }
    }
}

// Texts of JSON's own pieces, right and wrong ones, cut at any place and at any alignment.
static void test_random(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"a\"",
        "\"b\":",
        "\"key\":1",
        "null",
        "true",
        "false",
        "0",
        "-12.5e7",
        "1e",
        " ",
        "\n      ",
        "\\",
        "\\\"",
        "\\u0000",
        "\\ud83d\\ude00",
        "\\ud800",
        "\xc3",
        "\xe4\xb8\xad",
        "\t",
        "\x01",
        "\"a long text without anything\"",
        "\"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f and forty more bytes of a text \xf0\x9f\x98\x80\"",
        ",\"name\":\"value\"",
        "[1,2,[],{}]",
        "{\"a\":{\"b\":[\"c\",{\"d\":\"e\\n\"}]}}",
    };
    char text[4096];
    for (int round = 0; round < 60000; round++) {
        size_t n = random_below(64);
        uint32_t parts = random_below(24);
        memset(text, '[', n); // in front, and so an alignment
        size_t start = round % 2 == 0 ? 0 : n;
        for (uint32_t i = 0; i < parts; i++) {
            const char *piece = pieces[random_below(sizeof(pieces) / sizeof(*pieces))];
            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
        }
        size_t cut = n > start ? random_below((uint32_t)(n - start)) / 8 : 0;
        parse_all(text + start, n - start - cut);
        if (round % 16 == 0)
            parse_fenced(text + start, n - start - cut);
    }
}

// A right text, long and with every kind of value, and what becomes of it by one changed byte.
static void test_changed_byte(void **state)
{
    (void)state;
    static const char right[] =
        "{\"interactionId\":\"int-1\",\"list\":[1,-2.5e+3,true,false,null,\"\",{}],\"\xc3\xa4\":"
        "\"\\u00e4\\n \xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97 "
        "\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\",\n      "
        "\"x\" : { \"y\" : [ [ ] , \"\\ud83d\\ude00\" , \"plain text of more than one vector\" ] "
        "}}";
    char text[sizeof(right)];
    assert_int_equal(parse_fenced(right, sizeof(right) - 1)->error, TAPE_OK);
    for (size_t i = 0; i < sizeof(right) - 1; i++) {
        for (unsigned c = 0; c < 256; c++) {
            memcpy(text, right, sizeof(right));
            text[i] = (char)c;
            parse_all(text, sizeof(right) - 1);
        }
        parse_fenced(right, i);
    }
}

// Deep, and wide enough for the tokens to move.
static void test_large(void **state)
{
    (void)state;
    char text[40000];
    memset(text, '[', 127);
    memset(text + 127, ']', 127);
    assert_int_equal(parse_fenced(text, 254)->error, TAPE_OK);
    memset(text, '[', 200);
    assert_int_equal(parse_fenced(text, 200)->error, TAPE_DEPTH);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 == 0 ? ',' : '7';
    text[0] = '[';
    text[20000] = ']';
    const struct tape *wide = parse_fenced(text, 20001);
    assert_int_equal(wide->error, TAPE_OK);
    assert_int_equal(wide->tokens[0].count, 10000);
    memset(text, 'x', sizeof(text));
    text[0] = text[sizeof(text) - 1] = '"';
    for (size_t i = 1; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe4\xb8\xad", 3);
    assert_int_equal(parse_fenced(text, sizeof(text))->error, TAPE_OK);
    text[30000] = 'x';
    assert_int_equal(parse_fenced(text, sizeof(text))->error, TAPE_ENCODING);
}

static void check_suite_file(const char *path)
{
    char data[1 << 14];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(data, 1, sizeof(data), file);
    fclose(file);
    parse_fenced(data, length);
    for (size_t shift = 1; shift < 64; shift++) {
        memcpy(fenced + shift, data, length);
        parse_all(fenced + shift, length);
    }
}

static void test_parsing_suite(void **state)
{
    (void)state;
    const char *shared = getenv("CXSINK_SHARED_DATA");
    char path[1024];
    int n = snprintf(path, sizeof(path), "%s/json-parsing/test_parsing",
                     shared != NULL ? shared : "../shared/data");
    DIR *dir = opendir(path);
    if (dir == NULL) {
        print_message("skipped: no JSON parsing suite in %s (CXSINK_SHARED_DATA)\n", path);
        skip();
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strstr(entry->d_name, ".json") != NULL) {
            snprintf(path + n, sizeof(path) - (size_t)n, "/%s", entry->d_name);
            check_suite_file(path);
        }
    }
    closedir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),        cmocka_unit_test(test_byte_in_string),
        cmocka_unit_test(test_white_space),   cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_utf8_places),   cmocka_unit_test(test_random),
        cmocka_unit_test(test_changed_byte),  cmocka_unit_test(test_large),
        cmocka_unit_test(test_parsing_suite),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
