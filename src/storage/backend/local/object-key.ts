import path from 'node:path';
import { RECORDS } from '../../../core/contracts/storage-backend.js';

/** The folders that hold objects: those still arriving, those that are final, and records. */
export const STAGING = 'staging';
export const ARTIFACTS = 'artifacts';
export const RECORDS_FOLDER = RECORDS.slice(0, -1);

const MAX_KEY_LENGTH = 512;
const KEY_PATTERN = new RegExp(
  `^(?:${STAGING}|${ARTIFACTS}|${RECORDS_FOLDER})(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$`,
);

/** A key that no object can have: asked for it, a backend does not look. */
export class InvalidKey extends Error {
  constructor(key: string) {
    super(`Not an object's key: ${JSON.stringify(key.slice(0, MAX_KEY_LENGTH))}`);
    this.name = 'InvalidKey';
  }
}

/** Whether the text can be an object's key: none that leaves the root can. */
export function isObjectKey(key: string): boolean {
  return key.length <= MAX_KEY_LENGTH && KEY_PATTERN.test(key);
}

/**
 * The path of the object with this key.
 * @throws InvalidKey for `..`, absolute paths, other separators, hidden names and the like
 */
export function pathOfKey(root: string, key: string): string {
  if (!isObjectKey(key)) throw new InvalidKey(key);
  return path.join(root, ...key.split('/'));
}

/** Where the content with this digest lies when it is final. */
export function keyOfContent(sha256: string): string {
  return `${ARTIFACTS}/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256}`;
}

/**
 * The path of a staged object.
 * @throws InvalidKey also for the key of a final one
 */
export function pathOfStagedKey(root: string, key: string): string {
  if (!key.startsWith(`${STAGING}/`)) throw new InvalidKey(key);
  return pathOfKey(root, key);
}

/**
 * The path of a record.
 * @throws InvalidKey also for the key of anything else
 */
export function pathOfRecordKey(root: string, key: string): string {
  if (!key.startsWith(RECORDS)) throw new InvalidKey(key);
  return pathOfKey(root, key);
}
