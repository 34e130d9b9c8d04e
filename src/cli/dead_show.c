// SPDX-License-Identifier: Apache-2.0
// cxsink dead list and show.
#include "app/daemon.h"
#include "cli/common.h"
#include "core/mem.h"
#include "dead_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define LIST_DEFAULT 50

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

int dead_list(struct database *db, const struct dead_request *request)
{
    struct dead_params params;
    struct listing listing = {.json = request->json};
    long long most = request->filter.limit;
    char limit[24];
    char *sql = mem_printf(
        "select id, to_char(received_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS'),"
        " stream, reason, coalesce(octet_length(payload), 0),"
        " left(coalesce(nullif(detail #>> '{0,instance}', '') || ': ', '')"
        "  || coalesce(detail #>> '{0,message}', ''), 120),"
        " json_build_object('id', id, 'received_at', received_at, 'stream', stream,"
        "  'reason', reason, 'detail', detail, 'payload_bytes', octet_length(payload),"
        "  'payload_sha256', encode(payload_sha256, 'hex'), 'replayed_at', replayed_at,"
        "  'refusals', greatest(jsonb_array_length(history), 1))::text"
        " from cxsink.dead_letters%s order by id desc limit $7::bigint",
        dead_where());
    dead_params_init(&params, &request->filter);
    snprintf(limit, sizeof(limit), "%lld", most > 0 ? most : LIST_DEFAULT);
    params.list[DEAD_PARAMS] = database_text(limit);
    bool ok =
        database_query(db, "dead list", sql, params.list, DEAD_PARAMS + 1, print_row, &listing);
    dead_params_deinit(&params);
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

// The columns of show; the whole as JSON is the last.
enum { ID, STREAM, RECEIVED, REASON, REPLAYED, SHA256, DETAIL, HISTORY, PAYLOAD, JSON };

static const char show_sql[] =
    "select id, stream, received_at, reason, replayed_at, encode(payload_sha256, 'hex'),"
    " jsonb_pretty(detail), (select string_agg(format(e'  %s  %s  %s', h ->> 'at',"
    "  h ->> 'reason', coalesce(h #>> '{detail,0,message}', '')), e'\\n' order by n)"
    "  from jsonb_array_elements(history) with ordinality as t(h, n)),"
    " encode(payload, 'hex'),"
    " json_build_object('id', id, 'received_at', received_at, 'stream', stream,"
    "  'reason', reason, 'detail', detail, 'payload_base64',"
    "  translate(encode(payload, 'base64'), E'\\n', ''), 'payload_sha256',"
    "  encode(payload_sha256, 'hex'), 'replayed_at', replayed_at, 'history', history)::text"
    " from cxsink.dead_letters where id = $1::bigint";

static void print_text(const struct pg_result *r, int row, int column)
{
    cli_print_plain(pg_result_text(r, row, column), (size_t)pg_result_length(r, row, column), true);
}

static void print_one(void *owner, const struct pg_result *r, int row)
{
    struct shown *shown = owner;
    shown->found = true;
    if (shown->json) {
        printf("%s\n", pg_result_text(r, row, JSON));
        return;
    }
    printf("id        %s\nstream    %s\nreceived  %s\nreason    %s\nreplayed  %s\nsha256    %s\n"
           "detail    ",
           pg_result_text(r, row, ID), pg_result_text(r, row, STREAM),
           pg_result_text(r, row, RECEIVED), pg_result_text(r, row, REASON),
           pg_result_is_null(r, row, REPLAYED) ? "no" : pg_result_text(r, row, REPLAYED),
           pg_result_text(r, row, SHA256));
    print_text(r, row, DETAIL);
    if (!pg_result_is_null(r, row, HISTORY)) {
        printf("\nrefused\n");
        print_text(r, row, HISTORY);
    }
    if (pg_result_is_null(r, row, PAYLOAD)) {
        printf("\npayload   none was kept\n");
        return;
    }
    size_t length;
    char *payload = dead_payload(r, row, PAYLOAD, &length);
    printf("\npayload\n");
    cli_print_plain(payload, length, true);
    putchar('\n');
    free(payload);
}

int dead_show(struct database *db, const struct dead_request *request)
{
    const char *id = request->filter.ids[0];
    struct shown shown = {.json = request->json};
    struct pg_param param = database_text(id);
    if (!database_query(db, "dead show", show_sql, &param, 1, print_one, &shown))
        return database_exit_code(db);
    if (!shown.found)
        fprintf(stderr, "cxsink dead: there is no dead letter %s\n", id);
    return shown.found ? EXIT_DONE : EXIT_NO;
}
