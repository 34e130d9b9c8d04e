// SPDX-License-Identifier: Apache-2.0
// cxsink status: asks the running daemon over its control socket.
#include "app/daemon.h"
#include "ask_priv.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"
#include "core/buf.h"
#include "json/lookup.h"
#include "json/number.h"
#include "json/tape.h"
#include "json/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: cxsink status [-c FILE | --runtime-dir DIR] [--ready] [--json]\n"
    "\n"
    "Shows what the running daemon is doing: streams, lag, spool, database,\n"
    "jobs and the breakers of their APIs.\n"
    "\n"
    "      --ready            only whether it is ready, else why not; exit code 1 when it is not\n"
    "                         (for the health checks of containers and load balancers)\n"
    "  -c, --config FILE      the daemon's configuration (tells its runtime_dir)\n"
    "      --runtime-dir DIR  where its control.sock is, without reading a configuration\n"
    "      --json             the whole status as JSON\n"
    "\n"
    "Exit codes: 0 it answered, with --ready: and is ready; 1 it is not ready (with --ready\n"
    "alone); 69 it does not run, or does not answer.\n";

// --- showing ---

// Text of a string member; `room` holds it. "" when it is null or missing.
static const char *text_of(const struct tape *tape, uint32_t object, const char *name, char *room,
                           size_t size)
{
    uint32_t i = lookup_member(tape, object, name);
    room[0] = '\0';
    if (i == TAPE_NONE || tape->tokens[i].kind != TAPE_STRING ||
        tape->tokens[i].end - tape->tokens[i].start > size)
        return room;
    room[text_unescape(tape, i, room)] = '\0';
    return room;
}

static double number_of(const struct tape *tape, uint32_t object, const char *name)
{
    uint32_t i = lookup_member(tape, object, name);
    double value = 0;
    if (i == TAPE_NONE || tape->tokens[i].kind != TAPE_NUMBER)
        return 0;
    size_t length;
    const char *raw = tape_raw(tape, i, &length);
    (void)number_to_double(raw, length, &value);
    return value;
}

