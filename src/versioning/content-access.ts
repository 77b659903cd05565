import { Inject, Injectable } from '@nestjs/common';
import { ACCESS_POLICY, type AccessPolicy } from '../core/contracts/access-policy.js';
import { FILE_CATALOG, FileMissing, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { VersionOperation } from '../core/contracts/versions.js';
import type { FileId, Sha256 } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import type { OperationInput } from './operation-input.js';
import { ContentMissing } from './versioning.problems.js';

/** Finds the contents that callers name, who may use only what they may read: a hash is no key. */
@Injectable()
export class ContentAccess {
  constructor(
    @Inject(ACCESS_POLICY) private readonly access: AccessPolicy,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
  ) {}

  /**
   * Operations with their contents found.
   * @throws FileMissing, ContentMissing for what does not exist and for what is not the caller's to
   *   read alike
   */
  async authorised(
    tx: Reader,
    principal: Principal,
    operations: readonly OperationInput[],
  ): Promise<VersionOperation[]> {
    const puts = operations.filter((operation) => operation.op === 'put');
    const digests = [...new Set(puts.flatMap(({ sha256 }) => (sha256 as Sha256) ?? []))];
    const found =
      digests.length > 0 ? await this.files.findByDigest(tx, digests) : new Map<Sha256, never>();
    const ids = new Set(puts.flatMap(({ fileId }) => (fileId as FileId) ?? []));
    const wanted = [...new Set([...ids, ...[...found.values()].map(({ fileId }) => fileId)])];
    const readable =
      wanted.length > 0
        ? await this.access.readableFiles(tx, principal, wanted)
        : new Set<FileId>();
    const missing = [...ids].filter((id) => !readable.has(id));
    if (missing.length > 0) throw new FileMissing(missing);
    const idOf = (digest: Sha256): FileId | undefined => {
      const id = found.get(digest)?.fileId;
      return id !== undefined && readable.has(id) ? id : undefined;
    };
    const unknown = digests.filter((digest) => idOf(digest) === undefined);
    if (unknown.length > 0) throw new ContentMissing(unknown);
    return operations.map((operation) => {
      if (operation.op !== 'put') return operation;
      const { path, sha256, metadata } = operation;
      const fileId = (operation.fileId ?? idOf(sha256 as Sha256)) as FileId;
      return { op: 'put', path, fileId, metadata: metadata ?? null };
    });
  }
}
