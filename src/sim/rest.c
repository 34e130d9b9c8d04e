// SPDX-License-Identifier: Apache-2.0
// The REST operations of jobs: invoke, execute, publish, configure. An effect happens once for an
// Idempotency-Key, and the same answer comes again. Ids are made of the key's hash, so that the
// answer need not be kept.
#include "sim.h"

#include "core/hash.h"
#include "core/uuid.h"
#include "json/lookup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Tokens of a body that are kept room for.
#define TAPE_KEEP 4096

static const char *const surface_names[] = {
#define NAME(identifier, name) name,
    SIM_SURFACE_LIST(NAME)
#undef NAME
};

const char *sim_surface_name(enum sim_surface surface)
{
    return surface_names[surface];
}

void sim_rest_init(struct sim_rest *rest)
{
    tape_init(&rest->tape, 0);
}

void sim_rest_deinit(struct sim_rest *rest)
{
    tape_deinit(&rest->tape);
    sim_effects_deinit(&rest->effects);
    sim_documents_deinit(&rest->documents);
}

// --- pieces --------------------------------------------------------------------------------------

static void say(struct sim_reply *reply, int status, const char *message)
{
    reply->status = status;
    buf_append_text(&reply->body, "{\"message\":");
    buf_json_string(&reply->body, message, strlen(message));
    buf_append_text(&reply->body, "}");
}

// Parses the body, which must be an object; else says so.
static bool parse_body(struct sim_rest *rest, const struct sim_request *request,
                       struct sim_reply *reply)
{
    bool good = tape_parse(&rest->tape, request->body, request->length) &&
                rest->tape.tokens[0].kind == TAPE_OBJECT;
    if (!good)
        say(reply, 400, "the body is not a JSON object");
    return good;
}

static uint64_t key_hash(enum sim_surface surface, const char *key)
{
    return hash_bytes(key, strlen(key), (uint64_t)surface + 1);
}

static struct sim_effect *effect_once(struct sim_rest *rest, enum sim_surface surface,
                                      const struct sim_request *request, bool *first_r)
{
    uint64_t key = key_hash(surface, request->key);
    struct sim_effect *effect = sim_effect_find(&rest->effects, key);
    if (request->key[0] == '\0') {
        key = hash_bytes(&rest->effects.made, sizeof(rest->effects.made), 0);
        effect = NULL;
    }
    *first_r = effect == NULL;
    if (effect == NULL) {
        effect = sim_effect_add(&rest->effects, key);
        effect->polls = rest->polls;
        rest->done[surface]++;
    } else {
        rest->duplicates++;
    }
    effect->requests++;
    return effect;
}

const struct sim_effect *sim_rest_effect(const struct sim_rest *rest, const char *key)
{
    const struct sim_effect *effect = NULL;
    for (int i = 0; i < SIM_SURFACES && effect == NULL; i++)
        effect = sim_effect_find(&rest->effects, key_hash((enum sim_surface)i, key));
    return effect;
}

// The effect's key and number as a UUID, and back.
static void effect_id(const struct sim_effect *effect, char text[UUID_TEXT_SIZE])
{
    uint64_t k = effect->key;
    snprintf(text, UUID_TEXT_SIZE,
             "%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-800%" PRIx64 "-%012" PRIx64, k >> 32,
             k >> 16 & 0xffff, k >> 4 & 0xfff, k & 0xf, effect->number);
}

static struct sim_effect *effect_of_id(const struct sim_effects *effects, const char *text)
{
    char again[UUID_TEXT_SIZE];
    uint64_t a, b, c, d, number;
    if (sscanf(text, "%8" SCNx64 "-%4" SCNx64 "-4%3" SCNx64 "-800%1" SCNx64 "-%12" SCNx64, &a, &b,
               &c, &d, &number) != 5)
        return NULL;
    struct sim_effect *effect = sim_effect_find(effects, a << 32 | b << 16 | c << 4 | d);
    if (effect != NULL)
        effect_id(effect, again);
    return effect != NULL && strcmp(again, text) == 0 ? effect : NULL;
}

// --- invoke --------------------------------------------------------------------------------------

