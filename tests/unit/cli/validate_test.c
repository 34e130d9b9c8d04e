// SPDX-License-Identifier: Apache-2.0
// cxsink validate, called as main() calls it, with its output and exit code.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/validate.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char event_schema[] =
    "{\"type\":\"object\",\"required\":[\"id\"],\"properties\":{\"id\":{\"type\":\"string\"},"
    "\"at\":{\"format\":\"date\"}}}";

// A directory with a schema and an input; the outcome of the last run.
struct fixture {
    char dir[64];
    char out[16384], err[4096];
};

static char *path_of(const struct fixture *fixture, const char *name)
{
    static char paths[16][128]; // enough for all of one run
    static unsigned next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof(paths[0]), "%s/%s", fixture->dir, name);
    return path;
}

static void write_file(const struct fixture *fixture, const char *name, const char *text,
                       size_t length)
{
    FILE *file = fopen(path_of(fixture, name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    strcpy(fixture->dir, "/tmp/validate-test-XXXXXX");
    if (mkdtemp(fixture->dir) == NULL)
        return -1;
    write_file(fixture, "s.json", event_schema, strlen(event_schema));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"s.json", "in", "out", "err", "in2"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(path_of(fixture, names[i]));
    rmdir(fixture->dir);
    free(fixture);
    return 0;
}

// Sends a descriptor to a file of the fixture; returns what it was.
static int redirect(const struct fixture *fixture, int fd, const char *name, int flags)
{
    int kept = dup(fd);
    int file = open(path_of(fixture, name), flags | O_CLOEXEC, 0600);

    assert_true(kept >= 0 && file >= 0);
    dup2(file, fd);
    close(file);
    return kept;
}

static void restore(int fd, int kept)
{
    dup2(kept, fd);
    close(kept);
}

static void read_back(const struct fixture *fixture, const char *name, char *text, size_t size)
{
    FILE *file = fopen(path_of(fixture, name), "r");
    size_t n = fread(text, 1, size - 1, file);

    text[n] = '\0';
    fclose(file);
}

// Runs `validate` with these arguments (up to NULL), the file "in" on standard input.
static int run(struct fixture *fixture, const char *first, ...)
{
    char *argv[16] = {"validate"};
    int argc = 1;
    va_list args;

    va_start(args, first);
    for (const char *arg = first; arg != NULL; arg = va_arg(args, const char *))
        argv[argc++] = (char *)arg;
    va_end(args);
    fflush(stdout);
    int out = redirect(fixture, STDOUT_FILENO, "out", O_WRONLY | O_CREAT | O_TRUNC);
    int err = redirect(fixture, STDERR_FILENO, "err", O_WRONLY | O_CREAT | O_TRUNC);
    int in = redirect(fixture, STDIN_FILENO, "in", O_RDONLY | O_CREAT);
    int code = cli_validate(argc, argv);
    fflush(stdout);
    restore(STDIN_FILENO, in);
    restore(STDERR_FILENO, err);
    restore(STDOUT_FILENO, out);
    read_back(fixture, "out", fixture->out, sizeof(fixture->out));
    read_back(fixture, "err", fixture->err, sizeof(fixture->err));
    return code;
}

static void write_input(const struct fixture *fixture, const char *text)
{
    write_file(fixture, "in", text, strlen(text));
}

static void test_valid(void **state)
{
    struct fixture *f = *state;

    write_input(f, "{\"id\":\"a\"}\n\r\n  \n{\"id\":\"b\",\"at\":\"2025-01-31\"}\r\n{\"id\":\"\"}");
    assert_int_equal(run(f, "--schema", path_of(f, "s.json"), path_of(f, "in"), NULL), 0);
    assert_string_equal(f->out, "");
    assert_string_equal(f->err, "");
    write_input(f, "");
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "-c", "/nowhere", NULL), 0);
}

