// SPDX-License-Identifier: Apache-2.0
// cxsink validate: one line at a time through one buffer, so that files of any size take the memory
// of their longest line. Faults go to stdout, what is wrong with the call to stderr.
#include "cli/validate.h"

#include "app/daemon.h"
#include "cli/common.h"
#include "core/buf.h"
#include "core/fsio.h"
#include "core/mem.h"
#include "json/tape.h"
#include "schema/compile.h"
#include "schema/validate.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE ((size_t)256 << 10)
#define SCHEMA_FAULTS_MAX 200
#define LINE_ERRORS_MAX 100

static const char help[] =
    "usage: cxsink validate --schema FILE [OPTION...] [FILE...]\n"
    "\n"
    "Validates NDJSON files (-: standard input, also without FILE) against a JSON Schema, as the\n"
    "daemon does. One line a fault: FILE:LINE: INSTANCE-POINTER: message (keyword at\n"
    "SCHEMA-POINTER); for a line that is not JSON, message (json.syntax or the like). Empty lines\n"
    "are passed over.\n"
    "\n"
    "  -s, --schema FILE      the schema\n"
    "  -q, --quiet            no faults, only the exit code; stops at the first\n"
    "      --json             each fault as a JSON object\n"
    "      --formats assert   \"format\" must hold (the default)\n"
    "      --formats annotate \"format\" says nothing\n"
    "      --draft DRAFT      where the schema has no \"$schema\": 2020-12 (the default), "
    "2019-09,\n"
    "                         7 or 6\n"
    "  -h, --help             this help\n"
    "\n"
    "Exit codes: 0 all valid; 1 a line is not; 64 wrong usage, or a file that cannot be read;\n"
    "78 the schema is faulty (each fault as FILE:LINE:COLUMN: POINTER: message).\n";

struct request {
    const char *schema_path;
    bool quiet, json;
    struct schema_options options;
};

// A run over all files.
struct check {
    const struct request *request;
    const struct schema *schema;
    struct tape tape;
    struct schema_error *errors; // LINE_ERRORS_MAX
    const char *file;
    uint64_t line;
    uint64_t n_lines, n_invalid;
    struct buf out; // scratch for JSON
};

// --- telling -------------------------------------------------------------------------------------

// Names of members come from the events: no control character of theirs reaches a terminal.
static void print_text(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p < ' ' || *p == 0x7f)
            printf("\\u%04x", *p);
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) // C1 controls
            printf("\\u%04x", *++p);
        else
            putchar(*p);
    }
}

static void json_member(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
    if (value == NULL)
        buf_append_text(out, "null");
    else
        buf_json_string(out, value, strlen(value));
}

static void tell_json(struct check *check, const struct schema_error *error)
{
    struct buf *out = &check->out;

    buf_clear(out);
    buf_append_text(out, "{");
    json_member(out, "file", check->file);
    buf_printf(out, ",\"line\":%" PRIu64, check->line);
    json_member(out, "instance", error->instance);
    json_member(out, "schema", error->schema[0] == '\1' ? NULL : error->schema);
    json_member(out, "keyword", error->keyword);
    json_member(out, "message", error->message);
    printf("%s}\n", buf_text(out));
}

static void tell_error(struct check *check, const struct schema_error *error)
{
    if (check->request->json) {
        tell_json(check, error);
        return;
    }
    print_text(check->file);
    printf(":%" PRIu64 ": ", check->line);
    print_text(error->instance);
    printf(": ");
    print_text(error->message);
    if (error->schema[0] == '\1') {
        printf(" (%s)\n", error->keyword);
        return;
    }
    printf(" (%s at ", error->keyword);
    print_text(error->schema);
    printf(")\n");
}

// A fault of the line as such, which no keyword has found.
static void tell_line(struct check *check, const char *code, const char *message)
{
    struct schema_error error = {.keyword = code, .schema = "\1"};

    check->n_invalid++;
    if (check->request->quiet)
        return;
    snprintf(error.message, sizeof(error.message), "%s", message);
    tell_error(check, &error);
}

static void tell_malformed(struct check *check)
{
    char code[32], message[256];

    snprintf(code, sizeof(code), "json.%s", tape_error_name(check->tape.error));
    snprintf(message, sizeof(message), "%s, at byte %zu", check->tape.error_message,
             check->tape.error_offset + 1);
    tell_line(check, code, message);
}

