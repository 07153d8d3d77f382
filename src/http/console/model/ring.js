// The newest numbers of something, in a place that never grows.

export class Ring {
  #values;
  #next = 0;
  #length = 0;

  /** @param {number} size */
  constructor(size) {
    this.#values = new Float64Array(size);
  }

  get length() {
    return this.#length;
  }

  /** @param {number} value */
  push(value) {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#values.length;
    this.#length = Math.min(this.#length + 1, this.#values.length);
  }

  /**
   * The oldest is at 0.
   * @param {number} index
   */
  at(index) {
    const { length } = this.#values;
    return this.#values[(this.#next - this.#length + index + length) % length] ?? NaN;
  }

  get last() {
    return this.at(this.#length - 1);
  }
}
