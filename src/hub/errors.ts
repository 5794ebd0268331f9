/** A model that cannot be had from the hub; the message is one line for a user. */
export class HubError extends Error {
  override name = 'HubError';
}

/** A request that another try may save: a dropped connection, a server that is busy. */
export class InterruptedRequest extends Error {
  override name = 'InterruptedRequest';

  /** `retryAfterMs`: how long the server asked to be left alone. */
  constructor(
    message: string,
    options: { cause?: unknown } = {},
    readonly retryAfterMs = 0,
  ) {
    super(message, options);
  }
}
