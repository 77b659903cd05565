/** The filter does not parse, or does not fit the table; the message says where, and what would. */
export class InvalidFilter extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidFilter';
  }
}
