// SPDX-License-Identifier: Apache-2.0
// A line of the audit log: made, sealed, written.
#include "audit_writer_priv.h"
#include "core/clock.h"
#include "core/fsio.h"
#include "core/log.h"

#include <string.h>
#include <unistd.h>

static void add_member(struct buf *line, struct buf *text, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(line, ",\"%s\":", name);
    buf_json_string(line, value, strlen(value));
    buf_printf(text, " %s=%s", name, value);
}

void audit_compose(const struct audit *audit, const char *event, const char *stream,
                   const struct audit_field *fields, size_t n_fields, struct buf *line,
                   struct buf *text)
{
    char when[32];
    wall_format(wall_read_us(), when, sizeof(when));
    buf_printf(line, "{\"time\":\"%s\",\"event\":\"%s\"", when, event);
    buf_append_text(text, event);
    if (stream != NULL) {
        buf_append_text(line, ",\"stream\":");
        buf_json_string(line, stream, strlen(stream));
    }
    for (size_t i = 0; i < n_fields; i++)
        add_member(line, text, fields[i].name, fields[i].value);
    if (audit != NULL)
        add_member(line, text, "user", audit->user);
}

enum status_code audit_append(struct audit *audit, const char *before, struct buf *line,
                              struct status *st)
{
    struct audit_seal seal = {0};
    struct buf both = {0};
    strcpy(seal.key_id, audit->key_id);
    strcpy(seal.prev, audit->last);
    audit_seal_write(line, audit->key, &seal);
    if (before[0] != '\0') {
        buf_append_text(&both, before);
        buf_append(&both, line->data, line->len);
        line = &both;
    }
    enum status_code code = fsio_write_all(audit->fd, line->data, line->len, st);
    if (code == STATUS_OK) {
        audit->size += (off_t)line->len;
        strcpy(audit->last, seal.hash);
        strcpy(audit->last_key, seal.key_id);
    } else {
        (void)!ftruncate(audit->fd, audit->size);
    }
    buf_deinit(&both);
    return code;
}

enum status_code audit_append_own(struct audit *audit, const struct audit_own_event *event,
                                  struct status *st)
{
    struct buf line = {0}, text = {0};
    audit_compose(audit, event->name, NULL, event->fields, 2, &line, &text);
    enum status_code code =
        audit_append(audit, event->before != NULL ? event->before : "", &line, st);
    struct log_fields about = {.audit = event->name, .audit_hash = audit->last};
    if (code == STATUS_OK)
        log_audit(LOG_LEVEL_INFO, &about, buf_text(&text));
    buf_deinit(&line);
    buf_deinit(&text);
    return code;
}
