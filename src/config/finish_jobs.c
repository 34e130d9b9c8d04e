// SPDX-License-Identifier: Apache-2.0
// Checks across the settings of an API and of an action: addresses, paths, and what belongs to
// another kind.
#include "config/finish_priv.h"

#include "config/listen_priv.h"
#include "config/suggest.h"
#include "core/mem.h"
#include "core/uuid.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// --- addresses -----------------------------------------------------------------------------------

// `url` has passed as a URL with the scheme https or http.
static bool is_plain(const char *url)
{
    return strncasecmp(url, "http:", 5) == 0;
}

static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    const char *end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":/?");
    host += *host == '[';
    char *name = mem_strndup(host, (size_t)(end - host));
    bool loopback = listen_is_loopback(name);
    free(name);
    return loopback;
}

// --- APIs ----------------------------------------------------------------------------------------

static void init_api(void *item)
{
    struct config_api *api = item;
    api->auth = CONFIG_NONE;
}

static void check_base_url(struct reader *r, const struct doc_node *node, struct config_api *api)
{
    if (api->base_url == NULL)
        return;
    if (strchr(api->base_url, '?') != NULL)
        reader_fault_at(r, node, "base_url",
                        "has a query (?...), which paths cannot be appended to; remove it");
    if (is_plain(api->base_url) && !is_loopback(api->base_url))
        reader_fault_at(r, node, "base_url",
                        "would send tokens unencrypted; write https (http goes to this machine "
                        "only)");
    size_t length = strlen(api->base_url);
    while (length > 0 && api->base_url[length - 1] == '/')
        api->base_url[--length] = '\0';
}

// Those that every request has, or that come from elsewhere.
static void check_headers(struct reader *r, const struct doc_node *node,
                          const struct config_api *api)
{
    static const char *const own[] = {
        "Authorization",   "Content-Type", "Content-Length",    "Host",
        "Idempotency-Key", "X-Request-Id", "Transfer-Encoding",
    };
    const struct doc_node *headers = doc_member(node, "headers");
    size_t mark = pointer_push(&r->pointer, "headers");
    for (size_t i = 0; i < api->headers.count; i++) {
        for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++) {
            if (strcasecmp(api->headers.items[i].name, own[k]) == 0)
                reader_fault_at(r, headers, api->headers.items[i].name,
                                "cxsink itself sends this header; remove it");
        }
    }
    r->pointer.len = mark;
}

static void finish_api(struct reader *r, const struct doc_node *node, void *item)
{
    struct config_api *api = item;
    check_base_url(r, node, api);
    check_headers(r, node, api);
    check_tls(r, node);
}

const struct setting_map settings_api_map = {
    .item_size = sizeof(struct config_api),
    .count_offset = offsetof(struct config, jobs.n_apis),
    .init = init_api,
    .finish = finish_api,
};
static_assert(offsetof(struct config_api, name) == 0, "entries begin with their name");

// --- actions -------------------------------------------------------------------------------------

// Until it is read, and after a fault in it.
#define KIND_UNKNOWN ((enum config_kind)255)

static const char *const kind_names[ACTION_KINDS] = {
    [ACTION_INVOKE] = "invoke",
    [ACTION_EXECUTE] = "execute",
    [ACTION_PUBLISH] = "publish",
    [ACTION_CONFIGURE] = "configure",
};

#define OF(kind) (1u << (kind))

// What not every kind has.
static const struct {
    const char *name;
    unsigned kinds;
} kind_settings[] = {
    {"allowed_inputs", OF(ACTION_INVOKE)},
    {"callback_url", OF(ACTION_INVOKE)},
    {"poll", OF(ACTION_INVOKE)},
    {"max_payload", OF(ACTION_INVOKE)},
    {"content_types", OF(ACTION_EXECUTE)},
    {"max_bytes", OF(ACTION_EXECUTE)},
    {"file_dir", OF(ACTION_EXECUTE) | OF(ACTION_PUBLISH)},
    {"storage", OF(ACTION_EXECUTE)},
    {"environments", OF(ACTION_PUBLISH)},
    {"allowed_versions", OF(ACTION_PUBLISH)},
    {"blocked_packages", OF(ACTION_PUBLISH)},
    {"webhook_url", OF(ACTION_PUBLISH)},
};