static void answer_invoke(struct sim_rest *rest, const struct sim_request *request,
                          const char *name, struct sim_reply *reply)
{
    char id[UUID_TEXT_SIZE];
    bool first;
    (void)name;
    if (!parse_body(rest, request, reply))
        return;
    uint32_t action = lookup_member(&rest->tape, 0, "actionId");
    if (action == TAPE_NONE || rest->tape.tokens[action].kind != TAPE_STRING) {
        say(reply, 400, "actionId is missing");
        return;
    }
    effect_id(effect_once(rest, SIM_INVOKE, request, &first), id);
    reply->status = 201;
    buf_printf(&reply->body, "{\"invocationId\":\"%s\",\"status\":\"RUNNING\"}", id);
}

static void answer_status(struct sim_rest *rest, const struct sim_request *request,
                          const char *name, struct sim_reply *reply)
{
    struct sim_effect *effect = effect_of_id(&rest->effects, name);
    const char *status = rest->invocation[0] != '\0' ? rest->invocation : "COMPLETED";
    bool completed = strcmp(status, "COMPLETED") == 0;
    (void)request;
    if (effect == NULL) {
        say(reply, 404, "no such invocation");
        return;
    }
    reply->status = 200;
    if (effect->polls > 0) {
        effect->polls--;
        buf_printf(&reply->body, "{\"invocationId\":\"%s\",\"status\":\"RUNNING\"}", name);
        return;
    }
    buf_printf(&reply->body, "{\"invocationId\":\"%s\",\"status\":\"%s\",", name, status);
    if (completed)
        buf_printf(&reply->body,
                   "\"outputs\":{\"reference\":\"SIM-%" PRIu64 "\"},\"errorMessage\":null,",
                   effect->number);
    else
        buf_append_text(&reply->body, "\"outputs\":null,\"errorMessage\":\"simulated\",");
    buf_append_text(&reply->body, "\"durationMs\":12}");
}

// --- execute -------------------------------------------------------------------------------------

// Bytes that a base64 text stands for; -1: it cannot be one.
static int64_t base64_size(const char *text, size_t length)
{
    size_t end = length;
    while (end > 0 && length - end < 2 && text[end - 1] == '=')
        end--;
    return length % 4 != 0 ? -1 : (int64_t)(length / 4 * 3 - (length - end));
}

static void answer_execute(struct sim_rest *rest, const struct sim_request *request,
                           const char *name, struct sim_reply *reply)
{
    char id[UUID_TEXT_SIZE];
    bool first;
    (void)name;
    if (!parse_body(rest, request, reply))
        return;
    const struct tape *tape = &rest->tape;
    uint32_t inputs = lookup_member(tape, 0, "inputs");
    uint32_t payload = lookup_member(tape, inputs, "binaryPayload");
    uint32_t value = lookup_member(tape, payload, "value");
    int64_t size = -1;
    if (value != TAPE_NONE && tape->tokens[value].kind == TAPE_STRING)
        size = base64_size(tape->data + tape->tokens[value].start + 1,
                           tape->tokens[value].end - tape->tokens[value].start - 2);
    if (size < 0) {
        say(reply, 400, "inputs.binaryPayload.value is not base64");
        return;
    }
    effect_id(effect_once(rest, SIM_EXECUTE, request, &first), id);
    reply->status = 202;
    buf_printf(&reply->body,
               "{\"executionId\":\"%s\",\"status\":\"QUEUED\","
               "\"message\":\"%" PRId64 " bytes taken\"}",
               id, size);
}

// --- publish -------------------------------------------------------------------------------------

static void put_raw(struct buf *out, const struct tape *tape, const char *name)
{
    char *raw = lookup_raw(tape, lookup_member(tape, 0, name));
    buf_printf(out, ",\"%s\":%s", name, raw != NULL ? raw : "null");
    free(raw);
}

static void begin_version(struct buf *out, const char *name)
{
    buf_append_text(out, "{\"versionId\":");
    buf_json_string(out, name, strlen(name));
}

