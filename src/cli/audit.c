// SPDX-License-Identifier: Apache-2.0
// cxsink audit: verifies the chain of the audit log, and shows its events.
#include "app/daemon.h"
#include "audit_priv.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"
#include "config/secret.h"
#include "core/mem.h"
#include "ops/audit_read.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: cxsink audit verify [-c FILE | --dir DIR] [--key-file FILE] [--json]\n"
    "       cxsink audit tail [-c FILE | --dir DIR] [-f] [-n COUNT] [--event NAME]\n"
    "                         [--stream NAME] [--json]\n"
    "\n"
    "Looks into the audit log without changing it, also while the daemon runs.\n"
    "\n"
    "  verify  finds altered, removed and reordered lines, over all its files\n"
    "  tail    shows its last events\n"
    "\n"
    "  -c, --config FILE    the daemon's configuration: the log is in its state_dir,\n"
    "                       its key is audit.key\n"
    "      --dir DIR        the log's directory, without reading a configuration\n"
    "      --key-file FILE  verify: a file with a key of before; with --dir the key\n"
    "      --json           verify: the report as JSON; tail: the lines as they are\n"
    "  -f, --follow         tail: goes on with new events, until it is interrupted\n"
    "  -n, --lines COUNT    tail: how many events, 10 without it\n"
    "      --event NAME     tail: events of that name; also a pattern: 'job.*'\n"
    "      --stream NAME    tail: events of that stream\n"
    "\n"
    "Lines that are missing at the very end cannot be seen from the chain: the journal\n"
    "has them, with the hash that verify prints (journalctl CXSINK_AUDIT_HASH=...).\n"
    "\n"
    "Exit codes: 0 done, verified; 1 not verified, or there is no audit log to read;\n"
    "64 wrong usage; 78 configuration fault.\n";

enum { VERIFY = 1, TAIL = 2 };

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(audit_request, config),
    CLI_OPTION(audit_request, "dir", CLI_TEXT, dir),
    CLI_OPTION(audit_request, "json", CLI_FLAG, json),
    {.name = "key-file",
     .type = CLI_TEXT,
     .offset = offsetof(struct audit_request, key_file),
     .verbs = VERIFY},
    {.name = "follow",
     .letter = 'f',
     .type = CLI_FLAG,
     .offset = offsetof(struct audit_request, follow),
     .verbs = TAIL},
    {.name = "lines",
     .letter = 'n',
     .type = CLI_COUNT,
     .offset = offsetof(struct audit_request, lines),
     .verbs = TAIL},
    {.name = "event",
     .type = CLI_TEXT,
     .offset = offsetof(struct audit_request, event),
     .verbs = TAIL},
    {.name = "stream",
     .type = CLI_TEXT,
     .offset = offsetof(struct audit_request, stream),
     .verbs = TAIL},
};
static const struct cli_options table = {.command = "audit",
                                         .help = help,
                                         .list = list,
                                         .n = sizeof(list) / sizeof(list[0]),
                                         .arguments = true};

// --- verify ---

struct faults {
    bool json;
    struct buf list; // members of an array
};

static void on_fault(void *owner, const char *path, uint64_t line, const char *what)
{
    struct faults *faults = owner;
    char place[24] = ""; // of the log as a whole: none
    if (line > 0)
        snprintf(place, sizeof(place), ":%" PRIu64, line);
    if (!faults->json) {
        printf("%s%s: %s\n", path, place, what);
        return;
    }
    buf_append_text(&faults->list, faults->list.len > 0 ? ",{\"file\":" : "{\"file\":");
    buf_json_string(&faults->list, path, strlen(path));
    buf_printf(&faults->list, ",\"line\":%" PRIu64 ",\"message\":", line);
    buf_json_string(&faults->list, what, strlen(what));
    buf_append_text(&faults->list, "}");
}

static void print_json(const char *path, const struct audit_verdict *v, struct faults *faults)
{
    struct buf out = {0};
    buf_append_text(&out, "{\"path\":");
    buf_json_string(&out, path, strlen(path));
    buf_printf(&out,
               ",\"verified\":%s,\"lines\":%" PRIu64 ",\"files\":%" PRIu64 ",\"torn\":%" PRIu64
               ",\"without_key\":%" PRIu64 ",\"begins_later\":%s",
               v->faults == 0 ? "true" : "false", v->lines, v->files, v->torn, v->unkeyed,
               v->cut_off ? "true" : "false");
    buf_append_text(&out, ",\"first_time\":");
    buf_json_string(&out, v->first_time, strlen(v->first_time));
    buf_append_text(&out, ",\"last_time\":");
    buf_json_string(&out, v->last_time, strlen(v->last_time));
    buf_printf(&out, ",\"last_hash\":\"%s\",\"faults\":[%s]}", v->last_hash,
               buf_text(&faults->list));
    printf("%s\n", buf_text(&out));
    buf_deinit(&out);
}

