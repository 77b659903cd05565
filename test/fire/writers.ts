import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import type { components } from '../client/schema.js';
import type { BurningServer } from './burning-server.js';
import type { Ledger } from './ledger.js';

type Version = components['schemas']['VersionView'];
type Merge = components['schemas']['MergeView'];
type Numbered = { readonly id: number };

/** What all writers share. */
export interface Fire {
  readonly server: BurningServer;
  readonly ledger: Ledger;
  readonly dataset: number;
  /** Once it is false, writers stop. */
  burning: boolean;
}

/** Somebody who works until the fire is out, whatever becomes of each request. */
export type Writer = (fire: Fire, name: string) => Promise<void>;

const pick = (count: number): number => Math.floor(Math.random() * count);

/** Few enough that writers meet. */
const aPath = (): string => `shared/${pick(40)}.txt`;

/** Half of what is put is there already, or is just being collected. */
const aContent = (unique: string): string =>
  Math.random() < 0.5 ? `content ${pick(25)}` : `only of ${unique}`;

/** Calls for one turn after the other; the turn's name is like no other. */
function inTurns(turn: (fire: Fire, name: string) => Promise<void>): Writer {
  return async (fire, name) => {
    for (let count = 0; fire.burning; count++) await turn(fire, `${name} ${count}`);
  };
}

/**
 * Commits to a branch with a key; where no answer came it asks again with the same key, until it
 * knows.
 */
export const insistently = (branch: string): Writer =>
  inTurns(async (fire, message) => {
    const content = aContent(message);
    const fileId = await upload(fire, content);
    if (fileId === null) return;
    const path = aPath();
    const operations = [{ op: 'put', path, fileId }];
    for (let answered = false; !answered && fire.burning;) {
      const answer = await fire.server.call<Version>('POST', at(fire, 'versions'), {
        json: { branch, message, operations },
        headers: { 'Idempotency-Key': message },
      });
      answered = answer !== null;
      note(fire, branch, answer, new Map([[path, content]]));
    }
  });

/** Commits to a branch only where that is still as it was read. */
export const carefully = (branch: string): Writer =>
  inTurns(async (fire, message) => {
    const read = await fire.server.call('GET', at(fire, `branches/${branch}`));
    const etag = read?.headers.get('etag');
    if (!etag) return;
    const [path, content] = [aPath(), aContent(message)];
    const form = commitForm(branch, message, new Map([[path, content]]));
    const answer = await fire.server.call<Version>('POST', at(fire, 'versions'), {
      body: form,
      headers: { 'If-Match': etag },
    });
    note(fire, branch, answer, new Map([[path, content]]));
    if (answer?.status !== 201) return;
    // What it insisted on is what its version was built on.
    const parent = await fire.server.call<Version>('GET', at(fire, `refs/${answer.body.digest}~1`));
    if (parent?.status === 200 && parent.body.digest !== etag.slice(1, -1)) {
      fire.server.faults.push(`${message} was built on ${parent.body.digest}, not on ${etag}`);
    }
  });

/** Puts several files at once, and now and then removes a path or moves one. */
export const busily = (branch: string): Writer =>
  inTurns(async (fire, message) => {
    if (Math.random() < 0.4) {
      const [path, to] = [aPath(), `moved/${message}`];
      const isMove = Math.random() < 0.5;
      const operation = isMove ? { op: 'move', from: path, path: to } : { op: 'remove', path };
      const answer = await fire.server.call<Version>('POST', at(fire, 'versions'), {
        json: { branch, message, operations: [operation] },
      });
      note(fire, branch, answer, new Map([[path, null]]));
      return;
    }
    const changes = new Map(
      Array.from({ length: 1 + pick(8) }, () => [aPath(), aContent(`${message} ${Math.random()}`)]),
    );
    const answer = await fire.server.call<Version>('POST', at(fire, 'versions'), {
      body: commitForm(branch, message, changes),
    });
    note(fire, branch, answer, changes);
  });