static void patch_version(struct sim_rest *rest, const struct sim_request *request,
                          const char *name, struct sim_reply *reply)
{
    bool first;
    if (!parse_body(rest, request, reply))
        return;
    uint32_t published = lookup_member(&rest->tape, 0, "published");
    bool on = published != TAPE_NONE && rest->tape.tokens[published].kind == TAPE_TRUE;
    reply->status = 200;
    begin_version(&reply->body, name);
    if (rest->publish[0] != '\0') {
        buf_printf(&reply->body, ",\"published\":false,\"status\":\"%s\"}", rest->publish);
        return;
    }
    effect_once(rest, SIM_VERSION, request, &first);
    buf_printf(&reply->body, ",\"published\":%s,\"status\":\"%s\"", on ? "true" : "false",
               on ? "published" : "draft");
    put_raw(&reply->body, &rest->tape, "environment");
    put_raw(&reply->body, &rest->tape, "checksum");
    buf_append_text(&reply->body, "}");
    if (first &&
        !sim_document_put(&rest->documents, request->path, reply->body.data, reply->body.len)) {
        buf_clear(&reply->body);
        say(reply, 413, "too long to be kept");
    }
}

static void answer_version(struct sim_rest *rest, const struct sim_request *request,
                           const char *name, struct sim_reply *reply)
{
    const char *kept = sim_document_find(&rest->documents, request->path);
    if (strcmp(request->method, "PATCH") == 0) {
        patch_version(rest, request, name, reply);
        return;
    }
    reply->status = 200;
    if (kept != NULL) {
        buf_append_text(&reply->body, kept);
        return;
    }
    begin_version(&reply->body, name);
    buf_append_text(&reply->body, ",\"published\":false,\"status\":\"draft\",\"environment\":null,"
                                  "\"checksum\":null}");
}

// --- configure -----------------------------------------------------------------------------------

static void answer_health(struct sim_rest *rest, const struct sim_request *request,
                          const char *name, struct sim_reply *reply)
{
    (void)rest, (void)request, (void)name;
    reply->status = 200;
    buf_append_text(&reply->body, "{\"status\":\"ok\"}");
}

static void answer_update(struct sim_rest *rest, const struct sim_request *request,
                          const char *name, struct sim_reply *reply)
{
    bool first;
    (void)name;
    if (!parse_body(rest, request, reply))
        return;
    char *id = lookup_text(&rest->tape, lookup_member(&rest->tape, 0, "id"));
    if (id == NULL) {
        say(reply, 400, "id is missing");
    } else if (request->length > SIM_DOCUMENT_BYTES) {
        say(reply, 413, "too long to be kept");
    } else {
        effect_once(rest, SIM_UPDATE, request, &first);
        if (first)
            sim_document_put(&rest->documents, id, request->body, request->length);
        reply->status = 200;
        buf_append_text(&reply->body, "{\"id\":");
        buf_json_string(&reply->body, id, strlen(id));
        buf_append_text(&reply->body, "}");
    }
    free(id);
}

// As it was PUT, but for requestTimeout.
static void read_wrong(struct sim_rest *rest, const char *text, struct buf *out)
{
    uint32_t at = TAPE_NONE;
    if (tape_parse(&rest->tape, text, strlen(text)))
        at = lookup_member(&rest->tape, lookup_member(&rest->tape, 0, "configuration"),
                           "requestTimeout");
    if (at == TAPE_NONE)
        buf_append_text(out, "{}");
    else
        buf_printf(out, "%.*s%s%s", (int)rest->tape.tokens[at].start, text, "1",
                   text + rest->tape.tokens[at].end);
}

static void answer_read(struct sim_rest *rest, const struct sim_request *request, const char *name,
                        struct sim_reply *reply)
{
    const char *text = sim_document_find(&rest->documents, name);
    (void)request;
    if (text == NULL) {
        say(reply, 404, "no such action");
        return;
    }
    reply->status = 200;
    if (rest->wrong_reads > 0) {
        rest->wrong_reads--;
        read_wrong(rest, text, &reply->body);
    } else {
        buf_append_text(&reply->body, text);
    }
}

// --- all -----------------------------------------------------------------------------------------

static const struct {
    const char *methods[2];
    void (*answer)(struct sim_rest *rest, const struct sim_request *request, const char *name,
                   struct sim_reply *reply);
} surfaces[SIM_SURFACES] = {
    [SIM_INVOKE] = {{"POST", NULL}, answer_invoke},
    [SIM_STATUS] = {{"GET", NULL}, answer_status},
    [SIM_EXECUTE] = {{"POST", NULL}, answer_execute},
    [SIM_VERSION] = {{"GET", "PATCH"}, answer_version},
    [SIM_HEALTH] = {{"GET", NULL}, answer_health},
    [SIM_UPDATE] = {{"PUT", NULL}, answer_update},
    [SIM_READ] = {{"GET", NULL}, answer_read},
};

