// What can come of a question to the hub.

/** A refusal, in the hub's words. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: there was no answer
   * @param {string} code
   * @param {string} message
   * @param {Record<string, any>} [details] what a program can read of it
   */
  constructor(status, code, message, details = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/**
 * Whether something is switched off at this hub, or away for a while.
 * @param {unknown} error
 */
export const isUnavailable = (error) => error instanceof ApiError && error.status === 503;

/** @param {unknown} error */
export const wordsOf = (error) => (error instanceof Error ? error.message : String(error));
