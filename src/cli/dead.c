// SPDX-License-Identifier: Apache-2.0
// cxsink dead: lists, shows, replays and deletes dead letters.
#include "app/daemon.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"
#include "core/log.h"
#include "dead_priv.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: cxsink dead list [ID...] [FILTER...] [--json] [-c FILE]\n"
    "       cxsink dead show ID [--json] [-c FILE]\n"
    "       cxsink dead replay [ID...] [FILTER...] [--all] [--json] [-c FILE]\n"
    "       cxsink dead purge [ID...] [FILTER...] [--all] [--yes] [--dry-run] [--json] [-c FILE]\n"
    "\n"
    "list    the newest first, without payloads; replayed ones only with --replayed\n"
    "show    one, with its payload, and every refusal of one that was replayed in vain\n"
    "replay  sends those named by ID or by the filters, or --all, through validation and mapping\n"
    "        again; what is a row then is marked as replayed, what is refused again keeps its new\n"
    "        reason and the old ones. It may be stopped, and run again: nothing is written twice\n"
    "purge   deletes those named by ID or by the filters, or --all, for ever: asks first, or "
    "wants\n"
    "        --yes; --dry-run only counts them\n"
    "\n"
    "Filters:\n"
    "      --stream NAME   of this stream\n"
    "      --reason CODE   with this reason code; CODE% for all that begin so\n"
    "      --since TIME    received at or after: anything PostgreSQL reads as a timestamp, or 2h,\n"
    "                      30d... for so long ago\n"
    "      --until TIME    received before\n"
    "      --replayed      list and replay: those that were replayed, too; purge: only those\n"
    "      --limit N       at most N (list: the newest, 50 by default; else the oldest)\n"
    "\n"
    "Replays and purges are audited. Exit codes: 0 done; 1 not found, refused again, or "
    "PostgreSQL\n"
    "refuses; 64 wrong usage; 69 no database; 78 configuration fault.\n";

// --- progress ---

void dead_progress(const char *verb, long long done, long long all, const char *more)
{
    char bar[CLI_BAR_WIDTH + 1];
    if (isatty(STDERR_FILENO) != 1)
        return;
    double part = all > 0 ? (double)done / (double)all : 1;
    cli_bar(part < 1 ? part : 1, bar);
    fprintf(stderr, "\r[%s] %lld of %lld %s%s\033[K", bar, done, all, verb, more);
}

void dead_progress_end(void)
{
    if (isatty(STDERR_FILENO) == 1)
        fputs("\r\033[K", stderr);
}

// --- the command ---

enum { LIST = 1, SHOW = 2, REPLAY = 4, PURGE = 8 };

static const struct verb {
    const char *name;
    unsigned bit;
    int (*fn)(struct database *db, const struct dead_request *request);
} verbs[] = {
    {"list", LIST, dead_list},
    {"show", SHOW, dead_show},
    {"replay", REPLAY, dead_replay},
    {"purge", PURGE, dead_purge},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

#define OPTION(name_, type_, field_, verbs_)                                           \
    {                                                                                  \
        .name = name_, .type = type_, .offset = offsetof(struct dead_request, field_), \
        .verbs = verbs_                                                                \
    }

static const struct cli_option options_list[] = {
    CLI_CONFIG_OPTION(dead_request, path),
    OPTION("stream", CLI_TEXT, filter.stream, LIST | REPLAY | PURGE),
    OPTION("reason", CLI_TEXT, filter.reason, LIST | REPLAY | PURGE),
    OPTION("since", CLI_TEXT, filter.since, LIST | REPLAY | PURGE),
    OPTION("until", CLI_TEXT, filter.until, LIST | REPLAY | PURGE),
    OPTION("limit", CLI_COUNT, filter.limit, LIST | REPLAY | PURGE),
    OPTION("replayed", CLI_FLAG, replayed, LIST | REPLAY | PURGE),
    OPTION("all", CLI_FLAG, all, REPLAY | PURGE),
    OPTION("yes", CLI_FLAG, yes, PURGE),
    OPTION("dry-run", CLI_FLAG, dry_run, PURGE),
    OPTION("json", CLI_FLAG, json, 0),
};
static const struct cli_options options = {.command = "dead",
                                           .help = help,
                                           .list = options_list,
                                           .n = sizeof(options_list) / sizeof(options_list[0]),
                                           .arguments = true};

static int check_request(const struct dead_request *r, unsigned verb)
{
    const struct dead_filter *f = &r->filter;
    const char *misplaced = cli_options_misplaced(&options, r, verb);
    if (misplaced != NULL)
        return cli_usage_error("dead", "%s takes no --%s", r->verb, misplaced);
    for (int i = 0; i < f->n_ids; i++) {
        if (!dead_is_id(f->ids[i]))
            return cli_usage_error("dead", "\"%s\" is not the id of a dead letter", f->ids[i]);
    }
    if (verb == SHOW)
        return f->n_ids == 1 ? 0 : cli_usage_error("dead", "show takes one id");
    if (verb == LIST)
        return 0;
    bool filtered = dead_is_filtered(f) || (verb == PURGE && r->replayed);
    if (f->n_ids == 0 && !filtered && !r->all)
        return cli_usage_error("dead", "%s what? Name ids, filters, or --all", r->verb);
    if (f->n_ids > 0 && r->all)
        return cli_usage_error("dead", "%s takes ids, or --all, not both", r->verb);
    return 0;
}

static void choose(struct dead_request *r, unsigned verb)
{
    bool ids = r->filter.n_ids > 0;
    if (verb == PURGE)
        r->filter.which = r->replayed ? DEAD_REPLAYED : DEAD_ANY;
    else // replayed ones that are named are told
        r->filter.which = r->replayed || ids ? DEAD_ANY : DEAD_WAITING;
}

static int run(const struct verb *verb, const struct dead_request *request)
{
    struct config *config = cli_load_config(request->path);
    if (config == NULL)
        return EXIT_CONFIG;
    struct database db;
    int code =
        database_open(&db, "dead", config) ? verb->fn(&db, request) : database_exit_code(&db);
    database_close(&db);
    config_free(&config);
    return code;
}

int cli_dead(int argc, char **argv)
{
    struct dead_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    if (optind == argc)
        return cli_usage_error("dead", "list, show, replay or purge?");
    request.verb = argv[optind];
    request.filter.ids = argv + optind + 1;
    request.filter.n_ids = argc - optind - 1;
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_ERROR);
    const struct verb *verb = find_verb(request.verb);
    if (verb == NULL)
        return cli_usage_error("dead", "no such thing as \"%s\"", request.verb);
    int wrong = check_request(&request, verb->bit);
    if (wrong != 0)
        return wrong;
    choose(&request, verb->bit);
    return run(verb, &request);
}
