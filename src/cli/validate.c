// SPDX-License-Identifier: Apache-2.0
// cxsink validate: the command line, and the schema. Faults of lines go to stdout, those of the
// schema and what is wrong with the call to stderr.
#include "cli/validate.h"

#include "app/daemon.h"
#include "cli/common.h"
#include "cli/options.h"
#include "cli/validate_priv.h"
#include "config/units.h"
#include "core/mem.h"
#include "schema/library.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_FAULTS_MAX 200
#define JOBS_MAX 256

static const char help[] =
    "usage: cxsink validate --schema FILE [OPTION...] [FILE...]\n"
    "\n"
    "Validates NDJSON files (-: standard input, also without FILE) against a JSON Schema, as the\n"
    "daemon does. One line a fault: FILE:LINE: INSTANCE-POINTER: message (keyword at\n"
    "SCHEMA-POINTER); for a line that is not JSON, message (json.syntax or the like). Of anyOf "
    "and\n"
    "oneOf, the faults of the schema that comes closest follow. Empty lines are passed over, but\n"
    "counted; a byte order mark is a fault, as it is in an event.\n"
    "\n"
    "  -s, --schema FILE      the schema\n"
    "  -q, --quiet            no faults, only the exit code; stops at the first\n"
    "      --json             each fault as a JSON object\n"
    "      --output text      lines as above (the default)\n"
    "      --output basic     each line that is not valid as a JSON object in the form \"basic\"\n"
    "                         of the standard, with \"file\" and \"line\"\n"
    "  -j, --jobs N           so many processes (1), each for parts of the files; what comes\n"
    "                         through a pipe is read by one\n"
    "      --max-line SIZE    longest line (16MiB); a longer one is a fault, and read over\n"
    "      --formats assert   \"format\" must hold (the default)\n"
    "      --formats annotate \"format\" says nothing\n"
    "      --draft DRAFT      where the schema has no \"$schema\": 2020-12 (the default), "
    "2019-09,\n"
    "                         7, 6 or 4\n"
    "      --strict typos     keywords that look like misspelt ones are faults (the default)\n"
    "      --strict all|off   all unknown keywords and formats are; none are\n"
    "      --ref URI=FILE     the file that holds the schema of that URI (may be repeated)\n"
    "      --ref-dir BASE-URI=DIR\n"
    "                         the directory that holds those whose URIs begin so. Relative "
    "references\n"
    "                         are files beside the schema; nothing is ever fetched\n"
    "  -h, --help             this help\n"
    "\n"
    "Exit codes: 0 all valid; 1 a line is not; 64 wrong usage, or a file that cannot be read (the\n"
    "others are); 70 a process died, or the output cannot be written; 78 the schema is faulty "
    "(each\n"
    "fault as FILE:LINE:COLUMN: POINTER: message).\n";

static void tell_schema_faults(const struct validate_request *request,
                               const struct schema_faults *faults)
{
    struct buf out = {0};
    size_t shown = faults->count < faults->max ? faults->count : faults->max;

    for (size_t i = 0; i < shown; i++) {
        const struct schema_fault *fault = &faults->list[i];
        const char *file = fault->file[0] != '\0' ? fault->file : request->schema_path;
        if (request->form == VALIDATE_TEXT) {
            fprintf(stderr, "%s:%u:%u: %s: %s\n", file, fault->line, fault->column, fault->pointer,
                    fault->message);
            continue;
        }
        buf_clear(&out);
        buf_append_text(&out, "{");
        validate_append_member(&out, "file", file);
        buf_printf(&out, ",\"line\":%u,\"column\":%u", fault->line, fault->column);
        validate_append_member(&out, "pointer", fault->pointer);
        validate_append_member(&out, "message", fault->message);
        printf("%s}\n", buf_text(&out));
    }
    if (faults->count > shown)
        fprintf(stderr, "cxsink validate: %zu more faults in %s\n", faults->count - shown,
                request->schema_path);
    buf_deinit(&out);
}

// NULL, after telling why.
static struct schema *load_schema(const struct validate_request *request)
{
    struct schema_faults faults = {.max = SCHEMA_FAULTS_MAX};
    struct schema *schema = NULL;
    struct status st = {0};

    faults.list = mem_realloc_array(NULL, SCHEMA_FAULTS_MAX, sizeof(*faults.list));
    if (schema_library_compile(request->schemas, request->schema_path, &request->options, &faults,
                               &schema, &st) != STATUS_OK &&
        faults.count == 0)
        fprintf(stderr, "cxsink validate: %s\n", st.detail);
    tell_schema_faults(request, &faults);
    free(faults.list);
    return schema;
}

enum {
    OPTION_FORMATS = 256,
    OPTION_DRAFT,
    OPTION_REF,
    OPTION_REF_DIR,
    OPTION_JSON,
    OPTION_OUTPUT,
    OPTION_MAX_LINE,
    OPTION_STRICT
};

