// SPDX-License-Identifier: Apache-2.0
// What the files of `cxsink status` share: status.c asks once, status_watch.c again and again,
// status_show.c makes text for people of an answer, with the helpers of status_text.c.
#ifndef CXSINK_CLI_STATUS_PRIV_H
#define CXSINK_CLI_STATUS_PRIV_H

#include "core/buf.h"
#include "json/tape.h"

#include <stdbool.h>
#include <stdint.h>

struct status_view {
    const struct tape *tape;   // the answer of /api/status
    const struct tape *before; // the one before it, for rates; NULL: none are shown
    unsigned width;            // of the terminal: lines are made to fit; 0: as long as they are
    bool colours;
};

bool status_is_ready(const struct tape *tape);
// Whether it is ready, and why not.
void status_show_ready(const struct status_view *view, struct buf *out);
// What is wrong first, then everything else.
void status_show(const struct status_view *view, struct buf *out);

// Shows it every `interval_us` until a signal ends it. The exit code.
int status_watch(const char *runtime_dir, int64_t interval_us, bool json);

// --- status_text.c ---

enum status_colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_WARN, COLOUR_BAD, COLOUR_DIM };

// On a terminal, and NO_COLOR (no-color.org) is not set.
bool status_colours_wanted(void);
// Columns and rows of the terminal on standard output; false where it is none.
bool status_terminal(unsigned *columns_r, unsigned *rows_r);
void status_colour(const struct status_view *view, enum status_colour colour, struct buf *out);
// Appends `text`, which is anybody's, after what is on the line already, `used` columns, broken at
// spaces to the width; further lines are indented. Ends the line.
void status_wrap(const struct status_view *view, const char *text, unsigned used, unsigned indent,
                 struct buf *out);
// "1.5 MiB"
void status_bytes(double bytes, struct buf *out);
// At most 7 characters: "1234567", "12.3M"
void status_count(double count, char *text, unsigned size);
// The largest unit: "12 s", "3 min", "2 h", "5 d"
void status_age(double seconds, char *text, unsigned size);

// Text of a string member, "" when it is null, missing or longer than the room.
const char *status_member_text(const struct tape *tape, uint32_t object, const char *name,
                               char *room, unsigned size);
double status_member_number(const struct tape *tape, uint32_t object, const char *name);
bool status_member_flag(const struct tape *tape, uint32_t object, const char *name);
// Microseconds of a member that is a time; 0: there is none.
int64_t status_member_time(const struct tape *tape, uint32_t object, const char *name);

#endif