/** Merges branches into each other, each conflict decided for one side. */
export const merging = (...pairs: readonly (readonly [from: string, into: string])[]): Writer =>
  inTurns(async (fire, message) => {
    const [from, into] = pairs[pick(pairs.length)] as readonly [string, string];
    const theirs = await fire.server.call<Version>('GET', at(fire, `refs/${from}`));
    const answer = await fire.server.call<Merge>('POST', at(fire, 'merges'), {
      json: { from, into, message, defaultResolution: pick(2) ? 'ours' : 'theirs' },
    });
    if (answer?.status !== 200 || !answer.body.version) return;
    fire.ledger.merged.push({ into, versionNumber: answer.body.version.versionNumber });
    if (theirs?.status === 200) {
      fire.ledger.merged.push({ into, versionNumber: theirs.body.versionNumber });
    }
  });

/** Opens drafts, puts archives into them, and commits or discards them. */
export const drafting = (branch: string): Writer =>
  inTurns(async (fire, message) => {
    const opened = await fire.server.call<Numbered>('POST', at(fire, 'drafts'), {
      json: { from: branch },
    });
    if (opened?.status !== 201) return;
    const draft = at(fire, `drafts/${opened.body.id}`);
    const files = new Map(
      Array.from({ length: 1 + pick(60) }, (_, i) => [`drafts/${i}.txt`, aContent(message + i)]),
    );
    const put = await fire.server.call('PUT', `${draft}/archive`, { body: await tarOf(files) });
    if (put?.status !== 200) return;
    if (pick(4) === 0) {
      const gone = await fire.server.call('DELETE', draft);
      if (gone?.status === 204) fire.ledger.discarded.add(opened.body.id);
      return;
    }
    const answer = await fire.server.call<Version>('POST', `${draft}/commit`, {
      json: { message, rebase: true },
    });
    note(fire, branch, answer, files);
  });

/** Makes versions that nobody needs, and deletes them. */
export const deleting = (from: string): Writer =>
  inTurns(async (fire, message) => {
    const name = message.replaceAll(' ', '-');
    const made = await fire.server.call('POST', at(fire, 'branches'), { json: { name, from } });
    if (made?.status !== 201) return;
    const committed = await fire.server.call<Version>('POST', at(fire, 'versions'), {
      body: commitForm(name, message, new Map([[aPath(), aContent(message)]])),
    });
    const dropped = await fire.server.call('DELETE', at(fire, `branches/${name}`));
    if (committed?.status !== 201 || dropped?.status !== 204) return;
    const { versionNumber } = committed.body;
    const gone = await fire.server.call('DELETE', at(fire, `refs/${versionNumber}`));
    if (gone?.status === 204) fire.ledger.deleted.add(versionNumber);
  });

/** Has garbage collected, all the time. */
export const collecting: Writer = inTurns(async (fire) => {
  const started = await fire.server.call<Numbered>('POST', '/admin/gc', { json: {} });
  if (started?.status !== 202) return;
  for (let state = 'queued'; fire.burning && /queued|running/.test(state);) {
    const job = await fire.server.call<{ state: string }>('GET', `/jobs/${started.body.id}`);
    state = job?.body.state ?? 'unknown';
  }
});

/** A commit as a form, with its files. */
export function commitForm(
  branch: string,
  message: string,
  files: ReadonlyMap<string, string>,
): FormData {
  const form = new FormData();
  form.set('branch', branch);
  form.set('message', message);
  for (const [path, content] of files) form.append('file', new Blob([content]), path);
  return form;
}

async function upload(fire: Fire, content: string): Promise<number | null> {
  const answer = await fire.server.call<Numbered>('POST', '/files?name=a.txt', {
    body: new TextEncoder().encode(content),
    headers: { 'Content-Type': 'text/plain' },
  });
  return answer?.body.id ?? null;
}

async function tarOf(files: ReadonlyMap<string, string>): Promise<Uint8Array<ArrayBuffer>> {
  const archive = pack();
  for (const [name, content] of files) archive.entry({ name }, content);
  archive.finalize();
  return new Uint8Array(await buffer(archive));
}

function note(
  { ledger }: Fire,
  branch: string,
  answer: { readonly status: number; readonly body: Version } | null,
  changes: ReadonlyMap<string, string | null>,
): void {
  if (answer?.status !== 201) return;
  const { versionNumber, digest, message } = answer.body;
  ledger.versions.push({ branch, versionNumber, digest, message, changes });
}

function at({ dataset }: Fire, rest: string): string {
  return `/datasets/${dataset}/${rest}`;
}