static void test_faults(void **state)
{
    struct fixture *f = *state;

    write_input(
        f, "{\"id\":\"a\"}\n{\"id\":1,\"at\":\"2025-02-30\"}\n\n[]\n{\"id\":\"\n{\"id\":null}");
    assert_int_equal(run(f, "--schema", path_of(f, "s.json"), NULL), 1);
    assert_non_null(strstr(f->out, "-:2: /id: expected string, found number (type at "
                                   "/properties/id/type)\n"
                                   "-:2: /at: expected a string of format date (format at "
                                   "/properties/at/format)\n"
                                   "-:4: : expected object, found array (type at /type)\n"
                                   "-:5: : "));
    assert_non_null(strstr(f->out, " (json.syntax)\n-:6: /id: expected string, found null"));
}

static void test_json_faults(void **state)
{
    struct fixture *f = *state;

    write_input(f, "{\"id\":1}\n{\"id\":\"\xff\"}\n");
    assert_int_equal(run(f, "--json", "--schema", path_of(f, "s.json"), "-", NULL), 1);
    assert_non_null(strstr(f->out, "{\"file\":\"-\",\"line\":1,\"instance\":\"/id\",\"schema\":"
                                   "\"/properties/id/type\",\"keyword\":\"type\",\"message\":"
                                   "\"expected string, found number\",\"location\":"
                                   "\"/properties/id/type\"}\n"
                                   "{\"file\":\"-\",\"line\":2,\"instance\":\"\",\"schema\":null,"
                                   "\"keyword\":\"json.encoding\",\"message\":"));
}

static void test_quiet(void **state)
{
    struct fixture *f = *state;

    write_input(f, "{\"id\":1}\nnonsense\n");
    assert_int_equal(run(f, "-q", "--schema", path_of(f, "s.json"), path_of(f, "in"), NULL), 1);
    assert_string_equal(f->out, "");
    assert_string_equal(f->err, "");
}

static void test_several_files(void **state)
{
    struct fixture *f = *state;

    write_input(f, "[]\n");
    write_file(f, "in2", "{\"id\":\"\"}\n[]", 12);
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), path_of(f, "in2"), "-", NULL), 1);
    assert_non_null(strstr(f->out, "/in2:2: : expected object"));
    assert_non_null(strstr(f->out, "\n-:1: : expected object"));
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "/nowhere/at/all", path_of(f, "in2"), NULL),
                     64);
    assert_non_null(strstr(f->out, "/in2:2:")); // the other file is still looked at
    assert_non_null(strstr(f->err, "cannot open /nowhere/at/all: No such file"));
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), f->dir, NULL), 64);
    assert_non_null(strstr(f->err, "cannot read"));
}

static void test_names_are_harmless(void **state)
{
    struct fixture *f = *state;
    const char *schema = "{\"additionalProperties\":false}";

    write_file(f, "s.json", schema, strlen(schema));
    write_input(f, "{\"\\u001b[2J\\n\\u009b\\u007f~/\xc3\xa4\":1}");
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 1);
    assert_string_equal(f->out, "-:1: /\\x1b[2J\\x0a\\xc2\\x9b\\x7f~0~1\xc3\xa4: this member is "
                                "not allowed (additionalProperties at /additionalProperties)\n");
}

static void test_many_faults_of_a_line(void **state)
{
    struct fixture *f = *state;
    char line[1024] = "[";
    const char *schema = "{\"items\":false}";

    for (int i = 0; i < 103; i++)
        strcat(line, i ? ",1" : "1");
    strcat(line, "]\n");
    write_file(f, "s.json", schema, strlen(schema));
    write_input(f, line);
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 1);
    assert_non_null(strstr(f->out, "-:1: /99: "));
    assert_non_null(strstr(f->out, "-:1: : 3 more faults on this line (more)\n"));
}

static void write_schema(const struct fixture *f, const char *text)
{
    write_file(f, "s.json", text, strlen(text));
}

static void write_long_line(const struct fixture *f, size_t length, const char *rest)
{
    FILE *file = fopen(path_of(f, "in"), "w");

    assert_non_null(file);
    fputs("[", file);
    for (size_t i = 2; i < length; i++)
        fputc(' ', file);
    fprintf(file, "]%s", rest);
    fclose(file);
}

