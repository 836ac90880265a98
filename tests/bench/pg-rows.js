// SPDX-License-Identifier: MIT
// What a replica in Node would do: the rows of each message of a file by one statement, all of a snapshot in one transaction,
// each message of changes in its own. Prints the seconds that it took.
//   node pg-rows.js SOCKET-FOLDER DATABASE FILE
const { readFileSync } = require("fs");
const { Client } = require("pg");

const [folder, database, file] = process.argv.slice(2);
const messages = readFileSync(file, "utf8").trim().split("\n");
const epoch = "00000000-0000-4000-8000-000000000000";

function put(table) {
  const more = table === "bans" ? [", epoch", `, '${epoch}'::uuid`] : ["", ""];
  return `INSERT INTO ${table} (id, version, data${more[0]}) SELECT id, version, data${more[1]} FROM jsonb_to_recordset($1::jsonb)`
    + " AS x(id uuid, version bigint, data jsonb) ON CONFLICT (id) DO UPDATE SET version = excluded.version, data = excluded.data";
}

async function main() {
  const client = new Client({ host: folder, database, user: "postgres" });
  await client.connect();
  if (file.endsWith("changes"))
    await client.query(`CREATE TABLE IF NOT EXISTS cursor (version bigint)`);
  const began = process.hrtime.bigint();
  const whole = !file.endsWith("changes");
  if (whole)
    await client.query("BEGIN");
  for (const text of messages) {
    const m = JSON.parse(text);
    if (!whole)
      await client.query("BEGIN");
    const byTable = new Map();
    for (const row of m.rows || m.changes) {
      const table = m.table || row.table;
      if (!byTable.has(table))
        byTable.set(table, []);
      byTable.get(table).push(row);
    }
    for (const [table, rows] of byTable)
      await client.query(put(table), [JSON.stringify(rows)]);
    if (!whole) {
      await client.query("UPDATE cursor SET version = $1", [m.to]);
      await client.query("COMMIT");
    }
  }
  if (whole)
    await client.query("COMMIT");
  console.log(Number(process.hrtime.bigint() - began) / 1e9);
  await client.end();
}

main();
