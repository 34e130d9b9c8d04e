// SPDX-License-Identifier: Apache-2.0
// cxsink check: everything about the configuration that can be known before the daemon runs.
#include "app/actions.h"
#include "app/addresses.h"
#include "app/certificates.h"
#include "app/daemon.h"
#include "app/pipeline.h"
#include "cli/check_priv.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"
#include "core/log.h"

#include <stdio.h>

static const char help[] =
    "usage: cxsink check [--connect] [-c FILE] [--json]\n"
    "\n"
    "Checks the configuration, its schemas, mappings and TLS files. Prints every fault at once:\n"
    "file, line, JSON Pointer, what is wrong and how to mend it.\n"
    "\n"
    "      --connect       also logs in to PostgreSQL and compares the tables, fetches a token,\n"
    "                      and checks the TLS certificates of the streams\n"
    "      --json          prints the faults as a JSON array\n"
    "  -c, --config FILE   the configuration (else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json)\n"
    "\n"
    "Exit codes: 0 all is well; 69 the only faults are servers that cannot be reached;\n"
    "78 configuration fault.\n";

struct check_request {
    const char *path;
    bool connect, json;
};

static void print_summary(const struct config *config, bool connect)
{
    printf("%s: %zu stream%s, %zu table%s, %zu credential%s", config->path, config->n_streams,
           config->n_streams == 1 ? "" : "s", config->n_tables, config->n_tables == 1 ? "" : "s",
           config->n_auth, config->n_auth == 1 ? "" : "s");
    if (config->jobs.enabled)
        printf(", %zu action%s, %zu job%s", config->jobs.n_actions,
               config->jobs.n_actions == 1 ? "" : "s", config->jobs.n_queue,
               config->jobs.n_queue == 1 ? "" : "s");
    printf(": all is well%s\n", connect ? ", and the servers answer" : "");
}

static int check(const char *path, bool connect, bool json)
{
    struct config_faults faults = {0};
    struct config *config = config_load(path, &faults);
    struct schema_set *schemas = config != NULL ? schema_set_load(config, &faults) : NULL;
    if (config != NULL) {
        certificates_check(config, &faults);
        addresses_check(config, &faults);
        actions_check(config, &faults);
        actions_check_helper(config, &faults);
        actions_check_queue(config, &faults);
    }
    size_t unreachable = 0;
    if (faults.count == 0 && connect)
        unreachable = check_connect(config, &faults);
    if (config != NULL)
        config_faults_locate(path, &faults);
    int code = faults.count == 0             ? EXIT_DONE
               : faults.count == unreachable ? EXIT_NO_SERVER
                                             : EXIT_CONFIG;
    if (json || code != EXIT_DONE)
        cli_print_faults(path, &faults, json);
    else
        print_summary(config, connect);
    schema_set_free(&schemas);
    config_free(&config);
    config_faults_free(&faults);
    return code;
}

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(check_request, path),
    CLI_OPTION(check_request, "connect", CLI_FLAG, connect),
    CLI_OPTION(check_request, "json", CLI_FLAG, json),
};
static const struct cli_options options = {
    .command = "check", .help = help, .list = list, .n = sizeof(list) / sizeof(list[0])};

int cli_check(int argc, char **argv)
{
    struct check_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_ERROR);
    return check(cli_config_path(request.path), request.connect, request.json);
}
