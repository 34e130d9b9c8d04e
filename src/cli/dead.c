// SPDX-License-Identifier: Apache-2.0
// cxsink dead: lists, shows and replays dead letters.
#include "app/daemon.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/mem.h"
#include "database.h"
#include "dead_priv.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "usage: cxsink dead list [FILTER...] [--json] [-c FILE]\n"
    "       cxsink dead show ID [--json] [-c FILE]\n"
    "       cxsink dead replay [ID...] [FILTER...] [--all] [-c FILE]\n"
    "\n"
    "list    the newest first, without payloads; replayed ones only with --replayed\n"
    "show    one, with its payload\n"
    "replay  sends those named by ID or by the filters, or --all, through validation and mapping\n"
    "        again; what is a row then is marked as replayed, what is refused again keeps its new\n"
    "        reason\n"
    "\n"
    "Filters:\n"
    "      --stream NAME   of this stream\n"
    "      --reason CODE   with this reason code; CODE% for all that begin so\n"
    "      --since TIME    received at or after (anything PostgreSQL reads as a timestamp)\n"
    "      --until TIME    received before\n"
    "      --replayed      those that were replayed, too (list)\n"
    "      --limit N       at most N (list: the newest, 50 by default; replay: the oldest)\n"
    "\n"
    "Exit codes: 0 done; 1 not found, refused again, or PostgreSQL refuses; 64 wrong usage;\n"
    "69 no database; 78 configuration fault.\n";

static const char where[] =
    " where ($1::text is null or stream = $1) and ($2::text is null or reason like $2)"
    " and ($3::timestamptz is null or received_at >= $3)"
    " and ($4::timestamptz is null or received_at < $4)"
    " and ($5::boolean or replayed_at is null)";

void dead_filter_params(const struct dead_filter *filter, struct pg_param params[5])
{
    params[0] = database_text(filter->stream);
    params[1] = database_text(filter->reason);
    params[2] = database_text(filter->since);
    params[3] = database_text(filter->until);
    params[4] = database_text(filter->replayed ? "true" : "false");
}

const char *dead_filter_where(void)
{
    return where;
}

// --- list ---

struct listing {
    bool json, headed;
};

static void print_head(struct listing *listing)
{
    if (!listing->json && !listing->headed)
        printf("%-8s %-23s %-18s %-26s %9s  %s\n", "id", "received (UTC)", "stream", "reason",
               "bytes", "what");
    listing->headed = true;
}

static void print_row(void *owner, const struct pg_result *r, int row)
{
    struct listing *listing = owner;
    print_head(listing);
    if (listing->json) {
        printf("%s\n", pg_result_text(r, row, 6));
        return;
    }
    printf("%-8s %-23s %-18s %-26s %9s  ", pg_result_text(r, row, 0), pg_result_text(r, row, 1),
           pg_result_text(r, row, 2), pg_result_text(r, row, 3), pg_result_text(r, row, 4));
    cli_print_plain(pg_result_text(r, row, 5), (size_t)pg_result_length(r, row, 5), false);
    putchar('\n');
}

static int list(struct database *db, const struct dead_filter *filter, bool json)
{
    struct pg_param params[6];
    struct listing listing = {.json = json};
    char limit[24];
    char *sql = mem_printf(
        "select id, to_char(received_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS'),"
        " stream, reason, coalesce(octet_length(payload), 0),"
        " left(coalesce(nullif(detail #>> '{0,instance}', '') || ': ', '')"
        "  || coalesce(detail #>> '{0,message}', ''), 120),"
        " json_build_object('id', id, 'received_at', received_at, 'stream', stream,"
        "  'reason', reason, 'detail', detail, 'payload_bytes', octet_length(payload),"
        "  'payload_sha256', encode(payload_sha256, 'hex'), 'replayed_at', replayed_at)::text"
        " from cxsink.dead_letters%s order by id desc limit $6::bigint",
        where);
    dead_filter_params(filter, params);
    snprintf(limit, sizeof(limit), "%lld", filter->limit > 0 ? filter->limit : 50);
    params[5] = database_text(limit);
    bool ok = database_query(db, "dead list", sql, params, 6, print_row, &listing);
    free(sql);
    if (!ok)
        return database_exit_code(db);
    print_head(&listing);
    return EXIT_DONE;
}

// --- show ---

char *dead_payload(const struct pg_result *r, int row, int column, size_t *length_r)
{
    const char *hex = pg_result_text(r, row, column);
    size_t length = (size_t)pg_result_length(r, row, column) / 2;
    char *payload = mem_alloc(length + 1);
    for (size_t i = 0; i < length; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        payload[i] = (char)strtoul(pair, NULL, 16);
    }
    *length_r = length;
    return payload;
}

struct shown {
    bool json, found;
};