static bool ends_in(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

// `name_r`: the id that the path ends in.
static enum sim_surface route(const char *path, const char **name_r)
{
    static const char actions[] = "/integrations/actions", runs[] = "/invocations";
    static const char versions[] = "/versions/";
    const char *at = strstr(path, actions);
    *name_r = "";
    if (at != NULL) {
        at += sizeof(actions) - 1;
        if (at[0] == '\0')
            return SIM_UPDATE;
        *name_r = at + 1;
        if (strncmp(at, runs, sizeof(runs) - 1) != 0)
            return at[0] == '/' ? SIM_READ : SIM_SURFACES;
        at += sizeof(runs) - 1;
        *name_r = at[0] == '/' ? at + 1 : "";
        return at[0] == '\0' ? SIM_INVOKE : SIM_STATUS;
    }
    at = strstr(path, versions);
    if (at != NULL) {
        *name_r = at + sizeof(versions) - 1;
        return SIM_VERSION;
    }
    return ends_in(path, "/execute")  ? SIM_EXECUTE
           : ends_in(path, "/health") ? SIM_HEALTH
                                      : SIM_SURFACES;
}

static bool method_fits(enum sim_surface surface, const char *method)
{
    const char *const *methods = surfaces[surface].methods;
    return strcmp(method, methods[0]) == 0 ||
           (methods[1] != NULL && strcmp(method, methods[1]) == 0);
}

// The fault of this request, or NULL; it is used up.
static const struct sim_fault *next_fault(struct sim_rest *rest, enum sim_surface surface)
{
    struct sim_fault *fault = &rest->faults[surface];
    if (fault->times == 0)
        return NULL;
    if (fault->skip > 0) {
        fault->skip--;
        return NULL;
    }
    fault->times--;
    rest->faulty++;
    return fault;
}

static void format_retry_at(char *text, size_t size, double seconds)
{
    time_t at = (time_t)(wall_read_us() / US_PER_S) + (time_t)(seconds + 0.999);
    struct tm tm;
    strftime(text, size, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm));
}

static void spoil(const struct sim_fault *fault, struct sim_reply *reply)
{
    reply->delay = fault->delay;
    reply->ending = fault->ending;
    snprintf(reply->location, sizeof(reply->location), "%s", fault->location);
    snprintf(reply->retry_after, sizeof(reply->retry_after), "%s", fault->retry_after);
    if (fault->retry_at > 0)
        format_retry_at(reply->retry_after, sizeof(reply->retry_after), fault->retry_at);
    if (fault->status != 0) {
        reply->status = fault->status;
        buf_clear(&reply->body);
        buf_append_text(&reply->body, fault->body[0] ? fault->body : "{\"message\":\"simulated\"}");
    } else if (fault->body[0] != '\0') {
        buf_clear(&reply->body);
        buf_append_text(&reply->body, fault->body);
    }
}

static void answer(struct sim *sim, enum sim_surface surface, const struct sim_request *request,
                   const char *name, struct sim_reply *reply)
{
    struct sim_rest *rest = &sim->rest;
    if (!sim->settings.no_auth && !sim_token_valid(sim, request->authorization)) {
        rest->refused++;
        say(reply, 401, "the token is not valid");
    } else if (!method_fits(surface, request->method)) {
        say(reply, 405, "another method is expected");
    } else {
        surfaces[surface].answer(rest, request, name, reply);
    }
    tape_shrink(&rest->tape, TAPE_KEEP);
}

bool sim_rest_answer(struct sim *sim, const struct sim_request *request, struct sim_reply *reply)
{
    const char *name;
    enum sim_surface surface = route(request->path, &name);
    if (surface == SIM_SURFACES)
        return false;
    sim->rest.requests[surface]++;
    const struct sim_fault *fault = next_fault(&sim->rest, surface);
    if (fault == NULL || fault->effect)
        answer(sim, surface, request, name, reply);
    if (fault != NULL)
        spoil(fault, reply);
    return true;
}
