// SPDX-License-Identifier: Apache-2.0
// cxsink jobs: puts jobs on the queue, shows them, ends them, runs them again.
#include "app/daemon.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"
#include "core/log.h"
#include "jobs_priv.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: cxsink jobs submit [--wait] [--timeout DURATION] [--dry-run] FILE... [--json]\n"
    "       cxsink jobs list [FILTER...] [--limit N] [--json]\n"
    "       cxsink jobs list --stats [FILTER...] [--json]\n"
    "       cxsink jobs list --schedules [--json]\n"
    "       cxsink jobs show ID [--json]\n"
    "       cxsink jobs cancel ID... | FILTER... | --all [--json]\n"
    "       cxsink jobs retry ID... | FILTER... | --all [--json]\n"
    "\n"
    "submit  checks jobs and puts them on the queue, all or none, and prints one id a line. FILE\n"
    "        holds one job, an array of jobs, or a job a line; - is standard input; an argument\n"
    "        that begins with { or [ is itself the text. Paths of files in a job start at the\n"
    "        directory of its FILE (else at the working directory); the daemon must be able to\n"
    "        read them. An id that is on the queue already is left alone, and printed.\n"
    "list    the newest first, without parameters\n"
    "show    all of a job, or of a schedule\n"
    "cancel  a job that has not begun ends at once; one that has is ended by its daemon, which\n"
    "        undoes what has to be undone; a schedule queues no more jobs\n"
    "retry   queues failed or cancelled jobs again, from their beginning; their history stays. "
    "The\n"
    "        request gets a new idempotency key, but where nobody knows whether the last one was\n"
    "        carried out: there it keeps its key, so that the far side does nothing twice. By\n"
    "        filters or --all: failed ones, cancelled ones only with --state cancelled\n"
    "\n"
    "      --wait           waits until the jobs are finished; interrupted, they go on all the "
    "same\n"
    "      --timeout TIME   waits no longer than this (90s, 5m)\n"
    "      --dry-run        prints the requests that would be sent, in their order; needs neither\n"
    "                       database nor network. Ids, keys and times that are made when a job\n"
    "                       runs are examples; Host, User-Agent and Content-Length are left out\n"
    "      --stats          runs, failures and latencies by action, and in total\n"
    "      --schedules      jobs that come again, and when next\n"
    "      --json           one JSON object a line\n"
    "  -c, --config FILE    the configuration (else $CXSINK_CONFIG, else /etc/cxsink/cxsink.json)\n"
    "\n"
    "Filters:\n"
    "      --state STATE    queued, running, polling, succeeded, failed or cancelled\n"
    "      --action NAME    of this action\n"
    "      --since TIME     queued at or after (anything PostgreSQL reads as a timestamp)\n"
    "      --until TIME     queued before\n"
    "      --limit N        at most N of the newest (list: 50 by default)\n"
    "\n"
    "Exit codes: 0 done; 1 a job is faulty, failed, unfinished or not there, or PostgreSQL\n"
    "refuses; 64 wrong usage; 69 no database; 78 configuration fault.\n";

// --- what the verbs share ------------------------------------------------------------------------

const char *jobs_filter_where(void)
{
    return " where ($1::text is null or state = $1) and ($2::text is null or action = $2)"
           " and ($3::timestamptz is null or created_at >= $3)"
           " and ($4::timestamptz is null or created_at < $4)";
}

void jobs_filter_params(const struct jobs_filter *filter, struct pg_param params[4])
{
    params[0] = database_text(filter->state);
    params[1] = database_text(filter->action);
    params[2] = database_text(filter->since);
    params[3] = database_text(filter->until);
}

struct pg_param jobs_names(char *const *names, size_t n, struct buf *out)
{
    buf_append_text(out, "[");
    for (size_t i = 0; i < n; i++) {
        buf_append_text(out, i > 0 ? "," : "");
        buf_json_string(out, names[i], strlen(names[i]));
    }
    buf_append_text(out, "]");
    return database_text(buf_text(out));
}

void jobs_print_cell(const struct pg_result *result, int row, int column, int width)
{
    struct buf text = {0};
    cli_append_plain(&text, pg_result_text(result, row, column),
                     (size_t)pg_result_length(result, row, column), false);
    if (width > 0)
        printf("%-*s ", width, buf_text(&text));
    else
        printf("%s\n", buf_text(&text));
    buf_deinit(&text);
}

// --- the command ---------------------------------------------------------------------------------

enum { SUBMIT = 1, LIST = 2, SHOW = 4, CANCEL = 8, RETRY = 16 };
#define BULK (LIST | CANCEL | RETRY)

#define OPTION(name_, type_, field_, verbs_)                                           \
    {                                                                                  \
        .name = name_, .type = type_, .offset = offsetof(struct jobs_request, field_), \
        .verbs = verbs_                                                                \
    }
