// SPDX-License-Identifier: Apache-2.0
// Checks that span several settings, and defaults that depend on others.
#include "config/finish_priv.h"

#include "config/listen_priv.h"
#include "config/names_priv.h"
#include "core/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define AUDIT_KEY_LEAST 16

// --- credentials ---------------------------------------------------------------------------------

static const char seed_token_url[] = "https://api.cxp.cxone.com/oauth/token";
static const char seed_scope[] = "data-actions:read";

// A fault unless the member is given and says something. One that is faulty was told already.
static void need(struct reader *r, const struct doc_node *node, const char *name, const char *value,
                 const char *because)
{
    const struct setting *s =
        setting_find_child(setting_next_child(setting_find_child(NULL, "auth"), NULL), name);
    if (!reader_given(node, name))
        reader_fault_at(r, node, name, "%s needs \"%s\"; add for example \"%s\": %s", because, name,
                        name, s->example);
    else if (value != NULL && *value == '\0')
        reader_fault_at(r, node, name, "is empty, and %s needs it; is what it is taken from set?",
                        because);
}

static void default_text(const struct doc_node *node, const char *name, char **field,
                         const char *value)
{
    if (doc_member(node, name) == NULL)
        *field = mem_strdup(value);
}

static void finish_client_credentials(struct reader *r, const struct doc_node *node,
                                      struct config_auth *auth)
{
    static const char because[] = "grant client_credentials";
    default_text(node, "token_url", &auth->token_url, seed_token_url);
    default_text(node, "scope", &auth->scope, seed_scope);
    if (doc_member(node, "token_url") != NULL)
        need(r, node, "token_url", auth->token_url, because);
    if (auth->client_auth == CLIENT_AUTH_NONE)
        return;
    need(r, node, "client_id", auth->client_id, because);
    need(r, node, "client_secret", auth->client_secret, because);
}

static void finish_password(struct reader *r, const struct doc_node *node, struct config_auth *auth)
{
    static const char because[] = "grant password";
    need(r, node, "token_url", auth->token_url, because);
    need(r, node, "username", auth->username, because);
    need(r, node, "password", auth->password, because);
    if (auth->client_auth == CLIENT_AUTH_BASIC || auth->client_auth == CLIENT_AUTH_BASIC_RAW)
        need(r, node, "client_id", auth->client_id, "client_auth basic");
}

static void finish_access_key(struct reader *r, const struct doc_node *node,
                              struct config_auth *auth)
{
    static const char because[] = "grant access_key";
    need(r, node, "token_url", auth->token_url, because);
    need(r, node, "username", auth->username, because);
    need(r, node, "password", auth->password, because);
    if (doc_member(node, "client_auth") == NULL)
        auth->client_auth = CLIENT_AUTH_NONE;
    else if (auth->client_auth != CLIENT_AUTH_NONE)
        reader_fault_at(r, node, "client_auth",
                        "grant access_key knows no client; remove this or write \"none\"");
    if (doc_member(node, "params_in") == NULL)
        auth->params_in = PARAMS_IN_JSON;
    else if (auth->params_in != PARAMS_IN_JSON)
        reader_fault_at(r, node, "params_in",
                        "grant access_key sends JSON; remove this or write \"json\"");
}

static void finish_static(struct reader *r, const struct doc_node *node, struct config_auth *auth)
{
    (void)auth;
    need(r, node, "token", auth->token, "grant static");
}

void check_tls(struct reader *r, const struct doc_node *node)
{
    const struct doc_node *tls = doc_member(node, "tls");
    if (tls == NULL || reader_given(tls, "cert_file") == reader_given(tls, "key_file"))
        return;
    size_t mark = pointer_push(&r->pointer, "tls");
    reader_fault(r, tls, "cert_file and key_file go together; add the one that is missing");
    r->pointer.len = mark;
}

// Until it is read, and after a fault in it.
#define GRANT_UNKNOWN ((enum config_grant)255)

static void init_auth(void *item)
{
    struct config_auth *auth = item;
    auth->grant = GRANT_UNKNOWN;
}

static void finish_auth(struct reader *r, const struct doc_node *node, void *item)
{
    static void (*const grants[])(struct reader *, const struct doc_node *,
                                  struct config_auth *) = {
        [GRANT_CLIENT_CREDENTIALS] = finish_client_credentials,
        [GRANT_PASSWORD] = finish_password,
        [GRANT_STATIC] = finish_static,
        [GRANT_ACCESS_KEY] = finish_access_key,
    };
    struct config_auth *auth = item;
    if (auth->grant != GRANT_UNKNOWN)
        grants[auth->grant](r, node, auth);
    check_tls(r, node);
}

