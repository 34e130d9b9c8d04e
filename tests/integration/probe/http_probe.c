// SPDX-License-Identifier: Apache-2.0
// Drives net/http from the outside: a JSON object a line on standard input starts or cancels a
// request, one a line on standard output tells what became of it. Ends with its input.
//
// {"id": 1, "url": "...", "method", "headers": {}, "body" or "body_size" (from a source), "ca",
//  "http1", "close", "once", "redirects", "timeout_ms", "connect_ms", "response_ms", "idle_ms",
//  "pool" (its size; one pool), "max_response", "header" (of the answer, to tell)}
// {"cancel": 1}; {"stat": true}: descriptors, and the pool's figures
#include "core/buf.h"
#include "core/loop.h"
#include "core/mem.h"
#include "json/number.h"
#include "json/tape.h"
#include "json/text.h"
#include "net/http.h"
#include "net/resolve.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDS 4096
#define HEADERS 32

struct probe;

struct asked {
    struct probe *probe;
    struct http_request *request;
    int64_t id;
    char *header;
    uint64_t at; // of a body from a source
    unsigned rewinds;
};

struct probe {
    struct loop *loop;
    struct http_client *client;
    struct http_pool *pool;
    struct buf input;
    struct tape tape;
    struct asked asked[IDS];
    char *texts[64]; // of the line at hand
    size_t n_texts;
};

// --- what a line says ---

static const char *text_of(struct probe *p, uint32_t value)
{
    const struct tape_token *token = &p->tape.tokens[value];
    char *text = mem_alloc(token->end - token->start + 1);
    text[text_unescape(&p->tape, value, text)] = '\0';
    if (p->n_texts == sizeof(p->texts) / sizeof(p->texts[0]))
        abort();
    p->texts[p->n_texts++] = text;
    return text;
}

static uint32_t member(const struct probe *p, const char *name)
{
    return tape_member(&p->tape, 0, name, strlen(name), tape_hash(name, strlen(name)));
}

static const char *member_text(struct probe *p, const char *name)
{
    uint32_t value = member(p, name);
    return value != TAPE_NONE ? text_of(p, value) : NULL;
}

static int64_t member_number(const struct probe *p, const char *name)
{
    uint32_t value = member(p, name);
    size_t length;
    int64_t number = 0;
    if (value == TAPE_NONE)
        return 0;
    const char *text = tape_raw(&p->tape, value, &length);
    return number_to_int64(text, length, &number) == NUMBER_OK ? number : 0;
}

static bool member_true(const struct probe *p, const char *name)
{
    uint32_t value = member(p, name);
    return value != TAPE_NONE && p->tape.tokens[value].kind == TAPE_TRUE;
}

static size_t read_headers(struct probe *p, struct http_header *headers)
{
    uint32_t object = member(p, "headers");
    size_t n = 0;
    if (object == TAPE_NONE)
        return 0;
    uint32_t end = p->tape.tokens[object].next;
    for (uint32_t key = object + 1; key != end; key = p->tape.tokens[key + 1].next)
        headers[n++] = (struct http_header){text_of(p, key), text_of(p, key + 1)};
    return n;
}

// --- what is told ---

static void tell(struct buf *line)
{
    buf_append_text(line, "}\n");
    if (fwrite(line->data, 1, line->len, stdout) != line->len || fflush(stdout) != 0)
        abort();
    buf_deinit(line);
}

static void tell_text(struct buf *line, const char *name, const char *text, size_t length)
{
    buf_printf(line, ", \"%s\": ", name);
    buf_json_string(line, text, length);
}

static void answered(void *owner, const struct http_response *r)
{
    struct asked *asked = owner;
    struct buf line = {0};
    buf_printf(
        &line,
        "{\"id\": %lld, \"code\": \"%s\", \"status\": %d, \"sent\": %s, \"elapsed_ms\": %lld, "
        "\"waited_ms\": %lld, \"body_length\": %zu, \"rewinds\": %u, \"taken\": %llu",
        (long long)asked->id, status_code_name(r->code), r->status, r->sent ? "true" : "false",
        (long long)(r->elapsed_us / 1000), (long long)(r->waited_us / 1000), r->body_length,
        asked->rewinds, (unsigned long long)asked->at);
    tell_text(&line, "detail", r->detail, strlen(r->detail));
    tell_text(&line, "body", r->body, r->body_length < 65536 ? r->body_length : 65536);
    const char *value = asked->header != NULL ? http_response_header(r, asked->header) : NULL;
    if (value != NULL)
        tell_text(&line, "header", value, strlen(value));
    tell(&line);
    free(asked->header);
    asked->header = NULL;
}

