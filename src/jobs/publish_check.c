// SPDX-License-Identifier: Apache-2.0
#include "core/mem.h"
#include "jobs/semver.h"
#include "json/text.h"
#include "kind_priv.h"
#include "publish_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

// --- the code ------------------------------------------------------------------------------------

// The member "code" as bytes, which may hold a NUL; NULL when it is no string.
static char *code_of(const struct kind_context *context, size_t *length_r)
{
    const struct tape *params = context->params;
    uint32_t code = lookup_member(params, 0, "code");
    if (code == TAPE_NONE || params->tokens[code].kind != TAPE_STRING)
        return NULL;
    tape_string(params, code, length_r);
    char *text = mem_alloc(*length_r + 1);
    *length_r = text_unescape(params, code, text);
    return text;
}

void publish_checksum(const struct kind_context *context, char hex[HASH_SHA256_HEX_SIZE])
{
    unsigned char digest[HASH_SHA256_SIZE];
    size_t length;
    char *code = code_of(context, &length);
    hex[0] = '\0';
    if (code != NULL) {
        hash_sha256(code, length, digest);
        hash_hex(digest, sizeof(digest), hex);
    }
    free(code);
}

// That it is valid UTF-8 the parser has seen to already.
static void check_code(const struct kind_context *context, struct job_faults *faults)
{
    const struct tape *params = context->params;
    size_t length = 0;
    uint32_t at = check_member(params, 0, "code", TAPE_STRING, faults);
    char *code = code_of(context, &length);
    if (lookup_member(params, 0, "code_file") !=
        TAPE_NONE) // a submission has put "code" in its place
        job_faults_add(faults, "/code_file",
                       "names a file, which a job that is queued already cannot do; bring the text "
                       "in \"code\" (cxsink jobs submit reads the file)");
    else if (lookup_member(params, 0, "code") == TAPE_NONE)
        job_faults_add(faults, "/code",
                       "is missing; bring the action's code, or name its file in \"code_file\"");
    else if (code != NULL && length == 0)
        check_fault(params, at, faults, "is empty; bring the action's code");
    else if (code != NULL && length > PUBLISH_CODE_MAX)
        check_fault(params, at, faults, "has %zu bytes, more than the %zu that code may have",
                    length, PUBLISH_CODE_MAX);
    else if (code != NULL && memchr(code, '\0', length) != NULL)
        check_fault(params, at, faults, "holds a NUL character, which no code does");
    free(code);
}

static void check_checksum(const struct kind_context *context, struct job_faults *faults)
{
    char hex[HASH_SHA256_HEX_SIZE];
    uint32_t at = check_member(context->params, 0, "checksum", TAPE_STRING, faults);
    char *given = lookup_text(context->params, at);
    publish_checksum(context, hex);
    if (given != NULL && (strlen(given) != HASH_SHA256_HEX_SIZE - 1 ||
                          given[strspn(given, "0123456789abcdefABCDEF")] != '\0'))
        check_fault(context->params, at, faults,
                    "is not a SHA-256 in hex; leave it out, and it is computed");
    else if (given != NULL && hex[0] != '\0' && strcasecmp(given, hex) != 0)
        check_fault(context->params, at, faults, "is not that of the code, which is %s", hex);
    free(given);
}

// --- dependencies --------------------------------------------------------------------------------

static bool is_blocked(const struct config_action *action, const char *package)
{
    for (size_t i = 0; i < action->blocked_packages.count; i++) {
        if (strcmp(action->blocked_packages.items[i], package) == 0)
            return true;
    }
    return false;
}

static const char *range_for(const struct config_action *action, const char *package)
{
    for (size_t i = 0; i < action->allowed_versions.count; i++) {
        if (strcmp(action->allowed_versions.items[i].name, package) == 0)
            return action->allowed_versions.items[i].value;
    }
    return NULL;
}

