/** What a client was promised about a version with a 2xx. */
export interface NotedVersion {
  readonly branch: string;
  readonly versionNumber: number;
  readonly digest: string;
  readonly message: string;
  /** What it put, as text, or removed (null). */
  readonly changes: ReadonlyMap<string, string | null>;
}

/** What all clients together were promised: the server may be held to it. */
export class Ledger {
  readonly versions: NotedVersion[] = [];
  /** Versions that a merge has said to be part of a branch by now. */
  readonly merged: { readonly into: string; readonly versionNumber: number }[] = [];
  /** Versions that have been said to be gone. */
  readonly deleted = new Set<number>();
  /** Drafts that have been said to be discarded. */
  readonly discarded = new Set<number>();
}
