import type { CheckViolation } from '../core/contracts/version-check.js';
import { Problem } from '../core/problems.js';
import type { Conflict } from './graph/merge.js';
import type { Content } from './graph/overlay.js';

/** A branch or tag of that name is there already; they share one name space. */
export class PointerExists extends Problem {
  static override readonly kind = {
    code: 'pointer-exists',
    status: 409,
    title: 'The name is taken',
  };

  constructor(name: string) {
    super(`There is a branch or tag named ${JSON.stringify(name)} already; choose another name.`, {
      name,
    });
  }
}

/** Something that only a branch can do was asked of a tag. */
export class NotABranch extends Problem {
  static override readonly kind = { code: 'not-a-branch', status: 409, title: 'Not a branch' };

  constructor(name: string) {
    super(`${JSON.stringify(name)} is a tag, and tags never move; name a branch.`, { name });
  }
}

/** Contents that a request names by their digests do not exist, or are not the caller's to use. */
export class ContentMissing extends Problem {
  static override readonly kind = {
    code: 'content-missing',
    status: 422,
    title: 'A content is missing',
    isRefusal: true,
  };

  constructor(digests: readonly string[]) {
    const named = digests.slice(0, 10);
    super(
      `No such content, or not yours to use: ${named.join(', ')}${digests.length > 10 ? ' …' : ''}. Upload it first.`,
      { sha256: [...digests] },
    );
  }
}

/** Only merges move a protected branch, and nobody deletes it. */
export class BranchProtected extends Problem {
  static override readonly kind = {
    code: 'branch-protected',
    status: 409,
    title: 'The branch is protected',
  };

  constructor(name: string) {
    super(
      `${JSON.stringify(name)} is protected: merge into it, or have an administrator of the dataset lift the protection first.`,
      { branch: name },
    );
  }
}

/** The dataset's default branch keeps its name and its place. */
export class DefaultBranch extends Problem {
  static override readonly kind = {
    code: 'default-branch',
    status: 409,
    title: 'The default branch',
  };

  constructor(name: string) {
    super(`${JSON.stringify(name)} is the default branch; it is neither renamed nor deleted.`);
  }
}

/** Both sides changed the same paths, and differently; nothing was changed. */
export class MergeConflicts extends Problem {
  static override readonly kind = {
    code: 'merge-conflicts',
    status: 409,
    title: 'There are conflicts',
  };

  /** @param conflicts each with the file ids of the three sides, null where the path is absent */
  constructor(conflicts: readonly Conflict[]) {
    super(
      `Both sides changed ${conflicts.length === 1 ? 'a path' : `${conflicts.length} paths`} differently; say for each which side it shall be (resolutions).`,
      { conflicts: conflicts.map(conflictView) },
    );
  }
}

/** A conflict as an answer tells it. */
export function conflictView({ path, base, ours, theirs }: Conflict) {
  // Where the base cannot be told it is a content without a file.
  const side = (content: Content | null) => (content && content.fileId > 0 ? content.fileId : null);
  return { path, base: side(base), ours: side(ours), theirs: side(theirs) };
}

/** A committed version never changes. */
export class VersionImmutable extends Problem {
  static override readonly kind = {
    code: 'version-immutable',
    status: 409,
    title: 'A committed version never changes',
  };

  constructor(ref: string) {
    super(
      `${JSON.stringify(ref)} names a committed version, which never changes; open a draft from it and change that.`,
    );
  }
}

/** An archive holds something that cannot stand in a version; nothing of it was taken. */
export class ArchiveRefused extends Problem {
  static override readonly kind = {
    code: 'archive-refused',
    status: 422,
    title: 'The archive cannot be taken',
  };

  constructor(entry: string | null, reason: string) {
    super(
      entry === null ? `The archive ${reason}.` : `The entry ${JSON.stringify(entry)} ${reason}.`,
      entry === null ? {} : { entry },
    );
  }
}

/** What keeps a version from being deleted. */
export interface VersionNeeds {
  /** Numbers of the versions that build on it, as first parent or merged. */
  readonly children: number[];
  /** Names of branches and tags that point at it. */
  readonly pointers: string[];
  /** Ids of drafts that start from it. */
  readonly drafts: number[];
}

/** Something builds on a version or points at it. */
export class VersionNeeded extends Problem {
  static override readonly kind = {
    code: 'version-needed',
    status: 409,
    title: 'The version is needed',
  };

  constructor(versionNumber: number, needs: VersionNeeds) {
    const { children, pointers, drafts } = needs;
    const named = [
      children.length > 0 ? `versions ${children.join(', ')} build on it` : '',
      pointers.length > 0 ? `${pointers.join(', ')} point at it` : '',
      drafts.length > 0 ? `drafts ${drafts.join(', ')} start from it` : '',
    ].filter((each) => each !== '');
    super(`Version ${versionNumber} is needed: ${named.join('; ')}.`, { ...needs });
  }
}

/** Contents that were purged from the dataset may not come back. */
export class PurgedContentRefused extends Problem {
  static override readonly kind = {
    code: 'purged-content-refused',
    status: 422,
    title: 'The content was purged',
  };

  constructor(refused: readonly { readonly sha256: string; readonly reason: string }[]) {
    const [first] = refused;
    super(
      `Content ${first?.sha256} was purged from the dataset and may not be added again: ${first?.reason} An administrator of the dataset can lift the purge.`,
      { refused: refused.slice(0, 100).map((each) => ({ ...each })) },
    );
  }
}

/** A version was removed: only its number, its digest and its place in the history are left. */
export class VersionRemoved extends Problem {
  static override readonly kind = {
    code: 'version-removed',
    status: 410,
    title: 'The version was removed',
  };

  constructor(version: { versionNumber: number; removedAt: Date; cause: string }) {
    const { versionNumber, cause } = version;
    const removedAt = version.removedAt.toISOString();
    const how = cause === 'retention' ? 'by the retention rules of the dataset' : 'by hand';
    super(`Version ${versionNumber} was removed ${how} at ${removedAt}; nothing of it is left.`, {
      versionNumber,
      removedAt,
      cause,
    });
  }
}

/** How many violations one answer names. */
const MAX_VIOLATIONS = 1000;

/** Rules of the dataset forbid what a version would hold; nothing was changed. */
export class ChecksFailed extends Problem {
  static override readonly kind = {
    code: 'checks-failed',
    status: 422,
    title: 'The checks of the dataset failed',
  };

  constructor(violations: readonly CheckViolation[]) {
    const shown = violations.slice(0, MAX_VIOLATIONS).map((violation) => ({ ...violation }));
    super(
      `The version would break ${violations.length === 1 ? 'a rule' : `${violations.length} rules`} of the dataset: ${violations[0]?.message ?? ''}`,
      { violations: shown, violationCount: violations.length },
    );
  }
}

/** The dataset has as many of these as it may have. */
export class DatasetFull extends Problem {
  static override readonly kind = { code: 'dataset-full', status: 409, title: 'Dataset full' };

  constructor(what: string, most: number) {
    super(`The dataset has ${most} ${what} already, and may have no more. Delete some first.`, {
      limit: most,
    });
  }
}
