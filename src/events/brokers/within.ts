import { BrokerAway } from './broker-errors.js';

/** Waits for what a broker is to answer, within a limit. @throws BrokerAway once that has passed */
export async function within<T>(limitMs: number, address: string, answer: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new BrokerAway(address)), limitMs);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
