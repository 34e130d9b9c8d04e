// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include "cli/migrate.h"
#include "cli/spool.h"
#include "cli/validate.h"

const struct cli_command cli_commands[] = {
    {"run", cli_run, "the daemon, in the foreground"},
    {"check", cli_check, "checks configuration, schemas and mappings; --connect: servers too"},
    {"migrate", cli_migrate, "brings the database schema up to date"},
    {"load", cli_load, "backfills NDJSON files through the same path"},
    {"validate", cli_validate, "validates NDJSON against a JSON Schema"},
    {"status", cli_status, "what the running daemon is doing"},
    {"resume", cli_resume, "goes on with streams that are held"},
    {"dead", cli_dead, "lists, shows, replays and deletes dead letters"},
    {"jobs", cli_jobs, "queues, shows, cancels and retries REST jobs"},
    {"spool", cli_spool, "looks into a spool"},
    {"names", cli_names, "the names that the configuration gives to streams and other entries"},
    {"audit", cli_audit, "verifies the audit log, shows its events"},
};
const size_t cli_commands_count = sizeof(cli_commands) / sizeof(cli_commands[0]);