static void tell_schema_faults(const struct request *request, const struct schema_faults *faults)
{
    struct buf out = {0};
    size_t shown = faults->count < faults->max ? faults->count : faults->max;

    for (size_t i = 0; i < shown; i++) {
        const struct schema_fault *fault = &faults->list[i];
        if (!request->json) {
            fprintf(stderr, "%s:%u:%u: %s: %s\n", request->schema_path, fault->line, fault->column,
                    fault->pointer, fault->message);
            continue;
        }
        buf_clear(&out);
        buf_append_text(&out, "{");
        json_member(&out, "file", request->schema_path);
        buf_printf(&out, ",\"line\":%u,\"column\":%u", fault->line, fault->column);
        json_member(&out, "pointer", fault->pointer);
        json_member(&out, "message", fault->message);
        printf("%s}\n", buf_text(&out));
    }
    if (faults->count > shown)
        fprintf(stderr, "cxsink validate: %zu more faults in %s\n", faults->count - shown,
                request->schema_path);
    buf_deinit(&out);
}

// --- lines ---------------------------------------------------------------------------------------

static bool is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

static void check_line(struct check *check, const char *line, size_t length)
{
    size_t max = check->request->quiet ? 0 : LINE_ERRORS_MAX;
    size_t n;
    char more[64];

    if (is_blank(line, length))
        return;
    check->n_lines++;
    if (!tape_parse(&check->tape, line, length)) {
        tell_malformed(check);
        return;
    }
    if (schema_validate(check->schema, &check->tape, check->errors, max, &n))
        return;
    check->n_invalid++;
    for (size_t i = 0; i < n && i < max; i++)
        tell_error(check, &check->errors[i]);
    if (max > 0 && n > max) {
        snprintf(more, sizeof(more), "%zu more faults on this line", n - max);
        tell_line(check, "more", more);
        check->n_invalid--; // counted already
    }
}

static bool is_done(const struct check *check)
{
    return check->request->quiet && check->n_invalid > 0;
}

// Takes whole lines out of `window`, from *scanned on, where the search for a line's end goes on.
// `skipping`: the line being read is too long and was told already.
static void take_lines(struct check *check, struct buf *window, size_t *scanned, bool *skipping)
{
    size_t start = 0;

    while (!is_done(check)) {
        const char *newline = memchr(window->data + *scanned, '\n', window->len - *scanned);
        if (newline == NULL)
            break;
        size_t end = (size_t)(newline - window->data);
        check->line++;
        if (!*skipping)
            check_line(check, window->data + start, end - start);
        *skipping = false;
        start = *scanned = end + 1;
    }
    memmove(window->data, window->data + start, window->len - start);
    window->len -= start;
    *scanned = window->len;
    if (window->len <= CLI_VALIDATE_LINE_MAX && !*skipping)
        return;
    if (!*skipping) {
        check->line++;
        check->n_lines++;
        tell_line(check, "frame.too_large", "the line is longer than 64 MiB");
        check->line--;
    }
    *skipping = true;
    buf_clear(window);
    *scanned = 0;
}

// False after a failed read, which is told.
static bool check_fd(struct check *check, int fd, struct buf *window)
{
    size_t scanned = 0;
    bool skipping = false;

    buf_clear(window);
    check->line = 0;
    while (!is_done(check)) {
        char *room = buf_reserve(window, READ_SIZE);
        ssize_t n = read(fd, room, READ_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fprintf(stderr, "cxsink validate: %s: cannot read: %s\n", check->file, strerror(errno));
            return false;
        }
        if (n == 0)
            break;
        window->len += (size_t)n;
        take_lines(check, window, &scanned, &skipping);
    }
    if (window->len > 0 && !skipping && !is_done(check)) { // the last line, without its end
        check->line++;
        check_line(check, window->data, window->len);
    }
    return true;
}

static int check_file(struct check *check, const char *path, struct buf *window)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    check->file = path;
    if (fd < 0) {
        fprintf(stderr, "cxsink validate: cannot open %s: %s\n", path, strerror(errno));
        return EXIT_WRONG_USAGE;
    }
    bool ok = check_fd(check, fd, window);
    if (!is_stdin)
        close(fd);
    return ok ? EXIT_DONE : EXIT_WRONG_USAGE;
}

// --- the whole -----------------------------------------------------------------------------------

