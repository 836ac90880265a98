// SPDX-License-Identifier: MIT
// ws-idle.js URL: opens one WebSocket, says so, and idles: what a management client in Node starts from.
'use strict';
const WebSocket = require('ws');

const ws = new WebSocket(process.argv[2], 'secbox.v1');
ws.on('open', () => console.log('open'));
ws.on('error', (e) => {
  console.error(e.message);
  process.exit(1);
});
