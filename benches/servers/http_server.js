// A plain Node server on an inherited socket: keep-alive, and a drain on SIGTERM.
const fs = require('fs');
const http = require('http');

let stopping = false;
const server = http.createServer((_, response) => {
  if (stopping) response.setHeader('Connection', 'close');
  response.end(`${process.pid}\n`);
});
server.keepAliveTimeout = 60000;
server.listen({ fd: 3 }, () => fs.writeSync(Number(process.env.NEXUS_READY_FD), '\n'));
process.on('SIGTERM', () => {
  stopping = true;
  // Only the listening socket; `server.close()` would end idle connections at once.
  server._handle.close();
  setTimeout(() => process.exit(0), 2000);
});
