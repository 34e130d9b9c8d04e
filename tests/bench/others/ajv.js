// SPDX-License-Identifier: Apache-2.0
// JSON.parse and Ajv over an NDJSON file, as tests/bench/bench_schema.c does it. Prints JSON:
// milliseconds of compiling, microseconds a line, the best of several rounds.
import fs from 'node:fs';
import Ajv from 'ajv';
import Ajv2019 from 'ajv/dist/2019.js';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const ROUNDS = 9, EVENTS_AT_LEAST = 100000;
const [schemaFile, linesFile] = process.argv.slice(2);
const schema = JSON.parse(fs.readFileSync(schemaFile, 'utf8'));
const lines = fs.readFileSync(linesFile, 'utf8').split('\n').filter((line) => line !== '');

const named = schema.$schema ?? '';
const Class = named.includes('2020-12') ? Ajv2020 : named.includes('2019-09') ? Ajv2019 : Ajv;
const began = process.hrtime.bigint();
const ajv = new Class({ strict: false, logger: false });
addFormats(ajv);
const validate = ajv.compile(schema);
const compile_ms = Number(process.hrtime.bigint() - began) / 1e6;

let parse_us = Infinity, both_us = Infinity, valid = 0;
for (let round = 0; round < ROUNDS; round++) {
    let n = 0, start = process.hrtime.bigint();
    for (; n < EVENTS_AT_LEAST; n += lines.length)
        for (const line of lines)
            JSON.parse(line);
    parse_us = Math.min(parse_us, Number(process.hrtime.bigint() - start) / 1e3 / n);
    n = valid = 0;
    start = process.hrtime.bigint();
    for (; n < EVENTS_AT_LEAST; n += lines.length)
        for (const line of lines)
            valid += validate(JSON.parse(line)) ? 1 : 0;
    both_us = Math.min(both_us, Number(process.hrtime.bigint() - start) / 1e3 / n);
    valid /= n;
}
console.log(JSON.stringify({ compile_ms, parse_us, both_us, valid }));
