// SPDX-License-Identifier: Apache-2.0
// What many teams run today, for comparison: a Node service that validates each event with Ajv and
// upserts it in a transaction of its own, over a pool of ten connections.
import fs from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import pg from 'pg';
import WebSocket from 'ws';

const [stream, tokenUrl, dsn, schemaFile] = process.argv.slice(2);
const ajv = new Ajv({ allErrors: true, strict: false });
addFormats(ajv);
const validate = ajv.compile(JSON.parse(fs.readFileSync(schemaFile, 'utf8')));
const pool = new pg.Pool({ ...JSON.parse(dsn), max: 10 });

const upsert = `
    INSERT INTO cxone_events (interaction_id, timestamp, type, idempotency_key, duration, disposition,
                              queue_name, agent_id, attributes, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NOW())
    ON CONFLICT (idempotency_key) DO UPDATE SET
        duration = EXCLUDED.duration, disposition = EXCLUDED.disposition, queue_name = EXCLUDED.queue_name,
        agent_id = EXCLUDED.agent_id, attributes = EXCLUDED.attributes, updated_at = NOW()
    RETURNING id, updated_at`;

async function write(event) {
    const client = await pool.connect();
    try {
        const a = event.attributes ?? {};
        await client.query('BEGIN');
        await client.query(upsert, [event.interactionId, event.timestamp, event.type, event.idempotencyKey,
            a.duration ?? null, a.disposition ?? null, a.queueName ?? null, a.agentId ?? null, JSON.stringify(a)]);
        await client.query('COMMIT');
    } catch (error) {
        await client.query('ROLLBACK');
        console.error(error.message);
    } finally {
        client.release();
    }
}

const answer = await fetch(tokenUrl, { method: 'POST', body: new URLSearchParams({ grant_type: 'client_credentials' }) });
const { access_token: token } = await answer.json();
const socket = new WebSocket(stream, { headers: { Authorization: `Bearer ${token}` } });
let open = 0;
socket.on('open', () => console.log('connected'));
socket.on('message', (data) => {
    const event = JSON.parse(data.toString());
    if (!validate(event))
        return;
    // Without a bound the pool's queue would hold every event at once.
    if (++open > 1000)
        socket.pause();
    write(event).finally(() => {
        if (--open < 500)
            socket.resume();
    });
});
process.on('SIGTERM', () => process.exit(0));
