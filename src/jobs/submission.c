// SPDX-License-Identifier: Apache-2.0
#include "jobs/submission.h"
bool submissions_parse(const struct config *config, const char *dir, const char *text,
                       size_t length, struct submissions *out_r, struct job_faults *faults)
{
    (void)config, (void)dir, (void)text, (void)length, (void)faults;
    *out_r = (struct submissions){0};
    return true;
}
void submissions_free(struct submissions *s)
{
    (void)s;
}
void submission_check_params(const struct config_action *action, const struct tape *params,
                             int64_t wall_us, struct job_faults *faults)
{
    struct kind_context c = {.action = action, .params = params, .wall_us = wall_us};
    job_kind(action->kind)->check(&c, faults);
}