static int check_files(struct check *check, int n, char **paths)
{
    static char *only_stdin[] = {"-"};
    struct buf window = {0};
    int code = EXIT_DONE;

    if (n == 0) {
        paths = only_stdin;
        n = 1;
    }
    tape_init(&check->tape, 0);
    check->errors = mem_realloc_array(NULL, LINE_ERRORS_MAX, sizeof(*check->errors));
    for (int i = 0; i < n && !is_done(check); i++) {
        int one = check_file(check, paths[i], &window);
        code = one != EXIT_DONE ? one : code;
    }
    if (isatty(STDERR_FILENO) && !check->request->quiet)
        fprintf(stderr, "%" PRIu64 " lines, %" PRIu64 " invalid\n", check->n_lines,
                check->n_invalid);
    tape_deinit(&check->tape);
    free(check->errors);
    buf_deinit(&check->out);
    buf_deinit(&window);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "cxsink validate: cannot write: %s\n", strerror(errno));
        return EXIT_FAULT;
    }
    return code != EXIT_DONE ? code : check->n_invalid > 0 ? EXIT_NO : EXIT_DONE;
}

// NULL, after telling why.
static struct schema *load_schema(const struct request *request)
{
    struct schema_faults faults = {.max = SCHEMA_FAULTS_MAX};
    struct schema *schema = NULL;
    struct buf text = {0};
    struct status st = {0};

    if (fsio_read_file(request->schema_path, SCHEMA_TEXT_MAX, &text, &st) != STATUS_OK) {
        fprintf(stderr, "cxsink validate: %s\n", st.detail);
        buf_deinit(&text);
        return NULL;
    }
    faults.list = mem_realloc_array(NULL, SCHEMA_FAULTS_MAX, sizeof(*faults.list));
    if (schema_compile_with(&request->options, text.len > 0 ? text.data : "", text.len, &faults,
                            &schema) != STATUS_OK)
        tell_schema_faults(request, &faults);
    free(faults.list);
    buf_deinit(&text);
    return schema;
}

enum { OPTION_FORMATS = 256, OPTION_DRAFT, OPTION_REF, OPTION_REF_DIR, OPTION_JSON };

static const struct option options[] = {
    {"schema", required_argument, NULL, 's'},
    {"config", required_argument, NULL, 'c'},
    {"quiet", no_argument, NULL, 'q'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"formats", required_argument, NULL, OPTION_FORMATS},
    {"draft", required_argument, NULL, OPTION_DRAFT},
    {"ref", required_argument, NULL, OPTION_REF},
    {"ref-dir", required_argument, NULL, OPTION_REF_DIR},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take_formats(const char *value, struct request *request)
{
    request->options.annotate_formats = strcmp(value, "annotate") == 0;
    if (!request->options.annotate_formats && strcmp(value, "assert") != 0)
        return cli_usage_error("validate", "--formats is assert or annotate, not \"%s\"", value);
    return -1;
}

// -1: go on; else the exit code.
static int take_option(int option, struct request *request)
{
    switch (option) {
    case 's':
        request->schema_path = optarg;
        return -1;
    case 'c': // common to all commands; nothing of it is needed here
        return -1;
    case 'q':
        request->quiet = true;
        return -1;
    case OPTION_JSON:
        request->json = true;
        return -1;
    case OPTION_FORMATS:
        return take_formats(optarg, request);
    case OPTION_DRAFT:
        if (!schema_draft_parse(optarg, &request->options.draft))
            return cli_usage_error("validate", "--draft \"%s\" is none of 2020-12, 2019-09, 7, 6",
                                   optarg);
        return -1;
    case OPTION_REF:
    case OPTION_REF_DIR:
        return cli_usage_error("validate",
                               "--ref and --ref-dir are not supported yet: a schema must be one "
                               "file, with what it refers to under \"$defs\"");
    case 'h':
        fputs(help, stdout);
        return EXIT_DONE;
    default:
        return cli_usage_error("validate", "wrong option, or one without its value");
    }
}

int cli_validate(int argc, char **argv)
{
    struct request request = {0};
    int option;

    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "s:c:qh", options, NULL)) != -1) {
        int code = take_option(option, &request);
        if (code >= 0)
            return code;
    }
    if (request.schema_path == NULL)
        return cli_usage_error("validate", "--schema FILE is needed");
    struct schema *schema = load_schema(&request);
    if (schema == NULL)
        return EXIT_CONFIG;
    struct check check = {.request = &request, .schema = schema};
    int code = check_files(&check, argc - optind, argv + optind);
    schema_destroy(&schema);
    return code;
}
