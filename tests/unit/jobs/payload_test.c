// SPDX-License-Identifier: Apache-2.0
// Streamed bodies: head, base64 of a file or of a text, tail; the length told is the length given;
// rewinding; files that are missing, too large, no files, or cut while they are read.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/jobs/payload_priv.h"

#include "core/base64.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

static void make_file(const void *data, size_t size)
{
    strcpy(path, "/tmp/cxsink-payload-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static struct job_op file_op(void)
{
    struct job_op op = {.payload = {.type = JOB_PAYLOAD_FILE, .path = path}};
    buf_append_text(&op.body, "{\"value\":\"");
    buf_append_text(&op.body_tail, "\"}");
    return op;
}

static void free_op(struct job_op *op)
{
    buf_deinit(&op->body);
    buf_deinit(&op->body_tail);
}

// Reads in pieces of `size`.
static void read_all(struct http_source *source, size_t size, struct buf *out)
{
    size_t n;
    buf_clear(out);
    while ((n = source->read(source->owner, buf_reserve(out, size), size)) != 0) {
        assert_int_not_equal(n, HTTP_READ_FAILED);
        assert_true(n <= size);
        out->len += n;
    }
    assert_int_equal(out->len, source->length);
}

static void check_file_of(size_t size)
{
    unsigned char *data = malloc(size + 1);
    struct buf expected = {0}, got = {0};
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    make_file(data, size);
    struct job_op op = file_op();
    struct payload *p = payload_open(&op, NULL);
    assert_non_null(p);
    buf_append(&expected, op.body.data, op.body.len);
    base64_encode(data, size, buf_reserve(&expected, BASE64_LENGTH(size)));
    expected.len += BASE64_LENGTH(size);
    buf_append(&expected, op.body_tail.data, op.body_tail.len);
    struct http_source source = payload_source(p);
    for (size_t piece = 1; piece <= 65536; piece = piece * 16 + 1) {
        read_all(&source, size > 100000 ? 65536 : piece, &got);
        assert_int_equal(got.len, expected.len);
        assert_memory_equal(got.data, expected.data, got.len);
        assert_true(source.rewind(source.owner));
    }
    payload_close(&p);
    assert_null(p);
    free_op(&op);
    unlink(path);
    buf_deinit(&expected);
    buf_deinit(&got);
    free(data);
}

static void files_of_all_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 4, 49151, 49152, 49153, 98304, 1000001};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_file_of(sizes[i]);
}

static void texts_lose_line_ends_and_gain_padding(void **state)
{
    static const struct {
        const char *text, *body;
    } cases[] = {
        {"", "<>"},         {"Zg", "<Zg==>"},         {"Zm8", "<Zm8=>"},     {"Zm9v", "<Zm9v>"},
        {"Zg==", "<Zg==>"}, {"Zm\r\n8=\n", "<Zm8=>"}, {"\nZm\n9v", "<Zm9v>"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job_op op = {.payload = {.type = JOB_PAYLOAD_BASE64,
                                        .base64 = cases[i].text,
                                        .base64_length = strlen(cases[i].text)}};
        struct buf got = {0};
        buf_append_text(&op.body, "<");
        buf_append_text(&op.body_tail, ">");
        struct payload *p = payload_open(&op, NULL);
        struct http_source source = payload_source(p);
        read_all(&source, 3, &got);
        assert_string_equal(buf_text(&got), cases[i].body);
        buf_clear(&got);
        assert_true(payload_write(p, &got));
        assert_string_equal(buf_text(&got), cases[i].body);
        payload_close(&p);
        free_op(&op);
        buf_deinit(&got);
    }
}

static void long_texts_come_in_pieces(void **state)
{
    size_t length = 300001;
    char *text = malloc(length);
    struct buf got = {0};
    (void)state;
    memset(text, 'A', length);
    struct job_op op = {
        .payload = {.type = JOB_PAYLOAD_BASE64, .base64 = text, .base64_length = length - 3}};
    struct payload *p = payload_open(&op, NULL);
    struct http_source source = payload_source(p);
    read_all(&source, 65536, &got);
    assert_int_equal(got.len, 300000);
    assert_memory_equal(got.data + 299996, "AA==", 4);
    payload_close(&p);
    buf_deinit(&got);
    free(text);
}

static void files_that_cannot_be_sent(void **state)
{
    struct status st = {0};
    (void)state;
    strcpy(path, "/nonexistent/x.pdf");
    struct job_op op = file_op();
    assert_null(payload_open(&op, &st));
    assert_int_equal(st.code, STATUS_NOT_FOUND);
    assert_non_null(strstr(st.detail, "/nonexistent/x.pdf"));
    strcpy(path, "/tmp");
    assert_null(payload_open(&op, &st));
    assert_int_equal(st.code, STATUS_INVALID);
    make_file("12345", 5);
    op.payload.max_bytes = 4;
    assert_null(payload_open(&op, &st));
    assert_int_equal(st.code, STATUS_INVALID);
    assert_non_null(strstr(st.detail, "5 bytes, more than the 4 allowed"));
    op.payload.max_bytes = 5;
    struct payload *p = payload_open(&op, &st);
    assert_non_null(p);
    payload_close(&p);
    unlink(path);
    free_op(&op);
}

static void without_a_payload_the_rest_remains(void **state)
{
    struct job_op op = {0};
    struct buf got = {0};
    (void)state;
    buf_append_text(&op.body, "{}");
    struct payload *p = payload_open(&op, NULL);
    struct http_source source = payload_source(p);
    read_all(&source, 10, &got);
    assert_string_equal(buf_text(&got), "{}");
    payload_close(&p);
    free_op(&op);
    buf_deinit(&got);
}

static void fifos_do_not_block(void **state)
{
    struct status st = {0};
    (void)state;
    make_file("", 0);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct job_op op = file_op();
    assert_null(payload_open(&op, &st));
    assert_int_equal(st.code, STATUS_INVALID);
    unlink(path);
    free_op(&op);
}

static void a_file_that_is_cut_fails(void **state)
{
    char data[1000] = "", buffer[2000];
    (void)state;
    make_file(data, sizeof(data));
    struct job_op op = file_op();
    struct payload *p = payload_open(&op, NULL);
    struct http_source source = payload_source(p);
    assert_int_equal(truncate(path, 999), 0);
    assert_int_equal(source.read(source.owner, buffer, 100), op.body.len);
    assert_int_equal(source.read(source.owner, buffer, 100), HTTP_READ_FAILED);
    payload_close(&p);
    unlink(path);
    free_op(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_all_sizes),
        cmocka_unit_test(texts_lose_line_ends_and_gain_padding),
        cmocka_unit_test(long_texts_come_in_pieces),
        cmocka_unit_test(files_that_cannot_be_sent),
        cmocka_unit_test(without_a_payload_the_rest_remains),
        cmocka_unit_test(fifos_do_not_block),
        cmocka_unit_test(a_file_that_is_cut_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
