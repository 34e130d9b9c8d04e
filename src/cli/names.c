// SPDX-License-Identifier: Apache-2.0
// cxsink names: the names that the configuration gives to its entries, for scripts and for the
// completion of shells.
#include "app/daemon.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: cxsink names streams|tables|auth|apis|actions [-c FILE]\n"
    "\n"
    "Prints the names that the configuration gives to its entries, one a line. Takes neither\n"
    "secrets nor the environment; a faulty configuration will do, if it is JSON.\n"
    "\n"
    "  -c, --config FILE   the configuration (else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json)\n"
    "\n"
    "Exit codes: 0 done; 64 wrong usage; 78 the configuration cannot be read.\n";

struct names_request {
    const char *path;
};

static const struct cli_option list[] = {CLI_CONFIG_OPTION(names_request, path)};
static const struct cli_options options = {
    .command = "names", .help = help, .list = list, .n = 1, .arguments = true};

static const struct kind {
    const char *name;
    const char *section;
} kinds[] = {
    {"streams", "streams"}, {"tables", "tables"},        {"auth", "auth"},
    {"apis", "jobs.apis"},  {"actions", "jobs.actions"},
};

// NULL: there is no such kind.
static const char *section_of(const char *kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, kind) == 0)
            return kinds[i].section;
    }
    return NULL;
}

int cli_names(int argc, char **argv)
{
    struct names_request request = {0};
    struct config_faults faults = {0};
    struct buf names = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    const char *section = argc == optind + 1 ? section_of(argv[optind]) : NULL;
    if (section == NULL)
        return cli_usage_error("names", "one of streams, tables, auth, apis and actions is needed");
    const char *path = cli_config_path(request.path);
    bool known = config_list_names(path, section, &names, &faults);
    cli_print_faults(path, &faults, false);
    cli_print_plain(buf_text(&names), names.len, true);
    buf_deinit(&names);
    config_faults_free(&faults);
    return known ? EXIT_DONE : EXIT_CONFIG;
}