const struct setting_map settings_auth_map = {
    .item_size = sizeof(struct config_auth),
    .count_offset = offsetof(struct config, n_auth),
    .init = init_auth,
    .finish = finish_auth,
};
static_assert(offsetof(struct config_auth, name) == 0, "entries begin with their name");

// --- streams -------------------------------------------------------------------------------------

static void init_stream(void *item)
{
    struct config_stream *stream = item;
    stream->auth = stream->table = CONFIG_NONE;
}

// `base` and `cap` are members of `name`, which is one of `node`.
static void check_backoff(struct reader *r, const struct doc_node *node, const char *name,
                          int64_t base_us, int64_t cap_us)
{
    if (cap_us >= base_us || cap_us == 0) // 0: has had its fault
        return;
    const struct doc_node *object = doc_member(node, name);
    size_t mark = pointer_push(&r->pointer, name);
    reader_fault_at(r, object != NULL ? object : node, "cap",
                    "is below \"base\"; write at least the same");
    r->pointer.len = mark;
}

static void finish_stream(struct reader *r, const struct doc_node *node, void *item)
{
    static const char allowed[] = "0123456789_.-abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const struct config_stream *stream = item;
    size_t length = strlen(stream->name);
    if (length == 0 || length > 63 || stream->name[strspn(stream->name, allowed)] != '\0')
        reader_fault(r, node, "a stream's name is 1 to 63 letters, digits, \"_\", \".\" or \"-\"");
    check_backoff(r, node, "reconnect", stream->reconnect_base_us, stream->reconnect_cap_us);
    check_tls(r, node);
}

const struct setting_map settings_stream_map = {
    .item_size = sizeof(struct config_stream),
    .count_offset = offsetof(struct config, n_streams),
    .init = init_stream,
    .finish = finish_stream,
};
static_assert(offsetof(struct config_stream, name) == 0, "entries begin with their name");

// --- tables --------------------------------------------------------------------------------------

static void init_table(void *item)
{
    struct config_table *table = item;
    table->newest_by = CONFIG_NONE;
}

static void deinit_table(void *item)
{
    struct config_table *table = item;
    free(table->schema);
    free(table->table);
}

static void split_name(struct reader *r, const struct doc_node *node, struct config_table *table)
{
    const char *dot = strchr(table->name, '.');
    if (dot != NULL)
        table->schema = mem_strndup(table->name, (size_t)(dot - table->name));
    table->table = mem_strdup(dot == NULL ? table->name : dot + 1);
    const char *what = name_fault(strlen(table->table));
    if (what == NULL && table->schema != NULL)
        what = name_fault(strlen(table->schema));
    if (what != NULL)
        reader_fault(r, node, "a part of this table's name is %s", what);
    else if (strchr(table->table, '.') != NULL)
        reader_fault(r, node, "a table's name is \"table\" or \"schema.table\"");
}

static bool in_list(const size_t *items, size_t count, size_t item)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i] == item)
            return true;
    }
    return false;
}

// Everything but the key.
static void default_update(struct config_table *table)
{
    table->update = mem_zalloc((table->n_columns + 1) * sizeof(*table->update));
    for (size_t i = 0; i < table->n_columns; i++) {
        if (!in_list(table->key, table->n_key, i))
            table->update[table->n_update++] = i;
    }
}

static void check_update(struct reader *r, const struct doc_node *node,
                         const struct config_table *table)
{
    for (size_t i = 0; i < table->n_update; i++) {
        if (in_list(table->key, table->n_key, table->update[i]))
            reader_fault_at(r, node, "update",
                            "column \"%.80s\" is in the key, which an update cannot change; remove "
                            "it here",
                            table->columns[table->update[i]].name);
    }
}

static void check_newest_by(struct reader *r, const struct doc_node *node,
                            const struct config_table *table)
{
    const struct doc_node *update = doc_member(node, "update");
    // An update list with faults of its own may well mean to hold it.
    bool faulty = update != NULL && (update->type != DOC_ARRAY || update->count != table->n_update);
    if (table->newest_by == CONFIG_NONE || faulty)
        return;
    const char *name = table->columns[table->newest_by].name;
    if (in_list(table->key, table->n_key, table->newest_by))
        reader_fault_at(r, node, "newest_by",
                        "column \"%.80s\" is in the key, so it never differs; name another one, or "
                        "null",
                        name);
    else if (!in_list(table->update, table->n_update, table->newest_by))
        reader_fault_at(r, node, "newest_by",
                        "column \"%.80s\" is not in \"update\", so the row would keep the time of "
                        "its first event; add it there",
                        name);
}

