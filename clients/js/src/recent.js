import { isAfter } from "./id.js";

// A tab that was frozen or in the back-forward cache for longer is told of a gap instead.
const MESSAGES_MAX = 256;

// The last messages, for tabs that have missed some: every tab keeps them, since each may come to
// hold the connection.
export class Recent {
  #messages = [];
  // Nothing after this id is missing here.
  #from;

  constructor(from = null) {
    this.#from = from;
  }

  add(message) {
    this.#messages.push(message);
    if (this.#messages.length > MESSAGES_MAX) this.#from = this.#messages.shift().messageId;
  }

  // All after `id` in order, or `null` where some are not here any more.
  after(id) {
    if (isAfter(this.#from, id)) return null;
    return this.#messages.filter((message) => isAfter(message.messageId, id));
  }
}