static void print_bytes(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    printf("%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
}

static void print_streams(const struct tape *tape, uint32_t streams)
{
    char name[128], state[32], when[40];
    printf("\n%-20s %-11s %12s %12s %9s %10s  %s\n", "stream", "state", "received", "committed",
           "rejected", "p99 commit", "last event");
    for (uint32_t n = 0; streams != TAPE_NONE; n++) {
        uint32_t s = tape_element(tape, streams, n);
        if (s == TAPE_NONE)
            break;
        printf("%-20s %-11s %12.0f %12.0f %9.0f %8.0fms  %s\n",
               text_of(tape, s, "name", name, sizeof(name)),
               text_of(tape, s, "state", state, sizeof(state)), number_of(tape, s, "received"),
               number_of(tape, s, "committed"), number_of(tape, s, "rejected"),
               number_of(tape, s, "commit_p99_seconds") * 1000,
               text_of(tape, s, "last_event_at", when, sizeof(when)));
    }
}

static void print_reasons(const struct tape *tape, uint32_t reasons)
{
    char text[2048];
    for (uint32_t n = 0; reasons != TAPE_NONE; n++) {
        uint32_t r = tape_element(tape, reasons, n);
        if (r == TAPE_NONE || tape->tokens[r].end - tape->tokens[r].start > sizeof(text))
            break;
        printf("  ");
        cli_print_plain(text, text_unescape(tape, r, text), false);
        putchar('\n');
    }
}

static void print_apis(const struct tape *tape, uint32_t apis)
{
    char name[128], breaker[32];
    for (uint32_t n = 0; apis != TAPE_NONE; n++) {
        uint32_t a = tape_element(tape, apis, n);
        if (a == TAPE_NONE)
            break;
        printf("  api %-14s breaker %s", text_of(tape, a, "name", name, sizeof(name)),
               text_of(tape, a, "breaker", breaker, sizeof(breaker)));
        if (number_of(tape, a, "open_for_seconds") > 0)
            printf(" for %.1f s more", number_of(tape, a, "open_for_seconds"));
        printf(", %.0f requests in flight, %.0f waiting", number_of(tape, a, "in_flight"),
               number_of(tape, a, "waiting"));
        if (number_of(tape, a, "held_for_seconds") > 0)
            printf(", held back for %.1f s", number_of(tape, a, "held_for_seconds"));
        putchar('\n');
    }
}

static void print_jobs(const struct tape *tape, uint32_t jobs)
{
    static const char *const states[] = {"queued",    "running", "polling",
                                         "succeeded", "failed",  "cancelled"};
    char text[1024];
    uint32_t counts = lookup_member(tape, jobs, "states");
    if (jobs == TAPE_NONE)
        return;
    printf("jobs     ");
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        printf("%s %.0f %s", i > 0 ? "," : "", number_of(tape, counts, states[i]), states[i]);
    printf("; %.0f leased here\n", number_of(tape, jobs, "active"));
    if (text_of(tape, jobs, "last_error", text, sizeof(text))[0] != '\0') {
        printf("  the queue cannot be reached: ");
        cli_print_plain(text, strlen(text), false);
        putchar('\n');
    }
    print_apis(tape, lookup_member(tape, jobs, "apis"));
}

static bool is_ready(const struct tape *tape)
{
    uint32_t ready = lookup_member(tape, 0, "ready");
    return ready != TAPE_NONE && tape->tokens[ready].kind == TAPE_TRUE;
}

static void print_ready(const struct tape *tape)
{
    puts(is_ready(tape) ? "ready" : "not ready:");
    print_reasons(tape, lookup_member(tape, 0, "reasons"));
}

static void print_status(const struct tape *tape)
{
    char text[1024];
    printf("cxsink %s", text_of(tape, 0, "version", text, sizeof(text)));
    printf(", process %.0f, since %s: %s\n", number_of(tape, 0, "pid"),
           text_of(tape, 0, "started_at", text, sizeof(text)),
           is_ready(tape) ? "ready" : "NOT READY");
    print_reasons(tape, lookup_member(tape, 0, "reasons"));
    print_streams(tape, lookup_member(tape, 0, "streams"));
    uint32_t spool = lookup_member(tape, 0, "spool");
    printf("\nspool     %.0f events, ", number_of(tape, spool, "events"));
    print_bytes(number_of(tape, spool, "bytes"));
    printf(" of ");
    print_bytes(number_of(tape, spool, "max_bytes"));
    printf(", oldest %.1f s\n", number_of(tape, spool, "oldest_seconds"));
    uint32_t database = lookup_member(tape, 0, "database");
    printf("database  %s", text_of(tape, database, "state", text, sizeof(text)));
    printf(", %.0f of %.0f connections; %.0f inserted, %.0f updated, %.0f unchanged, "
           "%.0f dead letters, %.0f retries\n",
           number_of(tape, database, "connections_ready"), number_of(tape, database, "connections"),
           number_of(tape, database, "inserted"), number_of(tape, database, "updated"),
           number_of(tape, database, "unchanged"), number_of(tape, database, "dead_letters"),
           number_of(tape, database, "retries"));
    print_jobs(tape, lookup_member(tape, 0, "jobs"));
}

struct status_request {
    const char *path, *dir;
    bool ready, json;
};

static int show(const char *dir, const struct status_request *request)
{
    struct buf answer = {0};
    struct tape tape;
    struct status st = {0};
    int code = EXIT_NO_SERVER;
    const char *body = ask_daemon(dir, "/api/status", ASK_PATIENCE_US, &answer, &st);
    tape_init(&tape, 0);
    if (body == NULL) {
        fprintf(stderr, "cxsink status: %s\n", st.detail);
    } else if (!tape_parse(&tape, body, strlen(body))) {
        fputs("cxsink status: the daemon's answer is not JSON; is it another version?\n", stderr);
    } else {
        code = request->ready && !is_ready(&tape) ? EXIT_NO : EXIT_DONE;
        if (request->json)
            fputs(body, stdout);
        else if (request->ready)
            print_ready(&tape);
        else
            print_status(&tape);
    }
    tape_deinit(&tape);
    buf_deinit(&answer);
    return code;
}

static int show_configured(const struct status_request *request)
{
    char *runtime_dir = cli_runtime_dir(request->path);
    if (runtime_dir == NULL)
        return EXIT_CONFIG;
    int code = show(runtime_dir, request);
    free(runtime_dir);
    return code;
}

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(status_request, path),
    CLI_OPTION(status_request, "runtime-dir", CLI_TEXT, dir),
    CLI_OPTION(status_request, "ready", CLI_FLAG, ready),
    CLI_OPTION(status_request, "json", CLI_FLAG, json),
};
static const struct cli_options options = {
    .command = "status", .help = help, .list = list, .n = sizeof(list) / sizeof(list[0])};

int cli_status(int argc, char **argv)
{
    struct status_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    return request.dir != NULL ? show(request.dir, &request) : show_configured(&request);
}
