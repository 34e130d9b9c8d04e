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
#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>

static const char help[] =
    "usage: cxsink check [--connect [--timeout DURATION]] [-c FILE] [--json]\n"
    "\n"
    "Checks the configuration, its schemas, mappings and TLS files. Prints every fault at once:\n"
    "file, line, JSON Pointer, what is wrong and how to mend it.\n"
    "\n"
    "      --connect       also tries it, as the user and on the machine that it is called on:\n"
    "                      tokens and their scopes; each stream, which is opened and closed at\n"
    "                      once, unless the running daemon has it; the login to PostgreSQL, its\n"
    "                      tables and privileges; TLS of the jobs' APIs, where nothing is\n"
    "                      invoked; certificates; clocks; room on disk, directories, descriptors\n"
    "      --timeout DURATION  of --connect as a whole; 60s when not given\n"
    "      --json          prints the faults as a JSON array\n"
    "  -c, --config FILE   the configuration (else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json)\n"
    "\n"
    "A warning is of what works for now, as a certificate that expires within 30 days; it does\n"
    "not change the exit code.\n"
    "\n"
    "Exit codes: 0 all is well; 69 the only faults are servers that cannot be reached;\n"
    "78 configuration fault.\n";

#define TIMEOUT_US (60 * US_PER_S)

struct check_request {
    const char *path;
    bool connect, json;
    int64_t timeout_us;
};

// How many of the faults are of this severity.
static size_t count(const struct config_faults *faults, bool warnings)
{
    size_t n = 0;
    for (size_t i = 0; i < faults->count; i++)
        n += faults->items[i].warning == warnings;
    return n;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void print_scope(const struct config *config)
{
    printf("%s: %zu stream%s, %zu table%s, %zu credential%s", config->path, config->n_streams,
           plural(config->n_streams), config->n_tables, plural(config->n_tables), config->n_auth,
           plural(config->n_auth));
    if (config->jobs.enabled)
        printf(", %zu action%s, %zu job%s", config->jobs.n_actions, plural(config->jobs.n_actions),
               config->jobs.n_queue, plural(config->jobs.n_queue));
}

static void print_summary(const struct config *config, const struct check_request *request,
                          const struct config_faults *faults, const struct check_outcome *outcome)
{
    size_t n = count(faults, false), warnings = count(faults, true);
    if (config == NULL) {
        printf("%s: %zu fault%s\n", request->path, n, plural(n));
        return;
    }
    print_scope(config);
    if (n > 0)
        printf(": %zu fault%s", n, plural(n));
    else
        printf(": all is well%s", request->connect ? ", and the servers answer" : "");
    if (outcome->unreachable > 0)
        printf(" (%zu of a server that cannot be reached)", outcome->unreachable);
    if (warnings > 0)
        printf(", %zu warning%s", warnings, plural(warnings));
    if (outcome->left.len > 0)
        printf("; not opened, as the running daemon is connected or cannot be asked: %s",
               outcome->left.data);
    putchar('\n');
}

// Everything that needs no server; NULL when the file itself is faulty.
static struct config *check_files(const char *path, struct config_faults *faults)
{
    struct config *config = config_load(path, faults);
    if (config == NULL)
        return NULL;
    struct schema_set *schemas = schema_set_load(config, faults);
    certificates_check(config, faults);
    addresses_check(config, faults);
    actions_check(config, faults);
    actions_check_helper(config, faults);
    actions_check_queue(config, faults);
    schema_set_free(&schemas);
    return config;
}

static int check(const struct check_request *request)
{
    struct config_faults faults = {0};
    struct check_outcome outcome = {0};
    struct config *config = check_files(request->path, &faults);
    if (config != NULL && request->connect) {
        check_machine(config, &faults);
        check_connect(config, request->timeout_us > 0 ? request->timeout_us : TIMEOUT_US, &faults,
                      &outcome);
    }
    if (config != NULL)
        config_faults_locate(request->path, &faults);
    size_t n = count(&faults, false);
    cli_print_faults(request->path, &faults, request->json);
    if (!request->json)
        print_summary(config, request, &faults, &outcome);
    buf_deinit(&outcome.left);
    config_free(&config);
    config_faults_free(&faults);
    return n == 0 ? EXIT_DONE : n == outcome.unreachable ? EXIT_NO_SERVER : EXIT_CONFIG;
}

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(check_request, path),
    CLI_OPTION(check_request, "connect", CLI_FLAG, connect),
    CLI_OPTION(check_request, "timeout", CLI_DURATION, timeout_us),
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
    if (request.timeout_us > 0 && !request.connect)
        return cli_usage_error("check", "--timeout is of --connect");
    request.path = cli_config_path(request.path);
    return check(&request);
}
