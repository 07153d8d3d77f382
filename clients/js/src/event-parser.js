// The event stream format as the HTML standard has it, from text that is cut anywhere.
export class EventParser {
  #take;
  #line = "";
  #endedInCr = false;
  #event = {};

  // `take` gets {event, data, id, retry} of each block that is complete, as far as they were given.
  constructor(take) {
    this.#take = take;
  }

  push(text) {
    if (!text) return;
    // A line may end in \r\n, and the cut be between.
    if (this.#endedInCr && text[0] === "\n") text = text.slice(1);
    this.#endedInCr = text.endsWith("\r");
    const lines = (this.#line + text).split(/\r\n|\r|\n/);
    this.#line = lines.pop();
    for (const line of lines) this.#read(line);
  }

  #read(line) {
    const event = this.#event;
    if (line === "") {
      this.#event = {};
      return Object.keys(event).length && this.#take(event);
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") event.data = "data" in event ? `${event.data}\n${value}` : value;
    else if (field === "event" || (field === "id" && !value.includes("\0"))) event[field] = value;
    else if (field === "retry" && /^\d+$/.test(value)) event.retry = Number(value);
  }
}