static void tell_figures(struct probe *p)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned files = 0;
    while (dir != NULL && readdir(dir) != NULL)
        files++;
    if (dir != NULL)
        closedir(dir);
    struct buf line = {0};
    buf_printf(&line, "{\"files\": %u, \"active\": %zu, \"waiting\": %zu", files,
               p->pool != NULL ? http_pool_active(p->pool) : 0,
               p->pool != NULL ? http_pool_waiting(p->pool) : 0);
    tell(&line);
}

// --- requests ---

static size_t read_body(void *owner, char *buffer, size_t size)
{
    struct asked *asked = owner;
    for (size_t i = 0; i < size; i++)
        buffer[i] = (char)('a' + (asked->at + i) % 26);
    asked->at += size;
    return size;
}

static bool rewind_body(void *owner)
{
    struct asked *asked = owner;
    asked->at = 0;
    asked->rewinds++;
    return true;
}

static void take_body(struct probe *p, struct asked *asked, struct http_options *options)
{
    options->body = member_text(p, "body");
    options->body_length = options->body != NULL ? strlen(options->body) : 0;
    if (member_number(p, "body_size") > 0)
        options->source = (struct http_source){read_body, rewind_body, asked,
                                               (uint64_t)member_number(p, "body_size")};
}

static struct http_pool *take_pool(struct probe *p)
{
    unsigned size = (unsigned)member_number(p, "pool");
    if (size > 0 && p->pool == NULL)
        p->pool = http_pool_create(p->client, "probe", size);
    return size > 0 ? p->pool : NULL;
}

static void start(struct probe *p)
{
    int64_t id = member_number(p, "id");
    struct asked *asked = &p->asked[id % IDS];
    *asked = (struct asked){.probe = p, .id = id};
    struct http_header headers[HEADERS];
    struct http_options options = {
        .method = member_text(p, "method"),
        .url = member_text(p, "url"),
        .headers = headers,
        .n_headers = read_headers(p, headers),
        .pool = take_pool(p),
        .connect_timeout_us = member_number(p, "connect_ms") * US_PER_MS,
        .response_timeout_us = member_number(p, "response_ms") * US_PER_MS,
        .idle_timeout_us = member_number(p, "idle_ms") * US_PER_MS,
        .timeout_us = member_number(p, "timeout_ms") * US_PER_MS,
        .max_response = (size_t)member_number(p, "max_response"),
        .redirects = (unsigned)member_number(p, "redirects"),
        .http1_only = member_true(p, "http1"),
        .close = member_true(p, "close"),
        .once = member_true(p, "once"),
        .tls = {.ca_file = member_text(p, "ca")},
    };
    const char *header = member_text(p, "header");
    asked->header = header != NULL ? mem_strdup(header) : NULL;
    take_body(p, asked, &options);
    http_request_start(p->client, &options, answered, asked, &asked->request);
}

static void obey(struct probe *p, const char *line, size_t length)
{
    if (!tape_parse(&p->tape, line, length)) {
        fprintf(stderr, "http_probe: %s\n", p->tape.error_message);
        exit(1);
    }
    if (member(p, "stat") != TAPE_NONE)
        tell_figures(p);
    else if (member(p, "cancel") != TAPE_NONE)
        http_request_cancel(&p->asked[member_number(p, "cancel") % IDS].request);
    else
        start(p);
    while (p->n_texts > 0)
        free(p->texts[--p->n_texts]);
}

static void read_input(void *owner, unsigned events)
{
    (void)events;
    struct probe *p = owner;
    char *room = buf_reserve(&p->input, 65536);
    ssize_t n = read(STDIN_FILENO, room, 65536);
    if (n <= 0) {
        loop_stop(p->loop);
        return;
    }
    p->input.len += (size_t)n;
    size_t done = 0;
    const char *end;
    while ((end = memchr(p->input.data + done, '\n', p->input.len - done)) != NULL) {
        size_t length = (size_t)(end - (p->input.data + done));
        obey(p, p->input.data + done, length);
        done += length + 1;
    }
    memmove(p->input.data, p->input.data + done, p->input.len - done);
    p->input.len -= done;
}

int main(void)
{
    static struct probe p;
    struct status st = {0};
    struct resolver *resolver = NULL;
    tape_init(&p.tape, 0);
    if ((p.loop = loop_create(&st)) == NULL || (resolver = resolver_create(p.loop, &st)) == NULL ||
        (p.client = http_client_create(p.loop, resolver, &st)) == NULL) {
        fprintf(stderr, "http_probe: %s\n", st.detail);
        return 1;
    }
    struct loop_watch *input = loop_watch(p.loop, STDIN_FILENO, LOOP_READ, read_input, &p, &st);
    if (input == NULL)
        return 1;
    loop_run(p.loop);
    loop_unwatch(&input);
    http_client_destroy(&p.client);
    resolver_destroy(&resolver);
    loop_destroy(&p.loop);
    for (size_t i = 0; i < IDS; i++)
        free(p.asked[i].header);
    tape_deinit(&p.tape);
    buf_deinit(&p.input);
    return 0;
}
