// SPDX-License-Identifier: Apache-2.0
#include "app/actions.h"

#include "core/mem.h"
#include "jobs/sandbox.h"
#include "jobs/semver.h"
#include "jobs/submission.h"

#include <stdlib.h>

static void add_fault(struct config_faults *faults, const struct config_action *action,
                      const char *member, const char *message)
{
    char *pointer = mem_printf("/jobs/actions/%s/%s", action->name, member);
    config_faults_add(faults, 0, pointer, "%s", message);
    free(pointer);
}

static void check_ranges(const struct config_action *action, struct config_faults *faults)
{
    for (size_t i = 0; i < action->allowed_versions.count; i++) {
        struct status st = {0};
        if (semver_check_range(action->allowed_versions.items[i].value, &st) == STATUS_OK)
            continue;
        status_prefix(&st, "%.80s", action->allowed_versions.items[i].name);
        add_fault(faults, action, "allowed_versions", st.detail);
    }
}

void actions_check(const struct config *config, struct config_faults *faults)
{
    for (size_t i = 0; i < config->jobs.n_actions; i++)
        check_ranges(&config->jobs.actions[i], faults);
}

void actions_check_helper(const struct config *config, struct config_faults *faults)
{
    for (size_t i = 0; i < config->jobs.n_actions; i++) {
        const struct config_action *action = &config->jobs.actions[i];
        struct status st = {0};
        if (action->kind != ACTION_PUBLISH)
            continue;
        if (sandbox_available(&st) != STATUS_OK)
            add_fault(faults, action, "kind", st.detail);
        return;
    }
}

void actions_check_queue(const struct config *config, struct config_faults *faults)
{
    struct submissions jobs;
    struct job_faults own = {0};
    submissions_parse_configured(config, &jobs, &own);
    for (size_t i = 0; i < own.count; i++) {
        char *pointer = mem_printf("/jobs/queue%s", own.items[i].pointer);
        config_faults_add(faults, 0, pointer, "%s", own.items[i].message);
        free(pointer);
    }
    submissions_free(&jobs);
    job_faults_free(&own);
}
