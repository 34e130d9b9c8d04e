// SPDX-License-Identifier: Apache-2.0
// cxsink jobs submit --dry-run: what would be sent, step by step. What an answer would bring stands
// as an example.
#include "cli/common.h"
#include "core/mem.h"
#include "jobs/request.h"
#include "jobs_priv.h"
#include "json/tape.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct dry_run {
    bool json;
    const struct config_api *api;
    const struct config_action *action;
    const struct job *job;
    bool undo; // this step only follows a failure
};

// --- bodies --------------------------------------------------------------------------------------

// "<base64 of FILE, 12 bytes>", as the inside of a JSON string.
static void put_payload(struct buf *out, const struct job_payload *payload)
{
    struct stat info;
    struct buf text = {0}, json = {0};
    if (payload->type == JOB_PAYLOAD_FILE && stat(payload->path, &info) == 0)
        buf_printf(&text, "<base64 of %s, %lld bytes>", payload->path, (long long)info.st_size);
    else if (payload->type == JOB_PAYLOAD_FILE)
        buf_printf(&text, "<base64 of %s>", payload->path);
    else if (payload->type == JOB_PAYLOAD_BASE64)
        buf_printf(&text, "<base64 of the job's data, %zu characters>", payload->base64_length);
    buf_json_string(&json, buf_text(&text), text.len);
    buf_append(out, json.data + 1, json.len - 2);
    buf_deinit(&text);
    buf_deinit(&json);
}

// As it is sent but for a payload; the caller's.
static char *body_of(struct job_op *op)
{
    struct buf body = {0};
    buf_append(&body, op->body.data, op->body.len);
    if (op->payload.type != JOB_PAYLOAD_NONE) {
        put_payload(&body, &op->payload);
        buf_append(&body, op->body_tail.data, op->body_tail.len);
    }
    char *text = mem_strdup(buf_text(&body));
    buf_deinit(&body);
    return text;
}

// --- printing ------------------------------------------------------------------------------------

struct shown {
    const char *method, *url, *body;
    const struct http_header *headers;
    size_t n_headers;
};

// Credentials that the configuration adds to every request.
static bool is_secret(const char *name)
{
    static const char *const words[] = {"auth", "cookie", "token", "secret", "key", "password"};
    if (strcasecmp(name, "Idempotency-Key") == 0)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasestr(name, words[i]) != NULL)
            return true;
    }
    return false;
}

static const char *header_value(const struct http_header *header)
{
    if (strncmp(header->value, "Bearer ", 7) == 0)
        return "Bearer ***";
    return is_secret(header->name) ? "***" : header->value;
}

static void put_member(struct buf *out, const char *name, const char *value)
{
    buf_append_text(out, out->data[out->len - 1] == '{' ? "" : ",");
    buf_json_string(out, name, strlen(name));
    buf_append_text(out, ":");
    buf_json_string(out, value, strlen(value));
}

static void print_json(const struct dry_run *d, const struct shown *shown)
{
    struct buf out = {0};
    buf_append_text(&out, "{");
    put_member(&out, "job", d->job->id);
    put_member(&out, "action", d->action->name);
    put_member(&out, "step", d->job->step);
    buf_printf(&out, ",\"undo\":%s", d->undo ? "true" : "false");
    put_member(&out, "method", shown->method);
    put_member(&out, "url", shown->url);
    buf_append_text(&out, ",\"headers\":{");
    for (size_t i = 0; i < shown->n_headers; i++)
        put_member(&out, shown->headers[i].name, header_value(&shown->headers[i]));
    buf_append_text(&out, "},\"body\":");
    buf_append_text(&out, shown->body[0] != '\0' ? shown->body : "null");
    printf("%s}\n", buf_text(&out));
    buf_deinit(&out);
}

static void print_plain_line(const char *text)
{
    cli_print_plain(text, strlen(text), false);
    putchar('\n');
}

static void print_text(const struct shown *shown)
{
    printf("%s ", shown->method);
    print_plain_line(shown->url);
    for (size_t i = 0; i < shown->n_headers; i++) {
        printf("%s: ", shown->headers[i].name);
        print_plain_line(header_value(&shown->headers[i]));
    }
    if (shown->body[0] != '\0') {
        putchar('\n');
        print_plain_line(shown->body);
    }
    putchar('\n');
}

static void print_title(const struct dry_run *d)
{
    printf("# ");
    cli_print_plain(d->job->id, strlen(d->job->id), false);
    printf(", %s, %s%s", d->action->name, d->job->step,
           d->undo ? " (only to undo what went wrong)" : "");
}

