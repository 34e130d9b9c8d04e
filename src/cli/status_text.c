// SPDX-License-Identifier: Apache-2.0
#include "cli/common.h"
#include "event/time.h"
#include "json/lookup.h"
#include "json/number.h"
#include "json/text.h"
#include "status_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// --- the terminal ---

bool status_terminal(unsigned *columns_r, unsigned *rows_r)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO))
        return false;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *columns_r = known ? size.ws_col : 80;
    *rows_r = known ? size.ws_row : 24;
    return true;
}

bool status_colours_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && (no == NULL || no[0] == '\0') &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

void status_colour(const struct status_view *view, enum status_colour colour, struct buf *out)
{
    static const char *const codes[] = {[COLOUR_NONE] = "\x1b[0m",
                                        [COLOUR_GOOD] = "\x1b[32m",
                                        [COLOUR_WARN] = "\x1b[33m",
                                        [COLOUR_BAD] = "\x1b[1;31m",
                                        [COLOUR_DIM] = "\x1b[2m"};
    if (view->colours)
        buf_append_text(out, codes[colour]);
}

// --- lines ---

// Columns of UTF-8: characters, near enough.
static unsigned columns_of(const char *text, size_t length)
{
    unsigned n = 0;
    for (size_t i = 0; i < length; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

// Bytes of the first `columns` characters.
static size_t first_bytes(const char *text, size_t length, unsigned columns)
{
    size_t i = 0;
    unsigned n = 0;
    for (; i < length; i++) {
        bool starts = ((unsigned char)text[i] & 0xc0) != 0x80;
        if (starts && n == columns)
            break;
        n += starts;
    }
    return i;
}

static void break_line(unsigned indent, unsigned *used, struct buf *out)
{
    buf_printf(out, "\n%*s", (int)indent, "");
    *used = indent;
}

// A word that is longer than a line is cut.
static void put_word(const struct status_view *view, const char *word, size_t length,
                     unsigned indent, unsigned *used, struct buf *out)
{
    while (view->width > indent && *used + columns_of(word, length) > view->width) {
        if (*used >= view->width)
            break_line(indent, used, out);
        size_t part = first_bytes(word, length, view->width - *used);
        buf_append(out, word, part);
        *used += columns_of(word, part);
        word += part;
        length -= part;
    }
    buf_append(out, word, length);
    *used += columns_of(word, length);
}

void status_wrap(const struct status_view *view, const char *text, unsigned used, unsigned indent,
                 struct buf *out)
{
    struct buf plain = {0};
    bool first = true;
    cli_append_plain(&plain, text, strlen(text), false);
    for (const char *at = buf_text(&plain); *at != '\0';) {
        size_t length = strcspn(at, " ");
        if (!first && view->width > indent && used + 1 + columns_of(at, length) > view->width) {
            break_line(indent, &used, out);
        } else if (!first) {
            buf_append_text(out, " ");
            used++;
        }
        put_word(view, at, length, indent, &used, out);
        first = false;
        at += length + (at[length] == ' ');
    }
    buf_append_text(out, "\n");
    buf_deinit(&plain);
}

// --- figures ---

void status_bytes(double bytes, struct buf *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    buf_printf(out, "%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
}

void status_count(double count, char *text, unsigned size)
{
    static const char units[] = "MGTP";
    size_t unit = 0;
    if (count < 1e7) {
        snprintf(text, size, "%.0f", count);
        return;
    }
    for (count /= 1e6; count >= 1000 && unit < 3; unit++)
        count /= 1000;
    snprintf(text, size, "%.1f%c", count, units[unit]);
}

void status_age(double seconds, char *text, unsigned size)
{
    if (seconds < 120)
        snprintf(text, size, "%.0f s", seconds > 0 ? seconds : 0);
    else if (seconds < 7200)
        snprintf(text, size, "%.0f min", seconds / 60);
    else if (seconds < 2 * 86400)
        snprintf(text, size, "%.0f h", seconds / 3600);
    else
        snprintf(text, size, "%.0f d", seconds / 86400);
}

// --- members ---

const char *status_member_text(const struct tape *tape, uint32_t object, const char *name,
                               char *room, unsigned size)
{
    uint32_t i = lookup_member(tape, object, name);
    room[0] = '\0';
    if (i == TAPE_NONE || tape->tokens[i].kind != TAPE_STRING ||
        tape->tokens[i].end - tape->tokens[i].start > size)
        return room;
    room[text_unescape(tape, i, room)] = '\0';
    return room;
}

double status_member_number(const struct tape *tape, uint32_t object, const char *name)
{
    uint32_t i = lookup_member(tape, object, name);
    double value = 0;
    if (i == TAPE_NONE || tape->tokens[i].kind != TAPE_NUMBER)
        return 0;
    size_t length;
    const char *raw = tape_raw(tape, i, &length);
    (void)number_to_double(raw, length, &value);
    return value;
}

bool status_member_flag(const struct tape *tape, uint32_t object, const char *name)
{
    uint32_t i = lookup_member(tape, object, name);
    return i != TAPE_NONE && tape->tokens[i].kind == TAPE_TRUE;
}

int64_t status_member_time(const struct tape *tape, uint32_t object, const char *name)
{
    char text[48];
    int64_t us = 0;
    status_member_text(tape, object, name, text, sizeof(text));
    bool ok = time_parse_timestamp(text, strlen(text), TIME_OFFSET_REQUIRED, &us);
    return ok ? us : 0;
}
