// SPDX-License-Identifier: Apache-2.0
// What the commands share: where the configuration is, how faults are printed, what a terminal is
// shown.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/daemon.h"
#include "cli/common.h"
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- what is written to a descriptor ---

struct capture {
    FILE *stream, *file;
    int kept;
};

static struct capture capture_start(FILE *stream)
{
    struct capture c = {.stream = stream, .file = tmpfile()};
    assert_non_null(c.file);
    fflush(stream);
    c.kept = dup(fileno(stream));
    dup2(fileno(c.file), fileno(stream));
    return c;
}

// What was written since; to be freed.
static char *capture_end(struct capture *c)
{
    fflush(c->stream);
    dup2(c->kept, fileno(c->stream));
    close(c->kept);
    long size = fseek(c->file, 0, SEEK_END) == 0 ? ftell(c->file) : 0;
    rewind(c->file);
    char *text = mem_zalloc((size_t)size + 1);
    assert_int_equal(fread(text, 1, (size_t)size, c->file), size);
    fclose(c->file);
    return text;
}

static void expect(struct capture *c, const char *wanted)
{
    char *text = capture_end(c);
    assert_string_equal(text, wanted);
    free(text);
}

// --- the configuration ---

static void path_of_the_configuration(void **state)
{
    (void)state;
    setenv("CXSINK_CONFIG", "/env.json", 1);
    assert_string_equal(cli_config_path("given.json"), "given.json");
    assert_string_equal(cli_config_path(NULL), "/env.json");
    setenv("CXSINK_CONFIG", "", 1);
    assert_string_equal(cli_config_path(NULL), "/etc/cxsink/cxsink.json");
    unsetenv("CXSINK_CONFIG");
    assert_string_equal(cli_config_path(NULL), "/etc/cxsink/cxsink.json");
}

static void faults_as_text(void **state)
{
    (void)state;
    struct config_faults faults = {0};
    config_faults_add(&faults, 7, "/streams/main/url", "is wrong; mend it");
    config_faults_add(&faults, 0, "", "cannot be read");
    struct capture c = capture_start(stderr);
    cli_print_faults("a.json", &faults, false);
    expect(&c, "a.json:7: /streams/main/url: is wrong; mend it\na.json: (root): cannot be read\n");
    config_faults_free(&faults);
}

static void faults_as_json(void **state)
{
    (void)state;
    struct config_faults faults = {0};
    struct capture c = capture_start(stdout);
    cli_print_faults("a.json", &faults, true);
    expect(&c, "[]\n");
    config_faults_add(&faults, 7, "/a\"b", "one");
    config_faults_warn(&faults, "", "two");
    c = capture_start(stdout);
    cli_print_faults("a.json", &faults, true);
    expect(&c, "[{\"file\":\"a.json\",\"line\":7,\"pointer\":\"/a\\\"b\",\"message\":\"one\","
               "\"severity\":\"fault\"},"
               "{\"file\":\"a.json\",\"line\":0,\"pointer\":\"\",\"message\":\"two\","
               "\"severity\":\"warning\"}]\n");
    c = capture_start(stderr);
    cli_print_faults("a.json", &faults, false);
    expect(&c, "a.json:7: /a\"b: one\na.json: (root): warning: two\n");
    config_faults_free(&faults);
}

static void a_configuration_that_is_not_there(void **state)
{
    (void)state;
    struct capture c = capture_start(stderr);
    assert_null(cli_load_config("/nonexistent/cxsink.json"));
    char *text = capture_end(&c);
    assert_non_null(strstr(text, "/nonexistent/cxsink.json"));
    assert_non_null(strstr(text, "No such file"));
    free(text);
}

static void wrong_usage(void **state)
{
    (void)state;
    struct capture c = capture_start(stderr);
    assert_int_equal(cli_usage_error("load", "no %s", "file"), EXIT_WRONG_USAGE);
    expect(&c, "cxsink load: no file; see `cxsink load --help`\n");
}

// --- texts from outside ---

static void plain(const char *text, size_t length, bool lines, const char *wanted)
{
    struct capture c = capture_start(stdout);
    cli_print_plain(text, length, lines);
    expect(&c, wanted);
}

static void texts_that_cannot_steer_a_terminal(void **state)
{
    (void)state;
    plain("", 0, false, "");
    plain("a b~", 4, false, "a b~");
    plain("Grüße, 漢 👍", strlen("Grüße, 漢 👍"), false, "Grüße, 漢 👍");
    plain("\x1b[2J\x7f\0", 6, false, "\\x1b[2J\\x7f\\x00");
    plain("a\r\n\tb", 5, false, "a\\x0d\\x0a\\x09b");
    plain("a\r\n\tb", 5, true, "a\\x0d\n\tb");
    plain("\xc2\x9b\xc2\xa0", 4, true, "\\xc2\\x9b\xc2\xa0"); // CSI of 8-bit terminals
    plain("\xff\xc0\xaf\xed\xa0\x80\xe2\x82", 8, true,
          "\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xe2\\x82"); // no UTF-8
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_of_the_configuration),
        cmocka_unit_test(faults_as_text),
        cmocka_unit_test(faults_as_json),
        cmocka_unit_test(a_configuration_that_is_not_there),
        cmocka_unit_test(wrong_usage),
        cmocka_unit_test(texts_that_cannot_steer_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
