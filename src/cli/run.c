// SPDX-License-Identifier: Apache-2.0
// cxsink run
#include "app/daemon.h"
#include "cli/commands.h"
#include "cli/common.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
    "usage: cxsink run [-c FILE]\n"
    "\n"
    "Runs the daemon in the foreground: under systemd, in a container, or at a terminal.\n"
    "SIGTERM and SIGINT drain and stop (bounded by shutdown_timeout), a second one stops at once;\n"
    "SIGHUP reloads the configuration.\n"
    "\n"
    "  -c, --config FILE   the configuration (else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json)\n"
    "  -h, --help          this text\n";

int cli_run(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'c') {
            path = optarg;
        } else if (option == 'h') {
            fputs(help, stdout);
            return EXIT_DONE;
        } else {
            return cli_usage_error("run", "wrong option");
        }
    }
    if (optind < argc)
        return cli_usage_error("run", "takes no argument \"%s\"", argv[optind]);
    return daemon_run(cli_config_path(path));
}