static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(jobs_request, path),
    OPTION("json", CLI_FLAG, json, 0),
    OPTION("wait", CLI_FLAG, wait, SUBMIT),
    OPTION("timeout", CLI_DURATION, timeout_us, SUBMIT),
    OPTION("dry-run", CLI_FLAG, dry_run, SUBMIT),
    OPTION("state", CLI_TEXT, filter.state, BULK),
    OPTION("action", CLI_TEXT, filter.action, BULK),
    OPTION("since", CLI_TEXT, filter.since, BULK),
    OPTION("until", CLI_TEXT, filter.until, BULK),
    OPTION("limit", CLI_COUNT, limit, BULK),
    OPTION("stats", CLI_FLAG, stats, LIST),
    OPTION("schedules", CLI_FLAG, schedules, LIST),
    OPTION("all", CLI_FLAG, all, CANCEL | RETRY),
};
static const struct cli_options options = {.command = "jobs",
                                           .help = help,
                                           .list = list,
                                           .n = sizeof(list) / sizeof(list[0]),
                                           .arguments = true};

static const struct verb {
    const char *name;
    unsigned bit;
    int (*fn)(struct database *db, const struct jobs_request *request); // NULL: submit
} verbs[] = {
    {"submit", SUBMIT, NULL},        {"list", LIST, jobs_list},    {"show", SHOW, jobs_show},
    {"cancel", CANCEL, jobs_cancel}, {"retry", RETRY, jobs_retry},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static bool is_filtered(const struct jobs_filter *f)
{
    return f->state != NULL || f->action != NULL || f->since != NULL || f->until != NULL;
}

static int check_submit(const struct jobs_request *r)
{
    if (r->n_names == 0)
        return cli_usage_error("jobs", "submit what? Name files, or - for standard input");
    if (r->dry_run && r->wait)
        return cli_usage_error("jobs", "--dry-run queues nothing to --wait for");
    if (r->timeout_us > 0 && !r->wait)
        return cli_usage_error("jobs", "--timeout goes with --wait");
    return 0;
}

static int check_list(const struct jobs_request *r)
{
    bool filtered = is_filtered(&r->filter);
    if (r->n_names > 0)
        return cli_usage_error("jobs", "list takes filters, not ids");
    if (r->stats && (r->schedules || r->limit > 0))
        return cli_usage_error("jobs", "--stats goes with neither --schedules nor --limit");
    if (r->schedules && (filtered || r->limit > 0))
        return cli_usage_error("jobs", "--schedules takes no filters");
    return 0;
}

static int check_change(const struct jobs_request *r)
{
    bool filtered = is_filtered(&r->filter);
    if (r->n_names == 0 && !filtered && !r->all)
        return cli_usage_error("jobs", "%s what? Name ids, filters, or --all", r->verb);
    if (r->n_names > 0 && (filtered || r->all || r->limit > 0))
        return cli_usage_error("jobs", "%s takes ids, or filters, not both", r->verb);
    return 0;
}

static int check(const struct jobs_request *r, const struct verb *verb)
{
    enum job_state ignored;
    const char *option = cli_options_misplaced(&options, r, verb->bit);
    if (option != NULL)
        return cli_usage_error("jobs", "--%s does not go with %s", option, verb->name);
    if (r->filter.state != NULL && !job_state_parse(r->filter.state, &ignored))
        return cli_usage_error("jobs", "there is no state \"%s\"", r->filter.state);
    switch (verb->bit) {
    case SUBMIT:
        return check_submit(r);
    case LIST:
        return check_list(r);
    case SHOW:
        return r->n_names == 1 ? 0 : cli_usage_error("jobs", "show takes one id");
    default:
        return check_change(r);
    }
}

static int run(const struct jobs_request *request, const struct verb *verb)
{
    struct config *config = cli_load_config(request->path);
    struct database db;
    int code;
    if (config == NULL)
        return EXIT_CONFIG;
    if (verb->fn == NULL) {
        code = jobs_submit(config, request);
    } else {
        code =
            database_open(&db, "jobs", config) ? verb->fn(&db, request) : database_exit_code(&db);
        database_close(&db);
    }
    config_free(&config);
    return code;
}

int cli_jobs(int argc, char **argv)
{
    struct jobs_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    if (optind == argc)
        return cli_usage_error("jobs", "submit, list, show, cancel or retry?");
    request.verb = argv[optind];
    request.names = argv + optind + 1;
    request.n_names = argc - optind - 1;
    const struct verb *verb = find_verb(request.verb);
    if (verb == NULL)
        return cli_usage_error("jobs", "no such thing as \"%s\"", request.verb);
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_ERROR);
    int wrong = check(&request, verb);
    return wrong != 0 ? wrong : run(&request, verb);
}
