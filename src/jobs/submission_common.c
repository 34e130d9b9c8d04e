// SPDX-License-Identifier: Apache-2.0
#include "config/suggest.h"
#include "config/units.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/uuid.h"
#include "event/time.h"
#include "jobs/cron.h"
#include "submission_priv.h"

#include <stdlib.h>
#include <string.h>

#define SCHEDULE_ID_MAX 200 // its jobs' ids have a time behind it
#define ZONE_MAX 64
#define EVERY_MIN_US US_PER_S
#define EVERY_MAX_US (3650 * 24 * 3600 * US_PER_S)
// 2000-01-01, where event/time counts from.
#define EPOCH_2000_US (INT64_C(946684800) * US_PER_S)

const char *const submission_common[] = {"id",    "action", "priority",  "run_at",
                                         "every", "cron",   "time_zone", NULL};

// --- id and action -------------------------------------------------------------------------------

static void make_id(struct submission *s)
{
    struct uuid id = uuid_random();
    s->id = mem_alloc(UUID_TEXT_SIZE);
    uuid_format(&id, s->id);
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

static void read_id(const struct tape *tape, uint32_t object, struct submission *s,
                    struct job_faults *faults)
{
    uint32_t at = check_member(tape, object, "id", TAPE_STRING, faults);
    bool recurs = lookup_member(tape, object, "every") != TAPE_NONE ||
                  lookup_member(tape, object, "cron") != TAPE_NONE;
    size_t most = recurs ? SCHEDULE_ID_MAX : JOB_ID_MAX;
    s->has_id = lookup_member(tape, object, "id") != TAPE_NONE;
    s->id = lookup_text(tape, at);
    if (s->id == NULL)
        make_id(s);
    else if (*s->id == '\0' || strlen(s->id) > most)
        check_fault(tape, at, faults, "an id%s has 1 to %zu bytes",
                    recurs ? " of a job that comes again" : "", most);
    else if (has_control(s->id))
        check_fault(tape, at, faults, "an id has no control characters");
}

static void read_action(const struct config_jobs *jobs, const struct tape *tape, uint32_t object,
                        struct submission *s, struct job_faults *faults)
{
    uint32_t at = check_member(tape, object, "action", TAPE_STRING, faults);
    char *name = lookup_text(tape, at);
    struct suggest suggest;
    if (lookup_member(tape, object, "action") == TAPE_NONE)
        check_fault(tape, object, faults,
                    "\"action\" is missing; name an entry of jobs.actions in the configuration");
    if (name == NULL)
        return;
    suggest_init(&suggest, name);
    for (size_t i = 0; i < jobs->n_actions; i++) {
        suggest_consider(&suggest, jobs->actions[i].name);
        if (strcmp(jobs->actions[i].name, name) == 0)
            s->action = i;
    }
    if (s->action == CONFIG_NONE)
        check_fault(tape, at, faults, "the configuration allows no action \"%.80s\"; %s", name,
                    jobs->n_actions > 0 ? suggest_sentence(&suggest) : "add it under jobs.actions");
    suggest_deinit(&suggest);
    free(name);
}

// --- times ---------------------------------------------------------------------------------------

static void read_run_at(const struct tape *tape, uint32_t object, struct submission *s,
                        struct job_faults *faults)
{
    uint32_t at = check_member(tape, object, "run_at", TAPE_STRING, faults);
    char *text = lookup_text(tape, at);
    int64_t us;
    if (text == NULL)
        return;
    if (time_parse_timestamp(text, strlen(text), TIME_OFFSET_REQUIRED, &us))
        s->run_at_us = us + EPOCH_2000_US;
    else
        check_fault(tape, at, faults,
                    "is not a time as in RFC 3339; write for example \"2026-05-01T06:00:00Z\" or "
                    "\"2026-05-01T08:00:00+02:00\"");
    free(text);
}

static void read_every(const struct tape *tape, uint32_t object, struct submission *s,
                       struct job_faults *faults)
{
    uint32_t at = check_member(tape, object, "every", TAPE_STRING, faults);
    char *text = lookup_text(tape, at);
    if (text != NULL && !units_duration_parse(text, &s->every_us))
        check_fault(tape, at, faults, "is not a duration; write for example \"15m\" or \"24h\"");
    else if (text != NULL && (s->every_us < EVERY_MIN_US || s->every_us > EVERY_MAX_US))
        check_fault(tape, at, faults, "must be from 1s to 3650d");
    free(text);
}

static void read_cron(const struct tape *tape, uint32_t object, struct submission *s,
                      struct job_faults *faults)
{
    uint32_t at = check_member(tape, object, "cron", TAPE_STRING, faults);
    struct cron ignored;
    struct status st;
    s->cron = lookup_text(tape, at);
    if (s->cron != NULL && cron_parse(s->cron, &ignored, &st) != STATUS_OK)
        check_fault(tape, at, faults, "%s", st.detail);
    if (s->cron != NULL && lookup_member(tape, object, "every") != TAPE_NONE)
        check_fault(tape, at, faults, "there is \"every\" already; remove one of them");
}

// Whether there is such a zone, the database knows.
static void read_time_zone(const struct tape *tape, uint32_t object, struct submission *s,
                           struct job_faults *faults)
{
    static const char allowed[] = "0123456789_+-/abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    uint32_t at = check_member(tape, object, "time_zone", TAPE_STRING, faults);
    s->time_zone = lookup_text(tape, at);
    if (s->time_zone == NULL)
        return;
    size_t length = strlen(s->time_zone);
    if (length == 0 || length > ZONE_MAX || s->time_zone[strspn(s->time_zone, allowed)] != '\0')
        check_fault(tape, at, faults,
                    "is no time zone's name; write for example \"Europe/Berlin\"");
    else if (lookup_member(tape, object, "cron") == TAPE_NONE)
        check_fault(tape, at, faults, "goes with \"cron\" only; remove it");
}

void submission_read_common(const struct config_jobs *jobs, const struct tape *tape,
                            uint32_t object, struct submission *s, struct job_faults *faults)
{
    uint32_t priority = lookup_member(tape, object, "priority");
    read_id(tape, object, s, faults);
    read_action(jobs, tape, object, s, faults);
    check_range(tape, priority, INT32_MIN, INT32_MAX, faults);
    s->priority = (int)lookup_integer(tape, priority, 0);
    read_run_at(tape, object, s, faults);
    read_every(tape, object, s, faults);
    read_cron(tape, object, s, faults);
    read_time_zone(tape, object, s, faults);
}