// A line beyond the cap is told once, and the next one is read on its own.
static void test_too_long_line(void **state)
{
    struct fixture *f = *state;
    const char *told = "-:1: : the line is longer than 16MiB (frame.too_large)\n"
                       "-:2: : expected object, found array (type at /type)\n";

    write_long_line(f, (16 << 20) + 1, "\n[]\n");
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 1);
    assert_string_equal(f->out, told);
    write_long_line(f, 17 << 20, "\r\n[]");
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 1);
    assert_string_equal(f->out, told);
    write_long_line(f, 17 << 20, ""); // without an end
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 1);
    assert_string_equal(f->out, "-:1: : the line is longer than 16MiB (frame.too_large)\n");
}

static void test_max_line(void **state)
{
    struct fixture *f = *state;
    const char *array = "-:1: : expected object, found array (type at /type)\n";
    const char *too_long = "-:1: : the line is longer than 1000B (frame.too_large)\n";

    for (int end = 0; end < 3; end++) {
        static const char *const ends[] = {"", "\n", "\r\n"};
        write_long_line(f, 1000, ends[end]);
        assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--max-line", "1000", NULL), 1);
        assert_string_equal(f->out, array);
        write_long_line(f, 1001, ends[end]);
        assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--max-line=1KB", NULL), 1);
        assert_string_equal(f->out, too_long);
    }
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--max-line", "much", NULL), 64);
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--max-line", "0", NULL), 64);
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--max-line", "2GiB", NULL), 64);
    assert_non_null(strstr(f->err, "--max-line is a size up to 1GiB, as in 64MiB, not \"2GiB\""));
}

static void test_basic_output(void **state)
{
    struct fixture *f = *state;
    char expected[2048];

    write_input(f, "{\"id\":1,\"at\":\"x\"}\n{\"id\":\"a\"}\n[\n{}\n");
    assert_int_equal(run(f, "--output", "basic", "-s", path_of(f, "s.json"), "-", NULL), 1);
    snprintf(expected, sizeof(expected),
             "{\"file\":\"-\",\"line\":1,\"valid\":false,\"errors\":[{\"valid\":false,"
             "\"keywordLocation\":\"/properties/id/type\",\"absoluteKeywordLocation\":"
             "\"file://%s/s.json#/properties/id/type\",\"instanceLocation\":\"/id\",\"error\":"
             "\"expected string, found number\"},{\"valid\":false,\"keywordLocation\":"
             "\"/properties/at/format\",\"absoluteKeywordLocation\":"
             "\"file://%s/s.json#/properties/at/format\",\"instanceLocation\":\"/at\",\"error\":"
             "\"expected a string of format date\"}]}\n"
             "{\"file\":\"-\",\"line\":3,\"valid\":false,\"errors\":[{\"valid\":false,"
             "\"keywordLocation\":\"\",\"instanceLocation\":\"\",\"error\":\"expected a value, at "
             "byte 2\"}]}\n"
             "{\"file\":\"-\",\"line\":4,\"valid\":false,\"errors\":[{\"valid\":false,"
             "\"keywordLocation\":\"/required\",\"absoluteKeywordLocation\":"
             "\"file://%s/s.json#/required\",\"instanceLocation\":\"\",\"error\":"
             "\"expected a member \\\"id\\\"\"}]}\n",
             f->dir, f->dir, f->dir);
    assert_string_equal(f->out, expected);
    assert_int_equal(run(f, "-q", "--output=basic", "-s", path_of(f, "s.json"), "-", NULL), 1);
    assert_string_equal(f->out, "");
    assert_int_equal(run(f, "--output", "verbose", "-s", path_of(f, "s.json"), NULL), 64);
    assert_non_null(strstr(f->err, "--output is text or basic, not \"verbose\""));
    assert_int_equal(run(f, "--output", "text", "-s", path_of(f, "s.json"), NULL), 1);
    assert_non_null(strstr(f->out, "-:4: : expected a member \"id\" (required at /required)\n"));
    write_schema(f, "{\"$id\":\"https://h.example/s\",\"type\":\"object\"}");
    assert_int_equal(run(f, "--output", "basic", "-s", path_of(f, "s.json"), "-", NULL), 1);
    write_input(f, "1\n");
    assert_int_equal(run(f, "--output", "basic", "-s", path_of(f, "s.json"), "-", NULL), 1);
    assert_non_null(strstr(f->out, "\"keywordLocation\":\"/type\",\"absoluteKeywordLocation\":"
                                   "\"https://h.example/s#/type\",\"instanceLocation\":\"\","));
}

