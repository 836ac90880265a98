// SPDX-License-Identifier: MIT
// ws-server.js PORT CERT KEY: the gateway's place taken by Node's `ws`: answers hello with welcome, and GET with 200.
'use strict';
const fs = require('fs');
const https = require('https');
const { WebSocketServer } = require('ws');

const [port, cert, key] = process.argv.slice(2);
const server = https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) },
  (request, response) => response.end('ok'));
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (ws) => {
  ws.on('message', (text) => {
    const { type, deviceId } = JSON.parse(text);
    if (type === 'hello') {
      ws.send(JSON.stringify({ type: 'welcome', deviceId, serverTime: new Date().toISOString(), connection: 'c',
        spreadSeconds: 1 }));
    }
  });
  ws.on('error', () => ws.terminate());
});
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 65535 }, () => console.log('listening'));
