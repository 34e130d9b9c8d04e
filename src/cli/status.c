// SPDX-License-Identifier: Apache-2.0
// cxsink status: asks the running daemon over its control socket.
#include "app/daemon.h"
#include "ask_priv.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"
#include "config/units.h"
#include "core/clock.h"
#include "status_priv.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_US US_PER_S
#define INTERVAL_MIN_US (100 * US_PER_MS)

static const char help[] =
    "usage: cxsink status [-c FILE | --runtime-dir DIR] [--ready | --watch [INTERVAL]] [--json]\n"
    "\n"
    "Shows what the running daemon is doing: what is wrong first, then streams, spool, database,\n"
    "tokens, jobs and the breakers of their APIs. The columns of a stream: events received,\n"
    "committed and rejected since the start; the time within which 99 of 100 were committed; how\n"
    "long ago the last one came.\n"
    "\n"
    "      --ready            only whether it is ready, else why not; exit code 1 when it is not\n"
    "                         (for the health checks of containers and load balancers)\n"
    "      --watch [INTERVAL] again and again, every second or INTERVAL (2s, 500ms), until "
    "Ctrl-C;\n"
    "                         waits for a daemon that does not run\n"
    "  -c, --config FILE      the daemon's configuration (tells its runtime_dir)\n"
    "      --runtime-dir DIR  where its control.sock is, without reading a configuration\n"
    "      --json             the whole status as JSON; with --watch a line each time\n"
    "\n"
    "Colours are for terminals alone, and not with NO_COLOR set.\n"
    "\n"
    "Exit codes: 0 it answered, with --ready: and is ready; 1 it is not ready (with --ready\n"
    "alone); 69 it does not run, or does not answer.\n";

struct status_request {
    const char *path, *dir;
    bool ready, watch, json;
    int64_t interval_us;
};

static void print(const struct tape *tape, bool ready)
{
    struct buf out = {0};
    unsigned rows;
    struct status_view view = {.tape = tape, .colours = status_colours_wanted()};
    if (!status_terminal(&view.width, &rows))
        view.width = 0;
    if (ready)
        status_show_ready(&view, &out);
    else
        status_show(&view, &out);
    fputs(buf_text(&out), stdout);
    buf_deinit(&out);
}

static int show(const char *dir, const struct status_request *request)
{
    struct buf answer = {0};
    struct tape tape;
    struct status st = {0};
    int code = EXIT_NO_SERVER;
    const char *body = ask_daemon(dir, "GET /api/status", ASK_PATIENCE_US, &answer, &st);
    tape_init(&tape, 0);
    if (body == NULL) {
        fprintf(stderr, "cxsink status: %s\n", st.detail);
    } else if (!tape_parse(&tape, body, strlen(body))) {
        fputs("cxsink status: the daemon's answer is not JSON; is it another version?\n", stderr);
    } else {
        code = request->ready && !status_is_ready(&tape) ? EXIT_NO : EXIT_DONE;
        if (request->json)
            fputs(body, stdout);
        else
            print(&tape, request->ready);
    }
    tape_deinit(&tape);
    buf_deinit(&answer);
    return code;
}

static int show_in(const char *dir, const struct status_request *request)
{
    return request->watch ? status_watch(dir, request->interval_us, request->json)
                          : show(dir, request);
}

static int show_configured(const struct status_request *request)
{
    char *runtime_dir = cli_runtime_dir(request->path);
    if (runtime_dir == NULL)
        return EXIT_CONFIG;
    int code = show_in(runtime_dir, request);
    free(runtime_dir);
    return code;
}

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(status_request, path),
    CLI_OPTION(status_request, "runtime-dir", CLI_TEXT, dir),
    CLI_OPTION(status_request, "ready", CLI_FLAG, ready),
    CLI_OPTION(status_request, "watch", CLI_FLAG, watch),
    CLI_OPTION(status_request, "json", CLI_FLAG, json),
};
static const struct cli_options options = {.command = "status",
                                           .help = help,
                                           .list = list,
                                           .n = sizeof(list) / sizeof(list[0]),
                                           .arguments = true};

// The one argument there may be: the interval of --watch.
static int read_interval(int argc, char **argv, struct status_request *request)
{
    request->interval_us = INTERVAL_US;
    if (request->watch && request->ready)
        return cli_usage_error("status", "--watch and --ready do not go together");
    if (optind == argc)
        return CLI_GO_ON;
    if (!request->watch || optind + 1 < argc)
        return cli_usage_error("status", "takes no argument \"%s\"", argv[argc - 1]);
    if (units_duration_parse(argv[optind], &request->interval_us) &&
        request->interval_us >= INTERVAL_MIN_US)
        return CLI_GO_ON;
    return cli_usage_error("status",
                           "--watch takes an interval such as 2s, 100ms at least, not "
                           "\"%s\"",
                           argv[optind]);
}

int cli_status(int argc, char **argv)
{
    struct status_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code == CLI_GO_ON)
        code = read_interval(argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    return request.dir != NULL ? show_in(request.dir, &request) : show_configured(&request);
}
