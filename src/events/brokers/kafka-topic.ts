import { Consumer, type Message } from '@platformatic/kafka';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerUrl } from './broker-url.js';

/** All events are in one partition: the log has one order. */
export const PARTITION = 0;
const TIMEOUT_MS = 3_000;
const MAX_WAIT_MS = 500;
const CLOSE_MS = 1_000;
const MAX_BYTES = 4 * 1024 * 1024;
const EARLIEST = -2n;
const LATEST = -1n;

/** A record of the topic, as far as it is of use here. */
export interface TopicRecord {
  readonly offset: bigint;
  readonly value: string;
  readonly cursor: string | null;
}

/** What all clients of one URL have in common. */
export function clientOptions({ servers, username, password, url }: BrokerUrl) {
  const mechanism = (url.searchParams.get('sasl') ?? 'PLAIN') as 'PLAIN';
  return {
    clientId: 'varve',
    bootstrapBrokers: [...servers],
    timeout: TIMEOUT_MS,
    connectTimeout: TIMEOUT_MS,
    retries: 1,
    retryDelay: 100,
    autocreateTopics: true,
    ...(url.searchParams.get('tls') === 'true' && { tls: {} }),
    ...(username !== undefined && { sasl: { mechanism, username, password: password ?? '' } }),
  };
}

/**
 * One partition, read by offset for a group. The group has no members that the broker would have to
 * divide it among, for the lease in the database admits one: its offset is read and committed as a
 * consumer does that assigns its partitions itself.
 */
export class KafkaTopic {
  private readonly consumer: Consumer;

  constructor(
    private readonly options: BrokerUrl,
    group: string,
  ) {
    this.consumer = new Consumer({
      ...clientOptions(options),
      groupId: `${options.name}.${group}`,
      autocommit: false,
      retries: 0,
    });
    // What says that no member of a group speaks (the protocol's `OffsetCommit`).
    this.consumer.memberId = '';
    this.consumer.generationId = -1;
  }

  /** The offset of the first record, and that of the next. */
  async bounds(): Promise<{ start: bigint; end: bigint }> {
    const [start, end] = [await this.offsetAt(EARLIEST), await this.offsetAt(LATEST)];
    return { start, end };
  }

  /** Where the group goes on; null for one that is new. */
  async committed(): Promise<bigint | null> {
    const { name } = this.options;
    const topics = [{ topic: name, partitions: [PARTITION] }];
    const offset = (await this.consumer.listCommittedOffsets({ topics })).get(name)?.[PARTITION];
    return offset === undefined || offset < 0n ? null : offset;
  }

  async commit(offset: bigint): Promise<void> {
    const { name } = this.options;
    await this.consumer.commit({
      offsets: [{ topic: name, partition: PARTITION, offset, leaderEpoch: -1 }],
    });
  }

  /** Records from an offset on; none where there are none within half a second. */
  async read(from: bigint): Promise<TopicRecord[]> {
    const { name } = this.options;
    const { topics } = await this.consumer.metadata({ topics: [name] });
    const topic = topics.get(name);
    const node = topic?.partitions[PARTITION]?.leader;
    if (!topic || node === undefined) throw new Error(`The topic ${name} has no leader.`);
    const partition = {
      partition: PARTITION,
      currentLeaderEpoch: -1,
      fetchOffset: from,
      lastFetchedEpoch: -1,
      partitionMaxBytes: MAX_BYTES,
    };
    const { responses } = await this.consumer.fetch({
      node,
      maxWaitTime: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      topics: [{ topicId: topic.id, partitions: [partition] }],
    });
    const batches = responses[0]?.partitions[0]?.records ?? [];
    return (
      batches
        .flatMap(({ firstOffset, records }) =>
          records.map(({ offsetDelta, value, headers }) => ({
            offset: firstOffset + BigInt(offsetDelta),
            value: text(value),
            cursor: text(headers.find(([key]) => text(key) === 'cursor')?.[1]) || null,
          })),
        )
        // A batch is given whole, also where it begins earlier.
        .filter(({ offset }) => offset >= from)
    );
  }

  async close(): Promise<void> {
    // It is not waited for longer: a broker that is away would not answer.
    await Promise.race([this.consumer.close(true), sleep(CLOSE_MS, null, { ref: false })]);
  }

  private async offsetAt(timestamp: bigint): Promise<bigint> {
    const { name } = this.options;
    const partitions = { [name]: [PARTITION] };
    const offsets = await this.consumer.listOffsets({ topics: [name], partitions, timestamp });
    return offsets.get(name)?.[PARTITION] ?? 0n;
  }
}

function text(bytes: Message['value'] | null | undefined): string {
  return bytes?.toString() ?? '';
}
