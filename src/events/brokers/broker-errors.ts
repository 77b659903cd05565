/** How many messages a group's member holds that it has not acknowledged. */
export const MAX_UNACKNOWLEDGED = 1_000;

/** The broker cannot be reached now. */
export class BrokerAway extends Error {
  constructor(address: string) {
    super(`${address} is away.`);
    this.name = 'BrokerAway';
  }
}

/** The broker's store does not end with what was last put or seen there. */
export class BrokerMoved extends Error {
  constructor(address: string) {
    super(`${address} does not end where it did.`);
    this.name = 'BrokerMoved';
  }
}