static void check_kind_settings(struct reader *r, const struct doc_node *node,
                                enum config_kind kind)
{
    for (size_t i = 0; i < sizeof(kind_settings) / sizeof(kind_settings[0]); i++) {
        const char *name = kind_settings[i].name;
        unsigned kinds = kind_settings[i].kinds;
        if (doc_member(node, name) == NULL || (kinds & OF(kind)) != 0)
            continue;
        enum config_kind theirs = ACTION_INVOKE;
        while ((kinds & OF(theirs)) == 0)
            theirs++;
        reader_fault_at(r, node, name,
                        "is a setting of kind \"%s\", and this action is of kind \"%s\"; remove it",
                        kind_names[theirs], kind_names[kind]);
    }
}

struct kind_path {
    const char *name;
    const char *values; // that may stand in it
    const char *needed; // one that must; NULL: none
};

static const struct kind_path kind_paths[ACTION_KINDS][4] = {
    [ACTION_INVOKE] = {{"invoke", "{actionId}", NULL},
                       {"status", "{actionId} {invocationId}", "{invocationId}"}},
    [ACTION_EXECUTE] = {{"execute", "{actionId}", NULL}},
    [ACTION_PUBLISH] = {{"version", "{actionId} {versionId}", "{versionId}"}},
    [ACTION_CONFIGURE] = {{"health", "{actionId}", NULL},
                          {"update", "{actionId}", NULL},
                          {"read", "{actionId}", NULL}},
};

static void check_placeholders(struct reader *r, const struct doc_node *paths,
                               const struct config_pair *path, const struct kind_path *known)
{
    for (const char *open = strchr(path->value, '{'); open != NULL; open = strchr(open + 1, '{')) {
        size_t length = strcspn(open, "}");
        char *name = mem_strndup(open, length + 1);
        if (open[length] == '\0' || strstr(known->values, name) == NULL)
            reader_fault_at(r, paths, path->name,
                            "\"%.40s\" stands for nothing here; possible is %s", name,
                            known->values);
        free(name);
    }
    if (known->needed != NULL && strstr(path->value, known->needed) == NULL)
        reader_fault_at(r, paths, path->name, "has no %s, without which it names nothing; add it",
                        known->needed);
    if (path->value[0] != '/' || strpbrk(path->value, " #\t\r\n") != NULL)
        reader_fault_at(r, paths, path->name,
                        "is not the path of a URL: it begins with \"/\", and has no blank and no "
                        "\"#\"");
}

static void check_path(struct reader *r, const struct doc_node *paths,
                       const struct config_pair *path, const struct kind_path *known)
{
    struct suggest suggest;
    suggest_init(&suggest, path->name);
    for (; known->name != NULL; known++) {
        if (strcmp(known->name, path->name) == 0)
            break;
        suggest_consider(&suggest, known->name);
    }
    if (known->name != NULL)
        check_placeholders(r, paths, path, known);
    else
        reader_fault_at(r, paths, path->name, "this kind has no such path; %s",
                        suggest_sentence(&suggest));
    suggest_deinit(&suggest);
}

static void check_paths(struct reader *r, const struct doc_node *node,
                        const struct config_action *action)
{
    const struct doc_node *paths = doc_member(node, "paths");
    size_t mark = pointer_push(&r->pointer, "paths");
    for (size_t i = 0; i < action->paths.count; i++)
        check_path(r, paths, &action->paths.items[i], kind_paths[action->kind]);
    r->pointer.len = mark;
}