static void check_version(const struct kind_context *context, uint32_t value, const char *package,
                          struct job_faults *faults)
{
    const char *range = range_for(context->action, package);
    char *version = lookup_text(context->params, value);
    struct semver parsed;
    struct status st;
    bool satisfied = true;
    if (semver_parse(version, &parsed, &st) != STATUS_OK ||
        (range != NULL && semver_satisfies(version, range, &satisfied, &st) != STATUS_OK))
        check_fault(context->params, value, faults, "%s", st.detail);
    else if (!satisfied)
        check_fault(context->params, value, faults,
                    "version %.80s is not in %.200s, which the "
                    "action allows of %.100s",
                    version, range, package);
    free(version);
}

static void check_dependency(const struct kind_context *context, uint32_t key,
                             struct job_faults *faults)
{
    const struct tape *params = context->params;
    char *package = lookup_text(params, key);
    if (is_blocked(context->action, package))
        check_fault(params, key, faults, "the action blocks this package; do without it");
    else if (params->tokens[key + 1].kind != TAPE_STRING)
        check_fault(params, key + 1, faults,
                    "expected a version as a string, for example "
                    "\"4.17.21\"");
    else
        check_version(context, key + 1, package, faults);
    free(package);
}

static void check_dependencies(const struct kind_context *context, struct job_faults *faults)
{
    const struct tape *params = context->params;
    uint32_t object = check_member(params, 0, "dependencies", TAPE_OBJECT, faults);
    if (object == TAPE_NONE)
        return;
    uint32_t end = params->tokens[object].next;
    for (uint32_t key = object + 1; key != end; key = params->tokens[key + 1].next)
        check_dependency(context, key, faults);
}

// --- the rest ------------------------------------------------------------------------------------

static void check_version_id(const struct kind_context *context, struct job_faults *faults)
{
    const struct tape *params = context->params;
    uint32_t at = check_member(params, 0, "version_id", TAPE_STRING, faults);
    char *version = lookup_text(params, at);
    if (lookup_member(params, 0, "version_id") == TAPE_NONE)
        job_faults_add(faults, "/version_id", "is missing; name the version to publish");
    else if (version != NULL &&
             (*version == '\0' || strcmp(version, ".") == 0 || strcmp(version, "..") == 0))
        check_fault(params, at, faults, "names no version");
    free(version);
}

static void check_environment(const struct kind_context *context, struct job_faults *faults)
{
    const struct config_strings *allowed = &context->action->environments;
    const struct tape *params = context->params;
    uint32_t at = check_member(params, 0, "environment", TAPE_STRING, faults);
    struct buf known = {0};
    bool found = at == TAPE_NONE; // which is told
    if (lookup_member(params, 0, "environment") == TAPE_NONE)
        job_faults_add(faults, "/environment",
                       "is missing; say where to publish to, for example \"sandbox\"");
    for (size_t i = 0; i < allowed->count && !found; i++) {
        found = lookup_is(params, at, allowed->items[i]);
        buf_printf(&known, "%s\"%s\"", known.len > 0 ? " or " : "", allowed->items[i]);
    }
    if (!found)
        check_fault(params, at, faults, "the action publishes to %s only", buf_text(&known));
    buf_deinit(&known);
}

static void check_choice(const struct kind_context *context, const char *name, const char *one,
                         const char *other, struct job_faults *faults)
{
    uint32_t at = check_member(context->params, 0, name, TAPE_STRING, faults);
    if (at != TAPE_NONE && !lookup_is(context->params, at, one) &&
        !lookup_is(context->params, at, other))
        check_fault(context->params, at, faults, "choose \"%s\" or \"%s\"", one, other);
}

void publish_check(const struct kind_context *context, struct job_faults *faults)
{
    check_version_id(context, faults);
    check_environment(context, faults);
    check_code(context, faults);
    check_checksum(context, faults);
    check_choice(context, "source", "script", "module", faults);
    check_choice(context, "on_conflict", "wait", "fail", faults);
    check_dependencies(context, faults);
}