static void test_closest_branch(void **state)
{
    struct fixture *f = *state;
    const char *schema =
        "{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":"
        "{\"minimum\":3}}}";

    write_file(f, "s.json", schema, strlen(schema));
    write_input(f, "1\n");
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 1);
    assert_string_equal(f->out, "-:1: : expected a match of at least one of 2 schemas, found none; "
                                "/anyOf/1 comes closest (anyOf at /anyOf)\n"
                                "-:1: : expected a number of at least 3 (minimum at "
                                "/$defs/a/minimum)\n");
    assert_int_equal(run(f, "--json", "-s", path_of(f, "s.json"), NULL), 1);
    assert_non_null(strstr(f->out, "\"location\":\"/anyOf/1/$ref/minimum\",\"beneath\":1}\n"));
}

static void test_byte_order_mark(void **state)
{
    struct fixture *f = *state;

    write_input(f, "\xef\xbb\xbf{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 1);
    assert_non_null(strstr(f->out, "-:1: : "));
    assert_null(strstr(f->out, "-:2:"));
}

// 12 MB in lines of many lengths, some of them longer than a part; every seventh line is not valid.
static void write_many_lines(const struct fixture *f)
{
    FILE *file = fopen(path_of(f, "in"), "w");

    assert_non_null(file);
    for (int i = 1; ftell(file) < 12 << 20; i++) {
        int length = i == 2000 ? 5 << 20 : i == 2001 ? 0 : i * 37 % 1000;
        fprintf(file, i % 7 == 0 ? "{\"id\":%d,\"x\":\"" : "{\"id\":\"%d\",\"x\":\"", i);
        for (int k = 0; k < length; k++)
            fputc('x', file);
        fputs(i % 50 == 0 ? "\"}\r\n\n" : "\"}\n", file);
    }
    fclose(file);
}

// Processes tell the same, in the same order, as one.
static void test_jobs(void **state)
{
    struct fixture *f = *state;
    const char *count = "{\"id\":1}\n[]";
    char *alone = malloc(sizeof(f->out));

    write_many_lines(f);
    write_file(f, "in2", count, strlen(count));
    for (int json = 0; json < 2; json++) {
        const char *form = json ? "--json" : "--output=text";
        assert_int_equal(
            run(f, form, "-s", path_of(f, "s.json"), path_of(f, "in"), path_of(f, "in2"), NULL), 1);
        assert_int_equal(strlen(f->out), sizeof(f->out) - 1); // as much as the fixture keeps
        memcpy(alone, f->out, sizeof(f->out));
        for (int jobs = 2; jobs <= 5; jobs++) {
            char n[16];
            snprintf(n, sizeof(n), "-j%d", jobs);
            assert_int_equal(run(f, form, n, "-s", path_of(f, "s.json"), path_of(f, "in"),
                                 path_of(f, "in2"), NULL),
                             1);
            assert_string_equal(f->out, alone);
        }
    }
    // what comes last
    for (int jobs = 1; jobs <= 3; jobs++) {
        char n[16];
        snprintf(n, sizeof(n), "-j%d", jobs);
        write_schema(f, "{\"maxProperties\":1}");
        assert_int_equal(run(f, n, "-q", "-s", path_of(f, "s.json"), path_of(f, "in"), NULL), 1);
        write_schema(f, "{\"properties\":{\"x\":{\"minLength\":4000000}}}");
        assert_int_equal(
            run(f, n, "--max-line", "3MiB", "-s", path_of(f, "s.json"), path_of(f, "in"), NULL), 1);
        write_schema(f, "{\"properties\":{\"x\":{\"maxLength\":4000000}}}");
        assert_int_equal(run(f, n, "-s", path_of(f, "s.json"), path_of(f, "in"), NULL), 1);
        char expected[512];
        snprintf(expected, sizeof(expected),
                 "%s:2039: /x: expected at most 4000000 characters, found 5242880 (maxLength at "
                 "/properties/x/maxLength)\n",
                 path_of(f, "in"));
        assert_string_equal(f->out, expected);
    }
    free(alone);
}

static void test_jobs_quiet(void **state)
{
    struct fixture *f = *state;

    write_many_lines(f);
    assert_int_equal(run(f, "-q", "-j3", "-s", path_of(f, "s.json"), path_of(f, "in"), NULL), 1);
    assert_string_equal(f->out, "");
    assert_string_equal(f->err, "");
    write_schema(f, "true");
    assert_int_equal(run(f, "-q", "-j3", "-s", path_of(f, "s.json"), path_of(f, "in"), NULL), 0);
    assert_int_equal(run(f, "-j3", "-s", path_of(f, "s.json"), path_of(f, "in"), NULL), 0);
    assert_string_equal(f->out, "");
}

static void test_jobs_with_trouble(void **state)
{
    struct fixture *f = *state;

    write_many_lines(f);
    assert_int_equal(run(f, "-j2", "-s", path_of(f, "s.json"), "/nowhere/at/all", path_of(f, "in"),
                         f->dir, NULL),
                     64);
    assert_non_null(strstr(f->err, "cannot open /nowhere/at/all: No such file"));
    assert_non_null(strstr(f->err, "cannot read "));
    assert_non_null(strstr(f->out, "/in:7: /id: expected string"));
    assert_int_equal(run(f, "--jobs", "0", "-s", path_of(f, "s.json"), NULL), 64);
    assert_int_equal(run(f, "--jobs", "two", "-s", path_of(f, "s.json"), NULL), 64);
    assert_int_equal(run(f, "--jobs=", "-s", path_of(f, "s.json"), NULL), 64);
    assert_int_equal(run(f, "--jobs=257", "-s", path_of(f, "s.json"), NULL), 64);
    assert_non_null(strstr(f->err, "--jobs is a number from 1 to 256, not \"257\""));
}

static void test_faulty_schema(void **state)
{
    struct fixture *f = *state;
    const char *schema = "{\n \"typ\": 1,\n \"requird\": 2\n}";
    char expected[256];

    write_file(f, "s.json", schema, strlen(schema));
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 78);
    snprintf(expected, sizeof(expected), "%s/s.json:2:2: /typ: ", f->dir);
    assert_non_null(strstr(f->err, expected));
    snprintf(expected, sizeof(expected), "%s/s.json:3:2: /requird: ", f->dir);
    assert_non_null(strstr(f->err, expected));
    assert_int_equal(run(f, "--json", "-s", path_of(f, "s.json"), NULL), 78);
    assert_non_null(strstr(f->out, "\"line\":2,\"column\":2,\"pointer\":\"/typ\",\"message\":"));
    assert_int_equal(run(f, "-s", "/nowhere.json", NULL), 78);
    assert_non_null(strstr(f->err, "/nowhere.json"));
    write_file(f, "s.json", "", 0);
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 78);
}