static void check_action_id(struct reader *r, const struct doc_node *node,
                            const struct config_action *action)
{
    struct uuid ignored;
    const char *id = action->action_id;
    bool is_uuid = action->kind == ACTION_INVOKE || action->kind == ACTION_PUBLISH;
    if (id == NULL)
        return;
    if (*id == '\0' || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        reader_fault_at(r, node, "action_id", "names nothing; write the data action's id");
    else if (is_uuid && !uuid_parse(id, strlen(id), &ignored))
        reader_fault_at(r, node, "action_id",
                        "is not a UUID; write the data action's id, for example "
                        "\"a1b2c3d4-e5f6-7890-abcd-ef1234567890\"");
}

// An address that cxsink itself sends what it knows to.
static void check_target(struct reader *r, const struct doc_node *node, const char *name,
                         const char *url, bool allow_private)
{
    if (url != NULL && is_plain(url) && !(allow_private && is_loopback(url)))
        reader_fault_at(r, node, name,
                        "goes unencrypted; write https (http goes to this machine only, with "
                        "\"allow_private\": true)");
}

static void check_storage(struct reader *r, const struct doc_node *node,
                          const struct config_action *action)
{
    const struct doc_node *storage = doc_member(node, "storage");
    if (storage == NULL || storage->type != DOC_OBJECT || action->kind != ACTION_EXECUTE)
        return;
    size_t mark = pointer_push(&r->pointer, "storage");
    check_target(r, storage, "url", action->storage_url, action->allow_private);
    bool dir = reader_given(storage, "dir");
    bool url = reader_given(storage, "url");
    if (dir && url)
        reader_fault_at(r, storage, "url",
                        "there is \"dir\" already, and a record goes to one place; remove one");
    else if (!dir && !url)
        reader_fault(r, storage, "names no place; add \"dir\" or \"url\"");
    r->pointer.len = mark;
}

// `example` is one of what could stand in it.
static void check_not_empty(struct reader *r, const struct doc_node *node, const char *name,
                            const char *example)
{
    const struct doc_node *list = doc_member(node, name);
    if (list != NULL && list->type == DOC_ARRAY && list->count == 0)
        reader_fault_at(r, node, name,
                        "is empty, so that no job could run; name one, for example \"%s\"",
                        example);
}

static void check_environments(struct reader *r, const struct doc_node *node,
                               const struct config_action *action)
{
    for (size_t i = 0; i < action->environments.count; i++) {
        const char *name = action->environments.items[i];
        if (strcmp(name, "sandbox") != 0 && strcmp(name, "production") != 0)
            reader_fault_at(r, node, "environments",
                            "\"%.40s\" is no environment; possible are \"sandbox\" and "
                            "\"production\"",
                            name);
    }
}

static void init_action(void *item)
{
    struct config_action *action = item;
    action->kind = KIND_UNKNOWN;
    action->api = CONFIG_NONE;
    action->retry_max = CONFIG_RETRY_DEFAULT;
}

static void finish_action(struct reader *r, const struct doc_node *node, void *item)
{
    struct config_action *action = item;
    action->limits_inputs = reader_given(node, "allowed_inputs");
    check_target(r, node, "notify_url", action->notify_url, action->allow_private);
    check_target(r, node, "webhook_url", action->webhook_url, action->allow_private);
    if (reader_given(node, "notify_secret") && !reader_given(node, "notify_url") &&
        !reader_given(node, "webhook_url"))
        reader_fault_at(r, node, "notify_secret", "there is no \"notify_url\" to sign for; add it");
    if (action->kind == KIND_UNKNOWN)
        return;
    check_kind_settings(r, node, action->kind);
    check_action_id(r, node, action);
    check_paths(r, node, action);
    check_storage(r, node, action);
    check_environments(r, node, action);
    check_not_empty(r, node, "environments", "sandbox");
    check_not_empty(r, node, "content_types", "application/pdf");
}

const struct setting_map settings_action_map = {
    .item_size = sizeof(struct config_action),
    .count_offset = offsetof(struct config, jobs.n_actions),
    .init = init_action,
    .finish = finish_action,
};
static_assert(offsetof(struct config_action, name) == 0, "entries begin with their name");
