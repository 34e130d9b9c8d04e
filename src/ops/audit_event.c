// SPDX-License-Identifier: Apache-2.0
#include "ops/audit_event.h"

#include <string.h>

#define LOG_ID_NONE LOG_ID_COUNT

static const struct row {
    const char *name;
    enum log_id message;
    const char *when, *members;
} rows[] = {
#define ROW(name, message, when, members) {name, LOG_ID_##message, when, members},
    AUDIT_EVENTS(ROW)
#undef ROW
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

enum log_id audit_event_message(const char *event)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i].name, event) == 0)
            return rows[i].message;
    }
    return LOG_ID_NONE;
}

// What a reader of the log has to know, in the words of ops/audit.h for those who run it.
static const char preamble[] =
    "# The audit log\n"
    "\n"
    "Printed from the table of events; `cxsink audit tail` shows them, `cxsink audit verify` "
    "verifies them.\n"
    "\n"
    "`state_dir/audit.jsonl` has one JSON object a line: `time` (RFC 3339, UTC; the timestamp of "
    "the event), `event`,\n"
    "`stream` where it is about one, the members below, and the chain: `prev` is the `hash` of the "
    "line before (64 zeros\n"
    "in the first one), `hash` the SHA-256, in hex, of the line's bytes before `,\"hash\"`. Values "
    "are strings, and never\n"
    "inputs, code, payloads or secrets. The same event goes to the journal, with `CXSINK_AUDIT` "
    "(its name) and\n"
    "`CXSINK_AUDIT_HASH` (the hash of its line), whatever `log.level` says.\n"
    "\n"
    "- **Other processes.** Commands (`cxsink dead replay`, ...) add to the same chain while the "
    "daemon runs, with the\n"
    "  member `user`. One that may not write the file says so, and its events are in the journal "
    "alone.\n"
    "- **Files.** At `audit.max_bytes` the file is renamed to `audit-YYYYMMDD-HHMMSS.jsonl` "
    "(UTC), and `audit.keep` of\n"
    "  these stay. The first line of the new file is `audit.rotated`, and its `prev` the last hash "
    "of the old one.\n"
    "  logrotate(8) may rename it, too (`audit.jsonl.1`, `audit.jsonl-20260131`), with "
    "`delaycompress`; no signal is\n"
    "  needed. Compressed files are left out by verify, which then begins behind them.\n"
    "- **Crashes.** A part of a line that a crash left is ended by the next write, which says "
    "`audit.torn`. It breaks no\n"
    "  chain.\n"
    "- **The end.** Lines that were removed at the very end of the newest file leave a chain that "
    "holds. While the daemon\n"
    "  runs it finds that at its next event (`audit.truncated`); else the journal is the witness: "
    "`cxsink audit verify`\n"
    "  prints the last hash, and `journalctl CXSINK_AUDIT_HASH=...` must have it as the last one. "
    "Send the journal to\n"
    "  another machine where the administrators of this one are not to be trusted.\n"
    "- **A key.** Whoever may write the file may also make a whole chain anew. With `audit.key` "
    "`hash` is the HMAC-SHA-256\n"
    "  under that key, and the member `key_id` in front of `prev` names it, so that only its "
    "holders can. A log that began\n"
    "  without one goes on with it: verify counts the lines from before, which prove nothing "
    "against a forger. Another key\n"
    "  is an event, `audit.key`, the first line that has it; verify needs the one of before "
    "(`--key-file`) as long as lines\n"
    "  have it, so keep it for as long as the files. Lines without a key behind lines with one are "
    "a fault.\n"
    "\n"
    "| event | when | members |\n"
    "| --- | --- | --- |\n";

void audit_event_print(struct buf *out)
{
    buf_append_text(out, preamble);
    for (size_t i = 0; i < N_ROWS; i++)
        buf_printf(out, "| `%s` | %s | %s |\n", rows[i].name, rows[i].when, rows[i].members);
}
