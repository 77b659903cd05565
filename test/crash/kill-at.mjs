/**
 * Preloaded into a server process, kills it without warning at one exact step of storing a file:
 * the step's n-th call, before or after it has been done. `KILL_AT=<step>:<n>`, where the steps are
 * write, sync, rename, directory-sync, before-commit and after-commit; counting begins with the
 * first upload, which a request to a path with `?arm` announces.
 */
import fs from 'node:fs';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { BroadcastChannel, getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import pg from 'pg';

const [step, nth] = (process.env.KILL_AT ?? ':').split(':');
// The disk's threads import this as well: those that run are told, those to come are born with it.
let armed = getEnvironmentData('armed') === true;
let seen = 0;
const channel = new BroadcastChannel('kill-at');
channel.onmessage = () => (armed = true);
channel.unref();

function reach(name) {
  if (armed && name === step && ++seen === Number(nth)) process.kill(process.pid, 'SIGKILL');
}

const emit = http.Server.prototype.emit;
http.Server.prototype.emit = function (event, ...rest) {
  if (event === 'request' && rest[0].url.includes('kill-me')) {
    armed = true;
    setEnvironmentData('armed', true);
    channel.postMessage('armed');
  }
  return emit.call(this, event, ...rest);
};

/** Files and folders are synced by the same calls: what a handle was opened as tells them apart. */
function watchHandle(handle, isFolder) {
  for (const name of ['sync', 'datasync']) {
    const original = handle[name].bind(handle);
    handle[name] = async () => {
      reach(isFolder ? 'directory-sync' : 'sync');
      return original();
    };
  }
  const write = handle.write.bind(handle);
  handle.write = async (...rest) => {
    reach('write');
    return write(...rest);
  };
  return handle;
}

const open = fs.promises.open;
fs.promises.open = async (file, flags, ...rest) => {
  const handle = await open(file, flags, ...rest);
  const isFolder = (flags === undefined || flags === 'r') && (await handle.stat()).isDirectory();
  return watchHandle(handle, isFolder);
};
const rename = fs.promises.rename;
fs.promises.rename = async (...rest) => {
  reach('rename');
  return rename(...rest);
};

// The same through callbacks and descriptors, and at once.
for (const [name, reached] of [
  ['write', 'write'],
  ['fsync', 'sync'],
  ['fdatasync', 'sync'],
  ['rename', 'rename'],
]) {
  for (const way of [name, `${name}Sync`]) {
    const original = fs[way];
    fs[way] = (...rest) => {
      const isFolder = reached === 'sync' && fs.fstatSync(rest[0]).isDirectory();
      reach(isFolder ? 'directory-sync' : reached);
      return original(...rest);
    };
  }
}
syncBuiltinESMExports();

const query = pg.Client.prototype.query;
pg.Client.prototype.query = function (...rest) {
  const text = typeof rest[0] === 'string' ? rest[0] : rest[0]?.text;
  // Events travel with the commit, in the same query.
  if (!/(^|; )COMMIT$/.test(text ?? '')) return query.apply(this, rest);
  reach('before-commit');
  const done = query.apply(this, rest);
  return typeof done?.then === 'function'
    ? done.then((value) => (reach('after-commit'), value))
    : done;
};