static void finish_table(struct reader *r, const struct doc_node *node, void *item)
{
    struct config_table *table = item;
    split_name(r, node, table);
    if (doc_member(node, "update") == NULL)
        default_update(table);
    else
        check_update(r, node, table);
    check_newest_by(r, node, table);
    if (table->touch != NULL && table_column(table, table->touch) != CONFIG_NONE)
        reader_fault_at(r, node, "touch",
                        "column \"%.80s\" is mapped from the event; name another one, or null",
                        table->touch);
}

const struct setting_map settings_table_map = {
    .item_size = sizeof(struct config_table),
    .count_offset = offsetof(struct config, n_tables),
    .init = init_table,
    .finish = finish_table,
    .deinit = deinit_table,
};
static_assert(offsetof(struct config_table, name) == 0, "entries begin with their name");

// --- the rest ------------------------------------------------------------------------------------

// systemd's variable holds a list with colons where a unit has several directories.
static void default_dir(struct reader *r, const struct doc_node *root, const char *name,
                        const char *variable, const char *otherwise)
{
    char **field = strcmp(name, "state_dir") == 0 ? &r->config->state_dir : &r->config->runtime_dir;
    if (doc_member(root, name) != NULL)
        return;
    const char *value = getenv(variable);
    size_t length = value == NULL ? 0 : strcspn(value, ":");
    *field = length == 0 ? mem_strdup(otherwise) : reader_absolute(r, mem_strndup(value, length));
}

static void check_socket_path(struct reader *r, const struct doc_node *root)
{
    size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/control.sock");
    if (r->config->runtime_dir != NULL && strlen(r->config->runtime_dir) > room)
        reader_fault_at(r, root, "runtime_dir",
                        "longer than %zu bytes, so that its control.sock would have no address; "
                        "name a shorter path",
                        room);
}

static void check_postgres(struct reader *r, const struct doc_node *root)
{
    const struct config_postgres *postgres = &r->config->postgres;
    const struct doc_node *node = doc_member(root, "postgres");
    size_t mark = pointer_push(&r->pointer, "postgres");
    check_backoff(r, node != NULL ? node : root, "retry", postgres->retry_base_us,
                  postgres->retry_cap_us);
    r->pointer.len = mark;
}

static void check_admin(struct reader *r, const struct doc_node *root)
{
    const struct config_admin *admin = &r->config->admin;
    const struct doc_node *node = doc_member(root, "admin");
    if (node == NULL || admin->host == NULL || listen_is_loopback(admin->host))
        return;
    bool empty = admin->token != NULL && *admin->token == '\0';
    if (reader_given(node, "token") && !empty)
        return;
    size_t mark = pointer_push(&r->pointer, "admin");
    reader_fault_at(r, node, "listen",
                    "an address that other machines reach needs \"token\"; add one, for example "
                    "\"token\": {\"env\": \"CXSINK_ADMIN_TOKEN\"}, or listen at 127.0.0.1");
    r->pointer.len = mark;
}

// Something is there, and has its own faults.
static bool is_faulty_map(const struct doc_node *root, const char *name)
{
    const struct doc_node *node = doc_member(root, name);
    return node != NULL && (node->type != DOC_OBJECT || node->count > 0);
}

// A short key is found by trying.
static void check_audit(struct reader *r, const struct doc_node *root)
{
    char **key = &r->config->audit.key;
    const struct doc_node *audit = doc_member(root, "audit");
    if (*key != NULL && **key == '\0')
        mem_wipe_free(key);
    if (*key == NULL || strlen(*key) >= AUDIT_KEY_LEAST)
        return;
    size_t mark = pointer_push(&r->pointer, "audit");
    reader_fault_at(r, audit, "key",
                    "the key is shorter than %d bytes; make one with `openssl rand -hex 32`",
                    AUDIT_KEY_LEAST);
    r->pointer.len = mark;
}

void finish_root(struct reader *r, const struct slot *slot)
{
    struct config *config = r->config;
    const struct doc_node *root = slot->node;
    default_dir(r, root, "state_dir", "STATE_DIRECTORY", "/var/lib/cxsink");
    default_dir(r, root, "runtime_dir", "RUNTIME_DIRECTORY", "/run/cxsink");
    config->jobs.enabled = doc_member(root, "jobs") != NULL;
    if (config->n_streams == 0 && !config->jobs.enabled && !is_faulty_map(root, "streams"))
        reader_fault_at(r, root, "streams",
                        "no stream is configured, nor jobs; add a stream, with its \"url\" and "
                        "\"table\"");
    check_socket_path(r, root);
    check_postgres(r, root);
    check_admin(r, root);
    check_audit(r, root);
    if (config->admin.token != NULL && *config->admin.token == '\0')
        mem_wipe_free(&config->admin.token);
}