static void print_one(void *owner, const struct pg_result *r, int row)
{
    struct shown *shown = owner;
    shown->found = true;
    if (shown->json) {
        printf("%s\n", pg_result_text(r, row, 7));
        return;
    }
    printf("id        %s\nstream    %s\nreceived  %s\nreason    %s\nreplayed  %s\nsha256    %s\n"
           "detail    ",
           pg_result_text(r, row, 0), pg_result_text(r, row, 1), pg_result_text(r, row, 2),
           pg_result_text(r, row, 3),
           pg_result_is_null(r, row, 4) ? "no" : pg_result_text(r, row, 4),
           pg_result_text(r, row, 5));
    cli_print_plain(pg_result_text(r, row, 6), (size_t)pg_result_length(r, row, 6), true);
    if (pg_result_is_null(r, row, 8)) {
        printf("\npayload   none was kept\n");
        return;
    }
    size_t length;
    char *payload = dead_payload(r, row, 8, &length);
    printf("\npayload\n");
    cli_print_plain(payload, length, true);
    putchar('\n');
    free(payload);
}

static int show(struct database *db, const char *id, bool json)
{
    struct shown shown = {.json = json};
    struct pg_param param = database_text(id);
    static const char sql[] =
        "select id, stream, received_at, reason, replayed_at, encode(payload_sha256, 'hex'),"
        " jsonb_pretty(detail),"
        " json_build_object('id', id, 'received_at', received_at, 'stream', stream,"
        "  'reason', reason, 'detail', detail, 'payload_base64',"
        "  translate(encode(payload, 'base64'), E'\\n', ''), 'payload_sha256',"
        "  encode(payload_sha256, 'hex'), 'replayed_at', replayed_at)::text,"
        " encode(payload, 'hex') from cxsink.dead_letters where id = $1::bigint";
    if (!database_query(db, "dead show", sql, &param, 1, print_one, &shown))
        return database_exit_code(db);
    if (!shown.found)
        fprintf(stderr, "cxsink dead: there is no dead letter %s\n", id);
    return shown.found ? EXIT_DONE : EXIT_NO;
}

// --- the command ---

static bool is_id(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 && n < 19 && text[n] == '\0';
}

static int run(const struct dead_request *request)
{
    struct config *config = cli_load_config(request->path);
    if (config == NULL)
        return EXIT_CONFIG;
    int code;
    struct database db;
    const char *verb = request->verb;
    if (!database_open(&db, "dead", config))
        code = database_exit_code(&db);
    else if (strcmp(verb, "list") == 0)
        code = list(&db, &request->filter, request->json);
    else if (strcmp(verb, "show") == 0)
        code = show(&db, request->ids[0], request->json);
    else
        code = dead_replay(&db, config, request);
    database_close(&db);
    config_free(&config);
    return code;
}

static const struct cli_option options_list[] = {
    CLI_CONFIG_OPTION(dead_request, path),
    CLI_OPTION(dead_request, "stream", CLI_TEXT, filter.stream),
    CLI_OPTION(dead_request, "reason", CLI_TEXT, filter.reason),
    CLI_OPTION(dead_request, "since", CLI_TEXT, filter.since),
    CLI_OPTION(dead_request, "until", CLI_TEXT, filter.until),
    CLI_OPTION(dead_request, "limit", CLI_COUNT, filter.limit),
    CLI_OPTION(dead_request, "replayed", CLI_FLAG, filter.replayed),
    CLI_OPTION(dead_request, "all", CLI_FLAG, all),
    CLI_OPTION(dead_request, "json", CLI_FLAG, json),
};
static const struct cli_options options = {.command = "dead",
                                           .help = help,
                                           .list = options_list,
                                           .n = sizeof(options_list) / sizeof(options_list[0]),
                                           .arguments = true};

static int check_request(const struct dead_request *r)
{
    const struct dead_filter *f = &r->filter;
    bool filtered = f->stream || f->reason || f->since || f->until;
    for (int i = 0; i < r->n_ids; i++) {
        if (!is_id(r->ids[i]))
            return cli_usage_error("dead", "\"%s\" is not the id of a dead letter", r->ids[i]);
    }
    if (strcmp(r->verb, "list") == 0)
        return r->n_ids == 0 ? 0 : cli_usage_error("dead", "list takes filters, not ids");
    if (strcmp(r->verb, "show") == 0)
        return r->n_ids == 1 ? 0 : cli_usage_error("dead", "show takes one id");
    if (strcmp(r->verb, "replay") != 0)
        return cli_usage_error("dead", "no such thing as \"%s\"", r->verb);
    if (r->n_ids == 0 && !filtered && !r->all)
        return cli_usage_error("dead", "replay what? Name ids, filters, or --all");
    if (r->n_ids > 0 && (filtered || r->all))
        return cli_usage_error("dead", "replay takes ids, or filters, not both");
    if (r->n_ids > 0 && f->limit > 0)
        return cli_usage_error("dead", "--limit goes with filters or --all, not with ids");
    return 0;
}

int cli_dead(int argc, char **argv)
{
    struct dead_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    if (optind == argc)
        return cli_usage_error("dead", "list, show or replay?");
    request.verb = argv[optind];
    request.ids = argv + optind + 1;
    request.n_ids = argc - optind - 1;
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_ERROR);
    int wrong = check_request(&request);
    return wrong != 0 ? wrong : run(&request);
}
