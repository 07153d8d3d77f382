// When tiles are drawn: only those that are seen, not more often than anybody can read, and never so many at once
// that a frame is missed.

/** @typedef {import("./live-tile.js").Tile} Tile */

/** Numbers that change more often than this cannot be read. */
const AGAIN_AFTER_MS = 100;
/** Of the 16 ms of a frame; the rest is the browser's, and the stream's. */
const BUDGET_MS = 5;
/** Tiles so near the screen count as seen, so that scrolling finds them drawn. */
const MARGIN = "200px";

export class Painter {
  isLive = true;
  /** @type {Set<Tile>} */
  #waiting = new Set();
  /** @type {Map<Element, Tile>} */
  #tiles = new Map();
  #frame = 0;
  #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: MARGIN });

  /** @param {Tile} tile */
  watch(tile) {
    this.#tiles.set(tile.element, tile);
    this.#observer.observe(tile.element);
  }

  /** @param {Tile} tile */
  mark(tile) {
    if (!tile.isSeen) return;
    this.#waiting.add(tile);
    this.#ask();
  }

  /** Ages go on, and what was live may be so no longer. */
  all() {
    for (const tile of this.#tiles.values()) this.mark(tile);
  }

  end() {
    cancelAnimationFrame(this.#frame);
    this.#observer.disconnect();
  }

  #ask() {
    if (!this.#frame) this.#frame = requestAnimationFrame((now) => this.#paint(now));
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #seen(entries) {
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const tile = this.#tiles.get(target);
      if (!tile) continue;
      tile.isSeen = isIntersecting;
      if (isIntersecting) tile.measured(boundingClientRect.width);
      this.mark(tile);
    }
  }

  /** @param {number} now */
  #paint(now) {
    this.#frame = 0;
    const end = performance.now() + BUDGET_MS;
    const wall = Date.now();
    for (const tile of this.#waiting) {
      if (performance.now() > end) break;
      if (now - tile.paintedAt < AGAIN_AFTER_MS) continue;
      this.#waiting.delete(tile);
      if (!tile.isSeen) continue;
      tile.paintedAt = now;
      tile.paint(wall, this.isLive);
    }
    if (this.#waiting.size) this.#ask();
  }
}