static void test_options(void **state)
{
    struct fixture *f = *state;
    const char *schema = "{\"items\":[{\"format\":\"date\"}]}";

    write_input(f, "[\"2025\"]\n");
    write_file(f, "s.json", schema, strlen(schema));
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), NULL), 78); // an array: not in 2020-12
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--draft", "7", NULL), 1);
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--draft=7", "--formats=annotate", NULL),
                     0);
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--draft=7", "--formats=assert", NULL), 1);
    assert_int_equal(run(f, "-s", path_of(f, "s.json"), "--draft=4", NULL), 1);
}

static void test_references(void **state)
{
    struct fixture *f = *state;
    static const char schema[] = "{\"$ref\":\"http://a/b/s.json\"}";
    char file[256], dir[256];

    write_file(f, "in2", schema, strlen(schema));
    write_input(f, "{\"id\":1}\n");
    assert_int_equal(run(f, "-s", path_of(f, "in2"), NULL), 78);
    assert_non_null(strstr(f->err, "register it with --ref URI=FILE"));
    snprintf(file, sizeof(file), "http://a/b/s.json=%s", path_of(f, "s.json"));
    assert_int_equal(run(f, "-s", path_of(f, "in2"), "--ref", file, NULL), 1);
    assert_non_null(strstr(f->out, "s.json#/properties/id/type"));
    snprintf(dir, sizeof(dir), "http://a/b=%s", f->dir);
    assert_int_equal(run(f, "-s", path_of(f, "in2"), "--ref-dir", dir, NULL), 1);
    write_file(f, "s.json", "{\"typ\":1}", 9);
    assert_int_equal(run(f, "-s", path_of(f, "in2"), "--ref", file, NULL), 78);
    assert_non_null(strstr(f->err, "/s.json:1:2: /typ: "));
    assert_int_equal(run(f, "-s", path_of(f, "in2"), "--ref", file, "--json", NULL), 78);
    assert_non_null(strstr(f->out, "/s.json\",\"line\":1"));
    assert_int_equal(run(f, "-s", path_of(f, "in2"), "--ref", file, "--strict", "off", NULL), 0);
}

