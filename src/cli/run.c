// SPDX-License-Identifier: Apache-2.0
// cxsink run
#include "app/daemon.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"

static const char help[] =
    "usage: cxsink run [-c FILE]\n"
    "\n"
    "Runs the daemon in the foreground: under systemd, in a container, or at a terminal.\n"
    "SIGTERM and SIGINT drain and stop (bounded by shutdown_timeout), a second one stops at once;\n"
    "SIGHUP reloads the configuration.\n"
    "\n"
    "  -c, --config FILE   the configuration (else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json)\n"
    "  -h, --help          this text\n"
    "\n"
    "Servers that are away or refuse do not end it: it says so, spools, and tries again.\n"
    "\n"
    "Exit codes: 0 after an orderly stop; 70 a fault of cxsink, or events were lost; 78 the\n"
    "configuration is faulty, a directory cannot be written, an address or the spool is taken.\n";

struct run_request {
    const char *path;
};

static const struct cli_option list[] = {CLI_CONFIG_OPTION(run_request, path)};
static const struct cli_options options = {.command = "run", .help = help, .list = list, .n = 1};

int cli_run(int argc, char **argv)
{
    struct run_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    return daemon_run(cli_config_path(request.path));
}
