// SPDX-License-Identifier: Apache-2.0
#include "ops/audit.h"

#include "audit_writer_priv.h"
#include "config/load.h"
#include "core/log_event.h"
#include "core/mem.h"
#include "ops/audit_event.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- open and close ---

static char *copy_of(const char *text)
{
    return text != NULL && text[0] != '\0' ? mem_strdup(text) : NULL;
}

static void configure(struct audit *audit, const struct audit_settings *settings)
{
    mem_wipe_free(&audit->key);
    free(audit->user);
    audit->key = copy_of(settings->key);
    audit->user = copy_of(settings->user);
    audit->max_bytes = settings->max_bytes;
    audit->keep = settings->keep;
    audit_key_id(audit->key, audit->key_id);
}

struct audit *audit_open(const struct audit_settings *settings, struct status *st)
{
    int fd = audit_open_file(settings->path, st);
    if (fd < 0)
        return NULL;
    struct audit *audit = mem_zalloc(sizeof(*audit));
    audit->fd = fd;
    audit->path = mem_strdup(settings->path);
    strcpy(audit->last, AUDIT_NO_HASH);
    configure(audit, settings);
    return audit;
}

static struct audit_settings settings_of(const struct config *config, const char *path,
                                         const char *user)
{
    return (struct audit_settings){.path = path,
                                   .key = config->audit.key,
                                   .user = user,
                                   .max_bytes = config->audit.max_bytes,
                                   .keep = config->audit.keep};
}

struct audit *audit_open_configured(const struct config *config, const char *user,
                                    struct status *st)
{
    char *path = mem_printf("%s/audit.jsonl", config->state_dir);
    struct audit_settings settings = settings_of(config, path, user);
    struct audit *audit = audit_open(&settings, st);
    free(path);
    return audit;
}

void audit_reconfigure(struct audit *audit, const struct config *config)
{
    struct audit_settings settings = settings_of(config, audit->path, NULL);
    configure(audit, &settings);
}

void audit_close(struct audit **pointer)
{
    struct audit *audit = *pointer;
    if (audit == NULL)
        return;
    *pointer = NULL;
    if (audit->fd >= 0)
        close(audit->fd);
    buf_deinit(&audit->line);
    buf_deinit(&audit->text);
    audit_recent_deinit(&audit->recent);
    mem_wipe_free(&audit->key);
    free(audit->user);
    free(audit->path);
    free(audit);
}

// The line of an event in the log; some are messages that an operator looks for.
static void tell(const char *event, struct log_fields *about, const char *text)
{
    enum log_id id = audit_event_message(event);
    if (id != LOG_ID_COUNT)
        about->message_id = log_event_id(id);
    log_audit(id != LOG_ID_COUNT ? log_event_level(id) : LOG_LEVEL_INFO, about, text);
    about->message_id = NULL;
}

static void write_or_miss(struct audit *audit, struct log_fields *about)
{
    struct status st = {0};
    bool stored = audit_store(audit, &st) == STATUS_OK;
    about->audit_hash = stored ? audit->last : NULL;
    tell(about->audit, about, buf_text(&audit->text));
    if (stored)
        return;
    audit->missed++;
    log_event(LOG_ID_AUDIT_FAILED, about, "the audit log %s misses an event: %s", audit->path,
              st.detail);
}

void audit_write(struct audit *audit, const char *event, const char *stream,
                 const struct audit_field *fields, size_t n_fields)
{
    struct log_fields about = {.stream = stream, .audit = event};
    struct buf line = {0}, text = {0};
    if (audit == NULL) {
        audit_compose(NULL, event, stream, fields, n_fields, &line, &text);
        tell(event, &about, buf_text(&text));
        buf_deinit(&line);
        buf_deinit(&text);
        return;
    }
    buf_clear(&audit->line);
    buf_clear(&audit->text);
    audit_compose(audit, event, stream, fields, n_fields, &audit->line, &audit->text);
    audit_recent_add(&audit->recent, &audit->line);
    write_or_miss(audit, &about);
}

void audit_recent(const struct audit *audit, uint64_t *mark, struct buf *out)
{
    audit_recent_json(&audit->recent, mark, out);
}