static void test_usage(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f, NULL), 64);
    assert_non_null(strstr(f->err, "--schema FILE is needed"));
    assert_int_equal(run(f, "--nonsense", NULL), 64);
    assert_non_null(strstr(f->err, "unknown option \"--nonsense\""));
    assert_int_equal(run(f, "--schema", NULL), 64);
    assert_non_null(strstr(f->err, "--schema needs a value"));
    assert_int_equal(run(f, "--formats", "maybe", NULL), 64);
    assert_non_null(strstr(f->err, "--formats is assert or annotate, not \"maybe\""));
    assert_int_equal(run(f, "--draft", "3", NULL), 64);
    assert_int_equal(run(f, "--strict", "on", NULL), 64);
    assert_int_equal(run(f, "--ref", "http://a/b", NULL), 64);
    assert_non_null(strstr(f->err, "--ref is URI=FILE"));
    assert_int_equal(run(f, "--ref", "http://a/=b", NULL), 64);
    assert_non_null(strstr(f->err, "--ref-dir"));
    assert_int_equal(run(f, "--ref-dir", "http://a=", NULL), 64);
    assert_non_null(strstr(f->err, "--ref-dir is BASE-URI=DIR"));
    assert_int_equal(run(f, "--ref", "a=b", NULL), 64);
    assert_non_null(strstr(f->err, "not an absolute URI"));
    assert_int_equal(run(f, "--help", NULL), 0);
    assert_non_null(strstr(f->out, "usage: cxsink validate"));
}

static void test_output_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    char *argv[] = {"validate", "-s", path_of(f, "s.json"), path_of(f, "in"), NULL};

    write_input(f, "[]\n");
    fflush(stdout);
    int err = redirect(f, STDERR_FILENO, "err", O_WRONLY | O_CREAT | O_TRUNC);
    int kept = dup(STDOUT_FILENO);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    dup2(full, STDOUT_FILENO);
    close(full);
    int code = cli_validate(4, argv);
    restore(STDOUT_FILENO, kept);
    restore(STDERR_FILENO, err);
    clearerr(stdout);
    assert_int_equal(code, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_valid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_faults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quiet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_are_harmless, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_faults_of_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_long_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_max_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_basic_output, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closest_branch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_byte_order_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs_quiet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jobs_with_trouble, setup, teardown),
        cmocka_unit_test_setup_teardown(test_faulty_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references, setup, teardown),
        cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_cannot_be_written, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