// What a step does that sends nothing to the API; the title's line goes on with it.
static void print_remark(const struct dry_run *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void print_remark(const struct dry_run *d, const char *format, ...)
{
    char remark[512];
    va_list args;
    if (d->json)
        return;
    va_start(args, format);
    vsnprintf(remark, sizeof(remark), format, args);
    va_end(args);
    print_title(d);
    printf(": ");
    print_plain_line(remark);
    putchar('\n');
}

// --- steps ---------------------------------------------------------------------------------------

static void print_request(const struct dry_run *d, const struct shown *shown)
{
    if (d->json) {
        print_json(d, shown);
        return;
    }
    print_title(d);
    putchar('\n');
    print_text(shown);
}

static void show_send(const struct dry_run *d, struct job_op *op)
{
    struct http_header list[REQUEST_HEADERS_MAX];
    const char *authorization = d->api->auth != CONFIG_NONE ? "Bearer " : NULL;
    char *url = mem_printf("%s%s", d->api->base_url, buf_text(&op->path));
    char *body = body_of(op);
    struct shown shown = {.method = op->method, .url = url, .body = body, .headers = list};
    shown.n_headers = request_headers(d->api, d->job, op, authorization, list);
    print_request(d, &shown);
    free(url);
    free(body);
}

// A signature or token may stand in the query.
static void show_store(const struct dry_run *d, struct job_op *op)
{
    static const struct http_header type = {"Content-Type", "application/json"};
    const char *configured = d->action->storage_url;
    if (configured == NULL) {
        print_remark(d, "writes the record to a file in %s", d->action->storage_dir);
        return;
    }
    size_t plain = strcspn(configured, "?");
    char *url =
        mem_printf("%.*s%s", (int)plain, configured, configured[plain] != '\0' ? "?***" : "");
    char *body = body_of(op);
    struct shown shown = {"PUT", url, body, &type, 1};
    print_request(d, &shown);
    free(url);
    free(body);
}

// True at the end of the steps.
static bool show_step(const struct dry_run *d, struct job_op *op)
{
    switch (op->type) {
    case JOB_OP_SEND:
        show_send(d, op);
        return false;
    case JOB_OP_CHECK_CODE:
        print_remark(d, "the syntax of the code, %zu bytes, is checked as a %s", op->code_length,
                     op->module ? "module" : "script");
        return false;
    case JOB_OP_LOCK:
        print_remark(d, "takes the lock %s", buf_text(&op->key));
        return false;
    case JOB_OP_STORE:
        show_store(d, op);
        return false;
    default:
        return op->type == JOB_OP_SUCCEED || op->type == JOB_OP_FAIL;
    }
}

static bool has_step(const struct config_action *action, const char *step)
{
    bool stores = action->storage_dir != NULL || action->storage_url != NULL;
    return strcmp(step, "store") != 0 || stores;
}

// Where the path of a URL begins.
static size_t host_end(const char *url)
{
    const char *host = strstr(url, "://");
    size_t before = host != NULL ? (size_t)(host + 3 - url) : 0;
    return before + strcspn(url + before, "/?#");
}

// What it says is known when the job has ended. The path of a webhook may be its secret.
static void show_notification(struct dry_run *d, struct job *job)
{
    const struct config_action *action = d->action;
    const char *url = action->notify_url != NULL ? action->notify_url : action->webhook_url;
    strcpy(job->step, "end");
    d->undo = false;
    if (url != NULL)
        print_remark(d, "the outcome is POSTed to %.*s", (int)host_end(url), url);
}

static void make_uuid(char text[UUID_TEXT_SIZE])
{
    struct uuid id = uuid_random();
    uuid_format(&id, text);
}

static void show_job(const struct config *config, const struct submission *submission, bool json)
{
    // What the answers of earlier steps leave behind, by every kind's names for it.
    char progress[] = "{\"generatedAt\":\"<when it is sent>\","
                      "\"previous\":\"<the state that was read>\"}";
    char remote_id[] = "REMOTE-ID";
    const struct config_action *action = &config->jobs.actions[submission->action];
    const struct job_kind *kind = job_kind(action->kind);
    struct job job = {.id = submission->id,
                      .action = action->name,
                      .params = submission->params,
                      .remote_id = remote_id,
                      .progress = progress};
    struct dry_run d = {json, &config->jobs.apis[action->api], action, &job, false};
    struct tape params;
    struct kind_context context = {action, &params, wall_read_us(), NULL};
    make_uuid(job.idempotency_key);
    make_uuid(job.trace_id);
    tape_init(&params, 0);
    bool ok = tape_parse(&params, submission->params, strlen(submission->params));
    for (size_t i = 0; ok && kind->steps[i] != NULL; i++) {
        struct job_op op = {0};
        if (!has_step(action, kind->steps[i]))
            continue;
        snprintf(job.step, sizeof(job.step), "%s", kind->steps[i]);
        kind->plan(&job, &context, &op);
        d.undo |= show_step(&d, &op);
        job_op_deinit(&op);
    }
    show_notification(&d, &job);
    tape_deinit(&params);
}

void jobs_dry_run(const struct config *config, const struct submissions *jobs, bool json)
{
    for (size_t i = 0; i < jobs->count; i++)
        show_job(config, &jobs->items[i], json);
}
