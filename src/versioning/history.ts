import { Injectable } from '@nestjs/common';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { VersionId } from '../core/ids.js';
import { mergeBases, type HistoryNode, type LoadHistory } from './graph/merge-base.js';

/** How much of a line of first parents is read at once. */
const RUN = 256;

/** How versions descend from each other. */
@Injectable()
export class History {
  /** The best common ancestors of two versions; several after criss-cross merges. */
  async mergeBases(tx: Reader, left: VersionId, right: VersionId): Promise<VersionId[]> {
    return (await mergeBases(left, right, this.#loader(tx))) as VersionId[];
  }

  /**
   * The versions whose overlays lie between two versions: on each one's line of first parents, down
   * to where the lines meet. Outside their paths the two hold the same.
   */
  async between(tx: Reader, left: VersionId, right: VersionId): Promise<VersionId[]> {
    const load = this.#loader(tx);
    const known = new Map<number, HistoryNode>();
    const fetch = async (id: number | undefined): Promise<HistoryNode | null> => {
      if (id === undefined) return null;
      if (!known.has(id)) for (const node of await load([id])) known.set(node.id, node);
      return known.get(id) ?? null;
    };
    const passed: number[] = [];
    let [a, b] = [await fetch(left), await fetch(right)];
    while (a?.id !== b?.id) {
      if (a && (!b || a.number > b.number)) {
        passed.push(a.id);
        a = await fetch(a.parents[0]);
      } else if (b) {
        passed.push(b.id);
        b = await fetch(b.parents[0]);
      }
    }
    return passed as VersionId[];
  }

  #loader(tx: Reader): LoadHistory {
    return (ids) =>
      tx.query<HistoryNode>(
        `WITH RECURSIVE line AS (
           SELECT id, version_number, parent_version_id, merge_parent_id, 1 AS n
           FROM dataset_versions WHERE id = ANY($1::integer[])
           UNION ALL
           SELECT p.id, p.version_number, p.parent_version_id, p.merge_parent_id, n + 1
           FROM line JOIN dataset_versions p ON p.id = line.parent_version_id WHERE n < $2
         )
         SELECT id, version_number AS number,
           array_remove(ARRAY[parent_version_id, merge_parent_id], NULL) AS parents FROM line`,
        [ids, RUN],
      );
  }
}