static void print_notes(const struct audit_verdict *v, bool keyed)
{
    if (v->cut_off)
        printf("The chain begins with %s: older files are not here any more.\n", v->first_time);
    if (v->torn > 0)
        printf("%" PRIu64 " part%s of a line, left by a crash, and told as such behind it.\n",
               v->torn, v->torn == 1 ? "" : "s");
    if (v->open_end)
        printf("The last line is not whole: it is being written, or was when a crash came.\n");
    if (keyed && v->unkeyed > 0)
        printf("%" PRIu64 " line%s from before there was a key: whoever could write the file can "
               "have made them.\n",
               v->unkeyed, v->unkeyed == 1 ? "" : "s");
    if (v->lines > 0)
        printf("The last line is of %s. Whether lines behind it were removed tells the journal,\n"
               "which has it too: journalctl CXSINK_AUDIT_HASH=%s\n",
               v->last_time, v->last_hash);
}

static void print_verdict(const char *path, const struct audit_verdict *v, bool keyed)
{
    if (v->faults == 0)
        printf("%s: verified, %" PRIu64 " line%s in %" PRIu64 " file%s, from %s to %s\n", path,
               v->lines, v->lines == 1 ? "" : "s", v->files, v->files == 1 ? "" : "s",
               v->lines > 0 ? v->first_time : "never", v->lines > 0 ? v->last_time : "never");
    else
        printf("%s: NOT verified, %" PRIu64 " fault%s in %" PRIu64 " lines\n", path, v->faults,
               v->faults == 1 ? "" : "s", v->lines);
    print_notes(v, keyed);
}

static int verify(const struct audit_request *request, const char *path, const char *key,
                  const char *other_key)
{
    struct faults faults = {.json = request->json};
    const char *keys[] = {key != NULL ? key : other_key, other_key};
    // Without a configuration the key of --key-file is that of now.
    if (request->dir == NULL)
        keys[0] = key;
    struct audit_verify_settings settings = {
        .keys = keys, .n_keys = other_key != NULL ? 2 : 1, .fault = on_fault, .owner = &faults};
    struct audit_read read;
    struct audit_verdict verdict = {0};
    struct status st = {0};
    enum status_code code = audit_read_open(path, &read, &st);
    if (code == STATUS_OK) {
        code = audit_verify(&read, &settings, &verdict, &st);
        audit_read_close(&read);
    }
    if (code != STATUS_OK)
        fprintf(stderr, "cxsink audit: %s\n", st.detail);
    else if (request->json)
        print_json(path, &verdict, &faults);
    else
        print_verdict(path, &verdict, keys[0] != NULL);
    buf_deinit(&faults.list);
    return code == STATUS_OK && verdict.faults == 0 ? EXIT_DONE : EXIT_NO;
}

// --- the command ---

static int run(const struct audit_request *request, const char *state_dir, const char *key)
{
    struct status st = {0};
    char *path = mem_printf("%s/audit.jsonl", state_dir);
    char *other_key = NULL;
    int code = EXIT_CONFIG;
    if (request->verb == TAIL)
        code = audit_tail(request, path);
    else if (request->key_file != NULL &&
             (other_key = secret_from_file(request->key_file, &st)) == NULL)
        fprintf(stderr, "cxsink audit: %s\n", st.detail);
    else
        code = verify(request, path, key, other_key);
    mem_wipe_free(&other_key);
    free(path);
    return code;
}

// The key is needed to verify alone, and may be one that only the service has.
static int run_configured(const struct audit_request *request)
{
    if (request->verb == TAIL) {
        char *state_dir = cli_state_dir(request->config);
        int code = state_dir != NULL ? run(request, state_dir, NULL) : EXIT_CONFIG;
        free(state_dir);
        return code;
    }
    struct config_faults faults = {0};
    const char *path = cli_config_path(request->config);
    struct config *config = config_load_audit(path, &faults);
    cli_print_faults(path, &faults, false);
    config_faults_free(&faults);
    int code = config != NULL ? run(request, config->state_dir, config->audit.key) : EXIT_CONFIG;
    config_free(&config);
    return code;
}

static int read_verb(int argc, char **argv, struct audit_request *request)
{
    static const char *const names[] = {[VERIFY] = "verify", [TAIL] = "tail"};
    if (optind + 1 != argc)
        return cli_usage_error("audit", "one of verify and tail is needed");
    for (unsigned i = VERIFY; i <= TAIL; i++) {
        if (strcmp(argv[optind], names[i]) == 0)
            request->verb = i;
    }
    if (request->verb == 0)
        return cli_usage_error("audit", "no such thing as \"%s\"", argv[optind]);
    const char *misplaced = cli_options_misplaced(&table, request, request->verb);
    if (misplaced != NULL)
        return cli_usage_error("audit", "--%s does not go with %s", misplaced, argv[optind]);
    if (request->config != NULL && request->dir != NULL)
        return cli_usage_error("audit", "-c and --dir exclude each other");
    return CLI_GO_ON;
}

int cli_audit(int argc, char **argv)
{
    struct audit_request request = {0};
    int code = cli_options_read(&table, argc, argv, &request);
    if (code == CLI_GO_ON)
        code = read_verb(argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    return request.dir != NULL ? run(&request, request.dir, NULL) : run_configured(&request);
}
