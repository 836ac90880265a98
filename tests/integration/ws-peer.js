// SPDX-License-Identifier: MIT
// ws-peer.js client URL [CA] | server [CERT KEY]: Node's ws against ours. Prints one line of JSON for each step; the
// steps are the same in both roles because the other side only echoes.
'use strict';
const fs = require('fs');
const https = require('https');
const http = require('http');
const WebSocket = require('ws');

const say = (step, value) => console.log(JSON.stringify([step, value]));

function next(ws, event) {
  return new Promise((done) => ws.once(event, (...args) => done(args)));
}

async function echo(ws, step, data, binary) {
  const answer = next(ws, 'message');
  ws.send(data, { binary });
  const [got, isBinary] = await answer;
  say(step, Buffer.from(data).equals(got) && isBinary === binary);
}

async function steps(ws) {
  await echo(ws, 'text', 'héllo €😀', false);
  await echo(ws, 'empty', '', false);
  await echo(ws, '64k', 'x'.repeat(65536), false);
  await echo(ws, '1m', 'y'.repeat(1048576), false);
  await echo(ws, 'binary', Buffer.from([0, 255, 254, 128]), true);
  const fragmented = next(ws, 'message');
  ws.send('frag', { fin: false });
  ws.ping('between');
  ws.send('mented', { fin: false });
  ws.send('', { fin: true });
  say('pong', (await next(ws, 'pong'))[0].toString());
  say('fragmented', (await fragmented)[0].toString());
}

// What the other side closes with after each kind of wrong bytes; a fresh connection for each.
function wrong(ws, bytes) {
  const closed = next(ws, 'close');
  ws.on('error', () => {});
  ws._socket.write(bytes);
  return closed.then(([code]) => code);
}

async function client(url, ca) {
  const open = async () => {
    const ws = new WebSocket(url, 'secbox.v1', { ca: ca && fs.readFileSync(ca), perMessageDeflate: true });
    await next(ws, 'open');
    return ws;
  };
  let ws = await open();
  say('extensions', ws.extensions);
  await steps(ws);
  let closed = next(ws, 'close');
  ws.close(4001, 'enough');
  say('close', (await closed)[0]);
  say('utf8', await wrong(await open(), Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff])));
  say('unmasked', await wrong(await open(), Buffer.from([0x81, 0x01, 0x78])));
  say('rsv', await wrong(await open(), Buffer.from([0xc1, 0x81, 0, 0, 0, 0, 0x78])));
  ws = await open();
  closed = next(ws, 'close');
  ws.on('error', () => {});
  ws.send('z'.repeat(1048577));
  say('too-big', (await closed)[0]);
  const other = new WebSocket(url, 'other.v9', { ca: ca && fs.readFileSync(ca) });
  const [, response] = await next(other, 'unexpected-response');
  say('protocol', response.statusCode);
  process.exit(0);
}

function server(cert, key) {
  const base = cert ? https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) })
                    : http.createServer();
  const wss = new WebSocket.Server({ server: base, perMessageDeflate: true, handleProtocols: () => 'secbox.v1' });
  wss.on('connection', async (ws, request) => {
    ws.on('error', () => {});
    if (request.url === '/utf8') {
      say('utf8', await wrong(ws, Buffer.from([0x81, 0x01, 0xff])));
    } else if (request.url === '/masked') {
      say('masked', await wrong(ws, Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x78])));
    } else {
      say('extensions', ws.extensions);
      say('authorization', request.headers.authorization);
      await steps(ws);
      const closed = next(ws, 'close');
      ws.close(4002, 'enough');
      say('close', (await closed)[0]);
    }
  });
  base.listen(0, '127.0.0.1', () => say('port', base.address().port));
}

if (process.argv[2] === 'client')
  client(process.argv[3], process.argv[4]);
else
  server(process.argv[3], process.argv[4]);
