// SPDX-License-Identifier: Apache-2.0
#include "core/log_event.h"

#include <stdarg.h>
#include <string.h>

// Columns of the catalog's text.
#define WIDTH 80

static const struct row {
    enum log_level level;
    const char *id, *subject, *explanation, *remedy;
} rows[LOG_ID_COUNT] = {
#define ROW(name, level, id, subject, explanation, remedy) \
    [LOG_ID_##name] = {LOG_LEVEL_##level, id, subject, explanation, remedy},
    LOG_EVENTS(ROW)
#undef ROW
};

enum log_level log_event_level(enum log_id id)
{
    return rows[id].level;
}

const char *log_event_id(enum log_id id)
{
    return rows[id].id;
}

void log_event_write(enum log_id id, const struct log_fields *fields, const char *file, int line,
                     const char *format, ...)
{
    struct log_fields with_id = {0};
    va_list args;
    if (fields != NULL)
        with_id = *fields;
    with_id.message_id = rows[id].id;
    va_start(args, format);
    log_write_args(rows[id].level, &with_id, file, line, format, args);
    va_end(args);
}

// A paragraph, broken at spaces.
static void print_wrapped(struct buf *out, const char *text)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        bool fits = column + 1 + word <= WIDTH;
        if (column > 0)
            buf_append(out, fits ? " " : "\n", 1);
        column = column > 0 && fits ? column + 1 + word : word;
        buf_append(out, text, word);
        text += word + (text[word] == ' ');
    }
    buf_append(out, "\n", 1);
}

void log_event_print_catalog(struct buf *out)
{
    buf_append_text(out, "# SPDX-License-Identifier: Apache-2.0\n"
                         "# Explains the messages of cxsink to `journalctl -x`. Printed from the "
                         "table in\n# include/core/log_event.h.\n");
    for (size_t i = 0; i < LOG_ID_COUNT; i++) {
        buf_printf(out, "\n-- %s\nSubject: %s\nDefined-By: cxsink\n", rows[i].id, rows[i].subject);
        buf_append_text(out, "Documentation: man:cxsink(1)\n\n");
        print_wrapped(out, rows[i].explanation);
        buf_append(out, "\n", 1);
        print_wrapped(out, rows[i].remedy);
    }
}