static const struct option options[] = {
    {"schema", required_argument, NULL, 's'},
    {"config", required_argument, NULL, 'c'},
    {"quiet", no_argument, NULL, 'q'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"jobs", required_argument, NULL, 'j'},
    {"max-line", required_argument, NULL, OPTION_MAX_LINE},
    {"formats", required_argument, NULL, OPTION_FORMATS},
    {"draft", required_argument, NULL, OPTION_DRAFT},
    {"strict", required_argument, NULL, OPTION_STRICT},
    {"ref", required_argument, NULL, OPTION_REF},
    {"ref-dir", required_argument, NULL, OPTION_REF_DIR},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take_formats(const char *value, struct validate_request *request)
{
    request->options.annotate_formats = strcmp(value, "annotate") == 0;
    if (!request->options.annotate_formats && strcmp(value, "assert") != 0)
        return cli_usage_error("validate", "--formats is assert or annotate, not \"%s\"", value);
    return -1;
}

static int take_output(const char *value, struct validate_request *request)
{
    request->form = strcmp(value, "basic") == 0 ? VALIDATE_BASIC : VALIDATE_TEXT;
    if (request->form == VALIDATE_TEXT && strcmp(value, "text") != 0)
        return cli_usage_error("validate", "--output is text or basic, not \"%s\"", value);
    return -1;
}

static int take_jobs(const char *value, struct validate_request *request)
{
    char *end;
    long jobs = strtol(value, &end, 10);

    if (*value == '\0' || *end != '\0' || jobs < 1 || jobs > JOBS_MAX)
        return cli_usage_error("validate", "--jobs is a number from 1 to %d, not \"%s\"", JOBS_MAX,
                               value);
    request->jobs = (unsigned)jobs;
    return -1;
}

static int take_max_line(const char *value, struct validate_request *request)
{
    if (!units_size_parse(value, &request->max_line) || request->max_line < 1 ||
        request->max_line > CLI_VALIDATE_LINE_CAP)
        return cli_usage_error("validate",
                               "--max-line is a size up to 1GiB, as in 64MiB, not \"%s\"", value);
    return -1;
}

// URI=PATH, split at the first "=". A BASE-URI ends in "/", written or not.
static int take_ref(const char *option, const char *value, bool is_tree,
                    struct validate_request *request)
{
    const char *equals = strchr(value, '=');
    struct status st = {0};

    if (equals == NULL || equals == value || equals[1] == '\0')
        return cli_usage_error("validate", "%s is %s, not \"%s\"", option,
                               is_tree ? "BASE-URI=DIR" : "URI=FILE", value);
    bool slash = equals[-1] == '/';
    if (!is_tree && slash)
        return cli_usage_error("validate", "the URI of --ref ends in \"/\"; a directory is "
                                           "registered with --ref-dir");
    char *uri = mem_printf("%.*s%s", (int)(equals - value), value, is_tree && !slash ? "/" : "");
    enum status_code code = schema_library_add(request->schemas, uri, equals + 1, &st);
    free(uri);
    return code == STATUS_OK ? -1 : cli_usage_error("validate", "%s: %s", option, st.detail);
}

// -1: go on; else the exit code.
static int take_option(int option, char **argv, struct validate_request *request)
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
        request->form = VALIDATE_JSON;
        return -1;
    case OPTION_OUTPUT:
        return take_output(optarg, request);
    case 'j':
        return take_jobs(optarg, request);
    case OPTION_MAX_LINE:
        return take_max_line(optarg, request);
    case OPTION_FORMATS:
        return take_formats(optarg, request);
    case OPTION_DRAFT:
        if (!schema_draft_parse(optarg, &request->options.draft))
            return cli_usage_error("validate",
                                   "--draft \"%s\" is none of 2020-12, 2019-09, 7, 6, 4", optarg);
        return -1;
    case OPTION_STRICT:
        if (!schema_strict_parse(optarg, &request->options.strict))
            return cli_usage_error("validate", "--strict is typos, all or off, not \"%s\"", optarg);
        return -1;
    case OPTION_REF:
        return take_ref("--ref", optarg, false, request);
    case OPTION_REF_DIR:
        return take_ref("--ref-dir", optarg, true, request);
    case 'h':
        fputs(help, stdout);
        return EXIT_DONE;
    default:
        return cli_option_fault("validate", options, argv, option);
    }
}

static int run(struct validate_request *request, int argc, char **argv)
{
    int option;

    optind = 0; // from the beginning, also a second time
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":s:c:qj:h", options, NULL)) != -1) {
        int code = take_option(option, argv, request);
        if (code >= 0)
            return code;
    }
    if (request->schema_path == NULL)
        return cli_usage_error("validate", "--schema FILE is needed");
    struct schema *schema = load_schema(request);
    if (schema == NULL)
        return EXIT_CONFIG;
    int code = validate_files(request, schema, (size_t)(argc - optind), argv + optind);
    schema_destroy(&schema);
    return code;
}

int cli_validate(int argc, char **argv)
{
    struct validate_request request = {
        .jobs = 1, .max_line = CLI_VALIDATE_LINE_MAX, .schemas = schema_library_create()};
    int code = run(&request, argc, argv);

    schema_library_destroy(&request.schemas);
    return code;
}
