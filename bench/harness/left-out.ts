/** Thrown by what cannot take part on this machine: its row says why, and the run goes on. */
export class LeftOut extends Error {}
